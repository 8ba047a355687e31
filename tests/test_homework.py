"""A homework holds what its exercises need, with the seeds of a class, and its keys fit that.

Oracle: seeds and cells typed in here; each chapter's own solution, which must answer the question;
and the arguments of a check, of which each must come back as it was sent.
"""

import json

import pytest
import torch

from helpers import exercise
from tools import course, grader, homework, homework_keys, pages, whole_book
from tools.places import Fault


@pytest.fixture(scope="module")
def book():
    return whole_book.read_book()


def test_every_seed_of_a_cell_is_moved_and_nothing_else():
    cell = "g = torch.Generator().manual_seed(7); h = net(3, seed=k)\nθ = f(seed)  # seed=4"
    assert homework.reseeded(cell, "SEED") == (
        "g = torch.Generator().manual_seed(SEED + 7); h = net(3, seed=SEED + k)\n"
        "θ = f(seed)  # seed=4"
    )
    assert homework.reseeded("x = 'θ', f(seed=2)", "SEED") == "x = 'θ', f(seed=SEED + 2)"


def test_two_purposes_and_two_teachers_have_other_seeds():
    made = {grader.seed_of(seed, use) for seed in ("1", "2") for use in ("class", "hidden")}
    assert len(made) == 4


def cut(book, label):
    chapter, exercise_, _ = course.shelf().exercises[label]
    task = course.Task(label, 3, "otter", exercise_, chapter)
    hw = course.Homework("hw1", 8, 3, (task,))
    return hw, grader.sections(hw, book)


@pytest.mark.parametrize("label", ("ex-many-beta", "balance-each-unit", "ex-sweep-trace"))
def test_a_section_has_the_starter_and_neither_solution_nor_check(book, label):
    _, (section,) = cut(book, label)
    (question,) = section.questions
    page = book.pages[section.page]
    seen = "\n".join([section.imports, section.setup, question.prompt, question.starter])
    (starter,) = (c.source for name, _, c in pages.starters(page) if name == label)
    assert question.starter and question.starter in starter
    assert question.check not in seen and "exercise(" not in seen
    told = {line.strip() for line in question.solution.split("\n") if len(line.strip()) >= 20}
    told -= {line.strip() for line in starter.split("\n")}
    assert told and not [line for line in told if line in seen]
    assert "explore(" not in section.setup and "say(" not in section.setup
    assert section.setup.count("\n") < 40


@pytest.mark.parametrize("label, dropped", [
    ("ex-many-beta", "promise kept earlier"), ("ex-exponent-powers", "like the one in"),
])  # fmt: skip
def test_a_line_that_needs_the_page_is_not_asked_in_homework(book, label, dropped):
    prompt = cut(book, label)[1][0].questions[0].prompt
    page = book.pages["book/" + course.shelf().exercises[label][0]]
    assert dropped in page.text() and dropped not in prompt
    assert "this page" not in prompt and "figure" not in prompt
    assert prompt.endswith("*3 points, all of them for what the cell below answers.*")


def test_the_names_that_a_text_tells_are_there(book):
    _, (section,) = cut(book, "ex-many-beta")
    names = {}
    for cell in ("SEED = 5", section.imports, homework.reseeded(section.setup, "SEED")):
        exec(cell, names)
    for name in ("loss", "params", "spectrum", "rank"):
        assert f"`{name}`" in section.questions[0].prompt and name in names


@pytest.mark.parametrize("label", ("ex-sweep-cut", "ex-sweep-trace", "ex-exponent-powers"))
def test_an_argument_is_not_taken_for_a_name_of_the_chapter(book, label):
    """`sizes`, `alpha` and `k` are bound in these chapters too, at the end of long computations."""
    assert cut(book, label)[1][0].setup == ""


def test_a_setup_has_what_its_text_names_and_no_more(book):
    setup = cut(book, "ex-volume-darts")[1][0].setup
    assert "def toy_height(" in setup and "terrain" not in setup


def test_a_question_that_no_grader_can_carry_is_refused_in_a_sentence(book):
    hw, sections = cut(book, "ex-curvature-power")
    with pytest.raises(Fault) as caught:
        grader._keys([grader.job(hw, sections, "3")])
    assert str(caught.value) == (
        "ex-curvature-power hands a HessianOperator to its answer, which no grader can carry: "
        "mark it by hand."
    )


def asking(truth, solution, *cells):
    """One chapter of a job: its cells, and a question whose check knows `truth`."""
    check = f"check_a = exercise('ex-a', truth={truth}, wrong={{5: 'x', 6: 'y'}}, hint='h')"
    question = {"id": "ex_a", "label": "ex-a", "name": "a", "check": "check_a", "points": 1}
    code = {"extras": [check], "starter": "a = None", "solution": solution}
    return {"cells": ["from helpers import exercise", *cells], "questions": [question | code]}


def test_an_own_solution_that_is_wrong_is_refused_in_a_sentence():
    job = {
        "name": "hw1",
        "seed": 1,
        "hidden": 2,
        "sections": [asking("SEED", "a = 3")],
    }
    (section,) = job["sections"]
    assert homework_keys.run_safely(job)["faults"] == [
        "ex-a is not answered by its own solution with this SEED: take another."
    ]
    section["questions"][0]["solution"] = "a = SEED"
    (key,) = homework_keys.run_safely(job)["keys"]
    assert (key["truth"], key["wrong"]) == ([1], [[[5], "x"], [[6], "y"]])
    section["cells"] = ["1 / 0"]
    said = "ex-a cannot run as homework, so mark it by hand: ZeroDivisionError: division by zero."
    assert homework_keys.run_safely(job)["faults"] == [said]
    section["cells"] = ["assert 1 == 2"]
    assert homework_keys.run_safely(job)["faults"] == [
        said.partition(" Zero")[0] + " AssertionError."
    ]


def test_two_chapters_of_a_homework_may_use_one_name_for_two_things():
    sections = [asking("loss", "a = loss", f"loss = {k}") for k in (3, 4)]
    found = homework_keys.run_safely({"name": "hw", "seed": 1, "hidden": 2, "sections": sections})
    assert [key["truth"] for key in found["keys"]] == [[3], [4]] and not found["faults"]
    sections[0]["cells"].append("1 / 0")
    found = homework_keys.run_safely({"name": "hw", "seed": 1, "hidden": 2, "sections": sections})
    assert (
        len(found["keys"]) == len(found["faults"]) == 1
    )  # the other chapter is tried all the same


TOGETHER = ("ex-lipschitz-gentlest", "ex-radial-equal"), ("ex-hessian-ceiling", "ex-many-beta")


@pytest.mark.parametrize("labels", TOGETHER)
def test_exercises_of_two_chapters_that_share_names_are_marked_in_one_homework(book, labels):
    tasks = tuple(task for label in labels for task in cut(book, label)[0].tasks)
    hw = course.Homework("hw1", 8, 6, tasks)
    keys = grader._keys([grader.job(hw, grader.sections(hw, book), "3")])
    assert [key["label"] for key in keys["hw1"]] == [*labels]


def test_a_function_is_asked_at_other_numbers_too():
    check = exercise(
        "ex-double",
        truth=lambda x, n: 2 * x * n,
        kind="function",
        at=((1.5, 2), (torch.tensor([1.0, 4.0]), 3)),
        hint="twice.",
        wrong=[(lambda x, n: x * n, "once."), (lambda x, n: 0 * x, "nothing.")],
    )
    question = {"id": "ex_double", "name": "double", "points": 1}
    key = homework_keys.key(check, question, {"double": lambda x, n: 2 * x * n}, 5)
    assert json.loads(json.dumps(key)) == key
    assert key["at"][:2] == [
        [1.5, 2],
        [{"tensor": [1.0, 4.0], "dtype": "float32", "shape": [2]}, 3],
    ]
    (moved, n), (tensor, m) = key["at"][2:]
    assert (n, m) == (2, 3) and moved != 1.5 and 0.8 * 1.5 <= moved <= 1.25 * 1.5
    assert key["truth"][2] == 2 * moved * 2
    assert key["truth"][3] == pytest.approx([6 * x for x in tensor["tensor"]])
    assert [said for _, said in key["wrong"]] == ["once.", "nothing."]
