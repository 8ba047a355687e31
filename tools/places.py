"""Where each place of the book stands on the published site, and how a source names it.

A source writes `[orbit](../glossary.md#orbit)`, `(label)=`, `:label: theorem-2` or the name of a
figure; an edition, which has no Sphinx, needs the address that these have on the site.
"""

import posixpath
import re
from dataclasses import dataclass
from types import SimpleNamespace

from docutils import nodes
from sphinx.util.nodes import make_id

from tools import pages
from tools.definitions import slug

LABEL = re.compile(r"^\(([^)\n]+)\)=[ \t]*\n+(?:#+ +(.+))?", re.M)
BOX = re.compile(r"^:{3,}\{[\w:]+\} *(.*)\n(?::[\w-]+:.*\n)*?:label: *(\S+)", re.M)
HEADING = re.compile(r"^#{1,4} +(.+?) *$", re.M)
TERM = re.compile(r"^(\S.*)\n(?=  \S)", re.M)
GLOSSARY = re.compile(r"^:{3,}\{glossary\}(.*?)^:{3,}$", re.M | re.S)
CODE = re.compile(r"^(`{3,}).*?^\1", re.M | re.S)
MARKUP = re.compile(r"[*`$]|\]\([^)]*\)|\[")


class Fault(ValueError):
    """What is wrong with a source, in one sentence that begins after the page and the cell."""


@dataclass(frozen=True)
class Places:
    """The pages of the book: `anchors[page]` has the id on the site of each name after a #."""

    site: str  # its address, without a slash at the end
    titles: dict
    anchors: dict
    labels: dict  # (page, words) of each label that a role may name

    def address(self, page, fragment=""):
        """The address of a page, or of the place on it that a source calls `fragment`."""
        address = f"{self.site}/{page}.html"
        if not fragment:
            return address
        name, colon, position = fragment.partition(":")  # #needle:alpha=100 moves a figure
        if name not in self.anchors[page]:
            raise Fault(f"#{name} is nowhere on {page}: no label, heading or figure has that name.")
        return f"{address}#{self.anchors[page][name]}{colon}{position}".removesuffix("#")

    def resolve(self, here, target):
        """The address that a link on page `here` leads to."""
        if re.match(r"[a-z]+:", target):
            return target
        path, _, fragment = target.partition("#")
        folder = posixpath.dirname(here)
        page = posixpath.normpath(posixpath.join(folder, path)) if path else here
        page = re.sub(r"\.(ipynb|md|html)$", "", page)
        if page not in self.titles:
            raise Fault(f"the link to {target} leads to no page of _toc.yml.")
        return self.address(page, fragment)

    def of_label(self, label):
        """(address, words) of a label anywhere in the book."""
        if label not in self.labels:
            raise Fault(f"the label {label!r} is nowhere in the book.")
        page, words = self.labels[label]
        return self.address(page, label), words

    def of_document(self, here, target):
        """(address, title) of a page that a role names as Sphinx does, /book/map or ../map."""
        target = re.sub(r"\.(ipynb|md)$", "", target)
        page = posixpath.normpath(posixpath.join(f"/{posixpath.dirname(here)}", target))[1:]
        if page not in self.titles:
            raise Fault(f"the page {target} is not in _toc.yml.")
        return self.address(page), self.titles[page]


def read(book, site):
    """The places of `book`: {path without suffix: Page}."""
    titles, anchors, labels = {}, {}, {}
    for name, page in book.items():
        text = CODE.sub("", page.text())
        headings = [MARKUP.sub("", heading) for heading in HEADING.findall(text)]
        titles[name] = headings[0] if headings else name
        boxes = [(label, title) for title, label in BOX.findall(text)]
        named = LABEL.findall(text) + boxes
        labels |= {label: (name, MARKUP.sub("", words) or label) for label, words in named}
        anchors[name] = {
            **_headings(headings),
            **_words(text),
            **{label: label for label, _ in boxes},
            **{label: nodes.make_id(label) for label, _ in LABEL.findall(text)},
            **{figure: figure for figure in figures(page)},
        }
    return Places(site, titles, anchors, labels)


def figures(page):
    """The names of the live and still figures of a page."""
    for _, cell in page.code():
        for call in pages.calls(cell.source, {"explore", "still"}):
            yield from (k.value.value for k in call.keywords if k.arg == "name")


def _headings(headings):
    """The id of each heading by its slug; a title of no ASCII letter, or a second one, has none."""
    found, taken = {}, set()
    for heading in headings:
        anchor = nodes.make_id(heading)
        words = re.sub(r"[^\w\- ]", "", heading.lower().replace(" ", "-"))
        found.setdefault(words, "" if anchor in taken else anchor)
        taken.add(anchor)
    return found


def _words(text):
    """The id of each term of the glossary, by the slug that tools/definitions.py gives it."""
    terms = [term for body in GLOSSARY.findall(text) for term in TERM.findall(body)]
    nothing = SimpleNamespace(ids={})  # no id is taken yet, as on a page of its own
    curly = {term: term.replace("'", "’") for term in terms}  # Sphinx has set the quotes by then
    return {slug(term): make_id(None, nothing, "term", curly[term]) for term in terms}
