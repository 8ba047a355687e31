"""The set-up cell, in the environments that readers have: it knows the book's helpers from others.

Oracle: Python itself, in a fresh environment and folder for each case, with stand-ins for pip and
uv that say what they were asked and put a copy of the book's front door where they are told.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import ROOT, repository

URL = "https://github.com/you/it"
CELL = repository.first_cell(URL)
GIT, ZIP = f"git+{URL}", f"{URL}/archive/HEAD.zip"
FORCED = ["--force-reinstall", "--no-deps"]
AFTER = "\nfrom helpers import GROUPS; import json; print(json.dumps(GROUPS is not None))"
STAND_IN = """\
import json, os, pathlib, sys, sysconfig
log = pathlib.Path({log!r})
log.write_text(log.read_text() + json.dumps(sys.argv[1:]) + "\\n")
if {fault!r}:
    sys.exit("WARNING: Retrying: error\\n" + {fault!r} + "\\nnote: from a subprocess")
if {known!r} and "--force-reinstall" not in sys.argv:
    sys.exit()  # already satisfied
folder = pathlib.Path({target!r}, "helpers")
folder.mkdir(parents=True, exist_ok=True)
(folder / "__init__.py").write_text(pathlib.Path({door!r}).read_text())
"""
BASE = getattr(sys, "_base_executable", sys.executable)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are scripts of a shell")


@pytest.fixture
def reader(tmp_path):
    """A reader's folder, and an environment with nothing in it: no pip, no uv, no git."""
    env, programs, folder = (tmp_path / name for name in ("env", "bin", "folder"))
    subprocess.run([BASE, "-m", "venv", "--without-pip", env], check=True)
    for path in (programs, folder):
        path.mkdir()
    (tmp_path / "log").touch()
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(env)}))
    return SimpleNamespace(
        python=env / "bin" / "python", packages=packages, programs=programs, folder=folder
    )


def add(reader, tool, fault="", known=False, target=None):
    """Give the reader `pip` or `uv`, which fails with `fault`; `known`: it takes all for there."""
    log, door = reader.folder.with_name("log"), ROOT / "helpers" / "__init__.py"
    target = target or reader.packages
    text = STAND_IN.format(
        log=str(log), fault=fault, known=known, target=str(target), door=str(door)
    )
    if tool == "pip":
        (reader.packages / "pip").mkdir(parents=True)
        (reader.packages / "pip" / "__main__.py").write_text(text)
        (reader.packages / "pip" / "__init__.py").touch()
    else:
        program(reader, tool, text)


def program(reader, name, text=""):
    path = reader.programs / name
    path.write_text(f"#!{reader.python}\n{text}")
    path.chmod(0o755)


def run(reader, before="", **environment):
    """(exit status, the last line said, what pip or uv was asked) of the cell and an import."""
    here = {"PATH": str(reader.programs), "HOME": str(reader.folder.parent), **environment}
    done = subprocess.run(
        [reader.python, "-c", before + CELL + AFTER],
        cwd=reader.folder,
        env=here,
        capture_output=True,
        text=True,
    )
    asked = reader.folder.with_name("log").read_text().splitlines()
    last = (done.stdout + done.stderr).strip().splitlines()[-1]
    return done.returncode, last, list(map(json.loads, asked))


@pytest.mark.parametrize(("git", "source"), [(True, GIT), (False, ZIP)])
def test_nothing_there_the_helpers_come_with_git_or_from_the_zip(reader, git, source):
    add(reader, "pip")
    if git:
        program(reader, "git")
    assert run(reader) == (0, "true", [["install", "-q", source]])


def test_an_edition_fetches_its_own_commit_both_ways():
    text = repository.first_cell(f"{URL}@abc123")
    assert f'"git+{URL}@abc123"' in text
    assert f'"{URL}/archive/abc123.zip"' in text


def test_without_pip_uv_fetches_them_into_this_environment(reader):
    add(reader, "uv")
    asked = ["pip", "install", "-q", "--python", str(reader.python), ZIP]
    assert run(reader) == (0, "true", [asked])


def test_without_pip_and_uv_that_is_said(reader):
    status, last, _ = run(reader)
    assert status != 0
    assert last.endswith("helpers did not come: restart, with pip or uv at hand.")


def test_the_book_s_own_are_left_as_they_are(reader):
    add(reader, "pip")
    run(reader)
    status, last, asked = run(reader, "import helpers; helpers.GROUPS = None\n")
    assert (status, last) == (0, "false"), "they were imported a second time"
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["helpers.py", "helpers/__init__.py"])
def test_a_reader_s_own_helpers_are_named_and_nothing_is_installed(reader, name):
    add(reader, "pip")
    theirs = reader.folder / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("def mine(): pass\n")
    status, last, asked = run(reader)
    assert status != 0
    assert last == f"ImportError: {theirs} is not the book's: rename or uninstall it, restart."
    assert asked == []


def test_a_folder_without_init_gives_way(reader):
    add(reader, "pip")
    (reader.folder / "helpers").mkdir()
    before = "import helpers\n"  # the reader has looked for them already
    assert run(reader, before)[:2] == (0, "true")


def test_pypi_s_other_helpers_are_named(reader):
    add(reader, "pip")
    theirs = reader.packages / "helpers" / "__init__.py"
    theirs.parent.mkdir()
    theirs.touch()
    status, last, asked = run(reader)
    assert status != 0
    assert last == f"ImportError: {theirs} is not the book's: rename or uninstall it, restart."
    assert asked == []


def test_files_that_another_package_took_away_come_back(reader):
    add(reader, "pip", known=True)
    (reader.packages / "helpers").mkdir()
    status, last, asked = run(reader)
    assert (status, last) == (0, "true")
    assert asked == [["install", "-q", ZIP], ["install", "-q", *FORCED, ZIP]]


@pytest.mark.parametrize("word", ["fatal: unable to access", "ERROR: Could not install"])
def test_offline_is_one_sentence_with_the_reason(reader, word):
    add(reader, "pip", fault=f"   {word} x: Could not resolve host")
    status, last, asked = run(reader)
    assert (status, len(asked)) == (1, 1)
    reason = f"{word} x: Could not resolve host"
    sentence = f"The book's helpers did not come ({reason}): run this again online."
    assert last == f"ImportError: {sentence}"


def test_what_pip_puts_into_a_new_user_site_is_found_at_once(reader, tmp_path):
    home = tmp_path / "user"
    here = {"PYTHONUSERBASE": str(home)}
    where = [BASE, "-c", "import site; print(site.getusersitepackages())"]
    user = subprocess.run(
        where, env=here, capture_output=True, text=True, check=True
    ).stdout.strip()
    add(reader, "pip", target=user)
    reader.python = Path(BASE)  # an environment has no user site
    assert not Path(user).exists()
    status, last, asked = run(reader, PYTHONPATH=str(reader.packages), **here)
    assert (status, last, len(asked)) == (0, "true", 1)
