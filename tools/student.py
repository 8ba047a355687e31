"""What the student's edition leaves out, and the proof that nothing it keeps needs it."""

import re

from helpers import seal
from tools import needs, pages

CHECKS = "#@title The checks of the exercises"
SEALED = """\
{title}
from helpers import unseal

exec(unseal("{text}"))"""
ANSWER = re.compile(r"(the )?(answers?|hints?)\b", re.I)  # the titles of folds that tell
EVERY_FOLD = re.compile("")
GATE = re.compile(r"^:{3,}\{solution-(start|end)\}.*\n(?::[\w-]+:.*\n)*:{3,} *$\n?", re.M)


def parts(page):
    """(number, cell, [(text, whether it belongs to a solution), …]) of each cell, gates cut out."""
    solving = False
    for at, cell in enumerate(page.cells, 1):
        pieces = GATE.split(cell.source) if cell.cell_type == "markdown" else [cell.source]
        found = []
        for k, piece in enumerate(pieces):
            if k % 2:
                solving = piece == "start"
            else:
                found.append((piece, solving))
        yield at, cell, found


def code(page):
    """(number, cell, whether it belongs to a solution) of each code cell."""
    for at, cell, pieces in parts(page):
        if cell.cell_type == "code":
            yield at, cell, pieces[0][1]


def is_check(cell):
    return any(pages.calls(cell.source, {"exercise"}))


def solved(page):
    """The names that solutions bind."""
    return set().union(*(needs.binds(cell.source) for _, cell, inside in code(page) if inside))


def keys(page):
    """The names that the hidden cells of the exercises bind."""
    return set().union(*(needs.binds(cell.source) for _, cell in page.code() if is_check(cell)))


def source(page, cell, solving):
    """The source of a code cell in the student's edition, "" for a cell that is left out."""
    if solving:
        return ""
    if is_check(cell):
        return sealed(CHECKS, cell.source)
    if "test" in pages.tags(cell):  # what it asserts tells the answers of Predict
        left = needs.without(cell.source, solved(page) | keys(page))
        return left and sealed(left.split("\n")[0], left)
    return cell.source


def sealed(title, source):
    """A cell that runs `source` as before, and shows only its title."""
    return SEALED.format(title=title, text=seal(source))


def missing(page):
    """A sentence for each kept cell that needs a name which only a solution gives.

    A starter binds its name to None or to a student's answer, so for other cells it gives none.
    """
    given, answers = set(), solved(page)
    starting = {at for _, at, _ in pages.starters(page)}
    for at, cell, solving in code(page):
        if solving or "test" in pages.tags(cell):
            continue
        bound = needs.binds(cell.source)
        own = needs.needs(cell.source) & answers - given
        for name in sorted(own):
            yield f"{page.where(at)} needs {name}, which only a solution gives."
        given |= bound if at not in starting else set()
