"""The check of an exercise says one line about any answer, and an author cannot bind a false one.

Oracle: the sentences as a student or an author reads them, written out here; for the comparison
with a wrong answer, the definition of a relative tolerance.
"""

import base64
import itertools
import math
import re
import zlib
from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from torch import nn

from helpers.live._exercises import exercise, seal, unseal

HINT = "count the weights."
YOUR_TURN, RIGHT, NOT_YET = "Your turn: replace None.", "Right.", f"Not yet: {HINT}"


class Hostile:
    """An object that raises whenever it is asked anything."""

    def __getattr__(self, name):
        raise RuntimeError("leave me\nalone")

    def __eq__(self, other):
        raise RuntimeError("compare me not")

    __hash__ = None
    __bool__ = __len__ = __repr__ = __getattr__


class Spelled(int):
    """A number that writes itself as the text it was made of."""

    def __new__(cls, text):
        made = super().__new__(cls, -7)
        made.text = text
        return made

    def __format__(self, form):
        return self.text


def stops(a, x):
    if a == 2:
        raise ValueError("two is\ntoo much.")
    return a


def halves(x):
    return x / 2


def twice_shy(value):
    """A judge: right is a positive number; None is an untouched starter."""
    if value == "untouched":
        return None
    return "" if value > 0 else f"{value} is not positive."


def halves_two(function):
    """A judge of functions that knows of no starter: half of 2 is 1."""
    return "" if function(2) == 1 else "half of 2 is 1."


def halves_two_or_stops(function):
    return "" if float(function(2)) == 1 else "half of 2 is 1."


def counts_its_calls(x, calls=itertools.count()):  # noqa: B008, one count for all calls
    return next(calls)


PARAMS = {"theta1": torch.tensor([1.0, 2.0]), "theta2": torch.tensor([[3.0]])}
EXERCISES = {
    "number": dict(truth=5, wrong={10: "twice.", (5, 5): "one is enough.", "many": "how many?"}),
    "small": dict(truth=0.001, wrong={0.01: "a power is missing.", 0.1: "two are missing."}),
    "zero": dict(truth=0.0, wrong={1: "an ascent needs a slope.", -1: "upwards."}),
    "tiny": dict(truth=1e-10, wrong={1: "smaller.", 1e-5: "smaller still."}),
    "wide": dict(truth=(1e6, 0.0), wrong={(0, 0): "one moves.", (1, 1): "one rests."}),
    "endless": dict(truth=math.inf, wrong={0: "it grows.", 1e9: "it grows further."}),
    "pair": dict(truth=(5, 20), wrong={(20, 5): "swapped.", (0.2, 20): "α divides."}),
    "dict": dict(truth=PARAMS, wrong=[({"theta1": [1, 2], "theta2": [[4]]}, "θ₂."), (7, "all.")]),
    "tight": dict(truth=5, tol=1e-3, wrong={5.04: "rounded too early.", math.inf: "no."}),
    "count": dict(kind="count", truth=4736, wrong={4096: "two layers.", 640.5: "whole."}),
    "counts": dict(kind="count", truth=[3, 4], wrong=[([4, 3], "swapped."), ((3, 3), "again.")]),
    "letters": dict(kind="choice", truth="AC", wrong={"A": "one more.", "B": "B differs."}),
    "word": dict(kind="choice", truth="passes", wrong={"breaks": "put in 2z.", "swallows": "no."}),
    "yes": dict(kind="choice", truth=True, wrong={False: "look again."}),
    "marks": dict(
        kind="choice",
        truth=(True, "breaks"),
        wrong={(False, "breaks"): "first.", (True, "passes"): "second."},
    ),
    "function": dict(
        kind="function",
        truth=lambda a, x: a * a * x,
        at=((1, 3), (2.0, -1), (0.5, 4)),
        wrong={(lambda a, x: a * x): "a square is missing.", (lambda a, x: (a, x)): "one value."},
    ),
    "map": dict(
        kind="function",
        truth=halves,
        at=(torch.tensor([1.0, 0.0, 3.0]),),
        wrong={(lambda x: 2 * x): "half, not twice.", abs: "half it."},
    ),
    "judged": dict(
        kind="judged",
        truth=twice_shy,
        wrong=[(-1, "below zero there is nothing."), (halves, "a number.")],
    ),
    "grid": dict(truth=[[1, 2, 3]], wrong=[([[3, 2, 1]], "turned."), ([[1, 2, 2]], "the last.")]),
}


def made(name):
    return exercise(f"ex-{name}", **{"hint": HINT} | EXERCISES[name])


def needs(sentence):
    return f"I need {sentence}."


ANSWERS = [
    *[("number", a, RIGHT) for a in (5, 5.04, np.float32(5), np.array([[5]]), Decimal(5), "5")],
    *[("number", a, RIGHT) for a in (torch.tensor(5), torch.ones(1, requires_grad=True) * 5)],
    *[("number", a, NOT_YET) for a in (5.06, 0, -5, 10**300, np.int8(4), "−5")],
    *[("number", a, YOUR_TURN) for a in (None, (None, None), [None], {"a": None}, {None})],
    ("number", 10, "Not yet: twice."),
    ("number", 10.05, "Not yet: twice."),
    ("number", [5.0, 5], "Not yet: one is enough."),
    ("number", "Many.", "Not yet: how many?"),
    ("number", {"a": None, "b": 5}, needs("one number, got a dict")),
    ("number", (5, 6), needs("one number, got a tuple")),
    ("number", (), needs("one number, got a tuple")),
    ("number", (5,), needs("one number, got a tuple")),
    ("number", {}, needs("one number, got a dict")),
    ("number", True, needs("one number, got a bool")),
    ("number", np.True_, needs("one number, got a bool")),
    ("number", 5j, needs("one number, got a complex")),
    ("number", math.nan, needs("one number, got nan")),
    ("number", torch.tensor(-math.inf), needs("one number, got -inf")),
    ("number", lambda x: 5, needs("one number, got a function")),
    ("number", torch.ones(2), needs("one number, got a Tensor of 2 entries")),
    ("number", np.ones((1, 3)), needs("one number, got an array of 3 entries")),
    ("number", np.ndarray, needs("one number, got a type")),
    ("number", "5 %", needs("one number, got the string '5 %'")),
    ("number", "5" + " " * 99, RIGHT),
    ("number", "five" * 99, needs(f"one number, got the string {('five' * 99)[:29] + '…'!r}")),
    *[("small", a, RIGHT) for a in ("1/1000", " 1e-3", Fraction(1, 1000), 1.009e-3)],
    *[("small", a, NOT_YET) for a in (0, 1e-4, "1/2000")],
    *[("small", a, needs(f"one number, got the string {a!r}")) for a in ("1/0", "1/2/3", "1,0")],
    ("zero", 1e-10, RIGHT),
    ("zero", 1e-8, NOT_YET),
    ("tiny", 0, NOT_YET),
    ("wide", (1e6, 1e-4), RIGHT),
    ("wide", (1e6, 1e-2), NOT_YET),
    ("endless", math.inf, RIGHT),
    ("endless", 3, NOT_YET),
    *[("pair", a, RIGHT) for a in ([5, 20], np.array([5, 20.0]), deque([5, "20"]))],
    ("pair", {"a": 5, "b": 20}.values(), RIGHT),
    *[("pair", a, RIGHT) for a in (np.array([[5], [20]]), torch.tensor([[[5, 20]]]))],
    ("pair", torch.eye(2), needs("one number as entry 1, got a list")),
    ("pair", (20, 5), "Not yet: swapped."),
    ("pair", [5], needs("2 numbers, got 1")),
    ("pair", (5, 20, 1), needs("2 numbers, got 3")),
    ("pair", [], needs("2 numbers, got 0")),
    ("pair", 5, needs("2 numbers, got an int")),
    ("pair", {5, 20}, needs("2 numbers, got a set")),
    ("pair", "5, 20", needs("2 numbers, got the string '5, 20'")),
    ("pair", (c for c in (5, 20)), needs("2 numbers, got a generator")),
    ("pair", [5, None], needs("one number as entry 2, got None")),
    ("dict", dict(PARAMS), RIGHT),
    ("dict", {"theta1": (1, 2), "theta2": 3}, RIGHT),
    ("dict", {"theta1": [1, 2], "theta2": [[4]]}, "Not yet: θ₂."),
    ("dict", 7, "Not yet: all."),
    ("dict", 3, needs("a dict with the keys theta1, theta2, got an int")),
    ("dict", {"theta1": 1}, needs("the keys theta1, theta2, got theta1")),
    ("dict", {}, needs("the keys theta1, theta2, got none")),
    (
        "dict",
        {"theta1": [1, "x"], "theta2": 3},
        needs("one number as entry 2 of entry theta1, got the string 'x'"),
    ),
    ("tight", 5.004, RIGHT),
    ("tight", 5.04, "Not yet: rounded too early."),
    ("tight", math.inf, "Not yet: no."),
    *[("count", a, RIGHT) for a in (4736, 4736.0, torch.tensor(4736), "4736")],
    *[("count", a, NOT_YET) for a in (4699, 4737, -4736, 10**400)],
    ("count", 4096, "Not yet: two layers."),
    ("count", 640.5, "Not yet: whole."),
    ("count", 4736.4, needs("a whole number, got 4736.4")),
    ("count", (4736, 1), needs("a whole number, got a tuple")),
    ("counts", (3, 4.0), RIGHT),
    ("counts", [3, 4.5], needs("a whole number as entry 2, got 4.5")),
    ("counts", 3, needs("2 whole numbers, got an int")),
    *[("letters", a, RIGHT) for a in ("A, C", "ac", "CA", "A AND C", ["A", "C"], {"C", "A"})],
    *[("letters", a, NOT_YET) for a in ("ABC", "c", ("A", "D"))],
    ("letters", "(a)", "Not yet: one more."),
    ("letters", "B", "Not yet: B differs."),
    ("letters", "both", needs("one or several letters, got the string 'both'")),
    ("letters", "", needs("one or several letters, got the string ''")),
    ("letters", ["A", 3], needs("one or several letters, got a list")),
    *[("word", a, RIGHT) for a in ("passes", " Passes.", np.str_("PASSES"))],
    ("word", "Breaks", "Not yet: put in 2z."),
    ("word", "hops", NOT_YET),
    ("word", True, needs("a word, got a bool")),
    *[("yes", a, RIGHT) for a in (True, np.True_, torch.tensor(True), "true")],
    ("yes", False, "Not yet: look again."),
    ("yes", 1, needs("True or False, got an int")),
    ("yes", "perhaps", needs("True or False, got the string 'perhaps'")),
    *[("marks", a, RIGHT) for a in ([True, "Breaks"], {1: True, 2: "breaks"}.values())],
    ("marks", (False, "breaks"), "Not yet: first."),
    ("marks", (False, "passes"), NOT_YET),
    ("marks", True, needs("2 answers, got a bool")),
    ("marks", ("breaks", True), needs("True or False as entry 1, got the string 'breaks'")),
    ("function", lambda a, x: x * a**2, RIGHT),
    ("function", lambda a, x: torch.tensor([1.001 * x * a**2]), RIGHT),
    ("function", lambda a, x: None, YOUR_TURN),
    ("function", None, YOUR_TURN),
    ("function", lambda a, x: a * x, "Not yet: a square is missing."),
    ("function", lambda a, x: [a, x], "Not yet: one value."),
    ("function", lambda a, x: 3, NOT_YET),
    ("function", lambda a, x: a if a < 1 else None, needs("one number at (1, 3), got None")),
    ("function", lambda a, x: (x, a, a), needs("one number at (1, 3), got a tuple")),
    ("function", 3.0, needs("a function of 2 arguments, got a float")),
    ("function", halves, needs("a function of 2 arguments, got one of 1")),
    (
        "function",
        stops,
        "Not yet: your function fails at (2.0, -1): ValueError: two is too much.",
    ),
    ("map", lambda x: x.mul_(0.5), RIGHT),
    ("map", lambda x: [0.5, 1e-12, 1.5], RIGHT),
    ("map", lambda x: 2 * x, "Not yet: half, not twice."),
    ("map", lambda x: x[:2], needs("3 numbers at (a Tensor of 3 entries), got 2")),
    ("map", lambda: 1, needs("a function of 1 argument, got one of 0")),
    *[("grid", a, RIGHT) for a in (np.array([[1, 2, 3]]), ([1, 2, 3],))],
    ("judged", 3, RIGHT),
    ("judged", None, YOUR_TURN),
    ("judged", "untouched", YOUR_TURN),
    ("judged", -2, "Not yet: -2 is not positive."),
    ("judged", Spelled("-1\n\ud800"), "Not yet: -1 ? is not positive."),
    ("judged", -1.0, "Not yet: below zero there is nothing."),
    ("judged", halves, "Not yet: a number."),
    (
        "judged",
        (),
        "Not yet: count the weights; your answer made the check fail: TypeError: "
        "'>' not supported between instances of 'tuple' and 'int'.",
    ),
]


@pytest.mark.parametrize(("name", "answer", "said"), ANSWERS)
def test_what_a_student_reads(name, answer, said, capsys):
    assert made(name)(answer) is (said == RIGHT)
    assert capsys.readouterr().out == f"{said}\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_wrong_answer_is_told_its_own_sentence(name, capsys):
    for answer, sentence in made(name).wrong:
        assert made(name)(answer) is False
        assert capsys.readouterr().out == f"Not yet: {sentence}\n"


def test_neither_truth_nor_hint_stands_in_what_a_notebook_shows():
    assert repr(made("number")) == "Exercise(label='ex-number', kind='number')"


def test_a_student_who_writes_into_the_arguments_spoils_nothing(capsys):
    check_map = made("map")
    assert not check_map(lambda x: x.zero_())
    assert check_map(halves)


def test_a_function_of_many_points_is_compared_without_a_list_of_them(capsys, monkeypatch):
    many = torch.zeros(200_000, 2)
    wrong = {(lambda x: 1.0): "one.", (lambda x: 2.0): "two."}
    mean = exercise(
        "ex-mean", kind="function", truth=torch.mean, at=(many,), hint=HINT, wrong=wrong
    )
    monkeypatch.setattr("helpers.live._exercises.shown", lambda args: pytest.fail("made a list"))
    assert mean(lambda x: x.mean()) and not mean(lambda x: 3.0) and not mean(lambda x: 1.0)


@pytest.mark.parametrize("judge", [halves_two, halves_two_or_stops])
def test_a_starter_that_gives_nothing_is_no_wrong_answer_to_any_judge(judge):
    wrong = [(lambda x: 2 * x, "half, not twice."), (lambda x: x, "that is x itself.")]
    line = exercise("ex-half", kind="judged", truth=judge, wrong=wrong).line
    assert line(lambda x: None) == line(lambda x: {"a": None}) == YOUR_TURN
    assert line(halves) == RIGHT
    assert line(lambda x: x + 5) == "Not yet: half of 2 is 1."
    assert line(lambda x: "one").startswith("Not yet: ")
    assert line(nn.Hardtanh()).startswith("Not yet: ")  # a module is asked as it is


def test_an_answer_that_cannot_be_asked_anything_gets_a_line(capsys):
    said = "Not yet: I could not read your answer: RuntimeError: leave me alone.\n"
    assert not made("number")(Hostile())
    assert capsys.readouterr().out == said


numbers = st.one_of(st.integers(), st.floats(), st.fractions(), st.complex_numbers(), st.decimals())
simple = st.one_of(st.none(), st.booleans(), numbers, st.text(), st.binary(), st.builds(Hostile))
anything = st.recursive(
    st.one_of(simple, st.sampled_from([abs, print, int, np.ones, Hostile, object(), "\ud800"])),
    lambda some: st.one_of(
        st.lists(some),
        st.tuples(some, some),
        st.dictionaries(st.text() | st.integers(), some),
        st.builds(lambda value: lambda *args: value, some),
        st.builds(lambda values: np.array([*values, None], dtype=object), st.lists(numbers)),
        st.lists(st.floats()).map(torch.tensor),
    ),
)
CHECKS = {name: made(name) for name in EXERCISES}
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine


@patient
@given(anything)
def test_no_answer_raises_and_each_gets_one_line(answer):
    for check_it in CHECKS.values():
        lines = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builtins.print", lines.append)
            right = check_it(answer)
        assert right is (lines[-1] == RIGHT)
        assert re.fullmatch(r"Right\.|Your turn: .+|Not yet: .+|I need .+", lines[-1])


def test_an_answer_that_contains_itself_gets_a_line(capsys):
    ring = []
    ring.append(ring)
    assert not made("number")(ring)
    assert "RecursionError" in capsys.readouterr().out


@patient
@given(st.floats(-1e9, 1e9), st.floats(0, 3))
def test_a_number_is_right_within_its_tolerance_and_wrong_outside(truth, off):
    wrong = {math.inf: "finite.", -math.inf: "finite, too."}
    answer = truth * (1 + off * 1e-2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda line: None)
        right = exercise("ex-some", truth=truth, wrong=wrong, hint=HINT)(answer)
    if abs(truth) > 1e-6 and abs(off - 1) > 0.05:
        assert right is (off < 1)


TWO = {1: "one.", 2: "two."}
NUMBER, FUNCTION = dict(truth=3, hint=HINT, wrong=TWO), dict(kind="function", hint=HINT)
ENDS = (abs, "sign."), (math.ceil, "rounded.")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (NUMBER | dict(wrong={3.0: "one.", 2: "two."}), "ex-a accepts 3.0, which it lists as"),
        (NUMBER | dict(wrong={1: "one."}), "needs 2 or more pairs of a wrong answer and its sen"),
        (NUMBER | dict(wrong=[1, 2]), "needs 2 or more pairs of a wrong answer and its sentence"),
        (NUMBER | dict(wrong=TWO | {None: "none."}), "'Your turn: replace None.' to None, not"),
        (NUMBER | dict(wrong=TWO | {1.001: "x."}), "says 'Not yet: one.' to 1.001, not the sen"),
        (NUMBER | dict(wrong=TWO | {math.nan: "x."}), "to nan, not the sentence listed for it"),
        (NUMBER | dict(wrong=TWO | {Hostile: "x."}), "to Hostile, not the sentence listed for it"),
        (NUMBER | dict(wrong=TWO | {4: " "}), "ex-a has an empty hint or sentence: a student who"),
        (NUMBER | dict(wrong=TWO | {4: HINT}), "ex-a says its hint to a wrong answer that should"),
        (NUMBER | dict(hint=""), "ex-a has an empty hint or sentence: a student who is wrong"),
        (NUMBER | dict(kind="guess"), "ex-a has the kind 'guess': it must be one of number, count"),
        (NUMBER | dict(tol=1.5), "ex-a needs 0 < tol < 1, got 1.5: it is a relative tolerance"),
        (NUMBER | dict(at=(1, 2)), "has 2 points in `at`: a function needs some, and nothing else"),
        (NUMBER | dict(truth=math.nan), "ex-a has a truth that is not of the kind number"),
        (NUMBER | dict(truth=None), "ex-a has a truth that is not of the kind number"),
        (NUMBER | dict(truth=True), "ex-a has a truth that is not of the kind number"),
        (NUMBER | dict(truth=()), "ex-a has a truth that is not of the kind number"),
        (NUMBER | dict(kind="count", truth=3.5), "ex-a has a truth that is not of the kind count"),
        (NUMBER | dict(kind="choice"), "ex-a has a truth that is not of the kind choice"),
        (NUMBER | dict(kind="choice", truth="a."), "ex-a does not accept its own truth: it says"),
        (NUMBER | dict(kind="function", at=(1,)), "needs a function as its truth, got an int"),
        (NUMBER | dict(kind="judged"), "ex-a needs a function as its truth, got an int: its kind"),
        (FUNCTION | dict(truth=halves, wrong=ENDS), "has 0 points in `at`: a function needs some"),
        (FUNCTION | dict(truth=abs, at=(1, 2), wrong=ENDS), "accepts abs, which it lists as wrong"),
        (
            FUNCTION | dict(truth=lambda x: 1 / x, at=(2, 0), wrong=ENDS),
            "needs its truth and wrong answers to give values: your function fails at (0): Zero",
        ),
        (
            FUNCTION | dict(truth=lambda x: None, at=(2, 0), wrong=ENDS),
            "ex-a has a truth that is not of the kind function",
        ),
        (
            FUNCTION | dict(truth=counts_its_calls, at=(2, 0), wrong=ENDS),
            "ex-a does not accept its own truth: it says 'Not yet: count the weights.'",
        ),
        (dict(kind="judged", truth=lambda a: "", wrong=TWO), "ex-a accepts 1, which it lists as"),
        (dict(kind="judged", truth=lambda a: None, wrong=TWO), "'Your turn: replace None.' to 1,"),
        (dict(kind="judged", truth=lambda a: a > 0, wrong=TWO), "the judge gave a bool, not a sen"),
    ],
)  # fmt: skip
def test_a_check_that_would_mislead_is_refused(parts, said):
    with pytest.raises(ValueError, match=re.escape(said)) as refusal:
        exercise("ex-a", **parts)
    assert str(refusal.value).startswith("ex-a ")


def test_a_label_that_is_none_is_refused():
    with pytest.raises(ValueError, match="Volume is no label: the label of an exercise looks like"):
        exercise("Volume", **NUMBER)


SOURCE = 'check_x = exercise("ex-x", truth=31, hint="θ₁ decides.", wrong={1: "a\\n"})\n' * 3


@given(st.text())
def test_a_sealed_cell_comes_back_as_it_was(source):
    assert unseal(seal(source)) == source


def test_a_sealed_cell_is_one_string_that_every_kernel_takes_as_it_is():
    cell = f'exec(unseal("{seal(SOURCE)}"))\n'
    assert TransformerManager().transform_cell(cell) == cell
    assert compile(cell, "cell", "exec") and "truth" not in cell and "31" not in cell.split("=")[0]


@pytest.mark.parametrize(
    "text",
    [
        *("", "none", "θ", None, 3, seal(SOURCE)[:-5], seal(SOURCE)[5:]),
        base64.b85encode(zlib.compress(SOURCE.encode()) + b"more").decode(),
        seal(SOURCE)[:40] + "0" + seal(SOURCE)[41:],
    ],
)
def test_a_sealed_cell_that_was_changed_is_refused(text):
    with pytest.raises(ValueError, match="^this cell was changed: fetch the notebook again.$"):
        unseal(text)
