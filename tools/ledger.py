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

from tools import ROOT
from tools.contract import table_of_contents

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


FLAT = "meaning/why_flat"
VOLUME = "meaning/volume"
CURVATURE = "meaning/curvature"
EPS = "meaning/eps_sharpness"
RECTIFIER = "argument/rectifier_symmetry"
INFINITE = "argument/volume_is_infinite"
HESSIAN = "argument/hessian_without_ceiling"
MANY = "argument/many_sharp_directions"
AT_WILL = "argument/eps_sharpness_at_will"
LAYERS = "argument/biases_and_other_layers"
MODEL = "argument/model_reparametrization"
RADIAL = "argument/radial_transformations"
INPUT = "argument/input_reparametrization"
LIPSCHITZ = "argument/not_lipschitz"
ALGORITHM = "after/theorem_as_algorithm"
STATEMENTS = (
    Statement(
        "observational-equivalence",
        "Section 2",
        "Two parameters are observationally equivalent if f is the same at every input, seen or not.",
        f"{FLAT}#observational-equivalence",
        "helpers.scale_units",
        "checked",
    ),
    Statement(
        "definition-1",
        "Definition 1",
        "Volume ε-flatness is the volume of the connected set around θ where L < L(θ) + ε.",
        f"{VOLUME}#definition-1",
        "helpers.volume_flatness",
        "checked",
    ),
    Statement(
        "hessian-measures",
        "Section 2",
        "At a critical point the Hessian's eigenvalues become one number: spectral norm or trace.",
        f"{CURVATURE}#hessian-measures",
        "helpers.spectral_norm",
        "checked",
    ),
    Statement(
        "gauss-newton-trace",
        "ours",
        "In a layered ReLU net tr H is the Gauss–Newton trace, at any point.",
        f"{CURVATURE}#gauss-newton-trace",
        "helpers.layer_traces",
        "ours",
    ),
    Statement(
        "definition-2",
        "Definition 2",
        "ε-sharpness is the largest (L(θ′) − L(θ))/(1 + L(θ)) in the ball of radius ε.",
        f"{EPS}#definition-2",
        "helpers.eps_sharpness",
        "checked",
    ),
    Statement(
        "second-order-link",
        "Section 2",
        "To second order, ε-sharpness is ‖H‖₂ ε²/(2(1 + L)).",
        f"{EPS}#second-order-link",
        "helpers.predicted_eps_sharpness",
        "often misquoted",
    ),
    Statement(
        "keskar-metric",
        "Keskar et al.",
        "Metric 2.1 is 100 times the largest relative rise in a box that grows with |θ| + 1.",
        f"{EPS}#keskar-metric",
        "helpers.keskar_sharpness",
        "checked",
    ),
    Statement(
        "hochreiter-box",
        "Hochreiter, Schmidhuber",
        "The box that saturates their two conditions has the description length they give.",
        f"{FLAT}#hochreiter-box",
        "helpers.hs_description_length",
        "checked",
    ),
    Statement(
        "local-entropy",
        "Chaudhari et al.",
        "At a quadratic minimum local entropy is −½ Σ log(λᵢ + γ) and a constant.",
        f"{FLAT}#local-entropy",
        "helpers.quadratic_local_entropy",
        "ours",
    ),
    Statement(
        "definition-3",
        "Definition 3",
        "A deep rectified net is relu(… relu(xθ₁) …)θ_K, with a linear output.",
        f"{RECTIFIER}#definition-3",
        "helpers.relu_net",
        "checked",
    ),
    Statement(
        "definition-4",
        "Definition 4",
        "φ is non-negatively homogeneous if φ(αz) = αφ(z) for every α ≥ 0.",
        f"{RECTIFIER}#definition-4",
        "helpers.is_positively_homogeneous",
        "checked",
    ),
    Statement(
        "theorem-1",
        "Theorem 1",
        "The rectifier is non-negatively homogeneous.",
        f"{RECTIFIER}#theorem-1",
        "helpers.is_positively_homogeneous",
        "proved",
    ),
    Statement(
        "definition-5",
        "Definition 5",
        "T_α multiplies θ₁ by α, divides θ₂ by α, and leaves the function as it was.",
        f"{RECTIFIER}#definition-5",
        "helpers.alpha_scale",
        "proved",
    ),
    Statement(
        "bit-identity",
        "ours",
        "At α = 2ᵏ the predictions are identical to the last bit.",
        f"{RECTIFIER}#bit-identity",
        "helpers.alpha_scale",
        "ours",
    ),
    Statement(
        "appendix-b",
        "Appendix B",
        "With biases, each hidden bias is scaled by the product of the scalings up to its layer.",
        f"{RECTIFIER}#appendix-b",
        "helpers.layer_scaling",
        "checked",
    ),
    Statement(
        "convolution",
        "Section 3",
        "T_α holds between convolutions too, and for each channel.",
        f"{LAYERS}#convolution",
        "helpers.scale_units",
        "checked",
    ),
    Statement(
        "residual-stream",
        "ours",
        "A factor may stay inside a residual block or lie on the whole stream, not pass from block to block.",
        f"{LAYERS}#residual-stream",
        "helpers.apply_scaling",
        "ours",
    ),
    Statement(
        "theorem-2",
        "Theorem 2",
        "At a minimum with θ₁ ≠ 0 and θ₂ ≠ 0, C(L, θ, ε) has infinite volume for every ε > 0.",
        f"{INFINITE}#theorem-2",
        "helpers.disjoint_alpha",
        "proved",
    ),
    Statement(
        "volume-growth",
        "ours",
        "The volume grows like 2s ln(b/a) when n₁ = n₂ = 1, like a power when n₁ ≠ n₂.",
        f"{INFINITE}#volume-growth",
        "helpers.volume_flatness",
        "ours",
    ),
    Statement(
        "theorem-3-gradient",
        "Theorem 3",
        "The gradient at T_α(θ) is the gradient at θ times D.",
        f"{HESSIAN}#theorem-3",
        "helpers.gradient",
        "proved",
    ),
    Statement(
        "theorem-3-hessian",
        "Theorem 3",
        "The Hessian at T_α(θ) is D H D.",
        f"{HESSIAN}#theorem-3",
        "helpers.dense_hessian",
        "proved",
    ),
    Statement(
        "theorem-4",
        "Theorem 4",
        "At a minimum with a non-zero Hessian, some α makes its spectral norm at least M.",
        f"{HESSIAN}#theorem-4",
        "helpers.spectral_norm",
        "often misquoted",
    ),
    Statement(
        "flattest-point",
        "ours",
        "The trace on the orbit is never below 2√(t₁t₂): sharp without limit, flat only so far.",
        f"{HESSIAN}#flattest-point",
        "helpers.trace",
        "ours",
    ),
    Statement(
        "definition-6",
        "Definition 6",
        "λ(A) is the vector of singular values of A, largest first.",
        f"{MANY}#definition-6",
        "helpers.dense_hessian",
        "checked",
    ),
    Statement(
        "theorem-5",
        "Theorem 5",
        "At a minimum with r = rank H, some α lifts r − min n_k eigenvalues of the Hessian above M.",
        f"{MANY}#theorem-5",
        "helpers.scale_layers",
        "often misquoted",
    ),
    Statement(
        "horn-inequality",
        "Theorem 5, proof",
        "λᵢ(D H D) is at least β² times the eigenvalue of H that stands n_K places further down.",
        f"{MANY}#horn-inequality",
        "helpers.layer_scaling",
        "checked",
    ),
    Statement(
        "sharp-count",
        "ours",
        "In the limit exactly rank H_VV eigenvalues grow, V the layers that do not pay.",
        f"{MANY}#sharp-count",
        "helpers.scale_layers",
        "ours",
    ),
    Statement(
        "eps-sharpness-at-will",
        "Section 4.3",
        "At α = ε/‖θ₁‖ the ball reaches the dead net: ε-sharpness is at least (L₀ − L)/(1 + L).",
        f"{AT_WILL}#eps-sharpness-at-will",
        "helpers.eps_sharpness",
        "proved",
    ),
    Statement(
        "keskar-box-at-will",
        "Section 4.3",
        "Keskar's box reaches the dead net once α ≤ ε/‖θ₁‖∞.",
        f"{AT_WILL}#keskar-box-at-will",
        "helpers.keskar_sharpness",
        "checked",
    ),
    Statement(
        "random-subspace",
        "ours",
        "Keskar's metric in a fixed random subspace grows without limit too, in our measurements.",
        f"{AT_WILL}#random-subspace",
        "helpers.keskar_sharpness",
        "ours",
    ),
    Statement(
        "chain-rules",
        "Section 5.1",
        "L ∘ g has gradient ∇L J and Hessian JᵀHJ plus a term that is zero at a critical point.",
        f"{MODEL}#chain-rules",
        "helpers.pulled_hessian",
        "proved",
    ),
    Statement(
        "figure-5",
        "Figure 5",
        "η = (r² + b)^a (θ − θ̂), a > −½, b > 0, is a bijection; it makes the Hessian at θ̂ b^(−2a) H.",
        f"{MODEL}#figure-5",
        "helpers.radial_power",
        "checked",
    ),
    Statement(
        "weight-norm",
        "Section 5.1",
        "With w = s v/‖v‖, v ↦ αv divides the gradient in v by α and the Hessian by α².",
        f"{LAYERS}#weight-norm",
        "helpers.scale_direction",
        "checked",
    ),
    Statement(
        "batch-norm",
        "ours",
        "Before batch norm with ε = 0, weights c w have the Hessian of w divided by c².",
        f"{LAYERS}#batch-norm",
        "helpers.dense_hessian",
        "ours",
    ),
    Statement(
        "section-5-2",
        "Section 5.2",
        "f ∘ ξ has input gradient ∂f/∂x(ξ(u)) ∂ξ/∂u(u).",
        f"{INPUT}#section-5-2",
        "helpers.with_inputs",
        "proved",
    ),
    Statement(
        "appendix-a",
        "Appendix A",
        "A radial map moves only a ball around θ̂ and makes the Hessian there (r̂/ρ)² H.",
        f"{RADIAL}#appendix-a",
        "helpers.radial_map",
        "checked",
    ),
    Statement(
        "theorem-6",
        "Theorem 6",
        "A loss of a rectified net that is not constant is not Lipschitz in θ.",
        f"{LIPSCHITZ}#theorem-6",
        "helpers.gradient",
        "proved",
    ),
    Statement(
        "chord",
        "ours",
        "T_α keeps the loss at both ends of a chord and scales its length: no Lipschitz constant.",
        f"{LIPSCHITZ}#chord",
        "helpers.alpha_scale",
        "ours",
    ),
    Statement(
        "appendix-d",
        "Appendix D",
        "Whitening can turn a ranking by squared error, never one by log-likelihood differences.",
        f"{INPUT}#appendix-d",
        "helpers.whiten_inputs",
        "checked",
    ),
    Statement(
        "one-basis",
        "ours",
        "A basis cut at the borders of the layers gives λ_max and its residual at T_α θ for every α.",
        f"{ALGORITHM}#one-basis",
        "helpers.curvature_sweep",
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
    who = f"The ledger's {statement.id}"
    path, label = source(statement)
    if path is None:
        yield f"{who} needs the page {statement.page.partition('#')[0]}, got none: write it."
    elif not is_placed(statement):
        yield f"{who} needs the label {label!r} in {path.name}, got none on a page of the book."
    module, _, name = statement.code.rpartition(".")
    if not hasattr(importlib.import_module(module), name):
        yield f"{who} needs {statement.code}, got nothing of that name."
    if statement.status not in STATUSES:
        yield f"{who} needs a status of {STATUSES}, got {statement.status!r}."


def source(statement):
    """The source of a statement's page (None if there is none), and the label on it."""
    page, _, label = statement.page.partition("#")
    paths = [ROOT / "book" / f"{page}{suffix}" for suffix in (".ipynb", ".md")]
    return next(filter(Path.exists, paths), None), label


def labels(path):
    """Every label a page's source defines: True for a box's, False for a (label)= of its own."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return {box or plain: bool(box) for box, plain in LABEL.findall(text)}


def unchecked(records):
    """A sentence for each statement that no test recorded."""
    seen = {record.statement for record in records}
    for statement in STATEMENTS:
        if statement.id not in seen:
            yield f'The ledger needs a test that calls ledger("{statement.id}", …), got none.'


HEAD = """\
# The ledger

Each statement of the paper: where this book shows it, the function that is it, the tests that check it, and the largest error they have seen.
This page is written by `make ledger` from a run of the tests; the tests fail when it is out of date.

- *proved*: the page gives a proof, the tests check its formulas.
- *checked*: the tests are the evidence.
- *ours*: not a statement of the paper.
- *often misquoted*: read the page before you quote it.

An error is the worst over all random nets of one run, rounded up to a power of ten.
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


def _row(statement, mine):
    path, label = source(statement)
    boxed = f"{{prf:ref}}`{statement.ref} <{label}>`"
    link = boxed if labels(path)[label] else f"[{statement.ref}](#{label})"
    status = "" if statement.status == statement.ref else f"<br>*{statement.status}*"
    line = statement.line.replace("|", "\\|")
    mine = sorted(mine, key=lambda record: record.test)
    code = statement.code.removeprefix("helpers.")
    checks = "<br>".join(
        f"{in_words(record.test)}: {power_of_ten(record.error)} of {power_of_ten(record.tol)}"
        for record in mine
    )
    return f"| {link}{status} | {line}<br>`{code}` | {checks} |\n"


def in_words(test):
    """tests/test_nets.py::test_theorem_1_for_any_factor -> *nets*, theorem 1 for any factor."""
    path, _, name = test.partition("::")
    return (
        f"{Path(path).stem.removeprefix('test_')}: {name.removeprefix('test_').replace('_', ' ')}"
    )


def power_of_ten(number):
    """3.2e-16 -> 1e-15, 0 -> 0: the column must not change with the machine's last bits."""
    return "0" if number <= 0 else f"1e{math.ceil(math.log10(number) - 1e-9)}"


def out_of_date(fresh):
    """A sentence if the committed page differs from the fresh one in anything but its errors."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if _without_errors(old) != _without_errors(fresh):
        yield f"book/{PAGE.name} needs a fresh copy: run make ledger and commit it."


def _without_errors(text):
    return re.sub(r"\b(0|1e-?\d+) of ", "", text)
