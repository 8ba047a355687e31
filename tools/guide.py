"""The teacher's guide twice: what the site shows, and all of it for those who teach.

What a class should not read beforehand stands between the lines `<!-- instructor -->` and
`<!-- /instructor -->`. The site leaves it out, of the sources that it ships as well; `python -m
tools.guide` writes the whole as plain Markdown. A line `<!-- workload -->` becomes a table of what
each week of book/teach/course.yml asks of a student, from the chapters' own times.
"""

import re
from pathlib import Path

from tools import ROOT, chapter_tables, course
from tools.plain import Here, plain
from tools.whole_book import read_book

GUIDE = "book/teach/guide"
TARGET = ROOT / "_build" / "guide.md"
BLOCK = re.compile(r"^<!-- instructor -->\n(.*?)^<!-- /instructor -->\n?", re.M | re.S)
LOOSE = re.compile(r"^ *<!-- */?instructor *-->", re.M)
WORKLOAD = re.compile(r"^<!-- workload -->$", re.M)
A_WEEK = 7


def setup(app):
    app.connect("source-read", show)
    app.connect("env-get-outdated", outdated)
    app.connect("build-finished", clear_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def outdated(_app, env, _added, _changed, _removed):
    """The guide is read again at each build: its times stand in the chapters."""
    return [name for name in env.found_docs if name == GUIDE]


def show(app, name, source):
    if str(app.env.doc2path(name)).endswith(".md"):
        source[0] = with_workload(for_class(source[0]))


def clear_sources(app, error):
    """The sources behind the download button are the site's, too."""
    for path in [] if error else (Path(app.outdir) / "_sources").rglob("*.md"):
        text = path.read_text("utf-8")
        if LOOSE.search(text):
            path.write_text(for_class(text), "utf-8")


def for_class(text):
    """The text without what is the instructor's; a mark without its partner is refused."""
    left = BLOCK.sub("", text)
    if found := LOOSE.search(left):
        raise ValueError(f"The guide has {found[0]!r} without its partner, so a class would read.")
    return left


def with_workload(text):
    """The text with a table in place of `<!-- workload -->`."""
    return WORKLOAD.sub(lambda _: workload(course.read()), text)


def workload(plan):
    """The table: minutes in class, reading and homework of each week of a course."""
    reading = {one.name: one.minutes[0] for one in chapter_tables.chapters()}
    rows = ["| week | in class | reading | homework | in all |", "|---|---|---|---|---|"]
    for week in sorted({week_of(meeting) for meeting in plan.meetings}):
        held = [meeting for meeting in plan.meetings if week_of(meeting) == week]
        tasks = [task for meeting in held if meeting.homework for task in meeting.homework.tasks]
        parts = (
            sum(meeting.minutes for meeting in held),
            sum(reading[f"book/{name}"] for meeting in held for name in meeting.chapters),
            sum(task.exercise.minutes for task in tasks),
        )
        rows.append(f"| {' | '.join(map(str, (week, *parts, sum(parts))))} |")
    return "\n".join(rows)


def week_of(meeting):
    return 1 + (meeting.day - 1) // A_WEEK


def for_instructor(book):
    """The whole guide as plain Markdown, its links leading to the site."""
    text = with_workload(book.pages[GUIDE].text())
    listed = re.sub(r"^: ", "- ", text, flags=re.M)
    listed = re.sub(r"^(\*\*.*)\n(?=- )", r"\1\n\n", listed, flags=re.M)
    return plain(listed, Here(GUIDE, book.places, book.works, {})) + "\n"


def main():
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(for_instructor(read_book()), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: the guide with keys and worked samples.")


if __name__ == "__main__":
    main()
