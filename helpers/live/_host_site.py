"""The site as host of a live figure: run every position, ship one SVG and what changes."""

import gzip
import html
import json

from IPython.display import display

from helpers.live._knobs import label_of, start_of
from helpers.live._letters import to_html, to_plain
from helpers.live._pictures import Picture, side_by_side
from helpers.live._record import record

MOST_BYTES = 60_000  # gzipped, of one figure
BAR = '<div class="live-bar"><p class="live-result">{}</p></div>'
PICTURE = '<svg aria-hidden="true" translate="no" '  # a translator would take α for a word


def show(draw, figs, knobs, *, name, caption, alt, drag=None, guess=None, still_panels=()):
    """Display the figure as a page fragment (HTML), with a PNG still for what is not HTML."""
    run = record(draw, figs, knobs, name=name, drag=drag, still_panels=still_panels)
    _check_guard(guess, run[2], name)
    page = fragment(*run, knobs, name=name, caption=caption, alt=alt, guess=guess)
    _check_weight(page, len(run[0]), name)
    still = side_by_side(Picture(fig).drawn() for fig in figs)  # for PDF, GitHub, cards
    display({"text/html": page, "image/png": still, "text/plain": to_plain(alt)}, raw=True)


def _check_guard(guess, handles, name):
    if guess and any(handle.panel == guess["panel"] for handle in handles):
        raise ValueError(
            f"figure '{name}' needs its guess on a panel without a handle, got panel "
            f"{guess['panel']}: a covered point cannot be dragged."
        )


def _check_weight(page, count, name):
    weight = len(gzip.compress(page.encode(), mtime=0))
    if weight > MOST_BYTES:
        raise ValueError(
            f"figure '{name}' needs {MOST_BYTES // 1000} kB gzipped or less, got "
            f"{weight / 1000:.0f} kB at {count} positions: plot fewer points or take fewer steps."
        )


def fragment(words, panels, handles, knobs, *, name, caption, alt, guess=None):
    """The figure as HTML: pictures, words and caption that need no script, and the changes."""
    start = start_of(knobs)
    result, *more = words[start].splitlines() or [""]
    parts = [
        f'<figure class="live" id="{name}" data-position="{start}">',
        f'<div class="live-panels live-panels-{len(panels)}" role="img" '
        f'aria-label="{html.escape(to_plain(alt))}">',
        *(_panel(panel, bool(knobs)) for panel in panels),
        "</div>",
        *([BAR.format(to_html(result))] if result or knobs else []),
        '<div class="live-words">',
        *(f"<p>{to_html(line)}</p>" for line in more),
        "</div>",
        f'<p class="live-caption">{to_html(caption)}</p>',
        *([_script(changes(words, panels, handles, knobs, guess))] if knobs else []),
        "</figure>",
    ]
    return "\n".join(parts) + "\n"


def _panel(panel, live):
    still = ' data-still=""' if live and not panel.slots else ""
    return f'<div class="live-panel"{still}>{panel.svg.replace("<svg ", PICTURE, 1)}</div>'


def _script(data):
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("</", "<\\/").replace("<!", "<\\u0021")
    return f'<script type="application/json" class="live-data">{text}</script>'


def changes(words, panels, handles, knobs, guess=None):
    """What `explore.js` reads: knobs, each panel's values and slots, words as HTML, handles."""
    data = {
        "knobs": [_knob(name, knob) for name, knob in knobs.items()],
        "panels": [{"values": panel.values, "slots": panel.slots} for panel in panels],
        "words": ["\n".join(map(to_html, said.splitlines())) for said in words],
        "grips": [{"panel": h.panel, "moves": h.moves, "spots": h.spots} for h in handles],
    }
    return data | ({"guess": _said(guess)} if guess else {})


def _said(guess):
    """The guess as a script can show it: its texts have no subscripts."""
    texts = {key: to_plain(guess[key]) for key in ("question", "reply")}
    return guess | texts | {"options": [to_plain(option) for option in guess["options"]]}


def _knob(name, knob):
    return {
        "name": name,
        "kind": knob.kind,
        "label": to_plain(label_of(name, knob)),
        "values": [str(value) for value in knob.values],
        "texts": list(knob.texts),
        "start": knob.start,
    }
