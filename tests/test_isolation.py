"""A build reads its own folder and its environment's packages: nothing from HOME or the shell.

Oracle: the bytes of a site that was built by a person without settings, against one built with
IPython, Jupyter, matplotlib and Python settings that each would show; the words of a build that
finds somebody else's helpers.
"""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from sphinx.errors import SphinxError
from test_faults import READ_ONLY, SET_UP, build, files, new_book, outputs, write_book

from tools import isolation

# Each line would show in the page what the person has set.
PAGE = """\
import os, sys
from helpers import say, still
import matplotlib.pyplot as plt
ax.plot([0, 1], [1, 0])
plt.rcParams["axes.grid"], plt.rcParams["text.usetex"]
say(f"{'of_the_person' in globals()}, {'somebody' in sys.modules}, {__debug__}")
still(figs, name="still", caption="c", alt="A cross.")
"""
KERNEL = ["python", "-c", "import sys; sys.exit('another environment')", "{connection_file}"]


def person(home, python):
    """The variables of somebody with settings for all that a chapter passes through."""
    profile = home / ".ipython" / "profile_default"
    spec = home / "jupyter" / "kernels" / "python3" / "kernel.json"
    theirs = home / "lib" / "somebody.py"
    for path in (profile / "startup" / "mine.py", spec, theirs):
        path.parent.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(
        "get_config().InteractiveShell.ast_node_interactivity = 'all'\n"
    )
    (profile / "startup" / "mine.py").write_text("of_the_person = 1\n")
    spec.write_text(json.dumps({"argv": KERNEL, "display_name": "x", "language": "python"}))
    (home / "matplotlibrc").write_text("axes.grid: True\ntext.usetex: True\n")
    theirs.write_text("")
    (home / "lib" / "sitecustomize.py").write_text("import somebody\n")
    (home / "startup.py").write_text("of_the_person = 2\n")
    return {
        "HOME": str(home),
        "IPYTHONDIR": str(profile.parent),
        "JUPYTER_PATH": str(home / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "MATPLOTLIBRC": str(home / "matplotlibrc"),
        "MPLBACKEND": "svg",
        "PYTHONSTARTUP": str(home / "startup.py"),
        "PYTHONPATH": os.pathsep.join([str(python), str(home / "lib")]),
    }


@pytest.mark.slow
def test_a_person_s_settings_change_no_byte_of_the_site(tmp_path):
    sites = []
    for name in ("plain", "person"):
        book = new_book(tmp_path / name)
        write_book(book, page=[SET_UP, PAGE])
        settings = person(tmp_path / "home", book) if name == "person" else {}
        status, said = build(book, **settings)
        assert status == 0, said
        sites.append(files(book / "_build" / "html"))
    assert sites[0].keys() == sites[1].keys()
    assert [name for name in sites[0] if sites[0][name] != sites[1][name]] == []
    assert "False, False, True" in sites[0]["book/page.html"].decode()


@pytest.mark.slow
def test_a_build_with_somebody_else_s_helpers_stops_in_one_sentence(tmp_path):
    book = new_book(tmp_path / "copy")
    write_book(book, page=["1 + 1"])
    theirs = tmp_path / "theirs" / "helpers"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").touch()
    status, said = build(book, PYTHONPATH=str(theirs.parent))
    assert status != 0
    last = said.splitlines()[-1]
    assert last.startswith(f"The build needs the helpers of {book}, got "), said
    assert last.endswith(": run make book in this folder, with PYTHONPATH unset.")
    assert not (book / "_build" / "html" / "book").exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["nowhere", "beside a namespace"])
def test_a_copy_built_with_the_first_one_s_environment_runs_its_own_helpers(tmp_path, where):
    book = new_book(tmp_path / "copy")
    module = book / "helpers" / "live" / "_figures.py"
    module.write_text(module.read_text("utf-8").replace('"#0072b2"', '"#123456"'), "utf-8")
    write_book(book, page=["from helpers import THETA\nprint(THETA)"])
    (tmp_path / "theirs" / "helpers").mkdir(parents=True)
    path = "" if where == "nowhere" else str(tmp_path / "theirs")
    status, said = build(book, *READ_ONLY, PYTHONPATH=path)
    assert status == 0, said
    assert outputs(book) == "#123456\n"


@pytest.fixture
def book(tmp_path):
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").touch()
    (tmp_path / "book" / "part").mkdir(parents=True)
    return tmp_path.resolve()


def test_the_book_s_own_helpers_are_no_strangers(book):
    assert isolation.stranger(book, book / "helpers" / "__init__.py") is None


def test_missing_helpers_are_named_and_not_an_attribute_of_none(book, monkeypatch):
    monkeypatch.setattr(isolation.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(isolation.atexit, "register", lambda *call, **how: None)
    with pytest.raises(SphinxError, match=r"finds no helpers: make book installs them in "):
        isolation.isolate(SimpleNamespace(srcdir=book))


@pytest.mark.parametrize("name", ["helpers.py", "helpers"])
def test_a_file_beside_a_chapter_that_hides_the_helpers_is_named(book, name):
    path = book / "book" / "part" / name
    path.mkdir() if name == "helpers" else path.touch()
    sentence = isolation.stranger(book, book / "helpers" / "__init__.py")
    assert sentence == f"{path} hides the book's helpers from the chapters beside it: rename it."


def test_the_folder_of_settings_is_gone_when_the_build_ends(book, tmp_path, monkeypatch):
    ends = []
    monkeypatch.setattr(isolation.atexit, "register", lambda *call, **how: ends.append((call, how)))
    monkeypatch.setattr(isolation, "whereabouts", lambda name: book / "helpers" / "__init__.py")
    monkeypatch.setattr(isolation.os, "environ", {"PYTHONSTARTUP": "x", "HOME": "y"})
    isolation.isolate(SimpleNamespace(srcdir=book))
    here = isolation.os.environ
    assert "PYTHONSTARTUP" not in here
    assert here["HOME"] == "y"
    folder = Path(here["MATPLOTLIBRC"]).parent
    assert folder.is_dir()
    (((function, *arguments), options),) = ends
    assert function is shutil.rmtree
    function(*arguments, **options)
    assert not folder.exists()
