"""The gallery of all figures, and each figure on a page of its own.

Oracle: the browser, which opens a figure's file alone in an empty folder and in a frame; the pages
of a small book that is built as the real one is. What must be seen is written here by hand.
"""

import gzip
import re
import shutil

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from test_faults import build, new_book, write_book
from test_grips import ON_SCREEN, data_of, position

from tools import ROOT, gallery, pages, repository, search

SET_UP = """\
from helpers import choice, explore, log_axes, log_knob, mark, panels, still
"""
WALK = """\
figs, axes = panels(3)
dots = [ax.plot([1], [1], "D")[0] for ax in axes]
for ax, title in zip(axes, ("Plain", "Handle", "Secret")):
    ax.set_title(title)
    log_axes(ax, x=(0.01, 100), y=(0.01, 100))
mark("dot", dots[1])


def draw(alpha):
    for dot in dots:
        dot.set_data([alpha], [1 / alpha])
    return f"{alpha:g} times as sharp.\\nThe [dot](dot) is at {alpha:g}."


guess = dict(panel=2, question="Left & right?", options=["Left", "Right"], right=1, reply="Right.")
explore(draw, fig=figs, name="walk", caption="A [dot](dot) of $θ_1$.", alt="A dot goes right.",
        drag=dots[1], guess=guess, alpha=log_knob(0.1, 10, start=3, per_decade=12, label="times"))
"""
RUNGS = """\
figs, (ax,) = panels(1)
ax.set(xlim=(0, 5), ylim=(0, 5))
(dot,) = ax.plot([1], [1], "D")


def draw(rung):
    dot.set_data([2], [rung])
    return f"On rung {rung}, of $λ_{{max}}$."


explore(draw, fig=figs, name="rungs", caption="Rungs.", alt="A dot on a ladder.",
        why="a choice", rung=choice([1, 2, 3, 4], start=2, label="The rung"))
"""
STILL = """\
figs, (ax,) = panels(1)
ax.plot([0, 1], [1, 0])
still(figs, name="slope", caption="A slope.", alt="A line goes down.")
"""
MOST = 90_000  # bytes, gzipped, of a figure's page
FRAME = '<style>body {{ height: 3000px }}</style><h1>A course</h1><iframe src="{}"></iframe>'


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A built book: a front page with three figures, and the gallery."""
    book = new_book(tmp_path_factory.mktemp("gallery") / "book")
    write_book(book, front=[SET_UP, WALK, RUNGS], page=[SET_UP, STILL])
    (book / "book" / "end.md").write_text(f"# All of them\n\n{gallery.MARK}\n")
    status, said = build(book)
    assert status == 0, said
    return book


@pytest.fixture(scope="module")
def html(book):
    return book / "_build" / "html"


@pytest.fixture(scope="module")
def cards(html):
    return BeautifulSoup((html / "book/end.html").read_text("utf-8"), "html.parser")


@pytest.fixture
def alone(html, tmp_path, browser):
    """alone("walk", "#…", **context): a tab with nothing but that figure's file."""
    contexts = []

    def open_it(name, address="", **options):
        shutil.copy(html / "figures" / f"{name}.html", tmp_path)
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}, **options))
        tab = contexts[-1].new_page()
        tab.faults, tab.asked = [], []
        tab.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.on("console", lambda m: tab.faults.append(m.text) if m.type == "error" else None)
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.goto((tmp_path / f"{name}.html").as_uri() + address, wait_until="load")
        return tab

    yield open_it
    for context in contexts:
        context.close()


# ---- the gallery ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_figure_hangs_under_its_chapter_with_its_question_or_its_result(cards):
    assert [h2.get_text().strip("#") for h2 in cards.select("article h2")] == ["A page", "A page"]
    said = [p.decode_contents() for p in cards.select(".gallery-said")]
    assert said == ["Guess: Left &amp; right?", "On rung 2, of λ<sub>max</sub>.", ""]
    captions = [p.decode_contents() for p in cards.select(".gallery-said + p")]
    assert captions == ["A dot of θ<sub>1</sub>.", "Rungs.", "A slope."]


@pytest.mark.slow
def test_a_picture_leads_to_the_chapter_and_its_name_to_the_page_of_its_own(cards, html):
    links = [a["href"] for a in cards.select(".gallery a")]
    assert links[:2] == ["front.html#walk", "../figures/walk.html"]
    assert links[4:] == ["page.html#slope", "../figures/slope.html"]
    assert all((html / "book" / link.partition("#")[0]).resolve().exists() for link in links)
    spoken = [a["aria-label"] for a in cards.select(".gallery-picture")]
    assert spoken == [  # short, and none begins as the others do
        "Guess: Left & right? In the chapter.",
        "On rung 2, of λmax. In the chapter.",
        "A slope. In the chapter.",
    ]
    told = [p.get_text() for p in cards.select(".gallery-picture + .gallery-alt")]
    assert told == ["A dot goes right.", "A dot on a ladder.", "A line goes down."]


@pytest.mark.slow
def test_the_picture_is_the_panel_with_the_handle_and_gives_no_answer_away(cards):
    text = cards.select_one(".gallery-picture svg").get_text()
    assert "Handle" in text and "Secret" not in text
    assert "times as sharp" not in cards.select_one("ul.gallery").get_text()


@pytest.mark.slow
def test_the_menu_in_the_chapter_leads_to_the_page_of_its_own_at_the_same_position(html, browser):
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.goto((html / "book/front.html").as_uri() + "#walk:alpha=10")
    tab.locator("#walk .live-menu summary").click()
    tab.locator("#walk").get_by_role("button", name="This figure alone").click()
    tab.wait_for_url("**/figures/walk.html#walk:alpha=10.0")
    assert tab.locator(".live-result").inner_text() == "10 times as sharp."
    tab.locator(".live-menu summary").click()
    assert tab.get_by_role("button", name="This figure alone").count() == 0
    tab.close()


def test_the_gallery_comes_after_the_chapters_in_a_search():
    assert search.kind("book/gallery") == "list"
    assert "book/gallery" in pages.table_of_contents()


# ---- a page of its own ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_figure_alone_asks_for_nothing_and_moves(alone):
    tab = alone("walk")
    assert tab.asked == [tab.url] and tab.faults == []
    tab.get_by_role("button", name="Right").click()
    assert tab.locator(".live-result").inner_text() == "3 times as sharp."
    tab.locator("input[type=range]").press("ArrowRight")
    assert tab.locator(".live-value").inner_text() == "3.83"
    spot = data_of(tab, "walk")["grips"][0]["spots"]
    tab.mouse.move(*tab.evaluate(ON_SCREEN, ["walk", 1, spot[position(tab, "walk")]]))
    tab.mouse.down()
    tab.mouse.move(*tab.evaluate(ON_SCREEN, ["walk", 1, spot[4]]))
    tab.mouse.up()
    assert position(tab, "walk") == 4
    assert tab.faults == []


@pytest.mark.slow
def test_a_link_leads_to_a_position_of_it(alone):
    tab = alone("walk", "#walk:alpha=10")
    assert tab.locator(".live-result").inner_text() == "10 times as sharp."
    assert tab.locator("#walk svg:visible").count() == 3


@pytest.mark.slow
@pytest.mark.parametrize("device", ["light", "dark"])
def test_it_is_as_light_or_dark_as_the_device_unless_the_address_says(alone, device):
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('svg text')).fill"
    seen = {
        asked: [alone("walk", asked, color_scheme=device).evaluate(q) for q in (paper, ink)]
        for asked in ("", "?theme=light", "?theme=dark#walk:alpha=10")
    }
    light, dark = seen["?theme=light"], seen["?theme=dark#walk:alpha=10"]
    assert light == ["rgb(255, 255, 255)", "rgb(26, 26, 26)"]
    assert dark == ["rgb(20, 24, 28)", "rgb(230, 232, 234)"]
    assert seen[""] == {"light": light, "dark": dark}[device]


@pytest.mark.slow
def test_in_a_frame_it_fits_leaves_the_page_where_it_is_and_opens_links_beside_it(alone, tmp_path):
    tab = alone("walk")
    course = tmp_path / "course.html"
    framed = FRAME.replace("<iframe", "<div style='height: 1500px'></div><iframe width=700")
    course.write_text(framed.format("walk.html#walk:alpha=10"))
    tab.goto(course.as_uri(), wait_until="load")
    inside = tab.frames[1]
    assert inside.locator(".live-result").inner_text() == "10 times as sharp."
    tab.wait_for_timeout(700)  # as long as the figure holds its place
    assert tab.evaluate("scrollY") == 0
    assert inside.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert inside.evaluate("document.querySelector('base').target") == "_blank"
    assert not inside.locator(".embed").is_visible()
    assert tab.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["walk", "slope"])
def test_without_a_script_it_is_a_still_with_its_words(alone, name):
    tab = alone(name, java_script_enabled=False)
    assert tab.locator("figure.live svg:visible").count() == {"walk": 3, "slope": 1}[name]
    said = {"walk": "3 times as sharp.", "slope": "A slope."}
    assert said[name] in tab.locator("figure.live").inner_text()


@pytest.mark.slow
def test_it_says_where_it_is_from_and_how_to_put_it_into_a_page(alone, html):
    tab = alone("walk")
    link = tab.locator("h1 a").get_attribute("href")
    assert link == "../book/front.html#walk"
    address = repository.site(repository.address()[0])
    assert f"{address}/book/front.html#walk" in tab.locator(".source").inner_text()
    lines = tab.locator("textarea").input_value()
    assert lines.startswith(f'<iframe src="{address}/figures/walk.html" title="A page"')
    assert lines.endswith("></iframe>")
    tab.locator(".live-menu summary").click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Numbers (CSV)").click()
    first = download.value.path().read_text("utf-8").splitlines()[0]
    assert f"{address}/book/front.html#walk:alpha=3" in first


def test_the_book_is_cited_as_its_citation_file_says():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    page = (ROOT / "tools/templates/figure.html").read_text("utf-8")
    assert f"{cited['authors'][0]['name']}, <cite>{cited['title']}</cite>" in page


@pytest.mark.slow
def test_a_figure_that_left_the_book_leaves_the_site(book, html):
    path = book / "book" / "page.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source = STILL.replace("slope", "slant")
    nbformat.write(notebook, path)
    status, said = build(book)
    assert status == 0, said
    found = {path.stem for path in (html / "figures").glob("*.html")}
    assert found == {"walk", "rungs", "slant"}
    assert "figures/slant.html" in (html / "book/end.html").read_text("utf-8")


# ---- the book's own ------------------------------------------------------------------------------


def figures_of(site, page):
    text = (site / f"{page}.html").read_text("utf-8")
    return re.findall(r'<figure class="live" id="([^"]+)"', text)


@pytest.mark.site
def test_every_figure_of_the_book_has_its_card_and_its_page(site):
    names = [name for page in pages.table_of_contents() for name in figures_of(site, page)]
    assert len(names) > 40
    shown = BeautifulSoup((site / "book/gallery.html").read_text("utf-8"), "html.parser")
    assert [a.get_text() for a in shown.select(".gallery-alone a")] == [f"{n}.html" for n in names]
    assert {path.stem for path in (site / "figures").glob("*.html")} == set(names)


@pytest.mark.site
def test_no_page_of_a_figure_is_heavy(site):
    heavy = {
        path.name: size
        for path in sorted((site / "figures").glob("*.html"))
        if (size := len(gzip.compress(path.read_bytes()))) > MOST
    }
    assert heavy == {}


@pytest.mark.site
def test_every_figure_alone_wakes_fits_a_phone_and_asks_for_nothing(site, browser):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    tab, faults = context.new_page(), []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    for path in sorted((site / "figures").glob("*.html")):
        asked = []
        tab.on("request", seen := lambda request, asked=asked: asked.append(request.url))
        tab.goto(path.as_uri(), wait_until="load")
        tab.remove_listener("request", seen)
        moving = tab.locator(".live-data").count()
        assert asked == [path.as_uri()], path.name
        assert tab.locator("figure.live :is(input, select)").count() >= moving, path.name
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360, path.name
    assert faults == []
    context.close()
