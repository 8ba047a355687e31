"""Every word is spelled as Oxford spells it, every work is cited, and a sentence is counted right.

Oracle: a British dictionary of hunspell's, from npm, which knows nothing of this book;
misspellings, American forms and counts that are written here by hand.
"""

import os
import re

import pytest
from nbformat.v4 import new_code_cell as code
from nbformat.v4 import new_markdown_cell as text
from pybtex.database import parse_file

from tools import ROOT, npm, pages, words

SLIP = "shapness"


@pytest.fixture(scope="module")
def spelling():
    """The book's spelling; without a network none, and with CI set that is a failure."""
    try:
        return words.spelling()
    except npm.NotThere as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@pytest.fixture(scope="module")
def everything():
    return list(words.texts())


def test_every_word_is_spelled_as_the_dictionary_or_the_books_own_list_has_it(spelling, everything):
    found = [f"{where}: {word}" for where, said in everything for word in spelling.unknown(said)]
    assert not found, "mend it, or, if it is a name or a term, add it to tools/words.txt:\n" + (
        "\n".join(found)
    )


PLANTED = {
    "prose": text(f"A measure of {SLIP} that lasts."),
    "heading": text(f"## The {SLIP} of a minimum"),
    "title of a box": text(f":::{{prf:theorem}} The {SLIP} of it\n:label: a-b\n:::"),
    "words of a link": text(f"[the {SLIP}](#fig) and [b](c.md)"),
    "words of a reference": text(f"{{ref}}`The {SLIP} <ex-a>` and {{prf:ref}}`b <c>`"),
    "row of a table": text(f"| a | the {SLIP} |"),
    "feedback": text("x", metadata={"predict": [{"feedback": {"A": f"No: {SLIP} it is."}}]}),
    "line on a chapter": text("x", metadata={"chapter": {"line": f"The {SLIP} falls."}}),
    "caption": code(f'explore(draw, name="a-b", caption="The {SLIP} falls.", alt="a line")'),
    "alt text": code(f'explore(draw, name="a-b", caption="It falls.", alt="the {SLIP} as a line")'),
    "result line": code(f'say(f"The {SLIP} is {{x:.2f}} here.")'),
    "comment": code(f"x = 1  # the {SLIP} of it"),
    "title of a fold": code(f"#@title Draw the {SLIP}\nx = 1"),
}


@pytest.mark.parametrize("place", PLANTED)
def test_a_misspelling_is_found_wherever_a_reader_meets_it(place, spelling):
    page = pages.Page("book/a.ipynb", [text("# A title"), PLANTED[place]])
    found = [(at, w) for at, said in words.of_page(page) for w in spelling.unknown(said)]
    assert set(found) == {("book/a.ipynb cell 2", SLIP)}


@pytest.mark.parametrize(
    "source",
    [
        f'"""The {SLIP} comes back."""',
        f'def f():\n    """The {SLIP} comes back."""',
        f"x = 1  # its {SLIP}",
        f'raise ValueError(f"alpha needs a {SLIP}, got {{x}}.")',
    ],
)
def test_a_misspelling_is_found_in_docstrings_comments_and_errors(source, spelling):
    said = words.of_module("helpers/maps/_a.py", source)
    assert [w for _, one in said for w in spelling.unknown(one)] == [SLIP]


def test_code_formulas_addresses_and_names_in_capitals_are_no_words(spelling):
    said = (
        '`shapness` and $shapness$ and [a](shapness.md) and <a href="shapness">b</a>, a '
        "{cite:p}`shapness2017`, θ₁shapness, ShapNess, SHAPNESS\n:label: shapness\n\n"
        "```python\nshapness = 1\n```"
    )
    assert list(spelling.unknown(said)) == []
    source = 'names = "shapness curvture".split()\nx = re.compile("shapness |a")'
    assert [said for _, said in words.of_module("helpers/maps/_a.py", source)] == []


OXFORD = "generalize generalization minimizing colour centre analyse exercise raised promise noise"
OTHERS = "generalise generalisation minimising color center analyze excercise labeled gray modeling"


def test_it_is_british_with_ize_and_neither_ise_nor_american(spelling):
    assert list(spelling.unknown(OXFORD)) == []
    assert list(spelling.unknown(OTHERS)) == OTHERS.split()
    assert list(spelling.unknown("The page's claims don't change; Keskar’s do.")) == []


def test_the_books_own_words_are_in_order_and_each_of_them_is_needed(spelling, everything):
    """A name may wait for its page: it hides no slip, for it begins with a capital."""
    own = words.OWN.read_text(encoding="utf-8").split()
    assert own == sorted(set(own), key=lambda word: (word.lower(), word))
    bare = words.Spelling(spelling.british, spelling.american, set())
    needed = {word.lower() for _, said in everything for word in bare.unknown(said)}
    assert not [word for word in own if word.islower() and word not in needed]
    assert not [word for word in own if bare.knows(word)]


def test_sentences_and_negations_are_counted():
    said = (
        "# No heading counts\n\nOne two three. It does not fall, and `code` isn't\nread: never!\n\n"
        "| no | table |\n|---|---|\n\n- An item of a list\n- Nothing else *here.* Then $x$ more."
    )
    lengths = [len(found) for found in words.sentences(said)]
    assert lengths == [3, 8, 5, 3, 2]
    total, mean, longest, denied = words.measured(said)
    assert (total, mean, longest) == (21, 21 / 5, 8)
    assert denied == pytest.approx(100 * 4 / 21)
    assert words.measured("") == (0, 0, 0, 0)


def test_lint_prints_a_line_for_each_page(capsys):
    words.main()
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["page", "words", "a", "sentence", "longest", "no,", "in", "100"]
    assert [row.split()[0] for row in rows] == [
        path.relative_to(ROOT).as_posix() for path in pages.sources()
    ]
    assert all(re.fullmatch(r"\S+ +\d+ +\d+\.\d +\d+ +\d+\.\d", row) for row in rows)


CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def citations(said):
    """The keys that Markdown texts cite."""
    return {key.strip() for one in said for keys in CITED.findall(one) for key in keys.split(",")}


def test_each_work_is_cited_on_a_page_that_uses_it_and_each_citation_has_its_work():
    read = [pages.read(path) for path in pages.sources()]
    cited = citations(p.text() for p in read if p.name != "book/references.md")
    assert cited == set(parse_file(str(ROOT / "book" / "references.bib")).entries)
    assert citations(["{cite:t}`a, b` and {cite:p}`c`", "`d` {cite}`e`"]) == {*"abce"}
