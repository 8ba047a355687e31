"""Every figure of the site on every screen: sizes, edges, labels, and what a first screen holds.

Oracle: the browser's layout, at 360, 768, 1280 and 1920 pixels; each check is shown to fail on a
page that was spoilt by hand.
"""

from contextlib import contextmanager
from pathlib import Path

import pytest

from tools import pages

pytestmark = pytest.mark.site

CHECKS = Path(__file__).with_name("figure_checks.js")
WITH_FIGURES = [
    path.relative_to(pages.ROOT).with_suffix("").as_posix()
    for path in pages.sources()
    if path.suffix == ".ipynb" and "explore(" in path.read_text(encoding="utf-8")
]
WIDTHS = (360, 768, 1280, 1920)
LEAST, MOST, SPREAD = 12, 20, 1.1  # pixels of a text, and the largest over the smallest of a page
ANSWER = ".live-veil button:first-of-type"


@contextmanager
def opened(browser, site, page, width, height):
    """A page as it opens on this screen, where tall choices may become a list; no guess is made."""
    context = browser.new_context(viewport={"width": width, "height": height})
    tab = context.new_page()
    tab.add_init_script(path=CHECKS)
    tab.goto(f"{site.as_uri()}/{page}.html", wait_until="load")
    tab.evaluate("() => window.MathJax?.startup?.promise")
    yield tab
    context.close()


@pytest.fixture(scope="module", params=WITH_FIGURES)
def phone(request, browser, site):
    with opened(browser, site, request.param, WIDTHS[0], 740) as tab:
        yield tab


@pytest.fixture(scope="module", params=WITH_FIGURES)
def desk(request, browser, site):
    with opened(browser, site, request.param, 1280, 800) as tab:
        yield tab


def answer(tab):
    while tab.locator(ANSWER).count():
        tab.locator(ANSWER).first.click()


WHOLE = {"hand": True, "result": True, "panel": True}


def test_a_phone_s_first_screen_holds_a_picture_a_hand_and_the_result(phone):
    assert phone.evaluate("figureChecks.firstScreen()") == WHOLE


def test_all_text_of_a_page_has_one_size_that_reads(phone):
    answer(phone)
    for width in WIDTHS:
        phone.set_viewport_size({"width": width, "height": 800})
        sizes = phone.evaluate("figureChecks.textSizes()")
        assert min(sizes) >= LEAST and max(sizes) <= MOST, f"{width} px: {min(sizes), max(sizes)}"
        assert max(sizes) / min(sizes) <= SPREAD, f"{width} px: {min(sizes)} and {max(sizes)}"
        assert phone.evaluate("figureChecks.raggedTops()") == [], f"{width} px"


def test_no_formula_of_a_phone_is_cut_and_no_slider_hops_under_a_thumb(phone):
    answer(phone)
    phone.set_viewport_size({"width": WIDTHS[0], "height": 740})
    phone.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    assert phone.evaluate("figureChecks.cutFormulas()") == []
    assert phone.evaluate("figureChecks.hops()") == []


def test_the_first_screen_holds_a_picture_a_hand_and_the_result(desk):
    assert desk.evaluate("figureChecks.firstScreen()") == WHOLE


def test_no_label_lies_on_another_or_leaves_its_panel(desk):
    answer(desk)
    assert desk.evaluate("figureChecks.crowdedAnywhere()") == []


SPOILT = {
    "textSizes().filter(x => x < 12).length": "text.style.fontSize = '5px'",
    "raggedTops().length": "svg.style.marginTop = '30px'",
    "crowdedAnywhere().length": "text.setAttribute('transform', 'translate(-400 0)')",
}
SPOIL = """how => { const svg = document.querySelectorAll('.live-panel > svg')[1];
const text = svg.querySelector('text'); new Function('svg', 'text', how)(svg, text); }"""


@pytest.mark.parametrize("desk", WITH_FIGURES[:1], indirect=True)
@pytest.mark.parametrize(("check", "how"), SPOILT.items())
def test_a_spoilt_page_is_noticed(desk, check, how):
    desk.reload()
    answer(desk)
    assert not desk.evaluate(f"figureChecks.{check}")
    desk.evaluate(SPOIL, how)
    assert desk.evaluate(f"figureChecks.{check}")
