"""How the site's build grows: seconds against chapters and cores: `python -m benchmarks.builds`.

A clone with an environment of its own builds the first parts of the book from nothing, once for
each number of them and of kernels at once, and is weighed. It takes some twenty minutes on two
cores and writes `benchmarks/builds.md`, with the slowest test files if pytest's report of a run is
given: `python -m benchmarks.builds --tests report.xml` (`pytest --junitxml report.xml`).
"""

import argparse
import collections
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import yaml

from benchmarks.site import kilobytes
from tools import ROOT

TABLE = Path(__file__).with_name("builds.md")
PARTS = (1, 2, None)  # how many of the book's, from the first on; None: all
HEAD = "| chapters | kernels at once | seconds | kB of pages, gzipped |\n|---:|---:|---:|---:|"


def clone(folder):
    """A clone of what is committed, with an environment of its own."""
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    return folder


def build(folder, parts, jobs):
    """Build the first parts from nothing; return chapters with code, seconds, the pages' weight."""
    toc = folder / "_toc.yml"
    subprocess.run(["git", "checkout", "-q", "_toc.yml"], cwd=folder, check=True)
    contents = yaml.safe_load(toc.read_text("utf-8"))
    contents["parts"] = contents["parts"][:parts]
    toc.write_text(yaml.safe_dump(contents, sort_keys=False), "utf-8")
    shutil.rmtree(folder / "_build", ignore_errors=True)
    begin = time.perf_counter()
    command = [folder / ".venv" / "bin" / "jupyter-book", "build", ".", "-q"]
    if os.name == "nt":
        command[0] = folder / ".venv" / "Scripts" / "jupyter-book.exe"
    said = subprocess.run(
        command, cwd=folder, env={**os.environ, "JOBS": str(jobs)}, capture_output=True, check=False
    )
    if said.returncode:
        sys.exit(f"benchmarks.builds needs a book that builds, got: {said.stderr.decode()[-2000:]}")
    spent = time.perf_counter() - begin
    pages = (folder / "_build" / "html" / "book").rglob("*.html")
    chapters = len(json.loads((folder / "_build" / "seconds.json").read_text("utf-8")))
    return chapters, spent, sum(kilobytes(page.read_text("utf-8")) for page in pages)


def rows(folder):
    program = [sys.executable, folder / "book.py", "install"]
    subprocess.run(program, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    for parts in PARTS:
        for jobs in sorted({1, os.cpu_count()}):
            chapters, spent, weight = build(folder, parts, jobs)
            yield f"| {chapters} | {jobs} | {spent:.0f} | {weight:.0f} |"


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.builds", description=__doc__)
    parser.add_argument("--tests", type=Path, help="pytest's report of a run of the suite")
    given = parser.parse_args()
    cores, load = os.cpu_count(), os.getloadavg()[0]
    lines = ["# How the build grows\n"]
    lines += [f"{datetime.date.today()}, {cores} cores, load {load:.1f} before it began.\n", HEAD]
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(clone(Path(folder) / "book")):
            print(row, flush=True)
            lines.append(row)
    lines += tests(given.tests) if given.tests else []
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
