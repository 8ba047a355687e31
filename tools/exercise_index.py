"""The list of all exercises, made from the chapters whenever the site is built.

A page that holds the line `<!-- exercise index -->` gets a table there: one row an exercise, with
its level and its minutes, read from the exercise's title, in the order of the table of contents.
"""

import re
from dataclasses import dataclass

import yaml

from tools import marks

MARK = "<!-- exercise index -->"
EXERCISE = re.compile(r"^:::+\{exercise\} *(.*)\n:label: *(\S+)", re.M)
TITLE = re.compile(r"(Warm-up|Core|Stretch), (\d+) minutes: (.+)")


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter."""

    name: str
    label: str
    level: str  # warm-up, core or stretch
    minutes: int


def setup(app):
    marks.fill(app, MARK, table)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def table(root):
    """The Markdown table of every exercise in the book at `root`."""
    rows = ["| chapter | exercise | level | minutes |", "|---|---|---|---|"]
    for page in chapters(root):
        title, found = exercises(page)
        for k, one in enumerate(found):
            home = f"{{doc}}`{title} </{page.relative_to(root).with_suffix('').as_posix()}>`"
            link = f"{{ref}}`{one.name} <{one.label}>`"
            rows.append(f"| {'' if k else home} | {link} | {one.level} | {one.minutes} |")
    return "\n".join(rows)


def chapters(root):
    """The notebooks of _toc.yml, in its order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    names = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [path for name in names if (path := root / f"{name}.ipynb").exists()]


def exercises(page):
    """(the chapter's title, its exercises) from one notebook."""
    text = marks.text_of(page)
    title = re.search(r"^# (.+)$", text, re.M)[1]
    return title, [read(page, *match) for match in EXERCISE.findall(text)]


def read(page, heading, label):
    """An exercise from "Core, 10 minutes: name"."""
    match = TITLE.fullmatch(heading.strip())
    if match is None:
        raise ValueError(
            f"{page.name}: exercise {label} needs a title like 'Warm-up, 5 minutes: choose the α', "
            f"got {heading!r}: the teacher plans by level and minutes."
        )
    level, minutes, name = match.groups()
    return Exercise(name[0].upper() + name[1:], label, level.lower(), int(minutes))
