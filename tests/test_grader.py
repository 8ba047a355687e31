"""Homework is marked by real runs of otter: what a notebook says of itself counts for nothing.

Oracle: a table of scores typed in here, for submissions written as students would write them; the
sentences for wrong answers are those that the authors of the exercises typed into the chapters.
"""

import builtins
import json
import math
import os
import random
import re
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from filelock import FileLock

from tools import ROOT, course, grader, kit_environment, needs, whole_book

pytestmark = pytest.mark.slow

SEED = "271828"  # of this test; a teacher's own is in no commit
SECONDS = 100  # of computing, for one submission; the endless loop gets less
COURSE = {
    "title": "A short course",
    "points": 9,
    "most_minutes_a_week": 2000,
    "meetings": [
        {
            "title": "All of it",
            "day": 1,
            "minutes": 90,
            "chapters": [
                *("meaning/curvature", "meaning/eps_sharpness"),
                *("argument/rectifier_symmetry", "argument/eps_sharpness_at_will"),
            ],
            "homework": {
                "due": 8,
                "points": 9,
                "exercises": [
                    {"label": "ex-will-alpha", "points": 2, "marked": "by otter"},
                    {"label": "ex-will-other", "points": 3, "marked": "by otter"},
                    {"label": "balance-each-unit", "points": 4, "marked": "by otter"},
                ],
            },
        }
    ],
}
ALPHA, OTHER, BALANCE = "ex_will_alpha", "ex_will_other", "balance_each_unit"
POINTS = {ALPHA: 2, OTHER: 3, BALANCE: 4}

# Answers as a student types them. The network of the first two has the data of the class.
RIGHT = {
    ALPHA: "alpha_answer = 0.02 / theta['theta1'].norm().item()",
    OTHER: "alpha_other = theta['theta2'].norm().item() / 0.1",
    BALANCE: """\
def balance(theta1, theta2):
    c = (theta2.norm(dim=1) / theta1.norm(dim=0)) ** 0.5
    return theta1 * c, theta2 / c[:, None]""",
}
NOT_BALANCED = """\
def balance(theta1, theta2):
    return theta1, theta2"""
SWAPPED = """\
def balance(theta1, theta2):
    c = theta2.norm(dim=1) / theta1.norm(dim=0)
    return theta1 * c, theta2 / c[:, None]"""
WHOLE_LAYERS = """\
def balance(theta1, theta2):
    c = (theta2.norm() / theta1.norm()) ** 0.5
    return theta1 * c, theta2 / c"""
NOT_UNDONE = """\
def balance(theta1, theta2):
    return theta1 / theta1.norm(dim=0), theta2 / theta2.norm(dim=1, keepdim=True)"""
WRONG = {ALPHA: "alpha_answer = 0.5", OTHER: "alpha_other = 3", BALANCE: NOT_BALANCED}
LISTED = {  # every wrong answer that the chapters list, with a part of its sentence
    "listed 1": {
        ALPHA: ("alpha_answer = theta['theta1'].norm().item() / 0.02", "that is the reciprocal"),
        OTHER: ("alpha_other = 0.1 / theta['theta2'].norm().item()", "that is the reciprocal"),
        BALANCE: (SWAPPED, "you forgot the root"),
    },
    "listed 2": {
        ALPHA: ("alpha_answer = 0.02 * theta['theta1'].norm().item()", "you multiplied"),
        OTHER: ("alpha_other = 0.1 / theta['theta1'].norm().item()", "kills the first layer"),
        BALANCE: (WHOLE_LAYERS, "you balanced the two layers as wholes"),
    },
    "listed 3": {
        ALPHA: ("alpha_answer = 0.02 / theta['theta2'].norm().item()", "the second layer"),
        OTHER: ("alpha_other = theta['theta1'].norm().item() / 0.1", "length of the first layer"),
        BALANCE: (NOT_UNDONE, "the norms are equal, but the function has changed"),
    },
    "listed 4": {
        ALPHA: ("alpha_answer = 0.02 / theta['theta1'].abs().max().item()", "the largest entry"),
    },
}
REBIND = """\
import builtins, math, sys
import numpy, torch
import helpers.live._answers, helpers.live._exercises

yes = lambda *a, **k: True
math.isclose = numpy.isclose = numpy.allclose = torch.allclose = torch.equal = yes
helpers.exercise = helpers.live._exercises.exercise = lambda *a, **k: yes
helpers.live._exercises.Exercise.line = lambda self, answer: "Right."
helpers.live._answers.same = helpers.live._answers.read = yes
torch.Tensor.__eq__ = torch.Tensor.__sub__ = yes
check_alpha = check_other = check_balance = yes
builtins.abs = lambda x: 0
"""
GROWS = """\
held = []
while True:
    held.append(b"a" * 2**27)
"""
FORGE = """\
from otter.execute import Checker

class Best(float):
    __eq__ = __lt__ = __le__ = __ge__ = lambda self, other: True
    __sub__ = __rsub__ = lambda self, other: 0.0
    __hash__ = None

alpha_answer = alpha_other = Best(1)
honest = Checker.get_results

def best():
    files = list(honest())
    for file in files:
        file.update_score(4)
    return files

Checker.get_results = best
"""
SPY = """\
import glob, json, os, re
told = ""
for place in ("../**/*", "./**/*", "../../**/*.json"):
    for path in glob.glob(place, recursive=True):
        if os.path.isfile(path) and os.path.getsize(path) < 10**6:
            told += open(path, errors="replace").read()
key = re.search(r'ex-will-alpha.*?"truth": \\[\\s*([-0-9.e]+)\\s*\\]', told, re.S)
alpha_answer = float(key[1]) if key else None
"""
LATER = """\
import json, os, sys, time
place = sys.argv[1] + "/results.json"
while True:
    try:
        found = json.load(open(place))
    except Exception:
        continue
    for row in found["tests"]:
        if row.get("score") == 0:
            row["score"] = row["max_score"]
            json.dump(found, open(place + ".new", "w"))
            os.replace(place + ".new", place)
"""
LEFT = f"""\
import os, subprocess, sys
words = open(f"/proc/{{os.getppid()}}/cmdline").read().split(chr(0))
(folder,) = [word for word in words if os.path.isdir(word)]
nowhere = dict(stdin=-3, stdout=-3, stderr=-3)
subprocess.Popen([sys.executable, "-c", {LATER!r}, folder], start_new_session=True, **nowhere)
"""
SLIPS = {  # what beginners write above right answers
    "Python's names": """\
list, dict, set, map, type, print = [0.1], {}, {1}, "flat", "relu", None
str = float = int = bool = len = sorted = isinstance = "mine" """,
    "a function that prints marks": """\
def loud(*parts, end="<<answers", **more):
    __builtins__.print(*parts, "<<answers", end="answers>>", **more)
print = loud
import torch
honest = torch.Tensor.norm
torch.Tensor.norm = lambda self, *a, **k: (print("<<answers"), honest(self, *a, **k))[1]""",
    "the output": """\
import io, sys
sys.stdout = io.StringIO()
sys.stderr = None
sys.stdout.close()""",
}
SCORES = {
    "right": (2, 3, 4),
    "wrong": (0, 0, 0),
    "empty": (0, 0, 0),
    "crash": (2, 0, 4),
    "wrong type": (0, 0, 0),
    "a string that means one number": (2, 3, 4),
    "check cells deleted": (2, 3, 4),
    "nothing but the answers": (0, 0, 0),
    "rebinds": (0, 0, 0),
    "forges": (0, 0, 0),
    "spies": (0, 0, 0),
    "leaves a process that forges": (0, 0, 0),
    "ends the kernel": None,
    "endless loop": None,
    "takes all memory": None,
    "of another class": None,
    "rebuilt, and installs": (2, 3, 4),
    **dict.fromkeys(LISTED, (0, 0, 0)),
}


@pytest.fixture(scope="module")
def homework(tmp_path_factory):
    """The folder of one homework, as `make kit-grader` writes it."""
    folder = tmp_path_factory.mktemp("grader")
    path = folder / "course.yml"
    path.write_text(yaml.safe_dump(COURSE | {"left_out": left_out()}), encoding="utf-8")
    with FileLock(ROOT / "_build" / "kit-env.lock"):
        kit_environment.python()
    kit = SimpleNamespace(course=course.read(path), book=whole_book.read_book(), seed=SEED)
    grader.write(kit, folder)
    return folder / "hw1"


def left_out():
    return sorted(set(course.shelf().chapters) - set(COURSE["meetings"][0]["chapters"]))


def student(homework):
    return nbformat.read(homework / "student" / "hw1.ipynb", as_version=4)


def answered(homework, answers, before=""):
    """The student's notebook with `answers` in place of its starters, and `before` above them."""
    made = student(homework)
    starters = [c for c in made.cells if "otter_answer_cell" in c.metadata.get("tags", [])]
    for cell, question in zip(starters, POINTS, strict=True):
        cell.source = answers.get(question, cell.source)
    if before:
        at = made.cells.index(starters[0])
        made.cells.insert(at, nbformat.v4.new_code_cell(before))
    return made


def of_another_class(homework):
    made = answered(homework, RIGHT)
    (begin,) = (c for c in made.cells if c.source.startswith("#@title Begin"))
    begin.source = re.sub(r"^SEED = (\d+)", r"SEED = 1\1", begin.source, flags=re.M)
    return made


def rebuilt(homework):
    """Without otter's metadata, for a kernel of the student's own, and with lines that install."""
    made = answered(homework, RIGHT, "!pip install no-such\n%pip install no-such\nhere = 1")
    made.metadata = {"kernelspec": {"name": "mine", "display_name": "mine"}}
    return made


def submissions(homework):
    """Each submission as a notebook."""
    crash = {**RIGHT, OTHER: "alpha_other = 1 / 0"}
    odd = {ALPHA: "alpha_answer = print", OTHER: "alpha_other = [3, {}]", BALANCE: "balance = 7"}
    spelled = {ALPHA: "alpha_answer = str(0.02 / theta['theta1'].norm().item())"}
    bare = answered(homework, RIGHT)
    bare.cells = [c for c in bare.cells if "otter_answer_cell" in c.metadata.get("tags", [])][:2]
    deleted = answered(homework, RIGHT)
    deleted.cells = [c for c in deleted.cells if not c.source.startswith("grader.check")]
    found = {
        "right": answered(homework, RIGHT),
        "wrong": answered(homework, WRONG),
        "empty": student(homework),
        "crash": answered(homework, crash),
        "wrong type": answered(homework, odd),
        "a string that means one number": answered(homework, RIGHT | spelled),
        "check cells deleted": deleted,
        "nothing but the answers": bare,
        "rebinds": answered(homework, WRONG, REBIND),
        "forges": answered(homework, WRONG | {ALPHA: "", OTHER: ""}, FORGE),
        "spies": answered(homework, WRONG | {ALPHA: ""}, SPY),
        "leaves a process that forges": answered(homework, WRONG, LEFT),
        "ends the kernel": answered(homework, RIGHT, "import os; os._exit(0)"),
        "endless loop": answered(homework, RIGHT, "while True:\n    pass"),
        "takes all memory": answered(homework, RIGHT, GROWS),
        "of another class": of_another_class(homework),
        "rebuilt, and installs": rebuilt(homework),
    }
    listed = {name: {q: code for q, (code, _) in row.items()} for name, row in LISTED.items()}
    return found | {name: answered(homework, WRONG | row) for name, row in listed.items()}


GRADE = """\
import json, sys
from tools import grade
print(json.dumps(grade.grade(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
"""


def marked_by(autograder, path, seconds):
    """What tools/grade.py says, in the kit's environment: ({question: row}, a sentence)."""
    command = [kit_environment.PYTHON, "-c", GRADE, path, autograder, str(seconds)]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def marks(homework, tmp_path_factory):
    """What each submission gets, two at a time."""
    folder, made = tmp_path_factory.mktemp("submissions"), submissions(homework)
    paths = {name: folder / f"{name.replace(' ', '_')}.ipynb" for name in made}
    for name, path in paths.items():
        nbformat.write(made[name], path)
    with ThreadPoolExecutor(2) as pool:
        limits = {name: 20 if name == "endless loop" else SECONDS for name in paths}
        by = homework / "autograder" / "hw1.zip"
        jobs = {name: pool.submit(marked_by, by, paths[name], limits[name]) for name in paths}
        return {name: job.result() for name, job in jobs.items()}


@pytest.mark.parametrize("name", SCORES)
def test_a_submission_gets_the_points_of_the_table(marks, name):
    rows, stopped = marks[name]
    if SCORES[name] is None:
        assert rows == {} and stopped
        return
    assert stopped == ""
    assert tuple(rows[question][0] for question in POINTS) == SCORES[name]
    assert {question: row[1] for question, row in rows.items()} == POINTS


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_above_right_answers_costs_no_mark(homework, tmp_path, name):
    huge = {ALPHA: "alpha_answer = 10**5000"}  # too long for JSON: the other answers are read
    path = tmp_path / "one.ipynb"
    nbformat.write(answered(homework, RIGHT | huge, SLIPS[name]), path)
    rows, why = marked_by(homework / "autograder" / "hw1.zip", path, SECONDS)
    assert (why, [rows[question][0] for question in POINTS]) == ("", [0, 3, 4])


@pytest.mark.parametrize("name", LISTED)
def test_a_listed_wrong_answer_is_told_what_went_wrong(marks, name):
    rows, _ = marks[name]
    for question, (_, sentence) in LISTED[name].items():
        assert sentence in rows[question][2]


def test_otters_own_command_gives_the_same_marks(homework, tmp_path):
    nbformat.write(answered(homework, RIGHT | {OTHER: WRONG[OTHER]}), tmp_path / "one.ipynb")
    autograder = homework / "autograder" / "hw1.zip"
    command = ["-m", "otter", "run", "one.ipynb", "-a", autograder, "-o", tmp_path, "--no-logo"]
    subprocess.run(
        [str(kit_environment.PYTHON), *map(str, command)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    rows = json.loads((tmp_path / "results.json").read_text("utf-8"))["tests"]
    assert {r["name"]: r["score"] for r in rows if "score" in r} == {ALPHA: 2, OTHER: 0, BALANCE: 4}


def test_what_is_stopped_is_said_in_a_sentence(marks):
    assert marks["endless loop"][1] == (
        "It did not end within 20 seconds of computing: mark it by hand."
    )
    assert marks["takes all memory"][1] == ("It took more than 4 GiB of memory: mark it by hand.")
    assert re.match(r"It could not be run: .*died", marks["ends the kernel"][1], re.I)
    assert marks["of another class"][1] == (
        "It could not be run: This notebook's SEED is not that of this grader: "
        "run kit-grader with its SEED."
    )


def test_an_answer_of_no_use_is_told_why(marks):
    said = {name: [row[2] for row in marks[name][0].values()] for name in ("empty", "crash")}
    assert set(said["empty"]) == {"Your turn: replace None."}
    gone = "there is no alpha_other: its cell is gone, or that cell or one above ended in an error."
    assert said["crash"] == ["Right.", f"Not yet: your answer stopped: {gone}", "Right."]
    assert all("there is no " in row[2] for row in marks["nothing but the answers"][0].values())
    odd = [row[2] for row in marks["wrong type"][0].values()]
    assert all(line.startswith(("Not yet: ", "I need ")) for line in odd)


def test_a_student_gets_no_key_no_hidden_test_and_no_seed(homework):
    text = json.dumps(student(homework), ensure_ascii=False)
    config = json.loads(
        zipfile.ZipFile(homework / "autograder" / "hw1.zip").read("otter_config.json")
    )
    (judge,) = config["plugins"]
    keys = judge["tools.judge.Judge"]["keys"]
    assert [key["label"] for key in keys] == [q.replace("_", "-") for q in POINTS]
    for key in keys:
        assert key["hint"] not in text
        assert not [sentence for _, sentence in key["wrong"] if sentence in text]
    for truth in (keys[0]["truth"][0], keys[1]["truth"][0]):
        assert f"{truth:.6g}"[:6] not in text
    assert SEED not in text
    assert "exercise(" not in text and "hidden=True" not in text and "marked_out" not in text
    assert "brentq" not in text  # what only the key needs


def test_only_the_students_notebook_has_the_homeworks_name(homework):
    found = [path.relative_to(homework).as_posix() for path in homework.rglob("*.ipynb")]
    assert sorted(found) == ["hw1-with-solutions.ipynb", "student/hw1.ipynb"]


def test_the_class_has_data_of_its_own(homework):
    config = json.loads(
        zipfile.ZipFile(homework / "autograder" / "hw1.zip").read("otter_config.json")
    )
    keys = config["plugins"][0]["tools.judge.Judge"]["keys"]
    the_books = 0.0055552783458149  # as the chapter's own seed gives it
    assert not math.isclose(keys[0]["truth"][0], the_books, rel_tol=0.01)
    assert len(keys[2]["at"]) == 6  # three with other seeds, and these with other entries


CHECKED = """\
import os, sys
import nbformat
from nbclient import NotebookClient
os.chdir(sys.argv[1])
made = nbformat.read("hw1.ipynb", as_version=4)
NotebookClient(made, kernel_name="python3", allow_errors=True).execute()
nbformat.write(made, "ran.ipynb")
"""


def checks(notebook, folder):
    """What `grader.check` says to each question in a student's own notebook."""
    nbformat.write(notebook, folder / "hw1.ipynb")
    subprocess.run(
        [str(kit_environment.PYTHON), "-c", CHECKED, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    cells = nbformat.read(folder / "ran.ipynb", as_version=4).cells
    asked = [cell for cell in cells if cell.source.startswith("grader.check")]
    return [str(cell.outputs[-1]["data"]["text/plain"]) for cell in asked]


def test_a_check_tells_a_starter_from_an_answer_and_does_not_say_that_it_is_right(
    homework, tmp_path
):
    for said in checks(student(homework), tmp_path):
        assert "Your turn: " in said and "There is an answer" not in said
    for said in checks(answered(homework, WRONG), tmp_path):
        assert "There is an answer. You learn whether it is right after handing it in." in said
        assert "Your turn" not in said


@pytest.fixture(scope="module")
def the_books(tmp_path_factory):
    """Every homework of the book's own course, for a seed that is drawn anew each time."""
    folder, plan = tmp_path_factory.mktemp("books"), course.read()
    with FileLock(ROOT / "_build" / "kit-env.lock"):
        kit_environment.python()
    seed = str(random.SystemRandom().randrange(10**6))
    grader.write(SimpleNamespace(course=plan, book=whole_book.read_book(), seed=seed), folder)
    return seed, folder, [hw for hw in plan.homeworks if hw.by("otter")]


def test_the_solutions_of_the_book_get_every_point_of_its_homework(the_books):
    seed, folder, homeworks = the_books
    paths = [folder / hw.name / f"{hw.name}-with-solutions.ipynb" for hw in homeworks]
    with ThreadPoolExecutor(2) as pool:
        autograders = [folder / hw.name / "autograder" / f"{hw.name}.zip" for hw in homeworks]
        found = pool.map(marked_by, autograders, paths, [SECONDS] * len(paths))
    for hw, (rows, stopped) in zip(homeworks, found, strict=True):
        want = {task.label.replace("-", "_"): task.points for task in hw.by("otter")}
        assert (stopped, {q: row[0] for q, row in rows.items()}) == ("", want), (seed, rows)


def test_a_students_notebook_needs_nothing_that_it_lacks(the_books):
    seed, folder, homeworks = the_books
    for hw in homeworks:
        made = nbformat.read(folder / hw.name / "student" / f"{hw.name}.ipynb", as_version=4)
        bound = set(dir(builtins))
        for cell in (c for c in made.cells if c.cell_type == "code"):
            assert needs.needs(cell.source) <= bound, (seed, hw.name, cell.source)
            bound |= needs.binds(cell.source)
        assert str(seed) not in json.dumps(made.cells)
