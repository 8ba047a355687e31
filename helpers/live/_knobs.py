"""Knobs: what a reader may turn. Each is a finite list of values, so each position is measured."""

import itertools
import math
from dataclasses import dataclass

from helpers.live._numbers import number


@dataclass(frozen=True)
class Knob:
    """One thing to turn: `values` in order, each with its `texts`; `start` is an index."""

    kind: str  # "range" or "choice"
    values: tuple
    texts: tuple  # what the reader sees, one for each value
    start: int
    label: str | None = None


def log_knob(low, high, *, start, per_decade, label=None, unit=""):
    """A slider from `low` to `high`, `per_decade` values a decade, the powers of ten among them.

    Values have three significant digits, so that what is written is what was measured, and the
    one nearest to `start` becomes `start` exactly. A start of 1 is refused: at the factor 1 a
    rescaling does nothing, and the figure would open on two pictures that are the same.
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"log_knob needs 0 < low < high, got {low}, {high}: it spaces logarithms.")
    if not 1 <= per_decade <= 100:
        raise ValueError(f"log_knob needs per_decade from 1 to 100, got {per_decade}.")
    if start == 1:
        raise ValueError("log_knob needs start other than 1, got 1: that rescales nothing.")
    first, last = (per_decade * math.log10(end) for end in (low / 1.01, high * 1.01))
    steps = range(math.ceil(first), math.floor(last) + 1)
    _check_steps("log_knob", len(steps))
    values = [float(f"{10 ** (k / per_decade):.2e}") for k in steps]
    for at, end in ((0, low), (-1, high)):  # 0.5 where the grid has 0.501
        values[at] = float(end) if abs(values[at] / end - 1) < 0.01 else values[at]
    return _slider(values, start, label, unit)


def linear_knob(low, high, *, start, steps=41, label=None, unit=""):
    """A slider of `steps` equally spaced values from `low` to `high`; the nearest is `start`."""
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"linear_knob needs low < high, got {low}, {high}: a slider has two ends.")
    _check_steps("linear_knob", steps)
    width = (high - low) / (steps - 1)
    digits = 10 - math.floor(math.log10(width))
    values = [round(low + width * i, digits) + 0.0 for i in range(steps)]  # no −0, no 5e-17
    return _slider(values, start, label, unit)


def choice(options, *, start=None, label=None):
    """A row of buttons, one for each of `options` (any values, shown as text), `start` pressed."""
    options = tuple(options)
    if len(options) < 2:
        raise ValueError(
            f"choice needs two options or more, got {len(options)}: nothing to choose."
        )
    if start is not None and start not in options:
        raise ValueError(
            f"choice needs start among {list(options)}, got {start!r}: no such button."
        )
    index = 0 if start is None else options.index(start)
    return Knob("choice", options, tuple(str(option) for option in options), index, label)


def _check_steps(who, steps):
    if steps < 2:
        raise ValueError(f"{who} needs steps >= 2, got {steps}: a slider has two ends.")


def _slider(values, start, label, unit):
    low, high = values[0], values[-1]
    if not low <= start <= high:
        raise ValueError(f"a knob needs its start in [{low}, {high}], got {start}: out of reach.")
    index = min(range(len(values)), key=lambda i: abs(values[i] - start))
    values[index] = float(start)  # a round number where the grid has 3.16
    after = unit if unit in ("", "°") else f" {unit}"  # 30°, and 30 steps
    texts = tuple(number(value) + after for value in values)
    return Knob("range", tuple(values), texts, index, label)


def label_of(name, knob):
    """What stands beside the control: the knob's own label, or its name."""
    return knob.label or name.replace("_", " ")


def positions(knobs):
    """Each combination of the `knobs` (dict name → Knob) as keywords; the last turns fastest."""
    names, lists = list(knobs), [knob.values for knob in knobs.values()]
    return [dict(zip(names, combination)) for combination in itertools.product(*lists)]


def start_of(knobs):
    """The index in `positions(knobs)` at which every knob stands at its start."""
    index = 0
    for knob in knobs.values():
        index = index * len(knob.values) + knob.start
    return index


def spell(position):
    """A position in words, for errors: `alpha=2.51, layer='theta1'`."""
    return ", ".join(f"{name}={value!r}" for name, value in position.items()) or "its only position"
