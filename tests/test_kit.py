"""`make kit` writes all of a course or nothing, runs no chapter, and says what is older than what.

Oracle: files and sentences as a teacher meets them, typed in here; the site's own copies of its
sources; the reader's edition, which the instructor's must contain cell for cell.
"""

import codecs
import csv
import json
import os
import re
import site
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest

from tools import (
    ROOT,
    commands,
    course,
    editions,
    grade,
    guide,
    kit,
    kit_editions,
    kit_environment,
    pages,
    student,
    submission,
    syllabus,
    whole_book,
)
from tools.places import Fault


@pytest.fixture(scope="module")
def whole():
    shelf = course.shelf()
    return kit.Kit(course.read(book=shelf), whole_book.read_book(), shelf, "1")


@pytest.fixture
def parts(monkeypatch):
    """Three parts in place of the real ones: two that write, and one that cannot."""

    def write(given, path):
        (path if path.suffix else path / "a.txt").write_text(f"made of {given.seed}")

    def stop(_given, path):
        write(_given, path)
        raise Fault("The third part needs more than it got.")

    monkeypatch.setattr(
        kit, "import_module", lambda name: SimpleNamespace(write=write, stop=stop), raising=True
    )
    made = {"one": ("x:write", False), "two.md": ("x:write", False), "three": ("x:stop", False)}
    monkeypatch.setattr(kit, "PARTS", made | {"four": ("x:write", True)})


def given(seed="7", older=""):
    return SimpleNamespace(seed=seed, older=older)


def texts(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*.*")}


def test_parts_are_made_beside_one_another_and_replace_those_there(tmp_path, parts, capsys):
    target = tmp_path / "kit"
    (target / "one").mkdir(parents=True)
    (target / "one" / "old.txt").touch()
    kit.build(given(), ["one", "two.md"], target)
    begun = [line.partition(" .")[0] for line in capsys.readouterr().out.splitlines()]
    assert begun == ["making one", "making two.md"]
    assert texts(target) == {"one/a.txt": "made of 7", "two.md": "made of 7"}
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


def test_a_part_that_stops_leaves_everything_as_it_was(tmp_path, parts):
    target = tmp_path / "kit"
    kit.build(given(), ["one"], target)
    with pytest.raises(Fault, match="The third part needs more than it got"):
        kit.build(given("8"), ["one", "two.md", "three"], target)
    assert texts(target) == {"one/a.txt": "made of 7"}
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


def test_what_needs_the_site_says_so_before_anything_is_made(tmp_path, parts, monkeypatch):
    said = "_build/html is older than book/map.md: run make book first."
    monkeypatch.setattr(kit, "_make", lambda *_: pytest.fail("a part was made before"))
    with pytest.raises(Fault) as caught:
        kit.build(given(older=said), ["one", "four"], tmp_path / "kit")
    assert str(caught.value) == said


def test_what_needs_the_site_is_made_of_one_that_is_not_older(tmp_path, parts):
    kit.build(given(), ["four"], tmp_path / "kit")
    assert texts(tmp_path / "kit") == {"four/a.txt": "made of 7"}


def test_a_site_is_older_when_its_copy_of_a_source_differs(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(kit, "SITE", tmp_path)
    fresh = kit.Kit(whole.course, whole.book, whole.shelf)
    for page in whole.book.pages.values():
        path = tmp_path / "_sources" / page.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(guide.for_class((ROOT / page.name).read_text("utf-8")), "utf-8")
    assert fresh.older == ""
    (tmp_path / "_sources" / "book" / "notation.md").write_text("as it was")
    said = "_build/html is older than book/notation.md: run make book first."
    assert kit.Kit(whole.course, whole.book, whole.shelf).older == said
    monkeypatch.setattr(kit, "SITE", tmp_path / "html")
    assert kit.Kit(whole.course, whole.book, whole.shelf).older == kit.MISSING


def test_a_seed_is_the_one_given_or_that_of_the_grader_there_or_a_new_one(tmp_path):
    assert kit.seed("31", tmp_path) == "31"
    first, second = kit.seed("", tmp_path), kit.seed("", tmp_path)
    assert first.isdigit() and first != second
    (tmp_path / "grader").mkdir()
    (tmp_path / "grader" / "seed.txt").write_text("99\n")
    assert kit.seed("", tmp_path) == "99"


def test_to_clean_up_keeps_the_seed_that_homework_was_handed_out_with(
    tmp_path, monkeypatch, capsys
):
    assert ROOT / commands.SEED_FILE == kit.TARGET / "grader" / "seed.txt"
    build = tmp_path / "_build"
    for name, path in {"ROOT": tmp_path, "NOTEBOOKS": build / "notebooks"}.items():
        monkeypatch.setattr(commands, name, path)
    for name in ("kit/grader/seed.txt", "kit/grader/hw1/hw1.zip", "kit/site.zip", "html/a.html"):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_text("271828\n")
    commands.clean()
    assert texts(build) == {"kit/grader/seed.txt": "271828\n"}
    assert kit.seed("", build / "kit") == "271828"
    said = "_build/kit/grader/seed.txt is kept: homework that was handed out needs its number.\n"
    assert capsys.readouterr().out == said
    (tmp_path / commands.SEED_FILE).unlink()
    commands.clean()
    assert not build.exists()


@pytest.mark.parametrize("parts, begun", [
    ((), "book"), (("slides",), "book"), (("bank", "slides-teacher"), "book"),
    (("grader",), "prepare"), (("student", "bank"), "prepare"),
])  # fmt: skip
def test_a_command_of_the_kit_makes_the_site_first_where_a_part_needs_it(parts, begun, monkeypatch):
    done = []
    for name in ("book", "prepare"):
        monkeypatch.setattr(commands, name, lambda name=name: done.append(name))
    monkeypatch.setattr(commands.environment, "call", lambda *words: done.append(words[2:]))
    commands.kit(*parts)
    assert done == [begun, parts]
    of_site = {name for name, (_, site) in kit.PARTS.items() if site}
    assert {name for name in of_site if "." not in name} == commands.OF_SITE


def test_every_part_can_be_made_alone_and_is_what_it_says():
    folders = {name for name in kit.PARTS if "." not in name}
    alone = {name.removeprefix("kit-") for name in commands.COMMANDS if name.startswith("kit-")}
    assert {"student", "instructor", "grader", "bank"} <= folders & alone
    for place, _ in kit.PARTS.values():
        module, _, function = place.partition(":")
        assert callable(getattr(kit.import_module(module), function))
    assert set(kit.FOR_TEACHERS) <= set(kit.PARTS)


def test_the_syllabus_has_every_meeting_and_what_it_asks_of_a_student(whole):
    text = syllabus.text(whole.course, whole.shelf, whole.book.places)
    for meeting in whole.course.meetings:
        assert f"| {meeting.number}. {meeting.title} | {meeting.day} |" in text
        for name in meeting.chapters:
            assert f"/book/{name}.html)" in text
    spent = [row.split(" | ") for row in re.findall(r"^\| (\d+ \| \d+ .*) \|$", text, re.M)]
    assert [row[:4] + [str(sum(map(int, row[1:4])))] for row in spent] == spent
    assert spent[0] == ["1", "180", "185", "70", "435"]
    assert "](../" not in text


@pytest.fixture(scope="module")
def noted(whole):
    """(page, the instructor's edition, the reader's) of one chapter with graded homework."""
    page = whole.book.pages["book/argument/eps_sharpness_at_will"]
    tasks = {t.label: t for hw in whole.course.homeworks for t in hw.tasks}
    reader = editions.edition(page, whole.book, "reader")
    made = editions.edition(page, whole.book, "reader")
    trains = {"ex-will-alpha": "Reaching [it](../map.md)."}
    return page, kit_editions.noted(page, made, whole.book, tasks, trains), reader


def notes(made):
    return [c.source for c in made.cells if c.source.startswith("> **For teachers.**")]


def test_the_instructors_edition_is_the_readers_and_notes(noted):
    page, made, reader = noted
    ours = [c.source for c in made.cells if c.source not in notes(made)]
    assert ours == [c.source for c in reader.cells]
    assert len(notes(made)) == 1 + 1 + len([*pages.starters(page)])
    assert made.metadata["edition"]["name"] == "instructor"
    nbformat.validate(made)


def test_a_note_says_minutes_points_slips_and_how_to_mark(noted):
    page, made, _ = noted
    _head, question, first, other, _slope = notes(made)
    (data,) = (d for _, c in page.markdown() for d in c.metadata.get("predict", ()))
    assert "Right: B." in question and all(
        f"{k}: {v}" in question for k, v in data["feedback"].items()
    )
    assert first.startswith(
        "> **For teachers.** Warm-up, 5 minutes. It trains: Reaching [it](https:"
    )
    assert "> - `lengths['theta1'] / 0.02`: that is the reciprocal" in first
    assert "look for each of these steps" in first and "On the boundary this distance" in first
    assert "Core, 10 minutes, 3 points, marked by otter." in other
    assert "Otter marks it: all points or none" in other


def test_the_guide_and_the_notes_have_one_rule_of_marking(whole, noted):
    text = whole.book.pages[guide.GUIDE].text()
    (rule,) = re.findall(r"^- \*\*What a check is worth\.\*\* .*", text, re.M)
    assert "Give no points for it alone" in rule and kit_editions.RULE in rule
    told = "\n".join(notes(noted[1]))
    assert f"give no points for *Right* alone, and {kit_editions.RULE}." in told
    assert "third of the points" not in told and "keeps half" not in told


def test_typical_slips_are_read_from_every_check_of_the_book(whole):
    for page in whole.book.notebooks():
        found = kit_editions.typical(page)
        assert {label for label, _, _ in pages.starters(page)} == set(found)
        for label, pairs in found.items():
            assert len(pairs) >= 1 or label == "ex-lipschitz-pair", label


def test_the_students_edition_has_no_note_and_no_solution(whole, tmp_path, monkeypatch):
    one = whole.book.pages["book/meaning/volume"]
    monkeypatch.setattr(type(whole.book), "notebooks", lambda self: [one])
    kit_editions.students(whole, tmp_path)
    teachers = tmp_path / "teachers"
    teachers.mkdir()
    kit_editions.instructors(whole, teachers)
    text = (tmp_path / "meaning" / "volume.ipynb").read_text("utf-8")
    assert "For teachers" not in text and "solution-start" not in text
    assert student.CHECKS in text
    assert "For teachers" in (teachers / "meaning" / "volume.ipynb").read_text("utf-8")
    block = guide.BLOCK.search(whole.book.pages[guide.GUIDE].text())[1].strip().split("\n")[0]
    assert block[:60].lstrip(": ") in (teachers / "guide.md").read_text("utf-8")


def test_a_course_that_is_wrong_stops_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(kit, "build", lambda *_: pytest.fail("it was built"))
    with pytest.raises(Fault, match=r"^COURSE needs the path of a course file, got .+: no such"):
        kit.main(["bank"], {"COURSE": str(tmp_path / "my.yml")})


def test_a_kit_without_network_says_that_it_needs_it_once(tmp_path, monkeypatch):
    said = "WARNING: Retrying\nERROR: Connection broken: no route to host"
    done = SimpleNamespace(returncode=1, stderr=said)
    monkeypatch.setattr(kit_environment, "HOME", tmp_path / "kit-env")
    monkeypatch.setattr(kit_environment, "READY", tmp_path / "kit-env" / ".ready")
    monkeypatch.setattr(kit_environment.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(Fault) as caught:
        kit_environment.python()
    assert str(caught.value) == (
        "The kit needs the network once, to install otter, and it does not answer."
    )
    done.stderr = "ERROR: No matching distribution found for otter-grader"
    with pytest.raises(Fault, match="^The kit's environment was not made: ERROR: No matching"):
        kit_environment.python()


def test_the_kit_sees_the_book_in_a_folder_with_letters_of_any_kind(tmp_path, monkeypatch):
    """A .pth file is read in the locale's encoding up to Python 3.12: cp1252 on many a Windows."""
    book = tmp_path / "Bücher von Éva – 山"
    book.mkdir()
    monkeypatch.setattr(kit_environment, "ROOT", book)
    (tmp_path / "book.pth").write_text(kit_environment.sight(), encoding="cp1252")
    monkeypatch.setattr(sys, "path", [])
    site.addsitedir(str(tmp_path))
    assert sys.path[-1] == str(book)


def test_marks_come_as_a_table_and_a_word_for_each(tmp_path, monkeypatch, capsys):
    autograder = tmp_path / "_build/kit/grader/hw1/autograder/hw1.zip"
    autograder.parent.mkdir(parents=True)
    autograder.touch()
    monkeypatch.setattr(grade, "ROOT", tmp_path)
    found = {
        "ann": ({"ex_a": (2, 2, "Right."), "ex_b": (0, 3, "Not yet: x.")}, ""),
        "bo": ({}, "It."),
    }
    monkeypatch.setattr(grade, "grade", lambda path, *_: found[path.parent.name])
    for place in ("ann/hw1.ipynb", "bo/HW1.IPYNB", "bo/hw1.py", "bo/.hidden/hw1.ipynb"):
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / place).touch()
    for _ in range(2):  # what it wrote is neither marked nor left out
        grade.main("hw1", tmp_path / "in")
        said = capsys.readouterr().out
    assert (tmp_path / "in" / "marks.csv").read_bytes().startswith(codecs.BOM_UTF8)
    rows = (tmp_path / "in" / "marks.csv").read_text("utf-8-sig").splitlines()
    assert rows == [
        "notebook,points,of,ex_a,ex_b,no mark because",
        "ann/hw1.ipynb,2,5,2,0,",
        "bo/HW1.IPYNB,,,,,It.",
        "bo/hw1.py,,,,,It is no notebook: hand in the .ipynb file.",
    ]
    assert (tmp_path / "in" / "bo" / "HW1.IPYNB.feedback.md").read_text("utf-8") == (
        "# bo/HW1.IPYNB: no mark yet\n\nIt.\n"
    )
    assert (tmp_path / "in" / "ann" / "hw1.ipynb.feedback.md").read_text("utf-8") == (
        "# ann/hw1.ipynb: 2 of 5 points\n\nex_a: 2 of 2. Right.\n\nex_b: 0 of 3. Not yet: x.\n"
    )
    *marked, last = said.splitlines()
    assert " ".join(marked).split() == ["ann/hw1.ipynb", "2", "bo/HW1.IPYNB", "-", "It."]
    assert last == "No mark for 2 of 3, marks.csv says why: bo/HW1.IPYNB, bo/hw1.py."


def table(folder, monkeypatch, say=lambda *_: ({"ex_a": (2, 2, "Right.")}, "")):
    """The rows of marks.csv for a folder in which every notebook gets what `say` says."""
    monkeypatch.setattr(grade, "_autograder", lambda _: None)
    monkeypatch.setattr(grade, "grade", say)
    grade.main("hw1", folder)
    with open(folder / "marks.csv", newline="", encoding="utf-8-sig") as file:
        return [row[:2] for row in csv.reader(file)][1:]


def test_every_file_that_was_handed_in_has_a_row_of_its_own(tmp_path, monkeypatch):
    names = [".d.ipynb", "=1+1.ipynb", "@SUM(A1)", "a", "a.IPYNB", "a.ipynb", "below/marks.csv"]
    names += ["benchmarks.csv", "my.feedback.md", ".DS_Store", ".ipynb_checkpoints/a.ipynb"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for _ in range(2):
        rows = table(tmp_path, monkeypatch)
    assert sorted(rows) == sorted(
        [[name, "2"] for name in (".d.ipynb", "'=1+1.ipynb", "a.IPYNB", "a.ipynb")]
        + [[name, ""] for name in ("'@SUM(A1)", "a", "below/marks.csv")]
        + [[name, ""] for name in ("benchmarks.csv", "my.feedback.md")]
    )


def test_no_submission_ends_the_marking_of_a_class(tmp_path, monkeypatch, capsys):
    def say(path, *_):
        before = (tmp_path / "marks.csv").read_text("utf-8-sig")
        if path.name == "b.ipynb":
            assert "a.ipynb,2" in before
            raise MemoryError("no room")
        if path.name == "c.ipynb":
            return {"ex_a": (0, 2, "Not yet: \ud800.")}, "of \udcff"
        return {"ex_a": (2, 2, "Right.")}, ""

    for name in ("a.ipynb", "b.ipynb", "c.ipynb", "d.ipynb"):
        (tmp_path / name).touch()
    (tmp_path / "a.ipynb.feedback.md").mkdir()
    assert [points for _, points in table(tmp_path, monkeypatch, say)] == ["2", "", "0", "2"]
    said = capsys.readouterr().out
    assert "a.ipynb.feedback.md could not be written: " in said
    assert "It could not be run: MemoryError: no room" in said
    told = (tmp_path / "c.ipynb.feedback.md").read_text("utf-8")
    assert told.endswith("Not yet: \\ud800.\n\nof \\udcff\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file's name is Unicode")
def test_a_name_that_is_no_unicode_is_written_with_backslashes(tmp_path, monkeypatch):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.ipynb")).touch()
    assert table(tmp_path, monkeypatch) == [[r"M\udcfcller.ipynb", "2"]]


def test_a_table_that_cannot_be_written_is_told_before_anything_is_marked(tmp_path, monkeypatch):
    (tmp_path / "a.ipynb").touch()
    (tmp_path / "marks.csv").mkdir()
    with pytest.raises(SystemExit, match=r"^grade needs to write marks\.csv in .*: .*\.$"):
        table(tmp_path, monkeypatch, lambda *_: pytest.fail("it was marked"))


@pytest.mark.skipif(os.name == "nt", reason="a link needs a right of its own there")
def test_what_is_written_replaces_a_link_and_does_not_follow_it(tmp_path, monkeypatch):
    (mine := tmp_path / "mine").write_text("a teacher's")
    (folder := tmp_path / "in").mkdir()
    (folder / "a.ipynb").touch()
    for name in ("a.ipynb.feedback.md", "marks.csv", ".grade.part"):
        (folder / name).symlink_to(mine)
    assert table(folder, monkeypatch) == [["a.ipynb", "2"]]
    assert mine.read_text() == "a teacher's"
    assert (folder / "a.ipynb.feedback.md").read_text("utf-8").startswith("# a.ipynb: 2 of 2")


@pytest.mark.parametrize("text", ['{"cells": [', "", "[]", "7", "[" * 200_000])
def test_a_file_that_is_cut_short_is_said_to_be(text, tmp_path):
    (tmp_path / "a.ipynb").write_text(text)
    assert grade.grade(tmp_path / "a.ipynb", "") == ({}, "It is not a notebook, or is cut short.")


def handed_in(code=(), encoding="utf-8", **metadata):
    """A notebook as a student hands it in."""
    cells = [{"cell_type": "code", "source": source, "metadata": {}} for source in code]
    return json.dumps({"cells": cells, "metadata": metadata}, ensure_ascii=False).encode(encoding)


@pytest.mark.parametrize("encoding", ("utf-8", "utf-8-sig", "utf-16"))
def test_a_notebook_is_read_in_whatever_its_letters_are_written(encoding):
    made = submission.marked(handed_in([["θ = 1\n", "ε = 2"]], encoding), "hw1")
    assert made["cells"][0]["source"] == "θ = 1\nε = 2"


def test_a_notebook_that_was_rebuilt_is_taken_for_the_homework_that_is_marked():
    begin = 'grader = otter.Notebook("{}.ipynb")'
    for code in ((), [begin.format("hw1")], [begin.format("hw1_ann")]):
        made = submission.marked(handed_in(code, kernelspec={"name": "mine"}), "hw1")
        assert made["metadata"]["otter"] == {"assignment_name": "hw1"}
        assert made["metadata"]["kernelspec"]["name"] == "python3"
    named = handed_in(otter={"assignment_name": "hw4"})
    for other in (named, handed_in([begin.format("hw4")])):
        with pytest.raises(Fault, match=r"^This is homework hw4, not hw1\.$"):
            submission.marked(other, "hw1")


def test_a_notebook_that_a_script_wrote_without_what_the_format_asks_is_made_whole():
    cells = [{"cell_type": "code", "source": "a = 1"}, {"cell_type": "markdown", "source": "b"}]
    made = submission.marked(json.dumps({"cells": cells}).encode(), "hw1")
    assert [cell["metadata"] for cell in made["cells"]] == [{}, {}]
    assert nbformat.reads(json.dumps(made), as_version=4).cells[0].source == "a = 1"


DONE = "None  # nothing is installed here"


@pytest.mark.parametrize("source, left", [
    ("!pip install -q otter-grader", DONE),
    ("a = 1\n  %pip install x\nb = 2", f"a = 1\n  {DONE}\nb = 2"),
    ("!python -m pip install \\\n  x\nb = 2", f"{DONE}\nb = 2"),
    ("!{sys.executable} -m pip install x", DONE),
    ("%%capture\n!pip3 install x", f"%%capture\n{DONE}"),
    ("said = !uv pip install x", f"said = {DONE}"),
    ("!! pip list\n%conda install -y x\nconda install x", f"{DONE}\n{DONE}\n{DONE}"),
    ("pip install otter-grader", DONE),
    *((kept, kept) for kept in (
        "!ls pipes\n%matplotlib inline", "pip = 3\nrest = (7\n % pip\n)", "# !pip install x",
        "a != pip", "print('install', uv)",
    )),
])  # fmt: skip
def test_what_would_install_something_does_nothing_where_it_is_marked(source, left):
    assert submission.without_installs(source) == left


SLEEP = "import time; time.sleep({})"
CHILD = """\
import subprocess, sys
code = "import os; open({!r}, 'w').write(str(os.getpid()))\\nwhile True: pass"
subprocess.run([sys.executable, "-c", code], start_new_session=True)
"""


def test_a_limit_counts_what_processors_do_and_not_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "RUN", SLEEP.format(3))  # as on a busy machine
    assert grade._run("a", b"", tmp_path, 1) == (0, "")
    monkeypatch.setattr(grade, "RUN", SLEEP.format(60))
    said = "It did not end within 5 seconds: mark it by hand."
    assert grade._run("a", b"", tmp_path, 1) == (None, said)


def test_a_process_that_reads_late_gets_all_of_a_large_autograder(tmp_path, monkeypatch):
    read = "import sys, time; time.sleep(2); print(len(sys.stdin.buffer.read()))"
    monkeypatch.setattr(grade, "RUN", read)
    assert grade._run("a", bytes(3_000_000), tmp_path, 5) == (0, "3000000\n")
    monkeypatch.setattr(grade, "RUN", "")  # and one that never reads is no error
    assert grade._run("a", bytes(3_000_000), tmp_path, 5) == (0, "")


def gone(pid):
    """Whether a process has ended; a kill takes a moment."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_a_loop_without_end_is_stopped_with_what_it_began(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "RUN", CHILD.format(str(tmp_path / "pid")))
    said = "It did not end within 2 seconds of computing: mark it by hand."
    assert grade._run("a", b"", tmp_path, 2) == (None, said)
    child = int((tmp_path / "pid").read_text())
    assert gone(child)


ORPHAN = """\
import subprocess, sys
code = "import os, time; open({!r}, 'w').write(str(os.getpid())); time.sleep(60)"
begin = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
subprocess.run([sys.executable, "-c", begin, code], start_new_session=True)
import pathlib, time
while not pathlib.Path({!r}).exists() or not pathlib.Path({!r}).read_text():
    time.sleep(0.1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give an orphan to no one")
def test_what_a_submission_leaves_behind_ends_with_it_and_nothing_else_does(tmp_path, monkeypatch):
    mine = subprocess.Popen([sys.executable, "-c", SLEEP.format(60)])
    path = str(tmp_path / "pid")
    monkeypatch.setattr(grade, "RUN", ORPHAN.format(path, path, path))
    try:
        assert grade._run("a", b"", tmp_path, 20) == (0, "")
        orphan = int((tmp_path / "pid").read_text())
        assert not psutil.pid_exists(orphan)
        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()


@pytest.mark.parametrize("name, folder, sentence", [
    ("hw9", "here", "grade needs HW= one of hw1, hw10, got 'hw9': otter marks no other."),
    ("hw1", "", "grade needs IN= a folder with notebooks, got ''."),
])  # fmt: skip
def test_grading_asks_for_a_homework_and_a_folder(name, folder, sentence, tmp_path, monkeypatch):
    for each in ("hw10", "hw1"):
        (tmp_path / f"_build/kit/grader/{each}/autograder").mkdir(parents=True)
        (tmp_path / f"_build/kit/grader/{each}/autograder/{each}.zip").touch()
    monkeypatch.setattr(grade, "ROOT", tmp_path)
    with pytest.raises(SystemExit) as stopped:
        grade.main(name, folder)
    assert stopped.value.code == sentence


def test_a_folder_to_grade_is_that_of_the_shell_and_not_of_the_book(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IN", "")
    monkeypatch.setattr(commands, "prepare", lambda: None)
    monkeypatch.setattr(commands.environment, "call", lambda *_, **more: more)
    assert commands.main(["grade", "IN=handed/in"]) == {"IN": str(tmp_path / "handed" / "in")}
    assert commands.main(["grade", "IN="]) == 0


@pytest.mark.parametrize("seconds", ("0", "-3", "soon", "1.5"))
def test_grading_asks_for_a_limit_that_is_one(seconds, monkeypatch):
    monkeypatch.setattr(grade, "_autograder", lambda _: None)
    with pytest.raises(SystemExit) as stopped:
        grade.main("hw1", "", seconds)
    said = f"grade needs SECONDS= a whole number above zero, got {seconds!r}."
    assert stopped.value.code == said
