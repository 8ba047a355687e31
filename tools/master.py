"""A homework as otter's master notebook: `otter assign` makes of it what students get.

Its hidden tests hold no key and always fail: `tools/judge.py` marks, outside the notebook.
"""

import ast

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from tools import pages, repository
from tools.homework import reseeded

BEGIN = """\
#@title Begin
SEED = {seed}  # the data of this class
try:
    import otter

    grader = otter.Notebook("{name}.ipynb")
except Exception:  # no otter, or a notebook of another name: what is handed in counts all the same
    from types import SimpleNamespace

    grader = SimpleNamespace(check=lambda question: "Nothing is checked here.")"""
HEAD = """\
# {title}

**{points} points, due on day {due} of the course.**{rest}
Write each answer in place of `None` and run the cell.
With otter installed (`pip install otter-grader`) the next cell says whether there is an answer.
You learn whether it is right after handing it in; a function is then tried on new arguments.
Before you hand it in, restart the notebook and run all its cells once more.
"""
REST = "\nAlso part of this homework, but on paper and with reasons: {names} ({points} points)."
ASSIGNMENT = """\
# ASSIGNMENT CONFIG
name: {name}
init_cell: false
check_all_cell: false
export_cell: false
run_tests: false
tests:
  ok_format: false
generate:
  plugins:
    - tools.judge.Judge"""
PROMPT = '''\
""" # BEGIN PROMPT
{starter}
""" # END PROMPT
# BEGIN SOLUTION NO PROMPT
{solution}
# END SOLUTION'''
HAS_FORM = '''\
""" # BEGIN TEST CONFIG
points: 0
success_message: There is an answer. You learn whether it is right after handing it in.
""" # END TEST CONFIG
def test_there_is_an_answer_not_yet_marked({name}):
    assert {name} is not None, "Your turn: replace None."'''
IS_NEW = '''
    import ast
    import inspect

    try:
        now = ast.dump(ast.parse(inspect.getsource({name})))
    except (OSError, TypeError, SyntaxError):  # no function, or one that nobody can read
        now = ""
    begin = ast.dump(ast.parse({starter!r}))
    assert now != begin, "Your turn: this function is still as you got it."'''
IS_RIGHT = '''\
""" # BEGIN TEST CONFIG
hidden: true
points: {points}
""" # END TEST CONFIG
def test_marked_outside_the_notebook({name}):
    raise AssertionError("tools.judge marks it, outside the notebook")'''


def notebook(homework, title, sections, seed, places):
    """Otter's master notebook of one homework."""
    name = homework.name
    head = HEAD.format(title=title, due=homework.due, **_points(homework))
    cells = [new_raw_cell(ASSIGNMENT.format(name=name)), new_markdown_cell(head)]
    cells += [new_code_cell(repository.first_cell(repository.address()[0]))]
    cells += [new_code_cell(BEGIN.format(name=name, seed=seed))]
    for one in sections:
        title = f"## [{one.title}]({places.address(one.page)})"
        given = [one.imports, reseeded(one.setup, "SEED")]
        cells += [new_markdown_cell(title), *(new_code_cell(code) for code in given if code)]
        cells += [cell for question in one.questions for cell in _cells(question)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _points(homework):
    """What this notebook is worth, and a line on what of the homework is not in it."""
    here, paper = homework.by("otter"), homework.by("hand")
    names = ", ".join(task.exercise.name for task in paper)
    rest = REST.format(names=names, points=sum(t.points for t in paper)) if paper else ""
    return {"points": sum(task.points for task in here), "rest": rest}


def _cells(question):
    begin = f"# BEGIN QUESTION\nname: {question.id}\npoints: {question.points}"
    cell = PROMPT.format(starter=question.starter, solution=question.solution)
    yield from (new_raw_cell(begin), new_markdown_cell(question.prompt))
    yield from (new_raw_cell("# BEGIN SOLUTION"), new_code_cell(cell))
    yield from (new_raw_cell("# END SOLUTION"), new_raw_cell("# BEGIN TESTS"))
    yield new_code_cell(_has_form(question))
    yield new_code_cell(IS_RIGHT.format(name=question.name, points=question.points))
    yield from (new_raw_cell("# END TESTS"), new_raw_cell("# END QUESTION"))


def _has_form(question):
    """The test that a student sees: there is something, and no function as it was handed out."""
    cell = HAS_FORM.format(name=question.name)
    for node in pages.parse(question.starter).body:
        if isinstance(node, ast.FunctionDef) and node.name == question.name:
            cell += IS_NEW.format(name=question.name, starter=ast.unparse(node))
    return cell
