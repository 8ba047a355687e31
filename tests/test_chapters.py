"""Every page keeps the chapter contract, and every way of breaking it is named.

Oracle: the committed sources. The planted faults start from one small page that keeps the contract
and break it in one place each, so that a rule which lets everything pass is found out.
"""

import re
from itertools import pairwise

import pytest
from nbformat import writes
from nbformat.v4 import new_code_cell as code
from nbformat.v4 import new_markdown_cell as text
from nbformat.v4 import new_notebook, new_output, new_raw_cell

from tools import ROOT, chapter_rules, contract, exercise_index, fold, pages, repository

PAGES = pages.sources()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_keeps_the_contract(path):
    faults = contract.faults(pages.read(path))
    assert not faults, "\n".join(faults)


def test_toc_and_folder_agree():
    found = [path.relative_to(ROOT).as_posix() for path in PAGES]
    faults = list(contract.strays(pages.table_of_contents(), found))
    assert not faults, "\n".join(faults)


def test_each_chapter_leads_to_the_one_after_it():
    chapters = [one for one in exercise_index.chapters(ROOT) if pages.read(one).is_chapter]
    for path, after in pairwise(chapters):
        way = after.name if after.parent == path.parent else f"../{after.parent.name}/{after.name}"
        leads = re.search(r"^\*\*Next\.\*\* .*", pages.read(path).text(), re.M)[0]
        assert f"({way})" in leads, (
            f"{path.stem} needs **Next.** to lead to {way}, as _toc.yml does."
        )


def test_no_label_is_given_twice():
    labels = [
        (label, path.relative_to(ROOT).as_posix())
        for path in PAGES
        for label in re.findall(r"^:label: *(\S+)", pages.read(path).text(), re.M)
    ]
    where = {}
    for label, name in labels:
        where.setdefault(label, []).append(name)
    twice = [f"{label} stands in {' and '.join(at)}." for label, at in where.items() if at[1:]]
    assert not twice, "\n".join(twice)


def test_a_stray_a_missing_and_a_double_page_are_named():
    named, found = ["book/a", "book/b"], ["book/a.md", "book/a.ipynb", "book/c.ipynb"]
    assert list(contract.strays(named, found)) == [
        "book/c.ipynb needs a line in _toc.yml: a page outside it is built by nobody.",
        "book/a is there as .ipynb and as .md: one name, one page.",
        "_toc.yml names book/b, and there is no such page.",
    ]


FACTS = {"short": "A small page", "gives": "a form", "line": "It is small.", "minutes": [7, 6]}
DATA = {"keys": ["B"], "feedback": {"A": "One sentence for A.", "B": "One sentence for B."}}
QUESTION = """\
## Predict

Which one?

- **A.** the first
- **B.** the second

:::{dropdown} Answer, after you have chosen
**B.** Because it is second.
:::"""
REASONS = """\
:::{solution-start} ex-{k}
:class: dropdown
:::
The first reason is that x is one. The second reason is that y is what x is, and so y is one too."""
CHECKS = "#@title The checks\n" + "\n".join(
    f'check_{k} = exercise("ex-{k}", truth=1, hint="h", wrong={{2: "two", 3: "three"}})'
    for k in "abc"
)


def folded(source, *names):
    """A code cell with tags, folded in every host."""
    keys = {"tags": list(names), "cellView": "form", "jupyter": {"source_hidden": True}}
    return code(source, metadata=keys)


def good_page():
    """A small chapter that keeps every rule."""
    url, _ = repository.address()
    first = "# A small page keeps its contract\n\n**Question.** Is it small?\n\n**Answer.** It is."
    cells = [
        text(first, metadata={"chapter": dict(FACTS)}),
        folded(repository.first_cell(url), "remove-cell", "setup"),
        folded("#@title Imports\nfrom helpers import explore, exercise", "hide-input"),
        folded(DRAWING, "hide-input"),
        text("**You need.** Section 4.1 and $x = 0.5$."),
        text(QUESTION, metadata={"predict": [DATA]}),
    ]
    for head in chapter_rules.SECTIONS[1:4]:
        cells += [text(f"## {head}\n\n:::{{note}}\nPlain.\n:::"), *(code("x = 1") for _ in "abcd")]
    cells += [folded(CHECKS, "remove-cell"), text("## Exercises")]
    for k in "abc":
        cells += [
            text(f":::{{exercise}} Core, 2 minutes: name\n:label: ex-{k}\nSolve.\n:::"),
            code(f"y_{k} = None\n\ncheck_{k}(y_{k});"),
            text(REASONS.replace("{k}", k)),
            code(f"y_{k} = x\nassert check_{k}(y_{k})"),
            text(":::{solution-end}\n:::"),
        ]
    cells += [
        text("## Take away\n\nSo.\n\n**One honest limit.** Small.\n\n**Next.** More? [On](b)."),
        folded("#@title Check the page\nassert x == 1", "remove-cell", "test"),
    ]
    return pages.Page(
        "book/argument/a_small_page.ipynb", cells, {"kernelspec": {"name": "python3"}}
    )


DRAWING = """\
#@title Draw the line
figs = []


def draw(alpha):
    return str(alpha + depth)


explore(draw, fig=figs, name="n", caption="c", alt="a")"""
TITLE, INSTALL, IMPORTS, FIGURE, NEED, PREDICT, CLAIM, SHOWN = range(8)
CHECKING, ASKED, STARTER, REASON, SOLVED, TEST = 21, 23, 24, 25, 26, -1


def test_the_good_page_is_good():
    assert contract.faults(good_page()) == []


def test_a_word_that_lights_a_curve_is_no_link():
    page = good_page()
    page.cells[SHOWN].source = 'x = "[the trace](trace) rises"'
    assert contract.faults(page) == []


def plant(at, source, **metadata):
    """A change of one cell of the good page."""

    def change(page):
        page.cells[at].source = source
        page.cells[at].metadata.update(metadata)

    return change


def swap(at, old, new):
    """A change of some words of one cell."""

    def change(page):
        assert old in page.cells[at].source
        page.cells[at].source = page.cells[at].source.replace(old, new)

    return change


def keys(at, **metadata):
    return lambda page: page.cells[at].metadata.update(metadata)


def drop(at):
    return lambda page: page.cells.pop(at)


def typed(sentence):
    return swap(CLAIM, "Plain.", sentence)


def with_output(page):
    page.cells[SHOWN].outputs = ["anything"]


def with_count(page):
    page.cells[SHOWN].execution_count = 3


def long_cells(page):
    for _, cell in page.code():
        if cell.source == "x = 1":
            cell.source = "x = 1\n" * 7 + "x"


def few_cells(page):
    plain = [cell for cell in page.cells if cell.source == "x = 1"]
    page.cells = [cell for cell in page.cells if cell not in plain[:6]]


def no_kernel(page):
    page.metadata = {"widgets": {}, "language_info": {"name": "python", "version": "3.12.1"}}


def question(**change):
    return keys(PREDICT, predict=[DATA | change])


def facts(**change):
    return keys(TITLE, chapter=FACTS | change)


FEEDBACK = DATA["feedback"]
FAULTS = {
    "no title": (plant(TITLE, "A page"), "cell 1 needs a title"),
    "badge": (
        swap(TITLE, "small?", "https://colab.research.google.com"),
        "cell 1 types a Colab badge",
    ),
    "no answer": (swap(TITLE, "**Answer.**", ""), "cell 1 needs title, Question and Answer"),
    "long answer": (swap(TITLE, "It is.", "It is. " * 30), "cell 1 asks and answers in 63 words"),
    "formula": (swap(TITLE, "It is.", "$x$ is."), "cell 1 asks or answers with a formula"),
    "no facts": (keys(TITLE, chapter={}), "cell 1 needs minutes in its metadata under chapter"),
    "long name": (facts(short="x" * 23), "cell 1 needs a shorter name"),
    "install cell": (plant(INSTALL, "%pip install helpers"), "cell 2 needs the install cell"),
    "install tags": (keys(INSTALL, tags=["setup", "remove-input"]), "cell 2 needs the tags"),
    "wall": (plant(IMPORTS, "import torch", tags=[]), "cell 3 needs to be the imports"),
    "late import": (plant(SHOWN, "import torch"), "cell 8 imports: all imports"),
    "back door": (
        swap(IMPORTS, "from helpers ", "from helpers.live "),
        "needs `from helpers import",
    ),
    "kernel": (no_kernel, "needs the kernelspec python3, got None"),
    "widgets": (no_kernel, "holds the state of widgets"),
    "machine": (no_kernel, "says which Python ran it"),
    "output": (with_output, "cell 8 has outputs"),
    "count": (with_count, "cell 8 has an execution count"),
    "unkept": (plant(SHOWN, "# NBVAL_CHECK_OUTPUT\nx"), "cell 8 needs both # NBVAL_CHECK_OUTPUT"),
    "unknown tag": (keys(SHOWN, tags=["hide_input"]), "cell 8 has the tag 'hide_input'"),
    "unread key": (keys(SHOWN, execution={}), "cell 8 has 'execution' in its metadata"),
    "no #@title": (
        swap(FIGURE, "#@title Draw the line", "# line"),
        "cell 4 needs a first line #@ti",
    ),
    "not for Colab": (keys(FIGURE, cellView="both"), "cell 4 is folded on the site alone"),
    "not for Jupyter": (keys(FIGURE, jupyter={}), "cell 4 is folded on the site alone"),
    "interact": (plant(SHOWN, "interact(f, x=1)"), "cell 8 uses interact"),
    "decorator": (plant(SHOWN, "@interact\ndef f(): pass"), "cell 8 uses interact"),
    "glue": (plant(SHOWN, "glue('x', 1)"), "cell 8 uses glue"),
    "threads": (plant(SHOWN, "torch.set_num_threads(1)"), "cell 8 changes a global setting"),
    "many threads": (swap(IMPORTS, "from helpers", "import torch\nfrom helpers"), "'one-thread'"),
    "dtype": (plant(SHOWN, "torch.set_default_dtype(f)"), "cell 8 changes a global setting"),
    "no alt": (swap(FIGURE, ', alt="a"', ""), "explore needs alt="),
    "no handle": (
        swap(FIGURE, 'alt="a"', 'alt="a", alpha=log_knob(0.1, 10)'),
        "cell 4: slider alpha needs drag=, or why= there is none",
    ),
    "hidden knobs": (swap(FIGURE, 'alt="a"', 'alt="a", **k'), "hides its knobs behind **"),
    "much drawing": (swap(FIGURE, "figs = []", "figs = []\n" * 45), "cell 4 draws in 54 lines"),
    "measures": (swap(FIGURE, "figs = []", "def f():\n    pass"), "cell 4 defines f beside draw"),
    "dies": (plant(SHOWN, "depth = 1"), "cell 4 draws with depth, which cell 8 rebinds"),
    "dies later": (
        lambda page: [
            swap(FIGURE, "depth", "f()")(page),
            plant(SHOWN, "def f():\n    return y_a")(page),
        ],
        "cell 4 draws with y_a, which cell 25 rebinds",
    ),
    "raw cell": (
        lambda page: page.cells.insert(FIGURE, new_raw_cell("x")),
        "cell 4 is of the kind 'raw'",
    ),
    "pasted": (
        lambda page: page.cells[CLAIM].update(attachments={"a.png": {}}),
        "cell 7 has a picture pasted in",
    ),
    "word with a tag": (keys(CLAIM, tags=["hide-imput"]), "cell 7 has the tag 'hide-imput'"),
    "inner box": (typed("- a\n\n  :::{note}\n  b\n  :::"), "cell 7 has ':::{note}': a directive"),
    "filled in": (typed("It is {{ x }}."), "cell 7 has '{{ x }}': only Sphinx"),
    "quotes": (typed("<a href='x.html'>x</a>"), "so that the link is followed"),
    "link below": (typed("[x][1]\n\n[1]: x.ipynb"), "cell 7 has '[1]: x.ipynb': write the"),
    "image": (typed("![x](y.png)"), "cell 7 has '![x](y.png)': draw pictures"),
    "picture": (typed('<img src="y.png">'), "draw pictures in a code cell"),
    "code first": (lambda page: page.cells.insert(FIGURE, code("x")), "cell 4 stands before the"),
    "words first": (lambda page: page.cells.insert(FIGURE, text("x")), "cell 4 stands before the"),
    "no need": (drop(NEED), "cell 5 needs to be **You need.** and nothing else"),
    "need and more": (swap(NEED, "**You", "Here.\n\n**You"), "cell 5 needs to be **You need.**"),
    "scrap": (plant(SHOWN, 'x = (\n    "A long sentence goes on "\n    "by "\n)'), "at the scrap"),
    "role": (plant(SHOWN, 'x = "see {ref}`a`"'), "cell 8 has a role or a relative link"),
    "relative": (plant(SHOWN, 'x = "[a](b.ipynb)"'), "cell 8 has a role or a relative link"),
    "section": (drop(CLAIM), "needs the sections"),
    "no limit": (swap(-2, "One honest", "Honest"), "needs a paragraph that begins **One honest"),
    "no next": (swap(-2, "**Next.**", "Next."), "needs a paragraph that begins **Next.**"),
    "no test": (drop(TEST), "needs the tags remove-cell and test"),
    "no assert": (swap(TEST, "assert ", ""), "needs an assert"),
    "no data": (keys(PREDICT, predict=[]), "cell 6 needs metadata predict"),
    "two data": (
        keys(PREDICT, predict=[DATA, DATA]),
        "cell 6 has 1 lists of choices and data for 2",
    ),
    "no key": (question(keys=["C"]), "cell 6 needs keys among A, B, got ['C']"),
    "no feedback": (question(feedback={"A": "x" * 20}), "cell 6 needs feedback for A, B"),
    "bad feedback": (
        question(feedback=FEEDBACK | {"A": "It is $x$, of course."}),
        "feedback for A",
    ),
    "no fold": (swap(PREDICT, ", after you have chosen", ""), "cell 6 needs a fold 'Answer, after"),
    "other key": (question(keys=["A"]), "cell 6 says B in its fold, and its keys are A."),
    "two keys": (swap(PREDICT, "Because it", "And **A**: it"), "says B, A in its fold"),
    "exercise": (drop(ASKED), "needs 3 exercises with labels, got 2"),
    "unsolved": (plant(REASON, "nothing"), "needs a solution for ex-a"),
    "unfolded": (swap(REASON, ":class: dropdown\n", ""), "needs :class: dropdown on the solution"),
    "no starter": (drop(STARTER), "needs a starter for ex-a"),
    "no check": (plant(STARTER, "y_a = None"), "needs one check_…(NAME) for ex-a"),
    "other name": (swap(SOLVED, "y_a = x", "z = x"), "of ex-a needs to bind y_a"),
    "unmet": (
        swap(SOLVED, "assert check_a(y_a)", "assert x"),
        "needs to end in assert check_a(y_a)",
    ),
    "called alone": (
        swap(SOLVED, "assert check_a(y_a)", "check_a(y_a)"),
        "needs to end in assert check_a(y_a)",
    ),
    "wordless": (
        swap(REASON, "The first reason is that x is one.", ""),
        "two sentences of reasoning",
    ),
    "no key cell": (swap(CHECKING, "ex-a", "ex-z"), "needs exercise('ex-a', …) in a hidden cell"),
    "one wrong": (swap(CHECKING, ', 3: "three"', ""), "needs 2 wrong answers or more"),
    "number given": (swap(STARTER, "(y_a)", "(y_a, 31)"), "cell 25 gives 31 to check"),
    "nested": (swap(STARTER, "(y_a)", "(y_a, g(y) < 1e-9)"), "cell 25 gives 1e-09 to check_a"),
    "few cells": (few_cells, "shown code cells, got 9"),
    "long cell": (plant(SHOWN, "x = 1\n" * 16), "cell 8 needs <= 15 lines, got 16"),
    "median": (long_cells, "needs a median of <= 6 shown lines a cell, got 8"),
    "slow reader": (facts(minutes=[50, 6]), "cell 1 states 50 minutes to read, and the formula"),
    "one time": (facts(minutes=[7]), "cell 1 needs two whole numbers as its minutes"),
    "half a minute": (facts(minutes=[7.5, 6]), "cell 1 needs two whole numbers as its minutes"),
    "cut short": (
        lambda page: page.cells.__delitem__(slice(IMPORTS, None)),
        "cell 3 needs to be the imports",
    ),
    "slow exercise": (facts(minutes=[7, 7]), "states 7 minutes for exercises that add up to 6"),
    "open fence": (typed(":::{note}"), "cell 7 opens a fence ::: and never"),
    "shut fence": (typed(":::\n:::"), "cell 7 closes ::: where [] is open"),
    "mixed": (typed("::::{a}\n:::{b}\n::::"), "cell 7 opens a fence"),
    "backticks": (typed("```{prf:theorem} T\n```"), "prf:theorem with backticks"),
    "decimal": (typed("It is 3.25 times sharper."), "cell 7 types 3.25"),
    "scientific": (typed("It is below 2e-15."), "cell 7 types 2e-15"),
    "superscript": (typed("It is below 10⁻¹⁵."), "cell 7 types 10⁻¹⁵"),
    "per cent": (typed("Accuracy is 97 %."), "cell 7 types 97 %"),
    "thousands": (typed("It is 3,412 times what it was."), "cell 7 types 3,412"),
    "said": (
        plant(SHOWN, "say(f'{x:.3f} is 41.5 times {y}')"),
        "cell 8 says the typed number 41.5",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named(change, sentence):
    page = good_page()
    change(page)
    assert any(sentence in fault for fault in contract.faults(page)), contract.faults(page)


UNREADABLE = {
    '{"cells": [': "a.ipynb is no notebook: Notebook does not appear to be JSON",
    "<<<<<<< HEAD": "a.ipynb is no notebook: Notebook does not appear to be JSON",
    '{"a": 1}': "a.ipynb is no notebook: ",
    writes(new_notebook(cells=[text("# A"), code("y = 1\nx = (")])): "a.ipynb cell 2 is no Python: "
    "'(' was never closed in its line 2.",
}


@pytest.mark.parametrize("saved", UNREADABLE)
def test_a_page_that_cannot_be_read_is_named(saved, tmp_path):
    (tmp_path / "a.ipynb").write_text(saved, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(UNREADABLE[saved])):
        pages.read(tmp_path / "a.ipynb", tmp_path)


def test_every_rule_is_broken_by_some_planted_fault():
    rules = {*contract.EVERY_PAGE, *contract.EVERY_NOTEBOOK, *chapter_rules.EVERY_CHAPTER}
    broken = set()
    for change, _ in FAULTS.values():
        page = good_page()
        change(page)
        broken |= {rule for rule in rules if list(rule(page))}
    assert {rule.__name__ for rule in rules - broken} == set()


def test_folding_writes_the_keys_and_takes_them_away():
    cells = [
        code("#@title Draw it", metadata={"tags": ["hide-input"]}),
        code("x", metadata={"cellView": "form", "jupyter": {"source_hidden": True}}),
    ]
    notebook = new_notebook(cells=cells)
    assert fold.fold(notebook)
    assert cells[0].metadata["cellView"] == "form"
    assert cells[0].metadata["jupyter"] == {"source_hidden": True}
    assert cells[1].metadata == {}
    assert not fold.fold(notebook)


def test_what_jupyter_leaves_is_cleared():
    shown = new_output("stream", text="1")
    left = {"execution": {"iopub.status.busy": "2026"}, "editable": True, "slideshow": {}}
    opened = {"jupyter": {"outputs_hidden": True}}
    kept = {"tags": ["keep_output"]}
    cells = [
        text("# A", metadata={**left, "chapter": {"short": "A"}}),
        code("x", execution_count=3, outputs=[shown], metadata={**left, **opened}),
        code("# NBVAL_CHECK_OUTPUT\nx", execution_count=4, outputs=[shown], metadata=kept),
    ]
    conda = {"name": "conda-3.12", "display_name": "Python 3.12 (conda)"}
    version = {"name": "python", "version": "3.12.1"}
    machine = {"kernelspec": conda, "widgets": {}, "language_info": version}
    notebook = new_notebook(cells=cells, metadata=machine)
    fold.clear(notebook)
    fold.fold(notebook)
    assert notebook.metadata == {"kernelspec": pages.KERNEL, "language_info": {"name": "python"}}
    assert [cell.metadata for cell in cells] == [{"chapter": {"short": "A"}}, {}, kept]
    assert [cell.execution_count for cell in cells[1:]] == [None, None]
    assert [cell.outputs for cell in cells[1:]] == [[], [shown]]


def test_minutes_count_words_formulas_figures_and_lines():
    page = good_page()
    before = chapter_rules.reading_minutes(page)
    page.cells[CLAIM].source += "\n\n" + 130 * "word " + "$$x = 1$$ and $x$ and $x < 2$"
    page.cells[SHOWN].source += "\nx\nx\nx\nx\nx"
    after = chapter_rules.reading_minutes(page)
    assert after - before == pytest.approx(132 / 130 + 0.4 * 2 + 0.2 * 5)


@pytest.mark.parametrize(
    "sentence",
    [
        "In 2017, 360 images and 41 positions of section 4.2 and §5.1.",
        "Sections 3 and 4.1, 4.2 of arXiv 1703.04933, Python 3.10 and torch 2.13 (CC BY 4.0).",
        "The step $\\eta = 0.1$ is `lr=0.1`, and [here](https://x.org/1.5) {cite}`dinh2017`.",
        "The digits are 1,797 images. <!-- given -->",
        'Show <a href="../index.html#needle:alpha=0.01">the needle</a>.',
        "```python\nx = 0.5\n```",
        ":::{figure} a.svg\n:width: 12.5%\nA caption.\n:::",
        "$$\nx = 0.25\n$$",
    ],
)
def test_a_number_that_is_no_measurement_passes(sentence):
    assert not list(contract.typed_numbers(sentence))
