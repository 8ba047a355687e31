"""Faults planted in a small book: each stops the build with a sentence naming page and cell.

Oracle: the exit status and the words of `jupyter-book build`, as an author would see them; the
bytes of a second build; the list of processes.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from helpers import THETA
from tools import ROOT

READ_ONLY = ("--builder", "custom", "--custom-builder", "dummy")  # run the pages, write no HTML

SET_UP = """\
from helpers import explore, log_knob, linear_knob
from helpers import panels
figs, (ax,) = panels(1)
(line,) = ax.plot([0, 1], [0, 1])
knob = log_knob(0.1, 10, start=0.1, per_decade=1)
words = dict(fig=figs, name="needle", caption="A caption.", alt="A line.")
"""
FAULTS = {
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "fails off its default": (
        "explore(lambda alpha: 1 / (alpha - 10), alpha=knob, **words)",
        "RuntimeError: figure 'needle' failed at alpha=10.0 (position 3 of 3): ZeroDivisionError",
    ),
    "over its budget": (
        "explore(lambda alpha: '', alpha=linear_knob(0, 1, start=0, steps=201), **words)",
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
    "dead kernel": ("import os; os._exit(1)", "its kernel died, as happens where memory runs out"),
    "no end": ("import time; time.sleep(600)", "it ran for more than 9 s"),
}
SECONDS = {"no end": 9}  # a cell's time limit, where it is not the book's


def write_book(book, limits=None, **pages):
    """Pages by name, each with a title and the given cells; the first is the front page."""
    (book / "book" / "end.md").write_text("# The end\n")
    root, *others = [f"book/{name}" for name in (*pages, "end")]
    part = {"caption": "A part", "chapters": [{"file": name} for name in others]}
    toc = {"format": "jb-book", "root": root, "parts": [part]}
    (book / "_toc.yml").write_text(json.dumps(toc))
    for name, sources in pages.items():
        cells = [nbformat.v4.new_markdown_cell("# A page")]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        for number, cell in enumerate(cells):
            cell.id = f"cell-{number}"
        data = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        if name in (limits or {}):
            data["execution"] = {"timeout": limits[name]}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=data)
        nbformat.write(notebook, book / "book" / f"{name}.ipynb")


def new_book(folder):
    """A book without pages, with this book's settings and its own copy of helpers and tools."""
    for name in ("helpers", "tools", "book/_static"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    return folder


@pytest.fixture
def book(tmp_path):
    return new_book(tmp_path)


def start(book, *options, **environment):
    """The running process that builds `book` with its copy of the helpers."""
    program = Path(sys.executable).with_name("jupyter-book")
    return subprocess.Popen(
        [program, "build", ".", "-W", "--keep-going", *options],
        cwd=book,
        env=os.environ | {"PYTHONPATH": str(book), "NO_COLOR": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def build(book, *options, **environment):
    """(exit status, all that was said) of a build of `book`."""
    process = start(book, *options, **environment)
    said, _ = process.communicate()
    return process.returncode, said


def name_of(fault):
    return fault.lower().replace(" ", "_")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """What the build of one book with every fault says, a page each, and one page without."""
    book = new_book(tmp_path_factory.mktemp("faults") / "book_of_faults")
    pages = {name_of(fault): [SET_UP, source] for fault, (source, _) in FAULTS.items()}
    limits = {name_of(fault): seconds for fault, seconds in SECONDS.items()}
    pages |= {name: ["", *pages[name][1:]] for name in limits}
    write_book(book, limits, sound=["1 + 1"], **pages)
    return (*build(book, *READ_ONLY), book)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_stops_the_build_and_is_named(stopped, fault):
    status, said, _ = stopped
    assert status != 0
    last = said.splitlines()[-len(FAULTS) - 1 :]
    sentence = f"book/{name_of(fault)}.ipynb cell 3 stopped the build: {FAULTS[fault][1]}"
    assert [line for line in last if line.startswith(sentence)], said


@pytest.mark.slow
def test_a_sound_page_beside_faults_is_not_run_again(stopped):
    _, said, book = stopped
    assert said.splitlines()[-1] == "The next build runs no other chapter again."
    write_book(book, sound=["1 + 1"])
    status, said = build(book, *READ_ONLY)
    assert status == 0, said
    assert "at a time" not in said


def outputs(book):
    """What the only page's cells printed, as the last build has them."""
    (ran,) = (book / "_build").rglob("jupyter_execute/**/page.ipynb")
    cells = nbformat.read(ran, as_version=4).cells
    return "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))


@pytest.mark.slow
def test_a_change_in_the_helpers_runs_the_page_again_and_nothing_else_does(book):
    module = book / "helpers" / "live" / "_figures.py"
    write_book(book, page=["from helpers import THETA\nprint(THETA)"])
    status, said = build(book, *READ_ONLY)
    assert status == 0, said
    assert "running 1 chapters, 1 at a time" in said
    assert THETA in outputs(book)

    status, said = build(book, *READ_ONLY)
    assert status == 0
    assert "at a time" not in said

    module.write_text(module.read_text("utf-8").replace(f'"{THETA}"', '"#123456"'), "utf-8")
    assert build(book, *READ_ONLY)[0] == 0
    assert "#123456" in outputs(book)
    caches = [path.name for path in (book / "_build" / ".jupyter_cache").iterdir()]
    assert len(caches) == 1


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_leaves_no_kernel_behind(book):
    source = (
        "import os, pathlib, time\n"
        "pathlib.Path(f'{name}.pid').write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    pages = {name: [f"name = {name!r}", source] for name in ("one", "two", "three")}
    write_book(book, **pages)
    building = start(book, *READ_ONLY, JOBS="2")
    wait_for(lambda: len([p for p in book.glob("book/*.pid") if p.read_text()]) == 2)
    kernels = [int(path.read_text()) for path in book.glob("book/*.pid")]
    assert all(map(alive, kernels))
    building.send_signal(signal.SIGINT)
    said, _ = building.communicate(timeout=60)
    assert building.returncode != 0
    assert not any(map(alive, kernels)), said
    assert len(list(book.glob("book/*.pid"))) == 2, "a page was started after Ctrl-C"


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
def draw(alpha):
    line.set_ydata([0, alpha])
    return f"{alpha}"


explore(draw, alpha=knob, **words)
"""


@pytest.mark.slow
def test_two_builds_in_two_places_one_serial_write_the_same_bytes(tmp_path):
    sites = []
    for name, jobs in (("here", "1"), ("there", "2")):
        book = new_book(tmp_path / name)
        write_book(book, page=[SET_UP, RESTLESS], other=["print('quick')"])
        status, said = build(book, JOBS=jobs)
        assert status == 0, said
        assert f"running 2 chapters, {jobs} at a time" in said
        assert "Executing notebook" not in said, "Sphinx found a page that the cache did not hold"
        sites.append(files(book / "_build" / "html"))
        seconds = json.loads((book / "_build" / "seconds.json").read_text())
        assert list(seconds) == ["book/other", "book/page"]
    assert sites[0].keys() == sites[1].keys()
    assert [name for name in sites[0] if sites[0][name] != sites[1][name]] == []
    page = sites[0]["book/page.html"].decode()
    assert '<figure class="live" id="needle" ' in page
    data = json.loads(re.search(r'class="live-data">(.*?)</script>', page)[1])
    assert data["words"] == ["0.1", "1.0", "10.0"]
