"""The book's pictures: a palette, panels that read at 240 pixels, log ticks, direct labels, digits.

Colours carry meaning from page to page, and never alone: θ is blue and a circle, its twin T_α θ is
orange and a diamond, the orbit between them is grey, thresholds are green and dashed.
"""

import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from helpers.live._settings import Settings

# Okabe and Ito's hues, which colour-blind readers tell apart; vermilion and green are darkened
# until text in them has a contrast of 4.5 on white. The site swaps each for a CSS variable of the
# same name, so that a dark page has its own values.
THETA = "#0072b2"
TWIN = "#bd5200"
ORBIT = "#707070"
ACCENT = "#007d5b"
INK = "#1a1a1a"
FAINT = "#c8c8c8"
PALETTE = {
    "theta": THETA,
    "twin": TWIN,
    "orbit": ORBIT,
    "accent": ACCENT,
    "ink": INK,
    "faint": FAINT,
}
DARK = {  # the same six on a dark page; the site alone uses them
    "theta": "#62b8ee",
    "twin": "#ff9c4f",
    "orbit": "#a3a3a3",
    "accent": "#45cfa2",
    "ink": "#e6e8ea",
    "faint": "#4d535a",
}

STYLE = {
    "axes.edgecolor": ORBIT,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": matplotlib.cycler(color=[THETA, TWIN, ACCENT, ORBIT]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.5,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 7.0,
    "mathtext.default": "regular",
    "text.color": INK,
    "xtick.color": ORBIT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9.0,
    "ytick.color": ORBIT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9.0,
}
SETTINGS = Settings(STYLE)
THETA_MARK = {"marker": "o", "color": THETA, "linestyle": "none", "zorder": 5}
TWIN_MARK = {"marker": "D", "color": TWIN, "linestyle": "none", "zorder": 6}

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def panels(count=1, *, width=3.0, height=2.7):
    """`count` figures with one Axes each: `(figs, axes)`, two lists. `fig=figs` goes to `explore`.

    Each panel is a figure of its own so that a narrow page can stack them. They are not pyplot's:
    nothing is shown until `explore` or `still` shows it, and nothing needs closing. The book's
    matplotlib settings hold until the cell that shows them has ended; your own then come back.
    `width` and `height` are inches at 72 points, and text is 9 to 10 points, so a panel reads from
    240 pixels up.
    """
    if count < 1:
        raise ValueError(f"panels needs count >= 1, got {count}: a figure has at least one panel.")
    SETTINGS.begin()
    figs = [Figure(figsize=(width, height), layout="constrained") for _ in range(count)]
    SETTINGS.wait_for(figs)
    return figs, [fig.add_subplot() for fig in figs]


def freeze(fig):
    """Lay `fig` out once, then hold the layout still, so that moving a knob moves no axes."""
    if fig.get_layout_engine() is not None:
        fig.draw_without_rendering()
        fig.set_layout_engine("none")


def power_of_ten(exponent):
    """10 to an integer `exponent` in plain characters: `10⁻³`; `1` and `10` for 0 and 1."""
    plain = {0: "1", 1: "10"}
    return plain.get(exponent) or "10" + str(exponent).translate(_SUPERSCRIPT)


def number(value, digits=3):
    """`value` in words a reader can say: `0.0141`, `3,412`, `2.5×10⁻⁶`; `digits` significant."""
    if not math.isfinite(value) or value == 0:
        return "0" if value == 0 else str(value).replace("-", "−").replace("inf", "∞")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if -4 <= int(exponent) <= 5:
        decimals = max(0, digits - 1 - int(exponent))
        return _trim(f"{float(f'{mantissa}e{exponent}'):,.{decimals}f}").replace("-", "−")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    mantissa = _trim(mantissa).replace("-", "−")
    return {"1": power, "−1": "−" + power}.get(mantissa) or f"{mantissa}×{power}"


def _trim(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def log_ticks(axis, *, every=1):
    """Ticks of a log `axis` (`ax.xaxis`, `ax.yaxis`) at each `every`-th power of ten, as `10⁻³`."""
    axis.set_major_locator(LogLocator(base=10.0, numticks=64))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())

    def text(value, _position):
        exponent = round(math.log10(value)) if value > 0 else 0
        return power_of_ten(exponent) if value > 0 and exponent % every == 0 else ""

    axis.set_major_formatter(FuncFormatter(text))


def log_axes(ax, *, x=None, y=None, every_x=1, every_y=1):
    """Make `ax` logarithmic in `x` and in `y`, each given as its limits `(low, high)` or None."""
    if x is not None:
        ax.set(xscale="log", xlim=x)
        log_ticks(ax.xaxis, every=every_x)
    if y is not None:
        ax.set(yscale="log", ylim=y)
        log_ticks(ax.yaxis, every=every_y)


def label(ax, x, y, text, *, color=INK, ha="left", va="center", dx=0.0, dy=0.0, **style):
    """Write `text` beside the point (x, y) of `ax`, moved by (dx, dy) points; returns the artist.

    Direct labels instead of a legend: the eye need not travel. `artist.xy` moves it later.
    """
    return ax.annotate(
        text,
        (x, y),
        (dx, dy),
        textcoords="offset points",
        color=color,
        ha=ha,
        va=va,
        annotation_clip=False,
        **style,
    )


def contours(ax, X, Y, Z, levels, *, color=FAINT, linewidth=0.9):
    """Contour lines of Z (m, n) over X, Y in one quiet colour, so that they read on a dark page."""
    lines = ax.contour(X, Y, Z, levels=levels, colors=[color], linewidths=linewidth)
    lines.set(zorder=1)
    return lines


def digit_images(ax, images, *, columns=None, gap=0.15):
    """Draw `images` (k, 8, 8) or (k, 64) in a grid on `ax`; returns each one's centre, (k, 2).

    Paper is clear and grey levels go into the transparency of the ink, which the site turns light
    on a dark page. One unit of the axes is one image with its `gap`.
    """
    images = np.asarray(images, dtype=float).reshape(len(images), 8, 8)
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    centres = np.array([(i % columns, i // columns) for i in range(len(images))], dtype=float)
    half = (1 - gap) / 2
    for (x, y), image in zip(centres, images / max(images.max(), 1e-12)):
        ax.imshow(
            _ink(image), interpolation="none", extent=(x - half, x + half, y + half, y - half)
        )
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    ax.axis("off")
    return centres


def _ink(image):
    rgba = np.empty((*image.shape, 4))
    rgba[..., :3] = matplotlib.colors.to_rgb(INK)
    rgba[..., 3] = image
    return rgba
