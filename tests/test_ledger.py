"""The ledger itself: its links are alive, and each way of breaking it is noticed.

Oracle: the sources of the pages and the helpers as Python imports them; the planted faults say
what a dead link looks like, so the check is not trusted on its silence.
"""

from dataclasses import replace

import pytest

from tools import ledger as book


@pytest.mark.parametrize("statement", book.STATEMENTS, ids=lambda s: s.id)
def test_links_are_alive(statement):
    faults = list(book.dead_links(statement))
    assert not faults, "\n".join(faults)


def test_ids_are_unique():
    assert len(book.IDS) == len(book.STATEMENTS)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("page", "argument/nowhere#theorem-1", "needs the page argument/nowhere"),
        ("page", f"{book.RECTIFIER}#theorem-99", "needs the label 'theorem-99'"),
        ("code", "helpers.no_such_map", "needs helpers.symmetry.no_such_map"),
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
