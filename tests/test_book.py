"""The commands as a newcomer gives them: an environment that fits, a port, and plain sentences.

Oracle: the words and exit status of `book.py` itself, in a copy of the checkout that needs no
package at all; what the socket says of a port.
"""

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from threading import Thread

import pytest

from tools import ROOT, commands, console, environment, serve

TARGETS = re.compile(r"^([a-z][a-z-]*):(?!=)", re.M)
NOWHERE = "http://127.0.0.1:9/simple"  # the discard port: nobody answers
MINE = ("PIP_", "UV_", "PYTHON")


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a command needs; its requirements ask for nothing."""
    return copy_to(tmp_path / "a folder")


def copy_to(folder):
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("book.py", "Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "requirements.txt").write_text("# nothing\n")
    return folder


def say(folder, *command, **more):
    """(exit status, all that was said) of `book.py` with `command` in `folder`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(MINE)}
    done = subprocess.run(
        [sys.executable, "book.py", *command],
        cwd=folder,
        env=kept | {"PIP_CONFIG_FILE": os.devnull} | (more or {"PIP_NO_INDEX": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout


def stamp(folder):
    return json.loads((folder / ".venv" / ".ready").read_text("utf-8"))


# ---- the environment -----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_environment_is_made_once_and_again_only_where_it_does_not_fit(checkout):
    status, said = say(checkout, "install")
    assert status == 0, said
    assert re.fullmatch(r"installing into \.venv \.+ \d+ s\n", said)
    (checkout / ".venv" / "mine").touch()
    os.utime(checkout / "requirements.txt")  # as git does: newer, and the same
    assert say(checkout, "install") == (0, "")

    (checkout / "requirements.txt").write_text("pip\n")  # asks for what is there
    status, said = say(checkout, "install")
    assert (status, said.count("\n")) == (0, 1), said
    assert (checkout / ".venv" / "mine").exists()

    moved = checkout.with_name("moved")
    checkout.rename(moved)
    status, said = say(moved, "install")
    assert status == 0, said
    first, _ = said.splitlines()
    assert first == f".venv is made anew: it was made in {checkout}, and this is {moved}."
    assert not (moved / ".venv" / "mine").exists()
    assert stamp(moved)["place"] == str(moved)


@pytest.mark.slow
def test_without_network_one_sentence_comes_at_once_and_nothing_counts_as_installed(checkout):
    (checkout / "requirements.txt").write_text("surely-not-installed==1\n")
    cut = {"PIP_INDEX_URL": NOWHERE}
    status, said = say(checkout, "install", **cut)
    assert status == 1
    assert said.splitlines()[1:] == [environment.OFFLINE.format(log="_build/build.log")]
    assert stamp(checkout)["installed"] == {}
    log = (checkout / "_build" / "build.log").read_text("utf-8")
    assert "uv" in log and "surely" not in log, "it asked again after the first silence"

    (checkout / "requirements.txt").write_text("# nothing\n")
    assert say(checkout, "install")[0] == 0
    (checkout / "requirements.txt").write_text("surely-not-installed==1\n")
    status, said = say(checkout, "install", **cut)
    assert status == 1
    assert said.splitlines()[1:] == [environment.OFFLINE.format(log="_build/build.log")]


@pytest.mark.slow
def test_what_cannot_be_installed_is_said_with_pips_last_words(checkout):
    (checkout / "requirements.txt").write_text("surely-not-installed==1\n")
    status, said = say(checkout, "install")
    assert status == 1
    assert "No matching distribution found for surely-not-installed==1" in said
    last = "Installing requirements.txt failed. Whole log: _build/build.log"
    assert said.splitlines()[-1] == last


def test_another_folders_environment_behind_a_link_is_never_emptied(monkeypatch, tmp_path):
    theirs = tmp_path / "theirs"
    (theirs / "lib").mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(theirs)
    monkeypatch.setattr(environment, "HOME", tmp_path / ".venv")
    with pytest.raises(SystemExit, match="theirs, which belongs to another folder and would be"):
        environment.make()
    assert (theirs / "lib").exists()


def test_an_environment_of_another_python_or_without_a_word_is_none_of_ours(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "READY", tmp_path / ".ready")
    monkeypatch.setattr(environment, "PYTHON", tmp_path)
    assert environment.lacking("requirements.txt") == ["requirements.txt"]
    assert environment.reason() == ""  # nothing was there, so nothing is explained
    whole = {"place": str(ROOT), "python": sys.version}
    whole["installed"] = {"requirements.txt": environment.wanted("requirements.txt")}
    environment.READY.write_text(json.dumps(whole))
    assert environment.lacking("requirements.txt", "requirements-lab.txt") == [
        "requirements-lab.txt"
    ]
    environment.READY.write_text(json.dumps(whole | {"python": "3.9.1 (main)"}))
    assert environment.reason().startswith(".venv is made anew: it has Python 3.9.1, and this is 3")
    assert environment.lacking("requirements.txt") == ["requirements.txt"]
    environment.READY.write_text("")  # an older stamp
    assert environment.lacking("requirements.txt") == ["requirements.txt"]


def test_an_install_that_stops_halfway_counts_no_more_though_the_old_file_comes_back(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(environment, "READY", tmp_path / ".ready")
    monkeypatch.setattr(environment, "PYTHON", tmp_path)
    asked = ["old"]
    monkeypatch.setattr(environment, "wanted", lambda _: asked[0])
    environment.write({"place": str(ROOT), "python": sys.version, "installed": {"a.txt": "old"}})
    assert environment.lacking("a.txt") == []
    monkeypatch.setattr(environment, "install", lambda *_: sys.exit("the network went away"))
    asked[0] = "new"
    with pytest.raises(SystemExit):
        environment.ready("a.txt")
    asked[0] = "old"
    assert environment.lacking("a.txt") == ["a.txt"]


def test_a_python_without_venv_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(console, "follow", lambda *_: (1, ["No module named venv"]))
    with pytest.raises(SystemExit, match=r"failed: No module named venv .*python3-venv"):
        environment.make()


def test_pips_settings_are_handed_on_to_uv_or_pip_itself_installs():
    mirror = {"index-url": "https://a/simple", "find-links": "/a /b", "default-timeout": "60"}
    assert environment.handed_on(mirror) == {
        "UV_DEFAULT_INDEX": "https://a/simple",
        "UV_FIND_LINKS": "/a,/b",
    }
    assert environment.handed_on({"proxy": "http://p", **mirror}) is None
    assert environment.handed_on({"no-index": "1"}) is None


def test_who_asks_for_no_index_of_his_own_gets_torch_without_cuda(monkeypatch):
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    assert environment.handed_on({}) == {"UV_TORCH_BACKEND": "cpu"}
    monkeypatch.setenv("UV_TORCH_BACKEND", "auto")
    assert environment.handed_on({"cert": "/a.pem"})["UV_TORCH_BACKEND"] == "auto"


def test_a_home_that_cannot_be_written_to_costs_uv_its_cache_and_nothing_else(monkeypatch):
    said = "error: Failed to initialize cache at `/.cache/uv`: Permission denied (os error 13)"
    asked = []

    def follow(command, _):
        asked.append(command)
        return (0, []) if "--no-cache" in command else (2, [said])

    monkeypatch.setattr(console, "follow", follow)
    assert environment.uv("requirements.txt", {}) == 0
    assert asked[1] == [*asked[0], "--no-cache"]
    said = "error: No solution found"  # another fault is not tried twice
    assert environment.uv("requirements.txt", {}) == 2
    assert len(asked) == 3


def test_the_shells_settings_of_pip_win_over_its_files(monkeypatch, tmp_path):
    (tmp_path / "pip.conf").write_text(
        "[global]\nfind-links = /file\n[install]\nextra-index-url = file:///a\n    file:///b\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", "/shell")
    monkeypatch.setattr(environment, "PYTHON", sys.executable)
    found = environment.pip_settings()
    assert found["find-links"] == "/shell"
    assert environment.handed_on(found)["UV_INDEX"] == "file:///a file:///b"


def test_the_shell_leads_no_command_to_another_python(monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("JOBS", "3")
    assert "/elsewhere" not in environment.variables().values()
    assert environment.variables(PORT="1")["JOBS"] == "3"


# ---- the port ------------------------------------------------------------------------------------


@pytest.fixture
def taken():
    """A port where another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_the_next_free_port_is_taken_and_said_and_is_ours_from_then_on(taken, capsys):
    with serve.reserve(taken) as server:
        port = server.server_port
        assert taken < port < taken + serve.TRIES
        said = f"Port {taken} is taken: the book will be at port {port}.\n"
        assert capsys.readouterr().out == said
        assert not serve.answered(port)  # nobody is answered while the book is made


def test_a_free_port_is_taken_without_a_word_and_serves_the_site(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(serve, "SITE", tmp_path)
    (tmp_path / "a.js").write_text("1")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with serve.reserve(port) as server:
        assert (server.server_port, capsys.readouterr().out) == (port, "")
        server.server_activate()
        Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/a.js") as answer:
            assert answer.headers["Content-Type"] == "text/javascript"
        server.shutdown()
    assert capsys.readouterr() == ("", "")


def test_a_reader_who_goes_on_early_is_no_fault_and_any_other_is(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with serve.reserve(port) as server:
        for error in (BrokenPipeError(), ZeroDivisionError("division by zero")):
            try:
                raise error
            except Exception:
                server.handle_error(None, ("127.0.0.1", 1))
    said = capsys.readouterr().err
    assert "division by zero" in said
    assert "BrokenPipe" not in said


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "８０"])
def test_a_port_that_is_none_is_refused_before_anything_is_built(port, monkeypatch):
    monkeypatch.setenv("PORT", port)
    monkeypatch.setattr(commands, "book", lambda: pytest.fail("the book was built first"))
    with pytest.raises(SystemExit, match=f"PORT needs a whole number .* got '{port}'"):
        commands.main(["serve"])


# ---- the list ------------------------------------------------------------------------------------


def test_make_and_book_py_know_the_same_commands():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(TARGETS.findall(makefile)) == set(commands.COMMANDS)
    recipes = re.findall(r"^([a-z-]+):\n\t(.*)$", makefile, re.M)
    assert all(line.split()[:2] == ["@$(BOOK)", name] for name, line in recipes)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)
    assert set(phony.split()) == set(commands.COMMANDS)


def test_the_list_says_each_command_in_one_line(capsys):
    assert commands.main([]) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "make NAME, or python book.py NAME:"
    assert [row.split()[0] for row in rows] == list(commands.COMMANDS)
    assert max(map(len, rows)) <= 100


@pytest.mark.parametrize("words", [["serv"], ["serve", "9000"], ["book", "port=9000"]])
def test_what_is_no_command_is_said_as_it_was_given(words, capsys):
    assert commands.main(words) == 2
    assert f"got '{' '.join(words)}'." in capsys.readouterr().err


def test_settings_stand_behind_the_command_as_with_make(monkeypatch):
    for name in ("PORT", "JOBS"):
        monkeypatch.setenv(name, "")
    seen = []
    monkeypatch.setitem(commands.COMMANDS, "serve", lambda: seen.append(serve.wished()))
    assert commands.main(["serve", "PORT=9001", "JOBS=1"]) == 0
    assert (seen, os.environ["JOBS"]) == ([9001], "1")


def test_the_readmes_commands_are_ones_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bbook\.py ([a-z-]+)", text))
    assert {"serve", "lab", "test"} <= asked <= set(commands.COMMANDS)
    assert "pip install -r" not in text  # a plain machine refuses it


def test_tests_that_are_named_run_instead_of_all(monkeypatch):
    ran = []
    monkeypatch.setattr(environment, "lacking", lambda *_: [])
    monkeypatch.setattr(environment, "call", lambda *command, **_: ran.append(command) or 5)
    assert commands.main(["test", "tests/test_nets.py"]) == 5
    assert commands.main(["test"]) == 5
    assert ran[0][-1] == "tests/test_nets.py"
    assert ran[1][-5:] == ("tests", "--ledger", "check", "--junitxml", commands.REPORT)


def test_a_site_that_is_packed_lies_in_one_folder(tmp_path, monkeypatch):
    (tmp_path / "_build" / "html" / "book").mkdir(parents=True)
    for name in ("index.html", "book/a.html"):
        (tmp_path / "_build" / "html" / name).write_text(name)
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(serve, "SITE", tmp_path / "_build" / "html")
    monkeypatch.setattr(commands, "book", lambda: None)
    assert commands.main(["zip"]) == 0
    shutil.unpack_archive(tmp_path / "_build" / "site.zip", tmp_path / "out")
    assert (tmp_path / "out" / "sharp-minima-book" / "book" / "a.html").read_text() == "book/a.html"


def test_clean_keeps_the_environment(checkout):
    for name in ("_build/html", ".venv", "x.egg-info", ".ruff_cache"):
        (checkout / name).mkdir(parents=True)
    assert say(checkout, "clean") == (0, "")
    assert {path.name for path in checkout.iterdir() if path.name != "tools"} == {
        "book.py", "Makefile", "pyproject.toml", "requirements.txt", ".venv",
    }  # fmt: skip


def test_an_old_python_is_told_so_by_a_file_that_it_can_read():
    source = (ROOT / "book.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))  # the oldest that ast knows: no f-string, no hints
    older = f"import sys; sys.version_info = (3, 9, 18); exec({source!r})"
    done = subprocess.run(
        [sys.executable, "-c", older], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = "The book needs Python >= 3.10, got 3.9: say which with make PYTHON=python3.12.\n"
    assert done.stderr == said
