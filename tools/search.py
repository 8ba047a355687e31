"""What the search page knows: each page's prose, by section, read from the pages as they stand.

Written as `prose.js` for the browser, so that a search asks no server and works from a folder too.
Code, results, the figures' words, tooltips and raw formulas are not prose. The glossary says which
page defines a word: the one that its entry names after "See". `book/_static/search.js` ranks.
"""

import json
import re
from pathlib import Path
from posixpath import dirname, join, normpath

from bs4 import BeautifulSoup, SoupStrainer

from tools import letters, pages

ARTICLE = SoupStrainer("article", class_="bd-article")
HEAVY = re.compile(r"<(script|style|svg|pre)\b.*?</\1>", re.S)  # nothing of these is prose
NOT_PROSE = (
    ".gloss, .headerlink, .lead-in, .toctree-wrapper, .live-words, .cell_input, details > summary,"
    " .cell_output .text_html :not(figure, .live-caption), .cell_output .output.stream,"
    " button, form"
)
FORMULA = re.compile(r"^\\[(\[](.*)\\[)\]]$", re.S)
BLOCKS = ["p", "li", "dd", "dt", "td", "th", "h1", "h2", "h3", "h4", "div", "section"]
SEE = re.compile(r"\bSee\b.*?<a [^>]*href=\"([^\"#]+)", re.S)
LISTS = ("book/ledger", "book/teach/exercises", "book/gallery")  # they repeat what the chapters say
ASIDE = "You need."  # the links of a chapter's head say what other pages are about


def setup(app):
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(app, error):
    """Leave `prose.js` beside the search page."""
    if error is None and app.builder.format == "html":
        site = Path(app.outdir)
        order = [name for name in pages.table_of_contents() if name in app.env.found_docs]
        found = [read(site, name) for name in [*order, *sorted(app.env.found_docs - set(order))]]
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        (site / "prose.js").write_text(f"window.bookProse={text};\n", "utf-8")


def read(site, name):
    """One page: its address, kind, title, and sections, each with its text and its definitions."""
    path = f"{name}.html"
    html = HEAVY.sub("", (site / path).read_text("utf-8"))
    soup = BeautifulSoup(html, "html.parser", parse_only=ARTICLE)
    terms = defined(soup, path)
    sections = split(prose(soup))
    title = sections[0]["heading"] if sections else name
    return {
        "path": path,
        "kind": kind(name),
        "title": title,
        "defines": terms,
        "sections": sections,
    }


def kind(name):
    """How a page ranks: "chapter", as the front page does, "page", or "list", which comes last."""
    if name in LISTS:
        return "list"
    is_chapter = name.startswith(pages.CHAPTERS) and not name.endswith("/intro")
    return "chapter" if is_chapter or name == pages.table_of_contents()[0] else "page"


def defined(soup, path):
    """Which page defines each word of a glossary: {"spectral norm": "book/meaning/….html"}."""
    found = {}
    for entry in soup.select("dl.glossary > dt"):
        explained = SEE.search(str(entry.find_next_sibling("dd")))
        if explained:
            found[words(entry)] = normpath(join(dirname(path), explained[1]))
    return found


def prose(soup):
    """The article with nothing but words in it."""
    for node in soup.select(NOT_PROSE):
        node.decompose()
    for node in soup.select(".math"):
        formula = FORMULA.match(node.get_text().strip())
        node.replace_with(letters.line(formula[1]) if formula else "…")
    return soup


def words(node):
    """The text of a node; two blocks are two words, two spans may be one."""
    pieces = []
    for piece in node.descendants:
        if getattr(piece, "name", None) in BLOCKS:
            pieces.append(" ")
        elif isinstance(piece, str):
            pieces.append(piece)
    return " ".join("".join(pieces).replace("#", " ").split()).strip(" ¶")


def split(soup):
    """The parts of a page: what stands under its title, each section, each entry of a glossary."""
    found = []
    for node in soup.select("section"):
        heading = node.find(re.compile("^h[1-6]$"), recursive=False)
        if heading is None or heading.name not in ("h1", "h2"):
            continue
        rest = [child for child in node.find_all(recursive=False) if child is not heading]
        own = [child for child in rest if not (child.name == "section" and child.find("h2"))]
        own = [child for child in own if "glossary" not in child.get("class", [])]
        text = " ".join(text for text in map(words, own) if not text.startswith(ASIDE))
        boxes = [box for box in node.select(".definition") if box in own or box.parent in own]
        found.append(section(node.get("id"), words(heading), text, " ".join(map(words, boxes))))
    return found + [
        section(entry.get("id"), words(entry), words(entry.find_next_sibling("dd")), "")
        for entry in soup.select("dl.glossary > dt")
    ]


def section(anchor, heading, text, boxes):
    return {"anchor": anchor, "heading": heading, "text": " ".join(text.split()), "boxes": boxes}
