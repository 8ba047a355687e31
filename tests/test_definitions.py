"""Links to the glossary lead to a word that is there, and carry its definition.

Oracle: glossary.md, read by hand here, and a small book built by Sphinx, read as HTML.
"""

import re
from html import unescape

import nbformat
import pytest
from sphinx.application import Sphinx

from tools import ROOT, definitions, pages

LINK = re.compile(r"\]\((?:\.\./)?glossary\.md#([^)]+)\)")
FEWEST, MOST = 3, 8  # links on a chapter of these parts
PARTS = ("book/meaning/", "book/argument/", "book/after/")
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
WORDS = {
    definitions.slug(word): text.split(" See [")[0]
    for word, text in re.findall(r"^(\S.*)\n  (\S.*)$", GLOSSARY, re.M)
}
PAGES = [pages.read(path) for path in pages.sources()]


def plain(text):
    """A definition as a reader sees it: without Markdown's signs."""
    text = re.sub(r"\{term\}`([^<`]+?)(?: <.*?>)?`", r"\1", text)
    return re.sub(r"[*`]", "", text)


def links(page):
    for at, cell in enumerate(page.cells, 1):
        for line in cell.source.splitlines():
            yield from ((page.where(at), line, slug) for slug in LINK.findall(line))


def faults(page):
    """A sentence for each link that leads nowhere, comes twice, or stands where it disturbs."""
    seen = set()
    for where, line, slug in links(page):
        if slug not in WORDS:
            yield f"{where} links to {slug!r}, and glossary.md has no such word."
        if slug in seen:
            yield f"{where} links to {slug!r} again: once a page is enough."
        if re.match(r"#|:::|\|", line):
            yield f"{where} links to {slug!r} in a heading, title or table: put it in the prose."
        seen.add(slug)
    asked = page.name.startswith(PARTS) and page.name.endswith(".ipynb")
    if asked and not FEWEST <= len(seen) <= MOST:
        yield f"{page.name} needs {FEWEST} to {MOST} links to the glossary, got {len(seen)}."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_pages_links_lead_to_words_of_the_glossary(page):
    assert list(faults(page)) == []


def test_faults_are_named():
    cell = nbformat.v4.new_markdown_cell(
        "# An [orbit](../glossary.md#orbit)\n[orbit](../glossary.md#orbit), [x](../glossary.md#ufo)"
    )
    said = " ".join(faults(pages.Page("book/argument/a.ipynb", [cell])))
    for sentence in ("in a heading", "'orbit' again", "no such word", "needs 3 to 8 links"):
        assert sentence in said


def test_words_have_anchors_of_their_own_and_plain_definitions():
    assert len(WORDS) == len(re.findall(r"^  \S", GLOSSARY, re.M)) > 40
    assert definitions.slug("ε-sharpness") == "eps-sharpness"
    assert definitions.slug("Hutchinson's estimate") == "hutchinson-estimate"
    assert not [word for word, text in WORDS.items() if "$" in text or "](" in text]


def test_a_built_link_carries_its_definition(tmp_path):
    (tmp_path / "glossary.md").write_text(GLOSSARY, encoding="utf-8")
    page = "\n\n".join(f"[a word](glossary.md#{slug})" for slug in WORDS)
    (tmp_path / "index.md").write_text(f"# A page\n\n{page}\n", encoding="utf-8")
    settings = {
        "extensions": ["myst_parser", "tools.definitions"],
        "myst_enable_extensions": ["colon_fence"],
    }
    out = tmp_path / "out"
    # Silent: the chapters that the glossary names are not here.
    Sphinx(tmp_path, None, out, out, "html", settings, status=None, warning=None).build()
    html = (out / "index.html").read_text(encoding="utf-8")
    described = re.findall(r'<a class="reference internal" aria-describedby="([^"]+)"', html)
    boxes = dict(re.findall(r'id="([^"]+)" role="tooltip" hidden>(.*?)</span>', html))
    assert len(set(described)) == len(WORDS)
    for name, text in zip(described, WORDS.values()):
        assert unescape(boxes[name]).replace("’", "'") == plain(text)
