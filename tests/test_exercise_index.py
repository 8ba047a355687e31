"""The list of exercises names every exercise of the book, with its level and its minutes.

Oracle: the notebooks' own exercise directives, counted by hand here, and a small planted book.
"""

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from tools import ROOT, exercise_index, marks


def book(tmp_path, *headings):
    """A book of one chapter with these exercises."""
    (tmp_path / "_toc.yml").write_text("parts:\n- chapters:\n  - file: book/a\n")
    cells = [new_markdown_cell("# Chapter A")]
    for k, heading in enumerate(headings):
        cells.append(new_markdown_cell(f":::{{exercise}} {heading}\n:label: ex-a-{k}\n\nDo.\n:::"))
    (tmp_path / "book").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "book" / "a.ipynb")
    return tmp_path


def test_level_minutes_and_name_come_from_the_title(tmp_path):
    root = book(tmp_path, "Warm-up, 5 minutes: the bill", "Stretch, 12 minutes: who: you (or I)?")
    _, found = exercise_index.exercises(root / "book" / "a.ipynb")
    assert [(e.name, e.level, e.minutes) for e in found] == [
        ("The bill", "warm-up", 5),
        ("Who: you (or I)?", "stretch", 12),
    ]
    assert exercise_index.table(root).count("\n") == 3


@pytest.mark.parametrize(
    "heading",
    ["Just do it", "Just do it (core, 10 minutes)", "core, 10 minutes: do it", "Core, 10 minutes"],
)
def test_a_title_in_another_style_is_named(tmp_path, heading):
    root = book(tmp_path, heading)
    with pytest.raises(ValueError, match="ex-a-0 needs a title like"):
        exercise_index.table(root)


def test_the_first_page_has_the_same_style():
    first = ROOT / "book" / "index.ipynb"
    assert [one.label for one in exercise_index.exercises(first)[1]] == ["ex-flattest-twin"]


def test_every_exercise_of_the_book_has_its_row():
    table = exercise_index.table(ROOT)
    pages = exercise_index.chapters(ROOT)
    directives = sum(marks.text_of(page).count("{exercise}") for page in pages)
    assert table.count("\n") - 1 == directives >= 3 * (len(pages) - 1)
