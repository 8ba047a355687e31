"""The book's pictures: a palette, panels of one size, direct labels, digits.

Colours carry meaning from page to page, and never alone: θ is blue and a circle, its twin T_α θ is
orange and a diamond, the orbit between them is grey, thresholds are green and dashed.
"""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

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

WIDTH, HEIGHT = 3.0, 2.7  # inches of a panel, always: a wider picture is a second panel
TYPE = 9.25  # points of all text: 13 pixels where a panel is 304 pixels wide

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
    "axes.titlesize": TYPE,
    "axes.titleweight": "bold",
    "axes.labelsize": TYPE,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": TYPE,
    "legend.frameon": False,
    "legend.fontsize": TYPE,
    "lines.linewidth": 1.8,
    "lines.markersize": 7.0,
    "mathtext.default": "regular",
    "text.color": INK,
    "xtick.color": ORBIT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": TYPE,
    "ytick.color": ORBIT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": TYPE,
}
SETTINGS = Settings(STYLE)
THETA_MARK = {"marker": "o", "color": THETA, "linestyle": "none", "zorder": 5}
TWIN_MARK = {"marker": "D", "color": TWIN, "linestyle": "none", "zorder": 6}


def panels(count=1):
    """`count` figures with one Axes each: `(figs, axes)`, two lists. `fig=figs` goes to `explore`.

    Each panel is a figure of its own so that a narrow page can stack them. They are not pyplot's:
    nothing is shown until `explore` or `still` shows it, and nothing needs closing. The book's
    matplotlib settings hold until the cell that shows them has ended; your own then come back (in
    a script the book's stay).
    Every panel has one size and every text in it one size, so figures read alike on every screen.
    """
    if count < 1:
        raise ValueError(f"panels needs count >= 1, got {count}: a figure has at least one panel.")
    SETTINGS.begin()
    figs = [Figure(figsize=(WIDTH, HEIGHT), layout="constrained") for _ in range(count)]
    SETTINGS.wait_for(figs)
    axes = [fig.add_subplot() for fig in figs]
    for ax in axes:
        ax.locator_params(nbins=4)  # ticks that a panel has room for; a log axis sets its own
    return figs, axes


def freeze(fig):
    """Lay `fig` out once, then hold the layout still, so that moving a knob moves no axes."""
    if fig.get_layout_engine() is not None:
        fig.draw_without_rendering()
        fig.set_layout_engine("none")


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


def mark(name, *artists):
    """Name `artists`: words written `[so](name)` light them up. Returns the artist, or all."""
    for artist in artists:
        artist.mark = name
    return artists[0] if len(artists) == 1 else artists


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
