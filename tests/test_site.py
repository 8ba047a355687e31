"""The built site in a real browser, opened from the disk: what a reader without a kernel meets.

Oracle: the browser. Nothing is read from the sources but the list of pages.
"""

import gzip
import re
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from serving import served

from tools import editions, pages
from tools.whole_book import read_book

pytestmark = pytest.mark.site

PAGES = pages.table_of_contents()
FIRST = PAGES[0]
CHECKS = Path(__file__).with_name("page_checks.js")
HOME = ("file:", "data:", "about:")
FIRST_LOAD = 505_000  # bytes gzipped of the first page and all it loads; the goal is 500_000


@contextmanager
def opening(browser, site):
    """open_page("book/index", theme="dark", hash="#…", **context): a tab that remembers faults.

    `refused` is a pattern of addresses that this reader's browser does not load.
    """
    contexts = []

    def open_it(page, *, theme="light", hash="", base=None, refused=None, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        if refused:
            context.route(refused, lambda route: route.abort())
        contexts.append(context)
        tab = context.new_page()
        listen(tab)
        if options.get("java_script_enabled", True):
            chosen = f"localStorage.theme = localStorage.mode = '{theme}'"
            tab.add_init_script(f"try {{ {chosen} }} catch {{ /* a frame may refuse */ }}")
            tab.add_init_script(path=CHECKS)
        tab.goto(f"{base or site.as_uri()}/{page}.html{hash}", wait_until="load")
        if options.get("java_script_enabled", True) and page in PAGES:
            tab.evaluate("() => window.MathJax?.startup?.promise")
        return tab

    try:
        yield open_it
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def open_page(browser, site):
    with opening(browser, site) as open_it:
        yield open_it


@pytest.fixture(scope="module", params=PAGES)
def tab(request, browser, site):
    """Each page, opened once for all that looks at it and moves what stands on it."""
    with opening(browser, site) as open_it:
        yield open_it(request.param, reduced_motion="reduce")


@pytest.fixture(scope="module", params=PAGES)
def still(request, browser, site):
    """Each page as a browser without scripts shows it."""
    with opening(browser, site) as open_it:
        yield open_it(request.param, java_script_enabled=False)


THEME = "document.documentElement.dataset.theme"
TURN = "document.querySelector('.theme-switch-button').click()"
SETTLED = "() => Promise.all(document.getAnimations().map((one) => one.finished))"


def look(tab, *, width=1280, theme="light", media="screen"):
    """The tab as a reader with this screen, this theme or this paper sees it."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(media=media)
    for _ in range(3):  # the button goes round: as the device is, light, dark
        if tab.evaluate(THEME) != theme:
            tab.evaluate(TURN)
    tab.evaluate(SETTLED)
    assert tab.evaluate(THEME) == theme


def listen(tab):
    """Collect on `tab` its faults, in words, and every address it asked for."""
    tab.faults, tab.asked = [], []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # given up because the reader went on
            tab.faults.append(f"missing: {request.url}")

    tab.on("pageerror", lambda error: tab.faults.append(f"script error: {error}"))
    tab.on("requestfailed", failed)
    tab.on("request", lambda request: tab.asked.append(request.url))

    def heard(message):
        if message.type in ("error", "warning"):
            tab.faults.append(f"console: {message.text}")

    tab.on("console", heard)


ICONS = ".article-header-buttons :is(.btn > i, .btn > .fa-list):visible"
BOXES = """all => all.map(icon => icon.getBoundingClientRect()).map(box =>
  [box.height, box.top + box.height / 2])"""


# ---- every page ----------------------------------------------------------------------------------


def test_a_page_is_whole_and_asks_nobody(tab):
    look(tab)
    assert tab.faults == []
    assert [url for url in tab.asked if not url.startswith(HOME)] == []
    assert tab.locator("h1:visible").count() == 1
    if tab.locator(".secondary-toggle:visible").count():  # a button opens something
        assert tab.locator(".bd-sidebar-secondary").count() == 1
    sizes, tops = zip(*tab.locator(ICONS).evaluate_all(BOXES))
    assert max(sizes) - min(sizes) < 1 and max(tops) - min(tops) < 1.5
    assert tab.locator("input[type=search]:visible, .search-button-field:visible").count() == 1
    assert tab.evaluate("checks.imagesWithoutAlt()") == []
    assert tab.evaluate("checks.wordsWithoutDefinition()") == []
    assert tab.evaluate("checks.rawMath()") == []
    assert "require.min.js" not in tab.content()
    assert "application/vnd.jupyter" not in tab.content()
    assert tab.evaluate("checks.repeatedIds()") == []
    for figure in tab.query_selector_all("figure.live"):
        assert figure.query_selector(".live-caption").inner_text().strip()
        assert len(figure.query_selector(".live-panels").get_attribute("aria-label")) > 20


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_reads_in_both_themes(tab, theme):
    look(tab, theme=theme)
    assert tab.evaluate("checks.faintText()") == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_phone_and_its_controls_a_thumb(open_page, page):
    """Opened there: where choices would be too tall, a figure has a list instead."""
    tab = open_page(page, viewport={"width": 360, "height": 740}, has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert tab.evaluate("checks.tooWide()") == []
    assert tab.locator("article table.stacked").evaluate_all(CUT) == []
    for place in tab.locator(".lead-in .times").first.locator("..").all():
        assert place.bounding_box()["height"] < 30  # one line
    assert tab.evaluate("checks.smallControls()") == []
    tab.evaluate("document.documentElement.style.fontSize = '150%'")  # a reader's larger letters
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


CUT = """all => all.filter(node => node.getClientRects().length
    && node.scrollWidth > node.clientWidth + 1).map(node => node.textContent)"""
ALIGN = "node => getComputedStyle(node).textAlign"
SHUT = "document.querySelectorAll('article details:not(.hide):not([open])').length"


def test_a_page_fits_the_paper_with_its_answers_open(tab):
    look(tab, width=673, media="print")  # of A4, without its margins
    assert tab.locator("article pre").evaluate_all(CUT) == []
    for fold in tab.locator("div.cell > details.hide:only-child:not([open])").all():
        assert not fold.is_visible()
    assert tab.locator("#jb-print-docs-body h1").evaluate(ALIGN) == "left"
    shut = tab.evaluate(SHUT)
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate(SHUT) == 0
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate(SHUT) == shut


GAP = """link => link.nextElementSibling.getBoundingClientRect().top
    - link.getBoundingClientRect().bottom"""


@pytest.mark.parametrize("come", ["hover", "focus"])
def test_a_definition_opens_at_its_link_and_escape_puts_it_away(open_page, come):
    tab = open_page(FIRST)
    link = tab.locator("article a[aria-describedby]").first
    box = tab.locator(f"[id='{link.get_attribute('aria-describedby')}']")
    assert not box.is_visible()
    tab.keyboard.press("Tab")  # from now on a focus is one by keyboard
    getattr(link, come)()
    box.wait_for(state="visible")
    assert abs(link.evaluate(GAP)) < 12  # both read at once: the page may still be scrolling
    tab.keyboard.press("Escape")
    assert not box.is_visible()


# ---- figures -------------------------------------------------------------------------------------


def sight(figure):
    return figure.evaluate("figure => checks.sight(figure)")


def sights(tab, figure, knob):
    """Picture and words at the knob's ends and its middle, moved by keyboard as a reader would."""
    seen = [sight(figure)]
    if knob.get_attribute("type") != "radio":  # a slider or a list
        knob.focus()
        for key in ("End", "ArrowLeft", "Home", "ArrowRight"):
            tab.keyboard.press(key)
            seen.append(sight(figure))
    else:
        for label in figure.query_selector_all(f"input[name={knob.get_attribute('name')}] + label"):
            label.click()
            seen.append(sight(figure))
    return seen


def knobs(figure):
    """One element for each knob: a slider, a list, or the first of its buttons."""
    sliders = figure.query_selector_all("input[type=range], select")
    return [*sliders, *figure.query_selector_all("fieldset input:first-child")]


def test_every_control_moves_its_picture_and_its_words(tab):
    look(tab)
    tab.evaluate("checks.guess()")
    for figure in tab.query_selector_all("figure.live:has(.live-data)"):
        name = figure.get_attribute("id")
        assert knobs(figure), f"figure {name} has no control"
        for knob in knobs(figure):
            pictures, words = (set(part) for part in zip(*sights(tab, figure, knob)))
            which = f"figure {name}, {knob.get_attribute('id')}"
            assert len(pictures) > 1, f"{which}: the picture stands still"
            assert len(words) > 1, f"{which}: the words stand still"
    assert tab.faults == []


# ---- without scripts -----------------------------------------------------------------------------


def test_without_scripts_a_figure_is_a_still_with_its_words(still):
    for figure in still.query_selector_all("figure.live"):
        for part in (".live-panel > svg", ".live-result", ".live-words p", ".live-caption"):
            shown = [found.is_visible() for found in figure.query_selector_all(part)]
            assert all(shown), part
        if result := figure.query_selector(".live-result"):  # a still that has no knob has none
            assert result.inner_text().strip()
        assert figure.query_selector(".live-panels svg").bounding_box()["width"] > 150
        assert figure.query_selector("input, button, select, .live-grip") is None


# In a drawing `a.href` is an object, so the attribute is resolved by hand.
HREFS = "all => all.map(a => new URL(a.getAttribute('href'), document.baseURI).href)"


def test_every_local_link_has_a_target(still):
    links = [urlparse(url) for url in still.eval_on_selector_all("a[href]", HREFS)]
    paths = {Path(unquote(link.path)) for link in links if link.scheme == "file"}
    assert paths
    assert [path for path in paths if not path.exists()] == []


# ---- the first figure, in detail -----------------------------------------------------------------


def first_slider(tab):
    figure = tab.query_selector("figure.live:has(input[type=range])")
    return figure, figure.query_selector("input[type=range]")


def test_a_link_leads_to_a_position(open_page):
    name, knob, value = open_page(FIRST).evaluate("checks.address(3)")
    for wanted in (value, value * 1.001):
        tab = open_page(FIRST, hash=f"#{name}:{knob}={wanted}")
        figure, slider = first_slider(tab)
        assert slider.input_value() == "3"
        assert tab.evaluate("f => f.getBoundingClientRect().top < innerHeight", figure)
    tab.evaluate(f"location.hash = '#{name}:{knob}=1e99'")
    tab.wait_for_function("s => s.value === s.max", arg=slider)


def test_a_position_gives_its_link_and_reset_leads_back(open_page):
    tab = open_page(FIRST)
    figure, slider = first_slider(tab)
    start = sight(figure)
    slider.press("ArrowRight")
    figure.query_selector(".live-link").click()
    assert tab.evaluate("location.hash").startswith(f"#{figure.get_attribute('id')}:")
    figure.query_selector(".live-reset").click()
    assert sight(figure) == start


def test_play_runs_and_rests_where_motion_is_unwanted(open_page):
    tab = open_page(FIRST)
    figure, slider = first_slider(tab)
    before = slider.input_value()
    figure.query_selector(".live-play").click()
    tab.wait_for_function("([s, before]) => s.value !== before", arg=[slider, before])
    figure.query_selector(".live-play").click()
    still = first_slider(open_page(FIRST, reduced_motion="reduce"))[0]
    assert still.query_selector(".live-play") is None


def test_a_screen_reader_hears_the_value_and_then_the_words(open_page):
    tab = open_page(FIRST)
    tab.evaluate("checks.guess()")
    figure, slider = first_slider(tab)
    reading = figure.query_selector(".live-value")
    assert slider.get_attribute("aria-valuetext") == reading.inner_text()
    assert reading.get_attribute("aria-live") == "off"  # else the value is said twice
    voice = figure.query_selector("[aria-live=polite]")
    slider.press("ArrowRight")
    assert voice.text_content() == ""
    tab.wait_for_function("v => v.textContent.length > 10", arg=voice)


# ---- the whole site ------------------------------------------------------------------------------


@pytest.fixture
def address(site):
    """The address of a server of the site, without a slash at the end."""
    with served(site) as address:
        yield address.removesuffix("/")


def test_the_root_leads_to_the_first_page_from_a_server_too(open_page, address):
    tab = open_page("index", base=address)
    tab.wait_for_selector("figure.live .live-actions")
    assert tab.faults == []
    assert {urlparse(url).netloc for url in tab.asked} - {urlparse(address).netloc} <= {""}


WEIGHT = "title => Number(getComputedStyle(title).fontWeight)"


LEAD = """() => {
  const lead = document.querySelector(".lead").getBoundingClientRect();
  const { theme } = document.documentElement.dataset, look = getComputedStyle(document.body);
  return [theme, look.backgroundColor, look.color, lead.top, lead.height].join(" ");
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["book/meaning/curvature", "book/argument/rectifier_symmetry"])
def test_a_first_visit_is_painted_as_it_stays(browser, site, page, scheme):
    """On a slow line scripts come after the first paint: colours and places are there before."""
    seen = set()
    for refused in ("**/nothing", "**/*.js"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 740})
        context.route(refused, lambda route: route.abort())
        tab = context.new_page()
        tab.goto(f"{site.as_uri()}/{page}.html", wait_until="load")
        tab.evaluate("() => window.MathJax?.startup?.promise")
        seen.add(tab.evaluate(LEAD))
        context.close()
    assert len(seen) == 1, seen


@pytest.mark.parametrize("page", ["404", "search", FIRST])
def test_every_title_is_as_bold(open_page, page):
    assert open_page(page).locator("h1:visible").evaluate(WEIGHT) == 700


def test_the_search_finds_a_page(open_page):
    tab = open_page("search", hash="")
    tab.goto(tab.url + "?q=rectifier")
    tab.wait_for_selector("#search-results li a")
    assert tab.faults == []


def weigh(urls):
    """Bytes gzipped of local files, each once."""
    paths = {Path(unquote(urlparse(url).path)) for url in urls if url.startswith("file:")}
    return sum(len(gzip.compress(path.read_bytes())) for path in paths)


def test_the_first_load_is_light(open_page):
    tab = open_page(FIRST)
    assert weigh(tab.asked) <= FIRST_LOAD


def test_every_address_of_the_site_that_an_edition_names_is_there(site):
    book = read_book()
    texts, _, faults = editions.make(book)
    assert faults == []
    address = re.escape(book.places.site) + r"/([^)\"\s\\]+)"
    asked = {found for text in texts.values() for found in re.findall(address, text)}
    missing = []
    for target in sorted(asked):
        path, _, place = target.partition("#")
        html = (site / path).read_text(encoding="utf-8")
        if place and f'id="{place.partition(":")[0]}"' not in html:
            missing.append(target)
    assert len(asked) > 60
    assert missing == []


# ---- browsers that refuse something --------------------------------------------------------------

FORMULAS = "article mjx-container"
WIDTHS = "all => all.slice(0, 20).map(node => node.getBoundingClientRect().width)"
DRAWN = """() => {
  const all = [...document.querySelectorAll("article mjx-container")];
  return all.length > 0 && all.every((node) => node.querySelector("svg path"));
}"""
SANDBOX = "<iframe sandbox='allow-scripts' width=1200 height=800 src='{}'></iframe>"


def test_formulas_are_right_without_a_web_font(open_page):
    page = next(page for page in PAGES if page.endswith("rectifier_symmetry"))
    sound = open_page(page).locator(FORMULAS).evaluate_all(WIDTHS)
    tab = open_page(page, refused="**/*.woff*")
    tab.wait_for_function(DRAWN)
    assert tab.evaluate("checks.rawMath()") == []
    assert tab.locator(FORMULAS).evaluate_all(WIDTHS) == pytest.approx(sound, rel=0.05, abs=1)
    assert not [url for url in open_page(page).asked if "tex-svg" in url]  # nobody else pays


def framed(open_page, address):
    """(the tab, the page in a sandboxed frame of it), which may store nothing and fetch no font."""
    tab = open_page("search")
    tab.faults.clear()
    tab.set_content(SANDBOX.format(address))
    tab.wait_for_function("frames.length === 1")
    frame = tab.frames[1]
    frame.wait_for_load_state("load")
    return tab, frame


def script_errors(tab):
    return [fault for fault in tab.faults if fault.startswith("script error")]


def test_a_sandboxed_page_has_its_theme_its_figures_and_its_formulas(open_page, address):
    tab, frame = framed(open_page, f"{address}/{FIRST}.html")
    assert frame.evaluate("() => { try { return String(origin); } catch { return ''; } }") == "null"
    before = frame.evaluate("document.documentElement.dataset.mode")
    frame.evaluate("document.querySelector('.theme-switch-button').click()")
    assert frame.evaluate("document.documentElement.dataset.mode") != before
    frame.wait_for_selector("figure.live .live-actions")
    frame.wait_for_function(DRAWN)
    assert script_errors(tab) == []


def test_the_search_finds_a_page_where_nothing_may_be_stored(open_page, address):
    tab, frame = framed(open_page, f"{address}/search.html?q=rectifier")
    frame.wait_for_selector("#search-results li a")
    assert not [fault for fault in script_errors(tab) if "Storage" in fault]


# ---- copies, paper, translators ------------------------------------------------------------------

COPIED = """() => {
  const text = [...document.querySelectorAll("article p")]
    .find((p) => p.querySelectorAll("mjx-container").length > 1);
  getSelection().selectAllChildren(text);
  addEventListener("copy", (event) => {
    window.copied = event.clipboardData.getData("text/plain");
  });
  return [...MathJax.startup.document.math]
    .filter((item) => text.contains(item.typesetRoot)).map((item) => item.math);
}"""


def test_a_copied_sentence_has_its_formulas_as_tex(open_page):
    tab = open_page(next(page for page in PAGES if page.endswith("rectifier_symmetry")))
    formulas = tab.evaluate(COPIED)
    tab.keyboard.press("Control+C")
    copied = tab.evaluate("window.copied")
    assert len(formulas) > 1
    for formula in formulas:
        assert f"${formula.strip()}$" in copied
    assert tab.locator("article + div, body > div[style*=fixed]").count() == 0


def test_a_translator_leaves_pictures_and_readings_alone(open_page):
    tab = open_page(FIRST)
    for part in ("figure.live .live-panels svg", ".live-reading"):
        found = tab.locator(part)
        assert found.count()
        said = found.evaluate_all("all => all.map(node => node.getAttribute('translate'))")
        assert set(said) == {"no"}
