"""A cut keeps what the wanted names come from, and nothing that only draws.

Oracle: Python itself, which runs the cells whole and cut and finds the same values.
"""

import pytest

from tools import slices

CELLS = [
    "#@title Draw\nax = panel()\nax.plot([1])",
    "# The data.\nseed = 3\nnoise = [seed * k for k in range(4)]\nunused = panel()",
    "total = 0\nfor x in noise:\n    total += x\nscores = {}\nscores['mean'] = total / len(noise)",
    "def scaled(k):\n    return k * factor  # bound below",
    "factor = 2 if total else 1\nsay(f'{total}')",
    "@twice\ndef shown():\n    return scaled(3)",
    "total = -1",
]


def ran(cells, name):
    names = {"panel": list, "say": print, "twice": lambda f: lambda: 2 * f()}
    for cell in cells:
        exec(cell.replace("ax.plot([1])", ""), names)
    value = names[name]
    return value() if callable(value) else value


@pytest.mark.parametrize("name", ("noise", "scores", "shown"))
def test_a_name_has_the_value_that_it_has_in_the_whole(name):
    assert ran(slices.cut(CELLS, {name}), name) == ran(CELLS, name)


def test_a_cut_leaves_out_what_nothing_wanted_needs():
    first, data, *rest = slices.cut(CELLS, {"noise"})
    assert (first, rest) == ("", [""] * 5)
    assert data == "# The data.\nseed = 3\nnoise = [seed * k for k in range(4)]"


def test_a_function_brings_what_is_bound_below_it():
    assert slices.cut(CELLS, {"scaled"})[4] == "factor = 2 if total else 1"
    assert slices.cut(CELLS, {"shown"})[5].startswith("@twice")


def test_the_last_binding_before_the_end_wins():
    assert slices.cut(CELLS, {"total"})[2:] == ["", "", "", "", "total = -1"]


def test_imports_name_only_what_is_used():
    cell = "#@title Imports\nimport math\nimport os.path\nfrom torch import nn as layers, tensor"
    assert slices.imports(cell, {"layers"}) == "from torch import nn as layers"
    assert slices.imports(cell, {"math", "os"}) == "import math\nimport os.path"
    many = "from helpers import " + ", ".join(f"a_long_name_{k}" for k in range(9))
    made = slices.imports(many, {f"a_long_name_{k}" for k in range(9)})
    assert max(map(len, made.split("\n"))) <= 88
    compile(made, "imports", "exec")
