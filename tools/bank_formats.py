"""The question bank in the two forms that learning platforms import.

QTI is made by text2qti, whose formulas a Canvas draws. Moodle's XML is written here: HTML in CDATA,
formulas between \\( and \\), which the MathJax filter of Moodle draws.
"""

import html
import io
import re
import subprocess
import tempfile
import zipfile
from itertools import groupby
from pathlib import Path
from xml.dom.minidom import Document

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools import environment, kit_environment
from tools.places import Fault

TEXT2QTI = "from text2qti.cmdline import main; main()"
TITLE = "Sharp minima can generalize"
KEPT = b"Private (Copyrighted) - http://en.wikipedia.org/wiki/Copyright"
LICENCE = b"CC BY 4.0 - https://creativecommons.org/licenses/by/4.0/"
DISPLAYED = re.compile(r"\$\$\s*(.+?)\s*\$\$", re.S)  # text2qti leaves it as it is
SHARE = 5  # Moodle knows the fraction of a key with so many decimals: 33.33333


def as_html(markdown):
    """Markdown as HTML: formulas between \\( and \\), and no link leads away from an attempt."""
    return _READER.render(markdown).strip().replace("<a href=", '<a target="_blank" href=')


def _formula(content, options):
    begin, end = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{begin}{html.escape(content.strip(), quote=False)}{end}"


_READER = MarkdownIt("commonmark").use(dollarmath_plugin, renderer=_formula, double_inline=True)


# Moodle


def moodle(questions):
    """The bank as Moodle XML, UTF-8."""
    document = Document()
    quiz = document.appendChild(document.createElement("quiz"))
    for kind, group in groupby(questions, _kind):  # a teacher may draw at random from one
        category = _add(quiz, "question", type="category")
        _text(_add(category, "category"), f"$course$/top/{TITLE}/{kind}")
        for question in group:
            _question(quiz, question)
    return document.toxml(encoding="utf-8")


KINDS = {  # the begin of a question's name → its category
    "predict": "Predictions",
    "idea": "True or false",
    "true": "True or false",
    "ex": "Numbers",
}
MOODLE = {"choice": "multichoice", "several": "multichoice", "truefalse": "truefalse"}


def _kind(question):
    return KINDS.get(question.name.partition("-")[0], "Your own")


def _question(quiz, question):
    kind = MOODLE.get(question.kind, "numerical")
    node = _add(quiz, "question", type=kind)
    _text(_add(node, "name"), question.name)
    _text(_add(node, "questiontext", format="html"), as_html(question.stem), marked=True)
    _add(node, "defaultgrade", "1")
    if kind == "multichoice":
        _add(node, "single", str(question.kind == "choice").lower())
        _add(node, "shuffleanswers", "false")
        _add(node, "answernumbering", "ABCD")
    for option in question.options:
        _answer(node, question, option, kind)
    if kind == "numerical":
        other = _add(node, "answer", fraction="0")
        _text(other, "*")
        _feedback(other, f"Not yet: {question.hint}")


def _answer(node, question, option, kind):
    form = {"format": "html"} if kind == "multichoice" else {}
    answer = _add(node, "answer", fraction=_fraction(question, option), **form)
    words = {"truefalse": option.text.lower(), "multichoice": as_html(option.text)}
    _text(answer, words.get(kind, option.text), marked=kind == "multichoice")
    if kind == "numerical":
        _add(answer, "tolerance", f"{abs(float(option.text)) * question.tol:.6g}")
    _feedback(answer, option.feedback)


def _fraction(question, option):
    """100 for the one key; where there are several, their share, and as much off for the others."""
    right = sum(one.right for one in question.options)
    count = right if option.right else len(question.options) - right
    if question.kind != "several":
        return "100" if option.right else "0"
    share = round(100 / count, SHARE)
    return f"{share if option.right else -share:.5f}".rstrip("0").rstrip(".")


def _feedback(node, words):
    _text(_add(node, "feedback", format="html"), as_html(words), marked=True)


def _add(parent, name, words=None, **attributes):
    document = parent.ownerDocument
    node = parent.appendChild(document.createElement(name))
    for key, value in attributes.items():
        node.setAttribute(key, value)
    if words is not None:
        node.appendChild(document.createTextNode(words))
    return node


def _text(parent, words, marked=False):
    text = _add(parent, "text")
    make = parent.ownerDocument.createCDATASection if marked else text.ownerDocument.createTextNode
    text.appendChild(make(words))


# QTI


def qti(questions):
    """The bank as the zip that text2qti makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bank.txt")
        path.write_text(text2qti(questions), encoding="utf-8")
        done = subprocess.run(
            [kit_environment.python(), "-c", TEXT2QTI, path],
            cwd=folder,
            env=environment.variables(HOME=folder, PYTHONUTF8="1"),
            capture_output=True,
            text=True,
        )
        made = path.with_suffix(".zip")
        if done.returncode or not made.exists():
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise Fault(f"text2qti made no package of the bank: it said {said!r}.")
        return licensed(made.read_bytes())


def licensed(package):
    """The package with the book's licence, where text2qti writes that all rights are kept."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry).replace(KEPT, LICENCE))
    return made.getvalue()


def text2qti(questions):
    """The bank in the words of text2qti."""
    parts = [f"Quiz title: {TITLE}\nShuffle answers: false"]
    for at, question in enumerate(questions, 1):
        lines = [f"Title: {question.name}", _item(f"{at}.", question.stem)]
        lines += _number(question) if question.kind == "number" else _choices(question)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _choices(question):
    for letter, option in zip("abcdefghij", question.options):
        mark = ("[*]" if option.right else "[ ]") if question.kind == "several" else None
        yield _item(mark or f"{'*' * option.right}{letter})", option.text)
        yield _item("...", option.feedback)


def _number(question):
    yield _item("+", "Right.")
    yield _item("-", f"Not yet: {question.hint}")
    value = question.value
    near = abs(value) * question.tol
    yield f"= {value}" if isinstance(value, int) else f"= {value!r} +- {near!r}"


def _item(mark, text):
    """One item: what follows its mark is indented as far as its first line."""
    indent = " " * 8
    first, *rest = DISPLAYED.sub(r"$\1$", text).strip().split("\n")
    return "\n".join([f"{mark:8}{first}", *(f"{indent}{line}" if line else "" for line in rest)])
