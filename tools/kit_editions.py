"""The chapters for a class and for its teachers, as plain notebooks with the site's pictures.

The student's has no solution and no key in sight (`tools/editions.py`). The instructor's is the
reader's with a note behind each question and each exercise: minutes, points, what it trains,
typical wrong answers with what they show, and how to mark it.
"""

import ast
import re

from nbformat.v4 import new_markdown_cell

from tools import ROOT, editions, guide, pages, stills
from tools.exercise_index import exercises
from tools.places import Fault
from tools.plain import Here, inline

TRAINS = re.compile(r"^\| \{ref\}`[^`<]*<([\w-]+)>` \| (.+?) \|$", re.M)
NOTE = "> **For teachers.** "
HEAD = f"{NOTE}This is the instructor's edition: keep it from your class."
RULE = "none off for *Not yet* where the reasoning is right and the last line has a slip"
MARKING = (  # as the guide's page for assistants has it
    f"Mark the reasoning: give no points for *Right* alone, and {RULE}. "
    "In the solution, look for each of these steps."
)
BY_OTTER = "Otter marks it: all points or none, and one of these sentences comes with the mark."
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z$`\\])")


def students(kit, folder):
    """Write the student's edition of every chapter, as `make notebooks` makes it."""
    _write(kit, folder, "student", lambda page, made: made)


def instructors(kit, folder):
    """Write the instructor's edition of every chapter, and of the guide."""
    (folder / "guide.md").write_text(guide.for_instructor(kit.book), encoding="utf-8")
    tasks = {task.label: task for hw in kit.course.homeworks for task in hw.tasks}
    trains = dict(TRAINS.findall(kit.book.pages[guide.GUIDE].text()))
    _write(kit, folder, "reader", lambda page, made: noted(page, made, kit.book, tasks, trains))


def _write(kit, folder, edition, change):
    """Write an edition of all notebooks; Fault has the faults of all their pages."""
    faults = []
    for page in kit.book.notebooks():
        try:
            made = editions.edition(
                page, kit.book, edition, stills.outputs(page, kit.book.places, edition == "student")
            )
        except Fault as fault:
            faults += str(fault).splitlines()
            continue
        path = folder / page.name.removeprefix("book/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(stills.fit(change(page, made)), encoding="utf-8")
    if faults:
        raise Fault("\n".join(faults))


def noted(page, made, book, tasks, trains):
    """The notebook `made` of a page with a note behind each question and each exercise."""
    notes = {cell.id: _on_question(cell) for _, cell in page.markdown()}
    wrong = typical(page)
    found = {one.label: one for one in exercises(ROOT / page.name)[1]}
    for label, _, cell in pages.starters(page):
        texts = [_on_task(found[label], tasks.get(label), trains.get(label), _here(page, book))]
        texts += [f"- `{answer}`: {said}" for answer, said in wrong.get(label, ())]
        texts += ["", _marking(page, label, tasks.get(label), book)]
        notes[cell.id] = "\n".join(f"> {line}".rstrip() for line in "\n".join(texts).split("\n"))
    cells = [new_markdown_cell(HEAD)]
    for cell in made.cells:
        cells.append(cell)
        cells += [new_markdown_cell(notes[cell.id])] if notes.get(cell.id) else []
    made.cells, made.metadata["edition"]["name"] = cells, "instructor"
    return made


def _here(page, book):
    return Here(page.name.removesuffix(".ipynb"), book.places, book.works, {})


def _on_question(cell):
    """The keys of a Predict cell, and what each choice shows; "" for another cell."""
    lines = []
    for question in cell.metadata.get("predict", []):
        lines += [f"{NOTE}Right: {', '.join(question['keys'])}. What a vote for each one shows:"]
        lines += [">", *(f"> - {letter}: {said}" for letter, said in question["feedback"].items())]
    return "\n".join(lines)


def _on_task(one, task, trained, here):
    """Minutes, points, what it trains: the first lines of a note on an exercise."""
    points = f", {task.points} points, marked by {task.by}" if task else ""
    first = f"**For teachers.** {one.level.capitalize()}, {one.minutes} minutes{points}."
    first += f" It trains: {inline(trained, here)}" if trained else ""
    return f"{first}\n\nTypical wrong answers, and what the check says to each:\n"


def _marking(page, label, task, book):
    """How an exercise is marked: its solution's sentences are the steps to look for."""
    if task and task.by == "otter":
        return BY_OTTER
    cells = [page.cells[at - 1] for at in pages.solutions(page)[label]]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    prose = re.sub(r"^:.*$", "", prose, flags=re.M)
    steps = [" ".join(step.split()) for step in SENTENCE.split(prose.strip()) if step.strip()]
    here = _here(page, book)
    return "\n".join([MARKING, "", *(f"- {inline(step, here)}" for step in steps)])


def typical(page):
    """{label: [(a wrong answer as code, what the check says to it), …]} of a page's exercises."""
    found = {}
    for _, cell in page.code():
        for call in pages.calls(cell.source, {"exercise"}):
            given = [k.value for k in call.keywords if k.arg == "wrong"]
            found[call.args[0].value] = [pair for node in given for pair in _pairs(node)]
    return found


def _pairs(node):
    """The pairs of a dictionary or of a list of pairs, as far as they stand there."""
    pairs = zip(node.keys, node.values) if isinstance(node, ast.Dict) else ()
    if isinstance(node, ast.List):
        pairs = (pair.elts for pair in node.elts if isinstance(pair, ast.Tuple))
    for answer, said in pairs:
        if isinstance(said, ast.Constant):
            yield ast.unparse(answer), said.value
