"""What the speaker reads: the lines of the teacher's guide that belong to a figure or a meeting.

A figure's lines are found by the guide's own link to it, a meeting's by the chapters that its
headline names, so another course file finds what the guide has on its figures.
"""

import re
from itertools import takewhile

from markdown_it import MarkdownIt

from tools import guide
from tools.plain import Here, plain

MARKS = re.compile(r"^<!-- /?instructor -->\n", re.M)
ITEM = re.compile(r"^: (?=\*\d+ minutes\.\*|\*Homework:\*)", re.M)
PLAN = "(six-weeks)="
TASK = re.compile(r"\*\d+ minutes\.\* (Exit ticket: )?(.+)", re.S)
LINK = re.compile(r"</?a\b[^>]*>")  # a click on a slide leads nowhere else
EXERCISE = re.compile(r"\{ref\}`[^`]*<([\w-]+)>`")
NUMBERED = re.compile(r"^\((?=\d+\) )(.+)$", re.M)  # "1) …", which Markdown lists
ASKED = re.compile(r'\*Ask:\* "(.+?)"')
MINUTES = re.compile(r"^\*\d+ minutes\.\* ")  # the course file says them, too
AS_IN = re.compile(r"as in the \[[^]]+\]\(#([\w-]+)\)")  # … another plan of the guide
HEADLINE = re.compile(r"^\*\*Minutes .*\n")


class Notes:
    """The guide's lines as HTML; with `keys` also what a class should not read beforehand."""

    def __init__(self, book, keys):
        text = book.pages[guide.GUIDE].text()
        self.public = _blocks(guide.for_class(text))
        self.blocks = _blocks(MARKS.sub("", text)) if keys else self.public
        self.chapters = book.notebooks()
        self.here = Here(guide.GUIDE, book.places, book.works, {})

    def of_figure(self, page, place):
        """What the guide says to show, ask and expect at a figure, or "", and where to read on."""
        for first in _at(self.blocks, page, place)[:1]:
            others = [_plan(self.blocks, label) for label in AS_IN.findall(first)]
            meant = [HEADLINE.sub("", one) for plan in others for one in _at(plan, page, place)]
            return "".join(map(self.html, [MINUTES.sub("", first), *meant]))
        return ""

    def asked(self, page, place):
        """The question that the guide asks in its own words before a figure moves, or ""."""
        pieces = _at(self.public, page, place)
        here = [piece for piece in pieces if f'#{place}"' in piece]
        found = map(ASKED.search, here or pieces)
        return next((MarkdownIt().renderInline(one[1]) for one in found if one), "")

    def of_meeting(self, chapters):
        """(what comes before the first figure of a meeting, what comes after the last one)."""
        return tuple("".join(map(self.html, end)) for end in _ends(self.blocks, chapters))

    def tasks(self, chapters):
        """What a class does after the last figure: (heading, task, what the speaker reads)."""
        ends = (_ends(blocks, chapters)[1] for blocks in (self.public, self.blocks))
        for piece, notes in zip(*ends, strict=True):
            if found := TASK.match(piece):
                heading = "Exit ticket" if found[1] else "Your turn"
                task = self.html(found[2][0].upper() + found[2][1:]) + self.statements(found[2])
                yield heading, LINK.sub("", task), self.html(notes)

    def statements(self, task):
        """The numbered statements of the exercises that a task sends to, as a list, or ""."""
        found = []
        for label in EXERCISE.findall(task):
            box = re.compile(rf"^:label: {label}\n(.*?)^:::", re.M | re.S)
            for text in filter(None, (box.search(page.text()) for page in self.chapters)):
                found += NUMBERED.findall(text[1])
        return self.html("\n".join(found))

    def html(self, piece):
        listed = re.sub(r"^: ", "\n", piece, flags=re.M)
        return MarkdownIt().enable("table").render(plain(listed, self.here))


def _blocks(text):
    """The paragraphs of the guide, those of the six weeks first."""
    before, _, after = text.partition(PLAN)
    return [block for block in (after + "\n\n" + before).split("\n\n") if block.strip()]


def _plan(blocks, label):
    """The paragraphs of the plan that has this label."""
    inside = [k for k, block in enumerate(blocks, 1) if block.startswith(f"({label})=")]
    return [*takewhile(lambda block: not block.startswith("("), blocks[inside[0] :])]


def _ends(blocks, chapters):
    """The steps of a meeting before its first figure, and those after its last one."""
    for block in blocks:
        head, *steps = ITEM.split(block)
        if steps and all(f"/{name}.ipynb" in head for name in chapters):
            shown = [k for k, step in enumerate(steps) if ".html#" in step] or [len(steps)]
            return steps[: shown[0]], steps[shown[-1] + 1 :]
    return [], []


def _at(blocks, page, place):
    """The steps that link to a figure, "orbit" or "orbit:alpha=1"; first those to its position."""
    name, here = place.partition(":")[0], re.compile(rf"#{re.escape(place)}\"")
    link = re.compile(rf"{re.escape(page)}\.(html|ipynb)#{re.escape(name)}[\":)]")
    pieces = (piece for block in blocks for piece in ITEM.split(block))
    return sorted(filter(link.search, pieces), key=lambda piece: not here.search(piece))
