"""Faults planted in a book of one page: each stops the build with a sentence naming page and cell.

Oracle: the exit status and the words of `jupyter-book build`, as an author would see them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import ROOT

PAGE = "book/page.ipynb"
READ_ONLY = ("--builder", "custom", "--custom-builder", "dummy")  # run the page, write no HTML

SET_UP = """\
from helpers import explore, log_knob, linear_knob
from helpers import panels
figs, (ax,) = panels(1)
(line,) = ax.plot([0, 1], [0, 1])
knob = log_knob(0.1, 10, steps=3)
words = dict(fig=figs, name="needle", caption="A caption.", alt="A line.")
"""
FAULTS = {
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "fails off its default": (
        "explore(lambda alpha: 1 / (alpha - 10), alpha=knob, **words)",
        "RuntimeError: figure 'needle' failed at alpha=10.0 (position 3 of 3): ZeroDivisionError",
    ),
    "over its budget": (
        "explore(lambda alpha: '', alpha=log_knob(0.1, 10, steps=201), **words)",
        "ValueError: figure 'needle' needs 200 positions or fewer, got 201",
    ),
    "no alt text": (
        "explore(lambda alpha: '', alpha=knob, **(words | dict(alt='')))",
        "ValueError: figure 'needle' needs alt text, got ''",
    ),
    "NaN in the weights": (
        "import torch\n"
        "from helpers import init_net, relu_net, spectral_norm, squared_error\n"
        "params = init_net([2, 3, 1], generator=torch.Generator().manual_seed(0))\n"
        "params['theta1'][0, 0] = float('nan')\n"
        "loss = squared_error(relu_net, torch.ones(4, 2), torch.ones(4, 1))\n"
        "spectral_norm(loss, params)",
        "ValueError: ",
    ),
}


def write_page(book, *sources):
    cells = [nbformat.v4.new_markdown_cell("# A page")]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), book / PAGE)


def new_book(folder):
    """A book of one page with this book's settings and its own copy of the helpers."""
    (folder / "book").mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", folder)
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / name, folder / "book" / name)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    shutil.copytree(ROOT / "helpers", folder / "lib" / "helpers")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/page\n")
    return folder


@pytest.fixture
def book(tmp_path):
    return new_book(tmp_path)


def build(book, *options):
    """Build `book` with its copy of the helpers; the finished process, its output as text."""
    program = Path(sys.executable).with_name("jupyter-book")
    return subprocess.run(
        [program, "build", ".", "-W", "--keep-going", *options],
        cwd=book,
        env=os.environ | {"PYTHONPATH": str(book / "lib"), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("source", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_stops_the_build_and_is_named(book, source, sentence):
    write_page(book, SET_UP, source)
    built = build(book, *READ_ONLY)
    assert built.returncode != 0
    *_, last = [line for line in built.stdout.splitlines() if "stopped the build" in line]
    assert last.startswith(f"{PAGE} cell 3 stopped the build: {sentence}")


def outputs(book):
    """What the page's cells printed, as the last build has them."""
    (ran,) = (book / "_build").rglob("jupyter_execute/**/page.ipynb")
    cells = nbformat.read(ran, as_version=4).cells
    return "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))


@pytest.mark.slow
def test_a_change_in_the_helpers_runs_the_page_again_and_nothing_else_does(book):
    module = book / "lib" / "helpers" / "figures.py"
    write_page(book, "from helpers import figures\nprint(figures.THETA)")
    first = build(book, *READ_ONLY)
    assert first.returncode == 0, first.stdout
    assert "chapter 1 of 1: book/page" in first.stdout
    assert "#0072b2" in outputs(book)

    idle = build(book, *READ_ONLY)
    assert idle.returncode == 0
    assert "chapter 1 of 1" not in idle.stdout

    module.write_text(module.read_text("utf-8").replace('"#0072b2"', '"#123456"'), "utf-8")
    assert build(book, *READ_ONLY).returncode == 0
    assert "#123456" in outputs(book)
    caches = [path.name for path in (book / "_build" / ".jupyter_cache").iterdir()]
    assert len(caches) == 1


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


RESTLESS = """
import time
from helpers import bar
for step in bar(range(3), "waiting"):
    print(step, flush=True)
    time.sleep(0.3)
explore(lambda alpha: f"{alpha}", alpha=knob, **words)
"""


@pytest.mark.slow
def test_two_builds_in_two_places_write_the_same_bytes(tmp_path):
    sites = []
    for name in ("here", "there"):
        book = new_book(tmp_path / name)
        write_page(book, SET_UP, RESTLESS)
        built = build(book)
        assert built.returncode == 0, built.stdout
        sites.append(files(book / "_build" / "html"))
    assert sites[0].keys() == sites[1].keys()
    assert [name for name in sites[0] if sites[0][name] != sites[1][name]] == []
    page = sites[0]["book/page.html"].decode()
    assert '<figure class="live" id="needle">' in page
    data = json.loads(re.search(r'class="live-data">(.*?)</script>', page)[1])
    assert data["words"] == ["0.1", "1.0", "10.0"]
