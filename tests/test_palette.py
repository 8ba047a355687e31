"""The site's colours are the figures' colours, and both themes read.

Oracle: the palette as matplotlib gets it, and the contrast formula of WCAG 2, typed here.
"""

import re

import pytest

from helpers import PALETTE
from helpers.live._figures import DARK
from tools import ROOT, palette

PAPER = {"light": "#ffffff", "dark": "#14181c"}


def test_a_colour_changed_in_the_helpers_changes_on_the_site(monkeypatch):
    monkeypatch.setitem(palette.PALETTE, "twin", "#123456")
    assert "--twin: #123456;" in palette.css()


def test_no_other_sheet_repeats_a_colour():
    ours = {colour for colours in (PALETTE, DARK) for colour in colours.values()}
    for path in (ROOT / "book" / "_static").glob("*.css"):
        assert not ours & set(re.findall(r"#[0-9a-f]{6}", path.read_text(encoding="utf-8"))), path


def test_both_themes_name_the_same_colours():
    assert PALETTE.keys() == DARK.keys()
    assert palette.css().count("--theta") == 2


def luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize(("theme", "colours"), [("light", PALETTE), ("dark", DARK)])
def test_words_in_a_colour_of_the_palette_have_contrast(theme, colours):
    paper = luminance(PAPER[theme])
    for name in ("theta", "twin", "orbit", "accent", "ink"):
        pair = sorted((luminance(colours[name]), paper))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, name
