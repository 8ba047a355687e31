"""What a browser keeps of a reader: chapters read, guesses, exercises done; the sidebar's names.

Oracle: a real browser and its storage, on a small book of two chapters; names are typed here.
"""

import nbformat
import pytest
from test_faults import SET_UP, build, new_book, write_book

from tools import light

pytestmark = pytest.mark.slow

FIGURE = """\
def draw(alpha):
    line.set_ydata([0, alpha])
    return f"{alpha:g} times."


guess = dict(panel=1, question="Where?", options=["Up", "Down"], right=0, reply="Up it goes.")
figs, (ax, other) = panels(2)
(line,) = ax.plot([0, 1], [0, 1])
(also,) = other.plot([0, 1], [0, 1])
explore(lambda alpha: (also.set_ydata([alpha, 0]), draw(alpha))[1], fig=figs, name="needle",
        caption="A caption.", alt="A line.", guess=guess, alpha=knob)"""
EXERCISE = ":::{{exercise}} Easy, 5 minutes: count\n:label: ex-{name}\n\nHow many?\n:::"
SOLUTION = ":::{{solution}} ex-{name}\n:class: dropdown\n\nTwo.\n:::"
SHORT = {"one": "The first", "two": "The second"}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    book = new_book(tmp_path_factory.mktemp("memory") / "book")
    write_book(book, front=["1 + 1"], one=[SET_UP, FIGURE], two=["1 + 1"], plain=["1 + 1"])
    for name, short in SHORT.items():
        path = book / "book" / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].metadata["chapter"] = {"short": short, "minutes": [1, 1]}
        notebook.cells[0].source = f"# What {name} says at length"
        boxes = [box.format(name=name) for box in (EXERCISE, SOLUTION)]
        long = "\n\n".join([*boxes, *["a line of words"] * 80])
        notebook.cells.append(nbformat.v4.new_markdown_cell(long, id="long"))
        nbformat.write(notebook, path)
    status, said = build(book)
    assert status == 0, said
    return book / "_build" / "html"


@pytest.fixture
def visit(browser, html):
    """visit("one"): a tab of one reader, whose browser keeps what it keeps."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})

    def visit_it(page):
        tab = context.new_page()
        tab.goto((html / "book" / f"{page}.html").as_uri())
        return tab

    yield visit_it
    context.close()


def sidebar(tab):
    return [words.strip() for words in tab.locator(".bd-links a").all_inner_texts()]


def to_the_end(tab):
    tab.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    tab.wait_for_timeout(300)


def says(tab, words):
    """Wait until the reader's box says so: a busy machine fills it after the page has loaded."""
    tab.locator(".memory", has_text=words).wait_for(timeout=10_000)


def test_the_sidebar_has_short_names_with_numbers_and_the_page_its_title(visit):
    tab = visit("one")
    assert sidebar(tab) == ["A page", "1.1 The first", "1.2 The second", "A page", "The end"]
    assert tab.locator(".bd-links [aria-current=page]").inner_text() == "1.1 The first"
    assert tab.locator(".bd-links .caption-text").inner_text() == "1 A part"
    assert visit("front").locator(".bd-links [aria-current=page]").inner_text() == "A page"
    assert tab.locator("article h1").inner_text().startswith("What one says at length")
    assert tab.title().startswith("What one says at length")


SEEN = """() => {
  const sidebar = document.querySelector(".bd-sidebar-primary").getBoundingClientRect();
  const entry = document.querySelector(".bd-links a[href='#']").getBoundingClientRect();
  return entry.height > 0 && entry.top >= sidebar.top && entry.bottom <= sidebar.bottom;
}"""


@pytest.mark.parametrize(("page", "kept"), [("two", 0), ("front", 700)])
def test_the_sidebar_shows_the_open_page_however_far_it_was_scrolled(visit, page, kept):
    tab = visit(page)
    tab.set_viewport_size({"width": 1280, "height": 240})
    tab.add_style_tag(content=".bd-links { padding-block: 20rem }")
    tab.context.add_init_script(
        f"sessionStorage.setItem('sidebar-scroll-top', {kept});"
        "addEventListener('DOMContentLoaded', () => document.head.insertAdjacentHTML('beforeend',"
        "'<style>.bd-links { padding-block: 20rem }</style>'))"
    )
    tab.reload()
    tab.wait_for_function(SEEN)
    assert tab.evaluate("scrollY") == 0


def test_a_new_reader_is_told_nothing(visit):
    assert visit("two").locator(".memory").is_hidden()


def test_a_chapter_is_read_when_its_end_was_seen(visit):
    tab = visit("one")
    tab.wait_for_timeout(300)
    assert "✓" not in "".join(sidebar(tab))
    to_the_end(tab)
    later = visit("two")
    assert sidebar(later)[1:3] == ["1.1 The first ✓", "1.2 The second"]
    assert later.locator(".memory-read").get_attribute("aria-label") == "read"
    says(later, "1 chapter read.")
    says(visit("front"), "Go on with 1.2 The second.")


def test_a_page_that_is_no_chapter_is_not_counted(visit):
    to_the_end(visit("plain"))
    assert visit("one").locator(".memory").is_hidden()


def test_guesses_and_exercises_are_counted_and_forgotten_at_a_press(visit):
    tab = visit("one")
    tab.locator(".live-option").first.click()
    tab.get_by_label("I have done this one").check()
    says(tab, "1 guess made, 1 exercise done.")
    tab = visit("one")
    assert tab.get_by_label("I have done this one").is_checked()
    tab.get_by_role("button", name="Forget it").click()
    assert tab.locator(".memory").inner_text() == "Forgotten."
    assert tab.locator(".memory [role=status]").inner_text() == "Forgotten."
    assert tab.evaluate("document.activeElement.className") == "memory"
    assert not tab.get_by_label("I have done this one").is_checked()
    again = visit("one")
    assert again.locator(".live-option").count() == 2 and again.locator(".memory").is_hidden()


def test_a_button_and_a_box_are_named_by_what_is_seen_and_by_their_exercise(visit):
    tab = visit("two")
    box = tab.locator(".memory-done input")
    assert box.get_attribute("aria-label") == "I have done this one: Exercise 2"
    button = tab.locator(".toggle-button")
    name = "b => b.ariaLabel"
    assert button.evaluate(name) == "Click to show: Solution to Exercise 2"
    button.press("Enter")
    assert button.evaluate(name) == "Click to hide: Solution to Exercise 2"


def test_a_page_loads_what_it_uses(visit):
    def files(page):
        assets = "[...document.querySelectorAll('head link[href], script[src]')]"
        return visit(page).evaluate(f"{assets}.map(one => one.href || one.src).join(' ')")

    with_figure, plain = files("one"), files("plain")
    for name in (*light.NEEDS, *light.SEARCH):
        assert name not in plain or name in ("copybutton", "clipboard"), name
    assert "explore.js" in with_figure and "exercise.css" in with_figure
    assert "logo_colab" not in visit("one").content()
