"""Live figures under a reader's hand: drag, guess, light, read, take away; on every size of screen.

Oracle: the browser's own events and layout (mouse, fingers, keys, boxes, computed styles), on a
small book that is built as the real one is. What must be seen is written here by hand.
"""

import csv
import io
import json
import re
from xml.etree import ElementTree

import nbformat
import pytest
from PIL import Image
from test_faults import build, new_book, write_book

pytestmark = pytest.mark.slow

SET_UP = """\
import numpy as np
from helpers import choice, explore, linear_knob, log_knob, mark, panels

t = np.geomspace(0.1, 10, 100)


def curves(count):
    figs, axes = panels(count)
    dots = []
    for ax in axes:
        ax.set(xscale="log", yscale="log", title="A point walks", xlabel="first weight")
        (curve,) = ax.plot(t, 1 / t)
        dots += ax.plot([1], [1], "D")
    mark("curve", curve)
    mark("point", dots[0])
    return figs, dots
"""
WALK = """\
figs, dots = curves(3)


def draw(alpha):
    for dot in dots:
        dot.set_data([alpha], [1 / alpha])
    return f"{alpha:g} times as sharp.\\nThe [point](point) is at {alpha:g}, on [its curve](curve)."


guess = dict(panel=2, question="Where?", options=["Left", "Right"], right=1,
             reply="It walks right.")
alpha = log_knob(0.1, 10, start=3, per_decade=12, label="rescale by α")
explore(draw, fig=figs, name="walk", caption="A walk.", alt="The dot goes right.",
        drag=dots[0], guess=guess, alpha=alpha)
"""
PAIR = """\
figs, dots = curves(2)


def draw(alpha, net):
    dots[0].set_data([alpha], [1 / alpha])
    dots[1].set_data([1 / alpha], [alpha * len(net) / 4])
    return f"{net} at {alpha:g}.\\nA line more."


explore(draw, fig=figs, name="pair", caption="A pair.", alt="Two dots on two curves.",
        drag={"alpha": dots[0]}, alpha=log_knob(0.1, 10, start=3, per_decade=3, label="rescale by"),
        net=choice(["relu", "leaky"], label="The net has"))
"""
UNITS = """\
figs, (ax,) = panels(1)
ax.set(xlim=(0, 3), ylim=(0, 3))
(dots,) = ax.plot([1, 2], [1, 2], "D")
(still,) = ax.plot([1], [0.3], "o")
cases = [f"case {i}" for i in range(8)]


def draw(c1, c2, case):
    dots.set_data([c1, c2], [1, 2])
    still.set_data([cases.index(case) / 3], [0.3])
    return f"{c1:g}, {c2:g}, {case}.\\nWords."


explore(draw, fig=figs, name="units", caption="Units.", alt="Two dots, each with a slider.",
        drag={"c1": (dots, 0), "c2": (dots, 1)},
        c1=linear_knob(0.5, 2.5, start=1, steps=5, label="unit 1 times"),
        c2=linear_knob(0.5, 2.5, start=2, steps=5, label="unit 2 times"),
        case=choice(cases, label="The case"))
"""
RUNGS = """\
figs, (ax,) = panels(1)
ax.set(xlim=(0, 5), ylim=(0, 5))
(dot,) = ax.plot([1], [1], "D")
name = ax.set_title("odd")


def draw(rung):
    dot.set_data([2], [rung])
    name.set_text("odd" if rung % 2 else "even, $λ_{max}$")
    return f"On rung {rung}."


explore(draw, fig=figs, name="rungs", caption="Rungs.", alt="A dot on a ladder.",
        drag={"rung": dot}, rung=choice([1, 2, 3, 4], start=2, label="The rung"))
"""
FIGURES = {"walk": 3, "pair": 2, "units": 1, "rungs": 1}  # panels
SIZES = {360: 740, 768: 1024, 1280: 800, 1440: 900, 1920: 1080}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a built page with four figures."""
    book = new_book(tmp_path_factory.mktemp("grips") / "book")
    write_book(book, front=[SET_UP, WALK, PAIR, UNITS, RUNGS])
    path = book / "book" / "front.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(3, nbformat.v4.new_markdown_cell("## More of it", id="more"))
    nbformat.write(notebook, path)
    status, said = build(book)
    assert status == 0, said
    return (book / "_build" / "html" / "book" / "front.html").as_uri()


@pytest.fixture
def visit(browser, page):
    """visit(hash="#…", width=1280, **context): a tab of a new reader, or of the one in `of`."""
    contexts = []

    def visit_it(address="", *, width=1280, height=None, of=None, **options):
        size = {"width": width, "height": height or SIZES[width]}
        if of is None:
            contexts.append(browser.new_context(viewport=size, **options))
        tab = (of.context if of else contexts[-1]).new_page()
        tab.faults = []
        tab.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.on("console", lambda m: tab.faults.append(m.text) if m.type == "error" else None)
        tab.goto(page + address)
        tab.wait_for_load_state("load")
        return tab

    yield visit_it
    for context in contexts:
        context.close()


def data_of(tab, name):
    return json.loads(tab.locator(f"#{name} > .live-data").text_content())


def position(tab, name):
    return int(tab.locator(f"#{name}").get_attribute("data-position"))


ON_SCREEN = """([name, panel, spot]) => {
  const svg = document.querySelectorAll(`#${name} .live-panel > svg`)[panel];
  const { x, y } = new DOMPoint(...spot).matrixTransform(svg.getScreenCTM());
  return [x, y];
}"""


def where(tab, name, at, grip=0):
    """Where the handle of figure `name` stands at position `at`, in pixels of the window."""
    handle = data_of(tab, name)["grips"][grip]
    return tab.evaluate(ON_SCREEN, [name, handle["panel"], handle["spots"][at]])


def show(tab, name):
    tab.locator(f"#{name} .live-panels").evaluate(
        "p => p.scrollIntoView({block: 'center', behavior: 'instant'})"
    )


def drag(tab, name, path, grip=0):
    """Take the handle and lead it along positions `path`; the positions that were shown."""
    show(tab, name)
    tab.mouse.move(*where(tab, name, position(tab, name), grip))
    tab.mouse.down()
    seen = []
    for at in path:
        tab.mouse.move(*where(tab, name, at, grip))
        seen.append(position(tab, name))
    tab.mouse.up()
    return seen


# ---- dragging ------------------------------------------------------------------------------------


def test_a_dragged_point_takes_every_measured_position_and_moves_its_slider(visit):
    tab = visit()
    path = [*range(17, -1, -1), *range(25)]
    assert drag(tab, "walk", path) == path
    figure = tab.locator("#walk")
    assert figure.locator("input[type=range]").input_value() == "24"
    assert figure.locator(".live-value").inner_text() == "10"
    assert tab.evaluate("document.activeElement.id") == "walk-alpha"
    tab.keyboard.press("ArrowLeft")  # the keys go on from there
    assert position(tab, "walk") == 23
    assert tab.faults == []


def test_a_point_that_was_let_go_stays(visit):
    tab = visit()
    drag(tab, "walk", [20])
    tab.mouse.move(*where(tab, "walk", 19))  # still over the handle
    assert position(tab, "walk") == 20


def test_a_handle_taken_at_its_rim_does_not_jump(visit):
    tab = visit()
    show(tab, "walk")
    x, y = where(tab, "walk", start := position(tab, "walk"))
    tab.mouse.move(x + 18, y)
    tab.mouse.down()
    tab.mouse.move(x + 18, y + 1)
    assert position(tab, "walk") == start


def test_each_of_two_handles_moves_its_own_slider(visit):
    tab = visit()
    sliders = tab.locator("#units input[type=range]")
    assert [slider.input_value() for slider in sliders.all()] == ["1", "3"]
    drag(tab, "units", [position(tab, "units") - 40], grip=0)
    assert [slider.input_value() for slider in sliders.all()] == ["0", "3"]
    drag(tab, "units", [position(tab, "units") + 8], grip=1)
    assert [slider.input_value() for slider in sliders.all()] == ["0", "4"]
    assert tab.locator("#units select").input_value() == "case 0"


def test_a_handle_moves_a_choice(visit):
    tab = visit()
    assert drag(tab, "rungs", [2, 3, 0]) == [2, 3, 0]
    assert tab.locator("#rungs input:checked + label").inner_text() == "1"
    assert tab.locator("#rungs .live-result").inner_text() == "On rung 1."


def test_a_label_may_be_plain_here_and_a_formula_there(visit):
    tab = visit()
    words = """[...document.querySelectorAll('#rungs text')].map(text => [...text.childNodes]
        .filter(part => part.getAttribute?.("display") !== "none")
        .map(part => part.textContent).join(""))"""
    seen = []
    for rung in (1, 2, 3, 4, 1):
        tab.locator(f"#rungs fieldset label:text-is('{rung}')").click()
        seen += [text for text in tab.evaluate(words) if text[:3] in ("odd", "eve")]
    assert seen == ["odd", "even, λmax", "odd", "even, λmax", "odd"]


def finger(tab, points):
    """One finger put down at the first of `points`, led through the others and lifted."""
    session = tab.context.new_cdp_session(tab)
    for number, (x, y) in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        tab.wait_for_timeout(20)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_drags_the_point_and_scrolls_the_page_beside_it(visit):
    tab = visit(width=360, has_touch=True, is_mobile=True)
    show(tab, "walk")
    tab.locator("#walk .live-panel").first.evaluate(
        "p => scrollBy({top: p.getBoundingClientRect().top - 150, behavior: 'instant'})"
    )
    top = tab.evaluate("scrollY")
    finger(tab, [where(tab, "walk", at) for at in [*range(18, 4, -1), *range(5, 9)]])
    assert position(tab, "walk") == 8
    assert tab.evaluate("scrollY") == top
    x, y = where(tab, "walk", 2)
    finger(tab, [(x, y + 110 - 15 * step) for step in range(9)])
    tab.wait_for_function("top => scrollY > top + 50", arg=top)
    assert position(tab, "walk") == 8


ACROSS = "all => all.map(ring => 2 * ring.getAttribute('r') * ring.getScreenCTM().a)"


@pytest.mark.parametrize("width", SIZES)
def test_a_handle_is_as_wide_as_a_thumb_on_every_screen(visit, width):
    tab = visit(width=width)
    across = tab.locator(".live-grip").evaluate_all(ACROSS)
    assert len(across) == 5
    assert across == pytest.approx([44] * 5, abs=0.1)


MOVES = "getComputedStyle(document.querySelector('#walk .live-grip')).animationName"


def test_a_handle_breathes_until_it_was_taken(visit):
    tab = visit()
    show(tab, "walk")
    tab.wait_for_function(f"{MOVES} === 'grip'")
    drag(tab, "walk", [3])
    assert tab.evaluate(MOVES) == "none"


def test_nothing_moves_by_itself_where_motion_is_unwanted(visit):
    tab = visit(reduced_motion="reduce")
    show(tab, "walk")
    tab.wait_for_function("document.querySelector('#walk').matches('.live-seen')")
    assert tab.evaluate(MOVES) == "none"
    assert tab.locator(".live-play").count() == 0


# ---- words and curves ----------------------------------------------------------------------------


def dimmed(tab):
    """The opacity of the marked artists of the first figure: (point, curve)."""
    tab.wait_for_timeout(250)  # they fade
    nodes = [tab.locator(f"#walk svg [data-mark={mark}]").first for mark in ("point", "curve")]
    return [float(node.evaluate("node => getComputedStyle(node).opacity")) for node in nodes]


def uncovered(tab):
    tab.locator("#walk .live-option").first.click()
    return tab


def test_words_light_their_curve_and_the_others_step_back(visit):
    tab = uncovered(visit())
    assert dimmed(tab) == [1, 1]
    tab.locator("#walk .live-words span[data-mark=curve]").hover()
    assert dimmed(tab) == [0.18, 1]
    tab.keyboard.press("Tab")
    tab.locator("#walk input[type=range]").press("ArrowLeft")  # new words, the same light
    assert dimmed(tab) == [0.18, 1]
    assert tab.locator("#walk .live-words .live-lit").inner_text() == "its curve"
    tab.mouse.move(2, 2)
    assert dimmed(tab) == [1, 1]


def test_a_tap_lights_a_curve_and_the_next_one_puts_it_out(visit):
    tab = uncovered(visit(width=360, has_touch=True, is_mobile=True))
    word = tab.locator("#walk .live-words span[data-mark=point]")
    word.tap()
    assert dimmed(tab) == [1, 0.18]
    word.tap()
    assert dimmed(tab) == [1, 1]


# ---- a guess -------------------------------------------------------------------------------------


def covered(tab):
    """(is the third panel seen, the result, are the words seen)."""
    figure = tab.locator("#walk")
    return (
        figure.locator(".live-panel > svg").nth(2).is_visible(),
        figure.locator(".live-result").inner_text(),
        figure.locator(".live-words").is_visible(),
    )


OPEN = (True, "3 times as sharp.", True)
SHUT = (False, "Make your guess, then see.", False)


@pytest.mark.parametrize(("option", "verdict"), [("Left", "Not so."), ("Right", "Right.")])
def test_a_guess_comes_before_its_panel(visit, option, verdict):
    tab = visit()
    assert covered(tab) == SHUT
    tab.locator("#walk input[type=range]").press("ArrowLeft")
    assert covered(tab) == SHUT
    tab.locator("#walk input[type=range]").press("ArrowRight")
    # What stands in an image is silent.
    assert tab.locator("#walk .live-panels").get_attribute("role") == "group"
    tab.get_by_role("button", name=option).click()
    assert covered(tab) == OPEN
    assert (
        tab.locator("#walk [role=status].live-reply").inner_text() == f"{verdict} It walks right."
    )
    assert tab.locator("#walk .live-panels[role=img]").get_attribute("aria-label").startswith("The")


SIGN = "node => getComputedStyle(node, '::before').content.trim()"
IN_SIGHT = """([name, part]) => {
  const figure = document.getElementById(name), node = figure.querySelector(part);
  const [box, bar] = [node, figure.querySelector(".live-bar")].map(n => n.getBoundingClientRect());
  const foot = part === ".live-verdict" ? Math.min(bar.top, innerHeight) : innerHeight;
  return box.height > 15 && box.top > 50 && box.bottom <= foot;
}"""


@pytest.mark.parametrize(("option", "answer", "sign"), [(0, "wrong", "✗"), (1, "right", "✓")])
@pytest.mark.parametrize(("width", "part"), [(360, ".live-verdict"), (1280, ".live-reply")])
def test_a_verdict_is_in_sight_of_the_option_and_does_not_speak_by_colour_alone(
    visit, width, part, option, answer, sign
):
    tab = visit(width=width)
    chosen = tab.locator("#walk .live-option").nth(option)
    chosen.evaluate("node => node.scrollIntoView({block: 'end', behavior: 'instant'})")
    chosen.click()
    tab.wait_for_function(IN_SIGHT, arg=["walk", part])
    verdict = tab.locator(f"#walk {part} b")
    assert verdict.get_attribute("data-answer") == answer
    assert sign in verdict.evaluate(SIGN)
    colours = {tab.locator(f"#walk {p}").evaluate(COLOUR) for p in (f"{part} b", part)}
    assert len(colours) == 2
    assert tab.locator("#walk .live-verdict").get_attribute("aria-hidden") == "true"  # said once


def test_by_keyboard_a_phone_shows_the_verdict_too(visit):
    """The hand goes on to the first control, and the page does not scroll after it."""
    tab = visit(width=360)
    tab.locator("#walk .live-option").first.press("Enter")
    tab.wait_for_function("document.activeElement.closest('.live-bar')")
    tab.wait_for_timeout(500)
    assert tab.evaluate(IN_SIGHT, ["walk", ".live-verdict"])


COLOUR = "node => getComputedStyle(node).color"
MEETS = """([upper, lower]) => document.querySelector(upper).getBoundingClientRect().bottom
    > document.querySelector(lower).getBoundingClientRect().top"""


def test_a_phone_s_bar_does_not_lie_on_what_it_asks(visit):
    tab = visit(width=360)
    tab.locator("#walk .live-veil").evaluate(
        "veil => scrollTo({top: veil.getBoundingClientRect().top + scrollY - innerHeight + 150,"
        "behavior: 'instant'})"
    )
    tab.wait_for_function(
        f"parts => !({MEETS})(parts)", arg=["#walk .live-veil", "#walk .live-bar"]
    )
    assert tab.locator("#walk .live-bar").bounding_box()["y"] > SIZES[360] - 5
    uncovered(tab)
    tab.locator("#walk .live-panel").first.scroll_into_view_if_needed()
    bar = tab.locator("#walk .live-bar").bounding_box()
    assert bar["y"] + bar["height"] <= SIZES[360]  # from now on it stays in reach


def test_a_label_of_a_phone_s_bar_keeps_off_its_border_and_its_list(visit):
    tab = visit(width=360)
    bar, label, knob = (
        tab.locator(f"#units {part}").first.bounding_box()
        for part in (".live-bar", ".live-list .live-label", ".live-list select")
    )
    assert label["y"] >= bar["y"] + 6
    assert knob["y"] >= label["y"] + label["height"] + 2 or knob["x"] > label["x"] + label["width"]


def test_the_description_does_not_tell_before_the_guess(visit):
    tab = visit()
    spoken = tab.locator("#walk .live-panels").get_attribute("aria-label")
    assert spoken == "A point walks. A point walks. One panel waits for your guess."
    tab.locator("#walk input[type=range]").press("ArrowRight")
    tab.wait_for_timeout(900)
    assert tab.locator("#walk .live-voice").text_content() == ""


def test_a_guess_is_remembered_on_this_device_alone(visit):
    tab = uncovered(visit())
    again = visit(of=tab)
    assert covered(again) == OPEN
    assert again.locator("#walk .live-reply").inner_text() == "Not so. It walks right."
    assert covered(visit()) == SHUT


def test_a_guess_by_keyboard_leads_on_to_the_slider(visit):
    tab = visit()
    tab.locator("#walk .live-option").nth(1).press("Enter")
    assert tab.evaluate("document.activeElement.id") == "walk-alpha"


def test_a_link_to_a_position_shows_what_it_links_to(visit):
    assert covered(visit("#walk:alpha=3")) == OPEN
    tab = visit("#walk")
    assert covered(tab) == SHUT
    tab.evaluate("location.hash = '#walk:alpha=3'")
    tab.wait_for_function("!document.querySelector('.live-veil')")
    assert covered(tab) == OPEN
    tab.wait_for_function("history.state?.live")  # from now on Back and reload restore it
    tab.reload()
    assert covered(tab) == OPEN


def test_without_scripts_nothing_is_covered(visit):
    assert covered(visit(java_script_enabled=False)) == OPEN


def test_on_paper_nothing_is_covered(visit):
    tab = visit()
    tab.emulate_media(media="print")
    assert covered(tab)[::2] == OPEN[::2]  # picture and words, even where no event comes
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert covered(tab) == OPEN
    for part in ("input", ".live-button", ".live-grip", ".live-veil"):
        assert not any(node.is_visible() for node in tab.locator(f"figure {part}").all())


# ---- the bar -------------------------------------------------------------------------------------


def test_a_bar_holds_choices_then_sliders_then_actions_then_the_result(visit):
    tab = visit()
    kinds = "bar => [...bar.children].map(node => node.className)"
    for name, wanted in {
        "pair": ["live-knob live-choice", "live-knob", "live-actions", "live-result"],
        "units": ["live-knob live-list", *2 * ["live-knob"], "live-actions", "live-result"],
    }.items():
        assert tab.locator(f"#{name} .live-bar").evaluate(kinds) == wanted


def test_six_choices_are_buttons_and_more_are_a_list(visit):
    tab = visit()
    assert tab.locator("#rungs input[type=radio]").count() == 4
    select = tab.get_by_label("The case")
    assert select.locator("option").count() == 8
    select.select_option("case 3")
    assert tab.locator("#units .live-result").inner_text() == "1, 2, case 3."


def test_buttons_that_would_take_much_of_a_screen_s_height_are_a_list(visit):
    assert visit(width=360).locator("#pair fieldset").count() == 1  # 82 of 740 pixels
    tab = visit(width=360, height=480)
    assert tab.locator("#pair fieldset").count() == 0
    tab.get_by_label("The net has").select_option("leaky")
    assert tab.locator("#pair .live-result").inner_text() == "leaky at 3."
    assert tab.locator("#pair select").bounding_box()["height"] < 50
    assert not tab.faults


def test_a_slider_is_named_in_words_and_followed_by_its_value(visit):
    tab = visit()
    slider = tab.get_by_role("slider", name="rescale by α", exact=True)
    assert slider.get_attribute("aria-valuetext") == "3"
    assert tab.locator("#walk .live-reading").inner_text().split() == ["rescale", "by", "α", "3"]


@pytest.mark.parametrize("width", [360, 1280])
def test_a_track_stays_put_while_its_value_changes(visit, width):
    tab = visit(width=width)
    slider = tab.locator("#walk input[type=range]")
    box = "s => { const b = s.getBoundingClientRect(); return [b.left, b.top + scrollY, b.width]; }"
    slider.press("Home")
    tab.wait_for_timeout(300)
    boxes, texts = [], set()
    for _ in range(25):
        boxes.append(tuple(slider.evaluate(box)))
        texts.add(len(tab.locator("#walk .live-value").inner_text()))
        slider.press("ArrowRight")
    assert len(texts) > 1
    assert len(set(boxes)) == 1


def test_a_bar_sticks_only_where_the_window_is_high_enough(visit):
    sticks = "getComputedStyle(document.querySelector('#walk .live-bar')).position"
    assert visit(height=480).evaluate(sticks) == "sticky"
    assert visit(height=479).evaluate(sticks) == "relative"


def test_one_voice_speaks_after_the_last_move(visit):
    tab = uncovered(visit())
    tab.locator("#walk input[type=range]").press("ArrowRight")
    voice = tab.locator("#walk .live-voice")
    tab.wait_for_function("document.querySelector('#walk .live-voice').textContent")
    assert voice.text_content().startswith("3.83 times as sharp. The point is at 3.83, on")
    assert tab.locator("#walk .live-value").get_attribute("aria-live") == "off"
    live = "node => !!node.closest('[aria-live=polite], [role=status]')"
    assert not tab.locator("#walk .live-result").evaluate(live)


def test_by_keyboard_the_figure_is_two_keys_away(visit):
    tab = visit()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the figure"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.textContent") == "Left"  # the guess comes first
    assert 0 <= tab.locator("#walk").bounding_box()["y"] < 200
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#walk .live-veil", state="detached")
    tab.locator(".live-skip").press("Enter")
    assert tab.evaluate("document.activeElement.id") == "walk-alpha"


def test_by_keyboard_the_focus_moves_before_its_old_place_goes(visit):
    """Orca 43 with Firefox 140 does not say a focus that comes in the same moment."""
    tab = visit()
    tab.locator("#walk .live-option").first.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "walk-alpha"
    assert tab.locator("#walk .live-veil").count() == 1
    tab.wait_for_selector("#walk .live-veil", state="detached")
    assert tab.evaluate("document.activeElement.id") == "walk-alpha"


def test_a_figure_and_its_guess_are_named_in_few_words(visit):
    """Each time the focus enters a figure its name is said, before the control."""
    tab = visit()
    name = tab.locator("#walk").get_attribute("aria-label")
    assert (
        name
        and len(name) < 120
        and name in tab.locator("#walk .live-panels").get_attribute("aria-label")
    )
    veil = tab.locator("#walk .live-veil[role=group]")
    asks = tab.locator(f"#{veil.get_attribute('aria-labelledby')}").inner_text()
    assert asks == tab.locator("#walk .live-veil p").inner_text() != ""


def test_words_that_are_the_same_are_said_again(visit):
    tab = uncovered(visit())
    watch = """() => {
      window.said = [];
      const voice = document.querySelector("#walk .live-voice");
      new MutationObserver(() => { if (voice.textContent) said.push(voice.textContent); })
        .observe(voice, { childList: true });
    }"""
    tab.evaluate(watch)
    for count in (1, 2):
        tab.locator("#walk .live-reset").click()
        tab.wait_for_function(f"said.length === {count}")
    first, second = tab.evaluate("said")
    assert first == second
    tab.locator("#walk .live-play").click()
    tab.wait_for_function("said.includes('Playing')")


@pytest.mark.parametrize(
    ("entry", "focus"),
    [
        ("Link to this position", "More"),
        ("Picture (SVG)", "More"),
        ("Numbers (CSV)", "More"),
        ("The code that made it", ""),
    ],
)
def test_an_entry_of_the_menu_keeps_the_focus_and_says_what_it_did(visit, entry, focus):
    tab = visit()
    tab.locator("#walk .live-more").press("Enter")
    tab.locator("#walk .live-entries button", has_text=entry).press("Enter")
    at = "document.activeElement"
    if focus:
        assert tab.evaluate(f"{at}.ariaLabel") == focus
        tab.wait_for_function("document.querySelector('#walk .live-voice').textContent")
    else:
        assert tab.evaluate(f"{at}.closest('.cell') && !{at}.closest('figure')")
        assert "np.geomspace" not in tab.evaluate(f"{at}.textContent")  # the figure's own lines


LISTEN = """addEventListener("DOMContentLoaded", () => {
  window.heard = [];
  for (const voice of document.querySelectorAll(".live-voice"))
    new MutationObserver(() => heard.push(voice.textContent)).observe(voice, { childList: true });
});"""


def test_a_page_that_comes_back_says_nothing(visit):
    tab = visit()
    tab.locator("#pair input[type=range]").press("ArrowRight")
    tab.wait_for_function("Object.values(history.state?.live ?? {}).length")
    tab.context.add_init_script(LISTEN)
    tab.reload()
    tab.wait_for_timeout(900)
    assert position(tab, "pair") != data_of(tab, "pair")["knobs"][0]["start"]
    assert tab.evaluate("heard") == []
    tab.locator("#pair input[type=range]").press("ArrowRight")
    tab.wait_for_function("heard.length === 1")


def test_the_button_that_plays_says_pause_while_it_does(visit):
    tab = visit()
    play = tab.locator("#walk .live-play")
    names = "b => [b.ariaLabel, b.title]"
    assert play.evaluate(names) == ["Play", "Play"]
    play.click()
    assert play.evaluate(names) == ["Pause", "Pause"]
    play.click()
    assert play.evaluate(names) == ["Play", "Play"]


# ---- sizes ---------------------------------------------------------------------------------------

TEXTS = """[...document.querySelectorAll('.live-panel > svg text')].map(text =>
  parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a)"""
WIDE = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("width", SIZES)
def test_panels_and_their_text_have_one_size_on_a_page(visit, width):
    tab = visit(width=width)
    boxes = {name: tab.locator(f"#{name} .live-panel > svg").all() for name in FIGURES}
    widths = [svg.bounding_box()["width"] for panels in boxes.values() for svg in panels]
    texts = tab.evaluate(TEXTS)
    assert len(widths) == 7
    assert min(widths) >= 285
    assert max(widths) - min(widths) < 1
    assert len(texts) > 20
    assert min(texts) >= 12
    assert max(texts) <= 20
    assert tab.evaluate(WIDE) == width


def tops(tab, name):
    return [panel.bounding_box()["y"] for panel in tab.locator(f"#{name} .live-panel").all()]


@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_a_wide_page_has_three_columns(visit, width):
    tab = visit(width=width)
    for name in ("walk", "pair"):
        assert max(tops(tab, name)) - min(tops(tab, name)) < 1
    panel, words, bar = (
        tab.locator(f"#pair {part}").last.bounding_box()
        for part in (".live-panel", ".live-words", ".live-bar")
    )
    assert panel["width"] > width / 5  # a projector's are larger
    assert words["x"] > panel["x"] + panel["width"]
    assert bar["width"] > 3 * panel["width"]
    panel, bar = (
        tab.locator(f"#units {part}").bounding_box() for part in (".live-panel", ".live-bar")
    )
    assert bar["x"] > panel["x"] + panel["width"]
    assert abs(bar["y"] - panel["y"]) < 8


def test_panels_stand_below_each_other_on_a_phone(visit):
    tab = visit(width=360)
    first, second, third = tops(tab, "walk")
    assert first < second < third
    assert tab.locator("#walk .live-play").is_hidden()
    assert tab.locator("#walk .live-more").is_visible()


def test_the_contents_give_their_room_to_the_figures_and_stay_reachable(visit):
    assert visit(width=1440).locator(".bd-sidebar-secondary").is_visible()
    tab = visit(width=1280)
    contents = tab.locator(".bd-sidebar-secondary")
    assert contents.is_hidden()
    tab.locator(".secondary-toggle").click()
    contents.wait_for(state="visible")
    tab.wait_for_function("document.activeElement.closest('.bd-sidebar-secondary')")
    tab.keyboard.press("Escape")
    contents.wait_for(state="hidden")


# ---- other readers -------------------------------------------------------------------------------

COLOURS = """() => {
  const style = (selector, pseudo) => getComputedStyle(document.querySelector(selector), pseudo);
  return [style("#pair .live-reset", "::before").backgroundColor,
    style("#walk .live-grip").stroke, style("#pair :checked + label").outlineColor,
    style("#walk input[type=range]").getPropertyValue("--faint"),
    style("body").backgroundColor];
}"""


def test_forced_colours_show_icons_ring_choice_and_track(visit):
    tab = visit(forced_colors="active")
    *seen, ground = tab.evaluate(COLOURS)
    assert ground not in seen
    assert all(seen)
    track = tab.locator("#walk input[type=range]").screenshot()
    with Image.open(io.BytesIO(track)) as image:
        line = image.convert("L").crop((0, image.height // 2, image.width, image.height // 2 + 1))
        (_, walked), (_, ahead) = sorted(line.getcolors(), reverse=True)[:2]
    assert walked != ahead
    assert max(walked, ahead) < 0.6 * image.getpixel((0, 0))[0]  # darker by far than the page


def test_a_page_at_twice_the_size_loses_nothing(visit):
    tab = visit(width=768, height=480)  # 1536 x 960 at 200 %
    assert tab.evaluate(WIDE) == 768
    half = visit(width=360, height=400)
    bar = half.locator("#units .live-bar").bounding_box()
    assert bar["x"] >= 0
    assert bar["x"] + bar["width"] <= 360


def test_a_first_visit_reports_no_fault(visit):
    assert visit().faults == []


# ---- what is taken away --------------------------------------------------------------------------


def take(tab, name, entry):
    tab.locator(f"#{name} .live-more").click()
    with tab.expect_download() as download:
        tab.locator(f"#{name}").get_by_role("button", name=entry).click()
    return download.value


def test_a_figures_numbers_are_a_table_with_its_source(visit):
    tab = visit()
    file = take(tab, "pair", "Numbers")
    assert file.suggested_filename == "pair.csv"
    with open(file.path(), encoding="utf-8", newline="") as text:
        (source,), head, *rows = csv.reader(text)
    assert source.endswith("book/front.html#pair:alpha=3.0&net=relu")
    assert head == ["rescale by", "The net has", "result", "words"]
    assert len(rows) == 14
    assert rows[0] == ["0.1", "relu", "relu at 0.1.", "A line more."]
    assert rows[-1] == ["10.0", "leaky", "leaky at 10.", "A line more."]


def test_a_figures_picture_needs_no_page(visit):
    tab = visit()
    svg = ElementTree.parse(take(tab, "pair", "SVG").path()).getroot()
    text = ElementTree.tostring(svg, encoding="unicode")
    assert "var(" not in text
    assert "live-grip" not in text
    assert len(svg.findall("{http://www.w3.org/2000/svg}svg")) == 2
    assert "#pair:alpha=3.0" in "".join(svg.itertext())
    with Image.open(take(tab, "pair", "PNG").path()) as picture:
        wide, high = (4 * float(svg.get(side)) for side in ("width", "height"))
        assert picture.size == pytest.approx((wide, high), abs=4)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


def test_a_report_names_page_figure_and_position(visit):
    tab = visit()
    tab.evaluate("window.open = url => { window.asked = String(url); }")
    tab.locator("#pair .live-more").click()
    tab.locator("#pair").get_by_role("button", name="Report a fault").click()
    asked = tab.evaluate("decodeURIComponent(asked).replaceAll('+', ' ')")
    assert re.match(r"https://github\.com/[\w/-]+/issues/new\?title=Figure pair", asked)
    assert re.search(r"&body=Seen at \S+/front.html#pair:alpha=3.0&net=relu", asked)


def test_a_menu_closes_by_escape_and_by_a_click_elsewhere(visit):
    tab = visit()
    menu = tab.locator("#pair .live-menu")
    for close in (lambda: tab.keyboard.press("Escape"), lambda: tab.mouse.click(700, 300)):
        tab.locator("#pair .live-more").click()
        assert menu.get_attribute("open") is not None
        close()
        assert menu.get_attribute("open") is None


TOP = "lines => Math.abs(lines.getBoundingClientRect().top - 80) < 30"  # below the header


def test_a_menu_leads_to_the_lines_that_made_the_figure(visit):
    tab = visit(height=480)
    tab.locator("#rungs .live-bar").evaluate("bar => bar.scrollIntoView({behavior: 'instant'})")
    tab.locator("#rungs .live-more").click()
    tab.locator("#rungs").get_by_role("button", name="The code").click()
    lines = tab.locator(".cell_input", has_text='name="rungs"').element_handles()
    assert tab.locator("#rungs .live-menu[open]").count() == 0
    tab.wait_for_function(TOP, arg=lines[0])
