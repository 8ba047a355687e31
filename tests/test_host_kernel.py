"""Figures in a reader's kernel: the book's settings, the reader's left alone, a picture that stays.

Oracle: the same cells run by IPython on a machine without settings of its own, picture by picture;
the settings read back by the cell after; the bundle of MIME types, against nbformat's schema;
matplotlib's own drawing, pixel by pixel; Pillow, which reads the PNG.
"""

import base64
import gc
import io
import json
import os
import re
import subprocess
import sys
import time

import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from matplotlib.axis import XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MultipleLocator
from PIL import Image

from helpers import choice, explore, label, linear_knob, log_knob, panels, still
from helpers.live import _host_kernel as host_kernel
from helpers.live._figures import freeze
from helpers.live._pictures import Picture, png

WORDS = {"name": "needle", "caption": "A caption.", "alt": "A line that rises."}
READERS = """\
axes.grid: True
xtick.direction: in
path.sketch: 1, 100, 2
lines.dashed_pattern: 9, 9
lines.linestyle: --
font.size: 17
figure.facecolor: red
savefig.dpi: 33
image.cmap: jet
"""
CELLS = """\
import matplotlib
def settings(): return {k: v for k, v in dict.items(matplotlib.rcParams) if k != "backend"}
own = settings()
---
from helpers import explore, log_knob, panels; figs, (left, right) = panels(2)
---
(line,) = left.plot([0, 1], [0, 1]); right.set(title="made a cell later", xlabel="x")
def draw(alpha):
    line.set_ydata([0, alpha]); right.cla(); right.plot([0, 1], [alpha, 0]); right.set_title("new")
from helpers.live import _host_kernel
live = _host_kernel.Live
_host_kernel.Live = lambda *a, **k: globals().__setitem__("it", live(*a, **k)) or it
knob = log_knob(0.1, 10, start=3.16, per_decade=2)
explore(draw, fig=figs, name="needle", caption="c", alt="a", alpha=knob)
---
same = own == settings()
---
def seen(): return [hash_of(bytes(image.value)) for image in it.images]
from hashlib import sha256; hash_of = lambda data: sha256(data).hexdigest()
pictures = [seen()]; it.controls["alpha"].index = 4; pictures.append(seen())
same_after_a_move = own == settings()
---
figs, axes = panels(1); matplotlib.rcParams["font.size"] = 21.0; 1 / 0
---
explore(lambda: None, fig=figs, name="needle", caption="c", alt="a")
---
own["font.size"] = 21.0; same_but_for_what_he_set = own == settings()
"""
RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in sys.stdin.read().split("---\\n"):
    shell.run_cell(cell, store_history=False)
wanted = ("pictures", "same", "same_after_a_move", "same_but_for_what_he_set")
print("\\n" + json.dumps({name: shell.user_ns[name] for name in wanted}))
"""


def run(folder, settings):
    """What the cells found, in a fresh process whose matplotlib has `settings`."""
    folder.mkdir()
    (folder / "matplotlibrc").write_text(settings, encoding="utf-8")
    here = os.environ | {"MATPLOTLIBRC": str(folder), "IPYTHONDIR": str(folder)}
    here = {key: value for key, value in here.items() if key != "HELPERS_HOST"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=CELLS, env=here, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain") / "settings", "")


@pytest.mark.parametrize("settings", [READERS, "text.usetex: True\n"], ids=["many", "latex"])
def test_a_reader_s_settings_change_no_figure_and_no_figure_changes_them(tmp_path, plain, settings):
    found = run(tmp_path / "settings", settings)
    assert found["pictures"] == plain["pictures"]
    assert found["pictures"][0] != found["pictures"][1]
    assert found["same"], "after the cell that shows the figure"
    assert found["same_after_a_move"]
    assert found["same_but_for_what_he_set"]


def displayed(monkeypatch, show):
    """The one bundle, (data, metadata), that `show` displays."""
    bundles = []
    monkeypatch.delenv("HELPERS_HOST", raising=False)
    monkeypatch.setattr(
        host_kernel, "display", lambda data, metadata, raw: bundles.append((data, metadata))
    )
    show()
    (bundle,) = bundles
    return bundle


def test_a_saved_notebook_keeps_widget_picture_and_words(monkeypatch):
    figs, _ = panels(2)
    knob = log_knob(0.1, 10, start=3.16, per_decade=2)
    data, metadata = displayed(
        monkeypatch, lambda: explore(lambda alpha: "", fig=figs, alpha=knob, **WORDS)
    )
    assert data["text/plain"] == metadata["image/png"]["alt"] == WORDS["alt"]
    assert data[host_kernel.WIDGET]["model_id"]
    picture = Image.open(io.BytesIO(data["image/png"]))
    assert picture.size == (2 * 432, 388)
    assert metadata["image/png"]["width"] == 660
    assert len(data["image/png"]) < 60_000
    saved = data | {"image/png": base64.b64encode(data["image/png"]).decode()}
    output = nbformat.v4.new_output("display_data", saved, metadata=metadata)
    cell = nbformat.v4.new_code_cell(outputs=[output])
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))


def test_a_still_is_kept_too(monkeypatch):
    data, _ = displayed(monkeypatch, lambda: still(panels(1)[0], **WORDS))
    assert data["image/png"].startswith(b"\x89PNG")


def test_the_view_is_the_one_that_ipywidgets_itself_would_show():
    """Version 8 says it in `_repr_mimebundle_`; 7.7.1 displays the same three keys."""
    live = host_kernel.Live(lambda: "", panels(1)[0], {}, **WORDS)
    data, _ = live.bundle(WORDS["alt"])
    own = live.box._repr_mimebundle_()
    assert data[host_kernel.WIDGET] == own[host_kernel.WIDGET]


# ---- pictures ------------------------------------------------------------------------------------


def one_panel():
    """A panel with a little of everything that can change: the figure, its Axes, artists."""
    (fig,), (ax,) = panels(1)
    (line,) = ax.plot([0, 1], [0, 1])
    lake = ax.add_patch(PathPatch(Path([(0.1, 0.1), (0.4, 0.1), (0.2, 0.4)]), color="#0072b2"))
    words = label(ax, 0.6, 0.2, "here")
    ax.set(xlim=(0, 1), ylim=(0, 1), title="A title", xlabel="$θ_1$", ylabel="loss")
    freeze(fig)
    return fig, ax, line, lake, words


CHANGES = {
    "a path": lambda ax, line, lake, words: lake.set_path(Path([(0, 0), (1, 0), (1, 1)])),
    "data": lambda ax, line, lake, words: line.set_data([0, 1], [1, 0]),
    "a text": lambda ax, line, lake, words: words.set_text("there"),
    "a hidden artist": lambda ax, line, lake, words: line.set_visible(False),
    "a colour": lambda ax, line, lake, words: line.set_color("red"),
    "a new artist": lambda ax, line, lake, words: ax.plot([0.2, 0.2], [0, 1]),
    "a lost artist": lambda ax, line, lake, words: words.remove(),
    "a title": lambda ax, line, lake, words: ax.set_title("Another"),
    "limits": lambda ax, line, lake, words: ax.set_xlim(0, 2),
    "limits by a hair": lambda ax, line, lake, words: ax.set_xlim(0, 1.02),
    "a place": lambda ax, line, lake, words: ax.set_position([0.3, 0.3, 0.4, 0.4]),
    "a scale": lambda ax, line, lake, words: ax.set(xscale="log", xlim=(0.1, 1)),
    "ticks": lambda ax, line, lake, words: ax.set_xticks([0, 1], ["none", "all"]),
    "a locator": lambda ax, line, lake, words: ax.xaxis.set_major_locator(MultipleLocator(0.3)),
    "a distance": lambda ax, line, lake, words: ax.tick_params(axis="x", pad=9),
    "a label": lambda ax, line, lake, words: ax.set_ylabel("$λ_{max}$"),
    "one tick": lambda ax, line, lake, words: ax.get_xticklines()[0].set_visible(False),
    "a tick's word": lambda ax, line, lake, words: ax.get_yticklabels()[1].set_color("red"),
    "a grid": lambda ax, line, lake, words: ax.grid(True),
    "no axes": lambda ax, line, lake, words: ax.axis("off"),
    "a second Axes": lambda ax, line, lake, words: ax.twinx().set_ylabel("more"),
    "all anew": lambda ax, line, lake, words: (ax.cla(), ax.plot([0, 3], [1, 0])),
}


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def drawn_whole(fig):
    """matplotlib's own drawing of `fig`, with nothing kept and nothing pasted."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_no_change_is_missed_and_every_picture_is_what_matplotlib_draws(change):
    fig, *parts = one_panel()
    picture = Picture(fig)
    seen = [picture.drawn(), picture.drawn()]
    change(*parts)
    seen += [picture.drawn(), picture.drawn()]
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert abs(pixels(seen[2]) - drawn_whole(fig)).max() <= 2  # a sheet rounds once more


def test_a_picture_does_not_depend_on_what_was_shown_before():
    fig, ax, *_ = one_panel()
    picture = Picture(fig)
    first = picture.drawn()
    ax.set_xlim(0, 3)
    picture.drawn()
    ax.set_xlim(0, 1)
    assert picture.drawn() == first == Picture(fig).drawn()


def test_axes_at_rest_are_drawn_once(monkeypatch):
    fig, _, line, *_ = one_panel()
    picture, drawings = Picture(fig), []
    draw = XAxis.draw
    monkeypatch.setattr(XAxis, "draw", lambda axis, sheet: drawings.append(draw(axis, sheet)))
    for height in (0.2, 0.4, 0.6):
        line.set_ydata([0, height])
        picture.drawn()
    assert len(drawings) == 1
    ours = {"draw", "get_tightbbox"} & set(vars(fig.axes[0].xaxis))
    assert not ours, "the axis draws and measures itself again afterwards"


def test_a_png_is_one_to_every_reader():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    Image.open(io.BytesIO(png(image))).verify()  # the chunks' checksums
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(image)))), image)


def test_a_move_of_three_panels_takes_less_than_a_tenth_of_a_second():
    figs, axes = panels(3)
    lines = [ax.plot(np.linspace(0, 1, 50), np.zeros(50))[0] for ax in axes]
    for ax in axes:
        ax.set(ylim=(0, 1), title="A title", xlabel="$θ_1$", ylabel="loss")

    def draw(height):
        for line in lines:
            line.set_ydata(np.linspace(0, height, 50) ** 2)

    knob = linear_knob(0, 1, start=0.5, steps=15, label="height")
    slider = host_kernel.Live(draw, figs, {"height": knob}, **WORDS).controls["height"]
    spent = []
    for index in range(15):
        before = time.process_time()  # of this process alone: others may be busy
        slider.index = index
        spent.append(time.process_time() - before)
    assert sorted(spent)[len(spent) // 2] < 0.1
    assert max(spent) < 0.15


@pytest.mark.parametrize("collecting", [True, False], ids=["collecting", "not at all"])
def test_no_garbage_is_collected_during_a_move_and_after_it_as_before(collecting):
    begun, during = [], []

    def look(phase, info):
        begun.append(phase)

    def draw(height):
        begun.clear()
        made = [[] for _ in range(5000)]  # more new objects than a collection waits for
        during.append(len(begun) * bool(made))
        assert height != 1, "too high"

    knob = linear_knob(0, 1, start=0.5, steps=3, label="height")
    gc.callbacks.append(look)
    try:
        live = host_kernel.Live(draw, panels(1)[0], {"height": knob}, **WORDS)
        assert during.pop()  # so it is seen, where there is time
        gc.enable() if collecting else gc.disable()
        for height in (0.0, 1.0):  # the second fails
            live.controls["height"].value = height
            assert gc.isenabled() == collecting
    finally:
        gc.callbacks.remove(look)
        gc.enable()
    assert during == [0, 0]


# ---- the widgets ---------------------------------------------------------------------------------


def figure(**options):
    """A figure of two panels, of which the right one moves by a path that sets no flag."""
    figs, (left, right) = panels(2)
    left.plot([0, 1], [0, 1])
    lake = right.add_patch(PathPatch(Path([(0, 0), (1, 0), (0, 1)])))

    def draw(depth, net):
        if depth == 4:
            raise ZeroDivisionError("too deep")
        lake.set_path(Path([(0, 0), (depth / 4, 0), (0, 1)]))
        return f"[{net}](lake): $λ_{{max}}$ < {depth}.\nAnd more."

    knobs = {"depth": linear_knob(0, 4, start=1, steps=5, label="how deep")}
    knobs["net"] = choice(options.pop("nets", ["tanh", "ReLU"]), label="The net has")
    return host_kernel.Live(draw, figs, knobs, **WORDS, **options)


GUESS = {
    "panel": 1,
    "question": "How far does $λ_{max}$ go?",
    "options": ["Nowhere", "As far as α²"],
    "right": 1,
    "reply": "It grows as α².",
}


def read(widget):
    """What a reader reads in an HTML widget."""
    return re.sub("<[^>]*>", "", widget.value.replace("<br>", "\n"))


def test_a_panel_that_moves_without_a_flag_is_sent_and_one_at_rest_is_not():
    live, sent = figure(), []
    for at, image in enumerate(live.images):
        image.observe(lambda change, at=at: sent.append(at), names="value")
    live.controls["depth"].index = 2
    assert sent == [1]


def test_all_panels_are_drawn_before_one_is_replaced():
    live, events = figure(), []
    for picture in live.pictures:
        drawn = picture.drawn
        picture.drawn = lambda drawn=drawn: events.append("drawn") or drawn() + b"new"
    for image in live.images:
        image.observe(lambda change: events.append("sent"), names="value")
    live.controls["depth"].index = 2
    assert events == ["drawn", "drawn", "sent", "sent"]


def test_choices_come_first_then_sliders_the_result_in_bold_and_the_caption():
    live = figure()
    pictures, *controls, words, note = live.box.children
    assert pictures.children == tuple(live.images)
    assert controls == [live.controls["net"], live.controls["depth"]]
    assert [control.description for control in controls] == ["The net has", "how deep"]
    assert words is live.words and "A caption." in note.value
    assert "<strong>tanh: λ<sub>max</sub> &lt; 1.0.</strong><br>And more." in words.value


def test_a_value_stands_beside_its_slider_at_one_width():
    slider = figure().controls["depth"]
    assert slider.readout and slider.label.strip("\u2007") == "1"
    live = host_kernel.Live(
        lambda a: "", panels(1)[0], {"a": log_knob(0.1, 1e3, start=3, per_decade=1)}, **WORDS
    )
    assert {len(text) for text, _ in live.controls["a"].options} == {len("1,000")}


def test_more_than_six_options_are_a_list():
    kinds = {count: figure(nets=range(count)).controls["net"] for count in (6, 7)}
    assert isinstance(kinds[6], widgets.ToggleButtons)
    assert isinstance(kinds[7], widgets.Dropdown)
    kinds[7].index = 6
    assert kinds[7].value == 6


@pytest.mark.parametrize("chosen, verdict", [(0, "Not so."), (1, "Right.")])
def test_a_guess_stands_in_the_panel_s_place_until_it_is_made(chosen, verdict):
    live = figure(guess=GUESS)
    assert live.panels.children == (live.images[0], live.veil.box)
    assert read(live.veil.box.children[0]) == "How far does λmax go?"
    assert [button.description for button in live.veil.buttons] == GUESS["options"]
    live.controls["depth"].index = 2
    assert read(live.words) == "Make your guess, then see."
    live.veil.buttons[chosen].click()
    assert live.panels.children == tuple(live.images)
    assert read(live.words) == f"tanh: λmax &lt; 2.0.\n{verdict} It grows as α².\nAnd more."


def test_an_error_is_shown_in_front_of_a_guess_too():
    live = figure(guess=GUESS)
    live.controls["depth"].index = 4
    assert "failed at" in live.words.value and "too deep" in live.words.value
    live.controls["depth"].index = 3
    assert read(live.words) == "Make your guess, then see."


def test_explore_hands_the_guess_to_a_kernel_and_leaves_the_handle_to_the_site(monkeypatch):
    (fig,), (ax,) = panels(1)
    (dot,) = ax.plot(0, 0, "o")
    made = []
    live = host_kernel.Live
    monkeypatch.setattr(host_kernel, "Live", lambda *a, **k: made.append(live(*a, **k)) or made[0])
    knob = linear_knob(0, 1, start=0.5, label="how far")
    move = {"drag": dot, "guess": GUESS | {"panel": 0}, "alt": "It shows $λ_{max}$."}
    data, _ = displayed(
        monkeypatch, lambda: explore(lambda far: "", fig=fig, far=knob, **(WORDS | move))
    )
    assert made[0].veil.buttons and data["text/plain"] == "It shows λ max."


AGAIN = """\
import gc, weakref
from helpers import explore, log_knob, panels
figs, (ax,) = panels(1)
kept = globals().get("kept", weakref.WeakSet())
kept.update(figs)
def draw(alpha, ax=ax): ax.set_title(str(alpha))
knob = log_knob(1, 10, start=10, per_decade=2)
explore(draw, fig=figs, name="box", caption="c", alt="a", alpha=knob)
del figs, ax, draw
"""
TWICE = AGAIN + AGAIN  # one run that shows two figures of one name, as of two audits


def test_a_cell_that_runs_again_gives_back_its_last_figure_and_a_copied_cell_none():
    """Oracle: a kernel, told which cell runs as JupyterLab tells it; the figures alive in it."""
    manager, client = start_new_kernel()
    alive = []
    try:
        for cell in ("a", "a", "copy", "a", None, None, "two", "two"):
            shown = TWICE if cell == "two" else AGAIN
            for code in (shown, "gc.collect(); alive = len(kept)"):
                content = {"code": code, "silent": False, "store_history": False}
                content |= {"user_expressions": {"alive": "alive"}, "allow_stdin": False}
                metadata = {"cellId": cell} if cell else {}
                message = client.session.msg("execute_request", content, metadata=metadata)
                client.shell_channel.send(message)
                while (reply := client.get_shell_msg(timeout=60))["parent_header"].get(
                    "msg_id"
                ) != message["header"]["msg_id"]:
                    pass
                assert reply["content"]["status"] == "ok", reply["content"]
            alive.append(int(reply["content"]["user_expressions"]["alive"]["data"]["text/plain"]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert alive == [1, 1, 2, 2, 3, 4, 6, 6]
