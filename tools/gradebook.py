"""What is written of a class's marks: marks.csv and a file of feedback for each notebook.

Names and sentences are a student's: what no file can hold gets a backslash, a link is replaced and
not followed, and a name that begins as a formula does not compute.
"""

import csv
import io
import os
from pathlib import Path

MARKS, FEEDBACK = "marks.csv", ".feedback.md"  # what is written here
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a table's program would compute


def handed_in(folder):
    """(the notebooks in a folder and below it, the other files), but what is written here."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    seen = [path for path in files if not _hidden(path, folder) and path != folder / MARKS]
    notebooks = [path for path in seen if _is_notebook(path)]
    own = {path.with_name(path.name + FEEDBACK) for path in notebooks}
    return notebooks, [path for path in seen if path not in own.union(notebooks)]


def _is_notebook(path):
    return path.name.lower().endswith(".ipynb")


def _hidden(path, folder):
    """What a system or an editor keeps for itself, but a student's notebook."""
    folders = path.relative_to(folder).parts[:-1]
    own = path.name.startswith(".") and not _is_notebook(path)
    return own or any(part.startswith(".") for part in folders)


def title_of(path, folder):
    return plain(path.relative_to(folder).as_posix())


def plain(text):
    """A text with a backslash in place of what no file can hold: half a letter, say."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def total(found, at):
    """The points of all questions (at 0), or how many there are to get (at 1)."""
    return sum(row[at] for row in found.values())


def save(folder, rows):
    """Write marks.csv as far as it is known."""
    csv.writer(text := io.StringIO(newline="")).writerows(table(rows))
    try:
        _put(Path(folder, MARKS), "\ufeff" + text.getvalue())
    except OSError as error:
        raise SystemExit(f"grade needs to write {MARKS} in {folder}: {error.strerror}.") from None


def hand_back(notebook, title, found, why):
    """Write what a student is told; a sentence is printed if that cannot be."""
    path = notebook.with_name(notebook.name + FEEDBACK)
    try:
        _put(path, _feedback(title, found, why))
    except OSError as error:
        print(plain(f"{path.name} could not be written: {error.strerror}."), flush=True)


def _feedback(title, found, why):
    points = f"{total(found, 0)} of {total(found, 1)} points" if found else "no mark yet"
    words = [f"{q}: {points} of {most}. {said}" for q, (points, most, said) in found.items()]
    return "\n\n".join([f"# {title}: {points}", *words, *filter(None, [why])]) + "\n"


def table(rows):
    """The rows of marks.csv: a column for each question, and no points where there is no mark."""
    asked = list(dict.fromkeys(q for found, _ in rows.values() for q in found))
    yield ["notebook", "points", "of", *asked, "no mark because"]
    for name, (found, why) in rows.items():
        title = f"'{name}" if name.startswith(FORMULA) else name
        each = [found[q][0] if q in found else "" for q in asked]
        yield [title, *((total(found, 0), total(found, 1)) if found else ("", "")), *each, why]


def _put(path, text):
    """Write a file beside its place, and move it there: where a link stood, it is not followed."""
    part = path.with_name(".grade.part")
    part.unlink(missing_ok=True)
    try:
        with open(part, "x", newline="", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
