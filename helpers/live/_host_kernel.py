"""A running kernel as host of a live figure: ipywidgets, and `draw` really called at each move."""

import html
import io
import traceback

import ipywidgets as widgets
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from helpers.live._figures import SETTINGS, freeze
from helpers.live._knobs import label_of

DPI = 144  # twice the layout's 72 points: sharp on a dense screen
WIDE = 110  # pixels on the screen for an inch of a figure
WIDGET = "application/vnd.jupyter.widget-view+json"


def show(draw, figs, knobs, *, name, caption, alt):
    """Display the figure with its widgets; a saved notebook keeps a picture and words beside."""
    live = Live(draw, figs, knobs, name=name, caption=caption, alt=alt)
    data, metadata = live.bundle(alt)
    display(data, metadata=metadata, raw=True)


class Live:
    """A figure under ipywidgets: `controls` by knob name, `images`, `words`, all in `box`."""

    def __init__(self, draw, figs, knobs, *, name, caption, alt):
        self.draw, self.figs, self.name = draw, figs, name
        self.controls = {key: _control(key, knob) for key, knob in knobs.items()}
        self.words = widgets.HTML()
        self.images = [_image(fig) for fig in figs]
        said = draw(**self.position())  # a failure at the start is the cell's failure
        for fig in figs:
            freeze(fig)
        self._show(said)
        for control in self.controls.values():
            control.observe(self._move, names="value")
        self.box = self._box(caption, alt)

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
            with SETTINGS.drawing():
                self._show(self.draw(**self.position()))
        except Exception as error:  # a widget swallows it: the reader must see it
            self.words.value = _alert(self.name, self.position(), error)

    def _show(self, said):
        for fig, image in zip(self.figs, self.images):
            if fig.stale or not image.value:  # a panel that did not change is not drawn again
                image.value = png(fig)
        lines = "<br>".join(html.escape(line) for line in str(said or "").splitlines())
        self.words.value = f'<div role="status" aria-live="polite">{lines}</div>'

    def _box(self, caption, alt):
        wrap = widgets.Layout(flex_flow="row wrap", display="flex")
        pictures = widgets.Box(self.images, layout=wrap)
        below = f"<em>{html.escape(caption)}</em><details><summary>Described in words</summary>"
        note = widgets.HTML(f"{below}{html.escape(alt)}</details>")
        return widgets.VBox([pictures, *self.controls.values(), self.words, note])


def png(fig):
    """What `fig` shows now, as PNG bytes on white; compression is light, for speed.

    Not by `savefig`, which draws twice when a figure has had a layout engine.
    """
    fig.set_dpi(DPI)
    fig.patch.set_facecolor("white")
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    page = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(page, "png", compress_level=1)
    return page.getvalue()


def side_by_side(pictures):
    """One PNG of several, left to right on white."""
    parts = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    size = sum(part.width for part in parts), max(part.height for part in parts)
    whole = Image.new("RGB", size, "white")
    for at, part in enumerate(parts):
        whole.paste(part, (sum(part.width for part in parts[:at]), 0))
    page = io.BytesIO()
    whole.save(page, "png")
    return page.getvalue()


def _image(fig):
    width = f"{fig.get_figwidth() * WIDE:.0f}px"
    return widgets.Image(format="png", layout=widgets.Layout(width=width, max_width="100%"))


def _control(name, knob):
    kind = widgets.SelectionSlider if knob.kind == "range" else widgets.ToggleButtons
    extra = {"continuous_update": True} if knob.kind == "range" else {}
    style = {"description_width": "initial"}
    if knob.kind != "range":  # a button is as wide as its words
        style["button_width"] = "auto"
    return kind(
        options=list(zip(knob.texts, knob.values)),
        value=knob.values[knob.start],
        description=label_of(name, knob),
        layout=widgets.Layout(width="min(100%, 560px)"),
        style=style,
        **extra,
    )


def _alert(name, position, error):
    where = ", ".join(f"{key}={value}" for key, value in position.items())
    last = "".join(traceback.format_exception_only(type(error), error)).strip()
    text = html.escape(f"figure '{name}' failed at {where}: {last}")
    return f'<div role="alert" style="color:#b00020"><strong>{text}</strong></div>'
