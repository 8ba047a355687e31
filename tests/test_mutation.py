"""The table of planted faults: it tells a fault that a test sees from one that none sees.

Oracle: a copy of a module with one fault whose fate is known, planted here by hand; in a process of
its own, because a run begins with helpers not yet loaded.
"""

import json
import subprocess
import sys

import pytest

from benchmarks import mutation
from tools import ROOT

TRY = """
import json, sys
from pathlib import Path
from benchmarks import mutation
mutation.HOME = Path(sys.argv[1])
mutation.SAID = mutation.HOME / "said.txt"
drawn = json.loads(sys.argv[2])
mutation.faults = lambda module, count: (7, drawn)
mutation.LEAST = mutation.PATIENCE = 1
mutation.warm()
row = mutation.judged("nets._losses", 3, {("nets._losses", "a", "b"): "no test can"})
again = mutation.judged("nets._losses", 3, {}, mutation.killed_before("nets._losses"))
print("ROW", row.line())
print("AGAIN", len(again.killed))
"""


def planted(before, after):
    source = mutation.source_of("nets._losses").read_text("utf-8")
    assert before in source
    return {"line": 1, "before": before, "after": after, "source": source.replace(before, after)}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a run is a fork")
def test_a_fault_that_a_test_sees_is_killed_and_one_that_none_sees_survives(tmp_path):
    sign = planted("(outputs - y).square()", "(outputs + y).square()")
    other = planted("(outputs - y).square()", "(y - outputs).square()")
    endless = planted("    X, y = map(as_ordinary, data)\n", "    while True:\n        pass\n")
    known = {"line": 1, "before": "a", "after": "b", "source": "this is no Python"}
    command = [sys.executable, "-c", TRY, tmp_path, json.dumps([sign, other, endless, known])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("ROW")]
    assert row == "ROW | nets._losses | test_losses | 7 | 4 | 2 | 1 | 1 | 75 % |"
    assert "(outputs - y).square()\n    → (y - outputs).square()" in done.stdout
    assert "AGAIN 3" in done.stdout  # what died is not tried again


def test_each_module_has_tests_of_its_own():
    assert len(mutation.modules()) > 30
    for module in mutation.modules():
        assert mutation.source_of(module).exists()
        missing = [name for name in mutation.twins(module) if not (ROOT / name).exists()]
        assert not missing, f"{module} needs a line in TWINS of benchmarks/mutation.py."


def test_a_fault_that_is_none_stands_in_its_module_and_has_a_reason():
    for (module, before, after), why in mutation.equivalents().items():
        lines = mutation.source_of(module).read_text("utf-8").splitlines()
        text = " ".join(line.strip() for line in lines)
        assert before in text, f"{module} has no line {before!r} any more: take it off the list."
        assert after != before and len(why.split()) > 4


def test_a_run_of_one_module_keeps_the_rows_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(mutation, "TABLE", tmp_path / "mutation.md")
    first = mutation.Row("nets._losses", 70, 60, ["x"] * 57, [{}], [{}, {}])
    assert first.line().endswith("| 70 | 60 | 57 | 1 | 2 | 97 % |")
    other = mutation.Row("sweep._sweep", 9, 9, ["x"] * 9)
    for row in (first, other):
        lines = mutation.kept() | {row.module: row.line()}
        mutation.TABLE.write_text(
            mutation.page(lines, {("nets._losses", "a", "b"): "why"}), "utf-8"
        )
    text = mutation.TABLE.read_text("utf-8")
    assert first.line() in text and other.line() in text
    assert "- `nets._losses`: `a` → `b`: why" in text
