"""Marks a folder of submissions with `otter run`: `make grade HW=hw1 IN=folder`.

A row of marks.csv and a file of feedback for each notebook, in the folders below as well. It is run
by the Python of the kit. One submission is one process, which is ended when its seconds are over;
the autograder reaches it through a pipe, so that no path leads to it.
"""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import ROOT

SECONDS = 60
RUN = """\
import io, sys
from otter.run import main
autograder = io.BytesIO(sys.stdin.buffer.read())
main(sys.argv[1], autograder=autograder, output_dir=sys.argv[2], no_logo=True)
"""
LATE = "It ran longer than {seconds} seconds and was stopped: look for a loop that never ends."
CUT = "It is not a notebook, or is cut short."
OWN = ("marks.csv", ".feedback.md")  # what is written here
BROKEN = "It could not be run: {why}."


def grade(notebook, autograder, seconds=SECONDS):
    """({question: (points, of how many, the line said to its answer)}, why it was stopped or "").

    A notebook that was stopped has no questions, and so no points.
    """
    notebook = Path(notebook).resolve()
    if not _whole(notebook):
        return {}, CUT
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(notebook, Path(folder, "submission.ipynb"))  # otter takes no .IPYNB
        status, said = _run(copy, Path(autograder).read_bytes(), folder, seconds)
        found = Path(folder, "results.json")
        if status == 0 and found.exists():
            rows = json.loads(found.read_text(encoding="utf-8"))["tests"]
            return {row["name"]: _row(row) for row in rows if "max_score" in row}, ""
    if status is None:
        return {}, LATE.format(seconds=seconds)
    last = (said.strip() or "it said nothing").splitlines()[-1]
    return {}, BROKEN.format(why=last[:200].rstrip("."))


def _whole(notebook):
    try:
        return "cells" in json.loads(notebook.read_text(encoding="utf-8"))
    except (ValueError, TypeError):
        return False


def _row(row):
    said = " ".join(row["output"].split()).partition("result: ")[2] or "Right."
    return row["score"], row["max_score"], said


def _run(notebook, autograder, folder, seconds):
    """(exit status, what it said) of otter on one notebook; no status if its time was over."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, notebook, folder],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.communicate(autograder, timeout=seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            status = None
        _end(process)
        said.seek(0)
        return status, said.read().decode(errors="replace")


def _end(process):
    """End a process with all that it began."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(name, folder, seconds=SECONDS):
    """Mark every notebook in `folder`, and in the folders below it, as homework `name`."""
    autograder = _autograder(name)
    handed_in, left_out = _sorted(Path(folder)) if folder else ([], [])
    if not handed_in:
        raise SystemExit(f"grade needs IN= a folder with notebooks, got {folder!r}.")
    rows = {}
    for notebook in handed_in:
        title = notebook.relative_to(folder).with_suffix("").as_posix()
        found, stopped = rows[title] = grade(notebook, autograder, seconds)
        told = _feedback(title, found, stopped)
        notebook.with_suffix(".feedback.md").write_text(told, encoding="utf-8")
        print(f"{title:40} {_sum(found, 0):5} {stopped}", flush=True)
    with open(Path(folder) / "marks.csv", "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(_table(rows))
    if left_out:
        names = ", ".join(path.relative_to(folder).as_posix() for path in left_out)
        print(f"Left out, since they are not notebooks: {names}.")


def _autograder(name):
    home = ROOT / "_build" / "kit" / "grader"
    have = sorted((path.parent.parent.name for path in home.glob("*/autograder/*.zip")), key=_place)
    if name not in have:
        those = ", ".join(have) or "make kit-grader, which was not run"
        raise SystemExit(f"grade needs HW= one of {those}, got {name!r}: otter marks no other.")
    return home / name / "autograder" / f"{name}.zip"


def _place(name):
    return (len(name), name)  # hw2 before hw10


def _sorted(folder):
    """(the notebooks in a folder and below it, the other files), but what stands in OWN."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    seen = [path for path in files if not path.name.endswith(OWN) and not _hidden(path, folder)]
    notebooks = [path for path in seen if path.suffix.lower() == ".ipynb"]
    return notebooks, [path for path in seen if path not in notebooks]


def _hidden(path, folder):
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _sum(found, at):
    """The points of all questions (at 0), or how many there are to get (at 1)."""
    return sum(row[at] for row in found.values())


def _feedback(title, found, stopped):
    points = f"{_sum(found, 0)} of {_sum(found, 1)} points" if found else "0 points"
    words = [f"{q}: {points} of {most}. {said}" for q, (points, most, said) in found.items()]
    return "\n\n".join([f"# {title}: {points}", *words, *filter(None, [stopped])]) + "\n"


def _table(rows):
    """The rows of marks.csv: a column for each question."""
    asked = list(dict.fromkeys(q for found, _ in rows.values() for q in found))
    yield ["notebook", "points", "of", *asked, "stopped"]
    for title, (found, stopped) in rows.items():
        each = [found[q][0] if q in found else "" for q in asked]
        yield [title, _sum(found, 0), _sum(found, 1) or "", *each, stopped]


if __name__ == "__main__":
    main(os.environ.get("HW", ""), os.environ.get("IN", ""))
