"""The course file, book/teach/course.yml or a teacher's own: read, and checked against the book.

`read` gives a Course or raises Fault, one sentence a line; a name that does not exist is answered
with the nearest that does. The rules stand in `tools/course_rules.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from tools import ROOT, chapter_tables, course_rules, exercise_index, pages, places
from tools.places import Fault

DEFAULT = ROOT / "book" / "teach" / "course.yml"


@dataclass(frozen=True)
class Task:
    """An exercise that is set: `by` is who marks it, "otter" or "hand"."""

    label: str
    points: int
    by: str
    exercise: exercise_index.Exercise
    chapter: str  # its page, without book/ and suffix


@dataclass(frozen=True)
class Step:
    """A figure of a meeting: page and name, the position to show first, and its minutes."""

    page: str
    figure: str
    position: str
    minutes: int


@dataclass(frozen=True)
class Homework:
    """What is handed in by the day `due`."""

    name: str  # hw1, hw2, … after the meeting that sets it
    due: int
    points: int
    tasks: tuple

    def by(self, who):
        return tuple(task for task in self.tasks if task.by == who)


@dataclass(frozen=True)
class Meeting:
    """One meeting; `chapters` are read before it, without book/ and suffix."""

    number: int
    title: str
    day: int
    minutes: int
    chapters: tuple
    steps: tuple
    homework: Homework | None


@dataclass(frozen=True)
class Course:
    """A whole course; `also` has what counts beside homework, as (title, due, points)."""

    title: str
    points: int
    most_minutes_a_week: int
    meetings: tuple
    also: tuple

    @property
    def homeworks(self):
        return tuple(m.homework for m in self.meetings if m.homework)


@dataclass(frozen=True)
class Shelf:
    """What a course may name: chapters with their needs, figures, exercises with their kinds."""

    chapters: dict  # chapter_tables.Chapter by path without book/
    figures: dict  # names of figures by chapter
    exercises: dict  # label: (chapter, exercise, kind)


def shelf(root=ROOT):
    """The Shelf of the book at `root`."""
    chapters, figures, exercises = {}, {}, {}
    for one in chapter_tables.chapters(root):
        name, path = one.name.removeprefix("book/"), root / f"{one.name}.ipynb"
        page = pages.read(path, root)
        chapters[name], figures[name] = one, tuple(places.figures(page))
        kinds = exercise_kinds(page)
        for exercise in exercise_index.exercises(path)[1]:
            exercises[exercise.label] = (name, exercise, kinds.get(exercise.label, "number"))
    return Shelf(chapters, figures, exercises)


def exercise_kinds(page):
    """The kind of each exercise of a page, by its label."""
    kinds = {}
    for _, cell in page.code():
        for call in pages.calls(cell.source, {"exercise"}):
            given = [k.value.value for k in call.keywords if k.arg == "kind"]
            kinds[call.args[0].value] = given[0] if given else "number"
    return kinds


def read(path=DEFAULT, book=None):
    """The course in the file `path`; Fault says all that is wrong with it, a sentence a line."""
    path, book = Path(path), book or shelf()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Fault(f"COURSE needs the path of a course file, got {path}: no such file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in its line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "it is no text"
        raise Fault(f"{path.name} is no YAML: {why}{where}.") from None
    found = list(course_rules.faults(raw, book))
    if found:
        raise Fault("\n".join(f"{path.name}{sentence}" for sentence in found))
    return _course(raw, book)


def _course(raw, book):
    meetings = tuple(_meeting(k, m, book) for k, m in enumerate(raw["meetings"], 1))
    also = tuple((one["title"], one["due"], one["points"]) for one in raw.get("also") or ())
    return Course(raw["title"], raw["points"], raw["most_minutes_a_week"], meetings, also)


def _meeting(number, raw, book):
    steps = tuple(_step(step) for step in raw.get("steps") or ())
    homework = _homework(f"hw{number}", raw["homework"], book) if raw.get("homework") else None
    chapters = tuple(raw["chapters"])
    return Meeting(number, raw["title"], raw["day"], raw["minutes"], chapters, steps, homework)


def _step(raw):
    return Step(*course_rules.figure(raw["figure"]), raw["minutes"])


def _homework(name, raw, book):
    tasks = []
    for one in raw["exercises"]:
        chapter, exercise, _ = book.exercises[one["label"]]
        who = one["marked"].removeprefix("by ")
        tasks.append(Task(one["label"], one["points"], who, exercise, chapter))
    return Homework(name, raw["due"], raw["points"], tuple(tasks))
