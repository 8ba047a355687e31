"""Marks a folder of submissions with `otter run`: `make grade HW=hw1 IN=folder`.

A row of marks.csv and a file of feedback for each notebook, in the folders below as well; the rows
are written as they are known, and no submission ends the marking. It is run by the Python of the
kit. One submission is one process. The autograder reaches it through a pipe, so that its folder has
no key; but it runs as you, and may look for the kit (PYTHONPATH leads there), where the keys are:
whoever marks strangers' code uses a container. Its limit (SECONDS=) counts what its processors do,
not the clock: on a busy machine right work takes long. What takes too much of that, or of memory,
is stopped and gets no mark, and a person looks at it.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import ROOT, gradebook, limited, submission
from tools.places import Fault

SECONDS = 120  # of computing
RUN = """\
import io, sys
from otter.run import main
autograder = io.BytesIO(sys.stdin.buffer.read())
main(sys.argv[1], autograder=autograder, output_dir=sys.argv[2], no_logo=True)
"""
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
    own = limited.adopt()
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
            why = limited.stopped(process, autograder, seconds)
        finally:
            limited.end(process, own)
        said.seek(0)
        words = said.read().decode(errors="replace")
        return (None, why) if why else (process.returncode, words)


def main(name, folder, seconds=str(SECONDS)):
    """Mark every notebook in `folder`, and in the folders below it, as homework `name`."""
    autograder = _autograder(name)
    if not re.fullmatch(r"0*[1-9]\d*", seconds):
        raise SystemExit(f"grade needs SECONDS= a whole number above zero, got {seconds!r}.")
    handed_in, others = gradebook.handed_in(Path(folder)) if folder else ([], [])
    if not handed_in:
        raise SystemExit(f"grade needs IN= a folder with notebooks, got {folder!r}.")
    rows, left = {}, {gradebook.title_of(path, folder): ({}, NONE) for path in others}
    gradebook.save(folder, left)
    for notebook in handed_in:
        title = gradebook.title_of(notebook, folder)
        found, why = rows[title] = _tried(notebook, autograder, int(seconds))
        print(f"{title:40} {gradebook.total(found, 0) if found else '-':>5} {why}", flush=True)
        gradebook.hand_back(notebook, title, found, why)
        with contextlib.suppress(SystemExit):  # a table that is open elsewhere is written later
            gradebook.save(folder, rows | left)
    gradebook.save(folder, rows | left)
    _tell(rows | left)


def _tried(notebook, autograder, seconds):
    """What `grade` says, in letters that can be written; what nobody foresaw is this row's own."""
    try:
        found, why = grade(notebook, autograder, seconds)
    except Exception as error:
        found, why = {}, BROKEN.format(why=f"{type(error).__name__}: {error}"[:200].rstrip("."))
    each = {q: (points, most, gradebook.plain(said)) for q, (points, most, said) in found.items()}
    return each, gradebook.plain(why)


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


if __name__ == "__main__":
    chosen = os.environ
    sys.stdout.reconfigure(errors="backslashreplace")
    main(chosen.get("HW", ""), chosen.get("IN", ""), chosen.get("SECONDS") or str(SECONDS))
