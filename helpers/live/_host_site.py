"""The site as host of a live figure: run every position, ship one SVG and what changes."""

import gzip
import html
import io
import json

import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from helpers.live._axis_memo import AxisMemo
from helpers.live._figures import freeze
from helpers.live._knobs import label_of, positions, spell, start_of
from helpers.live._svg_frames import merge, snapshot

MOST_POSITIONS = 200
MOST_BYTES = 150_000  # gzipped, of one figure
PICTURE = '<svg aria-hidden="true" translate="no" '  # a translator would take α for a word


def show(draw, figs, knobs, *, name, caption, alt):
    """Display the figure as a page fragment (HTML), with a PNG still for what is not HTML."""
    words, panels = record(draw, figs, knobs, name)
    page = fragment(words, panels, knobs, name=name, caption=caption, alt=alt)
    _check_weight(page, len(words), name)
    display({"text/html": page, "image/png": _png(figs), "text/plain": alt}, raw=True)


def record(draw, figs, knobs, name):
    """Run `draw` at every position: `(words, panels)`, a string each and `Frames` for each panel.

    The start is drawn before the others and once more after them: a `draw` that remembers where it
    came from would show on the site what no reader can reach. That last drawing is made afresh: it
    differs as well where an `AxisMemo` kept what had changed.
    """
    spots, start = positions(knobs), start_of(knobs)
    if len(spots) > MOST_POSITIONS:
        raise ValueError(
            f"figure '{name}' needs {MOST_POSITIONS} positions or fewer, got {len(spots)}: "
            "each one is drawn and shipped; give its knobs fewer steps."
        )
    first = _call(draw, spots, start, name)
    for fig in figs:
        fig.set_dpi(72)  # SVG's own: set later, it would move the first drawing's pictures
        freeze(fig)
    memos = [AxisMemo() for _ in figs]
    before = [snapshot(fig, memo) for fig, memo in zip(figs, memos)]
    words, trees = [], [before]
    for index in range(len(spots)):
        words.append(_call(draw, spots, index, name))
        trees.append([_seen(*panel) for panel in zip(figs, memos, trees[-1])])
    again = _call(draw, spots, start, name)
    _check_memory((first, before), (again, [snapshot(fig) for fig in figs]), spots[start], name)
    columns = list(zip(*trees[1:]))
    return words, [merge(list(c), start, f"{name}-{i}-") for i, c in enumerate(columns)]


def _seen(fig, memo, last):
    """The tree of `fig` now: its `last` one where no artist was touched since."""
    return snapshot(fig, memo) if fig.stale else last


def _call(draw, spots, index, name):
    try:
        return str(draw(**spots[index]) or "")
    except Exception as error:
        raise RuntimeError(
            f"figure '{name}' failed at {spell(spots[index])} (position {index + 1} of "
            f"{len(spots)}): {type(error).__name__}: {error}"
        ) from error


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


def _check_weight(page, count, name):
    weight = len(gzip.compress(page.encode(), mtime=0))
    if weight > MOST_BYTES:
        raise ValueError(
            f"figure '{name}' needs {MOST_BYTES // 1000} kB gzipped or less, got "
            f"{weight / 1000:.0f} kB at {count} positions: plot fewer points or take fewer steps."
        )


def fragment(words, panels, knobs, *, name, caption, alt):
    """The figure as HTML: pictures, words and caption that need no script, and the changes."""
    quote = html.escape
    said = words[start_of(knobs)]
    parts = [
        f'<figure class="live" id="{name}">',
        f'<div class="live-panels live-panels-{len(panels)}" role="img" aria-label="{quote(alt)}">',
        *(panel.svg.replace("<svg ", PICTURE, 1) for panel in panels),
        "</div>",
        '<div class="live-words">',
        *(f"<p>{quote(line)}</p>" for line in said.splitlines()),
        "</div>",
        f"<figcaption>{quote(caption)}</figcaption>",
        *([_script(words, panels, knobs)] if knobs else []),
        "</figure>",
    ]
    return "\n".join(parts) + "\n"


def _script(words, panels, knobs):
    data = json.dumps(changes(words, panels, knobs), ensure_ascii=False, separators=(",", ":"))
    data = data.replace("</", "<\\/").replace("<!", "<\\u0021")
    return f'<script type="application/json" class="live-data">{data}</script>'


def changes(words, panels, knobs):
    """What `explore.js` reads: knobs, and for each panel its values and slots; words last."""
    return {
        "knobs": [
            {
                "name": name,
                "kind": knob.kind,
                "label": label_of(name, knob),
                "values": [str(value) for value in knob.values],
                "texts": list(knob.texts),
                "start": knob.start,
            }
            for name, knob in knobs.items()
        ],
        "panels": [{"values": panel.values, "slots": panel.slots} for panel in panels],
        "words": words,
    }


def _png(figs):
    """The panels side by side at their current position, for PDF and for readers of the file."""
    pictures = []
    for fig in figs:
        canvas = FigureCanvasAgg(fig)
        fig.set_dpi(144)
        canvas.draw()
        pictures.append(np.asarray(canvas.buffer_rgba()))
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))) for p in pictures]
    image = Image.fromarray(np.concatenate(padded, axis=1))
    page = io.BytesIO()
    paper = Image.new("RGBA", image.size, "white")
    Image.alpha_composite(paper, image).convert("RGB").save(page, "png", optimize=True)
    return page.getvalue()
