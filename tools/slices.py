"""What some names of a chapter come from, read from its syntax: the cells, cut to those statements.

A statement counts if it binds a wanted name, or stores into it; then what it reads is wanted too.
Calls that stand alone (figures, sentences) are left out: they draw, and nothing else needs them.
"""

import ast
import builtins
import textwrap
from dataclasses import dataclass
from functools import cache

from tools import needs, pages

BUILT_IN = frozenset(dir(builtins))
WIDTH = 88


@dataclass(frozen=True)
class Statement:
    """The names that one statement of a cell binds, sets a part of, and reads."""

    binds: frozenset
    stores: frozenset
    reads: frozenset
    anew: bool  # it binds whatever its names were: no loop, and no +=


def cut(sources, wanted):
    """The cells `sources`, each with only the statements that `wanted` needs: "" where none is."""
    cells = [_statements(source) for source in sources]
    kept, lacking = set(), set(wanted)
    while lacking:
        kept, left = _backwards(cells, set(wanted))
        lacking = {name for name in left if _binders(cells, name) - kept} - set(wanted)
        wanted = set(wanted) | lacking  # a function may read what is bound below it
    return [_left(source, {k for c, k in kept if c == at}) for at, source in enumerate(sources)]


def _backwards(cells, wanted):
    """({(cell, statement)} that bind what is wanted, the names that nothing above them binds)."""
    kept, read = set(), set()
    for at in reversed(range(len(cells))):
        for k, one in reversed([*enumerate(cells[at])]):
            if not (one.binds | one.stores) & wanted:
                continue
            kept.add((at, k))
            wanted = (wanted - one.binds if one.anew else wanted) | one.reads
            read |= one.reads
    return kept, (read | wanted) - BUILT_IN


def _binders(cells, name):
    return {
        (at, k) for at, cell in enumerate(cells) for k, one in enumerate(cell) if name in one.binds
    }


@cache
def _statements(source):
    """The statements of a cell: each is looked at once, since many cuts ask for it."""
    plain = (ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return [
        Statement(
            frozenset(needs.binds(ast.unparse(node))),
            frozenset(_stores(node)),
            frozenset(needs.read(node)),
            isinstance(node, plain),
        )
        for node in pages.parse(source).body
    ]


def _stores(node):
    """The names whose entries or attributes a statement sets."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Subscript, ast.Attribute)) and isinstance(part.ctx, ast.Store):
            root = part
            while isinstance(root, (ast.Subscript, ast.Attribute)):
                root = root.value
            found |= {root.id} if isinstance(root, ast.Name) else set()
    return found


def _left(source, kept):
    """The lines of the statements `kept`, with the comments above each."""
    lines, end, found = source.split("\n"), 0, []
    for k, node in enumerate(pages.parse(source).body):
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        above = [line for line in lines[end : first - 1] if not line.startswith("#@title")]
        if k in kept:
            found += [*above, *lines[first - 1 : node.end_lineno]]
        end = node.end_lineno
    return "\n".join(found).strip("\n")


def imports(source, used):
    """The import statements of a cell, cut to the names in `used`."""
    found = []
    for node in pages.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            node.names = [n for n in node.names if (n.asname or n.name).split(".")[0] in used]
            found += [_wrapped(ast.unparse(node))] if node.names else []
    return "\n".join(found)


def _wrapped(line):
    """A long import on several lines."""
    before, after, names = line.partition(" import ")
    if len(line) <= WIDTH or not after:
        return line
    filled = textwrap.fill(names, WIDTH - 4)
    return f"{before}{after}(\n{textwrap.indent(filled, '    ')},\n)"
