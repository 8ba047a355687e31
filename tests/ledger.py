"""The ledger: each statement of the paper, its page, its code, its tests and the worst error seen.

A test that checks a statement says so with the fixture: ledger("theorem-3", error=e, tol=1e-11).
The run's records are compared with STATEMENTS when it ends: a statement nobody checked, a page or
an anchor that is not there, a name the helpers do not have, each fails with a sentence.
"""

import importlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "book" / "ledger.md"
LABEL = re.compile(r"^:label: *(\S+)|^\(([\w-]+)\)=", re.M)
STATUSES = ("proved", "checked", "ours", "often misquoted")


@dataclass(frozen=True)
class Statement:
    id: str  # what a test calls it
    ref: str  # what the paper calls it, "ours" where the paper does not
    line: str  # one sentence
    page: str  # book page without suffix, # and the label on that page
    code: str  # the helper that is the statement
    status: str  # one of STATUSES


RECTIFIER = "argument/rectifier_symmetry"
HESSIAN = "argument/hessian_without_ceiling"
STATEMENTS = (
    Statement(
        "definition-4",
        "Definition 4",
        "φ is non-negatively homogeneous if φ(αz) = αφ(z) for every α ≥ 0.",
        f"{RECTIFIER}#definition-4",
        "helpers.symmetry.is_positively_homogeneous",
        "checked",
    ),
    Statement(
        "theorem-1",
        "Theorem 1",
        "The rectifier is non-negatively homogeneous.",
        f"{RECTIFIER}#theorem-1",
        "helpers.symmetry.is_positively_homogeneous",
        "proved",
    ),
    Statement(
        "definition-5",
        "Definition 5",
        "T_α multiplies θ₁ by α, divides θ₂ by α, and leaves the function as it was.",
        f"{RECTIFIER}#definition-5",
        "helpers.symmetry.alpha_scale",
        "proved",
    ),
    Statement(
        "bit-identity",
        "ours",
        "At α = 2ᵏ the predictions are identical to the last bit.",
        f"{RECTIFIER}#bit-identity",
        "helpers.symmetry.alpha_scale",
        "ours",
    ),
    Statement(
        "appendix-b",
        "Appendix B",
        "With biases, each hidden bias is scaled by the product of the scalings up to its layer.",
        f"{RECTIFIER}#appendix-b",
        "helpers.symmetry.layer_scaling",
        "checked",
    ),
    Statement(
        "theorem-3-gradient",
        "Theorem 3",
        "The gradient at T_α(θ) is the gradient at θ times D.",
        f"{HESSIAN}#theorem-3",
        "helpers.curvature.gradient",
        "proved",
    ),
    Statement(
        "theorem-3-hessian",
        "Theorem 3",
        "The Hessian at T_α(θ) is D H D.",
        f"{HESSIAN}#theorem-3",
        "helpers.curvature.dense_hessian",
        "proved",
    ),
    Statement(
        "theorem-4",
        "Theorem 4",
        "At a minimum with a non-zero Hessian, some α makes its spectral norm at least M.",
        f"{HESSIAN}#theorem-4",
        "helpers.curvature.spectral_norm",
        "often misquoted",
    ),
    Statement(
        "flattest-point",
        "ours",
        "The trace on the orbit is never below 2√(t₁t₂): sharp without limit, flat only so far.",
        f"{HESSIAN}#flattest-point",
        "helpers.curvature.trace",
        "ours",
    ),
)
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
    page, _, anchor = statement.page.partition("#")
    found = [ROOT / "book" / f"{page}{suffix}" for suffix in (".ipynb", ".md")]
    sources = [path for path in found if path.exists()]
    who = f"The ledger's {statement.id}"
    if not sources:
        yield f"{who} needs the page book/{page}.ipynb, got none: write it or correct the link."
    elif anchor not in labels(sources[0]):
        yield f"{who} needs the label {anchor!r} in {sources[0].relative_to(ROOT)}, got none."
    module, _, name = statement.code.rpartition(".")
    if not hasattr(importlib.import_module(module), name):
        yield f"{who} needs {statement.code}, got nothing of that name."
    if statement.status not in STATUSES:
        yield f"{who} needs a status of {STATUSES}, got {statement.status!r}."


def labels(path):
    """Every label a page's source defines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return {label for pair in LABEL.findall(text) for label in pair if label}


def unchecked(records):
    """A sentence for each statement that no test recorded."""
    seen = {record.statement for record in records}
    for statement in STATEMENTS:
        if statement.id not in seen:
            yield f'The ledger needs a test that calls ledger("{statement.id}", …), got none.'


HEAD = """\
# The ledger

Each statement of the paper, where this book shows it, the function that is it, the test that checks it, and the largest error that test has seen.
This page is written by `make ledger` from a run of the tests, and the tests fail when it is out of date.

*proved*: the page gives a proof, the test a check of it.
*checked*: the test is the evidence.
*ours*: not a statement of the paper.
*often misquoted*: read the page before you quote it.
An error is the worst over all random nets of one run, rounded up to a power of ten; it is 0 where the agreement is exact, or where the statement is an inequality that held.

| statement | in one line | code | checked by | worst error | tolerance | status |
|---|---|---|---|---|---|---|
"""


def page(records):
    """The text of book/ledger.md."""
    return HEAD + "".join(_row(statement, records) for statement in STATEMENTS)


def _row(statement, records):
    mine = sorted((r for r in records if r.statement == statement.id), key=lambda r: r.test)
    where, _, label = statement.page.partition("#")
    title = f"[{statement.ref}]({where}.ipynb#{label})"
    tests = "<br>".join(f"`{record.test}`" for record in mine)
    errors = "<br>".join(power_of_ten(record.error) for record in mine)
    tols = "<br>".join(power_of_ten(record.tol) for record in mine)
    cells = (title, statement.line, f"`{statement.code}`", tests, errors, tols, statement.status)
    return "| " + " | ".join(cells) + " |\n"


def power_of_ten(number):
    """3.2e-16 -> 1e-15, 0 -> 0: the column must not change with the machine's last bits."""
    return "0" if number <= 0 else f"1e{math.ceil(math.log10(number) - 1e-9)}"


def out_of_date(fresh):
    """A sentence if the committed page differs from the fresh one in anything but its errors."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if _without_errors(old) != _without_errors(fresh):
        yield f"{PAGE.relative_to(ROOT)} needs a fresh copy: run make ledger and commit it."


def _without_errors(text):
    rows = [line.split(" | ") for line in text.splitlines()]
    return [row[:4] + row[5:] if len(row) == 7 else row for row in rows]
