"""The ledger itself: its links are alive, and each way of breaking it is noticed.

Oracle: the sources of the pages, the helpers' own list of public names, and the paper's numbering;
the planted faults say what a dead link looks like, so the check is not trusted on its silence.
"""

import json
from dataclasses import replace

import pytest

from tools import ledger as book


@pytest.mark.parametrize("statement", book.STATEMENTS, ids=lambda s: s.id)
def test_links_are_alive(statement):
    faults = list(book.dead_links(statement))
    assert not faults, "\n".join(faults)


def test_ids_are_unique():
    assert len(book.IDS) == len(book.STATEMENTS)


NUMBERED = [
    *(f"{kind} {n}" for kind in ("Definition", "Theorem", "Figure") for n in range(1, 7)),
    *("Appendix A", "Appendix B", "Appendix D"),  # appendix C is Theorem 6
    *("Section 2", "Section 3", "Section 4.2", "Section 4.3", "Section 5.1", "Section 5.2"),
    *(f"Section 5.1, item {n}" for n in (1, 2, 3)),  # the list on weight normalization
    *("Theorem 2, proof", "Theorem 5, proof", "Section 6"),
]


@pytest.mark.parametrize("item", NUMBERED)
def test_every_numbered_item_of_the_paper_has_a_row(item):
    assert item in {statement.ref for statement in book.STATEMENTS}


def test_a_link_goes_to_a_box_a_place_or_a_live_figure():
    links = {s.id: book.link(s) for s in book.STATEMENTS}
    assert links["theorem-3-hessian"] == "{prf:ref}`Theorem 3 <theorem-3>`"
    assert links["random-subspace"] == "[ours](#random-subspace)"
    figure = '<a href="argument/eps_sharpness_at_will.html#fig-4">Figure 4</a>'
    assert links["figure-4"] == figure


def test_labels_are_read_from_markdown_and_figures_names_from_code(tmp_path):
    text = "(plain)=\n:::{prf:theorem}\n:label: box\n:::\n"
    code = 'explore(\n    draw,\n    name="figure",\n)\n# (no-label)=\n'
    cells = [
        {"cell_type": "markdown", "source": [text, '    name="no-figure",\n']},
        {"cell_type": "code", "source": code},
    ]
    (tmp_path / "page.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    kinds = {"plain": "plain", "box": "box", "figure": "figure"}
    assert book.labels(tmp_path / "page.ipynb") == kinds


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("page", "argument/nowhere#theorem-1", "needs the page argument/nowhere"),
        ("page", "argument/rectifier_symmetry#theorem-99", "needs the label 'theorem-99'"),
        (
            "code",
            "helpers.no_such_map",
            "needs a public name of helpers, got 'helpers.no_such_map'",
        ),
        ("code", "helpers.maps._symmetry.alpha_scale", "needs a public name of helpers, got"),
        ("status", "believed", "needs a status"),
    ],
)
def test_a_dead_link_is_a_sentence(field, value, sentence):
    broken = replace(book.STATEMENTS[0], **{field: value})
    assert any(sentence in fault for fault in book.dead_links(broken))


def test_a_statement_nobody_checked_is_a_sentence():
    records = [book.Record(s.id, "tests/x.py::f", 0.0, 1.0) for s in book.STATEMENTS[1:]]
    assert list(book.unchecked(records)) == [
        f'The ledger needs a test that calls ledger("{book.STATEMENTS[0].id}", …), got none.'
    ]


def test_the_fixture_refuses_a_large_error_and_a_nan_and_an_unknown_name():
    book_of_one = book.Ledger(lambda: "tests/x.py::f[3]")
    book_of_one("theorem-1", error=1e-16, tol=1e-12)
    assert next(iter(book_of_one.worst.values())).test == "tests/x.py::f"
    with pytest.raises(AssertionError, match="needs error <="):
        book_of_one("theorem-1", error=1.0, tol=1e-12)
    with pytest.raises(AssertionError, match="needs error <="):
        book_of_one("theorem-1", error=float("nan"), tol=1e-12)
    with pytest.raises(ValueError, match="ledger needs one of"):
        book_of_one("theorem-0", error=0.0, tol=1e-12)


def test_the_worst_error_is_kept():
    book_of_three = book.Ledger(lambda: "tests/x.py::f")
    for error in (1e-15, 3e-13, 0.0):
        book_of_three("theorem-1", error=error, tol=1e-12)
    assert [record.error for record in book_of_three.worst.values()] == [3e-13]


def test_only_the_errors_may_differ_from_the_committed_page(monkeypatch, tmp_path):
    records = [book.Record(s.id, "tests/x.py::f", 1e-15, 1e-12) for s in book.STATEMENTS]
    kept = tmp_path / "ledger.md"
    kept.write_text(book.page(records), encoding="utf-8")
    monkeypatch.setattr(book, "PAGE", kept)
    smaller = [replace(record, error=1e-16) for record in records]
    moved = [replace(record, test="tests/x.py::g") for record in records]
    assert not list(book.out_of_date(book.page(smaller)))
    assert list(book.out_of_date(book.page(moved)))


def test_an_exercise_a_box_and_a_place_are_linked_each_in_its_way():
    statement = book.IDS["keskar-plateau"]
    assert book.link(statement) == "{ref}`ours <keskar-plateau>`"
    assert book.link(book.IDS["theorem-2"]).startswith("{prf:ref}`Theorem 2 <")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (3.2e-16, "1e-15"), (1e-12, "1e-12"), (0.4, "0.4"), (0.21, "0.3"), (1.2, "2")],
)
def test_an_error_is_never_shown_smaller_than_it_was_nor_as_a_power_far_above(number, shown):
    assert book.rounded_up(number) == shown
