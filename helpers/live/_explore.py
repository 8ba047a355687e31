"""Live figures: one drawing function, and a slider in a notebook, on the site and on a phone.

    figs, axes = panels(2)
    def draw(alpha):                       # plain matplotlib: update artists, return what to say
        ...
        return f"λ_max is {number(top)}."
    explore(draw, fig=figs, name="needle", alpha=log_knob(1e-3, 1e3), caption="…", alt="…")

In a kernel each move calls `draw`. While the site is built (`HELPERS_HOST=site`) `draw` runs at
every position, and the page ships one SVG and the attributes that change: no kernel, no library.
"""

import os
import re

from IPython.display import Markdown, display

from helpers.live import _host_kernel as host_kernel
from helpers.live import _host_site as host_site
from helpers.live._figures import SETTINGS
from helpers.live._knobs import Knob, choice, linear_knob, log_knob

__all__ = ["choice", "explore", "linear_knob", "log_knob", "say", "still"]


def explore(draw, *, fig, name, caption, alt, **knobs):
    """Show `fig` (a Figure or a list from `panels`) with a control for each knob of `draw`.

    `draw(**values)` updates artists and returns sentences, one a line, that stand under the
    picture. It must depend on its knobs alone: any position may follow any other. `name` is the
    figure's address on the page (`#needle:alpha=2.5`); `alt` says what a reader who sees no
    picture needs. A site figure may have 200 positions and 150 kB gzipped, not more.

    Raises: ValueError for a missing caption or alt text, a bad name, a figure over its budget or
    a `draw` with memory; RuntimeError, naming the position, where `draw` fails.
    """
    figs = list(fig) if isinstance(fig, (list, tuple)) else [fig]
    _check(name, caption, alt, knobs)
    host = host_site if os.environ.get("HELPERS_HOST") == "site" else host_kernel
    with SETTINGS.drawing():
        host.show(draw, figs, knobs, name=name, caption=caption, alt=alt)
    SETTINGS.shown(figs)


def still(fig, *, name, caption, alt):
    """Show `fig`, or a list of panels, without a knob, on the same way to the same page."""
    explore(lambda: None, fig=fig, name=name, caption=caption, alt=alt)


def say(text):
    """Show Markdown `text`: a sentence whose numbers come from the run, in every host."""
    display(Markdown(text))


def _check(name, caption, alt, knobs):
    if not re.fullmatch(r"[a-z][a-z0-9-]*", str(name)):
        raise ValueError(
            f"explore needs a name of a-z, 0-9 and -, got {name!r}: it is part of an address."
        )
    for what, text in (("caption", caption), ("alt", alt)):
        if not (isinstance(text, str) and text.strip()):
            raise ValueError(
                f"figure '{name}' needs {what} text, got {text!r}: some readers see only that."
            )
    for knob, value in knobs.items():
        if not isinstance(value, Knob):
            raise TypeError(
                f"figure '{name}' needs {knob} to be a log_knob, linear_knob or choice, "
                f"got {value!r}: a slider has a finite list of values."
            )
