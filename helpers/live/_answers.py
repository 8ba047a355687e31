"""Read whatever a student gives as an answer, and compare it with the truth.

Numbers of Python, numpy and torch are alike here through their `.tolist()`; neither is imported.
A string is a number where it can mean one thing only: "0.001", "1e-3", "1/1000", not "1,000".
"""

import copy
import inspect
import math
import numbers
import re
from collections.abc import Collection, Mapping, Set

from helpers.live._wording import (
    bare,
    described,
    entry,
    named,
    needed_many,
    needed_one,
    one,
    row,
    shown,
)


class Misfit(Exception):
    """An answer that cannot be compared with the truth; its text is the line a student reads."""


def plain(truth):
    """`truth` in Python's own numbers, words, lists and dicts; letters such as "AC" as a set."""
    truth = bare(truth)
    if isinstance(truth, Mapping):
        return {key: plain(part) for key, part in truth.items()}
    if isinstance(truth, (list, tuple)):
        return [plain(part) for part in truth]
    if isinstance(truth, Set) or (isinstance(truth, str) and re.fullmatch("[A-J]+", truth)):
        return _letters(truth) or truth
    return truth.strip().casefold() if isinstance(truth, str) else truth


def leaves(truth):
    """Yield each number, word and set of letters in a plain truth."""
    if isinstance(truth, (dict, list)):
        for part in truth.values() if isinstance(truth, dict) else truth:
            yield from leaves(part)
    else:
        yield truth


def is_plain(truth):
    """Whether a plain truth holds nothing but numbers, words and letters."""
    return all(isinstance(leaf, (numbers.Real, str, frozenset)) for leaf in leaves(truth))


def blank(answer):
    """Whether `answer` is the placeholder None, or holds nothing but None."""
    if isinstance(answer, Mapping):
        return bool(answer) and all(map(blank, answer.values()))
    if isinstance(answer, (list, tuple, set)):
        return bool(answer) and all(map(blank, answer))
    return answer is None


def read(answer, want, *, whole=False, place=""):
    """`answer` in the shape of the plain truth `want`.

    Raises: Misfit, with what is needed, at which `place`, and what came instead.
    """
    if isinstance(want, dict):
        return _read_dict(answer, want, whole, place)
    if isinstance(want, list):
        return _read_list(answer, want, whole, place)
    got = _read_one(one(answer), want)
    if got is None:
        raise Misfit(f"I need {needed_one(want, whole)}{place}, got {described(answer)}.")
    if whole and got != int(got):
        raise Misfit(f"I need a whole number{place}, got {got!r}.")
    return got


def same(got, want, tol):
    """Whether what was read is the truth; numbers may differ by `tol`, relatively.

    At 0 no error is relative, so 1e-9 passes there; at any other number rounding passes, too.
    """
    sizes = [abs(leaf) for leaf in leaves(want) if isinstance(leaf, float)]
    return _same(got, want, tol, max([1.0, *filter(math.isfinite, sizes)]))


def values(function, at):
    """What `function` gives at each tuple of arguments in `at`.

    Raises: Misfit where it is no function, takes a different number of arguments, or fails.
    """
    needed = f"I need a function of {len(at[0])} argument{'s' * (len(at[0]) != 1)}"
    if not callable(function):
        raise Misfit(f"{needed}, got {described(function)}.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        signature = None
    try:
        _ = signature and [signature.bind(*args) for args in at]
    except TypeError:
        raise Misfit(f"{needed}, got one of {len(signature.parameters)}.") from None
    return [_value(function, args) for args in at]


def _read_dict(answer, want, whole, place):
    keys = ", ".join(map(str, want))
    if not isinstance(answer, Mapping):
        raise Misfit(f"I need a dict with the keys {keys}{place}, got {described(answer)}.")
    if set(answer) != set(want):
        raise Misfit(f"I need the keys {keys}{place}, got {', '.join(map(str, answer)) or 'none'}.")
    return {k: read(answer[k], w, whole=whole, place=entry(k, place)) for k, w in want.items()}


def _read_list(answer, want, whole, place):
    flat = not any(isinstance(part, (dict, list)) for part in want)
    value = row(answer) if flat else bare(answer)
    needed = f"I need {needed_many(want, whole)}{place}"
    if isinstance(value, (str, bytes, Mapping, Set)) or not isinstance(value, Collection):
        if len(want) == 1:
            return [read(value, want[0], whole=whole, place=place)]
        raise Misfit(f"{needed}, got {described(answer)}.")
    if len(value) != len(want):
        raise Misfit(f"{needed}, got {len(value)}.")
    pairs = enumerate(zip(value, want, strict=True), 1)
    return [read(v, w, whole=whole, place=entry(k, place)) for k, (v, w) in pairs]


def _read_one(value, want):
    if isinstance(want, frozenset):
        return _letters(value)
    if isinstance(want, (bool, str)):
        return _word(value, want)
    return _number(value, want)


def _letters(value):
    parts = list(value) if isinstance(value, (list, tuple, Set)) else [value]
    if not all(isinstance(part, str) for part in parts):
        return None
    text = re.sub(r"\band\b|\W", "", " ".join(parts), flags=re.I).upper()
    return frozenset(text) if re.fullmatch("[A-J]+", text) else None


def _word(value, want):
    if isinstance(value, str):
        word = value.strip(" .!").casefold() or None
        value = {"true": True, "false": False}.get(word) if isinstance(want, bool) else word
    return value if type(value) is type(want) else None


def _number(value, want):
    if isinstance(value, str):
        value = _spelled(value.replace("−", "-"))
    if isinstance(value, bool) or not hasattr(type(value), "__float__"):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if math.isfinite(value) or float(value) == want else None


def _spelled(text):
    try:
        over, under = map(float, text.split("/")) if "/" in text else (float(text), 1.0)
        return over / under
    except (ValueError, ZeroDivisionError):
        return None


def _same(got, want, tol, scale):
    if isinstance(want, dict):
        return all(_same(got[key], want[key], tol, scale) for key in want)
    if isinstance(want, list):
        return all(_same(g, w, tol, scale) for g, w in zip(got, want, strict=True))
    if tol == 0 or isinstance(want, (bool, str, frozenset)):
        return got == want
    near = (1e-9 if want == 0 else 1e-12) * scale
    return math.isclose(got, want, rel_tol=tol, abs_tol=near)


def _value(function, args):
    try:
        return function(*_copied(args))
    except Exception as error:
        where = f"Not yet: your function fails at {shown(args)}"
        raise Misfit(f"{where}: {named(error)}.") from None


def _copied(args):
    try:
        return copy.deepcopy(args)  # a function that writes into its arguments spoils only a copy
    except Exception:
        return args
