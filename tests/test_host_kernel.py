"""Figures in a reader's kernel: the book's settings, the reader's left alone, a picture that stays.

Oracle: the same cells run by IPython on a machine without settings of its own, picture by picture;
the settings read back by the cell after; the bundle of MIME types, against nbformat's schema.
"""

import base64
import io
import json
import os
import subprocess
import sys

import nbformat
import pytest
from PIL import Image

from helpers import explore, log_knob, panels, still
from helpers.live import _host_kernel as host_kernel

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
explore(draw, fig=figs, name="needle", caption="c", alt="a", alpha=log_knob(0.1, 10, start=3.16, per_decade=2))
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
