"""Every live figure at a glance, and each on a page of its own that can be put into other pages.

The line `<!-- gallery -->` becomes a section a chapter, with one panel of each figure as it starts
and what it asks or says there. `figures/NAME.html` is the figure alone: one file that asks for no
other, in light and dark, whole or in a frame. Both are made from what the chapters ran.
"""

import html
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from docutils import nodes

from tools import marks, pages, palette, repository, shown, stills, version
from tools.parallel import FIGURE
from tools.site_build import live_script

MARK = "<!-- gallery -->"
SECTION = "## {title}\n\n```{{raw}} html\n<!-- figures of {name} -->\n```"
PLACE = re.compile(r"<!-- figures of (\S+) -->")
RESULT = re.compile(r'<p class="live-result">(.*?)</p>', re.S)
LIGHTS = re.compile(r"</?span\b[^>]*>")  # words that light a curve, which nothing lights here
TAG = re.compile(r"<[^>]+>")
CARD = """\
<li>
<a class="gallery-picture" href="{there}" aria-label="{spoken}">
<span class="live-panels">{svg}</span></a>
<p class="gallery-alt">{alt}</p>
<p class="gallery-said">{said}</p>
<p>{caption}</p>
<p class="gallery-alone">Alone: <a href="{alone}">{name}.html</a></p>
</li>"""


@dataclass(frozen=True)
class Exhibit:
    """One figure: its HTML as the page has it, a panel of it, and texts of HTML but for `alt`."""

    page: str
    name: str
    html: str
    svg: str
    said: str  # its question, while that is open, or its result at the start
    caption: str
    alt: str


def setup(app):
    marks.fill(app, MARK, sections)
    app.connect("doctree-resolved", hang)
    app.connect("html-collect-pages", alone)
    app.connect("build-finished", drop_gone)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def sections(root):
    """A heading for each chapter of the book at `root` that draws, and a place for its figures."""
    found = []
    for name in pages.table_of_contents(root):
        if (path := root / f"{name}.ipynb").exists() and draws(path):
            title = re.search(r"^# (.+)$", marks.text_of(path), re.M)[1]
            found.append(SECTION.format(title=title, name=name))
    return "\n\n".join(found)


def draws(path):
    cells = nbformat.read(path, as_version=4).cells
    return any(FIGURE.search(cell.source) for cell in cells if cell.cell_type == "code")


def hang(app, doctree, docname):
    for raw in list(doctree.findall(nodes.raw)):
        if place := PLACE.fullmatch(raw.astext().strip()):
            cards = "\n".join(card(one, docname) for one in exhibits(app, place[1]))
            raw.replace_self(nodes.raw("", f'<ul class="gallery">{cards}</ul>', format="html"))


def card(one, docname):
    """One figure of the gallery: its picture leads to its place in the chapter."""
    start = posixpath.dirname(docname)
    return CARD.format(
        there=posixpath.relpath(f"{one.page}.html", start) + f"#{one.name}",
        alone=posixpath.relpath(f"figures/{one.name}.html", start),
        spoken=html.escape(f"{plain(one.said or one.caption)} In the chapter."),
        alt=html.escape(one.alt),
        **{key: getattr(one, key) for key in ("name", "svg", "said", "caption")},
    )


def plain(markup):
    return html.unescape(TAG.sub("", markup))


def exhibits(app, page):
    """The figures of a page in its order, from the notebook as it was run."""
    path = Path(app.outdir).parent / "jupyter_execute" / f"{page}.ipynb"
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = [output.get("data", {}).get("text/html", "") for output in outputs]
    return [exhibit(found[0], page) for text in texts if (found := stills.FIGURE.search(text))]


def exhibit(text, page):
    (figure,) = shown.figures(text, page)
    said = (RESULT.search(text) or [None, ""])[1]
    if figure.guess:
        said = f"Guess: {html.escape(figure.guess['question'])}"
    return Exhibit(
        page=page,
        name=figure.name,
        html=text,
        svg=re.findall(r"<svg\b.*?</svg>", text, re.S)[central(figure)],
        said=LIGHTS.sub("", said),
        caption=LIGHTS.sub("", figure.caption.decode_contents()),
        alt=figure.alt,
    )


def central(figure):
    """The panel that stands for a figure: the one with its handle, and none that is guessed."""
    guarded = figure.guess and figure.guess["panel"]
    free = [k for k in range(len(figure.panels)) if k != guarded]
    return next((grip["panel"] for grip in figure.grips), (free or [0])[0])


def alone(app):
    """The page of each figure, `figures/NAME.html`, for Sphinx to write."""
    book = {
        "css": palette.css() + (Path(app.srcdir) / "book/_static/book.css").read_text("utf-8"),
        "script": live_script(),
        "version": version.number(Path(app.srcdir)),
        "address": repository.site(repository.address()[0]),
    }
    for page in pages.table_of_contents(Path(app.srcdir)):
        for one in exhibits(app, page):
            own = {"figure": one, "chapter": app.env.titles[page].astext()}
            yield f"figures/{one.name}", book | own, "figure.html"


def drop_gone(app, error):
    """Pages of figures that left the book leave the site."""
    if error is None and app.builder.format == "html":
        names = [one.name for page in app.env.found_docs for one in exhibits(app, page)]
        for path in (Path(app.outdir) / "figures").glob("*.html"):
            if path.stem not in names:
                path.unlink()
