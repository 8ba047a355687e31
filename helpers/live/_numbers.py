"""Numbers as a reader says them, in words and along an axis."""

import math

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    power = power_of_ten(int(exponent))
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
