"""A running kernel as host of a live figure: ipywidgets, and `draw` really called at each move."""

import gc
import html
import re
import traceback
from contextlib import contextmanager

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import display

from helpers.live._figures import SETTINGS, freeze
from helpers.live._knobs import label_of
from helpers.live._letters import to_html, to_plain
from helpers.live._pictures import Picture, side_by_side
from helpers.live._veil import Veil

WIDE = 110  # pixels for an inch of a figure, where a saved notebook shows its picture
MOST_BUTTONS = 6  # more options than these are a list to choose from
WIDGET = "application/vnd.jupyter.widget-view+json"
LINES = "line-height: 1.5"  # a widget's own is that of a button
PANEL = {"width": "31%", "min_width": "min(285px, 100%)", "max_width": "460px"}  # three in a row
_SHOWN = {}  # of each cell: its last run, and the figures of that run


def show(draw, figs, knobs, *, name, caption, alt, guess=None, drag=None, still_panels=()):
    """Display the figure with its widgets; a saved notebook also keeps a picture and words.

    `drag` and `still_panels` are for the site: here sliders move, and a panel at rest is not sent.
    """
    cell, run = _running()
    last, lives = _SHOWN.get(cell, (run, []))
    while lives and last != run:
        lives.pop().close()
    live = Live(draw, figs, knobs, name=name, caption=caption, alt=alt, guess=guess)
    if cell:
        _SHOWN[cell] = run, [*lives, live]
    data, metadata = live.bundle(to_plain(alt))
    display(data, metadata=metadata, raw=True)


def _running():
    """The notebook's own name of the cell that runs, where its program gives one, and this run."""
    shell = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")


class Live:
    """A figure under ipywidgets: `controls` by knob name, `images`, `words`, all in `box`.

    `veil` stands in the place of a panel until its question is answered; without one it is None.
    """

    def __init__(self, draw, figs, knobs, *, name, caption, alt, guess=None):
        self.draw, self.figs, self.name = draw, figs, name
        order = sorted(knobs, key=lambda key: knobs[key].kind == "range")  # choices first
        self.controls = {key: _control(key, knobs[key]) for key in order}
        self.words = widgets.HTML()
        self._said = str(draw(**self.position()) or "")  # a failure here is the cell's failure
        for fig in figs:
            freeze(fig)
        self.pictures = [Picture(fig) for fig in figs]
        # no alt: an Image has no place for it, and version 8 fails on one with a tooltip
        self.images = [widgets.Image(format="png", layout=widgets.Layout(**PANEL)) for _ in figs]
        self.veil = Veil(guess, PANEL, self._uncover) if guess else None
        self.box = self._box(caption, alt, guess)
        self._show()
        for control in self.controls.values():
            control.observe(self._move, names="value")

    def close(self):
        """Give the widgets back, so that the kernel keeps nothing of this figure."""
        todo = [self.box, *self.images, *([self.veil.box] if self.veil else [])]
        while todo:
            widget = todo.pop()
            parts = [getattr(widget, part, None) for part in ("layout", "style")]
            todo += [*getattr(widget, "children", ()), *filter(None, parts)]
            widget.close()

    def bundle(self, alt):
        """(data, metadata) to display: the widget, and beside it a picture and `alt`.

        The same in ipywidgets 7 and 8. Where no kernel runs, as on GitHub, the picture is shown.
        """
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        picture = side_by_side(bytes(image.value) for image in self.images)
        data = {WIDGET: view, "image/png": picture, "text/plain": alt}
        width = round(WIDE * sum(fig.get_figwidth() for fig in self.figs))
        return data, {"image/png": {"width": width, "alt": alt}}

    def position(self):
        """The knobs' values now, as keywords for `draw`."""
        return {name: control.value for name, control in self.controls.items()}

    def _move(self, _change):
        try:
            with SETTINGS.drawing(), _collected_later():
                self._said = str(self.draw(**self.position()) or "")
                self._show()
        except Exception as error:  # a widget swallows it: the reader must see it
            self.words.value = _alert(self.name, self.position(), error)

    def _show(self):
        pictures = [picture.drawn() for picture in self.pictures]  # all, before one is replaced
        for image, picture in zip(self.images, pictures):
            image.value = picture  # sent only if it differs
        self._speak()

    def _speak(self):
        """The result in bold, the answer to a guess, and the other lines below."""
        result, *others = self._said.splitlines() or [""]
        if self.veil and not self.veil.reply:
            result, others = "Make your guess, then see.", []
        elif self.veil:
            others = [self.veil.reply, *others]
        lines = [f"<strong>{_words(result)}</strong>", *map(_words, others)]
        said = "<br>".join(lines) if result or others else ""
        self.words.value = f'<div role="status" aria-live="polite" style="{LINES}">{said}</div>'

    def _uncover(self):
        self.panels.children = self.images
        self._speak()

    def _box(self, caption, alt, guess):
        row = widgets.Layout(display="flex", flex_flow="row wrap", align_items="flex-start")
        children = list(self.images)
        if self.veil:
            children[guess["panel"]] = self.veil.box
        self.panels = widgets.Box(children, layout=row)
        more = '<summary style="display: list-item">Described in words</summary>'
        described = f"<details>{more}{html.escape(to_plain(alt))}</details>"
        note = widgets.HTML(f'<div style="{LINES}"><em>{_words(caption)}</em>{described}</div>')
        return widgets.VBox([self.panels, *self.controls.values(), self.words, note])


@contextmanager
def _collected_later():
    """No garbage is collected inside: with torch loaded that may take a fifth of a second."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _words(text):
    """One line as HTML; words that light a curve on the site are plain words here."""
    return re.sub("</?span[^>]*>", "", to_html(text))


def _control(name, knob):
    """The label in words, the control, and the value beside it."""
    texts, extra, kind = knob.texts, {}, widgets.Dropdown
    if knob.kind == "range":
        kind, extra = widgets.SelectionSlider, {"continuous_update": True}
        most = max(map(len, texts))  # of one length (figure spaces), so that the track stays
        texts = [text.rjust(most, "\u2007") for text in texts]
    elif len(texts) <= MOST_BUTTONS:
        kind = widgets.ToggleButtons
    style = {"description_width": "initial"}
    if kind is widgets.ToggleButtons:  # a button is as wide as its words
        style["button_width"] = "auto"
    return kind(
        options=list(zip(texts, knob.values)),
        value=knob.values[knob.start],
        description=to_plain(label_of(name, knob)),
        layout=widgets.Layout(width="min(100%, 560px)"),
        style=style,
        **extra,
    )


def _alert(name, position, error):
    where = ", ".join(f"{key}={value}" for key, value in position.items())
    last = "".join(traceback.format_exception_only(type(error), error)).strip()
    text = html.escape(f"figure '{name}' failed at {where}: {last}")
    return f'<div role="alert" style="color:#b00020"><strong>{text}</strong></div>'
