"""Which names a cell binds and which it needs: read from its syntax, nothing is run."""

import ast
import symtable

from tools.pages import parse


def binds(source):
    """The names that a cell binds for the cells after it."""
    return set().union(*(_bound(node) for node in parse(source).body))


def needs(source):
    """The names that a cell reads and does not bind itself before it does."""
    found, bound = set(), set()
    for node in parse(source).body:
        found |= read(node) - bound
        bound |= _bound(node)
    return found


def read(node):
    """The names that one statement takes from outside, those inside its functions included.

    What a block (for, with, if, try) binds on its way counts as bound before it is read.
    """
    table = symtable.symtable(ast.unparse(node), "cell", "exec")
    found = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    if isinstance(node, ast.AugAssign):  # symtable has it as an assignment alone
        found |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
    for inner in _inside(table):
        found |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()}
    blocks = (ast.For, ast.With, ast.If, ast.Try, ast.While, ast.FunctionDef, ast.ClassDef)
    return found - _bound(node) if isinstance(node, blocks) else found


def _inside(table):
    for child in table.get_children():
        yield child
        yield from _inside(child)


def _bound(node):
    table = symtable.symtable(ast.unparse(node), "cell", "exec")
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


def without(source, names):
    """The cell without the statements that read one of `names`, or what these would have bound.

    Returns the text as it stood, its comments included, or "" if no statement is left.
    """
    lines, gone, names = source.split("\n"), set(), set(names)
    body = parse(source).body
    for node in body:
        if read(node) & names:
            names |= _bound(node)
            gone |= set(range(node.lineno, node.end_lineno + 1))
    if not body or all(node.lineno in gone for node in body):
        return ""
    return "\n".join(line for at, line in enumerate(lines, 1) if at not in gone)
