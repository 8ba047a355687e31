"""A live figure run at every position: its words, what changes in each panel, where its handles go.

Pictures are compared, not flags: an artist may change and not say so.
"""

from dataclasses import dataclass, field

from helpers.live._axis_memo import AxisMemo
from helpers.live._figures import freeze
from helpers.live._knobs import positions, spell, start_of
from helpers.live._snapshot import snapshot
from helpers.live._svg_frames import merge

MOST_POSITIONS = 200
MOST_NODES = 1000  # elements of all panels together: a phone sets them sixty times a second


@dataclass(frozen=True)
class Handle:
    """A point to drag: `spots` holds where it stands at each position, in units of its panel."""

    panel: int
    moves: list  # names of the knobs it turns
    artist: object
    point: int  # which of the artist's points
    spots: list = field(default_factory=list)


def record(draw, figs, knobs, *, name, drag=None, still_panels=()):
    """Run `draw` at every position: `(words, panels, handles)`.

    `words` has a string a position, `panels` a `Frames` a panel. The start is drawn before the
    others and once more after them: a `draw` that remembers where it came from would show on the
    site what no reader can reach. That last drawing is made from nothing, so it also differs if an
    `AxisMemo` kept something that had changed.

    Raises: ValueError for too many positions or nodes, a `draw` with memory, a panel that stands
    still and is not among `still_panels` or the other way round, a handle out of its panel.
    """
    spots, start = positions(knobs), start_of(knobs)
    _check_count(len(spots), name)
    handles = _handles(drag, figs, knobs, name)
    first = _call(draw, spots, start, name)
    for fig in figs:
        fig.set_dpi(72)  # SVG's own: set later, it would move the first drawing's pictures
        freeze(fig)
    memos = [AxisMemo() for _ in figs]
    before = [snapshot(fig, memo) for fig, memo in zip(figs, memos)]
    words, trees = [], []
    for index in range(len(spots)):
        words.append(_call(draw, spots, index, name))
        trees.append([snapshot(fig, memo) for fig, memo in zip(figs, memos)])
        for handle in handles:
            handle.spots.append(_spot(handle, spots[index], name))
    again = _call(draw, spots, start, name)
    _check_memory((first, before), (again, [snapshot(fig) for fig in figs]), spots[start], name)
    panels = [merge(list(c), start, f"{name}-{i}-") for i, c in enumerate(zip(*trees))]
    _check_panels(panels, knobs, still_panels, name)
    return words, panels, handles


def _handles(drag, figs, knobs, name):
    """`drag` as handles: one artist moves every slider, a dict gives each knob one or a list."""
    sliders = [key for key, knob in knobs.items() if knob.kind == "range"]
    if drag is None:
        return []
    pairs = drag.items() if isinstance(drag, dict) else [(None, drag)]
    pairs = [(key, one) for key, v in pairs for one in (v if isinstance(v, list) else [v])]
    handles = []
    for key, one in pairs:
        artist, point = one if isinstance(one, tuple) else (one, -1)
        if key not in (None, *knobs) or getattr(artist, "figure", None) not in figs:
            raise ValueError(
                f"figure '{name}' needs drag to be a point of its panels, or its knobs with their "
                f"points, got {drag!r}: a handle turns a knob."
            )
        moves = sliders if key is None else [key]
        handles.append(Handle(figs.index(artist.figure), moves, artist, point))
    return handles


def _spot(handle, position, name):
    """Where the handle's point stands now: x from the left and y from the top of its panel."""
    wide, high = handle.artist.figure.bbox.size
    x, y = handle.artist.get_transform().transform(handle.artist.get_xydata()[handle.point])
    if not (0 <= x <= wide and 0 <= y <= high):
        raise ValueError(
            f"figure '{name}' needs its handle inside panel {handle.panel} at {spell(position)}, "
            f"got ({x:.0f}, {y:.0f}) of {wide:.0f} x {high:.0f}: nobody could grab it there."
        )
    return [round(float(x), 1), round(float(high - y), 1)]


def _call(draw, spots, index, name):
    try:
        return str(draw(**spots[index]) or "")
    except Exception as error:
        raise RuntimeError(
            f"figure '{name}' failed at {spell(spots[index])} (position {index + 1} of "
            f"{len(spots)}): {type(error).__name__}: {error}"
        ) from error


def _check_count(count, name):
    if count > MOST_POSITIONS:
        raise ValueError(
            f"figure '{name}' needs {MOST_POSITIONS} positions or fewer, got {count}: "
            "each one is drawn and shipped; give its knobs fewer steps."
        )


def _check_memory(before, after, position, name):
    def text(state):
        return state[0], [b"".join(_bytes(tree)) for tree in state[1]]

    if text(before) != text(after):
        raise ValueError(
            f"figure '{name}' needs a draw that depends on its knobs alone, got two pictures at "
            f"{spell(position)}: a reader may come to a position from anywhere."
        )


def _bytes(tree):
    return (
        repr((node.tag, sorted(node.attrib.items()), node.text)).encode() for node in tree.iter()
    )


def _check_panels(panels, knobs, still_panels, name):
    for index, panel in enumerate(panels if knobs else ()):
        if bool(panel.slots) == (index in still_panels):
            got = "one that moves" if panel.slots else "one picture at every position"
            raise ValueError(
                f"figure '{name}' needs panel {index} to move, or to be among still_panels="
                f"{tuple(still_panels)} if it stands still, got {got}: a reader looks for a change."
            )
    nodes = sum(panel.svg.count("<") - panel.svg.count("</") for panel in panels)
    if nodes > MOST_NODES:
        raise ValueError(
            f"figure '{name}' needs {MOST_NODES} SVG elements or fewer, got {nodes}: draw many "
            "dots as one line with round dashes, and many lines as one with gaps (nan)."
        )
