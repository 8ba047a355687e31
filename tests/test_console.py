"""What a reader sees of a build: three steps, a line a chapter, and on failure the last words only.

Oracle: the lines of real builds, typed in here; a program that says and does what the test tells.
"""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tools import ROOT, changed, commands, console, environment

RUNNING = "running 2 chapters, 2 at a time (JOBS=n for another number)"
CHAPTERS = [
    "  book/meaning/volume                              12 s   1 of 2",
    "  book/index                                       21 s   2 of 2",
]
BUILD = [
    "Running Sphinx v7.4.7",
    "writing output... ",
    "building [html]: targets for 3 source files that are out of date",
    RUNNING,
    *CHAPTERS,
    "reading sources... [ 50%] book/index",
    "reading sources... [100%] book/meaning/volume",
    "writing output... [100%] book/index",
    "build succeeded.",
]
DOTS = re.compile(r" \.{3,} \d+ s$", re.M)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setattr(console, "ROOT", tmp_path)


def seen(lines, capsys, well=True):
    progress = console.Progress()
    for line in lines:
        progress(line)
    progress.end(well)
    return capsys.readouterr().out.splitlines()


def test_a_build_says_its_steps_and_each_chapter_and_nothing_else(capsys):
    out = seen(BUILD, capsys)
    assert out[:3] == [f"[2/3] {RUNNING}", *CHAPTERS]
    assert [re.sub(r"\.{3,} \d+ s$", "…", line) for line in out[3:]] == [
        "      the chapters …",
        "[3/3] writing the pages …",
    ]


def test_a_build_that_runs_nothing_says_that(capsys):
    first, last = seen([line for line in BUILD if line not in (RUNNING, *CHAPTERS)], capsys)
    assert first == "[2/3] no chapter has changed"
    assert DOTS.search(last)


def test_a_build_that_stops_has_no_seconds_at_its_end(capsys):
    assert seen(BUILD, capsys, well=False)[-1] == "[3/3] writing the pages "
    assert seen(BUILD[:5], capsys, well=False) == [f"[2/3] {RUNNING}", CHAPTERS[0]]


def test_all_times_end_in_one_column(capsys):
    for text in ("[1/3] installing", "[3/3] writing the pages"):
        with console.step(text):
            pass
    first, second = capsys.readouterr().out.splitlines()
    assert len(first) == len(second)


def test_the_last_words_are_the_sentences_of_the_chapters_that_stopped():
    sentences = [
        "book/a.ipynb cell 3 stopped the build: ValueError: a needs b",
        "of two lines",
        "book/b.ipynb cell 9 stopped the build: its kernel died",
        "The next build runs no other chapter again.",
    ]
    traceback = ["Some chapters stopped the build:", *["  File x"] * 50, "ValueError: a needs b"]
    assert console.last_words([*BUILD, *traceback, *sentences]) == sentences


def test_the_last_words_of_a_site_with_warnings_are_these_once_each():
    warning = "/book/a.md:3: WARNING: 'myst' cross-reference target not found: 'x'"
    said = [*BUILD, warning, warning, "build finished with problems, 1 warning."]
    assert console.last_words(said) == [warning]


def test_the_last_words_of_anything_else_are_its_last():
    assert console.last_words(["one", "", "two"]) == ["one", "two"]


def program(source):
    return [sys.executable, "-c", source]


def test_all_that_a_program_says_is_in_the_log_without_its_colours(tmp_path):
    source = "import sys; print('\\x1b[1mθ\\x1b[0m'); print('wrong', file=sys.stderr); sys.exit(3)"
    heard = []
    status, said = console.follow(program(source), dict(os.environ), heard.append)
    assert (status, said) == (3, heard)
    assert sorted(said) == ["wrong", "θ"]
    assert (tmp_path / console.LOG).read_text("utf-8").splitlines() == said


def test_lines_are_seen_when_they_are_said():
    source = "import time; print('now'); time.sleep(1); print('later')"
    when = []
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    console.follow(program(source), buffered, lambda _: when.append(time.monotonic()))
    assert when[1] - when[0] > 0.8


def test_a_build_that_fails_ends_with_its_last_words_and_the_place_of_the_log(monkeypatch, capsys):
    monkeypatch.setattr(environment, "lacking", lambda *_: [])
    sentence = "book/a.ipynb cell 3 stopped the build: ValueError: a needs b"
    monkeypatch.setattr(console, "follow", lambda *_: (1, [*BUILD, sentence]))
    with pytest.raises(SystemExit) as stopped:
        commands.main(["book"])
    assert stopped.value.code == 1
    assert capsys.readouterr().err == f"{sentence}\nWhole log: _build/build.log\n"


def test_a_first_build_says_how_long_it_takes_and_a_second_that_all_is_there(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(console, "follow", lambda *_: (0, []))
    monkeypatch.setattr(commands.serve, "SITE", tmp_path / "html")
    monkeypatch.setattr(environment, "lacking", lambda *names: list(names))
    monkeypatch.setattr(environment, "ready", lambda *_: None)
    assert commands.main(["book"]) == 0
    title, first = capsys.readouterr().out.splitlines()
    assert title == commands.FIRST
    assert re.fullmatch(r"\[1/3\] installing into \.venv \.+ 0 s", first)
    (tmp_path / "html").mkdir()
    monkeypatch.setattr(environment, "lacking", lambda *_: [])
    assert commands.main(["book"]) == 0
    assert capsys.readouterr().out.splitlines() == [commands.TITLE, "[1/3] .venv is ready"]


SLOW = """
import sys, time
try:
    print("begun", flush=True); time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5); print("tidied up"); sys.exit(1)
"""
INTERRUPTED = f"""
import pathlib, sys
from tools import commands, console, environment
console.ROOT = pathlib.Path(sys.argv[1])
environment.lacking = lambda *names: []
environment.PYTHON = sys.executable
commands.BUILD = {SLOW!r}
sys.exit(commands.main(["book"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one group")
def test_ctrl_c_waits_for_the_build_to_tidy_up_and_ends_in_a_sentence(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / console.LOG
    end = time.monotonic() + 60
    while not (log.exists() and "begun" in log.read_text("utf-8")):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.strip() == "Stopped. Chapters that had run to their end are kept."
    assert "tidied up" in log.read_text("utf-8")


def test_pages_that_differ_are_listed_and_their_frames_are_not_looked_at(tmp_path):
    def site(name, **pages):
        for page, (frame, text) in pages.items():
            path = tmp_path / name / "book" / f"{page}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"<nav>{frame}</nav><article class='a'>{text}</article>", "utf-8")
        return tmp_path / name

    before = site("before", same=("1", "x"), other=("1", "x"), gone=("1", "x"))
    after = site("after", same=("2", "x"), other=("2", "y"), come=("2", "x"))
    assert changed.report(before, after).splitlines() == [
        "**3 of 3 pages differ.**",
        "",
        "- new: `book/come.html`",
        "- changed: `book/other.html`",
        "- gone: `book/gone.html`",
    ]
    assert "3 of 3" in changed.report(tmp_path / "nothing", after)
