"""Marks a folder of submissions with `otter run`: `make grade HW=hw1 IN=folder`.

A row of marks.csv and a file of feedback for each notebook, in the folders below as well. It is run
by the Python of the kit. One submission is one process; the autograder reaches it through a pipe,
so that no path leads to it. Its limit (SECONDS=) counts what its processors do, not the clock: on a
busy machine right work takes long. What is stopped gets no mark, and a person looks at it.
"""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import ROOT, limited, submission
from tools.places import Fault

SECONDS = 120  # of computing
RUN = """\
import io, sys
from otter.run import main
autograder = io.BytesIO(sys.stdin.buffer.read())
main(sys.argv[1], autograder=autograder, output_dir=sys.argv[2], no_logo=True)
"""
OWN = ("marks.csv", ".feedback.md")  # what is written here
BROKEN = "It could not be run: {why}."
NONE = "It is no notebook: hand in the .ipynb file."


def grade(notebook, autograder, seconds=SECONDS):
    """({question: (points, of how many, the line said to its answer)}, why it has no mark or "").

    A notebook that was stopped has no questions, and so no mark.
    """
    try:
        made = submission.marked(Path(notebook).read_bytes(), Path(autograder).stem)
    except Fault as fault:
        return {}, str(fault)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "submission.ipynb")  # otter takes no .IPYNB
        copy.write_text(json.dumps(made), encoding="utf-8")
        status, said = _run(copy, Path(autograder).read_bytes(), folder, seconds)
        found = Path(folder, "results.json")
        if status == 0 and found.exists():
            rows = json.loads(found.read_text(encoding="utf-8"))["tests"]
            return {row["name"]: _row(row) for row in rows if "max_score" in row}, ""
    if status is None:
        return {}, said
    last = (said.strip() or "it said nothing").splitlines()[-1]
    return {}, BROKEN.format(why=last[:200].rstrip("."))


def _row(row):
    said = " ".join(row["output"].split()).partition("result: ")[2] or "Right."
    return row["score"], row["max_score"], said


def _run(notebook, autograder, folder, seconds):
    """(exit status, what it said) of otter on one notebook; (None, why) if it was stopped."""
    more = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **submission.NOWHERE}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, notebook, folder],
            cwd=folder,
            env=os.environ | more,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            late = limited.late(process, autograder, seconds)
        finally:
            limited.end(process)
        said.seek(0)
        words = said.read().decode(errors="replace")
        return (None, late) if late else (process.returncode, words)


def main(name, folder, seconds=str(SECONDS)):
    """Mark every notebook in `folder`, and in the folders below it, as homework `name`."""
    autograder = _autograder(name)
    if not re.fullmatch(r"0*[1-9]\d*", seconds):
        raise SystemExit(f"grade needs SECONDS= a whole number above zero, got {seconds!r}.")
    handed_in, others = _sorted(Path(folder)) if folder else ([], [])
    if not handed_in:
        raise SystemExit(f"grade needs IN= a folder with notebooks, got {folder!r}.")
    rows = {}
    for notebook in handed_in:
        title = notebook.relative_to(folder).with_suffix("").as_posix()
        found, why = rows[title] = grade(notebook, autograder, int(seconds))
        told = _feedback(title, found, why)
        notebook.with_suffix(".feedback.md").write_text(told, encoding="utf-8")
        print(f"{title:40} {_sum(found, 0) if found else '-':>5} {why}", flush=True)
    rows |= {path.relative_to(folder).as_posix(): ({}, NONE) for path in others}
    with open(Path(folder) / "marks.csv", "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(_table(rows))
    _tell(rows)


def _tell(rows):
    """The last line: how many have no mark."""
    if bare := [title for title, (found, _) in rows.items() if not found]:
        print(f"No mark for {len(bare)} of {len(rows)}, marks.csv says why: {', '.join(bare)}.")


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


def _feedback(title, found, why):
    points = f"{_sum(found, 0)} of {_sum(found, 1)} points" if found else "no mark yet"
    words = [f"{q}: {points} of {most}. {said}" for q, (points, most, said) in found.items()]
    return "\n\n".join([f"# {title}: {points}", *words, *filter(None, [why])]) + "\n"


def _table(rows):
    """The rows of marks.csv: a column for each question, and no points where there is no mark."""
    asked = list(dict.fromkeys(q for found, _ in rows.values() for q in found))
    yield ["notebook", "points", "of", *asked, "no mark because"]
    for title, (found, why) in rows.items():
        each = [found[q][0] if q in found else "" for q in asked]
        yield [title, *((_sum(found, 0), _sum(found, 1)) if found else ("", "")), *each, why]


if __name__ == "__main__":
    chosen = os.environ
    main(chosen.get("HW", ""), chosen.get("IN", ""), chosen.get("SECONDS") or str(SECONDS))
