"""The bank holds the same questions in both forms, and every key is the author's.

Oracle: a reader of each form written here from its specification (IMS QTI 1.2 as Canvas takes it;
Moodle's import format), which shares no line with what writes them; keys as the notebooks and
the guide have them; for numbers, answers worked out by hand.
"""

import io
import re
import zipfile
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml
from filelock import FileLock

from tools import ROOT, bank, bank_formats, bank_numbers, course, kit_environment, pages, whole_book
from tools.places import Fault
from tools.questions import Option, Question, faults

BY_HAND = {  # (lowest, highest) right answer
    "ex-flat-bits": (64 * 64 + 64 * 10,) * 2,
    "ex-volume-pass": (2 * 0.99, 2 * 1.01),
    "ex-volume-digits": (64 * 32 - 32 * 10,) * 2,
    "ex-many-promise": (40 - 9,) * 2,
    "ex-radial-factor": (25 * 0.99, 25 * 1.01),
    "ex-input-grey": (8 * 0.99, 8 * 1.01),
}


@pytest.fixture(scope="module")
def book():
    return whole_book.read_book()


@pytest.fixture(scope="module")
def questions(book):
    return bank.questions(book, course.shelf())


@pytest.fixture(scope="module")
def moodle(questions):
    """{name: what the reader of Moodle's XML finds}."""
    written = bank_formats.moodle(questions)
    assert written.startswith(b"<?xml")
    return {one["name"]: one for one in read_moodle(written)}


@pytest.fixture(scope="module")
def qti(questions):
    """{name: what the reader of QTI finds}, from the package that text2qti makes."""
    with FileLock(ROOT / "_build" / "kit-env.lock"):
        kit_environment.python()
    package = bank_formats.qti(questions)
    with zipfile.ZipFile(io.BytesIO(package)) as zipped:
        rights = zipped.read("imsmanifest.xml").decode()
    assert "creativecommons.org/licenses/by/4.0/" in rights and "Private" not in rights
    return {one["name"]: one for one in read_qti(package)}


class Words(HTMLParser):
    """The words of HTML, with each formula as $…$, whichever way it is written."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_data(self, data):
        self.found.append(re.sub(r"\\[(\[](.*?)\\[)\]]", r"$\1$", data, flags=re.S))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "img":  # as Canvas draws a formula
            assert given["src"].startswith("/equation_images/") and given["alt"].strip()
            self.found.append(f"${given['data-equation-content']}$")
        if tag == "a":
            self.found.append(f"<{given['href']}>")


def words(text):
    found = "".join(Words(text or "").found)
    curled = found.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    return re.sub(r"\s+", "", curled)  # text2qti curls quotes


def read_moodle(written):
    for node in ElementTree.fromstring(written).findall("question"):
        if node.get("type") == "category":
            continue
        answers = node.findall("answer")
        yield {
            "name": node.findtext("name/text"),
            "kind": node.get("type"),
            "stem": node.findtext("questiontext/text"),
            "single": node.findtext("single"),
            "answers": [(a.findtext("text"), float(a.get("fraction"))) for a in answers],
            "tolerance": [a.findtext("tolerance") for a in answers],
            "feedback": [a.findtext("feedback/text") for a in answers],
        }


NS = "{http://www.imsglobal.org/xsd/ims_qtiasiv1p2}"


def read_qti(package):
    with zipfile.ZipFile(io.BytesIO(package)) as zipped:
        names = [n for n in zipped.namelist() if n.endswith(".xml")]
        texts = [zipped.read(name) for name in names]
    (text,) = (t for t in texts if b"<item " in t)
    for item in ElementTree.fromstring(text).iter(f"{NS}item"):
        yield qti_item(item)


def qti_item(item):
    fields = {
        field.findtext(f"{NS}fieldlabel"): field.findtext(f"{NS}fieldentry")
        for field in item.iter(f"{NS}qtimetadatafield")
    }
    labels = [*item.iter(f"{NS}response_label")]
    said = {f.get("ident"): f.findtext(f".//{NS}mattext") for f in item.iter(f"{NS}itemfeedback")}
    right, bounds = set(), []
    for condition in item.iter(f"{NS}respcondition"):
        if any(v.text == "100" for v in condition.findall(f"{NS}setvar")):
            excluded = {e.text for e in condition.iterfind(f".//{NS}not/{NS}varequal")}
            right = {e.text for e in condition.iter(f"{NS}varequal")} - excluded
            bounds = [float(e.text) for name in ("vargte", "varlte", "vargt", "varlt")
                      for e in condition.iter(NS + name)]  # fmt: skip
    return {
        "name": item.get("title"),
        "kind": fields["question_type"],
        "stem": item.findtext(f"{NS}presentation/{NS}material/{NS}mattext"),
        "answers": [(one.findtext(f".//{NS}mattext"), one.get("ident") in right) for one in labels],
        "feedback": [said.get(f"{one.get('ident')}_fb") for one in labels],
        "said": said,
        "right": right,
        "bounds": bounds,
    }


def test_both_forms_hold_every_question_once(questions, moodle, qti):
    names = [question.name for question in questions]
    assert len(set(names)) == len(names) >= 60
    assert list(moodle) == list(qti) == names


def test_all_three_sources_are_in_it(questions, book):
    names = {question.name for question in questions}
    asked = [
        d for p in book.notebooks() for _, c in p.markdown() for d in c.metadata.get("predict", ())
    ]
    assert len([n for n in names if n.startswith("predict-")]) == len(asked) > 15
    table = (ROOT / "book/teach/guide.md").read_text("utf-8").split("(wrong-ideas)=")[1]
    rows = re.findall(r'^\| "', table, re.M)
    assert len([n for n in names if n.startswith("idea-")]) == len(rows) > 5
    assert set(BY_HAND) <= names


def test_both_forms_read_back_as_the_same_words_and_keys(questions, moodle, qti):
    for question in questions:
        ours, theirs = moodle[question.name], qti[question.name]
        assert words(ours["stem"]) == words(theirs["stem"]) != ""
        if question.kind == "number":
            continue
        both = zip(ours["answers"], theirs["answers"], strict=True)
        for (text, fraction), (other, right) in both:
            assert words(text).lower() == words(other).lower() != ""
            assert right == (fraction > 0), question.name
        for said, other in zip(ours["feedback"], theirs["feedback"], strict=True):
            assert words(said) == words(other) != "", question.name


def test_qti_has_a_picture_for_every_formula_a_displayed_one_too(questions, qti):
    for found in qti.values():
        for text in (found["stem"], *found["said"].values(), *(t for t, _ in found["answers"])):
            assert "$" not in "".join(Bare(text or "").found), found["name"]
    assert any("$$" in question.stem for question in questions)


class Bare(Words):
    """The words without the formulas that are pictures."""

    def handle_starttag(self, tag, attrs):
        pass


def test_in_moodle_each_kind_is_a_category_and_no_link_leaves_the_attempt(questions):
    root = ElementTree.fromstring(bank_formats.moodle(questions))
    of_kind, kind = {}, None
    for node in root:
        if node.get("type") == "category":
            kind = node.findtext("category/text").removeprefix(
                f"$course$/top/{bank_formats.TITLE}/"
            )
            assert kind not in of_kind
        else:
            of_kind.setdefault(kind, set()).add(node.findtext("name/text").partition("-")[0])
    judged = {"idea", "true"}
    assert of_kind == {"Predictions": {"predict"}, "True or false": judged, "Numbers": {"ex"}}
    links = re.findall(r"<a [^>]*>", "".join(node.text or "" for node in root.iter("text")))
    assert len(links) > 80 and all('target="_blank"' in link for link in links)


@pytest.mark.parametrize(
    "number, tol, said",
    [
        (89.1048787165, 1e-2, "89.1"),
        (2 / 37, 1e-3, "0.054054"),
        (123456.7, 1e-2, "123500"),
        (1728, 0, "1728"),
        (4864, 0, "4864"),
    ],
)
def test_a_number_is_shown_with_the_digits_that_its_tolerance_bears(number, tol, said):
    assert bank_numbers.shown(number, tol) == said
    assert abs(float(said) - number) <= tol * abs(number) / 10


def test_the_keys_are_those_of_the_notebooks(book, moodle):
    for page in book.notebooks():
        stem = page.name.removesuffix(".ipynb").removeprefix("book/").replace("/", "-")
        given = [d for _, cell in page.markdown() for d in cell.metadata.get("predict", ())]
        for at, data in enumerate(given, 1):
            found = moodle[f"predict-{stem}-{at}"]
            letters = list(data["feedback"])
            keys = [k for k, (_, fraction) in zip(letters, found["answers"]) if fraction > 0]
            assert keys == data["keys"]
            assert [words(said) for said in found["feedback"]] == [
                re.sub(r"\s", "", said) for said in data["feedback"].values()
            ]


def test_fractions_add_up_and_guessing_all_gains_nothing(questions, moodle):
    for question in questions:
        found = moodle[question.name]
        fractions = [fraction for _, fraction in found["answers"]]
        assert sum(f for f in fractions if f > 0) == pytest.approx(100, abs=1e-3)
        if question.kind == "several":
            assert found["single"] == "false"
            assert sum(fractions) == pytest.approx(0, abs=1e-3)
        else:
            assert fractions.count(100.0) == 1 and set(fractions) <= {0.0, 100.0}


def test_the_form_of_a_statement_does_not_say_whether_it_is_true(questions):
    for question in (q for q in questions if q.name.startswith(("idea-", "true-"))):
        frame, _, says = question.stem.partition("? ")
        assert frame == "True or false, as it stands"
        assert not re.match(r"As it|[“\"]", says) and not says.endswith(("”", '"'))


def test_a_predict_names_its_page_and_needs_no_other_question(questions, book):
    for question in (q for q in questions if q.name.startswith("predict-")):
        assert re.search(r"\n\n\*From\* \[.+\]\(https://\S+\.html\)\.$", question.stem)
        assert not re.search(r"(First|Second) question|^\*\*\d", question.stem)
    given = yaml.safe_load(bank.OWN.read_text("utf-8"))["restated"]
    stems = {question.name: question.stem for question in questions}
    assert len(given) >= 4 and all(stems[name].startswith(given[name].strip()) for name in given)
    with pytest.raises(Fault, match="^my.yml, restated: no question 'predict-x'; "):
        [*bank.restated(questions, {"predict-x": "?"}, "my.yml")]


LEANS = re.compile(
    r"\b(this|the|next|first|second|last) (figure|page|chapter|network below|section)\b"
    r"|\bthe next network|\bthe figure\b|\bthe (paper's α|ellipsoid formula|balanced minimum)"
    r"|\bon this page|\b(figure|shown) (above|below)|\]\(#",
    re.I,
)


def test_no_stem_leans_on_its_page(questions):
    for question in questions:
        stem = question.stem.rpartition("\n\n*From")[0] or question.stem
        assert not LEANS.search(stem), f"{question.name}: write it anew, under restated"
        if "the twin" in stem and question.name.startswith(("ex-", "predict-")):
            assert "A twin of this network has" in stem, question.name
        if "T_\\alpha" in stem:  # the letter is told
            assert re.search(r"T_\\alpha(\(|\$ multiplies)|that is \$T_|orbit", stem), question.name


def test_no_feedback_leans_on_its_page(questions):
    lost = re.compile(r"\bon this page|\bin the link\b|\bstep \d\b|\bthat is λ;|\]\(#")
    for question in questions:
        for said in (question.hint, *(option.feedback for option in question.options)):
            assert not lost.search(said), f"{question.name}: {said}"


def test_what_is_set_as_homework_is_no_question_of_the_bank(questions, book, monkeypatch, tmp_path):
    plan = course.read()
    by_number = {"ex-moves-half", "ex-volume-tight", "ex-follow-step"}
    assert by_number <= {task.label for one in plan.homeworks for task in one.tasks}
    assert by_number <= {question.name for question in questions}  # of no course
    asked = {}
    monkeypatch.setattr(bank, "questions", lambda *_, **more: asked.update(more) or [])
    monkeypatch.setattr(bank.bank_formats, "qti", lambda _: b"")
    bank.write(SimpleNamespace(book=book, shelf=None, course=plan), tmp_path)
    assert by_number <= asked["homework"]
    monkeypatch.setattr(bank.bank_numbers, "_run", lambda jobs: [])
    labels = [label for _, label in bank.bank_numbers._keys(book, course.shelf(), by_number)[0]]
    assert not by_number & {*labels} and {*BY_HAND} <= {*labels}


def test_ideas_are_false_and_their_company_is_true(questions, moodle):
    for name, found in moodle.items():
        if name.startswith(("idea-", "true-")):
            key = dict(found["answers"])
            assert key == {"true": 100.0 * name.startswith("true-"),
                           "false": 100.0 * name.startswith("idea-")}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_a_number_is_the_one_worked_out_by_hand_in_both_forms(name, moodle, qti):
    low, high = BY_HAND[name]
    (right,) = (k for k, (_, fraction) in enumerate(moodle[name]["answers"]) if fraction == 100)
    value = float(moodle[name]["answers"][right][0])
    tolerance = float(moodle[name]["tolerance"][right])
    near = 1e-9 if low == high else 2e-3
    assert (value - tolerance, value + tolerance) == pytest.approx((low, high), rel=near)
    found = qti[name]["bounds"] or [float(text) for text in qti[name]["right"]]
    assert (min(found), max(found)) == pytest.approx((low, high), rel=near)


def test_a_typical_wrong_number_is_told_what_went_wrong(moodle):
    found = moodle["ex-volume-pass"]
    said = dict(zip([float(t) for t, _ in found["answers"][:-1]], found["feedback"]))
    assert "half of the loss" in said[4.0] and "forgot the square" in said[1.0]
    assert found["answers"][-1] == ("*", 0.0) and "valleys" in found["feedback"][-1]


def test_every_formula_and_link_can_be_followed_elsewhere(questions, moodle):
    for found in moodle.values():
        for text in (found["stem"], *found["feedback"], *(t for t, _ in found["answers"])):
            assert "$" not in text and "{cite" not in text and "{ref" not in text, text
            for address in re.findall(r'href="([^"]*)"', text):
                assert address.startswith("https://")
    assert any(r"\(" in found["stem"] for found in moodle.values())


def option(text, right=False, feedback="so."):
    return Option(text, right, feedback)


REFUSED = {
    "q has no key: one of its options is right.": Question("q", "?", (option("a"), option("b"))),
    "q has 2 keys, A, C: one is right.": Question(
        "q", "?", (option("a", True), option("b"), option("c", True))
    ),
    "q has no feedback for 'b'.": Question("q", "?", (option("a", True), option("b", feedback=""))),
    "q names 'as B'; Canvas shows no letters beside options.": Question(
        "q", "?", (option("a", True), option("b"), option("c, the same as B"))
    ),
    "q needs two options or more.": Question("q", "?", (option("a", True),)),
    "q has a role or a relative link, which no other program follows.": Question(
        "q", "see [it](../map.md)", (option("a", True), option("b"))
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_question_that_cannot_be_answered_is_refused_in_a_sentence(sentence):
    assert list(faults(REFUSED[sentence])) == [sentence]


def test_a_teachers_own_question_comes_in_and_needs_its_key(tmp_path, book, monkeypatch):
    monkeypatch.setattr(bank.bank_numbers, "questions", lambda *_: [])
    shelf = SimpleNamespace(exercises={})
    own = {"ask": "Is $1 + 1 = 2$?", "options": [
        {"text": "Yes", "feedback": "Count.", "right": True}, {"text": "No", "feedback": "Do."},
    ]}  # fmt: skip
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump({"questions": [own]}), encoding="utf-8")
    last = bank.questions(book, shelf, path)[-1]
    assert (last.stem, last.kind, [o.right for o in last.options]) == (
        own["ask"],
        "choice",
        [True, False],
    )
    own["options"][0].pop("right")
    path.write_text(yaml.safe_dump({"questions": [own]}), encoding="utf-8")
    with pytest.raises(
        Fault, match=r"^mine\.yml, question 1 has no key: one of its options is right"
    ):
        bank.questions(book, shelf, path)
    path.write_text(yaml.safe_dump({"questions": [{"ask": "?"}]}), encoding="utf-8")
    with pytest.raises(
        Fault, match=r"^mine\.yml, question 1 needs ask and options, each with text"
    ):
        bank.questions(book, shelf, path)


def test_predict_cells_without_a_key_are_refused(book, monkeypatch):
    page = next(p for p in book.notebooks() for _, c in p.markdown() if c.metadata.get("predict"))
    empty = pages.Page(page.name, [c.copy() for c in page.cells])
    for cell in empty.cells:
        if data := cell.metadata.get("predict"):
            cell.metadata = cell.metadata | {"predict": [d | {"keys": []} for d in data]}
    found = [s for question in bank.predicted(empty, book) for s in faults(question)]
    assert found and all(s.endswith("has no key: one of its options is right.") for s in found)
