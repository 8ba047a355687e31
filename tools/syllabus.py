"""The course on a page to paste: what is read, shown, set and due, with minutes and points.

What a class can do after a chapter is the guide's own table, and each exercise leads to its place.
"""

import re

from tools import ROOT
from tools.guide import GUIDE, workload

HEAD = """\
# {title}

{meetings} meetings, {points} points. Days are counted from the first meeting, day 1.
*On paper* asks for your reasons, and for your code where you wrote some.

| meeting | day | read before it | homework | due | points |
|---|---|---|---|---|---|
"""
GOAL = re.compile(r"^\| \[[^]]+\]\(\.\./([\w/]+)\.ipynb\) \| (.+) \|$", re.M)


def write(kit, path):
    path.write_text(text(kit.course, kit.shelf, kit.book.places), encoding="utf-8")


def text(course, shelf, places):
    """The syllabus as Markdown, with links to the site."""
    head = HEAD.format(title=course.title, meetings=len(course.meetings), points=course.points)
    rows = [_row(meeting, shelf, places) for meeting in course.meetings]
    rows += [f"| | | | {title} | day {due} | {points} |" for title, due, points in course.also]
    can = dict(GOAL.findall((ROOT / f"{GUIDE}.md").read_text(encoding="utf-8")))
    goals = [_goals(meeting, shelf, can) for meeting in course.meetings]
    parts = [head + "\n".join(rows), "## Week by week", workload(course), "## Goals", *goals]
    return "\n\n".join(parts) + "\n"


def _row(meeting, shelf, places):
    read = ", ".join(_link(name, shelf, places) for name in meeting.chapters)
    homework, due, points = "–", "–", "–"
    if meeting.homework:
        homework = _homework(meeting.homework, places)
        due, points = f"day {meeting.homework.due}", meeting.homework.points
    title = f"{meeting.number}. {meeting.title}"
    return f"| {title} | {meeting.day} | {read} | {homework} | {due} | {points} |"


def _link(name, shelf, places):
    one = shelf.chapters[name]
    return f"[{one.short}]({places.address(one.name)}) ({one.minutes[0]} min)"


def _homework(homework, places):
    """The exercises with their places on the site: those on paper, and those in the notebook."""
    ways = {"hand": "on paper", "otter": f"in {homework.name}.ipynb"}
    found = []
    for who, where in ways.items():
        tasks = [(task.exercise.name, places.of_label(task.label)[0]) for task in homework.by(who)]
        links = ", ".join(f"[{title}]({address})" for title, address in tasks)
        found += [f"{where}: {links}"] if links else []
    return "; ".join(found)


def _goals(meeting, shelf, can):
    """What students can do after a meeting, as the guide says it; else what its chapters are."""
    lines = [f"- {can.get(name) or shelf.chapters[name].line}" for name in meeting.chapters]
    head = f"### Meeting {meeting.number}: {meeting.title}"
    return "\n".join([head, "", "Afterwards you can", "", *lines])
