"""Colab's path without Colab: a page alone in an empty folder installs the helpers and runs.

Oracle: a fresh environment with what Colab has and we use, and nothing of this checkout on its
path. The page is run as it stands: git alone is told that the book's address is a repository made
of this working tree, so the install cell is the reader's own. COLAB_PAGES=all runs every page.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tools import ROOT, pages, repository

COLAB = ["torch", "numpy", "matplotlib", "ipywidgets==7.7.1", "scikit-learn"]  # 7.7.1 is Colab's
RUNNER = ["nbclient", "ipykernel<7"]  # 7 has no comms for ipywidgets 7
UNTOUCHED = ("torch", "numpy", "scipy", "scikit_learn", "matplotlib", "ipywidgets")
MOST_INSTALL_SECONDS = 60
RUN = """
import json, sys, time, nbclient, nbformat
page = nbformat.read(sys.argv[1], as_version=4)
started, seconds = {}, {}
client = nbclient.NotebookClient(page, timeout=300, kernel_name="python3")
client.on_cell_execute = lambda cell, cell_index: started.update({cell_index: time.time()})
client.on_cell_executed = lambda cell, cell_index, execute_reply: seconds.update(
    {cell_index: time.time() - started[cell_index]})
client.execute()
print(json.dumps({"install": seconds[1], "cells": len(seconds)}))
"""
pytestmark = pytest.mark.slow


def run(*command, **options):
    """A command's output; its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (
        f"{command[:3]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a fresh environment like Colab's."""
    folder = tmp_path_factory.mktemp("colab")
    run(sys.executable, "-m", "venv", folder / "env")
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    kept = [
        pin for pin in pins if pin.startswith(("torch==", "numpy==", "scipy==", "scikit-learn=="))
    ]
    (folder / "pins.txt").write_text("\n".join(kept), encoding="utf-8")
    run(python, "-m", "pip", "install", "-q", "-c", folder / "pins.txt", *COLAB, *RUNNER)
    return str(python)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Environment variables with which git takes the book's address for this working tree."""
    copy = tmp_path_factory.mktemp("repository")
    names = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    run("git", "init", "-q", copy)
    run("git", "-C", copy, "add", "-A")
    run("git", "-C", copy, *who, "commit", "-q", "-m", "this working tree")
    url, _ = repository.address()
    redirect = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{copy.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": url,
    }
    left = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HELPERS"))
    }
    return left | redirect | {"JUPYTER_PREFER_ENV_PATH": "1"}


def fingerprint(python):
    """Version and age of what the install cell must not touch."""
    code = (
        "import importlib.metadata as m, json, os\n"
        f"names = {UNTOUCHED!r}\n"
        "record = lambda d: str(d._path) + str(os.stat(d._path / 'RECORD').st_mtime_ns)\n"
        "print(json.dumps({n: [m.version(n), record(m.distribution(n))] for n in names}))"
    )
    return json.loads(run(python, "-c", code))


def chosen():
    named = [ROOT / f"{name}.ipynb" for name in pages.table_of_contents()]
    found = [path for path in named if path.exists()]
    return found if os.environ.get("COLAB_PAGES") == "all" else found[:2]


@pytest.mark.parametrize("path", chosen(), ids=lambda path: path.stem)
def test_page_runs_alone(path, python, environment, tmp_path, record_property):
    run(python, "-m", "pip", "uninstall", "-q", "-y", "sharp-minima-helpers")
    before = fingerprint(python)
    shutil.copyfile(path, tmp_path / path.name)
    answer = run(python, "-c", RUN, path.name, cwd=tmp_path, env=environment)
    seconds = json.loads(answer.splitlines()[-1])["install"]
    record_property("install_seconds", round(seconds, 1))
    assert fingerprint(python) == before
    assert seconds < MOST_INSTALL_SECONDS


def test_the_environment_has_no_helpers_of_its_own(python, environment, tmp_path):
    run(python, "-m", "pip", "uninstall", "-q", "-y", "sharp-minima-helpers")
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('helpers') is not None)"
    run(python, "-c", code, cwd=tmp_path, env=environment)
