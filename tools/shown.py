"""A live figure as the site ships it, read back from its page."""

import ast
import itertools
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from bs4 import BeautifulSoup

from tools import pages


@dataclass(frozen=True)
class Figure:
    """One figure of a page, as it is shipped; `why` says whether its author gave a reason."""

    page: str
    name: str
    alt: str
    caption: object  # parsed HTML, as are the words
    panels: list  # (SVG root, what changes: {"values", "slots"})
    knobs: list
    words: list  # one list of lines (HTML) for each position
    grips: list
    guess: dict | None
    still: list  # panels that are declared still
    why: bool = False

    def faulty(self, text):
        return f"{self.page}#{self.name} {text}"

    def texts(self):
        """Every text of every panel at every position, plain."""
        for root, change in self.panels:
            nodes = list(root.iter())
            yield from ("".join(node.itertext()) for node in root.iter("text"))
            for node, attribute, column in change["slots"]:
                shown = [change["values"][k] or "" for k in set(column)]
                if attribute == "#text" and nodes[node].tag in ("text", "tspan"):
                    yield from shown
                elif attribute == "#inner":
                    yield from (re.sub(r"<[^>]*>", "\n", value) for value in shown)

    def positions(self):
        """The indices of all knobs at each position, in the order in which they are shipped."""
        return list(itertools.product(*(range(len(knob["values"])) for knob in self.knobs)))

    def picture(self, position):
        """What is drawn at a position, as the values of all that changes."""
        return tuple(
            change["values"][column[position]]
            for _, change in self.panels
            for _, _, column in change["slots"]
        )


def reasons(path):
    """The names of the figures of a notebook that say why a rule does not hold for them."""
    found = set()
    for _, cell in pages.read(path, path.parent).code():
        for call in pages.calls(cell.source, {"explore"}):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if ast.unparse(given.get("why", ast.Constant(None))) != "None":
                found.add(ast.literal_eval(given["name"]))
    return found


def figures(html, page, reasons=frozenset()):
    """The live figures of a page of the site; `reasons` are the names of those that say why."""
    for found in re.finditer(r'<figure class="live".*?</figure>', html, re.S):
        soup = BeautifulSoup(found[0], "html.parser")
        figure, script = soup.figure, soup.find("script")
        data = json.loads(script.string) if script else {}
        roots = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", found[0], re.S)]
        nothing = {"values": [], "slots": []}
        shown = [p.decode_contents() for p in soup.select(".live-result, .live-words p")]
        yield Figure(
            page=page,
            name=figure["id"],
            alt=soup.select_one(".live-panels")["aria-label"],
            caption=soup.select_one(".live-caption"),
            panels=list(zip(roots, data.get("panels") or [nothing] * len(roots), strict=True)),
            knobs=data.get("knobs", []),
            words=[said.split("\n") for said in data.get("words", ["\n".join(shown)])],
            grips=data.get("grips", []),
            guess=data.get("guess"),
            still=[k for k, p in enumerate(soup.select(".live-panel")) if p.has_attr("data-still")],
            why=figure["id"] in reasons,
        )
