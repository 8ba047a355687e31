"""The list of exercises names every exercise of the book, with its level and its minutes.

Oracle: the notebooks' own exercise directives, counted by hand here, and a small planted book.
"""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import exercise_index  # noqa: E402


def book(tmp_path, *headings):
    """A book of one chapter with these exercises."""
    (tmp_path / "_toc.yml").write_text("parts:\n- chapters:\n  - file: book/a\n")
    cells = [new_markdown_cell("# Chapter A")]
    for k, heading in enumerate(headings):
        cells.append(new_markdown_cell(f":::{{exercise}} {heading}\n:label: ex-a-{k}\n\nDo.\n:::"))
    (tmp_path / "book").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "book" / "a.ipynb")
    return tmp_path


def test_both_ways_to_write_a_title(tmp_path):
    root = book(
        tmp_path,
        "Choose α (core, 10 minutes)",
        "Warm-up, 5 minutes: the bill",
        "Stretch, 7 minutes",
    )
    _, found = exercise_index.exercises(root / "book" / "a.ipynb")
    assert [(e.name, e.level, e.minutes) for e in found] == [
        ("Choose α", "core", 10),
        ("The bill", "warm-up", 5),
        ("A 2", "stretch", 7),
    ]
    assert exercise_index.table(root).count("\n") == 4


def test_an_exercise_without_its_level_is_named(tmp_path):
    root = book(tmp_path, "Just do it")
    with pytest.raises(ValueError, match="ex-a-0 needs its level and minutes"):
        exercise_index.table(root)


def test_every_exercise_of_the_book_has_its_row():
    table = exercise_index.table(ROOT)
    pages = exercise_index.chapters(ROOT)
    directives = sum(exercise_index.text_of(page).count("{exercise}") for page in pages)
    assert table.count("\n") - 1 == directives >= 3 * (len(pages) - 1)
