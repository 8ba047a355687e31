"""A course file is read as it is meant, and a slip in it is answered in one sentence.

Oracle: the sentences typed in here, for the course of the book with one thing changed in it.
"""

import copy
import re

import pytest
import yaml

from tools import course, course_rules, syllabus, whole_book
from tools.places import Fault

RAW = yaml.safe_load(course.DEFAULT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def book():
    return course.shelf()


def said(tmp_path, book, change, name="my.yml"):
    """What is wrong with the book's course after `change(raw)`, as lines."""
    raw = copy.deepcopy(RAW)
    change(raw)
    path = tmp_path / name
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    with pytest.raises(Fault) as caught:
        course.read(path, book)
    return str(caught.value).splitlines()


def meeting(raw, number):
    return raw["meetings"][number - 1]


def task(raw, number, at=0):
    return meeting(raw, number)["homework"]["exercises"][at]


def setting(where, key, value):
    def change(raw):
        where(raw)[key] = value

    return change


SLIPS = {
    "an exercise that does not exist": (
        setting(lambda raw: task(raw, 4), "label", "ex-hesian-flattest-deep"),
        "my.yml, meeting 4: no exercise 'ex-hesian-flattest-deep'; "
        "did you mean 'ex-hessian-flattest-deep'?",
    ),
    "one set before its chapter is taught": (
        setting(lambda raw: task(raw, 1), "label", "ex-follow-true"),
        "my.yml, meeting 1 sets ex-follow-true of argument/what_follows, "
        "which is not taught by then.",
    ),
    "one set twice": (
        setting(lambda raw: task(raw, 2), "label", "ex-flat-seeds"),
        "my.yml, meeting 2 sets ex-flat-seeds a second time.",
    ),
    "points of a homework that do not add up": (
        setting(lambda raw: task(raw, 3), "points", 5),
        "my.yml, meeting 3: its homework has 9 points, and its exercises 12.",
    ),
    "points of the course that do not add up": (
        setting(lambda raw: raw, "points", 90),
        "my.yml has 90 points, and its homework and the rest add up to 120.",
    ),
    "a judged exercise for otter": (
        setting(lambda raw: task(raw, 7, 1), "marked", "by otter"),
        "my.yml, meeting 7: ex-real-million has no key that a grader could hold, "
        "so mark it by hand: it is judged.",
    ),
    "a marker that nobody is": (
        setting(lambda raw: task(raw, 1), "marked", "by magic"),
        "my.yml, meeting 1: ex-flat-parabola is marked 'by otter' or 'by hand', got 'by magic'.",
    ),
    "a chapter that does not exist": (
        setting(lambda raw: meeting(raw, 8), "chapters", ["after/theorem_as_algoritm"]),
        "my.yml, meeting 8: no chapter 'after/theorem_as_algoritm'; "
        "did you mean 'after/theorem_as_algorithm'?",
    ),
    "a chapter in no meeting": (
        setting(lambda raw: meeting(raw, 6), "chapters", ["argument/what_follows"]),
        "my.yml has argument/input_reparametrization in no meeting: give it one, "
        "or write it under left_out.",
    ),
    "a chapter before its need": (
        setting(lambda raw: meeting(raw, 1), "chapters", ["meaning/eps_sharpness"]),
        "my.yml, meeting 1 reads meaning/eps_sharpness before meaning/curvature, which it needs.",
    ),
    "a figure that does not exist": (
        setting(lambda raw: meeting(raw, 1)["steps"][0], "figure", "meaning/why_flat#rouding"),
        "my.yml, meeting 1: no figure 'rouding' in meaning/why_flat; did you mean 'rounding'?",
    ),
    "a figure before its chapter": (
        setting(lambda raw: meeting(raw, 1)["steps"][0], "figure", "argument/what_follows#needle"),
        "my.yml, meeting 1 shows needle of argument/what_follows, which is not read by then.",
    ),
    "steps longer than the meeting": (
        setting(lambda raw: meeting(raw, 1), "minutes", 50),
        "my.yml, meeting 1 lasts 50 minutes, and its steps take 75.",
    ),
    "a meeting before the last one": (
        setting(lambda raw: meeting(raw, 3), "day", 4),
        "my.yml, meeting 3 is on day 4, and the one before it on day 4.",
    ),
    "homework due before it is set": (
        setting(lambda raw: meeting(raw, 3)["homework"], "due", 8),
        "my.yml, meeting 3 is on day 8, and its homework is due on day 8.",
    ),
    "a week with too much in it": (
        setting(lambda raw: raw, "most_minutes_a_week", 500),
        "my.yml, week 2, takes a student 577 minutes, and 500 are allowed.",
    ),
    "a key that is no key": (
        setting(lambda raw: meeting(raw, 2)["homework"], "poinst", 9),
        "my.yml, meeting 2, homework: no key 'poinst' is known there; did you mean 'points'?",
    ),
    "points in words": (
        setting(lambda raw: task(raw, 2), "points", "three"),
        "my.yml, meeting 2, exercise 1: points needs a whole number above 0, got 'three'.",
    ),
    "a meeting that is a sentence": (
        setting(lambda raw: raw["meetings"], 0, "talk"),
        "my.yml, meeting 1 needs chapters, day, homework, minutes, steps, title, got 'talk'.",
    ),
    "no meetings": (
        setting(lambda raw: raw, "meetings", []),
        "my.yml: meetings needs one entry or more.",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_answered_in_a_sentence_of_its_own(name, tmp_path, book):
    change, sentence = SLIPS[name]
    assert sentence in said(tmp_path, book, change)


def test_a_meeting_without_its_day_lacks_just_that(tmp_path, book):
    lines = said(tmp_path, book, lambda raw: meeting(raw, 2).pop("day"))
    assert lines == ["my.yml, meeting 2 needs day, and it is not there."]


def test_a_file_that_is_no_yaml_is_answered_with_its_line(tmp_path, book):
    path = tmp_path / "my.yml"
    path.write_text("title: x\nmeetings: [\n", encoding="utf-8")
    with pytest.raises(Fault, match=r"^my\.yml is no YAML: .+ in its line 3\.$"):
        course.read(path, book)
    with pytest.raises(Fault, match=r"^COURSE needs the path of a course file, got .+: no such"):
        course.read(tmp_path / "other.yml", book)


def test_the_course_of_the_book_says_what_it_sets(book):
    found = course.read(book=book)
    assert [m.number for m in found.meetings] == [*range(1, len(RAW["meetings"]) + 1)]
    first = found.meetings[0]
    assert first.steps[1] == course.Step("meaning/why_flat", "rounding", "step=0.01", 15)
    assert first.steps[0] == course.Step("meaning/why_flat", "figure-1", "", 10)
    (darts,) = first.homework.by("otter")
    assert (darts.label, darts.points, darts.chapter) == ("ex-volume-darts", 4, "meaning/volume")
    assert (first.homework.name, first.homework.due, first.homework.points) == ("hw1", 4, 9)
    assert found.also == (("Measure your own network", 43, 20),)


def test_a_week_is_its_meetings_their_reading_and_what_they_set(book):
    first = 90 + 50 + 45 + (5 + 15 + 15)  # of meeting 1, and then of meeting 2
    second = 90 + 45 + 45 + (10 + 15 + 10)
    assert course_rules.weeks(RAW, book)[1] == first + second


# ---- the syllabus --------------------------------------------------------------------------------


def test_the_syllabus_says_what_is_on_paper_and_what_in_which_notebook_and_where_it_stands(book):
    places = whole_book.read_book().places
    text = syllabus.text(course.read(book=book), book, places)
    (row,) = re.findall(r"^\| 1\. Three meanings .*$", text, re.M)
    on_paper, _, in_notebook = row.partition("on paper: ")[2].partition("; in hw1.ipynb: ")
    assert "Both meanings of a parabola" in on_paper and "What could five seeds" in on_paper
    assert in_notebook.startswith(
        f"[Throw darts]({places.site}/book/meaning/volume.html#ex-volume-darts) |"
    )
    (by_hand,) = re.findall(r"^\| 7\. Real networks .*$", text, re.M)
    assert "on paper: [Count]" in by_hand and "hw7.ipynb" not in by_hand


def test_the_goals_of_the_syllabus_are_what_students_can_do_as_the_guide_says(book):
    text = syllabus.text(course.read(book=book), book, whole_book.read_book().places)
    goals = text.partition("### Meeting 1: ")[2].partition("### ")[0]
    assert "Afterwards you can\n\n- say which of three things *flat* means" in goals
    assert "- define volume ε-flatness, and say why it can jump as ε grows" in goals
    assert not [c for c in book.chapters.values() if f"- {c.line}\n" in text]  # no tagline is left
