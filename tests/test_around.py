"""The site around the figures: links that land, cards, one address a page, a search that finds.

Oracle: the browser; Pillow for the size of a card; the list of files of a built book. The order of
a search's results is written here by hand: the page that explains the word comes first.
"""

import json
import re
import time
from xml.etree import ElementTree

import nbformat
import pytest
from PIL import Image
from serving import served
from test_faults import SET_UP, build, new_book, write_book

from tools import letters, repository

FIGURE = """\
def draw(alpha):
    line.set_ydata([0, alpha])
    return f"α is {alpha}"


explore(draw, alpha=knob, **words)"""
FORMULAS = "\n\n".join(f"$$\\sum_{{k={k}}}^n \\frac{{x_k^2}}{{y_k}}$$ and words" for k in range(40))
LATE = 1.5  # seconds until the mathematics arrives
PREFIX = "/" + repository.site(repository.address()[0]).split("/", 3)[3] + "/"
TOP = "document.getElementById('needle').getBoundingClientRect().top"
AT = "document.querySelector('#needle')?.dataset.position"


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A built book: a front page with formulas and a figure below them, and a page without."""
    book = new_book(tmp_path_factory.mktemp("around") / "book")
    write_book(book, front=[SET_UP, FIGURE], page=["1 + 1"])
    path = book / "book" / "front.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# Needles & pins\n\n**Question.** How sharp is $\\theta_1$?\n"
    notebook.cells[0].source += "\n**Answer.** As you like.\n\n**You need.** Nothing."
    below = "\n\n".join(["a line of words"] * 60)
    notebook.cells[1:1] = [nbformat.v4.new_markdown_cell(FORMULAS, id="formulas")]
    notebook.cells.append(nbformat.v4.new_markdown_cell(below, id="below"))
    nbformat.write(notebook, path)
    status, said = build(book)
    assert status == 0, said
    return book


@pytest.fixture(scope="module")
def html(book):
    return book / "_build" / "html"


@pytest.fixture(scope="module")
def base(html):
    with served(html) as address:
        yield address


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def delay_maths(tab, when=None):
    """Let the mathematics come late; with a list `when`, once the routes put there go on."""

    def later(route):
        time.sleep(LATE)
        route.continue_()

    def held(route):
        when.append(route)

    tab.route("**/tex-chtml.js", later if when is None else held)
    # As in Safari, which does not keep a reader's place by itself.
    tab.add_init_script(
        "addEventListener('DOMContentLoaded', () => document.head.append("
        "Object.assign(document.createElement('style'), "
        "{textContent: '* {overflow-anchor: none}'})))"
    )


def settle(tab):
    """Wait until the mathematics stands and the page has had time to scroll."""
    tab.wait_for_function("window.MathJax?.startup?.promise")
    tab.evaluate("MathJax.startup.promise")
    tab.wait_for_timeout(300)


# ---- links to a position, and back ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("start", ["book/front.html", ""], ids=["page", "root"])
def test_a_link_lands_on_its_figure_though_the_mathematics_comes_late(tab, base, start):
    delay_maths(tab)
    for _ in ("cold", "warm"):
        tab.goto("about:blank")
        tab.goto(f"{base}{start}#needle:alpha=10", wait_until="commit")
        tab.wait_for_url("**/front.html#needle:alpha=10")
        settle(tab)
        assert tab.evaluate(AT) == "2"
        assert 0 <= tab.evaluate(TOP) <= 160


@pytest.mark.slow
def test_a_reader_who_scrolls_meanwhile_stays_where_she_is(tab, base):
    held = []
    delay_maths(tab, held)
    tab.goto(f"{base}book/front.html#needle:alpha=10", wait_until="commit")
    tab.wait_for_function(f"{AT} === '2'")
    tab.mouse.move(640, 400)
    for _ in range(100):  # a busy browser may lose a turn of the wheel, and a reader turns again
        tab.mouse.wheel(0, -100_000)
        tab.wait_for_timeout(50)
        if held and tab.evaluate("scrollY") == 0:
            break
    assert held
    for route in held:
        route.continue_()
    settle(tab)
    assert tab.evaluate("scrollY") < 100


@pytest.mark.slow
def test_back_restores_the_position_that_was_left(tab, base):
    tab.goto(f"{base}book/front.html#needle:alpha=10")
    settle(tab)
    tab.locator("#needle input[type=range]").focus()
    tab.keyboard.press("ArrowLeft")
    left = tab.evaluate("scrollY")
    assert left > 500
    tab.goto(f"{base}book/page.html")
    tab.go_back()
    settle(tab)
    assert tab.evaluate(AT) == "1"
    assert abs(tab.evaluate("scrollY") - left) < 5


@pytest.mark.slow
def test_back_within_a_page_undoes_what_a_link_did(tab, base):
    tab.goto(f"{base}book/front.html")
    settle(tab)
    start = tab.evaluate(AT)
    tab.wait_for_function("history.state?.live")
    tab.evaluate("location.hash = '#needle:alpha=10'")
    tab.wait_for_function(f"{AT} === '2'")
    tab.go_back()
    tab.wait_for_function(f"{AT} === '{start}'")
    tab.go_forward()
    tab.wait_for_function(f"{AT} === '2'")


# ---- what others see -----------------------------------------------------------------------------


def head(html, page):
    """The contents of a page's meta tags by name, its canonical address, its title."""
    text = (html / page).read_text("utf-8").partition("<body")[0]
    found = dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', text))
    address = re.findall(r'<link rel="canonical" href="([^"]+)"', text)
    return found | {"canonical": address, "title": re.findall(r"<title>(.*?)</title>", text, re.S)}


@pytest.mark.slow
def test_a_shared_link_shows_the_question_and_the_first_figure(html):
    address = repository.site(repository.address()[0])
    for page in ("book/front.html", "index.html"):
        seen = head(html, page)
        assert seen["description"] == seen["og:description"]
        assert seen["description"] == "How sharp is θ₁? As you like."
        assert seen["canonical"] == [f"{address}/book/front.html"]
        assert seen["og:image"] == f"{address}/_static/cards/book-front.png"
        assert seen["og:image:alt"] == "A line."
        assert seen["twitter:card"] == "summary_large_image"
    with Image.open(html / "_static/cards/book-front.png") as card:
        assert card.size == (1200, 630)
        assert len(card.convert("RGB").getcolors()) > 3  # not an empty card


@pytest.mark.slow
def test_a_page_without_a_figure_borrows_the_front_pages(html):
    assert head(html, "book/page.html")["og:image"] == head(html, "book/front.html")["og:image"]


@pytest.mark.slow
def test_each_page_has_a_title_of_its_own_and_says_its_width_once(html):
    titles = []
    for path in sorted(html.rglob("*.html")):
        page = path.relative_to(html).as_posix()
        if page != "index.html" and not page.startswith("_static"):
            titles += head(html, page)["title"]
            assert path.read_text("utf-8").count('name="viewport"') == 1, page
    assert "Needles &amp; pins" in titles
    assert "A page &#8212; Sharp Minima Can Generalize" in titles
    assert len(set(titles)) == len(titles) == 7  # 3 pages, a figure alone, search, index, 404


@pytest.mark.slow
def test_the_map_for_crawlers_has_every_page_after_a_build_of_one(book, html):
    (book / "book" / "end.md").write_text("# The end, again\n")
    status, said = build(book)
    assert status == 0, said
    address = repository.site(repository.address()[0])
    found = [node.text for node in ElementTree.parse(html / "sitemap.xml").iter() if node.text]
    pages = [f"{address}/book/{name}.html" for name in ("end", "front", "page")]
    assert [text for text in found if text.strip()] == pages
    assert f"Sitemap: {address}/sitemap.xml" in (html / "robots.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("prefix", [PREFIX, "/"])
@pytest.mark.parametrize("lost", ["no.html", "book/no/such/page.html"])
def test_a_lost_reader_can_search_at_any_depth(tab, html, prefix, lost):
    with served(html, prefix) as address:
        tab.goto(address + lost)
        sheets = "[...document.querySelectorAll('link[rel=stylesheet]')].map(link => !!link.sheet)"
        assert all(tab.evaluate(sheets))
        tab.locator("main input[type=search]").fill("needles")
        tab.keyboard.press("Enter")
        tab.locator("#search-results a").first.click()
        tab.wait_for_url(f"{address}book/front.html*")


# ---- the search ----------------------------------------------------------------------------------

FIRST = {
    "spectral norm": "book/meaning/curvature.html",
    "Keskar": "book/meaning/eps_sharpness.html",
    "sharpness": "book/meaning/eps_sharpness.html",
    "ε-sharpness": "book/meaning/eps_sharpness.html",
    "eps sharpness": "book/meaning/eps_sharpness.html",
    "reparametrization": "book/argument/model_reparametrization.html",
    "reparameterisation": "book/argument/model_reparametrization.html",
    "weight decay": "book/argument/what_follows.html",
    "batch normalization": "book/argument/biases_and_other_layers.html",
    "Lipschitz": "book/argument/not_lipschitz.html",
    "volume": "book/meaning/volume.html",
    "twin": "book/argument/rectifier_symmetry.html",
}
LAST = ("book/ledger.html", "book/teach/exercises.html", "book/gallery.html")  # lists
PATHS = "all => all.map(a => a.getAttribute('href').split('#')[0])"
JUNK = re.compile(r"\\[a-zA-Z(\[]|[{}]|^import |\bimport torch|from helpers|#@title|¶|Contents")


def search(tab, site, words):
    """The addresses of the pages found, best first."""
    tab.goto(f"{site.as_uri()}/search.html?q={words.replace(' ', '+')}")
    tab.locator("#search-results a").first.wait_for()
    return tab.eval_on_selector_all("#search-results a", PATHS)


@pytest.mark.site
@pytest.mark.parametrize("words", FIRST)
def test_a_search_finds_the_page_that_explains_the_word(tab, site, words):
    found = search(tab, site, words)
    assert found[0] == FIRST[words]
    assert len(found) == len(set(found))
    others = [at for at, page in enumerate(found) if page not in LAST]
    assert all(at > max(others) for at, page in enumerate(found) if page in LAST)


@pytest.mark.site
@pytest.mark.parametrize("words", ["Hessian", "spectral norm", "import", "orbit"])
def test_what_a_search_shows_is_prose(tab, site, words):
    search(tab, site, words)
    shown = tab.locator(".search-snippet").all_inner_texts()
    assert [text for text in shown if JUNK.search(text)] == []


@pytest.mark.slow
def test_code_and_tooltips_are_not_searched(html):
    text = (html / "prose.js").read_text("utf-8")
    pages = json.loads(text.removeprefix("window.bookProse=").removesuffix(";\n"))
    assert [page["path"] for page in pages] == [f"book/{x}.html" for x in ("front", "page", "end")]
    assert "How sharp is θ₁?" in text
    assert not re.search(r"explore|log_knob|\\\\sum|Link to this|α is", text)


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_the_magnifier_lies_beside_the_query(tab, html, width):
    tab.set_viewport_size({"width": width, "height": 700})
    tab.goto(f"{html.as_uri()}/search.html?q=needles")
    field = tab.locator("main input[type=search]")
    assert field.input_value() == "needles"
    begins = field.evaluate(
        "f => f.getBoundingClientRect().left + parseFloat(getComputedStyle(f).paddingLeft)"
    )
    icon = tab.locator("main form .fa-magnifying-glass").bounding_box()
    assert icon["x"] + icon["width"] <= begins


# ---- formulas in a line --------------------------------------------------------------------------

LINES = {
    r"\theta_1, \dots, \theta_K": "θ₁, …, θK",
    r"\lambda_{\max}(H) \le \tfrac12": "λₘₐₓ(H) ≤ 1/2",
    r"\hat r": "r̂",
    r"10^{-9}": "10⁻⁹",
    r"v H v^\top": "v H vᵀ",
    r"\{\alpha : \alpha > 0\}": "{α : α > 0}",
    r"\alpha^{\dim v}": "…",  # no such raised letters
    r"\frac{\frac{a}{b}}{c}": "…",
    r"\begin{matrix}": "…",
}


@pytest.mark.parametrize("tex", LINES)
def test_a_formula_is_a_line_of_letters_or_left_out(tex):
    assert letters.line(tex) == LINES[tex]
