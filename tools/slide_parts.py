"""What a talk takes from a chapter's page on the site: question, votes, figures, boxes, take-away.

Nothing is run again: a figure is the very HTML of its page, and links, folds and code stay there.
"""

import html
import json
import math
import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl

from bs4 import BeautifulSoup

from tools.paper import ARTICLE
from tools.places import Fault
from tools.stills import FIGURE

PLACE = '<figure data-name="{}"></figure>'
LEFT_OUT = ".headerlink, .gloss, .cell_input, details.hide, script:not(.predict), img"
HEADINGS = ("h1", "h2", "h3", "h4")
PROVED = ".theorem, .definition, .proposition, .lemma, .corollary, .remark"
STATED = f"#the-claim div:is(.proof:is({PROVED}), .admonition:is(.important, .note))"  # or ours
DATA = re.compile(r'(<script type="application/json" class="live-data">)(.*?)(</script>)', re.S)


@dataclass(frozen=True)
class Vote:
    """A question; `options` are (letter, HTML, whether it is right, what it says)."""

    stem: str
    options: list


class Chapter:
    """A page of the built `site`, name without book/ and suffix; its pieces are HTML."""

    def __init__(self, site, name):
        text = ARTICLE.search((site / "book" / f"{name}.html").read_text("utf-8"))[1]
        self.name = name
        self.figures = {found[1]: found[0] for found in FIGURE.finditer(text)}
        self.soup = BeautifulSoup(FIGURE.sub(lambda f: PLACE.format(f[1]), text), "html.parser")
        _simplify(self.soup)

    @property
    def title(self):
        return self.soup.h1.decode_contents().strip()

    @property
    def question(self):
        """What the chapter asks, or "" where its first cell asks nothing."""
        asked = self.soup.select_one("div.lead strong")
        return asked.decode_contents() if asked else ""

    @property
    def votes(self):
        return [_vote(script) for script in self.soup.select("script.predict")]

    @property
    def boxes(self):
        """The statements of its claim."""
        return [str(box) for box in self.soup.select(STATED)]

    @property
    def take_away(self):
        """Its last section, without where to go next."""
        section = self.soup.find(id="take-away")
        parts = section.find_all(["p", "ul", "ol"], recursive=False) if section else []
        kept = [p for p in parts if not p.get_text().startswith("Next.")]
        return "".join(map(str, kept))

    def figure(self, name, position="", guess=True):
        """A figure that starts, and is reset, at a position like "alpha=2&case=a"."""
        if name not in self.figures:
            raise Fault(f"{self.name} needs a figure {name!r} on its built page, which has none.")
        return DATA.sub(lambda d: d[1] + _started(d[2], position, guess) + d[3], self.figures[name])

    def heading(self, name):
        """The heading under which a figure stands."""
        place = self.soup.find("figure", attrs={"data-name": name})
        return place.find_previous(HEADINGS).decode_contents().strip()


chapter_of = cache(Chapter)  # two kits of decks are made of the same pages


def _simplify(soup):
    """Leave out what a slide has no use for; reveal.js would take an inner section for a slide."""
    for node in soup.select(LEFT_OUT):
        node.decompose()
    for link in soup.find_all("a"):
        link.unwrap()
    for section in soup.find_all("section"):
        section.name = "div"


def _vote(script):
    asked = script.find_previous_sibling()
    stem = []
    for node in asked.find_previous_siblings():
        if node.name in (*HEADINGS, "script", "details"):
            break
        if "cell" not in node.get("class", ()):
            stem.insert(0, str(node))
    told = json.loads(script.string)
    return Vote("".join(stem), [_option(item, told) for item in asked.find_all("li")])


def _option(item, told):
    row = BeautifulSoup(str(item.p or item), "html.parser")
    letter = row.strong.extract().get_text().strip(" .")
    feedback = html.escape(told["feedback"].get(letter, ""))
    return letter, row.contents[0].decode_contents().strip(), letter in told["keys"], feedback


def _started(data, position, guess=True):
    """The data of a figure, its knobs starting where the position says, with its guess or none."""
    figure = json.loads(data)
    if not guess:
        figure.pop("guess", None)
    wanted = dict(parse_qsl(position))
    for knob in figure["knobs"]:
        if knob["name"] in wanted:
            knob["start"] = _nearest(knob, wanted[knob["name"]])
    return json.dumps(figure, ensure_ascii=False).replace("</", "<\\/")


def _nearest(knob, wanted):
    """The place of a value among those of a knob, as a link to it on the site finds it."""
    values = [str(value) for value in knob["values"]]
    if wanted in values or knob["kind"] == "choice":
        return values.index(wanted) if wanted in values else knob["start"]
    scale = math.log if all(float(value) > 0 for value in (*values, wanted)) else float
    gaps = [abs(scale(float(value)) - scale(float(wanted))) for value in values]
    return gaps.index(min(gaps))
