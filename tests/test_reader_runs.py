"""The reader's edition runs where readers run it: in a kernel like Colab's, in an empty folder.

Oracle: a fresh environment with what Colab has and we use, without Sphinx, MyST or this checkout.
nbval runs each notebook from its first cell to its last, starters untouched, and one cell more,
which moves every control of every figure. The front page comes without helpers: its own install
cell fetches them, where git alone is told that the book's address is this working tree.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

from tools import ROOT, editions, environment, pages, repository
from tools.whole_book import read_book

COLAB = ["torch", "numpy", "matplotlib", "ipywidgets==7.7.1", "scikit-learn", "tqdm"]  # all there
RUNNER = ["pytest", "nbval", "ipykernel<7"]  # 7 has no comms for ipywidgets 7
PINNED = ("torch", "numpy", "scipy", "scikit-learn", "pytest", "nbval")
UNTOUCHED = ("torch", "numpy", "scipy", "scikit_learn", "matplotlib", "ipywidgets")
MOST_INSTALL_SECONDS = 60
NBVAL = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env")
MOVE = """
def _move_every_figure():  # in a function: the cell binds no name that a figure may read
    import gc
    moved = 0
    for live in [thing for thing in gc.get_objects() if type(thing).__name__ == "Live"]:
        moved += bool(live.controls)
        for control in live.controls.values():
            values = [value for _, value in control.options]
            for value in [*values[:: max(1, len(values) // 4)], values[-1]]:
                control.value = value
                assert "role=\\"alert\\"" not in live.words.value, live.words.value
    assert moved == {figures}, f"{{moved}} figures moved, and the page has {figures}"
_move_every_figure()
"""
pytestmark = pytest.mark.slow
NAMES = [name for name in pages.table_of_contents() if (ROOT / f"{name}.ipynb").exists()]


def run(*command, **options):
    """A command's output; its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (
        f"{command[:3]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    )
    return done.stdout


def interpreter(environment):
    return environment / ("Scripts" if os.name == "nt" else "bin") / "python"


def install(home, *what):
    """Into the environment `home`, by uv where this checkout's own was made with it: a third of the
    time, and nothing is compiled that no notebook imports."""
    settings = environment.handed_on(environment.pip_settings())
    if settings is None or not importlib.util.find_spec("uv"):
        run(interpreter(home), "-m", "pip", "install", "-q", *what)
    else:
        command = [sys.executable, *environment.UV_INSTALL, "--python", interpreter(home), *what]
        run(*command, env=environment.variables(**settings))


@pytest.fixture(scope="module")
def colab():
    """An environment like Colab's, kept under _build by what it is made of."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line.startswith(tuple(f"{name}==" for name in PINNED))]
    made_of = "\n".join([sys.version, *pins, *COLAB, *RUNNER])
    home = ROOT / "_build" / f"colab-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    home.parent.mkdir(exist_ok=True)
    with FileLock(f"{home}.lock"):
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            run(sys.executable, "-m", "venv", home)
            (home / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
            install(home, "-c", home / "pins.txt", *COLAB, *RUNNER)
            (home / "ready").touch()
    return home


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """(environment variables with which git takes the book's address for a copy, its commit)."""
    copy = tmp_path_factory.mktemp("repository")
    names = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    run("git", "init", "-q", copy)
    run("git", "-C", copy, "add", "-A")
    run("git", "-C", copy, *who, "commit", "-q", "-m", "this working tree")
    redirect = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{copy.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository.address()[0],
    }
    dropped = ("PYTHON", "HELPERS", "PYTEST", "JUPYTER")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return kept | redirect, run("git", "-C", copy, "rev-parse", "HEAD").strip()


def overlay(colab, folder):
    """An empty environment over Colab's: what is installed here leaves that one as it is."""
    run(sys.executable, "-m", "venv", folder)
    python = interpreter(folder)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours, theirs = (Path(run(p, "-c", where).strip()) for p in (python, interpreter(colab)))
    (ours / "colab.pth").write_text(f"{theirs}\n", encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def python(colab, repositories, tmp_path_factory):
    """The interpreter of an environment like Colab's in which the helpers are installed."""
    python = overlay(colab, tmp_path_factory.mktemp("reader") / "env")
    address = f"git+{repository.address()[0]}"
    run(python, "-m", "pip", "install", "-q", address, env=repositories[0])
    return python


@pytest.fixture(scope="module")
def book(repositories):
    return replace(read_book(), commit=repositories[1])


def write_edition(book, name, folder):
    """The reader's edition of a page in an empty folder, with a cell that moves its figures."""
    (page,) = [page for page in book.notebooks() if page.name == f"{name}.ipynb"]
    notebook = editions.edition(page, book, "reader")
    calls = [call for _, cell in page.code() for call in pages.calls(cell.source, {"explore"})]
    notebook.cells.append(nbformat.v4.new_code_cell(MOVE.format(figures=len(calls))))
    path = folder / f"{Path(name).name}.ipynb"
    nbformat.write(notebook, path)
    return path


def fingerprint(python):
    """Version and age of what the install cell must not touch."""
    code = (
        "import importlib.metadata as m, json, os\n"
        f"names = {UNTOUCHED!r}\n"
        "record = lambda d: str(d._path) + str(os.stat(d._path / 'RECORD').st_mtime_ns)\n"
        "print(json.dumps({n: [m.version(n), record(m.distribution(n))] for n in names}))"
    )
    return json.loads(run(python, "-c", code))


@pytest.fixture(scope="module")
def ran(request, book, python, repositories, tmp_path_factory):
    """{chapter: {cell: what stopped it, or ""}} of the chapters asked for, by one run of nbval."""
    home = tmp_path_factory.mktemp("chapters")
    asking = [item for item in request.session.items if "ran" in item.fixturenames]
    asked = [item.callspec.params["name"] for item in asking]
    names = {Path(name).name: name for name in asked}
    for folder, name in names.items():  # each in a folder of its own, which is its kernel's
        (home / folder).mkdir()
        write_edition(book, name, home / folder)
    command = [python, *NBVAL, "--junitxml=report.xml", *(f"{n}/{n}.ipynb" for n in names)]
    done = subprocess.run(
        command, cwd=home, env=repositories[0], capture_output=True, text=True, check=False
    )
    assert (home / "report.xml").exists(), done.stdout[-4000:] + done.stderr[-4000:]
    found = {name: {} for name in names.values()}
    for case in ElementTree.parse(home / "report.xml").iter("testcase"):
        name = names[case.get("classname").partition(".")[0]]
        faults = [part.text for part in case if part.tag in ("failure", "error")]
        found[name][case.get("name")] = "".join(faults)
    return found


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_chapter_runs_and_its_figures_move_after_its_last_cell(name, ran):
    assert len(ran[name]) > 5
    assert {cell: said for cell, said in ran[name].items() if said} == {}


def test_the_front_page_fetches_its_helpers_and_touches_nothing_else(
    book, colab, repositories, tmp_path, record_property
):
    python = overlay(colab, tmp_path / "env")
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('helpers') is not None)"
    run(python, "-c", code, cwd=tmp_path, env=repositories[0])
    before = fingerprint(python)
    path = write_edition(book, NAMES[0], tmp_path)
    timed = run(python, *NBVAL, "--durations=1000", path.name, cwd=tmp_path, env=repositories[0])
    seconds = float(re.search(r"([\d.]+)s call +\S+::Cell 0$", timed, re.M)[1])
    record_property("install_seconds", round(seconds, 1))
    assert fingerprint(python) == before
    assert seconds < MOST_INSTALL_SECONDS


def test_a_figure_that_dies_after_the_last_cell_is_found(book, python, repositories, tmp_path):
    path = write_edition(book, "book/argument/volume_is_infinite", tmp_path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(-1, nbformat.v4.new_code_cell("totals = None"))
    nbformat.write(notebook, path)
    with pytest.raises(AssertionError, match="figure &#x27;marching-boxes&#x27; failed"):
        run(python, *NBVAL, path.name, cwd=tmp_path, env=repositories[0])
