"""What every page keeps, as rules: each takes a page and yields sentences that name page and cell.

Kept apart from the tests so that a planted fault and a real page go through the same code.
"""

import ast
import re
import statistics
from dataclasses import dataclass, field

import nbformat
import yaml

from tools import ROOT, repository

SECTIONS = (
    *("Predict", "The claim", "Why it is true", "See it"),
    *("Break it", "Exercises", "Take away"),
)
CHAPTERS = ("book/meaning/", "book/argument/", "book/after/")  # folders whose pages keep SECTIONS
MOST_CELL_LINES, MOST_MEDIAN, CELLS, LEAST_EXERCISES = 15, 6, (10, 20), 3


@dataclass
class Page:
    name: str  # path from the root
    cells: list = field(default_factory=list)
    metadata: dict = field(default_factory=dict)

    @property
    def is_chapter(self):
        return self.name.startswith(CHAPTERS)

    def code(self):
        return [(at, cell) for at, cell in enumerate(self.cells, 1) if cell.cell_type == "code"]

    def markdown(self):
        return [(at, cell) for at, cell in enumerate(self.cells, 1) if cell.cell_type == "markdown"]

    def where(self, at):
        return f"{self.name} cell {at}"


def tags(cell):
    return set(cell.metadata.get("tags", []))


def is_shown(cell):
    return not tags(cell) & {"remove-cell", "remove-input", "hide-input", "hide-cell"}


def read(path):
    """A page from the disk; a Markdown page is one cell."""
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".md":
        cell = nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))
        return Page(name, [cell])
    notebook = nbformat.read(path, as_version=4)
    return Page(name, notebook.cells, notebook.metadata)


def table_of_contents():
    """Every page that _toc.yml names, without suffix."""

    def walk(node):
        if isinstance(node, list):
            for item in node:
                yield from walk(item)
        elif isinstance(node, dict):
            for key, value in node.items():
                if key in ("root", "file"):
                    yield value
                else:
                    yield from walk(value)

    return list(walk(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


def sources():
    """Every .ipynb and .md under book/, except what tools leave."""
    found = (ROOT / "book").rglob("*")
    left = {"_build", ".ipynb_checkpoints", ".jupyter_cache", "_static", "_ext"}
    return sorted(p for p in found if p.suffix in (".ipynb", ".md") and not left & set(p.parts))


def strays(named, found):
    """A sentence for each page outside the table of contents, or in it and missing, or twice."""
    stems = [path.removesuffix(".ipynb").removesuffix(".md") for path in found]
    for path, stem in zip(found, stems):
        if stem not in named:
            yield f"{path} needs a line in _toc.yml: a page outside it is built by nobody."
    for stem in named:
        if stems.count(stem) == 0:
            yield f"_toc.yml names {stem}, and there is no such page."
        if stems.count(stem) > 1:
            yield f"{stem} is there as .ipynb and as .md: one name, one page."


# Rules for every notebook.


def first_cells(page):
    url, branch = repository.address()
    text = "".join(cell.source for cell in page.cells[:1])
    if repository.badge(url, branch, page.name) not in text:
        yield f"{page.where(1)} needs its Colab badge: {repository.badge(url, branch, page.name)}"
    if not re.match(r"# \S", text):
        yield f"{page.where(1)} needs a title, got {text[:40]!r}."
    second = page.cells[1] if len(page.cells) > 1 else None
    if second is None or second.source != repository.first_cell(url):
        yield f"{page.where(2)} needs the install cell of book/_ext/repository.py, word for word."
    elif not {"remove-cell", "setup"} <= tags(second):
        yield f"{page.where(2)} needs the tags remove-cell and setup, got {sorted(tags(second))}."


def kernel(page):
    name = page.metadata.get("kernelspec", {}).get("name")
    if name != "python3":
        yield f"{page.name} needs the kernelspec python3, got {name!r}: Colab knows no other."


def no_outputs(page):
    for at, cell in page.code():
        if cell.execution_count is not None:
            yield f"{page.where(at)} has an execution count: clear it before you commit."
        if cell.outputs and "keep_output" not in tags(cell):
            yield f"{page.where(at)} has outputs: clear them, or tag the cell keep_output."
        if ("NBVAL_CHECK_OUTPUT" in cell.source) != bool(cell.outputs):
            yield f"{page.where(at)} needs both # NBVAL_CHECK_OUTPUT and an output, or neither."


def no_raw_interact(page):
    for at, cell in page.code():
        if re.search(r"\binteract(ive|_manual|ive_output)?\s*\(|@interact\b", cell.source):
            yield f"{page.where(at)} uses interact, which is dead on the site: use explore."
        if re.search(r"\bglue\s*\(|import glue", cell.source):
            yield f"{page.where(at)} uses glue, which Jupyter and Colab cannot show: use say."
        if re.search(r"set_num_threads|set_default_dtype|filterwarnings", cell.source):
            yield f"{page.where(at)} changes a global setting: the next page would not know."


def figures_have_words(page):
    for at, cell in page.code():
        for call in calls(cell.source, {"explore", "still"}):
            given = {keyword.arg for keyword in call.keywords}
            for word in sorted({"name", "caption", "alt"} - given):
                yield f"{page.where(at)}: {call.func.id} needs {word}=, got none."


def calls(source, names):
    """Each call of one of `names` in a cell."""
    return (call for call in named_calls(source) if call.func.id in names)


def named_calls(source):
    """Each call of a plain name in a cell; lines of magic are left out."""
    plain = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.M)
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node


def fences_close(page):
    for at, cell in page.markdown():
        still_open = []
        for line in cell.source.splitlines():
            fence = re.match(r"(:{3,}|`{3,})(.*)", line)
            in_code = bool(still_open) and still_open[-1][0] == "`"
            if fence is None or (in_code and line.strip() != still_open[-1]):
                continue
            if fence[2].strip() or (fence[1][0] == "`" and not in_code):
                still_open.append(fence[1])
            elif still_open and still_open[-1] == fence[1]:
                still_open.pop()
            else:
                yield f"{page.where(at)} closes {fence[1]} where {still_open[-1:]} is open."
        for fence in still_open:
            yield f"{page.where(at)} opens a fence {fence} and never closes it."


BACKTICKS = re.compile(r"^`{3,}\{(prf:[\w-]+|exercise|solution|admonition)", re.M)


def colons_not_backticks(page):
    for at, cell in page.markdown():
        for name in BACKTICKS.findall(cell.source):
            yield f"{page.where(at)} writes {name} with backticks: Colab renders maths in colons."


# Rules for numbers in prose.

NOT_PROSE = [
    re.compile(r"^(`{3,}|~{3,}).*?^\1 *$", re.M | re.S),  # fenced code
    re.compile(r"\$\$.*?\$\$|(?<!\\)\$[^$]+\$|\\\[.*?\\\]|\\\(.*?\\\)", re.S),  # maths
    re.compile(r"^\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.M | re.S),
    re.compile(r"(`+)[^`]+\1"),  # code and roles
    re.compile(r"^:{3,}.*$|^:[\w-]+:.*$", re.M),  # directives and their options
    re.compile(r"\]\([^)]*\)|<https?://[^>]*>|https?://\S+|href=\"[^\"]*\""),  # addresses
]
MEASURED = re.compile(
    r"\d+\.\d+(?:[eE][-+]?\d+)?|\d[eE][-+]?\d+|\d+\s?(?:%|per cent\b)"
    r"|\d{1,3}(?:,\d{3})+|10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|[×x]\s?10\^"
)
NAMED = re.compile(  # what may stand before a number that is a name
    r"(?:§|\b(?:sections?|chapters?|figures?|fig\.|tables?|appendix|equations?|eq\.|claims?|volume"
    r"|versions?|release|python|torch|jupyter book|cc by(?:-sa)?|arxiv:?)"
    r"|\d+(?:\.\d+)*(?:,| and| to|–))\s*[v≥>=]*\s*$",
    re.I,
)
GIVEN = "<!-- given -->"


def prose(text):
    """The text with everything that is not prose blanked out, line for line."""
    for pattern in NOT_PROSE:
        text = pattern.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
    return text


def typed_numbers(text):
    """Each number that looks measured in a Markdown text, unless its line says it is given."""
    for line, source in zip(prose(text).splitlines(), text.splitlines()):
        for match in MEASURED.finditer(line) if GIVEN not in source else ():
            if not NAMED.search(line[: match.start()]):
                yield match[0]


def numbers_come_from_the_run(page):
    for at, cell in page.markdown():
        for number in typed_numbers(cell.source):
            yield f"{page.where(at)} types {number}: say it from the run, or mark {GIVEN}."
    for at, cell in page.code():
        for call in calls(cell.source, {"say"}):
            for number in typed_numbers("\n".join(literals(call))):
                yield f"{page.where(at)} says the typed number {number}: take it from the run."


def literals(call):
    """The literal parts of a call's strings, without what an f-string fills in or how."""
    specs = {id(n.format_spec) for n in ast.walk(call) if isinstance(n, ast.FormattedValue)}
    inside = {id(leaf) for n in ast.walk(call) if id(n) in specs for leaf in ast.walk(n)}
    for node in ast.walk(call):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.value


# Rules for chapters.


def section_order(page):
    text = "\n".join(cell.source for _, cell in page.markdown())
    heads = re.findall(r"^## +(.+?) *$", text, re.M)
    if tuple(heads) != SECTIONS:
        yield f"{page.name} needs the sections {' · '.join(SECTIONS)}, got {' · '.join(heads)}."


def hidden_test(page):
    at, last = page.code()[-1] if page.code() else (0, None)
    if last is None or not {"remove-cell", "test"} <= tags(last):
        yield f"{page.where(at)} needs the tags remove-cell and test: the last one checks the page."
    elif "assert" not in last.source:
        yield f"{page.where(at)} needs an assert: the last cell checks the page's claims."


SOLUTION = re.compile(r"^:{3,}\{solution-start\} *(\S+)\n((?::.*\n?)*)", re.M)
EXERCISE = re.compile(r"^:{3,}\{exercise(?:-start)?\}.*\n(?::.*\n)*?:label: *(\S+)", re.M)


def exercises(page):
    text = "\n".join(cell.source for _, cell in page.markdown())
    asked, solved = EXERCISE.findall(text), dict(SOLUTION.findall(text))
    if len(asked) < LEAST_EXERCISES:
        yield f"{page.name} needs {LEAST_EXERCISES} exercises with labels, got {len(asked)}."
    for label in sorted(set(asked) - set(solved)):
        yield f"{page.name} needs a solution for {label}: a solution-start, and code that runs."
    for label, options in solved.items():
        if "dropdown" not in options:
            yield f"{page.name} needs :class: dropdown on the solution of {label}."
    for label, cells in solutions(page).items():
        if not cells:
            yield f"{page.name} needs a code cell in the solution of {label}: a solution runs."


def solutions(page):
    """The numbers of the code cells of each solution, by the exercise's label."""
    found, current = {}, None
    for at, cell in enumerate(page.cells, 1):
        if cell.cell_type == "code" and current:
            found[current].append(at)
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if begun := re.match(r":{3,}\{solution-start\} *(\S+)", line):
                current = begun[1]
                found[current] = []
            elif re.match(r":{3,}\{solution-end\}", line):
                current = None
    return found


def starters(page):
    """The code cell that a student fills in, after each exercise and before its solution."""
    wanted = False
    for at, cell in enumerate(page.cells, 1):
        if cell.cell_type == "markdown":
            last = (re.findall(r"^:{3,}\{(exercise|solution)", cell.source, re.M) or [None])[-1]
            wanted = last == "exercise" or (wanted and last is None)
        elif wanted and "remove-cell" not in tags(cell):
            wanted = False
            yield at, cell


def answers_stay_hidden(page):
    for at, cell in starters(page):
        for call in named_calls(cell.source):
            parts = [*call.args, *call.keywords] if call.func.id.startswith("check") else []
            for leaf in (leaf for part in parts for leaf in ast.walk(part)):
                if isinstance(leaf, ast.Constant):
                    yield (
                        f"{page.where(at)} gives {leaf.value!r} to {call.func.id}: truth and hint "
                        "belong in a remove-cell, or the starter gives them away."
                    )


def cell_sizes(page):
    solving = {at for cells in solutions(page).values() for at in cells}
    kept = [at for at, cell in page.code() if "remove-cell" not in tags(cell)]
    count = len(set(kept) - solving)
    if not CELLS[0] <= count <= CELLS[1]:
        yield f"{page.name} needs {CELLS[0]} to {CELLS[1]} code cells, got {count}."
    shown = [(at, len(cell.source.splitlines())) for at, cell in page.code() if is_shown(cell)]
    for at, lines in shown:
        if lines > MOST_CELL_LINES:
            yield f"{page.where(at)} needs <= {MOST_CELL_LINES} lines, got {lines}."
    median = statistics.median([lines for _, lines in shown] or [0])
    if median > MOST_MEDIAN:
        yield f"{page.name} needs a median of <= {MOST_MEDIAN} shown lines a cell, got {median:g}."


EVERY_PAGE = (fences_close, colons_not_backticks, numbers_come_from_the_run)
EVERY_NOTEBOOK = (
    *(first_cells, kernel, no_outputs, no_raw_interact, figures_have_words),
    answers_stay_hidden,
)
EVERY_CHAPTER = (section_order, hidden_test, exercises, cell_sizes)


def faults(page):
    """Every sentence about one page."""
    rules = list(EVERY_PAGE if page.name != "book/ledger.md" else EVERY_PAGE[:2])  # made by a run
    if page.name.endswith(".ipynb"):
        rules += EVERY_NOTEBOOK
        rules += EVERY_CHAPTER if page.is_chapter else ()
    return [sentence for rule in rules for sentence in rule(page)]
