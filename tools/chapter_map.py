"""The map of the chapters as a drawing: a box a chapter, an arrow from what it needs.

Boxes stand in rows of three, each below all that it needs; arrows run in the lanes beside them, so
that none crosses a box. Nothing is placed by hand: a new chapter finds its own place. An arrow that
others imply is left out, and a box that has the pointer or the focus lights its own.
"""

import html
import os
import posixpath

WIDE, HIGH, GAP, FALL, COLUMNS = 92, 44, 32, 34, 3
COLOURS = {"meaning": "theta", "argument": "twin", "after": "accent"}
LINE = 12  # characters that fit a box
DIM = ".chapter-map:has(#{box}:is(:hover, :focus-visible)) .arrow:not(.{box}) {{ opacity: 0.15; }}"


def place(book):
    """(row, column) of each chapter by name: below what it needs, near it, three to a row."""
    found = {}
    for one in book:
        above = [found[name] for name in (*one.needs, *one.helps) if name in found]
        row = 1 + max((spot[0] for spot in above), default=-1)
        wish = above[0][1] if above else 0
        while True:
            taken = {column for r, column in found.values() if r == row}
            free = [column for column in range(COLUMNS) if column not in taken]
            if free:
                found[one.name] = row, min(free, key=lambda column: abs(column - wish))
                break
            row += 1
    return found


def draw(book, page):
    """The drawing as a raw HTML block; the table of needs says the same in words."""
    spots = place(book)
    height = (1 + max(row for row, _ in spots.values())) * (HIGH + FALL)
    width = COLUMNS * WIDE + (COLUMNS + 1) * GAP
    lanes = {}
    arrows = [
        _arrow(spots[a], spots[b], dashed, lanes, _colour(a), f"{_id(a)} {_id(b)}")
        for a, b, dashed in edges(book)
    ]
    boxes = [_box(one, spots[one.name], page) for one in book]
    dim = "\n".join(DIM.format(box=_id(one.name)) for one in book)
    heads = [_head(colour) for colour in COLOURS.values()]
    return "\n".join(
        [
            "```{raw} html",
            f'<svg viewBox="0 -4 {width} {height}" role="group" '
            'aria-label="Map of the chapters; the table below says the same in words" '
            'class="chapter-map">',
            f"<defs>{''.join(heads)}</defs>",
            f"<style>{dim}</style>",
            *arrows,
            *boxes,
            "</svg>",
            "```",
        ]
    )


def edges(book):
    """(from, to, is it dashed) of each arrow: needs and helps that no chain of needs implies."""
    needs = {one.name: set(one.needs) for one in book}
    for one in book:
        for name in one.needs:
            if not _implied(name, one.name, needs):
                yield name, one.name, False
        for name in one.helps:
            if not any(name == need or _reached(name, need, needs) for need in one.needs):
                yield name, one.name, True


def _implied(first, last, needs):
    """Does `last` need another chapter that `first` leads to?"""
    return any(_reached(first, other, needs) for other in needs[last] - {first})


def _reached(first, last, needs):
    """Does a chain of needs lead from `first` to `last`?"""
    return first in needs[last] or any(_reached(first, other, needs) for other in needs[last])


def _id(name):
    return "map-" + posixpath.basename(name).replace("_", "-")


def _colour(name):
    return COLOURS[name.split("/")[1]]


def _corner(spot):
    row, column = spot
    return GAP + column * (WIDE + GAP), row * (HIGH + FALL)


def _arrow(a, b, dashed, lanes, colour, ends):
    """From the foot of `a` to the head of `b`: straight down, or by the lane left of `b`."""
    (xa, ya), (xb, yb) = _corner(a), _corner(b)
    start, end = (xa + WIDE / 2, ya + HIGH), (xb + WIDE / 2, yb)
    if a[1] == b[1] and b[0] == a[0] + 1:
        path = f"M{start[0]:g} {start[1]:g}V{end[1] - 3:g}"
    else:
        lane = xb - GAP + 6 + 5 * _lane(lanes, b[1], a)
        out = ya + HIGH + 8 + 4 * a[1]  # each column leaves at a height of its own
        into = yb + 12 + 9 * (a[1] % 3)
        path = f"M{start[0]:g} {start[1]:g}V{out:g}H{lane:g}V{into:g}H{xb - 3:g}"
    style = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<path class="arrow {ends}" d="{path}" fill="none" stroke="var(--{colour})" '
        f'stroke-width="1.6"{style} '
        f'marker-end="url(#map-{colour})"/>'
    )


def _lane(lanes, column, source):
    """The lane of a source beside a column: arrows from one box share theirs."""
    taken = lanes.setdefault(column, [])
    if source not in taken:
        taken.append(source)
    return taken.index(source) % 4


def _box(one, spot, page):
    x, y = _corner(spot)
    href = os.path.relpath(f"{one.name}.html", posixpath.dirname(page))
    words = _two_lines(one.short)
    first = y + HIGH / 2 + (4.5 if len(words) == 1 else -3)
    text = "".join(
        f'<tspan x="{x + WIDE / 2:g}" y="{first + 15 * k:g}">{html.escape(line)} </tspan>'
        for k, line in enumerate(words)  # the space, or two lines are heard as one word
    )
    return (
        f'<a href="{href}" id="{_id(one.name)}">'
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="7" '
        f'fill="var(--wash)" stroke="var(--{_colour(one.name)})" stroke-width="2"/>'
        f'<text text-anchor="middle">{text}</text></a>'
    )


def _two_lines(words):
    """A short name in one line or two, as even as its words allow."""
    if len(words) <= LINE:
        return [words]
    cuts = [at for at, letter in enumerate(words) if letter == " "]
    if not cuts:
        return [words]
    cut = min(cuts, key=lambda at: abs(at - len(words) / 2))
    return [words[:cut], words[cut + 1 :]]


def _head(colour):
    return (
        f'<marker id="map-{colour}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" '
        'markerHeight="7" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0 0.5L7 4L0 7.5z" fill="var(--{colour})"/></marker>'
    )
