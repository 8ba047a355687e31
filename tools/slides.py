"""Slides with the book's own live figures: one deck a meeting, in one HTML file that asks for none.

The class's decks carry what the site says; those for teachers have, in the notes for the speaker,
also what a class will answer. reveal.js comes from npm once, by version and hash.
"""

import re
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools import ROOT, npm, palette, serve, version
from tools.places import Fault
from tools.site_build import live_script
from tools.slide_notes import Notes
from tools.slide_parts import chapter_of

REVEAL = (  # npm view reveal.js@5.2.1 dist.integrity
    "reveal.js",
    "5.2.1",
    "sha512-r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRlrpRzFv4RbH76TXd2qD+7ZPZEbpBDhdRhJaFgfQ7zNQ==",
)
TEMPLATES = ROOT / "tools" / "templates"
LIVE = ("grip", "explore")  # no menu: a slide is not the place to save a picture
READ_AT_HOME = "<p>No minutes are planned for this: it was read at home. Show it as needed.</p>"


@dataclass(frozen=True)
class Slide:
    """One slide: `kind` says which block of the template draws `what`; notes are HTML."""

    kind: str
    title: str
    what: object = ""
    notes: str = ""
    source: str = ""  # its place on the site


def for_class(kit, folder):
    """Write the decks without the expected answers: these may be handed out."""
    write(kit, folder, keys=False)


def for_teachers(kit, folder):
    write(kit, folder, keys=True)


def write(kit, folder, keys, site=serve.SITE):
    """Write a deck for each meeting into `folder`."""
    shared, notes = assets(site), Notes(kit.book, keys)
    room = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined)
    draw = room.get_template("deck.html").render
    for meeting in kit.course.meetings:
        slides = deck(meeting, kit, notes, site)
        text = draw(course=kit.course, meeting=meeting, slides=slides, **shared)
        (folder / f"{name(meeting)}.html").write_text(text, "utf-8")


def name(meeting):
    words = re.sub(r"[^\w]+", "-", meeting.title.lower()).strip("-")
    return f"{meeting.number:02}-{words}"


def deck(meeting, kit, notes, site):
    """The slides of a meeting: its chapters in order, between a title and the homework."""
    opening, closing = notes.of_meeting(meeting.chapters)
    names = dict.fromkeys([*meeting.chapters, *(step.page for step in meeting.steps)])
    pages = [chapter_of(site, each) for each in names]
    slides = [Slide("title", meeting.title, pages, opening)]
    for page in pages:
        steps = [step for step in meeting.steps if step.page == page.name]
        figures = [*shown(page, steps, notes, kit)]
        slides += of_chapter(page, figures) if page.name in meeting.chapters else figures
    slides += [Slide("task", *task) for task in notes.tasks(meeting.chapters)]
    return [*slides, Slide("homework", "Until next time", meeting.homework, closing)]


def of_chapter(chapter, figures):
    """Question, votes, figures, the votes' answers, boxes, take-away."""
    title = chapter.title
    if chapter.question:
        yield Slide("question", title, chapter.question)
    for vote in chapter.votes:
        yield Slide("vote", "Predict", vote)
    yield from figures
    for vote in chapter.votes:
        yield Slide("answer", "What came out", vote)
    for box in chapter.boxes:
        yield Slide("box", title, box, READ_AT_HOME)
    if chapter.take_away:
        yield Slide("take-away", f"Take away: {title}", chapter.take_away, READ_AT_HOME)


def shown(chapter, steps, notes, kit):
    """The figures of a chapter, each after the plan's question: a heading or a panel may answer it.

    A figure that is shown again asks for its guess the first time alone.
    """
    before = set()
    for step in steps:
        place = f"{step.figure}:{step.position}" if step.position else step.figure
        told = notes.of_figure(step.page, place)
        timed = f"<p><b>{step.minutes} minutes.</b></p>{told}"
        if asked := notes.asked(step.page, place):
            yield Slide("ask", "Write your answer down", asked, timed)
        yield Slide(
            "figure",
            chapter.heading(step.figure),
            chapter.figure(step.figure, step.position, guess=step.figure not in before),
            told if asked else timed,
            f"{kit.book.places.site}/book/{step.page}.html#{place}",
        )
        before.add(step.figure)


def assets(site):
    """What every deck holds: styles and scripts, as text that may stand inside a page."""
    try:
        reveal = npm.package(*REVEAL)
    except npm.NotThere as error:
        raise Fault(f"The slides need reveal.js once: {error}") from None
    sheet = (ROOT / "book/_static/book.css").read_text("utf-8")
    own = (TEMPLATES / "deck.css").read_text("utf-8")
    mathjax = site / "_static" / "mathjax" / "tex-svg.js"
    scripts = [mathjax, reveal / "dist/reveal.js", reveal / "plugin/notes/notes.js"]
    texts = [path.read_text("utf-8") for path in scripts]
    texts += [live_script(LIVE), (TEMPLATES / "deck.js").read_text("utf-8")]
    return {
        "css": (reveal / "dist/reveal.css").read_text("utf-8") + palette.css() + sheet + own,
        "scripts": [re.sub(r"</(?=script)", r"<\\/", text) for text in texts],
        "version": version.number(),
    }
