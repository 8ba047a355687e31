"""The keys of homework: computed where no student's notebook runs, with the seeds of the class.

`python -m tools.homework_keys` reads jobs as JSON (for each chapter the cells to run, and questions
with their solutions) and writes for each question what the judge needs, in plain numbers. Each
question's own solution is tried: with a seed that it cannot answer nobody should be asked.
"""

import contextlib
import io
import json
import math
import random
import sys
from functools import partial

from helpers.live._answers import blank, plain

MOST_MOVED = 1000  # entries of a tensor that is also tried with other entries


class Unfit(Exception):
    """Why a question cannot be homework, as a sentence that begins after its label."""


def key(made, question, names, seed):
    """The key of one Exercise `made`, as JSON has it; its solution stands in `names`."""
    base = {"id": question["id"], "label": made.label, "name": question["name"]}
    base |= {"points": question["points"], "tol": made.tol, "hint": made.hint}
    if not made(names[question["name"]]):
        raise Unfit("is not answered by its own solution with this SEED: take another.")
    said = [text for _, text in made.wrong]
    if made.kind != "function":
        want, *others = ([_json(w)] for w in made.wants)
        return base | _answers(made.kind, [], want, others, said)
    at = [*made.at, *_moved(made, random.Random(seed))]
    rows = [_values(f, at) for f in (made.truth, *(wrong for wrong, _ in made.wrong))]
    return base | _answers("function", [_args(args) for args in at], rows[0], rows[1:], said)


def _answers(kind, at, truth, others, said):
    pairs = [[other, text] for other, text in zip(others, said, strict=True) if None not in other]
    return {"kind": kind, "at": at, "truth": truth, "wrong": pairs}


def _values(function, at):
    return [_json(plain(function(*args))) for args in at]


def _json(value):
    """A plain truth, whose letters are a set, as JSON."""
    if isinstance(value, frozenset):
        return "".join(sorted(value))
    if isinstance(value, dict):
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    return value


def _moved(made, dice):
    """The arguments once more with every number that is no whole one a little larger or smaller."""
    for args in made.at:
        other = tuple(_other(arg, dice) for arg in args)
        try:
            values = [f(*other) for f in (made.truth, *(wrong for wrong, _ in made.wrong))]
        except Exception:  # a truth that knows its own arguments alone
            continue
        if not blank(values) and repr(other) != repr(args):
            yield other


def _other(value, dice):
    if isinstance(value, float):
        return value * dice.uniform(0.8, 1.25) if math.isfinite(value) else value
    if isinstance(value, (list, tuple)):
        return type(value)(_other(part, dice) for part in value)
    if isinstance(value, dict):
        return {name: _other(part, dice) for name, part in value.items()}
    if getattr(value, "is_floating_point", bool)() and value.numel() <= MOST_MOVED:
        factors = [dice.uniform(0.8, 1.25) for _ in range(value.numel())]
        return value * value.new_tensor(factors).reshape(value.shape)
    return value


def _args(args):
    return [_portable(arg) for arg in args]


def _portable(value):
    """An argument as JSON; a tensor as {"tensor": its entries, "dtype": …, "shape": …}."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_portable(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _portable(part) for name, part in value.items()}
    if hasattr(value, "numel"):
        dtype, shape = str(value.dtype).removeprefix("torch."), list(value.shape)
        return {"tensor": value.flatten().tolist(), "dtype": dtype, "shape": shape}
    raise Unfit(f"hands a {type(value).__name__} to its answer, which no grader can carry: "
                "mark it by hand.")  # fmt: skip


def run(job):
    """The keys of one homework, or a sentence for each question that cannot be asked.

    Each chapter has names of its own: two may call different things alike.
    """
    keys, faults = [], []
    for section in job["sections"]:
        names = {"SEED": job["seed"], "HIDDEN": job["hidden"]}
        labels = ", ".join(question["label"] for question in section["questions"])
        if fault := _tried(labels, partial(_execute, section["cells"], names)):
            faults.append(fault)
            continue
        for question in section["questions"]:
            asked = partial(_asked, question, names, job["hidden"], keys)
            faults += filter(None, [_tried(question["label"], asked)])
    return {"keys": keys, "faults": faults}


def _execute(cells, names):
    for cell in cells:
        exec(compile(cell, "<homework>", "exec"), names)


def _asked(question, names, hidden, keys):
    """Put the key of one question beside `keys`."""
    _execute([*question["extras"], question["starter"], question["solution"]], names)
    keys.append(key(names[question["check"]], question, names, hidden))


def _tried(labels, action):
    """Why an action cannot be done, as a sentence that begins with `labels`, or ""."""
    try:
        action()
    except Unfit as unfit:
        return f"{labels} {unfit}"
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
        return f"{labels} cannot run as homework, so mark it by hand: {words}."
    return ""


def run_safely(job):
    with contextlib.redirect_stdout(io.StringIO()):
        return run(job)


if __name__ == "__main__":
    print(json.dumps([run_safely(job) for job in json.load(sys.stdin)]))
