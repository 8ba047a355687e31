"""The questions of a chapter in a real browser, opened from the disk: letters that answer at once.

Oracle: the keys and sentences that an author typed (test_for_site.QUESTIONS), and the browser.
"""

import pytest
from test_for_site import PAGE, QUESTIONS, new_site

pytestmark = pytest.mark.slow

HINT = "Choose a letter to see at once whether it is right."
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a built chapter with two questions; the second has two keys."""
    return (new_site(tmp_path_factory.mktemp("predict")) / f"{PAGE}.html").as_uri()


@pytest.fixture
def open_page(browser, page):
    contexts = []

    def open_it(theme="light", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.asked = []
        tab.on("request", lambda request: tab.asked.append(request.url))
        if options.get("java_script_enabled", True):
            tab.add_init_script(f"localStorage.theme = localStorage.mode = '{theme}'")
        tab.goto(page)
        return tab

    yield open_it
    for context in contexts:
        context.close()


def letter(tab, question, key):
    choices = tab.locator("ul.predict-choices").nth(question)
    return choices.get_by_role("button", name=f"{key}.")


def said(tab, question=0):
    return tab.get_by_role("status").nth(question).inner_text()


def is_open(tab):
    return tab.locator("details.sd-dropdown").evaluate("fold => fold.open")


def sentence(question, key):
    return QUESTIONS[question]["feedback"][key]


def test_wrong_then_right_is_said_in_words_and_opens_the_answer(open_page):
    tab = open_page()
    assert said(tab) == HINT
    letter(tab, 0, "A").click()
    assert said(tab) == f"Not quite. {sentence(0, 'A')}"
    letter(tab, 0, "B").click()
    assert said(tab) == f"Right. {sentence(0, 'B')}"
    assert [mark(tab, 0, key) for key in "ABC"] == ['"✗"', '"✓"', "none"]
    names = [letter(tab, 0, key).text_content() for key in "ABC"]
    assert names == ["A., not quite", "B., right", "C."]
    assert [letter(tab, 0, key).get_attribute("aria-pressed") for key in "ABC"] == [
        *("false", "true", "false")
    ]


def mark(tab, question, key):
    return letter(tab, question, key).evaluate(
        "button => getComputedStyle(button.closest('li'), '::after').content"
    )


def test_the_answer_opens_when_every_key_of_its_questions_is_found(open_page):
    tab = open_page()
    letter(tab, 0, "B").click()
    assert not is_open(tab)  # the second question is answered there too
    letter(tab, 1, "C").click()
    assert said(tab, 1) == f"Right. {sentence(1, 'C')} One more is right."
    letter(tab, 1, "D").click()
    assert said(tab, 1) == f"Not quite. {sentence(1, 'D')}"
    assert not is_open(tab)
    letter(tab, 1, "A").click()
    assert said(tab, 1) == f"Right. {sentence(1, 'A')}"
    assert is_open(tab)
    pressed = [letter(tab, 1, key).get_attribute("aria-pressed") for key in "ABCD"]
    assert pressed == ["true", "false", "true", "false"]


def test_a_keyboard_reaches_every_letter_and_answers(open_page):
    tab = open_page()
    letter(tab, 0, "A").focus()
    for pressed, question, key in (
        *(("ArrowDown", 0, "B"), ("ArrowRight", 0, "C")),
        *(("Tab", 1, "A"), ("ArrowUp", 1, "D"), ("ArrowDown", 1, "A"), ("Shift+Tab", 0, "C")),
        *(("ArrowUp", 0, "B"), ("ArrowLeft", 0, "A")),
    ):
        tab.keyboard.press(pressed)
        reached = letter(tab, question, key)
        assert reached.evaluate("button => button === document.activeElement"), pressed
        assert said(tab) == HINT  # going there is no answer
    tab.keyboard.press("Space")
    assert said(tab) == f"Not quite. {sentence(0, 'A')}"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    assert said(tab) == f"Right. {sentence(0, 'B')}"


def test_a_screen_reader_hears_the_choice_and_the_answer(open_page):
    tab = open_page()
    button = letter(tab, 0, "C")
    heard = button.evaluate(
        "button => document.getElementById(button.getAttribute('aria-describedby')).textContent"
    )
    assert heard.strip() == "The area shrinks."
    assert tab.get_by_role("status").count() == len(QUESTIONS)  # there before it speaks
    ids = tab.evaluate("() => [...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len([name for name in ids if name.startswith("predict-")]) == 7
    assert len(set(ids)) == len(ids)


def test_the_whole_line_answers_and_a_link_in_it_stays_a_link(open_page):
    tab = open_page()
    line = tab.locator(".predict-choice").nth(1)
    line.get_by_role("link").click()
    assert tab.url.endswith("#the-claim")
    assert said(tab) == HINT
    box = line.bounding_box()
    line.click(position={"x": box["width"] - 20, "y": box["height"] / 2})
    assert said(tab) == f"Right. {sentence(0, 'B')}"


def test_without_javascript_the_list_and_the_fold_are_there(open_page):
    tab = open_page(java_script_enabled=False)
    first = tab.locator("section#predict > ul").first
    assert first.inner_text().split("\n")[0] == "A. The area grows."
    assert tab.locator("section#predict button").count() == 0
    assert "The factor and its inverse" not in tab.locator("article").inner_text()
    tab.locator("details.sd-dropdown summary").click()
    assert tab.get_by_text("One side grows as the other shrinks.").is_visible()


def test_nothing_is_asked_of_another_host(open_page):
    tab = open_page()
    for question in range(2):
        for key in QUESTIONS[question]["feedback"]:
            letter(tab, question, key).click()
    assert [url for url in tab.asked if not url.startswith(("file:", "data:"))] == []


def test_a_finger_on_a_phone_meets_lines_of_44_pixels(open_page):
    tab = open_page(**PHONE)
    for at in range(7):
        box = tab.locator(".predict-choice").nth(at).bounding_box()
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        button = tab.locator(".predict-letter").nth(at).bounding_box()
        assert min(button["width"], button["height"]) >= 44
    tab.locator(".predict-choice").nth(6).tap()
    assert said(tab, 1) == f"Not quite. {sentence(1, 'D')}"
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= 360


CONTRAST = """selector => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const clear = (node) => getComputedStyle(node).backgroundColor.endsWith(", 0)");
  return [...document.querySelectorAll(selector)].map((node) => {
    let ground = node;
    while (clear(ground)) ground = ground.parentElement;
    const of = (element, name) => light(getComputedStyle(element)[name]) + 0.05;
    const both = [of(node, "color"), of(ground, "backgroundColor")];
    return Math.max(...both) / Math.min(...both);
  });
}"""
READ = ".predict-letter strong, .predict-text, .predict-words, .predict-words b, .lead-in p"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_can_be_read_in_light_and_dark(open_page, theme):
    tab = open_page(theme=theme)
    fresh = tab.evaluate(CONTRAST, READ)
    letter(tab, 0, "A").click()
    letter(tab, 1, "A").click()
    assert min(fresh + tab.evaluate(CONTRAST, READ)) >= 4.5


def test_forced_colours_keep_frames_and_the_chosen_one_differs(open_page):
    tab = open_page(forced_colors="active")
    letter(tab, 0, "B").click()
    width, style = "borderTopWidth", "borderTopStyle"
    frames = [
        tab.locator(".predict-choice")
        .nth(at)
        .evaluate(f"node => {{ const s = getComputedStyle(node); return [s.{width}, s.{style}]; }}")
        for at in range(3)
    ]
    assert frames == [["1px", "solid"], ["3px", "solid"], ["1px", "solid"]]
    assert mark(tab, 0, "B") == '"✓"'
