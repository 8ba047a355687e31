"""Runs the chapters that the cache does not know, several at once, before Sphinx reads them.

Sphinx then finds every chapter in the cache. A chapter has a kernel of its own and a thread here
that follows it; the main thread alone writes to the cache, whose index is one SQLite file. `JOBS=n`
says how many run at once; the pages do not depend on it.
"""

import json
import logging as python_logging
import math
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from sphinx.errors import SphinxError
from sphinx.util import logging

FIGURE = re.compile(r"\b(?:explore|still)\(")
log = logging.getLogger(__name__)
quiet = python_logging.getLogger("nbclient.quiet")  # what it would say is in our own sentences
quiet.setLevel(python_logging.CRITICAL + 1)
UNBORN = "Kernel died before replying"  # two that start at once may have taken one port
STARTS = 3


class ChaptersStopped(SphinxError):
    """Some chapters failed: their tracebacks, and `sentences` that name page and cell of each."""

    category = "Some chapters stopped the build"

    def __init__(self, failed):
        super().__init__("\n".join(str(chapter.error) for chapter in failed))
        named = [f"{chapter.place} stopped the build: {chapter.reason}" for chapter in failed]
        self.sentences = "\n".join([*named, "The next build runs no other chapter again."])


class Chapter:
    """A notebook on its way through a kernel; `tools.for_site` leaves its code as it is."""

    def __init__(self, name, path, timeout):
        self.name = name
        self.notebook = nbformat.read(path, as_version=4)
        self.timeout = self.notebook.metadata.get("execution", {}).get("timeout", timeout)
        self.place = f"{name}.ipynb"
        self.error = None
        self.seconds = 0.0
        self.client = NotebookClient(
            self.notebook,
            timeout=self.timeout,
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,  # it would write into the cells, which the cache compares
            iopub_timeout=60,
            raise_on_iopub_timeout=True,  # else an output that comes late is left out
            extra_arguments=["--log-level=40"],
            on_cell_execute=self.enter,
            log=quiet,
        )

    def enter(self, cell_index, **_):
        self.place = f"{self.name}.ipynb cell {cell_index + 1}"

    def run(self):
        start = time.perf_counter()
        for _ in range(STARTS):
            self.error = None
            try:
                self.client.execute()
            except Exception as error:
                self.error = error
            if not str(self.error).startswith(UNBORN):
                break
        self.seconds = time.perf_counter() - start

    @property
    def figures(self):
        """How many figures it draws: that takes the most time."""
        return sum(len(FIGURE.findall(cell.source)) for cell in self.notebook.cells)

    def kill(self):
        with suppress(AttributeError):  # no manager, kernel or process: not yet, or no longer
            self.client.km.provisioner.process.kill()

    @property
    def reason(self):
        """What stopped the run, in a few words."""
        if isinstance(self.error, CellExecutionError):
            return f"{self.error.ename}: {self.error.evalue or failed_line(self.error)}"
        if isinstance(self.error, CellTimeoutError):
            return f"it ran for more than {self.timeout} s"
        if isinstance(self.error, DeadKernelError):
            return "its kernel died, as happens where memory runs out"
        return f"{type(self.error).__name__}: {self.error}"


def failed_line(error):
    """The line that failed, from a traceback in colours: an assert alone says no more."""
    lines = re.findall(r"^-+> \d+ (.*)$", re.sub(r"\x1b\[[\d;]*m", "", str(error)), re.M)
    return lines[-1].strip() if lines else ""


def run_missing(app, env, docnames):
    """On `env-before-read-docs`: run what of `docnames` is not in the cache, and put it there."""
    if app.config.nb_execution_mode != "cache":
        return
    timeout = app.config.nb_execution_timeout
    paths = {name: Path(env.doc2path(name)) for name in docnames}
    chapters = [Chapter(*x, timeout) for x in paths.items() if x[1].suffix == ".ipynb"]
    cache = get_cache(app.config.nb_execution_cache_path)
    missing = [chapter for chapter in chapters if not known(chapter, cache)]
    if missing:
        jobs = jobs_at_once(len(missing))
        missing.sort(key=expected(app), reverse=True)
        log.info(
            "running %d chapters, %d at a time (JOBS=n for another number)", len(missing), jobs
        )
        run_all(missing, cache, jobs)
    failed = [chapter for chapter in chapters if chapter.error]
    if failed:
        raise ChaptersStopped(failed)
    app.chapters_read = chapters


def known(chapter, cache):
    """Whether the cache holds the chapter's outputs, index and file; takes them from there."""
    try:
        _, chapter.notebook = cache.merge_match_into_notebook(chapter.notebook)
    except KeyError:
        return False
    return True


def leave_executed(app, _env):
    """On `env-updated`: chapters with their outputs in `_build/jupyter_execute`, as after a run.

    What Sphinx takes from the cache it leaves there without them.
    """
    for chapter in getattr(app, "chapters_read", []):
        path = Path(app.outdir).parent / "jupyter_execute" / f"{chapter.name}.ipynb"
        nbformat.write(chapter.notebook, path)


def jobs_at_once(count):
    """How many of `count` chapters run at once: `JOBS`, else one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = os.environ.get("JOBS", "") or str(cores)
    if not re.fullmatch("[1-9][0-9]*", jobs):
        raise SphinxError(
            f"JOBS needs a whole number >= 1, got {jobs!r}: it is how many chapters run at once."
        )
    return min(int(jobs), count)


def expected(app):
    """A key that sorts chapters by time: the last run's seconds; unknown ones by their figures."""
    table = seconds_file(app)
    seconds = json.loads(table.read_text("utf-8")) if table.exists() else {}
    return lambda x: (seconds.get(x.name, math.inf), x.figures, x.name)


def seconds_file(app):
    """Where the seconds of every chapter stand: beside the site, not in it."""
    return Path(app.outdir).parent / "seconds.json"


def run_all(chapters, cache, jobs):
    """Run `chapters`, `jobs` at once, and cache each that ends well."""
    pool = ThreadPoolExecutor(jobs)
    futures = {pool.submit(chapter.run): chapter for chapter in chapters}
    try:
        for count, future in enumerate(as_completed(futures), 1):
            chapter = futures[future]
            if chapter.error is None:
                keep(chapter, cache)
            end = "stopped" if chapter.error else f"{chapter.seconds:.0f} s"
            log.info("  %-44s %8s   %d of %d", chapter.name, end, count, len(chapters))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop(futures)
        raise
    pool.shutdown()


def keep(chapter, cache):
    bundle = CacheBundleIn(
        chapter.notebook, f"{chapter.name}.ipynb", data={"execution_seconds": chapter.seconds}
    )
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def stop(futures):
    """End the kernels, those that just start too: Ctrl-C does not reach them by itself."""
    while not all(future.done() for future in futures):
        for chapter in futures.values():
            chapter.kill()
        time.sleep(0.1)
