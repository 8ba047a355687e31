"""The pieces every picture is made of.

Oracles: numbers and ticks are read back as numbers; contrast is WCAG's formula, written out here;
a frozen layout is compared with itself after the artists moved.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import PALETTE, digit_images, label, log_axes, number, panels
from helpers.live import _figures as figures
from helpers.live._figures import freeze

DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")


def read_back(text):
    """The number that a reader would take `text` for."""
    text = text.translate(DIGITS).replace(",", "")
    if "×10" in text:
        mantissa, exponent = text.split("×10")
        return float(mantissa) * 10.0 ** int(exponent)
    if text.lstrip("-").startswith("10") and text.lstrip("-") not in ("10", "100", "1000"):
        sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
        if len(rest) > 2 and ("-" in rest or "⁰" not in rest):
            return sign * 10.0 ** int(rest[2:])
    return float(text)


@given(st.floats(1e-12, 1e12), st.sampled_from([1, -1]))
def test_a_number_in_words_is_that_number(size, sign):
    text = number(sign * size)
    if not text.translate(DIGITS).lstrip("-").startswith("10"):  # 10⁻⁷ and 100 look alike here
        assert read_back(text) == pytest.approx(sign * size, rel=6e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (3411.6, "3,410"),
        (0.01414, "0.0141"),
        (2.5e-6, "2.5×10⁻⁶"),
        (1e-7, "10⁻⁷"),
        (-1e9, "−10⁹"),
        (math.inf, "∞"),
        (-0.5, "−0.5"),
        (9.999e-5, "0.0001"),
        (999.9, "1,000"),
    ],
)
def test_numbers_a_reader_meets(value, text):
    assert number(value) == text


def test_ticks_of_a_log_axis_are_powers_of_ten_in_plain_characters():
    _, (ax,) = panels(1)
    log_axes(ax, x=(1e-3, 1e3), y=(1e-6, 1e6), every_y=3)
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert [n for n in names if n] == [
        "10⁻⁴",
        "10⁻³",
        "10⁻²",
        "10⁻¹",
        "1",
        "10",
        "10²",
        "10³",
        "10⁴",
    ]
    assert "10⁻⁵" not in [tick.get_text() for tick in ax.get_yticklabels()]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("name", sorted(set(PALETTE) - {"faint"}))
def test_text_in_each_colour_reads_on_white(name):
    assert (1.05) / (luminance(PALETTE[name]) + 0.05) >= 4.5


def test_a_frozen_layout_does_not_move():
    (fig,), (ax,) = panels(1)
    (line,) = ax.plot([0, 1], [0, 1])
    freeze(fig)
    before = ax.get_position().bounds
    ax.set_ylim(0, 1e6)
    line.set_ydata([0, 1e6])
    fig.draw_without_rendering()
    assert ax.get_position().bounds == before


@pytest.mark.parametrize("heights", [(0, 3e-7), (1e5 + 0.1, 1e5 + 0.3), (0, 3e7)])
def test_a_title_stands_clear_of_a_factor_over_its_axis(heights):
    (fig,), (ax,) = panels(1)
    ax.plot([0, 1], heights)
    title, factor = ax.set_title("The loss"), ax.yaxis.get_offset_text()
    freeze(fig)
    fig.draw_without_rendering()
    assert factor.get_text()
    assert not title.get_window_extent().overlaps(factor.get_window_extent())
    assert title.get_window_extent().y1 <= fig.bbox.height


def test_panels_are_figures_of_their_own():
    figs, axes = panels(3)
    assert [ax.figure for ax in axes] == figs
    with pytest.raises(ValueError, match="panels needs count >= 1, got 0"):
        panels(0)


def test_digit_images_lie_where_they_say():
    _, (ax,) = panels(1)
    centres = digit_images(ax, np.random.default_rng(0).uniform(size=(6, 64)), columns=3)
    assert centres.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    for image, (x, y) in zip(ax.images, centres):
        left, right, bottom, top = image.get_extent()
        assert left < x < right
        assert min(top, bottom) < y < max(top, bottom)


def test_a_label_follows_its_point():
    _, (ax,) = panels(1)
    text = label(ax, 0.2, 0.3, "θ", color=figures.THETA, dx=4)
    text.xy = (0.7, 0.1)
    assert text.get_text() == "θ"
    assert text.xy == (0.7, 0.1)
