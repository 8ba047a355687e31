"""The figures in the other two engines: load, drag, choose, follow a link, come back.

Oracle: Firefox and WebKit themselves, where they are installed, on the built site. What Chromium
shows at length (tests/test_site.py, test_grips.py) is tried here once.
"""

import engines
import pytest
from serving import served

pytestmark = pytest.mark.site

FRONT, CHAPTER = "book/index.html", "book/argument/rectifier_symmetry.html"
START = """
window.first = document.querySelector('figure.live:has(.live-grip)');
window.data = JSON.parse(first.querySelector('.live-data').textContent);
document.querySelectorAll('.live-veil button').forEach(button => button.click());
first.scrollIntoView({behavior: 'instant'});
return Number(first.dataset.position);
"""
SPOTS = """
const grip = data.grips[0];
const svg = first.querySelectorAll('.live-panel > svg')[grip.panel];
return grip.spots.map(spot => {
  const {x, y} = new DOMPoint(...spot).matrixTransform(svg.getScreenCTM());
  return [x, y];
});
"""
SEEN = """
return [first.dataset.position, first.querySelector('.live-result').innerText,
        [...first.querySelectorAll('.live-panel > svg')].map(svg => svg.innerHTML)];
"""
CHOICE = """
const buttons = [...document.querySelectorAll('.live-choice input[type=radio]:not(:checked)')];
const figure = buttons[0].closest('figure'), before = figure.dataset.position;
buttons[0].click();
return [before, figure.dataset.position, buttons[0].checked];
"""
ADDRESS = """
const figure = document.querySelector('figure.live:has(input[type=range])');
const knob = JSON.parse(figure.querySelector('.live-data').textContent).knobs[0];
return [figure.id, knob.name, knob.values[3]];
"""
KEPT = "return String(history.state?.live?.[arguments[0]]) === '5'"
AT = "return document.getElementById(arguments[0])?.querySelector('input[type=range]')?.value"


@pytest.fixture(scope="module")
def base(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="module", params=[engines.firefox, engines.webkit], ids=lambda e: e.__name__)
def tab(request, base, tmp_path_factory):
    if lacking := engines.missing(request.param):
        pytest.skip(f"{request.param.__name__} is not here: {', '.join(lacking)}")
    with request.param(tmp_path_factory.mktemp("engine") / "profile") as opened:
        yield opened


def ready(tab, address):
    """Open a page and wait until its figures live."""
    tab.open("about:blank")
    tab.open(address)
    tab.wait("return Boolean(document.querySelector('figure.live .live-grip'))")
    return tab.run(START)


def test_a_dragged_point_moves_picture_and_words(tab, base):
    at = ready(tab, base + CHAPTER)
    before = tab.run(SEEN)
    spots = tab.run(SPOTS)
    step = -1 if at > 3 else 1
    tab.drag([spots[at], *(spots[at + step * i] for i in range(1, 4))])
    position, words, panels = tab.run(SEEN)
    assert position == str(at + 3 * step)
    assert words != before[1]
    assert all(new != old for new, old in zip(panels, before[2]))


def test_a_choice_is_taken(tab, base):
    ready(tab, base + CHAPTER)
    before, after, chosen = tab.run(CHOICE)
    assert chosen and after != before


@pytest.mark.parametrize("start", [FRONT, ""], ids=["page", "root"])
def test_a_link_leads_to_its_position(tab, base, start):
    follow_a_link(tab, base, start)


def follow_a_link(tab, base, start):
    """Follow a link to a position of the front page's first figure; the name of that figure."""
    ready(tab, base + FRONT)
    name, knob, value = tab.run(ADDRESS)
    tab.open("about:blank")
    tab.open(f"{base}{start}#{name}:{knob}={value}")
    tab.wait(f"{AT} === '3'", name)
    tab.wait("return document.readyState === 'complete'")
    top = tab.run("return document.getElementById(arguments[0]).getBoundingClientRect().top", name)
    assert 0 <= top < engines.SIZE["height"]
    return name


def test_back_leads_to_the_position_that_was_left(tab, base):
    name = follow_a_link(tab, base, FRONT)
    tab.run(
        "const r = document.querySelector(`#${arguments[0]} input[type=range]`);"
        "r.value = 5; r.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
    )
    tab.wait(KEPT, name)
    tab.open(base + CHAPTER)
    tab.back()
    tab.wait(f"{AT} === '5'", name)


def test_formulas_and_the_sidebar_are_there(tab, base):
    ready(tab, base + CHAPTER)
    tab.wait("return document.querySelectorAll('mjx-container').length > 5")
    assert tab.run("return document.querySelectorAll('.bd-sidebar-primary a').length") > 20
