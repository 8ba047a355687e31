"""The guide in its two forms: a class reads no answer, a teacher reads all, and what is run runs.

Oracle: the text between two marks, typed here; Sphinx for what the site ships; Python for samples;
the course file for days and points, the keys of each *Predict* for the letters of the guide.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace as Some

import pytest
import yaml
from test_for_site import settings
from test_teach import guide_and_course

from tools import ROOT, bank, commands, course, gradebook, guide, whole_book
from tools.slide_parts import chapter_of

SOURCE = (ROOT / f"{guide.GUIDE}.md").read_text("utf-8")
PAGE = """# A plan

**Minutes 0 to 8. The needle.**
: *Ask:* "Is it the same?"
<!-- instructor -->
: *Expect:* "No."
<!-- /instructor -->
: *Then* go on.
"""


def test_a_class_reads_the_question_and_not_the_answer():
    assert guide.for_class(PAGE) == PAGE.replace(
        '<!-- instructor -->\n: *Expect:* "No."\n<!-- /instructor -->\n', ""
    )
    assert guide.for_class("no mark") == "no mark"


@pytest.mark.parametrize(
    "text",
    [
        PAGE.replace("<!-- /instructor -->\n", ""),
        PAGE.replace("<!-- instructor -->\n", ""),
        PAGE.replace("<!-- /instructor", "  <!-- /instructor"),
    ],
)
def test_a_mark_without_its_partner_stops_the_build(text):
    with pytest.raises(ValueError, match="without its partner, so a class would read"):
        guide.for_class(text)


def test_no_answer_of_the_guide_is_left_for_the_class():
    left = guide.for_class(SOURCE)
    assert "*Expect" in SOURCE and "*Expect" not in left
    assert "Keys for the oral questions" in SOURCE and "Keys for" not in left
    assert "worked sample" not in left.partition("(assess)=")[2].lower()


def test_the_instructors_edition_has_all_of_it_in_plain_markdown():
    book = whole_book.read_book()
    text = guide.for_instructor(book)
    for block in guide.BLOCK.findall(SOURCE):
        for words in re.findall(r"[A-Z][a-z]+ [a-z]+ [a-z]+", block):
            assert words in text
    assert not re.search(r"^: |\{ref\}|\{cite|<!--|^\([\w-]+\)=$|\]\((?!https:)", text, re.M)
    assert f"{book.places.site}/book/index.html#needle:alpha=0.01" in text


@pytest.mark.slow
def test_the_site_ships_no_answer_behind_its_download_button_either(tmp_path):
    """Oracle: every byte of a built site."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    (tmp_path / "book" / "plan.md").write_text(PAGE, "utf-8")
    toc = "format: jb-book\nroot: book/plan\n"
    (tmp_path / "_toc.yml").write_text(toc, "utf-8")
    made = settings()
    made["sphinx"]["local_extensions"] = {"tools.palette": ".", "tools.guide": "."}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(made), "utf-8")
    program = Path(sys.executable).with_name("jupyter-book")
    built = subprocess.run([program, "build", ".", "-W"], cwd=tmp_path, capture_output=True)
    assert built.returncode == 0, built.stdout.decode() + built.stderr.decode()
    html = tmp_path / "_build" / "html"
    texts = {path: path.read_bytes() for path in html.rglob("*") if path.is_file()}
    assert [path for path, text in texts.items() if b"Is it the same" in text]
    assert [path.name for path, text in texts.items() if b"Expect" in text] == []


SAMPLES = re.findall(r"```python\n(.*?)```", SOURCE, re.S)


@pytest.mark.parametrize("code", SAMPLES, ids=["find-the-map", "measure-your-own"])
def test_a_worked_sample_runs(code, capsys):
    exec(compile(code, "guide.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 3


def test_the_workload_adds_up_what_a_week_asks():
    task = Some(exercise=Some(minutes=7))
    held = [
        Some(day=day, minutes=90, chapters=("meaning/volume",), homework=Some(tasks=[task, task]))
        for day in (1, 7, 8)
    ]
    held[2].homework = None
    (reading,) = {
        one.minutes[0]
        for one in guide.chapter_tables.chapters()
        if one.name == "book/meaning/volume"
    }
    rows = guide.workload(Some(meetings=held)).splitlines()[2:]
    assert rows == [
        f"| 1 | 180 | {2 * reading} | 28 | {180 + 2 * reading + 28} |",
        f"| 2 | 90 | {reading} | 0 | {90 + reading} |",
    ]


# ---- what the guide says of the course file and of the pages -------------------------------------


def openings():
    """(what a meeting says of homework, its day, the homework set before it) for each that does."""
    before = None
    for (_, _, steps, _), planned in guide_and_course():
        for words in (words for _, words in steps if words.startswith("Homework:")):
            yield words, planned.day, before
        before = planned.homework


def test_no_meeting_talks_of_a_homework_before_it_is_due():
    named = {t.exercise.name: hw for hw in course.read().homeworks for t in hw.tasks}
    assert len([*openings()]) > 6
    for words, day, before in openings():
        quoted = {named[name] for name in re.findall(r"\*(.+?)\*", words) if name in named}
        for homework in {before, *quoted}:
            assert homework.due <= day, f"day {day}, {homework.name} due {homework.due}: {words}"


def test_the_guide_knows_what_marks_which_homework():
    plan = course.read()
    by_hand = [hw.name for hw in plan.homeworks if not hw.by("otter")]
    points = sum(hw.points for hw in plan.homeworks)
    otters = sum(task.points for hw in plan.homeworks for task in hw.by("otter"))
    rest = plan.points - points
    for said in (
        f"so {', '.join(by_hand[:-1])} and {by_hand[-1]} are marked by hand alone",
        f"Of the {points} points for homework, {otters} are given by otter",
        f"gives {plan.points}: {points} for homework, exercise by exercise, and {rest} for",
    ):
        assert said in SOURCE, f"book/teach/guide.md needs the words {said!r}: course.yml says so."
    for name in ("kit", "kit-grader", "kit-bank", "grade"):
        assert name in commands.COMMANDS and f"`make {name}" in guide.for_class(SOURCE)


def test_the_guide_says_how_marks_come_into_a_gradebook():
    marking = SOURCE.partition("**Marking.**")[2].partition("\n\n")[0]
    for words in ("Canvas", "Moodle", "no column for an id", "work on paper", "join it with"):
        assert words in marking.partition("<!-- instructor -->")[0], words
    assert [*gradebook.table({})] == [
        ["notebook", "points", "of", "no mark because"]
    ]  # no id, no paper


@pytest.mark.site
def test_the_steps_at_which_images_are_lost_are_those_of_the_figure(site):
    """The guide's sixtieth, sixth and fifth: how many answers have changed, per cent right."""
    figure = chapter_of(site, "meaning/why_flat").figures["rounding"]
    data = json.loads(re.search(r"live-data\">(.*?)</script>", figure, re.S)[1])
    words = [re.sub("<.*?>", "", one) for one in data["words"]]
    changed = [int(re.search(r"(\d+) of 360 answers", one)[1]) for one in words]
    right = [float(re.search(r"gets ([\d.]+) %", one)[1]) for one in words]
    at = [data["knobs"][0]["texts"].index(step) for step in ("0.0158", "0.158", "0.2")]
    assert changed[: at[0] + 2] == [0, 0, 1, 0] and changed[at[2]] == 9
    assert min(right[: at[1] + 1]) > right[0] - 1 > right[at[2]] and at[2] == at[1] + 1
    for step in ("0.0158", "0.158", "0.2"):
        assert f'why_flat.html#rounding:step={step}"' in SOURCE


def test_the_first_ticket_asks_of_a_figure_that_the_class_has_seen():
    (_, _, steps, _), planned = next(iter(guide_and_course()))
    seen = [words for _, words in steps if "why_flat.html#figure-1" in words]
    assert len(seen) == 1 and "which of the three meanings" in seen[0]
    assert "Figure 1" in steps[-1][1] and planned.steps[0].page == "meaning/why_flat"
    assert planned.steps[0].figure == "figure-1"


LAST_PAGE = re.compile(r"\.\./([\w/]+)\.(?:html|ipynb)")
LETTER = re.compile(r"([A-D]), \"(.+?)[.,]?\"|([A-D]): ([^.<]+)\.")


def test_a_letter_of_the_guide_is_one_of_its_pages_predict_with_these_words():
    book, found = whole_book.read_book(), 0
    for block in guide.BLOCK.finditer(SOURCE):
        page = book.pages[f"book/{(LAST_PAGE.findall(SOURCE[: block.start()]) or ['index'])[-1]}"]
        asked = [q.options for q in bank.predicted(page, book)]
        for first, words, second, other in LETTER.findall(block[1]):
            at, said = "ABCD".index(first or second), words or other
            options = [options[at].text for options in asked if at < len(options)]
            assert any(said.lower() in one.lower() for one in options), f"{page.name}: {said}"
            found += 1
    assert found >= 2
