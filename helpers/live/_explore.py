"""Live figures: one drawing function, and a slider in a notebook, on the site and on a phone.

    figs, axes = panels(2)
    def draw(alpha):                       # plain matplotlib: update artists, return what to say
        ...
        return f"{number(top)} times as sharp. No answer changed."
    alpha = log_knob(1e-2, 1e2, start=3, per_decade=12, label="rescale by α")
    explore(draw, fig=figs, name="needle", alpha=alpha, drag=twin, caption="…", alt="…")

In a kernel each move calls `draw`. While the site is built (`HELPERS_HOST=site`) `draw` runs at
every position, and the page ships one SVG and the attributes that change: no kernel, no library.
"""

import os
import re

from IPython.display import Markdown, display

from helpers.live import _host_kernel as host_kernel
from helpers.live import _host_site as host_site
from helpers.live._figures import SETTINGS
from helpers.live._knobs import Knob

# Keywords of `explore` that are not knobs.
RESERVED = ("fig", "name", "caption", "alt", "drag", "guess", "still_panels", "why")


def explore(
    draw, *, fig, name, caption, alt, drag=None, guess=None, still_panels=(), why=None, **knobs
):
    """Show `fig` (a Figure or a list from `panels`) with a control for each knob of `draw`.

    `draw(**values)` updates artists and returns sentences, one a line; the first, of 60 characters
    or fewer, is the result and stands beside the knobs. It must depend on its knobs alone: any
    position may follow any other. `name` is the figure's address on the page
    (`#needle:alpha=2.5`); `alt` says what a reader who sees no picture needs.

    `drag` is a line of one panel whose last point a pointer drags, turning every slider; or (line,
    which point); or a dict from knobs to these, or to lists of them. `guess` asks before a panel is
    shown: a dict of `panel` (index), `question`, `options` (2 to 4), `right` (index) and `reply`.
    Each panel must change with the knobs, or be among `still_panels`. `why` is for the next author:
    the reason why nothing is dragged, or why two ends of a knob look alike.

    Texts may hold `$λ_{max}$`, and words written `[the trace](trace)` light what was named by
    `mark("trace", line)`. A site figure has at most 200 positions, 1,000 SVG elements and 60 kB.

    Raises: ValueError for a missing caption or alt text, a bad name, guess or handle, a panel that
    stands still, a figure over its budget or a `draw` with memory; RuntimeError, naming the
    position, where `draw` fails.
    """
    figs = list(fig) if isinstance(fig, (list, tuple)) else [fig]
    host = host_site if os.environ.get("HELPERS_HOST") == "site" else host_kernel
    words = {"name": name, "caption": caption, "alt": alt}
    try:
        _check(name, caption, alt, knobs)
        _check_guess(guess, len(figs), name)
        with SETTINGS.drawing():
            host.show(draw, figs, knobs, **words, drag=drag, guess=guess, still_panels=still_panels)
    finally:
        SETTINGS.shown(figs)


def still(fig, *, name, caption, alt):
    """Show `fig`, or a list of panels, without a knob, wherever `explore` would show it."""
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


def _check_guess(guess, count, name):
    if guess is None:
        return
    options = list(guess.get("options", ()))
    whole = set(guess) == {"panel", "question", "options", "right", "reply"}
    if not (whole and 2 <= len(options) <= 4 and guess["right"] in range(len(options))):
        raise ValueError(
            f"figure '{name}' needs guess to hold panel, question, 2 to 4 options, right (the "
            f"index of one) and reply, got {guess!r}: a reader answers it before a panel is shown."
        )
    if guess["panel"] not in range(count):
        raise ValueError(
            f"figure '{name}' needs guess to cover one of its {count} panels, got "
            f"{guess['panel']!r}: they count from 0."
        )
