"""Marks a folder of submissions with `otter run`: `make grade HW=hw1 IN=folder`.

A row of marks.csv and a file of feedback for each notebook. It is run by the Python of the kit.
One submission is one process, which is ended when its seconds are over; the autograder reaches it
through a pipe, so that no path leads to it.
"""

import contextlib
import csv
import json
import os
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
BROKEN = "It could not be run: {why}."


def grade(notebook, autograder, seconds=SECONDS):
    """({question: (points, of how many, the line said to its answer)}, why it was stopped or "").

    A notebook that was stopped has no questions, and so no points.
    """
    notebook = Path(notebook).resolve()
    with tempfile.TemporaryDirectory() as folder:
        status, said = _run(notebook, Path(autograder).read_bytes(), folder, seconds)
        found = Path(folder, "results.json")
        if status == 0 and found.exists():
            rows = json.loads(found.read_text(encoding="utf-8"))["tests"]
            return {row["name"]: _row(row) for row in rows if "max_score" in row}, ""
    if status is None:
        return {}, LATE.format(seconds=seconds)
    last = (said.strip() or "it said nothing").splitlines()[-1]
    return {}, BROKEN.format(why=last[:200].rstrip("."))


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
    """Mark every notebook in `folder` as homework `name`."""
    autograder = ROOT / "_build" / "kit" / "grader" / name / "autograder" / f"{name}.zip"
    handed_in = sorted(Path(folder).glob("*.ipynb")) if folder else []
    if not autograder.exists():
        raise SystemExit(f"grade needs HW= one of the homeworks of make kit-grader, got {name!r}.")
    if not handed_in:
        raise SystemExit(f"grade needs IN= a folder with notebooks, got {folder!r}.")
    rows = []
    for notebook in handed_in:
        found, stopped = grade(notebook, autograder, seconds)
        rows.append(row := [notebook.stem, sum(p for p, _, _ in found.values()), stopped])
        words = [f"{q}: {points} of {most}. {said}" for q, (points, most, said) in found.items()]
        told = "\n\n".join([f"# {row[0]}: {row[1]} points", *words, *filter(None, [stopped])])
        notebook.with_suffix(".feedback.md").write_text(told + "\n", encoding="utf-8")
        print(f"{row[0]:40} {row[1]:5} {stopped}", flush=True)
    with open(Path(folder) / "marks.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["notebook", "points", "stopped"], *rows])


if __name__ == "__main__":
    main(os.environ.get("HW", ""), os.environ.get("IN", ""))
