"""Axes that did not change are not drawn again, nor measured: that takes half of a drawing's time.

Between two positions of a figure its ticks and labels mostly stand still. While a figure is watched
an Axis that looks as it did when it was last drawn writes an empty group, and `fill` puts its last
drawing there.
"""

import copy
from contextlib import contextmanager
from functools import partial

from matplotlib.lines import Line2D
from matplotlib.text import Text


class AxisMemo:
    """The axes of one figure as they were last drawn; drawings are the same with it and without.

    A figure with several Axes is drawn whole: in SVG they share the shapes of their ticks.
    """

    def __init__(self):
        self._drawn = {}  # Axis → (how it looked, its group)
        self._boxes = {}  # Axis → its box, which a title asks for, to stand clear of ticks

    @contextmanager
    def watching(self, fig):
        """While this lasts, a drawing of `fig` leaves out the axes that did not change."""
        axes = axes_of(fig)
        for axis in axes:
            axis.draw, axis.get_tightbbox = partial(self._draw, axis), partial(self._box, axis)
        try:
            yield
        finally:
            for axis in axes:
                del axis.draw, axis.get_tightbbox

    def rests(self, axis):
        """Whether `axis` looks as it did when it was last drawn.

        Asked while the figure is drawn, not before: its Axes settles limits and place then.
        """
        return axis in self._drawn and self._drawn[axis][0] == look(axis)

    def _box(self, axis, renderer, **options):
        if axis not in self._boxes or not self.rests(axis):
            self._boxes[axis] = type(axis).get_tightbbox(axis, renderer, **options)
        return self._boxes[axis]

    def _draw(self, axis, renderer):
        if self.rests(axis):
            renderer.open_group("axis", gid=axis.get_gid())
            renderer.close_group("axis")
        else:
            self._drawn.pop(axis, None)
            type(axis).draw(axis, renderer)

    def fill(self, fig, root):
        """Put the axes that were left out into the drawing `root` of `fig`, and keep the others."""
        groups = {node.get("id"): node for node in root.iter()}
        for axis in axes_of(fig):
            group = groups.get(axis.get_gid())
            if group is None:  # switched off
                continue
            if axis in self._drawn:
                group[:] = copy.deepcopy(self._drawn[axis][1])[:]
            elif _stands_alone(group):
                self._drawn[axis] = look(axis), copy.deepcopy(group)


def axes_of(fig):
    """The axes whose drawing may be kept: those of a figure with one Axes."""
    if len(fig.axes) != 1 or fig.axes[0].child_axes:
        return []
    return [fig.axes[0].xaxis, fig.axes[0].yaxis]


def look(axis):
    """What the drawing of `axis` depends on: its place, its texts, its lines, and its own flag."""
    ax = axis.axes
    place = (*ax.viewLim.bounds, *ax.bbox.bounds)
    # each of these is stale whenever it was drawn
    parts = [_wording(part) if isinstance(part, Text) else _stroke(part) for part in _parts(axis)]
    return place, axis.stale, parts


def _parts(axis):
    return axis.findobj(lambda artist: isinstance(artist, (Text, Line2D)))


def _wording(text):
    font = text.get_fontsize(), text.get_fontweight(), text.get_rotation()
    return text.get_text(), text.get_color(), text.get_alpha(), text.get_visible(), font


def _stroke(line):
    shape = line.get_linewidth(), line.get_linestyle(), line.get_marker(), line.get_markersize()
    return line.get_color(), line.get_alpha(), line.get_visible(), shape


def _stands_alone(group):
    """Whether `group` refers to nothing outside: grid lines are clipped by a shape of the Axes."""
    return not any("clip-path" in node.attrib for node in group.iter())
