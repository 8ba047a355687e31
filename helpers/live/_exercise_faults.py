"""What is wrong with an exercise as its author wrote it, found before a student meets it."""

import math
import re
from numbers import Real

from helpers.live._answers import leaves
from helpers.live._wording import described, named

KINDS = ("number", "count", "choice", "function", "judged")
RIGHT, YOUR_TURN = "Right.", "Your turn: replace None."


def faults_in_form(label, kind, truth, at, tol, hint, wrong):
    """Yield what is wrong with the parts of an exercise, before any of them is used."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", str(label)):
        yield "is no label: the label of an exercise looks like volume-digits"
    if kind not in KINDS:
        yield f"has the kind {kind!r}: it must be one of {', '.join(KINDS)}"
    if not (isinstance(tol, float) and 0 < tol < 1):
        yield f"needs 0 < tol < 1, got {tol!r}: it is a relative tolerance"
    if kind in ("function", "judged") and not callable(truth):
        yield f"needs a function as its truth, got {described(truth)}: its kind is {kind}"
    if bool(at) != (kind == "function"):
        yield f"has {len(at)} points in `at`: a function needs some, and nothing else has any"
    least = 1 if isinstance(truth, bool) else 2
    if len(wrong) < least or not all(isinstance(p, (tuple, list)) and len(p) == 2 for p in wrong):
        yield f"needs {least} or more pairs of a wrong answer and its sentence, got {len(wrong)}"
    said = [hint] * (kind != "judged") + [text for _, text in wrong]
    if not all(isinstance(text, str) and text.strip() for text in said):
        yield "has an empty hint or sentence: a student who is wrong needs a word"
    if hint in said[kind != "judged" :]:
        yield "says its hint to a wrong answer that should have a sentence of its own"


def faults_in_key(made):
    """Yield what is wrong with the key of an Exercise: it is given its truth and wrong answers."""
    if made.kind != "judged":
        found = [*leaves(made.wants[0])]
        if not found or not all(_fits(made.kind, leaf) for leaf in found):
            yield f"has a truth that is not of the kind {made.kind}"
        if (line := _line(made, made.truth)) != RIGHT:
            yield f"does not accept its own truth: it says {line!r}"
    for answer, text in made.wrong:
        words = getattr(answer, "__name__", None) or repr(answer)[:60]
        line = _line(made, answer)
        if line == RIGHT:
            yield f"accepts {words}, which it lists as wrong"
        if line != f"Not yet: {text}":
            yield f"says {line!r} to {words}, not the sentence listed for it"


def _fits(kind, leaf):
    number = isinstance(leaf, Real) and not isinstance(leaf, bool) and not math.isnan(leaf)
    if kind == "function":
        return number or isinstance(leaf, (bool, str, frozenset))
    if kind == "choice":
        return isinstance(leaf, (bool, str, frozenset))
    return number and (kind == "number" or leaf % 1 == 0)


def _line(made, answer):
    try:
        return made.line(answer)
    except Exception as error:
        return named(error)
