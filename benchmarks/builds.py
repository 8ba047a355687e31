"""How the site's build grows: seconds against chapters and kernels: `python -m benchmarks.builds`.

In a clone with an environment of its own the site is built from nothing, then some chapters are
changed by a comment and it is built anew: for each number of kernels at once and of chapters.
It takes a quarter of an hour on two cores and writes `benchmarks/builds.md`, with what the pages
weigh, and with the slowest test files where `make test` has left its report.
"""

import collections
import datetime
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat

from benchmarks.site import kilobytes
from tools import ROOT, commands, pages

TABLE = Path(__file__).with_name("builds.md")
COUNTS = (None, 9, 1, 0)  # chapters that were changed; None: all, from nothing
HEAD = "| chapters run | kernels at once | seconds |\n|---:|---:|---:|"


def clone(folder):
    """A clone of what is committed, with an environment of its own."""
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    return folder


def change(chapter, what):
    """Put a comment into the last cell with code: what a kernel does stays as it was."""
    notebook = nbformat.read(chapter, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    code.source += f"\n# {what}"
    nbformat.write(notebook, chapter)


def build(folder, jobs):
    """Return the seconds of one build."""
    begin = time.perf_counter()
    command = [sys.executable, "book.py", "book", f"JOBS={jobs}"]
    said = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if said.returncode:
        sys.exit(f"benchmarks.builds needs a book that builds, got: {said.stdout.decode()[-2000:]}")
    return time.perf_counter() - begin


def rows(folder):
    chapters = [folder / f"{page}.ipynb" for page in pages.table_of_contents()]
    chapters = [chapter for chapter in chapters if chapter.exists()]
    subprocess.run([sys.executable, "book.py", "install"], cwd=folder, check=True)
    for jobs in sorted({1, os.cpu_count()}):
        for count in COUNTS:
            if count is None:
                shutil.rmtree(folder / "_build", ignore_errors=True)
            for chapter in chapters[: count or 0]:
                change(chapter, f"{jobs} and {count}")
            number = len(chapters) if count is None else count
            yield f"| {number} | {jobs} | {build(folder, jobs):.0f} |"


def weights(folder):
    """What the pages weigh, in a sentence."""
    site = folder / "_build" / "html"
    page = {name: site / f"{name}.html" for name in pages.table_of_contents()}
    kb = [kilobytes(path.read_text("utf-8")) for path in page.values()]
    half, most = statistics.median(kb), max(kb)
    yield f"\n{len(kb)} pages weigh {sum(kb):.0f} kB gzipped with their figures: half of them"
    yield f"{half:.0f} kB or less each, the heaviest {most:.0f} kB."


def tests(report):
    """The slowest test files of a run, as pytest's own report tells them."""
    seconds, counts = collections.Counter(), collections.Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname").removeprefix("tests.")
        seconds[name] += float(case.get("time"))
        counts[name] += 1
    yield f"\n{sum(counts.values()):,} tests take {sum(seconds.values()):.0f} s of one worker.\n"
    yield "| file | tests | seconds |\n|---|---:|---:|"
    for name, spent in seconds.most_common(25):
        yield f"| {name} | {counts[name]} | {spent:.0f} |"


def main():
    report = ROOT / commands.REPORT
    cores, load = os.cpu_count(), os.getloadavg()[0]
    lines = ["# How the build grows\n"]
    lines += [f"{datetime.date.today()}, {cores} cores, load {load:.1f} before it began.\n", HEAD]
    with tempfile.TemporaryDirectory() as folder:
        book = clone(Path(folder) / "book")
        for row in rows(book):
            print(row, flush=True)
            lines.append(row)
        lines += weights(book)
    lines += tests(report) if report.exists() else []
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
