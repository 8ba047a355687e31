"""Subscripts, superscripts and marks, in words and in pictures.

Oracles: what matplotlib's own mathtext parser makes of the same text; HTML read by the standard
library's parser; the sum of all shifts in a text, which is zero when the line is back.
"""

import html.parser
import xml.etree.ElementTree as ET

import pytest
from matplotlib.mathtext import MathTextParser

from helpers import panels
from helpers.live._figures import freeze
from helpers.live._letters import marks_of, runs, set_maths, to_html, to_plain
from helpers.live._snapshot import snapshot

TEXTS = [
    "largest curvature $λ_{max}$",
    "$T_αθ$ and $α^2λ_{max}(H_{22})$, both",
    "no formula, 3 < 4 & more",
    "$λ_{max}(H_{11})/α^2$",
    "$T_{α²}B$",
]


class Reader(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.said, self.tags = "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *dict(attrs).values()))

    def handle_data(self, data):
        self.said += data


def letters(text):
    return "".join(c for c in text if c not in "$_^{}")


@pytest.mark.parametrize("text", TEXTS)
def test_no_letter_is_lost_and_no_sign_of_the_notation_is_left(text):
    assert "".join(part for part, _ in runs(text)) == letters(text)
    assert Reader(to_html(text)).said == letters(text)
    assert not set("$_^{}") & set(to_plain(text))


@pytest.mark.parametrize("text", [t for t in TEXTS if "$" in t])
def test_what_is_small_here_is_small_in_a_kernel(text):
    """matplotlib sets a script at 0.7 of the size: its glyphs tell which letters are small."""
    glyphs = MathTextParser("path").parse(text, dpi=72).glyphs
    sizes = [round(size, 2) for _, size, *_ in glyphs]
    small = {chr(code) for _, size, code, *_ in glyphs if size < max(sizes)}
    ours = {c for part, kind in runs(text) if kind for c in part if c != " "}
    assert small == ours


@pytest.mark.parametrize("text", [t for t in TEXTS if "$" in t])
def test_a_line_of_a_picture_comes_back_to_where_it_was(text):
    node = ET.Element("text")
    node.text = text
    set_maths(node)
    assert "".join(node.itertext()) == letters(text)
    shift = [
        float(span.get("dy", "0em")[:-2]) * float(span.get("font-size", "100%")[:-1]) / 100
        for span in node
    ]
    if not node[-1].get("font-size"):
        assert sum(shift) == pytest.approx(0, abs=0.02)
    assert any(span.get("font-size") == "72%" for span in node)


def test_a_mark_in_words_lights_its_curve_and_is_silent():
    line = "It is [26 < 27 times](valley) as $λ_{max}$."
    said = Reader(to_html(line))
    assert said.tags == [("span", "valley"), ("sub",)]
    assert said.said == "It is 26 < 27 times as λmax."
    assert to_plain(line) == "It is 26 < 27 times as λ max."
    assert marks_of(line) == ["valley"]


@pytest.mark.parametrize("text", [r"$\lambda$", r"$\frac{1}{2}$"])
def test_tex_that_no_host_could_set_is_refused(text):
    with pytest.raises(ValueError, match="needs Unicode letters and one level of _ and"):
        runs(text)


def test_a_picture_takes_the_text_as_it_was_written():
    (fig,), (ax,) = panels(1)
    ax.set_title("The largest, $λ_{max}$")
    (node,) = [n for n in snapshot(fig).iter("text") if len(n)]
    assert [span.text for span in node] == ["The largest, ", "λ", "max"]


def test_what_stands_beside_a_formula_stands_where_a_kernel_puts_it():
    """matplotlib's own ticks of a log axis are formulas, and the axis label stands beside them."""
    (fig,), (ax,) = panels(1)
    ax.set(yscale="log", ylim=(1e-3, 1e3), ylabel="loss")
    fig.set_dpi(72)
    freeze(fig)
    (node,) = [n for n in snapshot(fig).iter("text") if n.text == "loss"]
    box = ax.yaxis.label.get_window_extent()
    assert box.x0 - 2 <= float(node.get("x")) <= box.x1 + 2 and box.x0 >= 0
