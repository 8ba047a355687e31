"""Every figure of the site on every screen: sizes, edges, labels, and what a first screen holds.

Oracle: the browser's layout, at 360, 768, 1280 and 1920 pixels; each check is shown to fail on a
page that was spoilt by hand.
"""

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


@pytest.fixture
def open_page(browser, site):
    """open_page("book/index", width, height): a tab whose guesses are answered, unless asked."""
    contexts = []

    def open_it(page, width, height=800, *, guess=True):
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        tab = context.new_page()
        tab.add_init_script(path=CHECKS)
        tab.goto(f"{site.as_uri()}/{page}.html", wait_until="load")
        while guess and tab.locator(ANSWER).count():
            tab.locator(ANSWER).first.click()
        return tab

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("page", WITH_FIGURES)
def test_all_text_of_a_page_has_one_size_that_reads(open_page, page):
    tab = open_page(page, WIDTHS[0])
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 800})
        sizes = tab.evaluate("figureChecks.textSizes()")
        assert min(sizes) >= LEAST and max(sizes) <= MOST, f"{width} px: {min(sizes), max(sizes)}"
        assert max(sizes) / min(sizes) <= SPREAD, f"{width} px: {min(sizes)} and {max(sizes)}"
        assert tab.evaluate("figureChecks.raggedTops()") == [], f"{width} px"


@pytest.mark.parametrize("page", WITH_FIGURES)
def test_no_label_lies_on_another_or_leaves_its_panel(open_page, page):
    tab = open_page(page, 1280)
    assert tab.evaluate("figureChecks.crowdedAnywhere()") == []


@pytest.mark.parametrize("size", [(1280, 800), (360, 740)])
@pytest.mark.parametrize("page", WITH_FIGURES)
def test_the_first_screen_holds_a_picture_a_hand_and_the_result(open_page, page, size):
    tab = open_page(page, *size, guess=False)
    tab.evaluate("() => window.MathJax?.startup?.promise")
    assert tab.evaluate("figureChecks.firstScreen()") == {
        "hand": True,
        "result": True,
        "panel": True,
    }


SPOILT = {
    "textSizes().filter(x => x < 12).length": "text.style.fontSize = '5px'",
    "raggedTops().length": "svg.style.marginTop = '30px'",
    "crowdedAnywhere().length": "text.setAttribute('transform', 'translate(-400 0)')",
}
SPOIL = """how => { const svg = document.querySelectorAll('.live-panel > svg')[1];
const text = svg.querySelector('text'); new Function('svg', 'text', how)(svg, text); }"""


@pytest.mark.parametrize(("check", "how"), SPOILT.items())
def test_a_spoilt_page_is_noticed(open_page, check, how):
    tab = open_page(WITH_FIGURES[0], 1280)
    assert not tab.evaluate(f"figureChecks.{check}")
    tab.evaluate(SPOIL, how)
    assert tab.evaluate(f"figureChecks.{check}")
