"""What a reader meets who has no pointer: each stop of the Tab key is seen, and nothing is lost.

Oracle: real keys in a real browser on the built site, and what lies on top at the focus; each check
is shown to fail on a page that was spoilt by hand.
"""

from pathlib import Path

import pytest

pytestmark = pytest.mark.site

CHECKS = Path(__file__).with_name("focus_checks.js")
CHAPTER = "meaning/curvature"  # its guess has four options
PAGES = (CHAPTER, "teach/before_you_start", "map")
SCREENS = {"laptop": (1280, 900), "doubled": (960, 540), "phone": (390, 740)}
MOST = 400  # stops of a page
AT_ONCE = "* { scroll-behavior: auto !important; transition: none !important }"


@pytest.fixture
def open_page(browser, site):
    """open_page("map", (1280, 900)): a tab with that page, as a new reader has it."""
    contexts = []

    def open_it(page, screen=SCREENS["laptop"], **options):
        size = dict(zip(("width", "height"), screen))
        contexts.append(browser.new_context(viewport=size, **options))
        tab = contexts[-1].new_page()
        tab.add_init_script(path=CHECKS)
        tab.goto(f"{site.as_uri()}/book/{page}.html", wait_until="load")
        tab.evaluate("() => window.MathJax?.startup?.promise")
        tab.add_style_tag(content=AT_ONCE)
        return tab

    yield open_it
    for context in contexts:
        context.close()


def walk(tab):
    """The faults of each stop, from the top of the page until the focus leaves it."""
    found = []
    for stop in range(MOST):
        tab.keyboard.press("Tab")
        faults = tab.evaluate("focusChecks.faults()")
        if faults is None:
            assert stop > 20
            return found
        found += faults
    raise AssertionError(f"{tab.url} has more than {MOST} stops.")


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("page", PAGES)
def test_each_stop_of_the_tab_key_is_seen_and_has_a_ring(open_page, page, screen):
    assert walk(open_page(page, SCREENS[screen])) == []


def test_the_search_box_keeps_the_tab_key_and_escape_leads_back_to_its_button(open_page):
    tab = open_page("map")
    at = "document.activeElement.className"
    box = tab.locator(".search-button__wrapper")
    tab.locator(".search-button__button:visible").press("Enter")
    for key in ("Tab", "Shift+Tab"):
        tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.id") == "search-input"
    tab.keyboard.press("Escape")
    assert "show" not in box.get_attribute("class")
    assert "search-button__button" in tab.evaluate(at)
    tab.keyboard.press("Tab")
    assert "search-button__button" not in tab.evaluate(at)


DESCRIPTION = """letters => letters.map(letter =>
  document.getElementById(letter.getAttribute("aria-describedby")).textContent.trim())"""


def test_who_listens_to_a_choice_hears_its_exponents(open_page):
    tab = open_page("after/the_exponent_survives")
    tab.locator(".predict-row [id$=spoken]").nth(3).wait_for(state="attached")
    heard = tab.locator(".predict-letter").evaluate_all(DESCRIPTION)
    assert heard == [f"10 to the power {raised}" for raised in (2, 12, 15, 24)]


@pytest.mark.parametrize("page", ["gallery", "map"])
def test_a_page_fits_a_window_of_320_pixels(open_page, page):
    tab = open_page(page, (320, 640))
    assert tab.evaluate("document.documentElement.scrollWidth") == 320


SPOILT = {
    "map": ".bd-toc-nav .visible { visibility: visible !important }",
    "teach/before_you_start": "body .btn:focus-visible { outline: none !important }",
    CHAPTER: ".live-bar { position: sticky !important; bottom: 0.5rem !important }",
}


@pytest.mark.parametrize(("page", "how"), SPOILT.items())
def test_a_spoilt_page_is_noticed(open_page, page, how):
    tab = open_page(page, SCREENS["doubled"])
    tab.add_style_tag(content=how)
    assert walk(tab)
