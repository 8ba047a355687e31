"""The ledger: each statement of the paper, its page, its code, its tests and the worst error seen.

A test that checks a statement says so with the fixture: ledger("theorem-3", error=e, tol=1e-11).
The run's records are compared with STATEMENTS when it ends: a statement nobody checked, a page or
an anchor that is not there, a name the helpers do not have, each fails with a sentence.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import helpers
from tools import ROOT
from tools.pages import EXERCISE, table_of_contents
from tools.statements import STATEMENTS

PAGE = ROOT / "book" / "ledger.md"
BOX, PLAIN = re.compile(r"^:label: *(\S+)", re.M), re.compile(r"^\(([\w-]+)\)=", re.M)
FIGURE = re.compile(r"""\bname=["']([\w-]+)["']""")  # a live figure's name is its address
STATUSES = ("proved", "checked", "ours", "often misquoted")
IDS = {statement.id: statement for statement in STATEMENTS}


@dataclass(frozen=True)
class Record:
    statement: str
    test: str  # path::function, without its parameters
    error: float
    tol: float


class Ledger:
    """What the fixture hands out: called by a test, it asserts and remembers."""

    def __init__(self, current_test):
        self.current_test = current_test
        self.worst = {}

    def __call__(self, statement, *, error, tol):
        if statement not in IDS:
            raise ValueError(f"ledger needs one of {', '.join(IDS)}, got {statement!r}.")
        error, tol = float(error), float(tol)
        test = re.sub(r"\[.*$", "", self.current_test())
        assert error <= tol, (
            f"{IDS[statement].ref} ({statement}) needs error <= {tol}, got {error}."
        )
        known = self.worst.get((statement, test))
        if known is None or error / (tol or 1) > known.error / (known.tol or 1):
            self.worst[statement, test] = Record(statement, test, error, tol)


def dead_links(statement):
    """What is wrong with one statement's page, anchor, code or status, as sentences."""
    who = f"The ledger's {statement.id}"
    path, label = source(statement)
    if path is None:
        yield f"{who} needs the page {statement.page.partition('#')[0]}, got none: write it."
    elif not is_placed(statement):
        yield f"{who} needs the label {label!r} in {path.name}, got none on a page of the book."
    if statement.code.removeprefix("helpers.") not in helpers.__all__:
        yield f"{who} needs a public name of helpers, got {statement.code!r}."
    if statement.status not in STATUSES:
        yield f"{who} needs a status of {STATUSES}, got {statement.status!r}."


def source(statement):
    """The source of a statement's page (None if there is none), and the label on it."""
    page, _, label = statement.page.partition("#")
    paths = [ROOT / "book" / f"{page}{suffix}" for suffix in (".ipynb", ".md")]
    return next(filter(Path.exists, paths), None), label


def labels(path):
    """Every label of a page's source, with its kind: "box", "plain" for a (label)=, "figure", "exercise"."""
    text, code = path.read_text(encoding="utf-8"), ""
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text, code = (
            "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == kind)
            for kind in ("markdown", "code")
        )
    found = dict.fromkeys(FIGURE.findall(code), "figure")
    return (
        found
        | dict.fromkeys(PLAIN.findall(text), "plain")
        | dict.fromkeys(BOX.findall(text), "box")
        | dict.fromkeys((label for _, label in EXERCISE.findall(text)), "exercise")
    )


def unchecked(records):
    """A sentence for each statement that no test recorded."""
    seen = {record.statement for record in records}
    for statement in STATEMENTS:
        if statement.id not in seen:
            yield f'The ledger needs a test that calls ledger("{statement.id}", …), got none.'


HEAD = """\
# The ledger

Each statement of the paper: where this book shows it, the function that computes it, the tests that check it, and the largest error they have seen.
This page is written by `make ledger` from a run of the tests; the tests fail when it is out of date.

- *proved*: the page gives a proof, the tests check its formulas.
- *checked*: the tests are the evidence.
- *ours*: not a statement of the paper; derived here, and perhaps known elsewhere.
- *often misquoted*: read the page before you quote it.

An error is the worst over all random nets of one run, rounded up to a power of ten, or to one digit where it is a thousandth or more.
It is 0 where the agreement is exact, or where the statement is an inequality that held.
"""
SECTION = """
## [{title}]({page}.ipynb)

| statement | in one line, and in code | checked by, with the worst error of the tolerance |
|---|---|---|
"""


def page(records):
    """The text of book/ledger.md: one table for each page of the book."""
    text, shown = HEAD, [statement for statement in STATEMENTS if is_placed(statement)]
    for home in dict.fromkeys(statement.page.partition("#")[0] for statement in shown):
        rows = [s for s in shown if s.page.partition("#")[0] == home]
        text += SECTION.format(title=title(rows[0]), page=home)
        text += "".join(_row(s, [r for r in records if r.statement == s.id]) for s in rows)
    return text


def is_placed(statement):
    """Is the statement's label on a page of the book? Where it is not, a test says so."""
    path, label = source(statement)
    named = path is not None and f"book/{statement.page.partition('#')[0]}" in table_of_contents()
    return named and label in labels(path)


def title(statement):
    """The title of a statement's page, as its first heading has it."""
    path, _ = source(statement)
    text = path.read_text(encoding="utf-8")
    text = "".join(json.loads(text)["cells"][0]["source"]) if path.suffix == ".ipynb" else text
    return re.search(r"^# +(.+?) *$", text, re.M)[1]


def link(statement):
    """The statement's name in the paper as a link: a box, a place on a page, or a live figure."""
    path, label = source(statement)
    return {
        "box": f"{{prf:ref}}`{statement.ref} <{label}>`",
        "exercise": f"{{ref}}`{statement.ref} <{label}>`",
        "plain": f"[{statement.ref}](#{label})",
        # an id that only the running page has, so that Sphinx cannot resolve it
        "figure": f'<a href="{statement.page.replace("#", ".html#")}">{statement.ref}</a>',
    }[labels(path)[label]]


def _row(statement, mine):
    status = "" if statement.status == statement.ref else f"<br>*{statement.status}*"
    line = statement.line.replace("|", "\\|")
    checks = "<br>".join(
        f"{in_words(record.test)}: {rounded_up(record.error)} of {rounded_up(record.tol)}"
        for record in sorted(mine, key=lambda record: record.test)
    )
    return f"| {link(statement)}{status} | {line}<br>`{statement.code}` | {checks} |\n"


def in_words(test):
    """tests/test_nets.py::test_theorem_1_for_any_factor -> *nets*, theorem 1 for any factor."""
    path, _, name = test.partition("::")
    return (
        f"{Path(path).stem.removeprefix('test_')}: {name.removeprefix('test_').replace('_', ' ')}"
    )


def rounded_up(number):
    """3.2e-16 -> 1e-15, 0.21 -> 0.3, 0 -> 0: what a machine's last bits change is not shown."""
    if number <= 0:
        return "0"
    if number < 0.001:
        return f"1e{math.ceil(math.log10(number) - 1e-9)}"
    unit = 10 ** math.floor(math.log10(number) + 1e-9)
    return f"{math.ceil(number / unit - 1e-9) * unit:g}"


def out_of_date(fresh):
    """A sentence if the committed page differs from the fresh one in anything but its errors."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if _without_errors(old) != _without_errors(fresh):
        yield f"book/{PAGE.name} needs a fresh copy: run make ledger and commit it."


def _without_errors(text):
    return re.sub(r"\b(1e-?\d+|[\d.]+) of ", "", text)
