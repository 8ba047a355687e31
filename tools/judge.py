"""What marks a homework: a plugin of otter, which works in otter's process, not in the notebook's.

A student's notebook can rebind anything that is in its own process, so nothing there decides: the
last cell writes the answers down, and here they are compared with the keys. That cell works
with names of its own, since beginners call a list `list`. The keys are taken out of its folder
before the notebook starts, and the results that it writes itself are never opened.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import otter.execute
from otter.plugins import AbstractOtterPlugin
from otter.test_files import GradingResults
from otter.test_files.abstract_test import TestCase, TestCaseResult
from otter.test_files.exception_test import ExceptionTestFile

from helpers import exercise
from tools import limited

ANSWERS = "text/x-homework-answers"  # not printed: a student's print may go elsewhere
GONE = "there is no {}: its cell is gone, or that cell or one above ended in an error"
SEED = re.compile(r"^SEED = (\d+)", re.M)
UNREAD = "Not yet: the notebook ended before its answers could be read."
OTHER = "This notebook's SEED is not that of this grader: run kit-grader with its SEED"
CONFIG = Path("../source/otter_config.json")
RECORDER = """\
import json, sys
from IPython import get_ipython

shell = get_ipython()
given = shell.user_ns


def argument(value):
    if isinstance(value, list):
        return [argument(part) for part in value]
    if isinstance(value, dict) and set(value) == {"tensor", "dtype", "shape"}:
        import torch
        flat = torch.tensor(value["tensor"], dtype=getattr(torch, value["dtype"]))
        return flat.reshape(value["shape"])
    if isinstance(value, dict):
        return {name: argument(part) for name, part in value.items()}
    return value


def plain(value):
    if not isinstance(value, type) and callable(getattr(value, "tolist", None)):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return float(value)


def value(name, at):
    found = given[name]
    if not at:
        return [plain(found)]
    if found is None:
        return [None]
    return [plain(found(*map(argument, args))) for args in at]


def answer(name, at):
    if name not in given:
        return json.dumps({"stopped": GONE.format(name)})
    try:
        return json.dumps(value(name, at))
    except BaseException as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return json.dumps({"stopped": said})


asked = json.loads(ASKED).items()
found = ", ".join(f"{json.dumps(name)}: {answer(name, at)}" for name, at in asked)
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # what is published flushes them first
shell.display_pub.publish({ANSWERS: "{" + found + "}"})
"""
LAST = """\
from builtins import exec as _write_answers_down
_write_answers_down(%r, %r)
"""


class Judge(AbstractOtterPlugin):
    """Marks each question of a homework by its key; `plugin_config` has the keys."""

    def before_grading(self, config):
        self.keys = self.plugin_config["keys"]
        self.own = limited.adopt()
        CONFIG.write_text("{}", encoding="utf-8")
        empty = SimpleNamespace(load=lambda _file: GradingResults([]))
        otter.execute.pickle = empty  # what the notebook wrote could be anything

    def before_execution(self, submission):
        if foreign(submission, self.plugin_config.get("seed")):
            raise SystemExit(OTHER)  # its right answers are not those of the keys
        asked = json.dumps({key["name"]: key["at"] for key in self.keys})
        code = LAST % (RECORDER, {"ASKED": asked, "GONE": GONE, "ANSWERS": ANSWERS})
        cell = nbformat.v4.new_code_cell(code, metadata={"homework": "answers"})
        submission.cells.append(cell)
        return submission

    def after_grading(self, results):
        limited.clear(self.own)  # what the notebook left would rewrite the results
        answers = recorded(results.notebook)
        results.results = {k["id"]: marked(k, answers.get(k["name"])) for k in self.keys}

    def generate_report(self):
        return "Marked by tools/judge.py."


def foreign(notebook, seed):
    """Whether the notebook begins with the data of another class than that of `seed`."""
    begin = (c.source for c in notebook.cells if c.cell_type == "code" and SEED.search(c.source))
    own = SEED.search(next(begin, ""))
    return bool(own) and seed is not None and int(own[1]) != seed


def recorded(notebook):
    """The answers that the last cell wrote down, by name; {} if it did not come to that."""
    cells = [c for c in notebook.cells if c.metadata.get("homework") == "answers"]
    data = [output.get("data", {}) for cell in cells[-1:] for output in cell.outputs]
    said = [one[ANSWERS] for one in data if ANSWERS in one]
    try:
        found = json.loads(said[-1])
    except (IndexError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def line(key, answer):
    """The line that the book's own check says to an answer as it was written down."""
    if answer is None:
        return UNREAD
    if isinstance(answer, dict):
        return f"Not yet: your answer stopped: {answer.get('stopped')}."
    check = exercise(key["label"], tol=key["tol"], hint=key["hint"], **_form(key))
    if key["kind"] != "function":
        return check.line(answer[0])
    if answer == [None] or len(answer) != len(key["at"]):
        return check.line(None)
    return check.line(lambda k: answer[k])


def _form(key):
    if key["kind"] != "function":
        wrong = [(answer[0], said) for answer, said in key["wrong"]]
        return {"kind": key["kind"], "truth": key["truth"][0], "wrong": wrong}
    at = tuple((k,) for k in range(len(key["at"])))
    wrong = [(values.__getitem__, said) for values, said in key["wrong"]]
    return {"kind": "function", "at": at, "truth": key["truth"].__getitem__, "wrong": wrong}


def marked(key, answer):
    """The result of one question, as otter keeps it."""
    try:
        said = line(key, answer)
    except Exception as error:  # an answer that cannot even be compared
        said = f"Not yet: I could not read your answer: {type(error).__name__}."
    right = said == "Right."
    case = TestCase(key["id"], "", True, key["points"], None, None)
    found = ExceptionTestFile(key["id"], "", [case])
    found.test_case_results = [TestCaseResult(case, said, right)]
    found.update_score(key["points"] if right else 0)
    return found
