"""Every page keeps the chapter contract, and every way of breaking it is named.

Oracle: the committed sources. The planted faults start from one small page that keeps the contract
and break it in one place each, so that a rule which lets everything pass is found out.
"""

import pytest
from nbformat.v4 import new_code_cell as code
from nbformat.v4 import new_markdown_cell as text

from tools import ROOT, contract, repository

PAGES = contract.sources()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_keeps_the_contract(path):
    faults = contract.faults(contract.read(path))
    assert not faults, "\n".join(faults)


def test_toc_and_folder_agree():
    found = [path.relative_to(ROOT).as_posix() for path in PAGES]
    faults = list(contract.strays(contract.table_of_contents(), found))
    assert not faults, "\n".join(faults)


def test_a_stray_a_missing_and_a_double_page_are_named():
    named, found = ["book/a", "book/b"], ["book/a.md", "book/a.ipynb", "book/c.ipynb"]
    assert list(contract.strays(named, found)) == [
        "book/c.ipynb needs a line in _toc.yml: a page outside it is built by nobody.",
        "book/a is there as .ipynb and as .md: one name, one page.",
        "_toc.yml names book/b, and there is no such page.",
    ]


def good_page():
    """A small chapter that keeps every rule."""
    url, branch = repository.address()
    name = "book/argument/a_small_page.ipynb"
    badge = repository.badge(url, branch, name)
    cells = [
        text(f"# A small page keeps its contract\n\nSee section 4.1 and $x = 0.5$.\n\n{badge}"),
        code(repository.first_cell(url), metadata={"tags": ["remove-cell", "setup"]}),
        code("from helpers.explore import explore"),
    ]
    for head in contract.SECTIONS:
        cells += [text(f"## {head}\n\n:::{{note}}\nPlain.\n:::"), code("x = 1")]
    cells += [code("x"), code("x"), code("x")]
    for k in "abc":
        cells += [
            text(f":::{{exercise}}\n:label: ex-{k}\nSolve.\n:::"),
            text(f":::{{solution-start}} ex-{k}\n:class: dropdown\n:::"),
            code("y = x"),
            text(":::{solution-end}\n:::"),
        ]
    cells.append(code("assert x == 1", metadata={"tags": ["remove-cell", "test"]}))
    return contract.Page(name, cells, {"kernelspec": {"name": "python3"}})


def test_the_good_page_is_good():
    assert contract.faults(good_page()) == []


def plant(at, source, **metadata):
    """A change of one cell of the good page."""

    def change(page):
        page.cells[at].source = source
        page.cells[at].metadata.update(metadata)

    return change


def drop(at):
    return lambda page: page.cells.pop(at)


def typed(sentence):
    return plant(3, f"## Predict\n\n{sentence}")


def with_output(page):
    page.cells[4].outputs = ["anything"]


def with_count(page):
    page.cells[4].execution_count = 3


def long_cells(page):
    for _, cell in page.code()[2:]:
        cell.source = "x = 1\n" * 7 + "assert x"


def no_kernel(page):
    page.metadata = {}


def no_dropdown(page):
    page.cells[21].source = ":::{solution-start} ex-a\n:::"


def starter(source):
    """A starter between the first exercise and its solution."""
    return lambda page: page.cells.insert(21, code(source))


FAULTS = {
    "no title": (plant(0, "A page"), "cell 1 needs a title"),
    "no badge": (plant(0, "# A page"), "cell 1 needs its Colab badge"),
    "install cell": (plant(1, "%pip install helpers"), "cell 2 needs the install cell"),
    "install tags": (lambda page: page.cells[1].metadata.clear(), "cell 2 needs the tags"),
    "kernel": (no_kernel, "needs the kernelspec python3, got None"),
    "output": (with_output, "cell 5 has outputs"),
    "count": (with_count, "cell 5 has an execution count"),
    "unkept": (plant(4, "# NBVAL_CHECK_OUTPUT\nx"), "cell 5 needs both # NBVAL_CHECK_OUTPUT"),
    "interact": (plant(4, "interact(f, x=1)"), "cell 5 uses interact"),
    "decorator": (plant(4, "@interact\ndef f(): pass"), "cell 5 uses interact"),
    "glue": (plant(4, "glue('x', 1)"), "cell 5 uses glue"),
    "threads": (plant(4, "torch.set_num_threads(1)"), "cell 5 changes a global setting"),
    "no alt": (plant(4, "explore(f, fig=g, name='n', caption='c')"), "explore needs alt="),
    "section": (drop(3), "needs the sections"),
    "no test": (drop(-1), "needs the tags remove-cell and test"),
    "no assert": (plant(-1, "x == 1"), "needs an assert"),
    "exercise": (drop(20), "needs 3 exercises with labels, got 2"),
    "unsolved": (plant(21, "nothing"), "needs a solution for ex-a"),
    "unfolded": (no_dropdown, "needs :class: dropdown on the solution of ex-a"),
    "no code": (drop(22), "needs a code cell in the solution of ex-a"),
    "number given": (starter("y = None\ncheck(y, 31)"), "cell 22 gives 31 to check"),
    "list given": (starter("check(y, [True, z])"), "cell 22 gives True to check"),
    "nested": (starter("def f(): return check_1(g(y) < 1e-9)"), "cell 22 gives 1e-09 to check_1"),
    "hint given": (starter("check(y, z, hint='add')"), "cell 22 gives 'add' to check"),
    "few cells": (lambda page: [page.cells.pop(at) for at in (16, 14)], "code cells, got 9"),
    "long cell": (plant(4, "x = 1\n" * 16), "cell 5 needs <= 15 lines, got 16"),
    "median": (long_cells, "needs a median of <= 6 shown lines a cell, got 8"),
    "open fence": (plant(3, "## Predict\n\n:::{note}\nx"), "cell 4 opens a fence ::: and never"),
    "shut fence": (plant(3, "## Predict\n\n:::\nx"), "cell 4 closes ::: where [] is open"),
    "mixed": (plant(3, "## Predict\n\n::::{a}\n:::{b}\n::::"), "cell 4 opens a fence"),
    "backticks": (plant(3, "## Predict\n\n```{prf:theorem} T\n```"), "prf:theorem with backticks"),
    "decimal": (typed("It is 3.25 times sharper."), "cell 4 types 3.25"),
    "scientific": (typed("It is below 2e-15."), "cell 4 types 2e-15"),
    "superscript": (typed("It is below 10⁻¹⁵."), "cell 4 types 10⁻¹⁵"),
    "per cent": (typed("Accuracy is 97 %."), "cell 4 types 97 %"),
    "thousands": (typed("It is 3,412 times what it was."), "cell 4 types 3,412"),
    "said": (plant(4, "say(f'{x:.3f} is 41.5 times {y}')"), "cell 5 says the typed number 41.5"),
}


@pytest.mark.parametrize(("change", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named(change, sentence):
    page = good_page()
    change(page)
    assert any(sentence in fault for fault in contract.faults(page)), contract.faults(page)


def test_a_starter_may_name_its_truth_and_its_solution_may_type_it():
    page = good_page()
    starter("y = None  # 31\ncheck_1(y)\nprint(31)")(page)
    page.cells.insert(21, code("def check_1(y): check(y, 31)", metadata={"tags": ["remove-cell"]}))
    page.cells[24].source = page.cells[28].source = "check(31, 31)"
    assert contract.faults(page) == []


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
