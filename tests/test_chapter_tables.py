"""Tables and map of the chapters come from the chapters' own first cells.

Oracle: a planted book of four chapters whose rows are written out here; for the real book, that
every chapter stands in the tables of the pages that promise them.
"""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook

from tools import ROOT, chapter_map, chapter_tables, pages

TOC = """\
format: jb-book
root: book/index
parts:
  - caption: The argument
    chapters:
      - file: book/argument/intro
      - file: book/argument/one
      - file: book/argument/two
      - file: book/argument/three
  - caption: After 2017
    chapters:
      - file: book/after/four
"""
CHAPTERS = {
    "argument/one": "Nothing but [a word](../glossary.md#orbit).",
    "argument/two": "[One](one.ipynb#a). It helps to know [three](three.ipynb).",
    "argument/three": "The chain rule.",
    "after/four": "[Two](../argument/two.ipynb) and [one](../argument/one.ipynb).",
}


@pytest.fixture
def book(tmp_path):
    (tmp_path / "_toc.yml").write_text(TOC, encoding="utf-8")
    for k, (name, needs) in enumerate(CHAPTERS.items(), 1):
        text = (
            f"# Title {k}\n\n**Question.** Is [it](x.md) {k}?\n\n**Answer.** Yes.\n\n"
            f"**You need.** {needs}"
        )
        facts = {"short": f"C{k}", "gives": f"G{k}", "line": f"Line {k}.", "minutes": [k, 10 * k]}
        path = tmp_path / "book" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        cell = new_markdown_cell(text, metadata={"chapter": facts})
        nbformat.write(new_notebook(cells=[cell]), path)
    return tmp_path


def test_a_table_of_questions(book):
    assert chapter_tables.fill("a\n<!-- questions: argument -->\nb", "book/index", book) == (
        "a\n| [The argument](argument/intro.md) | the question |\n|---|---|\n"
        "| [Title 1](argument/one.ipynb) | Is it 1? |\n"
        "| [Title 2](argument/two.ipynb) | Is it 2? |\n"
        "| [Title 3](argument/three.ipynb) | Is it 3? |\nb"
    )


def test_a_table_of_lines(book):
    filled = chapter_tables.fill("<!-- lines: two to three -->", "book/argument/intro", book)
    assert filled == (
        "| chapter | in one line |\n|---|---|\n| [C2](two.ipynb) | Line 2. |\n"
        "| [C3](three.ipynb) | Line 3. |"
    )


def test_a_table_of_needs_and_times(book):
    rows = chapter_tables.fill("<!-- needs -->", "book/map", book).splitlines()
    assert rows[2:] == [
        "| [C1](argument/one.ipynb) | – | G1 | 1 + 10 |",
        "| [C2](argument/two.ipynb) | [C1](argument/one.ipynb) | G2 | 2 + 20 |",
        "| [C3](argument/three.ipynb) | – | G3 | 3 + 30 |",
        "| [C4](after/four.ipynb) | [C2](argument/two.ipynb), [C1](argument/one.ipynb) "
        "| G4 | 4 + 40 |",
    ]


def test_the_map_has_a_box_a_chapter_and_an_arrow_a_need(book):
    drawn = chapter_tables.fill("<!-- map -->", "book/map", book)
    hrefs = re.findall(r'<a href="([^"]+)"', drawn)
    assert sorted(hrefs) == sorted(f"{name}.html" for name in CHAPTERS)
    spoken = [link.get_text().strip() for link in BeautifulSoup(drawn, "html.parser").select("a")]
    assert sorted(spoken) == sorted(one.short for one in chapter_tables.chapters(book))
    arrows = re.findall(r'<path class="arrow ([\w-]+) ([\w-]+)" d="M[^"]+" fill="none"', drawn)
    assert arrows == [("map-one", "map-two"), ("map-three", "map-two"), ("map-two", "map-four")]
    assert drawn.count("stroke-dasharray") == 1
    for name in CHAPTERS:  # its box dims what is not its own
        assert f"#map-{name.partition('/')[2]}:is(:hover, :focus-visible)" in drawn


def led_to(name, before):
    """Every chapter from which arrows lead to `name`."""
    return set().union(before[name], *(led_to(one, before) for one in before[name]))


def test_the_real_map_leaves_out_what_its_other_arrows_say():
    real = chapter_tables.chapters()
    arrows = list(chapter_map.edges(real))
    drawn = {one.name: {a for a, b, dashed in arrows if b == one.name} for one in real}
    every = {one.name: {*one.needs, *one.helps} for one in real}
    assert len(arrows) < sum(map(len, every.values()))
    for one in real:
        assert led_to(one.name, drawn) == led_to(one.name, every)
        for first in drawn[one.name] & set(one.needs):  # none goes without saying
            assert not any(first in led_to(other, drawn) for other in drawn[one.name] - {first})


def test_in_the_real_map_no_two_boxes_meet_and_all_needs_stand_above():
    real = chapter_tables.chapters()
    spots = chapter_map.place(real)
    assert len(set(spots.values())) == len(real) == len(spots)
    assert all(column < chapter_map.COLUMNS for _, column in spots.values())
    for one in real:
        assert all(spots[before][0] < spots[one.name][0] for before in one.needs)


def test_a_name_that_no_chapter_has_is_refused(book):
    with pytest.raises(ValueError, match=r"book/index asks for a table with five, and no chapter"):
        chapter_tables.fill("<!-- lines: five -->", "book/index", book)


def test_a_first_cell_without_its_facts_is_named(book):
    path = book / "book" / "argument" / "one.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# One")]), path)
    with pytest.raises(ValueError, match=r"book/argument/one.ipynb needs a question and chapter"):
        chapter_tables.chapters(book)


def test_a_page_without_a_mark_reads_no_chapter(tmp_path):
    assert chapter_tables.fill("plain", "book/index", tmp_path) == "plain"


@pytest.mark.parametrize(
    ("page", "kinds"),
    [
        ("index.ipynb", {"questions"}),
        ("meaning/intro.md", {"lines"}),
        ("argument/intro.md", {"lines"}),
        ("after/intro.md", {"lines"}),
        ("map.md", {"map", "needs"}),
    ],
)
def test_the_books_own_tables_are_made_and_not_typed(page, kinds):
    source = pages.read(ROOT / "book" / page).text()
    assert {kind for kind, *_ in chapter_tables.MARK.findall(source)} == kinds
    filled = chapter_tables.fill(source, f"book/{page.partition('.')[0]}")
    part = page.partition("/")[0] if "/" in page else ""
    for one in chapter_tables.chapters():
        if one.name.startswith(f"book/{part}"):
            own = f"{one.name.rpartition('/')[2]}.ipynb"
            assert own in filled, f"{page} needs a mark <!-- lines … --> that covers {own}."
