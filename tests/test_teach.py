"""The teacher's pages point at positions and exercises that exist, and leave no exercise out.

Oracle: the chapters' own calls of explore and their knobs, read from their sources, the list of
exercises that the site makes from the chapters, _toc.yml, and the course file.
"""

import ast
import re
from functools import cache
from urllib.parse import parse_qsl

import pytest

from helpers import choice, linear_knob, log_knob
from helpers.live._explore import RESERVED
from tools import ROOT, chapter_tables, course, exercise_index, pages

LINK = re.compile(r'<a href="([\w./-]+)\.html(?:#([\w-]+)(?::([^"]+))?)?"')
TO_PAGE = re.compile(
    r'\(([\w./-]+)\.ipynb[#\w-]*\)|<a href="([\w./-]+)\.html|\{ref\}`[^`]*<([\w-]+)>`'
)
PLAN = re.compile(
    r"^\((fifty-minutes|ninety-minutes|six-weeks)\)=\n(.+?)(?=^\([\w-]+\)=$)", re.M | re.S
)
GUIDE = ROOT / "book" / "teach" / "guide.md"
CHAPTERS = [one for one in exercise_index.chapters(ROOT) if pages.read(one).is_chapter]
UNDERSTOOD = {f.__name__: f for f in (choice, linear_knob, log_knob, dict, len, list, range, tuple)}


def links(path):
    """(page, figure, {knob: position}) of each HTML link in one Markdown page."""
    for target, figure, query in LINK.findall(path.read_text(encoding="utf-8")):
        page = (path.parent / f"{target}.ipynb").resolve()
        yield page, figure, dict(parse_qsl(query))


def value(node, known):
    """What an expression is, if literals, known names and the calls that we understand suffice."""
    if isinstance(node, ast.Dict):
        return {value(key, known): None for key in node.keys}  # a choice shows the names of cases
    for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
        if getattr(call.func, "id", None) not in UNDERSTOOD:
            raise NameError(ast.unparse(call.func))
    source = compile(ast.Expression(node), "a knob", "eval")
    return eval(source, {"__builtins__": {}, **UNDERSTOOD, **known})


def value_or_none(node, known):
    try:
        return value(node, known)
    except (NameError, TypeError, AttributeError, LookupError):
        return None


def learn(statement, known):
    """Put what an assignment binds into `known`; a name whose value we cannot tell becomes None."""
    for target in statement.targets if isinstance(statement, ast.Assign) else ():
        apart = isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple)
        pairs = zip(target.elts, statement.value.elts) if apart else [(target, statement.value)]
        for place, node in pairs:
            found = value_or_none(node, known) if isinstance(place, ast.Name) else None
            names = (part for part in ast.walk(place) if isinstance(part, ast.Name))
            known.update((name.id, found) for name in names)


@cache
def figures(page):
    """The figures of one notebook: name → {knob's name: the knob, or None where it is computed}."""
    found, known = {}, {}
    for _, cell in pages.read(page).code():
        for statement in pages.parse(cell.source).body:
            learn(statement, known)
            for call in pages.calls(ast.unparse(statement), {"explore", "still"}):
                given = {keyword.arg: keyword.value for keyword in call.keywords}
                knobs = set(given) - set(RESERVED)
                found[given["name"].value] = {k: value_or_none(given[k], known) for k in knobs}
    return found


def has_position(knob, wanted):
    """Whether a link to `wanted` opens what it says: a button's text, or a value within 1 %."""
    if knob.kind == "choice":
        return wanted in knob.texts
    return any(abs(float(wanted) - at) <= 0.01 * abs(at) for at in knob.values)


LINKED = [p for p in pages.sources() if p.suffix == ".md" and any(links(p))]


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_a_deep_link_names_a_figure_and_its_knobs(path):
    for page, figure, knobs in links(path):
        assert page.exists(), f"{path.name} links to {page.name}, and there is no such page."
        have = figures(page)
        assert not figure or figure in have, f"{page.name} has {sorted(have)}, not {figure}."
        have = set(have.get(figure, ()))
        assert set(knobs) <= have, f"{figure} has {have}, not {set(knobs)}."


def test_a_deep_link_opens_the_position_that_it_names():
    unread = set()
    for path in LINKED:
        for page, figure, knobs in links(path):
            for name, wanted in knobs.items():
                knob = figures(page)[figure][name]
                if knob is None:
                    unread.add((page.name, figure, name))
                    continue
                assert has_position(knob, wanted), (
                    f"{path.name}: {page.name}#{figure} has no {name} = {wanted}, but {knob.texts}."
                )
    assert len(unread) <= 2, f"these knobs are computed, so no link to them is checked: {unread}."


def test_a_knob_is_read_from_the_names_of_its_page():
    known = {}
    for line in ("LOW, HIGH = 1, 100", "both = {'a': f(1), 'b': g(2)}", "unknown = f(LOW)"):
        learn(ast.parse(line).body[0], known)
    knob = value(ast.parse("log_knob(LOW, HIGH, start=10, per_decade=1)", mode="eval").body, known)
    assert knob.values == (1, 10, 100) and known["unknown"] is None
    assert has_position(knob, "10") and has_position(knob, "9.95") and not has_position(knob, "9")
    buttons = value(ast.parse("choice(tuple(both))", mode="eval").body, known)
    assert has_position(buttons, "a") and not has_position(buttons, "c")


def exercises():
    """The label of each exercise of the chapters → (its chapter, the exercise)."""
    found = ((page, one) for page in exercise_index.chapters(ROOT) for one in all_of(page))
    return {one.label: (page, one) for page, one in found}


def all_of(page):
    return exercise_index.exercises(page)[1]


def test_the_guide_says_what_each_exercise_trains_under_its_name():
    guide = GUIDE.read_text(encoding="utf-8")
    rows = [f"| {{ref}}`{one.name} <{label}>` |" for label, (_, one) in exercises().items()]
    missing = [row for row in rows if row not in guide]
    assert not missing, "\n".join(["guide.md needs rows that begin with:", *missing])


def test_the_minutes_of_a_plan_leave_no_gap_and_end_on_time():
    for name, end in (("fifty-minutes", 50), ("ninety-minutes", 90)):
        plan = dict(PLAN.findall(GUIDE.read_text(encoding="utf-8")))[name]
        steps = [
            (int(a), int(b)) for a, b in re.findall(r"^\*\*Minutes (\d+) to (\d+)\.", plan, re.M)
        ]
        assert [a for a, _ in steps] == [0, *(b for _, b in steps[:-1])], f"{name}: {steps}."
        assert steps[-1][1] == end, f"{name} ends at minute {steps[-1][1]}, not {end}."


@pytest.mark.parametrize("name", ("fifty-minutes", "ninety-minutes", "six-weeks"))
def test_a_plan_asks_no_exercise_before_it_has_shown_the_chapter(name):
    shown, chapter_of = set(), exercises()
    for page, live, label in TO_PAGE.findall(dict(PLAN.findall(GUIDE.read_text("utf-8")))[name]):
        if label in chapter_of:
            page = chapter_of[label][0]
            assert page in shown, f"{name} asks {label} before anything of {page.name} is shown."
        shown.add((GUIDE.parent / f"{page or live}.ipynb").resolve())


def test_each_chapter_of_a_meeting_has_its_place_in_the_six_weeks():
    """That every chapter is in a meeting, or under left_out, is a rule of the course file."""
    weeks = dict(PLAN.findall(GUIDE.read_text(encoding="utf-8")))["six-weeks"]
    names = [name for meeting in course.read().meetings for name in meeting.chapters]
    missing = [name for name in names if f"(../{name}.ipynb)" not in weeks]
    assert not missing, f"the six weeks of guide.md need a link to {missing}."


def test_a_link_is_read_whole(tmp_path):
    (tmp_path / "a.md").write_text('<a href="b/c.html#fig-4:alpha=0.1&case=no%20bias">x</a>')
    found = list(links(tmp_path / "a.md"))
    assert found == [(tmp_path / "b" / "c.ipynb", "fig-4", {"alpha": "0.1", "case": "no bias"})]


# ---- the six weeks and the course file ----------------------------------------------------------

MEETING = re.compile(r"^\*\*Meeting (\d+): (.*)\*\*\n((?:[:<].*\n)+)", re.M)
STEP = re.compile(r"^: \*(\d+) minutes\.\* (.*)$", re.M)
TITLED = re.compile(r"\(\.\./([\w/]+)\.ipynb\)")
SET = re.compile(r"\{ref\}`[^`]*<([\w-]+)>`")
SHOWN = re.compile(r'<a href="\.\./([^"]+)"')


def meetings(text):
    """(number, chapters, [(minutes, words)], [label of homework]) of each meeting in the guide."""
    for number, title, body in MEETING.findall(text):
        asked = "".join(re.findall(r"^: \*Homework:\* (.*)$", body, re.M)).partition("for the keen")
        steps = [(int(minutes), words) for minutes, words in STEP.findall(body)]
        yield int(number), TITLED.findall(title), steps, SET.findall(asked[0])


def guide_and_course():
    return zip(meetings(GUIDE.read_text("utf-8")), course.read().meetings, strict=True)


def test_the_guide_and_the_course_file_plan_the_same_meetings():
    for (number, chapters, _, homework), planned in guide_and_course():
        assert (number, chapters) == (planned.number, list(planned.chapters))
        wanted = [task.label for task in planned.homework.tasks]
        assert sorted(homework) == sorted(wanted), f"meeting {number}: {homework}, not {wanted}."


def test_a_meeting_fills_its_minutes():
    for (number, _, steps, _), planned in guide_and_course():
        spent = sum(minutes for minutes, _ in steps)
        assert spent == planned.minutes, f"meeting {number} plans {spent} of {planned.minutes}."


def test_each_figure_of_the_course_file_is_shown_in_its_meeting_for_as_long():
    for (number, _, steps, _), planned in guide_and_course():
        times = {opened: minutes for minutes, words in steps for opened in SHOWN.findall(words)[:1]}
        for step in planned.steps:
            place = f"{step.page}.html#{step.figure}{':' if step.position else ''}{step.position}"
            assert times.get(place) == step.minutes, f"meeting {number}: {place} in {times}."


def test_the_guide_shows_figures_in_the_order_of_the_slides():
    """Chapter by chapter, and the vote on a chapter before its figures."""
    for (number, chapters, steps, _), planned in guide_and_course():
        shown = [opened for _, words in steps for opened in SHOWN.findall(words)[:1]]
        shown = [opened.partition(":")[0] for opened in shown]
        by_chapter = sorted(planned.steps, key=lambda step: chapters.index(step.page))
        slides = [f"{step.page}.html#{step.figure}" for step in by_chapter]
        assert [one for one in shown if one in slides] == slides, f"meeting {number}: {shown}."


def test_the_votes_of_the_first_meeting_are_taken_where_the_slides_have_them():
    _, _, steps, _ = next(meetings(GUIDE.read_text("utf-8")))
    votes = [k for k, (_, words) in enumerate(steps) if "by a show of hands" in words]
    assert votes == [0, 4] and "rising-lake" in steps[4][1]


def test_a_plan_shows_no_chapter_before_those_it_needs():
    needed = {one.name: one.needs for one in chapter_tables.chapters()}
    taught = set()
    for meeting in course.read().meetings:
        taught |= set(meeting.chapters)
        for name in meeting.chapters:
            needs = {need.removeprefix("book/") for need in needed[f"book/{name}"]}
            assert needs <= taught, f"meeting {meeting.number} needs {needs - taught} for {name}."


def test_each_chapter_has_an_objective():
    rows = dict(
        re.findall(
            r"^\| \[[^]]+\]\(\.\./([\w/]+)\.ipynb\) \| (.+) \|$", GUIDE.read_text("utf-8"), re.M
        )
    )
    for one in CHAPTERS:
        name = f"{one.parent.name}/{one.stem}"
        assert len(rows.get(name, "").split()) > 5, (
            f"guide.md needs a row that says what {name} is for."
        )
