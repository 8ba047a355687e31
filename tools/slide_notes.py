"""What the speaker reads: the lines of the teacher's guide that belong to a figure or a meeting.

A figure's lines are found by the guide's own link to it, a meeting's by the chapters that its
headline names, so another course file finds what the guide has on its figures.
"""

import re

from markdown_it import MarkdownIt

from tools import guide
from tools.plain import Here, plain

MARKS = re.compile(r"^<!-- /?instructor -->\n", re.M)
ITEM = re.compile(r"^: (?=\*\d+ minutes\.\*|\*Homework:\*)", re.M)
PLAN = "(six-weeks)="


class Notes:
    """The guide's lines as HTML; with `keys` also what a class should not read beforehand."""

    def __init__(self, book, keys):
        text = book.pages[guide.GUIDE].text()
        text = MARKS.sub("", text) if keys else guide.for_class(text)
        before, _, after = text.partition(PLAN)
        self.blocks = [block for block in (after + "\n\n" + before).split("\n\n") if block.strip()]
        self.here = Here(guide.GUIDE, book.places, book.works, {})

    def of_figure(self, page, name):
        """What the guide says to show, ask and expect at a figure, or ""."""
        link = re.compile(rf"{re.escape(page)}\.(html|ipynb)#{re.escape(name)}[\":)]")
        pieces = (piece for block in self.blocks for piece in ITEM.split(block))
        return next((self.html(piece) for piece in pieces if link.search(piece)), "")

    def of_meeting(self, chapters):
        """(what comes before the first figure of a meeting, what comes after the last one)."""
        for block in self.blocks:
            head, *pieces = ITEM.split(block)
            if pieces and all(f"/{name}.ipynb" in head for name in chapters):
                shown = [k for k, piece in enumerate(pieces) if ".html#" in piece] or [len(pieces)]
                ends = pieces[: shown[0]], pieces[shown[-1] + 1 :]
                return tuple("".join(map(self.html, end)) for end in ends)
        return "", ""

    def html(self, piece):
        listed = re.sub(r"^: ", "\n", piece, flags=re.M)
        return MarkdownIt().enable("table").render(plain(listed, self.here))
