"""The grammar of the figures: on every figure of the site, and on a good one with a planted fault.

Oracle: what the site ships, read back by two parsers; the planted faults are written by hand.
"""

import ast
import copy
import re

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook

from helpers import TWIN_MARK, choice, label, log_knob, mark, panels
from helpers.live._host_site import fragment
from helpers.live._record import record
from tools import grammar, look, pages, shown

PAGES = [path for path in pages.sources() if path.suffix == ".ipynb"]


@pytest.mark.site
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_figure_keeps_the_grammar(site, path):
    name = path.relative_to(pages.ROOT).with_suffix("").as_posix()
    html = (site / f"{name}.html").read_text(encoding="utf-8")
    figures = list(shown.figures(html, path.stem, shown.reasons(path)))
    assert figures or path.stem == "before_you_start"
    assert [fault for figure in figures for fault in grammar.faults(figure)] == []


ARTIST = re.compile(r"matplotlib\.|\bText\(|object at 0x")


@pytest.mark.site
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_cell_shows_what_python_calls_an_artist(site, path):
    name = path.relative_to(pages.ROOT)
    ran = nbformat.read(site.parent / "jupyter_execute" / name, as_version=4)
    outputs = [
        (at, o.get("data", {})) for at, c in enumerate(ran.cells, 1) for o in c.get("outputs", ())
    ]
    plain = [
        (at, data.get("text/plain", "")) for at, data in outputs if "text/markdown" not in data
    ]
    assert [(at, text) for at, text in plain if ARTIST.search(text)] == []


def test_a_figure_has_a_name_of_its_own():
    names = [
        ast.literal_eval(keyword.value)
        for path in PAGES
        for _, cell in pages.read(path).code()
        for call in pages.calls(cell.source, {"explore", "still"})
        for keyword in call.keywords
        if keyword.arg == "name"
    ]
    assert sorted(names) == sorted(set(names))


KNOBS = {
    "alpha": log_knob(0.1, 10, start=3, per_decade=4, label="rescale by α"),
    "net": choice(["small", "big"], label="the net is"),
}


def good(why=False, **keywords):
    """A figure that keeps every rule, as it is shipped."""
    figs, (ax,) = panels(1)
    t = np.geomspace(0.1, 10, 50)
    ax.set(xscale="log", yscale="log", xlim=(0.08, 12), ylim=(0.05, 30), title="A point walks")
    ax.set(xticks=[0.1, 1, 10], xticklabels=["10⁻¹", "1", "10"], yticks=[], xlabel="weight $θ_1$")
    ax.minorticks_off()
    (curve,) = ax.plot(t, 1 / t)
    (dot,) = ax.plot([1], [1], **TWIN_MARK)
    label(ax, 0.2, 5, "its orbit")
    mark("orbit", curve)

    def draw(alpha, net):
        dot.set_data([alpha], [1 / alpha])
        curve.set_ydata(len(net) / 5 / t)
        return f"{alpha:g} times as sharp in {len(net)} steps.\nIt stays on [its orbit](orbit)."

    words = {"name": "walk", "caption": "A walk.", "alt": "A point on a curve."} | keywords
    run = record(draw, figs, KNOBS, name="walk", drag=dot)
    html = fragment(*run, KNOBS, **words)
    (figure,) = shown.figures(html, "page", {"walk"} if why else set())
    return figure


def test_the_good_figure_is_good():
    figure = good()
    assert grammar.faults(figure) == []
    assert len(figure.positions()) == len(figure.words) == 18


def change(**new):
    """A copy of the good figure with some of its parts changed."""
    return lambda figure: shown.Figure(**{**vars(figure), **new})


def in_svg(edit):
    """A copy of the good figure after `edit(root)` of its picture."""

    def changed(figure):
        (root, what), *rest = figure.panels
        root = copy.deepcopy(root)
        edit(root)
        return shown.Figure(**{**vars(figure), "panels": [(root, what), *rest]})

    return changed


def text_of(root, words):
    return next(node for node in root.iter("text") if words in "".join(node.itertext()))


def knob(place, **new):
    def changed(figure):
        knobs = copy.deepcopy(figure.knobs)
        knobs[place] |= new
        return shown.Figure(**{**vars(figure), "knobs": knobs})

    return changed


def says(make):
    def changed(figure):
        words = [make(k, said) for k, said in enumerate(figure.words)]
        return shown.Figure(**{**vars(figure), "words": words})

    return changed


def frozen(figure):
    (root, what), *_ = figure.panels
    slots = [[node, name, [column[0]] * len(column)] for node, name, column in what["slots"]]
    return shown.Figure(**{**vars(figure), "panels": [(root, {**what, "slots": slots})]})


def half_dead(figure):
    (root, what), *_ = figure.panels
    slots = [[n, a, [c[min(k, 6)] for k in range(len(c))]] for n, a, c in what["slots"]]
    return shown.Figure(**{**vars(figure), "panels": [(root, {**what, "slots": slots})]})


def stuck(figure):
    grips = [{**grip, "spots": [grip["spots"][0]] * 18} for grip in figure.grips]
    return shown.Figure(**{**vars(figure), "grips": grips})


def caption(html):
    return BeautifulSoup(f"<p>{html}</p>", "html.parser").p


def odd_size(root):
    node = text_of(root, "orbit")
    node.set("style", node.get("style").replace("9.25px", "8px"))


PLAIN = "font-size: 9.25px"
FAULTS = {
    "wide": (in_svg(lambda root: root.set("viewBox", "0 0 300 194.4")), "has a panel of 0 0 300"),
    "small": (in_svg(odd_size), "writes 'its orbit' at 8px"),
    "ascii": (in_svg(lambda root: setattr(text_of(root, "orbit"), "text", "λ_max")), "shows '_'"),
    "dollar": (says(lambda k, said: [said[0], "so $x"]), "shows '$' in 'so $x'"),
    "alt": (change(alt="the α^2"), "shows '^' in 'the α^2'"),
    "caption": (change(caption=caption("lambda_max falls")), "in 'lambda_max falls'"),
    "letter": (knob(0, label="α"), "names a knob 'α'"),
    "capital": (knob(0, label="The factor α"), "names a knob 'The factor α': a label begins small"),
    "colon": (knob(1, label="the net is:"), "has ':' in 'the net is:'"),
    "comma": (knob(0, label="rescale by, α"), "has ', α' in 'rescale by, α'"),
    "tiny": (knob(1, kind="range"), "has a slider of 2 values"),
    "frozen": (frozen, "looks or reads alike at both ends of 'rescale by α'"),
    "mute": (says(lambda k, said: ["1 point."]), "looks or reads alike at both ends"),
    "half": (half_dead, "of 'rescale by α': drop the dead part"),
    "start": (knob(0, start=0), "starts at an end of 'rescale by α'"),
    "long": (says(lambda k, said: [f"{k} " + "x" * 60 + "."]), "(63 characters)"),
    "no number": (says(lambda k, said: ["ab"[k % 2] + " is sharp."]), "a result has a number"),
    "no stop": (says(lambda k, said: [f"{k} times"]), "a result has a number, a stop"),
    "words": (says(lambda k, said: [f"{k} " + "abcde"[k % 5] + "."]), "changes its result's words"),
    "no handle": (change(grips=[]), "has a slider and no handle"),
    "stuck": (stuck, "moves its handle at 0 of 16 steps only"),
    "unlit": (says(lambda k, said: said[:1]), "marks 'orbit', and no words light it"),
    "unmarked": (
        change(caption=caption('<span data-mark="sea">x</span>')),
        "lights 'sea' in words, and no artist",
    ),
    "title": (
        in_svg(lambda root: setattr(text_of(root, "walks"), "text", "x" * 33)),
        "of 33 characters",
    ),
    "colour": (
        in_svg(
            lambda root: text_of(root, "orbit").set("style", "font-size: 9.25px; fill: #ff0000")
        ),
        "draws in #ff0000",
    ),
}


@pytest.mark.parametrize(("plant", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named(plant, sentence):
    found = grammar.faults(plant(good()))
    assert any(sentence in fault for fault in found), found


def test_many_numbers_along_an_axis_are_named():
    def crowd(root):
        one = text_of(root, "10⁻¹")
        for _ in range(4):
            root.append(copy.deepcopy(one))

    assert any("has 7 numbers along x" in fault for fault in grammar.faults(in_svg(crowd)(good())))


@pytest.mark.parametrize("plant", [frozen, half_dead, knob(0, start=0), change(grips=[])])
def test_an_author_may_say_why(plant):
    assert grammar.faults(plant(good())) != []
    assert [f for f in grammar.faults(plant(good(why=True))) if "handle at" not in f] == []


WITHOUT_A_HANDLE = """
from helpers import explore, log_knob, panels
figs, (ax,) = panels(1)
(dot,) = ax.plot([1], [1])
def draw(alpha): dot.set_data([alpha], [1 / alpha])
knob = log_knob(0.1, 10, start=3, per_decade=4, label="rescale by α")
explore(draw, fig=figs, name="walk", caption="A walk.", alt="A point.", alpha=knob)
"""


def test_one_notebook_is_looked_at_without_the_rest_of_the_book(tmp_path, capsys):
    notebook = new_notebook(cells=[new_code_cell(WITHOUT_A_HANDLE)])
    nbformat.write(notebook, tmp_path / "walk.ipynb")
    assert look.main(tmp_path / "walk.ipynb")
    assert "walk#walk has a slider and no handle: drag=, or why= there is none." in (
        capsys.readouterr().out
    )
    with pytest.raises(SystemExit, match="none.ipynb is no notebook: give one"):
        look.main("none.ipynb")
