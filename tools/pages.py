"""A page of the book as data: its cells, its tags, and where it stands in the table of contents."""

import ast
import re
from dataclasses import dataclass, field

import nbformat
import yaml

from tools import ROOT

CHAPTERS = ("book/meaning/", "book/argument/", "book/after/")  # folders whose pages are chapters
FOLDED = {"hide-input", "remove-input", "remove-cell", "test"}  # tags that fold a cell, everywhere
TAGS = FOLDED | {"setup", "keep_output", "hide-output", "remove-output"}
CELL_KEYS = {"tags", "cellView", "jupyter", "mystnb", "chapter", "predict"}  # what something reads
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass
class Page:
    """One page, whichever of the two formats it has; a Markdown page is one cell."""

    name: str  # path from the root
    cells: list = field(default_factory=list)
    metadata: dict = field(default_factory=dict)

    @property
    def is_chapter(self):
        return self.name.startswith(CHAPTERS) and self.name.endswith(".ipynb")

    @property
    def facts(self):
        """What a chapter says of itself in its first cell: short, gives, line, minutes."""
        return self.cells[0].metadata.get("chapter", {}) if self.cells else {}

    def code(self):
        return [(at, cell) for at, cell in enumerate(self.cells, 1) if cell.cell_type == "code"]

    def markdown(self):
        return [(at, cell) for at, cell in enumerate(self.cells, 1) if cell.cell_type == "markdown"]

    def text(self):
        return "\n\n".join(cell.source for _, cell in self.markdown())

    def where(self, at):
        return f"{self.name} cell {at}"


def tags(cell):
    return set(cell.metadata.get("tags", []))


def is_shown(cell):
    return not tags(cell) & (FOLDED | {"hide-cell"})


def read(path, root=ROOT):
    """A page from the disk; a ValueError names the one that is no notebook, or no Python."""
    name = path.relative_to(root).as_posix()
    if path.suffix == ".md":
        return Page(name, [nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))])
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:  # cut off, or with marks of a merge
        raise ValueError(f"{name} is no notebook: {str(error).partition(chr(10))[0]}") from None
    page = Page(name, notebook.cells, notebook.metadata)
    for at, cell in page.code():
        try:
            parse(cell.source)
        except SyntaxError as error:
            told = f"{error.msg} in its line {error.lineno}"
            raise ValueError(f"{page.where(at)} is no Python: {told}.") from None
    return page


def parts(root=ROOT):
    """(caption, [page without suffix, …]) for each part of _toc.yml, in order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [
        (part["caption"], [chapter["file"] for chapter in part["chapters"]])
        for part in toc.get("parts", [])
    ]


def table_of_contents(root=ROOT):
    """Every page that _toc.yml names, without suffix, the front page first."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(name for _, names in parts(root) for name in names)]


def sources():
    """Every .ipynb and .md under book/, except what tools leave."""
    left = {"_build", ".ipynb_checkpoints", ".jupyter_cache", "_static"}
    found = (ROOT / "book").rglob("*")
    return sorted(p for p in found if p.suffix in (".ipynb", ".md") and not left & set(p.parts))


def parse(source):
    """The syntax tree of a cell; lines of magic are left out."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.M))


def named_calls(source):
    """Each call of a plain name in a cell."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node


def calls(source, names):
    """Each call of one of `names` in a cell."""
    return (call for call in named_calls(source) if call.func.id in names)


EXERCISE = re.compile(r"^:{3,}\{exercise(?:-start)?\} *(.*)\n(?::.*\n)*?:label: *(\S+)", re.M)


def solutions(page):
    """For each exercise's label, the numbers of all cells of its solution, its gates included."""
    found, current = {}, None
    for at, cell in enumerate(page.cells, 1):
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if begun := re.match(r":{3,}\{solution-start\} *(\S+)", line):
                current = begun[1]
                found[current] = []
        if current:
            found[current].append(at)
        if cell.cell_type == "markdown" and re.search(r"^:{3,}\{solution-end\}", cell.source, re.M):
            current = None
    return found


def starters(page):
    """(label, number, cell) of the code cell that a student fills in, one an exercise."""
    label = None
    for at, cell in enumerate(page.cells, 1):
        if cell.cell_type == "markdown":
            asked = EXERCISE.findall(cell.source)
            solved = re.search(r"^:{3,}\{solution", cell.source, re.M)
            label = asked[-1][1] if asked else None if solved else label
        elif label and "remove-cell" not in tags(cell):
            yield label, at, cell
            label = None
