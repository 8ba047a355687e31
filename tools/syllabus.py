"""The course on a page to paste: what is read, shown, set and due, with minutes and points."""

from tools.guide import workload

HEAD = """\
# {title}

{meetings} meetings, {points} points. Days are counted from the first meeting, day 1.

| meeting | day | read before it | homework | due | points |
|---|---|---|---|---|---|
"""


def write(kit, path):
    path.write_text(text(kit.course, kit.shelf, kit.book.places), encoding="utf-8")


def text(course, shelf, places):
    """The syllabus as Markdown, with links to the site."""
    head = HEAD.format(title=course.title, meetings=len(course.meetings), points=course.points)
    rows = [_row(meeting, shelf, places) for meeting in course.meetings]
    rows += [f"| | | | {title} | day {due} | {points} |" for title, due, points in course.also]
    goals = [_goals(meeting, shelf) for meeting in course.meetings]
    parts = [head + "\n".join(rows), "## Week by week", workload(course), *goals]
    return "\n\n".join(parts) + "\n"


def _row(meeting, shelf, places):
    read = ", ".join(_link(name, shelf, places) for name in meeting.chapters)
    homework, due, points = "–", "–", "–"
    if meeting.homework:
        homework = ", ".join(task.exercise.name for task in meeting.homework.tasks)
        due, points = f"day {meeting.homework.due}", meeting.homework.points
    title = f"{meeting.number}. {meeting.title}"
    return f"| {title} | {meeting.day} | {read} | {homework} | {due} | {points} |"


def _link(name, shelf, places):
    one = shelf.chapters[name]
    return f"[{one.short}]({places.address(one.name)}) ({one.minutes[0]} min)"


def _goals(meeting, shelf):
    """What a meeting is about, in the words of its chapters."""
    lines = [f"- {shelf.chapters[name].line}" for name in meeting.chapters]
    return "\n".join([f"### Meeting {meeting.number}: {meeting.title}", "", *lines])
