"""Chapters side by side: how many, in which order, and what is said of one that stops.

Oracle: the list of what ran, kept by stand-ins for chapters; jupyter-cache's own account of what it
holds. Whole builds, with kernels that die and Ctrl-C, are in test_faults.
"""

import json
import shutil
import threading
import time
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_cache import get_cache
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from sphinx.errors import SphinxError

from tools import parallel

NAME = "book/page"
TRACEBACK = (
    "In[1]\n      1 x = 1\n\x1b[0;32m----> 2\x1b[0m \x1b[1massert\x1b[0m x == 2\n      3 y\n"
)


@pytest.fixture
def chapter(tmp_path):
    """A chapter of one Markdown and two code cells, the second with two figures."""
    return made(tmp_path, "# A page", "x = 1", "explore(draw)\nstill(fig)")


def made(folder, title, *code, name=NAME):
    cells = [nbformat.v4.new_markdown_cell(title), *map(nbformat.v4.new_code_cell, code)]
    path = folder / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return parallel.Chapter(name, path, 300)


def test_as_many_run_at_once_as_jobs_says_and_never_more_than_there_are(monkeypatch):
    monkeypatch.setenv("JOBS", "3")
    assert [parallel.jobs_at_once(count) for count in (1, 3, 18)] == [1, 3, 3]
    monkeypatch.delenv("JOBS")
    assert parallel.jobs_at_once(1) == 1
    assert parallel.jobs_at_once(10_000) >= 1


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5"])
def test_jobs_that_are_no_number_are_refused_in_one_sentence(monkeypatch, jobs):
    monkeypatch.setenv("JOBS", jobs)
    with pytest.raises(SphinxError, match=f"JOBS needs a whole number >= 1, got '{jobs}'"):
        parallel.jobs_at_once(4)


def test_the_longest_chapter_is_the_first_and_a_new_one_comes_before_all(tmp_path):
    app = SimpleNamespace(outdir=tmp_path / "html")
    few, many = (made(tmp_path, "# New", *["still(fig)"] * n, name=f"new{9 - n}") for n in (1, 4))
    short, long = (made(tmp_path, "# Old", name=name) for name in ("short", "long"))
    chapters = [short, few, long, many]
    (tmp_path / "seconds.json").write_text(json.dumps({"short": 3.0, "long": 40.0}))
    assert sorted(chapters, key=parallel.expected(app), reverse=True) == [many, few, long, short]


@pytest.mark.parametrize(("deaths", "starts", "ended"), [(0, 1, True), (2, 3, True), (3, 3, False)])
def test_a_kernel_that_dies_before_its_first_word_is_started_again(chapter, deaths, starts, ended):
    seen = []

    def execute():
        seen.append(1)
        if len(seen) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")

    chapter.client.execute = execute
    chapter.run()
    assert (len(seen), chapter.error is None) == (starts, ended)


def test_a_chapter_that_fails_is_not_run_again(chapter):
    seen = []

    def execute():
        seen.append(1)
        raise DeadKernelError("Kernel died")

    chapter.client.execute = execute
    chapter.run()
    assert len(seen) == 1 and "memory runs out" in chapter.reason


def test_the_cache_knows_a_chapter_by_its_code_and_gives_it_its_outputs(tmp_path, chapter):
    cache = get_cache(tmp_path / "cache")
    assert not parallel.known(chapter, cache)
    chapter.notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="said")]
    parallel.keep(chapter, cache)
    same = made(tmp_path, "# Another title", "x = 1", "explore(draw)\nstill(fig)")
    assert parallel.known(same, cache)
    assert same.notebook.cells[1].outputs[0].text == "said"
    assert not parallel.known(made(tmp_path, "# A page", "x = 2"), cache)


def test_an_entry_of_the_cache_without_its_file_is_run_again(tmp_path, chapter):
    cache = get_cache(tmp_path / "cache")
    parallel.keep(chapter, cache)
    (file,) = (tmp_path / "cache").rglob("base.ipynb")
    shutil.rmtree(file.parent)  # the build was stopped between the two
    assert not parallel.known(chapter, cache)
    parallel.keep(chapter, cache)
    assert parallel.known(chapter, cache)


class StandIn(SimpleNamespace):
    """A chapter that does what it is told, until it is killed."""

    def __init__(self, name, does=lambda: None):
        super().__init__(name=name, does=does, error=None, seconds=1.0, ended=threading.Event())

    def run(self):
        try:
            self.does()
        except Exception as error:
            self.error = error

    def kill(self):
        self.ended.set()


def test_a_chapter_that_fails_keeps_no_other_from_the_cache(monkeypatch):
    kept = []
    monkeypatch.setattr(parallel, "keep", lambda chapter, cache: kept.append(chapter.name))
    chapters = [StandIn("a"), StandIn("b", lambda: 1 / 0), StandIn("c")]
    parallel.run_all(chapters, None, 2)
    assert sorted(kept) == ["a", "c"]
    assert isinstance(chapters[1].error, ZeroDivisionError)


def test_jobs_run_side_by_side_and_the_first_thread_alone_writes(monkeypatch):
    both, writers = threading.Barrier(2, timeout=20), []
    monkeypatch.setattr(parallel, "keep", lambda *_: writers.append(threading.current_thread()))
    chapters = [StandIn("a", both.wait), StandIn("b", both.wait)]
    parallel.run_all(chapters, None, 2)
    assert [chapter.error for chapter in chapters] == [None, None]
    assert set(writers) == {threading.main_thread()}


def test_an_interruption_ends_what_runs_and_starts_nothing_more(monkeypatch):
    ran = []

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "keep", interrupt)
    slow = StandIn("slow")
    slow.does = lambda: slow.ended.wait(20)
    waiting = [StandIn(f"waits {n}", lambda: (ran.append(1), time.sleep(0.2))) for n in range(9)]
    with pytest.raises(KeyboardInterrupt):
        parallel.run_all([slow, StandIn("quick"), *waiting], None, 2)
    assert slow.ended.is_set()
    assert len(ran) <= 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CellExecutionError("a traceback", "ValueError", "needs x"), "ValueError: needs x"),
        (CellExecutionError(TRACEBACK, "AssertionError", ""), "AssertionError: assert x == 2"),
        (CellTimeoutError("long"), "it ran for more than 300 s"),
        (DeadKernelError("Kernel died"), "its kernel died, as happens where memory runs out"),
        (RuntimeError("no such kernel"), "RuntimeError: no such kernel"),
    ],
)
def test_what_stopped_a_chapter_is_one_sentence_with_its_cell(chapter, error, reason):
    chapter.enter(cell=None, cell_index=2)
    chapter.error = error
    stopped = parallel.ChaptersStopped([chapter])
    first, last = stopped.sentences.splitlines()
    assert first == f"book/page.ipynb cell 3 stopped the build: {reason}"
    assert last == "The next build runs no other chapter again."


def test_a_chapter_that_fails_before_its_first_cell_is_named_alone(chapter):
    chapter.error = RuntimeError("no such kernel")
    sentence, _ = parallel.ChaptersStopped([chapter]).sentences.splitlines()
    assert sentence == "book/page.ipynb stopped the build: RuntimeError: no such kernel"


def test_a_notebook_may_set_its_own_time_limit(tmp_path):
    path = tmp_path / "page.ipynb"
    limit = {"execution": {"timeout": 9}}
    nbformat.write(nbformat.v4.new_notebook(metadata=limit), path)
    assert parallel.Chapter(NAME, path, 300).client.timeout == 9


def test_a_book_that_runs_nothing_is_left_alone():
    app = SimpleNamespace(config=SimpleNamespace(nb_execution_mode="off"))
    assert parallel.run_missing(app, None, ["page"]) is None
