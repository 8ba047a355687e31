"""The book as plain notebooks: `python -m tools.editions` writes `_build/notebooks`.

The reader's edition renders in Jupyter, Colab, GitHub and VS Code as it stands; the student's has
no solution and no key. Nothing is run: pictures come from the site where that was built.
"""

import re
import sys
import textwrap

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import ROOT, chapter_tables, contract, for_site, kept, pages, repository, stills, student
from tools.places import Fault
from tools.plain import Here, fold, plain
from tools.whole_book import read_book

TARGET = ROOT / "_build" / "notebooks"
EDITIONS = ("reader", "student")
RULES = (
    *(contract.kernel, contract.no_outputs, contract.cells_are_plain, contract.folded_everywhere),
    *(contract.fences_close, contract.every_host_reads_it),
    *(contract.strings_are_plain_markdown, student.missing),
)
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
SITE = "[this page on the site]({address})"
FIGURES = " · run all cells, and the figures move: where the text says drag, move the slider"
ANSWER_HERE = "Write your answer in place of `None` and run the cell: one line says if it is right."
ONE_A_LINE = re.compile(r"(?<=import \(\n)(?:    \w+,\n)+(?=\))")
FORM = {"cellView": "form", "jupyter": {"source_hidden": True}}
MOVED = "the book has changed: notebooks that you had changed are in {place} now"
NO_FOLDER = "the notebooks need {place} to be a folder that can be written, got: {error}"
OF_COMMIT = re.compile(r'@?\b[0-9a-f]{40}\b|(?<=/archive/)HEAD|(?<="tree": )"[^"]*"')
NO_PICTURES = "no pictures in {count} of {all} notebooks: run make book first"


def edition(page, book, name, outputs=None):
    """One edition of a page as a notebook; raises Fault with a line for each fault of the page."""
    sentences = [sentence for rule in RULES for sentence in rule(page)]
    cells, stilled = [], iter(outputs or [])
    for at, cell, pieces in student.parts(page):
        try:
            made = _markdown(page, book, name, at, cell, pieces)
            if cell.cell_type == "code":
                drawn = next(stilled, [])
                made = _code(page, book, name, cell, pieces[0][1], cell.outputs or drawn)
        except ValueError as fault:  # a Fault, or a table that a chapter is missing for
            sentences.append(f"{page.where(at)}: {fault}")
        else:
            cells += [made] if made and made.source else []
    if sentences:
        raise Fault("\n".join(sentences))
    return new_notebook(cells=cells, metadata=_metadata(page, book, name))


def _metadata(page, book, name):
    known = {k: v for k, v in page.metadata.items() if k in ("kernelspec", "language_info")}
    if "language_info" in known:  # an export is then called .py
        known["language_info"] = {**known["language_info"], "file_extension": ".py"}
    return {**known, "edition": {"name": name, "commit": book.commit, "tree": book.tree}}


def _markdown(page, book, name, at, cell, pieces):
    if cell.cell_type != "markdown":
        return None
    here, made = _here(page, book, name, cell), []
    for text, solving in pieces:
        if solving and text.strip() and name == "reader":
            made.append(fold("Solution in words", text, here))
        elif not solving:
            text = text.replace(for_site.HERE, f"]({_colab(book, here.page, name)})")
            made.append(plain(chapter_tables.fill(text, here.page), here))
    source = "\n\n".join(filter(None, made))
    source = _with_lead_in(source, page, book, name) if at == 1 else source
    source = for_site.with_invitation(source, ANSWER_HERE)
    return new_markdown_cell(source, id=cell.id, metadata=_kept(cell, name))


def _here(page, book, name, cell):
    secret = student.EVERY_FOLD if cell.metadata.get("predict") else student.ANSWER
    numbers = {label: k for k, (_, label) in enumerate(pages.EXERCISE.findall(page.text()), 1)}
    path = page.name.removesuffix(".ipynb")
    if name != "student" or path.startswith("book/teach/"):  # on whose answers no mark hangs
        secret = None
    return Here(path, book.places, book.works, numbers, secret)


def _with_lead_in(source, page, book, name):
    """The first cell with part, place, times, badge and the site's address under its title."""
    path = page.name.removesuffix(".ipynb")
    words = for_site.lead_in(path, page.facts)
    badge = BADGE.format(address=_colab(book, path, name))
    moves = any(pages.calls(cell.source, {"explore"}) for _, cell in page.code())
    site = SITE.format(address=book.places.address(path)) + FIGURES * moves
    lead = "\n\n".join(filter(None, [words and f"*{words}*", f"{badge} · {site}"]))
    return re.sub(r"^# .+$", lambda title: f"{title[0]}\n\n{lead}", source, count=1, flags=re.M)


def _colab(book, path, name):
    return repository.colab(book.url, path, name)


def _code(page, book, name, cell, solving, outputs):
    source = cell.source if name == "reader" else student.source(page, cell, solving)
    form = FORM if solving or pages.tags(cell) & pages.FOLDED else {}
    if solving and not source.startswith("#@title") and source:
        source = f"#@title Solution\n{source}"
    if "setup" in pages.tags(cell):
        source = repository.first_cell(f"{book.url}@{book.commit}" if book.commit else book.url)
    metadata = {**_kept(cell, name), **form}
    return new_code_cell(_side_by_side(source), id=cell.id, metadata=metadata, outputs=outputs)


def _side_by_side(source):
    """Names that are imported one a line, on a few lines: GitHub shows what is folded, too."""

    def filled(names):
        return textwrap.indent(textwrap.fill(" ".join(names[0].split()), 88) + "\n", "    ")

    return ONE_A_LINE.sub(filled, source)


def _kept(cell, name):
    """The metadata that an edition keeps: the student's has no key of a question."""
    wanted = ("tags", "chapter", "predict") if name == "reader" else ("tags", "chapter")
    return {key: cell.metadata[key] for key in wanted if key in cell.metadata}


def visible_before_first_figure(notebook):
    """The lines of code that stand open above a notebook's first live or still figure."""
    lines = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        lines += 0 if hidden else len(cell.source.splitlines())
        if any(pages.calls(cell.source, {"explore", "still"})):
            break
    return lines


def make(book):
    """({path: text} of every edition, how many pages have no pictures, the faults found)."""
    texts, bare, faults = {}, 0, []
    for page in book.notebooks():
        outputs = {name: stills.outputs(page, book.places, name == "student") for name in EDITIONS}
        bare += outputs["reader"] is None
        try:
            for name in EDITIONS:
                text = stills.fit(edition(page, book, name, outputs[name]))
                texts[f"{name}/{page.name.removeprefix('book/')}"] = text
        except Fault as fault:
            faults += str(fault).splitlines()
    return texts, bare, faults


def matter(text):
    """An edition without the commit that it was made at: with another the book is no other."""
    return OF_COMMIT.sub("", text)


def main():
    book = read_book()
    texts, bare, faults = make(book)
    if faults:
        sys.exit("\n".join(faults))
    try:
        place = kept.write(texts, TARGET, matter)
    except OSError as error:
        sys.exit(NO_FOLDER.format(place=TARGET.relative_to(ROOT), error=error))
    print(f"{len(texts)} notebooks in {TARGET.relative_to(ROOT)}")
    if place:
        print(MOVED.format(place=place.relative_to(ROOT)))
    if bare and "--to-run" not in sys.argv:
        print(NO_PICTURES.format(count=bare, all=len(book.notebooks())))


if __name__ == "__main__":
    main()
