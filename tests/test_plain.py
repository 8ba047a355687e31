"""MyST becomes Markdown that any host renders, and no formula is touched on the way.

Oracle: markdown-it, a CommonMark renderer that knows no MyST; expected texts written by hand; and
the formulas of the real book, found here by a pattern of the test's own.
"""

import re

import pytest
from markdown_it import MarkdownIt
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools import ROOT, for_site, pages, places, works
from tools.pages import Page
from tools.places import Fault
from tools.plain import Here, plain
from tools.student import ANSWER, parts
from tools.whole_book import read_book

SITE = "https://owner.github.io/name"
GLOSSARY = """\
# Glossary

:::{glossary}
:sorted:

orbit
  All the twins.

ε-sharpness
  A rise.

Hutchinson's estimate
  A mean.
:::
"""
CHAPTER = """\
# A chapter

(growth)=
### Inside a window

:::{prf:theorem} Theorem 2
:label: theorem-2

Words.
:::

## Break it
"""
FIGURE = "#@title Draw\nexplore(draw, fig=fig, name='needle', caption='', alt='')"


@pytest.fixture(scope="module")
def here():
    book = {
        "book/glossary": Page("book/glossary.md", [new_markdown_cell(GLOSSARY)]),
        "book/part/a": Page(
            "book/part/a.ipynb", [new_markdown_cell(CHAPTER), new_code_cell(FIGURE)]
        ),
        "book/index": Page("book/index.ipynb", [new_markdown_cell("# Front")]),
    }
    cited = works.read(ROOT / "book" / "references.bib")
    return Here("book/part/a", places.read(book, SITE), cited, {"ex-a": 3})


def secretive(here):
    return Here(here.page, here.places, here.works, here.numbers, ANSWER)


A = f"{SITE}/book/part/a.html"
DINH = "https://arxiv.org/abs/1703.04933"
INLINE = {
    "[orbit](../glossary.md#orbit)": f"[orbit]({SITE}/book/glossary.html#term-orbit)",
    "[ε](../glossary.md#eps-sharpness)": f"[ε]({SITE}/book/glossary.html#term-sharpness)",
    "[H](../glossary.md#hutchinson-estimate)": (
        f"[H]({SITE}/book/glossary.html#term-Hutchinsons-estimate)"
    ),
    "[a](../index.ipynb) and [b](#break-it)": f"[a]({SITE}/book/index.html) and [b]({A}#break-it)",
    "[c](#growth), [d](#inside-a-window)": f"[c]({A}#growth), [d]({A}#inside-a-window)",
    "[e](a.ipynb#needle:alpha=100)": f"[e]({A}#needle:alpha=100)",
    "[`f`](a.ipynb) [$x$](a.md)": f"[`f`]({A}) [$x$]({A})",
    '<a href="../index.html">up</a>': f'<a href="{SITE}/book/index.html">up</a>',
    "[paper](https://arxiv.org/abs/1)": "[paper](https://arxiv.org/abs/1)",
    "{cite:t}`dinh2017sharp` say": f"[Dinh et al. (2017)]({DINH}) say",
    "so {cite:p}`dinh2017sharp`.": f"so ([Dinh et al., 2017]({DINH})).",
    "so {cite}`neyshabur2015path`.": (
        "so ([Neyshabur et al., 2015](https://arxiv.org/abs/1506.02617))."
    ),
    "{cite:t}`hochreiter1997flat`": (
        "[Hochreiter and Schmidhuber (1997)](https://doi.org/10.1162/neco.1997.9.1.1)"
    ),
    "{prf:ref}`theorem-2`": f"[Theorem 2]({A}#theorem-2)",
    "{ref}`that <growth>`": f"[that]({A}#growth)",
    "{ref}`growth`": f"[Inside a window]({A}#growth)",
    "{doc}`../index`, {doc}`x </book/part/a>`": f"[Front]({SITE}/book/index.html), [x]({A})",
    "{math}`a^2`": "$a^2$",
    "a number <!-- given --> here": "a number here",
    "(here)=\nA line.": "A line.",
    "`{cite:t}` and `](x.md)` in code": "`{cite:t}` and `](x.md)` in code",
    "$f](x.md)$ and $$\n{a}`b`\n$$": "$f](x.md)$ and $$\n{a}`b`\n$$",
    "costs \\$5 and [g](#growth) \\$6": f"costs \\$5 and [g]({A}#growth) \\$6",
    "```text\n:::{note}\n[x](y.md) {cite:t}`z`\n```": (
        "```text\n:::{note}\n[x](y.md) {cite:t}`z`\n```"
    ),
}


@pytest.mark.parametrize("source", INLINE)
def test_roles_and_links_become_links_to_the_site(here, source):
    assert plain(source, here) == INLINE[source]


BOXES = {
    ":::{prf:theorem} Theorem 2 of the paper {cite:p}`dinh2017sharp`\n:label: t\n:nonumber:\n\n"
    "Let $x$.\n\n$$\na \\\\\n  b\n$$\n\n- one\n:::": (
        f"> **Theorem 2 of the paper ([Dinh et al., 2017]({DINH})).**\n>\n"
        "> Let $x$.\n>\n> $$ a \\\\ b $$\n>\n> - one"
    ),
    ":::{prf:definition} Section 2: twins\nTwo.\n:::": (
        "> **Definition: Section 2: twins.**\n>\n> Two."
    ),
    ":::{prf:proof}\nSee $a\n= b$.\n:::": "> **Proof.**\n>\n> See $a = b$.",
    ":::{note}\nMind.\n:::": "> **Note.**\n>\n> Mind.",
    ":::{admonition} A slip?\n:class: note\nYes.\n:::": "> **A slip?**\n>\n> Yes.",
    ":::{exercise} Warm-up, 5 minutes: name it\n:label: ex-a\n\nName.\n:::": (
        "> **Exercise 3 (warm-up, 5 minutes): name it.**\n>\n> Name."
    ),
    ":::{dropdown} Why a < b\n**B.** So.\n:::": (
        "<details>\n<summary>Why a &lt; b</summary>\n\n**B.** So.\n\n</details>"
    ),
    ":::{div} doors\n[One](../index.ipynb)\nTwo\n:::": (f"[One]({SITE}/book/index.html) · Two"),
    "::::{grid} 1 1 3 3\n:gutter: 3\n\n:::{grid-item-card} Here\nOne\n[two](../index.ipynb).\n"
    ":::\n\n:::{grid-item-card} There\nThree.\n:::\n::::": (
        f"- **Here.** One\n  [two]({SITE}/book/index.html).\n\n- **There.** Three."
    ),
    "Before\n::::{note}\n:::{tip}\nIn.\n:::\n::::\nAfter": (
        "Before\n\n> **Note.**\n>\n> > **Tip.**\n> >\n> > In.\n\nAfter"
    ),
}


@pytest.mark.parametrize("source", BOXES)
def test_boxes_become_quotes_folds_and_lists(here, source):
    assert plain(source, here) == BOXES[source]


def test_a_renderer_without_myst_shows_a_box_a_fold_and_a_list(here):
    page = "\n\n".join(plain(source, here) for source in BOXES)
    html = MarkdownIt().render(page)
    assert html.count("<blockquote>") == 8 and html.count("<details>") == 1
    assert "<strong>Exercise 3 (warm-up, 5 minutes): name it.</strong>" in html
    assert "<p><strong>B.</strong> So.</p>" in html, "Markdown in a fold needs empty lines around."
    assert ":::" not in html and "{" not in html


FAULTS = {
    ":::{figure} a.png\n:::": r"the directive \{figure\} is not known",
    ":::{prf:axioms}\n:::": r"the directive \{prf:axioms\} is not known",
    "```{raw} html\n<p>\n```": r"the directive \{raw\} is not known",
    "{term}`orbit`": r"the role \{term\} is not known",
    ":::{note}\nMind.": "is opened and never closed",
    "[x](b.ipynb)": "the link to b.ipynb leads to no page of _toc.yml",
    "![x](../_static/logo.svg)": "the link to ../_static/logo.svg leads to no page",
    '<a href="b.html">': "the link to b.html leads to no page of _toc.yml",
    "[x](#nowhere)": "#nowhere is nowhere on book/part/a",
    "[x](../glossary.md#circle)": "#circle is nowhere on book/glossary",
    "{ref}`nowhere`": "the label 'nowhere' is nowhere in the book",
    "{doc}`b`": "the page b is not in _toc.yml",
    "{cite:p}`dinh2017sharp,dinh2018`": "the citation 'dinh2018' is not in references.bib",
    ":::{exercise} Do it\n:label: ex-a\n:::": "the exercise ex-a needs a title like",
}


@pytest.mark.parametrize("source", FAULTS)
def test_what_no_host_would_show_is_refused_in_a_sentence(here, source):
    with pytest.raises(Fault, match=FAULTS[source]) as refused:
        plain(source, here)
    assert "\n" not in str(refused.value)


def test_every_work_of_the_book_can_be_opened_and_one_that_cannot_is_refused(tmp_path):
    cited = works.read(ROOT / "book" / "references.bib")
    for key in cited.entries:
        assert "](https://" in cited.cite("cite:p", key)
    (tmp_path / "a.bib").write_text("@misc{a2020, author={A}, title={T}, year={2020}}")
    with pytest.raises(Fault, match="the work 'a2020' needs a doi, a url or an eprint"):
        works.read(tmp_path / "a.bib").cite("cite:t", "a2020")


@pytest.mark.parametrize("title", ["Answer", "Answers", "The answer", "Hint", "Answer, after you"])
def test_the_folds_that_tell_are_left_out_where_they_are_secret(here, title):
    source = f"Ask.\n\n:::{{dropdown}} {title}\nTold.\n:::\n\n:::{{dropdown}} Why\nSo.\n:::"
    made = plain(source, secretive(here))
    assert "Told" not in made and "So." in made and made.startswith("Ask.")
    assert "Told" in plain(source, here)


FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$[^$]+\$", re.S)
BOXED = re.compile(r"^(:{3,})\{.*?^\1$", re.M | re.S)


def test_no_formula_of_the_book_is_touched():
    book, seen = read_book(), 0
    for page in book.notebooks():
        numbers = {label: 1 for _, label in pages.EXERCISE.findall(page.text())}
        here = Here(page.name.removesuffix(".ipynb"), book.places, book.works, numbers)
        for at, cell, pieces in parts(page):
            for text, _ in pieces if cell.cell_type == "markdown" and at > 1 else ():
                text = text.replace(for_site.HERE, "](https://colab.org)")
                made, boxed = plain(text, here), "".join(m[0] for m in BOXED.finditer(text))
                for formula in FORMULA.findall(text):
                    seen += 1
                    one_line = " ".join(line.strip() for line in formula.split("\n"))
                    kept = formula in made or (formula in boxed and one_line in made)
                    assert kept, f"{page.where(at)} loses {formula}"
    assert seen > 1000
