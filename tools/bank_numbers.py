"""Numeric questions for the bank: exercises that stand alone, with one number as their answer.

An exercise stands alone if its text names no code and its answer needs nothing of its page. Its key
comes from its own check, run in a process of its own; typical wrong answers have their feedback.
"""

import json
import math
import subprocess
import sys
from types import SimpleNamespace

from tools import ROOT, environment
from tools.homework import section
from tools.places import Fault
from tools.plain import Here
from tools.questions import Option, Question

LEAST = 5e-4  # half the width of what is right: Canvas keeps four decimals


def questions(book, shelf, homework=()):
    """A Question for each exercise that stands alone, asks for one number and is no `homework`."""
    found = []
    for (prompt, label), key in zip(*_keys(book, shelf, homework)):
        value = key["truth"][0]
        tol = 0.0 if key["kind"] == "count" else key["tol"]
        if not isinstance(value, (int, float)) or 0 < abs(value) * tol < LEAST or not value:
            continue
        wrong = [(w[0], said) for w, said in key["wrong"] if isinstance(w[0], (int, float))]
        wrong = [(w, said) for w, said in wrong if not _near(w, value, tol)]
        options = [Option(shown(value, tol), True, "Right.")]
        options += [Option(shown(w, tol), False, f"Not yet: {said}") for w, said in wrong]
        found.append(Question(label, prompt, tuple(options), value, tol, key["hint"]))
    return found


def shown(number, tol):
    """The digits of a number that a relative `tol` bears, and two more; all of a count."""
    digits = 12 if tol == 0 else 2 + math.ceil(-math.log10(tol))
    return f"{float(f'{number:.{digits}g}'):.12g}"


def _near(number, value, tol):
    return abs(number - value) <= tol * abs(value)


def _keys(book, shelf, homework):
    """([(prompt, label), …], [their keys, …]) of the exercises that stand alone."""
    asked, jobs = [], []
    for label, (chapter, exercise, kind) in shelf.exercises.items():
        if kind not in ("number", "count") or label in homework:
            continue
        page = book.pages[f"book/{chapter}"]
        task = SimpleNamespace(label=label, points=1, exercise=exercise)
        cut = section(page, [task], Here(f"book/{chapter}", book.places, book.works, _Any()))
        (one,) = cut.questions
        if not cut.setup and "`" not in one.prompt:
            link = f"[{cut.title}]({book.places.address(cut.page)})"
            asked.append((f"{_stem(one.prompt)}\n\n*From the chapter* {link}.", label))
            jobs.append(_job(cut, one))
    return asked, _run(jobs)


class _Any(dict):
    """The number of an exercise: it has none outside its page."""

    def __missing__(self, _label):
        return ""


def _stem(prompt):
    """The text of an exercise without its frame, its heading and its points."""
    lines = [line.removeprefix(">").strip() for line in prompt.split("\n")]
    return "\n".join(lines[2:]).rpartition("\n\n*")[0].strip()


def _job(cut, one):
    question = vars(one) | {"id": one.id}
    alone = {"cells": [cut.own_imports], "questions": [question]}
    return {"name": one.label, "seed": 0, "hidden": 0, "sections": [alone]}


def _run(jobs):
    done = subprocess.run(
        [sys.executable, "-m", "tools.homework_keys"],
        input=json.dumps(jobs),
        cwd=ROOT,
        env=environment.variables(OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout) if done.returncode == 0 else []
    faults = [sentence for one in found for sentence in one["faults"]]
    if faults or not found:
        raise Fault("\n".join(faults) or f"The keys stopped: {done.stderr.strip()[-200:]}")
    return [one["keys"][0] for one in found]
