"""What a figure shows now, as an SVG tree, so that two drawings of it can be compared.

Artists keep stable names, colours become the page's variables, and numbers have two decimals.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections import Counter
from contextlib import contextmanager

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG

from helpers.live._axis_memo import AxisMemo
from helpers.live._figures import PALETTE
from helpers.live._letters import set_maths

# Same drawing, same bytes: no random salt, no date, and text stays text (small, and selectable).
SVG_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "helpers", "image.composite_image": False}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_VARIABLE = {colour: f"var(--{name})" for name, colour in PALETTE.items()}
_FRACTION = re.compile(r"-?\d+\.\d+(e-?\d+)?")
_NUMERIC = {"d", "transform", "x", "y", "points", "width", "height", "style", "viewBox"}


def snapshot(fig, memo=None):
    """What `fig` shows now, as a cleaned SVG tree whose artists carry stable ids.

    Without `savefig`, which draws twice after a layout engine. Axes at rest come from the `memo`.
    """
    memo = memo or AxisMemo()
    _name_artists(fig, "a")
    page = io.BytesIO()
    with matplotlib.rc_context(SVG_STYLE), memo.watching(fig), _as_written():
        FigureCanvasSVG(fig).print_svg(page, metadata=_METADATA)
    root = ET.fromstring(page.getvalue())
    for node in list(root.iter()):
        _clean(node)
    memo.fill(fig, root)
    return root


@contextmanager
def _as_written():
    """While this lasts, `$λ_{max}$` goes out as it is written, in the place of the set text."""
    draw = RendererSVG.draw_text

    def draw_plain(renderer, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        draw(renderer, gc, x, y, s, prop, angle, False, mtext)

    RendererSVG.draw_text = draw_plain
    try:
        yield
    finally:
        RendererSVG.draw_text = draw


def _name_artists(artist, path):
    """An id by place in the artist tree: an artist that is hidden or redrawn keeps its name."""
    name = getattr(artist, "mark", None)
    artist.set_gid(f"{path}~{name}" if name else path)
    seen = Counter()
    for child in artist.get_children():
        kind = type(child).__name__
        _name_artists(child, f"{path}.{kind}{seen[kind]}")
        seen[kind] += 1


def _clean(node):
    node.tag = node.tag.rpartition("}")[2]
    for key in list(node.attrib):
        value = node.attrib.pop(key)
        node.set(key.rpartition("}")[2], _tidy(key, value))
    for child in list(node):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            node.remove(child)
        child.tail = None
    node.text = node.text if node.text and node.text.strip() else None
    if node.tag == "text":
        set_maths(node)
    if node.get("transform", "").startswith("rotate(0 "):
        del node.attrib["transform"]
    if node.tag == "svg":
        node.attrib = {"viewBox": node.get("viewBox")}


def _tidy(key, value):
    if key == "style":
        value = re.sub(r"font-family: [^;]*; ?", "", value)
        value = _COLOUR.sub(lambda match: _VARIABLE.get(match[0], match[0]), value)
    if key in _NUMERIC:
        value = _FRACTION.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
        value = re.sub(r"(?<![\d.])-0(?![\d.])", "0", " ".join(value.split()))
    return value
