"""The question bank: every *Predict*, the guide's wrong ideas as true or false, numeric exercises.

Keys are data: the metadata of a Predict cell, the column of the guide's table, book/teach/bank.yml,
the check of an exercise. `write` makes bank.qti.zip (Canvas and others) and bank.moodle.xml of the
same questions.
"""

import re
from dataclasses import replace

import yaml

from tools import ROOT, bank_formats, bank_numbers, student
from tools.chapter_rules import ANSWER, LISTS
from tools.course_rules import nearest
from tools.places import Fault
from tools.plain import Here, plain
from tools.questions import Option, Question, faults

OWN = ROOT / "book" / "teach" / "bank.yml"
GUIDE = "book/teach/guide"
IDEA = re.compile(r'^\| "(.+?)" \| (.+?) \|$', re.M)
CHOICE = re.compile(r"^- \*\*([A-Z])\.\*\* (.*(?:\n +\S.*)*)", re.M)
COUNTED = re.compile(r"^\*\*(?:\w+ question|\d+)\.\*\* ", re.M)  # its place among its page's
LABEL = re.compile(r"\]\(#([\w-]+)\)")  # a label of any page, as MyST has it


def write(kit, folder):
    homework = {task.label for one in kit.course.homeworks for task in one.tasks}
    found = questions(kit.book, kit.shelf, homework=homework)
    (folder / "bank.moodle.xml").write_bytes(bank_formats.moodle(found))
    (folder / "bank.qti.zip").write_bytes(bank_formats.qti(found))


def questions(book, shelf, own=OWN, homework=()):
    """Every question of the bank; Fault has a sentence for each that has no key, or two.

    An exercise whose label is in `homework` is none: its key would be out before the marks.
    """
    raw = yaml.safe_load(own.read_text(encoding="utf-8")) or {}
    found = [q for page in book.notebooks() for q in predicted(page, book)]
    numbers = bank_numbers.questions(book, shelf, homework)
    retold = [*restated([*found, *numbers], raw.get("restated") or {}, own.name, homework)]
    found, numbers = retold[: len(found)], retold[len(found) :]
    found += [*wrong_ideas(book), *true_statements(raw, book), *_own(raw, own.name), *numbers]
    if wrong := [sentence for question in found for sentence in faults(question)]:
        raise Fault("\n".join(wrong))
    return found


def predicted(page, book):
    """The questions of a page's Predict cells, and of its self-test, each with its page's link."""
    name = page.name.removesuffix(".ipynb")
    link = f"*From* [{book.places.titles[name]}]({book.places.address(name)})."
    here = Here(name, book.places, book.works, {}, student.EVERY_FOLD)
    label, found = f"predict-{name.removeprefix('book/').replace('/', '-')}", []
    for _, cell in page.markdown():
        text = re.sub(r"^#+ .*$", "", ANSWER.sub("", cell.source), flags=re.M)
        stems = LISTS.split(text)
        given = cell.metadata.get("predict", [])
        for stem, choices, data in zip(stems, LISTS.findall(text), given):
            options = tuple(_option(*row, data, here) for row in CHOICE.findall(choices))
            words = f"{plain(COUNTED.sub('', stem), here)}\n\n{link}"
            found.append(Question(f"{label}-{len(found) + 1}", words, options))
    return found


def restated(found, stems, file, left_out=()):
    """The questions, those that `stems` names in words which need nothing of their page."""
    names = {question.name for question in found}.union(left_out)
    for name in stems:
        if name not in names:
            raise Fault(f"{file}, restated: no question {name!r}; {nearest(name, names)}")
    for question in found:
        link = question.stem.rpartition("\n\n")[2]
        told = stems.get(question.name)
        yield replace(question, stem=f"{told.strip()}\n\n{link}") if told else question


def _option(letter, text, data, here):
    words = plain(" ".join(text.split()), here)
    return Option(words, letter in data["keys"], data["feedback"][letter])


def wrong_ideas(book):
    """The guide's table of wrong ideas: each of them is false."""
    page = book.pages[GUIDE]
    here = Here(GUIDE, book.places, book.works, {})
    for at, (heard, holds) in enumerate(IDEA.findall(page.text()), 1):
        said = plain(LABEL.sub(lambda m: f"]({book.places.of_label(m[1])[0]})", holds), here)
        yield _judged(f"idea-{at}", plain(heard, here), False, f"What holds: {said}")


def true_statements(raw, book):
    for at, one in enumerate(raw.get("true_statements") or (), 1):
        if set(one) != {"says", "feedback", "page"} or f"book/{one['page']}" not in book.pages:
            raise Fault(f"bank.yml, statement {at} needs says, feedback and a page of the book.")
        page = f"[{book.places.titles['book/' + one['page']]}]"
        link = f"{page}({book.places.address('book/' + one['page'])})"
        yield _judged(f"true-{at}", one["says"], True, f"{one['feedback']} See {link}.")


def _judged(name, says, holds, feedback):
    """A statement to call true or false, in one frame; both answers hear the same reasons."""
    stem = f"True or false, as it stands? {says}"
    told = {True: f"Yes. {feedback}", False: f"Not so. {feedback}"}
    options = [Option(str(said), said == holds, told[said == holds]) for said in (True, False)]
    return Question(name, stem, tuple(options))


def _own(raw, file):
    for at, one in enumerate(raw.get("questions") or (), 1):
        try:
            options = tuple(
                Option(str(o["text"]), o.get("right") is True, str(o["feedback"]))
                for o in one["options"]
            )
            yield Question(f"{file}, question {at}", str(one["ask"]), options)
        except (KeyError, TypeError, AttributeError):
            raise Fault(
                f"{file}, question {at} needs ask and options, each with text and feedback."
            ) from None
