"""Tables of chapters, made from what each chapter says of itself: its first cell and its needs.

A page asks for a table with a comment on a line of its own; links are relative to that page.

    <!-- questions: argument -->          the part's chapters, each with its question
    <!-- lines: rectifier_symmetry to not_lipschitz -->   these chapters, each in one line
    <!-- needs -->                        every chapter: what it needs, what it gives, its minutes
    <!-- map -->                          the same as a drawing (tools/chapter_map.py)
"""

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT, chapter_map
from tools.pages import CHAPTERS, parts, read

MARK = re.compile(r"^<!-- (questions|lines|needs|map)(?:: (\w+)(?: to (\w+))?)? -->$", re.M)
QUESTION = re.compile(r"^\*\*Question\.\*\* (.+)$", re.M)
NEED = re.compile(r"^\*\*You need\.\*\* (.+)$", re.M)
HELPS = "It helps to"  # what comes after these words is no need
LINK = re.compile(r"\[([^\]]*)\]\(([^)#]*?)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Chapter:
    """What a chapter says of itself in its first cell."""

    name: str  # its path from the root, without suffix
    part: str  # the caption of its part
    title: str
    question: str
    short: str
    gives: str
    line: str
    minutes: tuple  # to read, for its exercises
    needs: tuple  # names of chapters
    helps: tuple  # names of chapters that help


def chapters(root=ROOT):
    """Every chapter, in the order of _toc.yml."""
    return [
        chapter(path, caption, root)
        for caption, names in parts(root)
        for name in names
        if name.startswith(CHAPTERS) and (path := root / f"{name}.ipynb").exists()
    ]


def chapter(path, caption, root=ROOT):
    """One chapter, from its notebook; a ValueError names what its first cell lacks."""
    page = read(path, root)
    text, facts, stem = page.cells[0].source, page.facts, page.name.removesuffix(".ipynb")
    need = NEED.search(page.text())
    if not (facts and QUESTION.search(text) and need):
        raise ValueError(
            f"{page.name} needs a question and chapter facts in cell 1, and its needs."
        )
    needs, _, helps = need[1].partition(HELPS)
    return Chapter(
        name=stem,
        part=caption,
        title=re.match(r"# (.+)", text)[1],
        question=LINK.sub(r"\1", QUESTION.search(text)[1]),
        **{key: facts[key] for key in ("short", "gives", "line")},
        minutes=tuple(facts["minutes"]),
        needs=_linked(needs, stem),
        helps=_linked(helps, stem),
    )


def _linked(text, stem):
    """The chapters that a text on the page `stem` links to."""
    home = posixpath.dirname(stem)
    targets = [posixpath.normpath(f"{home}/{to}") for _, to in LINK.findall(text)]
    found = [to.removesuffix(".ipynb") for to in targets if to.endswith(".ipynb")]
    return tuple(dict.fromkeys(to for to in found if to.startswith(CHAPTERS)))


def fill(text, page, root=ROOT):
    """A page's text with its tables in place of their marks; `page` is its path without suffix."""
    if not MARK.search(text):
        return text
    book = chapters(root)
    makers = {"questions": questions, "lines": lines, "needs": needs, "map": chapter_map.draw}
    return MARK.sub(lambda m: makers[m[1]](_chosen(book, page, *m.groups()), page), text)


def _chosen(book, page, kind, first, last):
    if kind in ("needs", "map"):
        return book
    if kind == "questions":
        return [one for one in book if one.name.startswith(f"book/{first}/")]
    stems = [posixpath.basename(one.name) for one in book]
    missing = [stem for stem in (first, last or first) if stem not in stems]
    if missing:
        raise ValueError(
            f"{page} asks for a table with {missing[0]}, and no chapter has that name."
        )
    return book[stems.index(first) : stems.index(last or first) + 1]


def link(words, to, page, suffix=".ipynb"):
    """A Markdown link from `page` to the page `to`, both without suffix."""
    return f"[{words}]({os.path.relpath(to + suffix, posixpath.dirname(page))})"


def questions(book, page):
    part = posixpath.dirname(book[0].name)
    head = link(book[0].part, f"{part}/intro", page, ".md")
    rows = [f"| {link(one.title, one.name, page)} | {one.question} |" for one in book]
    return "\n".join([f"| {head} | the question |", "|---|---|", *rows])


def lines(book, page):
    rows = [f"| {link(one.short, one.name, page)} | {one.line} |" for one in book]
    return "\n".join(["| chapter | in one line |", "|---|---|", *rows])


def needs(book, page):
    short = {one.name: link(one.short, one.name, page) for one in book}

    def row(one):
        before = ", ".join(short[name] for name in one.needs) or "–"
        time = " + ".join(map(str, one.minutes))
        return f"| {short[one.name]} | {before} | {one.gives} | {time} |"

    head = ["| chapter | needs | gives | minutes |", "|---|---|---|---|"]
    return "\n".join([*head, *map(row, book)])


def setup(app):
    """Fill the Markdown pages while the site is built; notebooks go through tools/for_site.py."""
    app.connect("env-get-outdated", _outdated)
    app.connect("source-read", _fill_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _outdated(_app, env, _added, _changed, _removed):
    """Pages with a table are read again at each build: its rows stand on other pages."""
    return [name for name in env.found_docs if MARK.search(_text(env.doc2path(name)))]


def _text(path):
    return Path(path).read_text(encoding="utf-8") if str(path).endswith(".md") else ""


def _fill_page(app, docname, source):
    if str(app.env.doc2path(docname)).endswith(".md"):
        source[0] = fill(source[0], docname, Path(app.srcdir))
