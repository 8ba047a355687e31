"""What a homework takes from a chapter: its exercises, and only the set-up that they need.

`section` cuts it out (`tools/slices.py`); `reseeded` gives its data the seeds of a class. What the
keys need beside that is kept apart, since no student sees it (`tools/homework_keys.py`). A line of
an exercise that ends in `<!-- on the page -->` is left out: it needs a figure, or the book's data.
"""

import ast
import re
from dataclasses import dataclass

from tools import needs, pages, slices, student
from tools.course import exercise_kinds
from tools.places import Fault
from tools.plain import blocks, plain

HERE = "<!-- on the page -->"  # at the end of a line that asks for the page or its data
COUNTS = "all of them for what the cell below answers."
SEEDED = re.compile(r"\bseed=(\d+)(?=[^`\n]*`)")  # in code of a text


@dataclass(frozen=True)
class Question:
    """One exercise as homework: its answer's name, its check's, and its three cells."""

    label: str
    name: str
    check: str
    points: int
    prompt: str
    starter: str
    solution: str
    extras: tuple  # what its check needs beside the set-up: no student sees it

    @property
    def id(self):
        return self.label.replace("-", "_")


@dataclass(frozen=True)
class Section:
    """What a homework takes from one chapter."""

    title: str
    page: str  # its path from the root, without suffix
    imports: str
    setup: str
    questions: tuple
    own_imports: str  # what the keys need


class Source:
    """The code cells of a chapter, by what they are for."""

    def __init__(self, page):
        self.page, self.setup, self.checks, self.imports = page, [], [], ""
        self.kinds = exercise_kinds(page)
        beginning = {at for _, at, _ in pages.starters(page)}
        for at, cell, solving in student.code(page):
            if solving or at in beginning or pages.tags(cell) & {"setup", "test"}:
                continue
            if student.is_check(cell):
                self.checks.append(cell.source)
            elif at == 3:
                self.imports = cell.source
            else:
                self.setup.append(cell.source)

    def check(self, label):
        """The name that the check of an exercise is bound to."""
        for node in (n for source in self.checks for n in pages.parse(source).body):
            for call in pages.calls(ast.unparse(node), {"exercise"}):
                if call.args[0].value == label:
                    return node.targets[0].id
        raise Fault(f"{self.page.name} has no check of {label}.")

    def cells(self, label):
        """(starter, solution) of an exercise, as code."""
        (starter,) = (cell.source for name, _, cell in pages.starters(self.page) if name == label)
        inside = [self.page.cells[at - 1] for at in pages.solutions(self.page)[label]]
        return starter, "\n\n".join(cell.source for cell in inside if cell.cell_type == "code")


def section(page, tasks, here):
    """The Section of one chapter for the exercises `tasks`; `here` is for `tools.plain`."""
    source = Source(page)
    asked = set().union(*(_asked(source, task, here) for task in tasks))
    setup = tuple(cell for cell in slices.cut(source.setup, asked) if cell)
    questions = tuple(_question(source, task, here, setup) for task in tasks)
    seen = asked.union(*map(_names, setup))
    hidden = seen.union({"exercise"}, *(_names(cell) for q in questions for cell in q.extras))
    return Section(
        title=re.match(r"# (.+)", page.cells[0].source)[1],
        page=page.name.removesuffix(".ipynb"),
        imports=slices.imports(source.imports, seen),
        setup="\n\n\n".join(setup),
        questions=questions,
        own_imports=slices.imports(source.imports, hidden),
    )


def _question(source, task, here, setup):
    check = source.check(task.label)
    starter, solution = source.cells(task.label)
    (call,) = pages.calls(starter, {check})
    everything = slices.cut(source.setup + source.checks, {check})
    seed = "HIDDEN" if source.kinds[task.label] == "function" else "SEED"
    return Question(
        *(task.label, call.args[0].id, check, task.points),
        prompt=_prompt(source.page, task, here),
        starter=_without_check(starter, check),
        solution=reseeded(_without_check(solution, check), "SEED"),
        extras=tuple(reseeded(cell, seed) for cell in _beside(everything, setup) if cell),
    )


def _prompt(page, task, here):
    """The box of an exercise in plain Markdown, with its points, and no line of `HERE`."""
    for _, cell in page.markdown():
        for kind, body in blocks(cell.source):
            if kind == "box" and body[0] == "exercise" and body[2].get("label") == task.label:
                name, title, _, text = body
                kept = "\n".join(line for line in text.split("\n") if HERE not in line)
                fence = f":::{{{name}}} {title}\n:label: {task.label}\n\n{kept}\n:::"
                told = SEEDED.sub(r"seed=SEED + \1", plain(fence, here))
                return f"{told}\n\n*{task.points} points, {COUNTS}*"
    raise Fault(f"{page.name} has no exercise {task.label}.")


def _without_check(source, check):
    """The cell without the lines that call the exercise's check."""
    lines = [line for line in source.split("\n") if not re.search(rf"\b{check}\(", line)]
    return re.sub(r"\n{3,}", "\n\n\n", "\n".join(lines)).strip()


def _asked(source, task, here):
    """The names that an answer may use: those it reads, and those the text names.

    An argument of its functions is none of the chapter's names, though it may be called alike.
    """
    told = re.findall(r"`([A-Za-z_]\w*)[`(]", _prompt(source.page, task, here))
    cells = source.cells(task.label)
    return (set(told) - _arguments(cells)).union(*map(needs.needs, cells))


def _arguments(cells):
    parts = (part for cell in cells for part in ast.walk(pages.parse(cell)))
    return {part.arg for part in parts if isinstance(part, ast.arg)}


def _names(source):
    return {node.id for node in ast.walk(pages.parse(source)) if isinstance(node, ast.Name)}


def _beside(cells, setup):
    """The cells without the statements that `setup` has."""
    have = {ast.unparse(node) for one in setup for node in pages.parse(one).body}
    for cell in cells:
        texts = map(ast.unparse, pages.parse(cell).body)
        yield "\n".join(text for text in texts if text not in have)


def reseeded(source, seed):
    """The cell with `seed` added to whatever seeds it: manual_seed(k) and seed=k."""
    places = []
    for call in (n for n in ast.walk(pages.parse(source)) if isinstance(n, ast.Call)):
        if getattr(call.func, "attr", None) == "manual_seed":
            places += call.args[:1]
        places += [keyword.value for keyword in call.keywords if keyword.arg == "seed"]
    lines = source.split("\n")
    for node in sorted(places, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        line = lines[node.lineno - 1].encode()
        before, after = line[: node.col_offset], line[node.end_col_offset :]
        old = line[node.col_offset : node.end_col_offset].decode()
        lines[node.lineno - 1] = before.decode() + f"{seed} + {old}" + after.decode()
    return "\n".join(lines)
