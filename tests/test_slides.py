"""One deck a meeting: the book's own live figures, offline, for a clicker, a speaker and a printer.

Oracle: Chromium's keys, boxes, requests and PDF, on a deck of a small book that is built as the
real one is; axe-core; the guide's sentences, typed in here. The real decks are asked the same.
"""

import re
from types import SimpleNamespace

import nbformat
import pytest
from pypdf import PdfReader
from test_accessibility import axe, faults  # noqa: F401
from test_faults import build, new_book, write_book
from test_gallery import RUNGS, SET_UP, STILL, WALK
from test_grips import ON_SCREEN, data_of, position

from tools import course, kit, npm, slide_parts, slides, whole_book
from tools.places import Fault
from tools.slide_notes import Notes
from tools.slide_parts import Chapter

SIZES = [(1280, 800), (1024, 768)]
LONG = "Think of a very long story before you answer, with all that it tells. " * 20
PREDICT = f"""## Predict

{LONG}What is $\\lambda_{{max}}$?

- **A.** It is $1$ & more.
- **B.** See [this](end.md): *two*.

```{{dropdown}} Answer, after you have chosen
It is B.
```"""
LINE = " + ".join(f"a_{{{k}}}" for k in range(10, 30))
CLAIM = f"""## The claim

:::{{prf:theorem}} Theorem 9: it grows
:label: theorem-9

For all $\\alpha > 0$ it grows, and ${LINE}$ too.
:::

:::{{important}} Ours: it shrinks
It shrinks as well, and in one line

$$
x = {LINE}
$$
:::"""
TAKE_AWAY = "## Take away\n\nIt grows.\n\n**Next.** Read [the end](end.md)."
KEYS = {"keys": ["B"], "feedback": {"A": "Not <1>.", "B": "Yes, two."}}
KINDS = [
    "title",
    "question",
    "vote",
    *["figure"] * 3,
    "answer",
    "box",
    "box",
    "take-away",
    "homework",
]
HOMEWORK = SimpleNamespace(
    points=5, due=9, tasks=[SimpleNamespace(points=5, exercise=SimpleNamespace(name="Darts & co"))]
)
STEPS = [("walk", "alpha=9", 25), ("rungs", "", 10), ("slope", "", 5)]
# Is anything of the slide on the screen beyond its own edge?
ROOM = """() => {
  const slide = Reveal.getCurrentSlide(), scale = Reveal.getScale();
  const box = slide.querySelector(".deck-room").getBoundingClientRect();
  const inside = [...slide.querySelectorAll(".deck-room *")].filter((node) =>
    node.checkVisibility() && !node.closest("svg, mjx-assistive-mml, .live-voice, .mjx-hidden"));
  const right = Math.max(...inside.map((node) => node.getBoundingClientRect().right));
  const frame = slide.getBoundingClientRect();
  const cut = inside.filter((node) => node.tagName === "MJX-CONTAINER"
    && node.scrollWidth > node.clientWidth + 1).length;
  return [box.bottom - box.top, 800 * scale + 1, right, frame.right + 1, cut];
}"""

SEEN = """figure => [figure.querySelector(".live-panels").innerHTML,
  figure.querySelector(".live-result").textContent
  + figure.querySelector(".live-words").textContent]"""


def a_course(chapter, steps, homework=None):
    steps = tuple(course.Step(chapter, *step) for step in steps)
    meeting = course.Meeting(1, "First & best", 2, 90, (chapter,), steps, homework)
    return course.Course("A course", 10, 600, (meeting,), ())


def write_chapter(book):
    """The front page with all that a chapter has, around its figures."""
    write_book(book, front=[SET_UP, WALK, RUNGS, STILL])
    path = book / "book" / "front.ipynb"
    notebook = nbformat.read(path, as_version=4)
    asked = nbformat.v4.new_markdown_cell(PREDICT, id="predict", metadata={"predict": [KEYS]})
    ends = [nbformat.v4.new_markdown_cell(text, id=text[3:6]) for text in (CLAIM, TAKE_AWAY)]
    notebook.cells[0].source += "\n\n**Question.** Does *it* grow?\n\n**Answer.** It does."
    notebook.cells[3:3] = [asked]
    notebook.cells += ends
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def site_of_one(tmp_path_factory):
    book = new_book(tmp_path_factory.mktemp("slides") / "book")
    write_chapter(book)
    status, said = build(book)
    assert status == 0, said
    return book / "_build" / "html"


@pytest.fixture(scope="module")
def deck(site_of_one, tmp_path_factory):
    """The deck's file, alone in a folder."""
    folder = tmp_path_factory.mktemp("deck")
    given = SimpleNamespace(course=a_course("front", STEPS, HOMEWORK), book=whole_book.read_book())
    try:
        slides.write(given, folder, keys=True, site=site_of_one)
    except Fault as fault:
        pytest.skip(str(fault))
    (path,) = folder.iterdir()
    assert path.name == "01-first-best.html"
    return path


@pytest.fixture
def show(browser):
    """show(path, 1280, 800, "?…", at=3, color_scheme="dark"): a tab with the deck at that slide."""
    contexts = []

    def show_it(path, width=1280, height=800, query="", at=0, **more):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **more))
        tab = contexts[-1].new_page()
        tab.faults, tab.asked = [], []
        tab.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.on("console", lambda m: tab.faults.append(m.text))
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.goto(path.as_uri() + query)
        ready(tab)
        tab.evaluate("at => Reveal.slide(at)", at)
        return tab

    yield show_it
    for context in contexts:
        context.close()


def ready(tab):
    tab.wait_for_selector("body.deck-ready", timeout=60_000)


def at(tab):
    return tab.evaluate("Reveal.getIndices().h")


def too_large(tab):
    """The numbers of slides of which something is beyond an edge, or a formula cut, and sizes."""
    found = []
    for k in range(tab.evaluate("Reveal.getTotalSlides()")):
        tab.evaluate("at => Reveal.slide(at)", k)
        for option in tab.locator(".present .live-option").all()[:1]:
            option.click()
        height, most, right, edge, cut = tab.evaluate(ROOM)
        if height > most or right > edge or cut:
            found.append((k, height, most, right, edge, cut))
    return found


def idle_controls(tab):
    """Sliders, choices and lists of which no step changes the picture, or none the words."""
    found = []
    for k in range(tab.evaluate("Reveal.getTotalSlides()")):
        tab.evaluate("at => Reveal.slide(at)", k)
        for figure in tab.locator(".present figure.live").all():
            controls = figure.locator("input[type=range], fieldset.live-choice, select").all()
            for control in reversed(
                controls
            ):  # sliders first: at α = 1 a choice may change nothing
                pictures, words = zip(*[figure.evaluate(SEEN) for _ in steps(control)])
                if len(set(pictures)) == 1 or len(set(words)) == 1:
                    found.append((figure.get_attribute("id"), control.inner_text()))
    return found


def steps(control):
    """Move a control to each of some places, as a reader does."""
    kind = control.evaluate("node => node.tagName")
    if kind == "FIELDSET":
        for label in control.locator("input + label").all():
            yield label.click()
    elif kind == "SELECT":
        for index in range(control.locator("option").count()):
            yield control.select_option(index=index)
    else:
        for key in ("Home", "ArrowUp", "ArrowUp", "End", "ArrowDown"):
            yield control.press(key)


# ---- what is on the slides -----------------------------------------------------------------------


@pytest.mark.slow
def test_a_deck_goes_from_the_question_over_vote_and_figures_to_the_take_away(deck, show):
    tab = show(deck)
    kinds = tab.locator(".slides > section").evaluate_all(
        "all => all.map((s) => s.className.match(/deck-([a-z-]+)/)[1])"
    )
    assert kinds == KINDS
    words = tab.locator(".slides > section").evaluate_all("all => all.map((s) => s.textContent)")
    assert "First & best" in words[0] and "Does it grow?" in words[1]
    assert "It is B." not in words[2] and "two" in words[2] and "Yes, two." not in words[2]
    assert "✓ Yes, two." in words[6] and "Not <1>." in words[6] and "✓ Not" not in words[6]
    assert "Theorem 9: it grows" in words[7]
    assert "Ours: it shrinks" in words[8]
    assert "It grows." in words[9] and "Read" not in words[9]
    assert "Homework, 5 points, by day 9" in words[10] and "Darts & co: 5 points" in words[10]
    assert tab.locator(".slides a").count() == 0


@pytest.mark.slow
def test_a_deck_asks_for_nothing_and_every_control_moves_picture_and_words(deck, show):
    tab = show(deck)
    assert idle_controls(tab) == []
    assert tab.asked == [deck.as_uri()] and tab.faults == []
    assert tab.locator(".math mjx-container").count() == tab.locator(".math").count() > 3


@pytest.mark.slow
def test_a_figure_starts_where_the_course_file_says_and_is_dragged_on(deck, show):
    tab = show(deck, at=3)
    tab.get_by_role("button", name="Right").click()
    said = tab.locator("#walk .live-result")
    assert said.inner_text() == "8.25 times as sharp."  # of its positions the nearest to 9
    spots, here = data_of(tab, "walk")["grips"][0]["spots"], position(tab, "walk")
    tab.mouse.move(*tab.evaluate(ON_SCREEN, ["walk", 1, spots[here]]))
    tab.mouse.down()
    tab.mouse.move(*tab.evaluate(ON_SCREEN, ["walk", 1, spots[4]]))
    tab.mouse.up()
    assert position(tab, "walk") == 4
    tab.locator("#walk .live-reset").click()
    assert position(tab, "walk") == here


@pytest.mark.slow
@pytest.mark.parametrize("width, height", SIZES)
def test_no_slide_is_larger_than_the_screen(deck, show, width, height):
    assert too_large(show(deck, width, height)) == []


@pytest.mark.slow
def test_type_shrinks_only_where_it_must(deck, show):
    tab = show(deck)
    sizes = tab.locator(".slides > section").evaluate_all(
        "all => all.map((s) => parseFloat(getComputedStyle(s).fontSize))"
    )
    long, short = sizes[6], sizes[1]
    assert 18 <= long < short == 28


TICKS = """() => Math.min(...[...document.querySelectorAll(".present .live-panels svg text")]
  .map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)
  .filter((size) => size > 2))"""


@pytest.mark.slow
def test_a_number_at_an_axis_is_read_from_the_last_row(deck, show):
    tab = show(deck, 1280, 720, at=3)
    assert tab.evaluate(TICKS) > 15.5
    caption, place = (
        tab.locator(f".present {one}").bounding_box() for one in (".live-caption", ".deck-small")
    )
    assert caption["y"] + caption["height"] <= place["y"]


# ---- giving the talk -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("slide, focus", [
    (3, "input[type=range]"), (4, "input[type=radio]"), (3, ".live-reset"), (2, "button"),
    (2, None),
])  # fmt: skip
def test_a_clicker_turns_slides_whatever_has_the_focus(deck, show, slide, focus):
    tab = show(deck, at=slide)
    for keys in (("PageDown", "PageUp"), ("ArrowRight", "ArrowLeft")):
        for key, there in zip(keys, (slide + 1, slide)):
            before = {n: position(tab, n) for n in ("walk", "rungs")}
            if focus and at(tab) == slide:
                tab.locator(f".present {focus}").first.focus()
            tab.keyboard.press(key)
            assert at(tab) == there
            assert before == {n: position(tab, n) for n in ("walk", "rungs")}


@pytest.mark.slow
def test_up_and_down_belong_to_the_slider_that_has_the_focus(deck, show):
    tab = show(deck, at=3)
    tab.locator("#walk input[type=range]").focus()
    here = position(tab, "walk")
    tab.keyboard.press("ArrowUp")
    assert (position(tab, "walk"), at(tab)) == (here + 1, 3)


COUNT_CHANGES = """window.changes = 0;
for (const output of document.querySelectorAll("output"))
  new MutationObserver(() => { changes += 1; }).observe(output, { childList: true });"""


@pytest.mark.slow
def test_votes_are_counted_by_mouse_and_keyboard_and_stand_beside_the_answer(deck, show):
    tab = show(deck, at=2)
    tab.evaluate(COUNT_CHANGES)
    tab.get_by_role("button", name="One more vote for A").click()
    tab.wait_for_function("changes > 0")
    assert tab.evaluate("changes") == 2  # here and beside the answer: the other counts are not said
    tab.get_by_role("button", name="One more vote for B").focus()
    for key in ("Space", "Enter"):
        tab.keyboard.press(key)
    assert at(tab) == 2
    tab.evaluate("Reveal.slide(6)")
    assert tab.locator(".present output").all_inner_texts() == ["1", "2"]
    tab.evaluate("Reveal.slide(2)")
    tab.get_by_role("button", name="Count again").click()
    assert tab.locator(".present output").all_inner_texts() == ["0", "0"]


@pytest.mark.slow
def test_a_rehearsal_does_not_answer_the_guess_of_the_talk(deck, show):
    tab = show(deck, at=3)
    tab.get_by_role("button", name="Left").click()
    assert tab.locator("#walk .live-veil").count() == 0
    tab.wait_for_function("location.hash === '#/3'")
    tab.reload()
    ready(tab)
    assert at(tab) == 3  # and the deck goes on where it was
    assert tab.locator("#walk .live-veil").is_visible()


@pytest.mark.slow
def test_the_speaker_sees_the_notes_from_the_disk(deck, show):
    tab = show(deck, at=3)
    with tab.expect_popup() as opened:
        tab.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("25 minutes.").wait_for(timeout=20_000)
    tab.keyboard.press("PageDown")
    notes.get_by_text("10 minutes.").wait_for(timeout=20_000)


@pytest.mark.slow
def test_it_prints_one_sheet_a_slide(deck, show, tmp_path):
    tab = show(deck, query="?print-pdf")
    tab.wait_for_selector("html.reveal-print .pdf-page, html.print-pdf .pdf-page", state="attached")
    tab.wait_for_timeout(500)
    tab.pdf(path=tmp_path / "deck.pdf", prefer_css_page_size=True, print_background=True)
    sheets = [page.extract_text() for page in PdfReader(tmp_path / "deck.pdf").pages]
    assert len(sheets) == len(KINDS)
    assert "times as sharp" in sheets[3] and "it grows" in sheets[7]


ROOMS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
}


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_axe_finds_nothing_serious_on_any_slide(deck, show, axe, room):  # noqa: F811
    tab = show(deck, **ROOMS[room])
    for k in range(len(KINDS)):
        tab.evaluate("at => Reveal.slide(at)", k)
        found = {f for f in faults(tab, axe) if f[1] in ("serious", "critical")}
        assert found == set(), k


def paper(tab):
    """What stands on the slide, as the browser paints it."""
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


WHITE, NIGHT = "rgb(255, 255, 255)", "rgb(20, 24, 28)"


@pytest.mark.slow
def test_a_dark_room_has_a_dark_deck_and_d_changes_it(deck, show):
    tab = show(deck, at=3, color_scheme="dark")
    assert paper(tab) == NIGHT
    tab.locator("#walk input[type=range]").focus()
    for colour in (WHITE, NIGHT):
        tab.keyboard.press("d")
        assert paper(tab) == colour and at(tab) == 3
    assert paper(show(deck)) == WHITE


@pytest.mark.slow
def test_a_list_with_the_focus_keeps_its_letters(deck, show):
    tab = show(deck, at=3)
    tab.evaluate("document.querySelector('.present .deck-room').innerHTML = '<select></select>'")
    tab.locator(".present select").focus()
    tab.keyboard.press("d")
    assert paper(tab) == WHITE


@pytest.mark.slow
def test_paper_is_light_whatever_the_room_was(deck, show):
    assert paper(show(deck, query="?print-pdf", color_scheme="dark")) == WHITE
    tab = show(deck, color_scheme="dark")
    for event, colour in (("beforeprint", WHITE), ("afterprint", NIGHT)):
        tab.evaluate("name => window.dispatchEvent(new Event(name))", event)
        assert paper(tab) == colour


# ---- what the speaker reads ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def book():
    return whole_book.read_book()


def test_notes_have_the_guides_own_lines_and_the_class_gets_no_answer(book):
    ours, theirs = Notes(book, keys=True), Notes(book, keys=False)
    asked, answered = "How coarse may it be", "a step far too fine"
    seen = ours.of_figure("meaning/why_flat", "rounding")
    assert asked in seen and answered in seen and "small against large" not in seen
    seen = theirs.of_figure("meaning/why_flat", "rounding")
    assert asked in seen and answered not in seen
    opening, closing = ours.of_meeting(("meaning/why_flat", "meaning/volume"))
    assert "How the course runs" in opening and "Exit ticket: what does" in closing
    assert ours.of_figure("meaning/why_flat", "no-such") == ""
    assert ours.of_meeting(("meaning/why_flat", "after/real_networks")) == ("", "")


def test_a_figure_shown_twice_has_the_lines_of_its_own_position(book):
    notes = Notes(book, keys=True)
    first = notes.of_figure("after/real_networks", "real")
    second = notes.of_figure("after/real_networks", "real:layer=conv%20before%20norm&alpha=1")
    assert "layers to choose from" in first and "swallows the factor" not in first
    assert "swallows the factor" in second and "layers to choose from" not in second
    asked = "In training mode batch norm swallows the factor. And in evaluation mode?"
    assert notes.asked("after/real_networks", "real:layer=conv%20before%20norm&alpha=1") == asked
    assert notes.asked("after/real_networks", "real") == ""  # it is not the first one's


def test_notes_say_the_minutes_once_and_what_another_plan_has_of_the_figure(book):
    notes = Notes(book, keys=True)
    for meeting in course.read().meetings:
        for step in meeting.steps:
            seen = notes.of_figure(step.page, f"{step.figure}:{step.position}".strip(":"))
            assert not re.match(r"<p><em>\d+ minutes", seen), step
    smallest = notes.of_figure("argument/rectifier_symmetry", "orbit:alpha=1")
    assert "16 times as much" in smallest and "Minutes 8" not in smallest
    squeezed = notes.of_figure("argument/model_reparametrization", "fig-5:a=0&b=0.01")
    assert "they were alike before" in squeezed  # the 90 minutes
    for_class = Notes(book, keys=False).of_figure("argument/rectifier_symmetry", "orbit:alpha=1")
    assert "three lines of the proof" in for_class and "16 times" not in for_class


class Told:
    """A chapter and its notes: each figure has a guess, the second step a question."""

    def heading(self, name):
        return f"The answer to {name}"

    def figure(self, name, position, guess):
        return f"{name} at {position}, {'guess' if guess else 'no guess'}"

    def of_figure(self, _page, place):
        return f"<p>Show {place}.</p>"

    def asked(self, _page, place):
        return "How many?" if place == "net:a=1" else ""


def test_a_question_has_a_slide_of_its_own_on_which_nothing_answers_it():
    steps = [course.Step("page", "net", where, 5) for where in ("", "a=1")]
    given = SimpleNamespace(book=SimpleNamespace(places=SimpleNamespace(site="https://s")))
    first, asked, second = slides.shown(Told(), steps, Told(), given)
    assert [one.kind for one in (first, asked, second)] == ["figure", "ask", "figure"]
    assert asked.what == "How many?" and "net" not in asked.title and not asked.source
    assert second.title == "The answer to net"
    assert [one.notes.count("5 minutes") for one in (first, asked, second)] == [1, 1, 0]
    assert all("Show net" in one.notes for one in (first, asked, second))
    # and a figure asks for its guess once
    assert [first.what, second.what] == ["net at , guess", "net at a=1, no guess"]


def test_a_figure_that_is_shown_again_has_no_guess_in_its_data():
    figure = '{"knobs": [], "guess": {"panel": 1}}'
    assert "guess" in slide_parts._started(figure, "")
    assert "guess" not in slide_parts._started(figure, "", guess=False)


@pytest.mark.site
def test_every_figure_without_a_guess_is_asked_about_before_it_is_seen(book, site):
    """All but the one whose order the class calls out."""
    notes, silent = Notes(book, keys=False), []
    for step in (step for meeting in course.read().meetings for step in meeting.steps):
        figure = slide_parts.chapter_of(site, step.page).figure(step.figure)
        place = f"{step.figure}:{step.position}".strip(":")
        if '"guess"' not in figure and not notes.asked(step.page, place):
            silent.append(step.figure)
    assert silent == ["rank-three-nets"]


def test_boxes_say_that_they_were_read_at_home():
    chapter = SimpleNamespace(
        title="One", question="", votes=[], boxes=["<p>A box.</p>"], take_away="<p>It is.</p>"
    )
    made = [*slides.of_chapter(chapter, [])]
    assert [one.kind for one in made] == ["box", "take-away"]
    assert all("read at home" in one.notes for one in made)


def test_the_question_before_a_figure_moves_is_the_guides_and_holds_no_answer(book):
    notes = Notes(book, keys=True)
    asked = "How coarse may it be before one new image in a hundred is lost?"
    assert notes.asked("meaning/why_flat", "rounding").endswith(asked)
    kept = notes.asked("argument/biases_and_other_layers", "architectures:case=biases&alpha=3")
    assert kept.endswith("Which are <em>kept</em>, and which are <em>broken</em>?")
    renamed = notes.asked("argument/model_reparametrization", "fig-5:a=0&b=0.01")
    assert renamed.startswith("I rename the points")  # the guide's 90 minutes have it
    assert notes.asked("meaning/why_flat", "no-such") == ""


def test_what_a_class_does_after_the_last_figure_has_a_slide(book):
    (groups, their, told), (ticket, asked, _) = Notes(book, keys=True).tasks(
        ("after/theorem_as_algorithm", "after/audit_your_network")
    )
    assert (groups, ticket) == ("Your turn", "Exit ticket")
    assert "Five groups, one work each" in their and "Kwon" in their and "<a" not in their
    assert "What to hold the groups to" in told and "What to hold the groups to" not in their
    assert "All five statements" in asked and "True or false" in asked
    assert asked.count("<li>") == 5 and "SGD finds sharp minima." in asked  # the exercise's own


def test_every_meeting_ends_with_a_task(book):
    notes = Notes(book, keys=False)
    assert all([*notes.tasks(meeting.chapters)] for meeting in course.read().meetings)
    assert [*notes.tasks(("meaning/why_flat", "after/real_networks"))] == []


def test_every_figure_that_the_guide_shows_in_a_meeting_has_a_slide(book):
    text = book.pages["book/teach/guide"].text().partition("(six-weeks)=")[2].partition("\n(")[0]
    _, *meetings = re.split(r"^\*\*Meeting \d+: ", text, flags=re.M)
    for planned, words in zip(course.read().meetings, meetings, strict=True):
        shown = {f"{step.page}.html#{step.figure}" for step in planned.steps}
        for begun in re.findall(r"^: \*\d+ minutes\.\*(.*)", words, re.M):
            found = re.findall(r'(?:\*[Ss]how\*|And) <a href="\.\./([^":]+)', begun)
            assert {*found} <= shown, planned.number


def test_every_figure_and_meeting_of_the_course_has_its_notes(book):
    notes = Notes(book, keys=True)
    for meeting in course.read().meetings:
        assert all(notes.of_figure(step.page, step.figure) for step in meeting.steps)
        assert "Homework" in notes.of_meeting(meeting.chapters)[1]


def test_decks_with_expected_answers_are_never_released():
    assert "slides-teacher" in kit.FOR_TEACHERS and "slides" not in kit.FOR_TEACHERS


# ---- slips ---------------------------------------------------------------------------------------


def test_a_figure_that_is_not_on_its_built_page_is_named(tmp_path):
    page = tmp_path / "book" / "one.html"
    page.parent.mkdir()
    page.write_text('<article class="bd-article"><h1>One</h1></article>')
    with pytest.raises(Fault, match="^one needs a figure 'orbit' on its built page, which has no"):
        Chapter(tmp_path, "one").figure("orbit")


def test_slides_without_reveal_and_network_say_so(tmp_path, monkeypatch):
    def gone(*_):
        raise npm.NotThere("reveal.js 5.2.1 did not come from https://x: no route.")

    monkeypatch.setattr(npm, "package", gone)
    with pytest.raises(Fault, match=r"^The slides need reveal\.js once: .*no route\.$"):
        slides.assets(tmp_path)


# ---- the book's own ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def decks(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decks")
    given = SimpleNamespace(course=course.read(), book=whole_book.read_book())
    slides.write(given, folder, keys=True, site=site)
    return folder


@pytest.mark.site
@pytest.mark.parametrize("meeting", course.read().meetings, ids=lambda m: f"meeting-{m.number}")
def test_a_deck_of_the_book_fits_moves_and_asks_for_nothing(decks, show, axe, meeting):  # noqa: F811
    path = decks / f"{slides.name(meeting)}.html"
    for size, room in zip(SIZES, ("dark", "light")):
        tab = show(path, *size, **ROOMS[room])
        assert too_large(tab) == []
        assert idle_controls(tab) == []
        assert tab.asked == [path.as_uri()] and tab.faults == []
    for figure in tab.locator(".slides > section.deck-figure").all():
        tab.evaluate("node => Reveal.slide(Reveal.getIndices(node).h)", figure.element_handle())
        assert not {f for f in faults(tab, axe) if f[1] in ("serious", "critical")}


def test_a_figure_starts_at_a_choice_of_several_words():
    knobs = '{"knobs": [{"name": "case", "kind": "choice", "values": ["a", "b c"], "start": 0}]}'
    assert '"start": 1' in slide_parts._started(knobs, "x=1&case=b%20c")


@pytest.mark.parametrize(("wanted", "at"), [("10", 1), ("4", 1), ("2", 0), ("1e9", 2)])
def test_a_position_is_the_nearest_as_the_site_finds_it(wanted, at):
    """In the logarithm where all values are positive: 4 is nearer to 10 than to 1."""
    knob = {"kind": "range", "values": [1.0, 10.0, 100.0], "start": 0}
    assert slide_parts._nearest(knob, wanted) == at
    knob["values"] = [0.0, 6.0, 10.0]  # a zero has no logarithm
    assert slide_parts._nearest(knob, "2") == 0
