"""The figure of an audit, from plain numbers: eigenvalues here, one rescaling, what moves."""

import numpy as np

from helpers.live import _figures as ink
from helpers.live._numbers import log_axes


def audit_panels(nodes, shares, curves, ratios):
    """Return the panels: the eigenvalues here, `curves` (c, λ_max, trace, c of the twin), `ratios`.

    `ratios` are pairs: a measure, and its value at the twin over that here. Without any there is
    no orbit, and the eigenvalues alone are drawn.
    """
    nodes, shares = np.asarray(nodes), np.asarray(shares)
    figs, (density, *others) = ink.panels(3 if ratios else 1)
    gaps, low = np.full_like(nodes, np.nan), np.full_like(nodes, 1e-6)
    ends = (nodes, nodes, gaps), (low, np.maximum(shares, low), gaps)
    density.plot(*(np.stack(end, 1).ravel() for end in ends), color=ink.THETA)
    log_axes(density, y=(1e-6, 2), every_y=2)
    density.set(xlabel="eigenvalue λ", ylabel="share of the eigenvalues")
    density.set_title("How the eigenvalues lie here")
    if ratios:
        _curves(others[0], *curves)
        _ratios(others[1], *zip(*ratios))
    return figs


def _curves(ax, amounts, tops, traces, at):
    amounts, tops, traces = (np.asarray(t) for t in (amounts, tops, traces))
    for values, name, color in ((tops, "$λ_{max}$", ink.INK), (traces, "trace", ink.ACCENT)):
        ax.plot(amounts, values, color=color)
        ink.label(ax, amounts[-1], values[-1], name, color=color, dx=3)
    for c, style in ((1, ink.THETA_MARK), (at, ink.TWIN_MARK)):
        ax.plot([c], [np.interp(np.log(c), np.log(amounts), tops)], **style, clip_on=False)
    log_axes(ax, x=(amounts[0], amounts[-1]))
    ax.set(yscale="log" if min(tops.min(), traces.min()) > 0 else "symlog")
    ax.set(xlabel="rescale by c", ylabel="curvature")
    ax.set_title("Same answers all along")


def _ratios(ax, names, values):
    values = np.maximum(np.abs(values), 1e-9)  # a log axis has sizes only
    for row, (name, value) in enumerate(zip(names, values)):
        ax.plot([1, value], [-row, -row], color=ink.ORBIT)
        ax.plot([value], [-row], **ink.TWIN_MARK)
        ink.label(ax, 1, -row, name.replace("λ_max", "$λ_{max}$"), dy=10)
    log_axes(ax, x=(0.5 * min(*values, 1), 10 * max(*values, 1)), every_x=2)
    ax.set(yticks=[], ylim=(0.6 - len(names), 0.8), xlabel="size at the sharper twin, over here")
    ax.set_title("Some move, some do not")
