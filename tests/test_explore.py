"""Live figures, without a browser: the frames, the two hosts, and what each refuses.

Oracles: matplotlib's own SVG of one position, drawn alone, against template plus slots at that
position; a drawing made afresh against one whose axes rested; the bytes of a second process; the
widgets' own values.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import partial

import nbformat
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.axis import Axis, XAxis
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from helpers import (
    THETA,
    TWIN_MARK,
    choice,
    contours,
    explore,
    label,
    linear_knob,
    log_knob,
    panels,
    still,
)
from helpers.live import _host_kernel as host_kernel
from helpers.live import _host_site as host_site
from helpers.live import _record as recorder
from helpers.live._axis_memo import AxisMemo
from helpers.live._figures import SETTINGS, freeze
from helpers.live._knobs import Knob, positions, start_of
from helpers.live._record import record
from helpers.live._snapshot import snapshot
from helpers.live._svg_frames import merge
from tools import ROOT

LOG = partial(log_knob, start=3, per_decade=4)
WORDS = {"name": "needle", "caption": "A caption.", "alt": "What is drawn."}


# ---- knobs ---------------------------------------------------------------------------------------


@given(st.integers(-6, -1), st.integers(1, 6), st.integers(1, 60), st.floats(0.01, 0.99))
def test_a_log_knob_holds_its_start_and_the_powers_of_ten(low, high, per_decade, where):
    start = 10.0 ** (low + (high - low) * where)
    assume(start != 1)
    knob = log_knob(10.0**low, 10.0**high, start=start, per_decade=per_decade)
    assert knob.values[knob.start] == start
    assert list(knob.values) == sorted(knob.values)
    assert len(knob.values) == len(knob.texts) == per_decade * (high - low) + 1
    missing = {float(f"1e{k}") for k in range(low, high + 1)} - set(knob.values)
    assert len(missing) <= 1  # the one nearest to start became start


def test_a_log_knob_with_both_ends_at_a_decade_has_them():
    values = log_knob(0.01, 100, start=3, per_decade=12).values
    assert len(values) == 49 and {0.01, 0.1, 1, 3, 10, 100} <= set(values)


def test_an_end_beside_the_grid_is_an_end():
    assert log_knob(0.5, 2, start=0.5, per_decade=10).values[::6] == (0.5, 2)


def test_a_unit_stands_apart_from_its_number_and_a_degree_does_not():
    knobs = {unit: linear_knob(0, 90, start=30, steps=4, unit=unit) for unit in ("°", "steps")}
    assert [knob.texts[1] for knob in knobs.values()] == ["30°", "30 steps"]


def test_knobs_make_a_grid_in_which_the_last_turns_fastest():
    knobs = {"a": linear_knob(0, 1, start=1, steps=2), "b": choice(["x", "y", "z"], start="y")}
    spots = positions(knobs)
    assert spots[:3] == [{"a": 0.0, "b": "x"}, {"a": 0.0, "b": "y"}, {"a": 0.0, "b": "z"}]
    assert spots[start_of(knobs)] == {"a": 1.0, "b": "y"}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LOG(0, 1), "log_knob needs 0 < low < high, got 0, 1"),
        (lambda: LOG(1, 2, per_decade=0), "log_knob needs per_decade from 1 to 100, got 0"),
        (lambda: LOG(2, 3, per_decade=1), "log_knob needs steps >= 2, got 0"),
        (lambda: LOG(1, 10, start=30), r"needs its start in \[1.0, 10.0\], got 30"),
        (lambda: LOG(0.1, 10, start=1), "log_knob needs start other than 1, got 1"),
        (lambda: linear_knob(1, 1, start=1), "linear_knob needs low < high, got 1, 1"),
        (lambda: choice(["only"]), "choice needs two options or more, got 1"),
        (lambda: choice([1, 2], start=3), r"choice needs start among \[1, 2\], got 3"),
    ],
)
def test_a_bad_knob_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


# ---- frames --------------------------------------------------------------------------------------


def moving(ax):
    """A point and its label on a curve: attributes and text change."""
    t = np.linspace(-1, 1, 40)
    (line,) = ax.plot(t, t**2)
    (mark,) = ax.plot([0], [0], **TWIN_MARK)
    name = label(ax, 0, 0, "")

    def draw(at):
        line.set_ydata(at * t**2)
        mark.set_data([at / 9], [at / 9])
        name.xy = (at / 9, at / 9)
        name.set_text(f"at {at} < 9 & more")

    return draw


def hiding(ax):
    """Artists come and go, and so do markers at the edge."""
    lines = [ax.plot([0, 1], [k, k + 1])[0] for k in range(3)]
    (dots,) = ax.plot([0], [0], "o")
    ax.set(xlim=(0, 5), ylim=(0, 5))

    def draw(at):
        for k, line in enumerate(lines):
            line.set_visible(k != at % 3)
        dots.set_data(range(at + 1), range(at + 1))

    return draw


def redrawn(ax):
    """A careless draw that throws everything away."""
    grid = np.linspace(-1, 1, 12)

    def draw(at):
        ax.cla()
        contours(ax, grid, grid, at * np.add.outer(grid**2, grid**2), [0.5, 1, 2, 4])
        ax.set_title(f"level {at}")

    return draw


def reordered(ax):
    """Who lies on top changes: the order of children differs, so the inside is one slot."""
    lines = [ax.plot([0, 1], [k, 1 - k])[0] for k in range(2)]

    def draw(at):
        lines[0].set_zorder(2 + at % 2)
        lines[1].set_zorder(3 - at % 2)

    return draw


def frames_of(make, count=5, memo=None):
    (fig,), (ax,) = panels(1)
    draw = make(ax)
    draw(0)
    freeze(fig)
    trees = []
    for at in range(count):
        draw(at)
        trees.append(snapshot(fig, memo))
    return trees


def at_position(frames, position):
    """What explore.js does, in Python: set the slots of one position."""
    root = ET.fromstring(frames.svg)
    nodes = list(root.iter())
    for index, attribute, column in frames.slots:
        value, node = frames.values[column[position]], nodes[index]
        if attribute == "#inner":
            node[:] = ET.fromstring(f"<g>{value}</g>")
        elif attribute == "#text":
            node.text = value
        elif value is None:
            node.attrib.pop(attribute, None)
        else:
            node.set(attribute, value)
    return root


def visible(root):
    """The tree as a reader sees it: hidden nodes gone, ids by order of appearance."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("display") == "none":
                parent.remove(child)
    text = ET.tostring(root, encoding="unicode")
    names = {name: f"id{i}" for i, name in enumerate(dict.fromkeys(re.findall(r"x-\d+", text)))}
    return re.sub(r"x-\d+", lambda match: names[match[0]], text)


def copies(trees):
    return [ET.fromstring(ET.tostring(tree)) for tree in trees]


@pytest.mark.parametrize("make", [moving, hiding, redrawn, reordered])
@pytest.mark.parametrize("start", [0, 3])
def test_template_and_slots_are_what_matplotlib_drew(make, start):
    trees = frames_of(make)
    frames = merge(copies(trees), start, "x-")
    assert frames.slots
    for position, tree in enumerate(copies(trees)):
        alone = visible(ET.fromstring(merge([tree], 0, "x-").svg))
        assert sorted_attributes(visible(at_position(frames, position))) == sorted_attributes(alone)


def sorted_attributes(text):
    return ET.canonicalize(text)


def test_only_a_change_of_order_costs_a_whole_inside():
    for make in (moving, hiding, redrawn):
        assert not any(slot[1] == "#inner" for slot in merge(frames_of(make), 0, "x-").slots)
    assert any(slot[1] == "#inner" for slot in merge(frames_of(reordered), 0, "x-").slots)


def test_the_svg_carries_no_style_for_the_page_and_names_its_colours():
    svg = merge(frames_of(moving), 0, "x-").svg
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert THETA not in svg
    assert "var(--theta)" in svg
    assert re.findall(r"-?\d+\.\d{3,}", svg) == []


# ---- axes at rest --------------------------------------------------------------------------------


def moves_an_end(ax):
    return lambda at: ax.set_xlim(0, 1 + at // 2)


def renames(ax):
    return lambda at: ax.set_xlabel(f"half of it is {at // 2}")


def recolours_a_tick(ax):
    return lambda at: ax.yaxis.get_major_ticks()[1].label1.set_color(["red", "blue"][at // 2 % 2])


def reformats(ax):
    return lambda at: ax.yaxis.set_major_formatter(f"{{x:.{1 + at // 2}f}}")


def goes_logarithmic(ax):
    ax.set(xlim=(1, 100))
    return lambda at: ax.set_xscale(["linear", "log"][at // 2 % 2])


def switches_off(ax):
    return lambda at: ax.axis("off" if at in (1, 2) else "on")


def hides_one(ax):
    return lambda at: ax.xaxis.set_visible(at not in (1, 2))


def keeps_its_aspect(ax):
    """The other end moves only while it is drawn."""
    ax.set_aspect("equal", adjustable="datalim")
    return lambda at: ax.set_ylim(0, 1 + at // 2)


def has_a_grid(ax):
    ax.grid(True)
    return lambda at: ax.set_title(f"at {at}")


def has_a_twin(ax):
    twin = ax.twinx()
    return lambda at: twin.set_ylim(0, 1 + at // 2)


def has_an_inset(ax):
    inset = ax.inset_axes([0.5, 0.5, 0.4, 0.4])
    return lambda at: inset.set_xlim(0, 1 + at // 2)


def has_a_neighbour(ax):
    other = ax.figure.add_axes([0.5, 0.5, 0.4, 0.4])
    return lambda at: other.set_xlim(0, 1 + at // 2)


def moves_its_limits_behind_the_back(ax):
    def draw(at):
        ax.viewLim.intervalx = (at // 2, 1 + at // 2)
        ax.stale = True

    return draw


def moves_as_a_whole(ax):
    return lambda at: ax.set_position([0.2 + at // 2 / 10, 0.2, 0.3, 0.3])


def has_a_factor(ax):
    """A number stands over the axis at some positions, and the title makes room for it."""
    ax.set_title("how high it is")
    return lambda at: ax.set_ylim(0, [1, 3e-7][at // 2 % 2])


TOUCHED = [moves_an_end, renames, recolours_a_tick, reformats, goes_logarithmic, switches_off]
TOUCHED += [hides_one, keeps_its_aspect, has_a_grid, has_a_twin, has_an_inset, has_a_neighbour]
TOUCHED += [moves_its_limits_behind_the_back, moves_as_a_whole, has_a_factor]


@pytest.mark.parametrize("make", [moving, hiding, redrawn, reordered, *TOUCHED])
def test_with_axes_at_rest_every_drawing_is_as_one_made_afresh(make):
    kept, fresh = frames_of(make, memo=AxisMemo()), frames_of(make)
    assert [ET.tostring(tree) for tree in kept] == [ET.tostring(tree) for tree in fresh]
    assert merge(kept, 0, "x-") == merge(fresh, 0, "x-")


def test_axes_that_stand_still_are_drawn_once(monkeypatch):
    drawn = []
    draw = XAxis.draw
    monkeypatch.setattr(XAxis, "draw", lambda *args: (drawn.append(1), draw(*args)))
    frames_of(moving, memo=AxisMemo())
    assert len(drawn) == 2  # and once more by `freeze`


def test_axes_that_stand_still_are_measured_once(monkeypatch):
    (fig,), (ax,) = panels(1)
    ax.set_title("asks whether ticks stand in its way")
    draw, memo, measured = moving(ax), AxisMemo(), []
    draw(0)
    freeze(fig)
    measure = Axis.get_tightbbox
    monkeypatch.setattr(Axis, "get_tightbbox", lambda *a: (measured.append(1), measure(*a))[1])
    for at in range(5):
        draw(at)
        snapshot(fig, memo)
    assert len(measured) == 1


class Forgetful(AxisMemo):
    """Draws every axis each time."""

    def fill(self, fig, root):
        pass


@pytest.mark.slow
def test_the_figures_of_a_page_are_the_same_with_axes_at_rest_and_without(monkeypatch):
    pages = []

    def show(draw, figs, knobs, *, name, caption, alt, drag, guess, still_panels):
        for memo in (AxisMemo, Forgetful):
            monkeypatch.setattr(recorder, "AxisMemo", memo)
            run = record(draw, figs, knobs, name=name, drag=drag, still_panels=still_panels)
            pages.append(host_site.fragment(*run, knobs, name=name, caption=caption, alt=alt))

    monkeypatch.setenv("HELPERS_HOST", "site")
    monkeypatch.setattr(host_site, "show", show)
    page = nbformat.read(ROOT / "book" / "argument" / "input_reparametrization.ipynb", as_version=4)
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    here = {}
    for cell in code:
        if "setup" not in cell.metadata.get("tags", []):
            exec(cell.source, here)
    assert len(pages) >= 4
    assert pages[::2] == pages[1::2]


# ---- the site as host ----------------------------------------------------------------------------


def live(count=2, **knobs):
    """A figure of `count` panels and its draw."""
    figs, axes = panels(count)
    marks = [ax.plot([1], [1], **TWIN_MARK)[0] for ax in axes]
    for ax in axes:
        ax.set(xlim=(0, 13), ylim=(0, 13))

    def draw(**position):
        where = sum(v if isinstance(v, (int, float)) else len(v) for v in position.values())
        for mark in marks:
            mark.set_data([where], [where])
        return f"Here: {where:.3g} < 9.\nA second line."

    return draw, figs, knobs or {"alpha": log_knob(0.1, 10, start=3.16, per_decade=2)}


def page_of(capsys, monkeypatch, draw, figs, knobs, **words):
    pages = []
    monkeypatch.setenv("HELPERS_HOST", "site")
    monkeypatch.setattr(host_site, "display", lambda bundle, raw: pages.append(bundle))
    explore(draw, fig=figs, **(WORDS | words), **knobs)
    assert capsys.readouterr().out == ""
    return pages[0]


def test_a_site_figure_needs_no_script_to_be_read(capsys, monkeypatch):
    bundle = page_of(capsys, monkeypatch, *live())
    html = bundle["text/html"]
    assert html.startswith('<figure class="live" id="needle" data-position="3">')
    assert html.count("<svg") == 2
    assert 'role="img" aria-label="What is drawn."' in html
    assert '<p class="live-result">Here: 3.16 &lt; 9.</p>' in html
    assert "<p>A second line.</p>" in html
    assert '<p class="live-caption">A caption.</p>' in html
    assert bundle["image/png"].startswith(b"\x89PNG")
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert all(name == "needle" or name.startswith("needle-") for name in ids)


def test_a_site_figure_ships_every_position(capsys, monkeypatch):
    knobs = {
        "alpha": log_knob(0.1, 10, start=3.16, per_decade=2),
        "kind": choice(["a", "bb"], start="bb"),
    }
    html = page_of(capsys, monkeypatch, *live(1, **knobs))["text/html"]
    data = json.loads(re.search(r'class="live-data">(.*)</script>', html)[1])
    assert [knob["start"] for knob in data["knobs"]] == [3, 1]
    assert len(data["words"]) == 10
    assert len(set(data["words"])) == 10
    assert all(len(column) == 10 for panel in data["panels"] for _, _, column in panel["slots"])


def test_words_cannot_close_the_script(capsys, monkeypatch):
    move, figs, knobs = live(1)

    def draw(alpha):
        move(alpha=alpha)
        return f"</script><!-- {alpha}"

    html = page_of(capsys, monkeypatch, draw, figs, knobs)
    assert html["text/html"].count("</script>") == 1


def test_a_still_goes_the_same_way(capsys, monkeypatch):
    pages = []
    monkeypatch.setenv("HELPERS_HOST", "site")
    monkeypatch.setattr(host_site, "display", lambda bundle, raw: pages.append(bundle))
    still(panels(1)[0], **WORDS)
    assert "<script" not in pages[0]["text/html"]


def fails_at(alpha_bad):
    def draw(alpha):
        if alpha == alpha_bad:
            raise ZeroDivisionError("by hand")

    return draw


def heavy(fig, ax):
    dice = np.random.default_rng(0)
    noise = dice.uniform(size=(41, 4000))
    (line,) = ax.plot(noise[0])
    return lambda alpha: line.set_ydata(noise[int(alpha)])


def remembers():
    seen = []

    def draw(alpha):
        seen.append(alpha)
        return f"{len(seen)} moves"

    return draw


def test_a_site_figure_that_fails_off_its_start_names_the_position(monkeypatch):
    monkeypatch.setenv("HELPERS_HOST", "site")
    sentence = (
        r"figure 'needle' failed at alpha=10.0 \(position 5 of 5\): ZeroDivisionError: by hand"
    )
    with pytest.raises(RuntimeError, match=sentence):
        explore(
            fails_at(10),
            fig=panels(1)[0],
            alpha=log_knob(0.1, 10, start=3.16, per_decade=2),
            **WORDS,
        )


def test_a_figure_over_its_budget_is_refused(monkeypatch):
    monkeypatch.setenv("HELPERS_HOST", "site")
    many = {"a": linear_knob(0, 1, start=0, steps=41), "b": linear_knob(0, 1, start=0, steps=5)}
    with pytest.raises(ValueError, match="figure 'needle' needs 200 positions or fewer, got 205"):
        explore(lambda a, b: "", fig=panels(1)[0], **many, **WORDS)
    figs, (ax,) = panels(1)
    knob = linear_knob(0, 40, start=0)
    with pytest.raises(
        ValueError, match=r"needs 60 kB gzipped or less, got \d+ kB at 41 positions"
    ):
        explore(heavy(figs[0], ax), fig=figs, alpha=knob, **WORDS)


def crowd(ax):
    """As many artists as a thousand dots drawn one by one."""
    dots = [ax.plot([k / 500], [0.5], "o")[0] for k in range(500)]
    return lambda alpha: [dot.set_ydata([alpha]) for dot in dots]


def test_a_figure_of_too_many_elements_is_refused(monkeypatch):
    monkeypatch.setenv("HELPERS_HOST", "site")
    figs, (ax,) = panels(1)
    knob = linear_knob(0, 1, start=0, steps=2)
    with pytest.raises(ValueError, match=r"needs 1000 SVG elements or fewer, got \d{4}"):
        explore(crowd(ax), fig=figs, alpha=knob, **WORDS)


def lake(ax):
    """Its colour changes by `set_path`, which sets no flag."""
    patch = ax.add_patch(PathPatch(Path([(0, 0), (1, 0), (1, 1)])))

    def draw(alpha):
        patch.set_path(Path([(0, 0), (alpha / 10, 0), (alpha / 10, 1)]))

    return draw


def test_an_artist_that_sets_no_flag_is_seen_to_move():
    figs, (ax,) = panels(1)
    _, (panel,), _ = record(lake(ax), figs, {"alpha": LOG(0.1, 10)}, name="lake")
    assert any(len(set(column)) > 5 for _, _, column in panel.slots)


@pytest.mark.parametrize(
    ("declared", "got"), [((), "one picture at every position"), ((0, 1), "one that moves")]
)
def test_a_panel_that_stands_still_is_declared_and_no_other(declared, got):
    figs, axes = panels(2)
    draw = lake(axes[1])
    knobs = {"alpha": LOG(0.1, 10)}
    assert record(draw, figs, knobs, name="lake", still_panels=(0,))
    with pytest.raises(ValueError, match=rf"figure 'lake' needs panel \d to move, .* got {got}"):
        record(draw, figs, knobs, name="lake", still_panels=declared)


# ---- handles, guesses ----------------------------------------------------------------------------


def on_a_curve(drag=None):
    """A point on y = x² and its record: where the handle stands is known in closed form."""
    figs, axes = panels(2)
    axes[0].set(xlim=(0, 10), ylim=(0, 100))
    axes[1].set(xlim=(0, 10), ylim=(0, 10))
    dots = [ax.plot([1, 2], [1, 4], **TWIN_MARK)[0] for ax in axes]

    def draw(a, b):
        dots[0].set_data([a, b], [a**2, b**2])
        dots[1].set_data([a], [b])

    knobs = {n: linear_knob(2, 8, start=s, steps=7) for n, s in (("a", 3), ("b", 6))}
    chosen = drag(dots) if drag else {"a": (dots[0], 0), "b": dots[0]}
    return figs, axes, record(draw, figs, knobs, name="curve", drag=chosen)[2]


def test_a_handle_stands_where_its_point_is_drawn():
    _, axes, (first, second) = on_a_curve()
    assert [first.moves, second.moves] == [["a"], ["b"]]
    box = axes[0].get_position()
    for spots, pick in ((first.spots, 0), (second.spots, 1)):
        for at, (x, y) in zip(itertools.product(range(2, 9), repeat=2), spots, strict=True):
            wanted = 216 * (box.x0 + box.width * at[pick] / 10)
            assert x == pytest.approx(wanted, abs=0.06)
            up = box.y0 + box.height * at[pick] ** 2 / 100
            assert y == pytest.approx(194.4 * (1 - up), abs=0.06)


def test_one_handle_turns_every_slider():
    _, _, (handle,) = on_a_curve(lambda dots: dots[1])
    assert handle.moves == ["a", "b"] and handle.panel == 1


@pytest.mark.parametrize("drag", [lambda dots: {"c": dots[0]}, lambda dots: "dots"])
def test_a_handle_that_turns_no_knob_is_refused(drag):
    with pytest.raises(ValueError, match="figure 'curve' needs drag to be a point of its panels"):
        on_a_curve(drag)


def test_a_handle_that_leaves_its_panel_is_refused():
    figs, (ax,) = panels(1)
    (dot,) = ax.plot([0], [0], **TWIN_MARK)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    with pytest.raises(ValueError, match=r"handle inside panel 0 at alpha=1.78, got"):
        record(
            lambda alpha: dot.set_data([alpha], [alpha]),
            figs,
            {"alpha": LOG(0.1, 10)},
            name="far",
            drag=dot,
        )


GUESS = {"panel": 0, "question": "Which?", "options": ["this", "that"], "right": 1, "reply": "So."}


@pytest.mark.parametrize("host", ["site", "kernel"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"options": ["one"]}, "needs guess to hold panel, question, 2 to 4 options"),
        ({"right": 2}, "needs guess to hold panel, question, 2 to 4 options"),
        ({"panel": 1}, "needs guess to cover one of its 1 panels, got 1"),
        ({"wrong": 0}, "needs guess to hold panel, question, 2 to 4 options"),
    ],
)
def test_a_bad_guess_is_refused_in_every_host(monkeypatch, host, change, sentence):
    monkeypatch.setenv("HELPERS_HOST", host)
    draw, figs, knobs = live(1)
    with pytest.raises(ValueError, match=sentence):
        explore(draw, fig=figs, guess=GUESS | change, **knobs, **WORDS)


def test_a_guess_does_not_cover_a_handle(monkeypatch):
    monkeypatch.setenv("HELPERS_HOST", "site")
    figs, (ax,) = panels(1)
    (dot,) = ax.plot([0], [0], **TWIN_MARK)
    ax.set(xlim=(0, 11), ylim=(0, 11))
    with pytest.raises(
        ValueError, match="needs its guess on a panel without a handle, got panel 0"
    ):
        explore(
            lambda alpha: dot.set_data([alpha], [alpha]),
            fig=figs,
            guess=GUESS,
            drag=dot,
            alpha=LOG(0.1, 10),
            **WORDS,
        )


def test_a_draw_with_memory_is_refused(monkeypatch):
    monkeypatch.setenv("HELPERS_HOST", "site")
    with pytest.raises(
        ValueError, match="depends on its knobs alone, got two pictures at alpha=3.16"
    ):
        explore(
            remembers(),
            fig=panels(1)[0],
            alpha=log_knob(0.1, 10, start=3.16, per_decade=2),
            **WORDS,
        )


@pytest.mark.parametrize("host", ["site", "kernel"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"alt": ""}, "figure 'needle' needs alt text, got ''"),
        ({"caption": None}, "figure 'needle' needs caption text, got None"),
        ({"name": "The needle"}, "explore needs a name of a-z, 0-9 and -, got 'The needle'"),
    ],
)
def test_a_figure_without_words_is_refused_in_every_host(monkeypatch, host, words, sentence):
    monkeypatch.setenv("HELPERS_HOST", host)
    draw, figs, knobs = live(1)
    with pytest.raises(ValueError, match=sentence):
        explore(draw, fig=figs, **knobs, **(WORDS | words))


def test_a_knob_must_be_a_knob():
    draw, figs, _ = live(1)
    with pytest.raises(
        TypeError, match="needs alpha to be a log_knob, linear_knob or choice, got 3"
    ):
        explore(draw, fig=figs, alpha=3, **WORDS)


TWICE = """
import sys
import test_explore as t; from helpers.live import _host_site as host_site
from helpers.live import _record as recorder
draw, figs, knobs = t.live(2)
run = t.record(draw, figs, knobs, name="needle")
sys.stdout.write(host_site.fragment(*run, knobs, **t.WORDS))
"""


def test_two_processes_write_the_same_bytes():
    places = os.pathsep.join([os.path.dirname(__file__), str(ROOT)])
    runs = [
        subprocess.run(
            [sys.executable, "-c", TWICE],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": places},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0]
    assert runs[0] == runs[1]


# ---- a kernel as host ----------------------------------------------------------------------------


@pytest.fixture
def widget():
    draw, figs, knobs = live(
        2, alpha=log_knob(0.1, 10, start=3.16, per_decade=2), kind=choice(["a", "bb"])
    )
    return host_kernel.Live(draw, figs, knobs, **WORDS)


def test_every_move_in_a_kernel_changes_picture_and_words(widget):
    def sight():
        return *(bytes(image.value) for image in widget.images), widget.words.value

    seen = [sight()]
    for control, index in [("alpha", 4), ("kind", 1), ("alpha", 0)]:
        widget.controls[control].index = index
        seen.append(sight())
    for part in zip(*seen):
        assert len(set(part)) == len(seen)
    assert "Here: 2.1 &lt; 9." in widget.words.value
    assert 'aria-live="polite"' in widget.words.value


def test_a_kernel_figure_carries_caption_and_alt(widget):
    note = widget.box.children[-1].value
    assert "A caption." in note
    assert "What is drawn." in note


def test_an_error_in_a_kernel_is_shown_and_passes():
    shown = host_kernel.Live(
        fails_at(10.0),
        panels(1)[0],
        {"alpha": log_knob(0.1, 10, start=3.16, per_decade=2)},
        **WORDS,
    )
    shown.controls["alpha"].index = 4
    assert "figure &#x27;needle&#x27; failed at alpha=10.0: ZeroDivisionError" in shown.words.value
    shown.controls["alpha"].index = 3
    assert "failed" not in shown.words.value


def test_an_error_at_the_start_stops_the_cell():
    with pytest.raises(ZeroDivisionError):
        explore(
            fails_at(3.16),
            fig=panels(1)[0],
            alpha=log_knob(0.1, 10, start=3.16, per_decade=2),
            **WORDS,
        )


def test_a_knob_is_plain_data():
    knob = choice(["a", "b"])
    assert knob == Knob("choice", ("a", "b"), ("a", "b"), 0, None)


def test_a_figure_that_is_refused_waits_for_nothing_and_leaves_its_settings():
    figs, _ = panels(1)
    with pytest.raises(ValueError, match="needs caption text"):
        explore(lambda: None, fig=figs, name="box", caption="", alt="A box.")
    assert not set(figs) & set(SETTINGS._waiting)


def test_letters_with_scripts_are_plain_where_a_script_sets_the_text():
    guess = {"panel": 0, "question": "Which $λ_{max}$?", "options": ["$α^{2}$", "b"], "right": 0}
    knobs = {"a": linear_knob(0, 1, start=0, steps=2, label="rescale $θ_{1}$")}
    data = host_site.changes([""] * 2, [], [], knobs, {**guess, "reply": "$λ_{1}$."})
    assert data["knobs"][0]["label"] == "rescale θ 1"
    said = [data["guess"]["question"], *data["guess"]["options"], data["guess"]["reply"]]
    assert said == ["Which λ max?", "α to the 2", "b", "λ 1."]


def test_a_slider_of_a_small_range_has_as_many_values_as_steps():
    assert linear_knob(0, 1e-10, start=0, steps=5).values == (0, 2.5e-11, 5e-11, 7.5e-11, 1e-10)
    values = linear_knob(-0.4, 1, start=-0.3, steps=15).values
    assert str(values[4]) == "0.0" and values[7] == 0.3
