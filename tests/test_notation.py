"""The notation table and the code agree.

Oracle: the syntax trees of the helpers, read without importing them: functions, classes, their
fields and parameters. Only the weights' names are those of a net that was really made.
"""

import ast
import re

import pytest
import torch

from helpers import init_net
from tools import ROOT

TABLE = ROOT / "book" / "notation.md"
HELPERS = sorted((ROOT / "helpers").rglob("*.py"))


def names_in(tree):
    """Every name a syntax tree defines: functions, classes, fields, parameters."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def parameters():
    for path in HELPERS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg):
                yield path.name, node.arg


def code_names(text):
    """The names in the third column of every table row, with the row."""
    for row in text.splitlines():
        columns = re.split(r"(?<!\\)\|", row)
        if len(columns) == 6:
            yield from ((name, row) for name in re.findall(r"`(\w+)`", columns[3]))


WEIGHTS = init_net([2, 2, 1], bias=True, generator=torch.Generator())
KNOWN = set(WEIGHTS) | {
    name for path in HELPERS for name in names_in(ast.parse(path.read_text(encoding="utf-8")))
}
NAMES = list(code_names(TABLE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("name", "row"), NAMES, ids=[name for name, _ in NAMES])
def test_name_exists(name, row):
    assert name in KNOWN, f"book/notation.md needs {name!r} in helpers/, got none: {row}"


def test_the_table_is_read():
    assert {"alpha_scale", "theta1", "eps_radius"} <= {name for name, _ in NAMES}


def test_a_name_that_is_not_there_is_found():
    row = "| $x$ | x | `alpha_scales` | no such thing |"
    assert [name for name, _ in code_names(row) if name not in KNOWN] == ["alpha_scales"]


def test_prose_has_no_underscore_where_a_letter_stands_below():
    rows = [re.split(r"(?<!\\)\|", row) for row in TABLE.read_text("utf-8").splitlines()]
    columns = [row[2] for row in rows if len(row) == 6]
    assert len(columns) > 30
    assert not [text for text in columns if "_" in re.sub(r"\$[^$]*\$|`[^`]*`", "", text)]


def test_no_parameter_is_a_bare_epsilon():
    """The paper's ε is split: eps_height in units of the loss, eps_radius in units of weights."""
    assert not [where for where in parameters() if where[1] in ("eps", "epsilon")]
