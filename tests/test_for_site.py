"""What the site makes of a chapter's source: lead-in, badge, named folds, questions that answer.

Oracle: the words that an author typed, and a book of three pages, built as a reader's site is.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from tools import ROOT, for_site, repository

FIRST, PAGE = "book/argument/first", "book/argument/page"
OTHER, FRONT = "book/teach/other", "book/index"
TITLE = """# Rescaling makes every minimum flat

**Question.** Which one is the flattest?

**Answer.** None of them."""
NEED = "**You need.** Nothing."
FACTS = {"short": "Flat", "gives": "Theorem 2", "line": "Every minimum can be made flat."}
PREDICT = r"""## Predict

A square is stretched with $\alpha = 5/2$, as [flatness](#the-claim) asks.

- **A.** The area grows.
- **B.** The area stays: $\alpha \cdot 1/\alpha = 1$,
  whatever [the claim](#the-claim) says of α.
- **C.** The area shrinks.

**Second question.** Which factors keep the function?

- **A.** Positive ones.
- **B.** Negative ones.
- **C.** One.
- **D.** Zero.

:::{dropdown} Answer, after you have chosen
**B.** One side grows as the other shrinks.
:::"""
QUESTIONS = [
    {
        "keys": ["B"],
        "feedback": {
            "A": "One side grows, but look at the other </script> side.",
            "B": "The factor and its inverse cancel.",
            "C": "One side shrinks, but look at the other side.",
        },
    },
    {
        "keys": ["A", "C"],
        "feedback": {
            "A": "A positive factor comes out of the rectifier.",
            "B": "A negative factor does not come out.",
            "C": "One changes nothing at all.",
            "D": "Zero cannot be undone.",
        },
    },
]
FOLDED = "#@title Draw the needle\n# NBVAL_IGNORE_OUTPUT\nneedle = 6 * 7\nneedle"

IMPORTS = "#@title Imports\nimport math"
FIGURE = """#@title Show it
from IPython.display import HTML
HTML('<figure class="live" id="box"></figure>')"""


def notebook(*cells):
    """A notebook's text from (kind, source, metadata) triples."""
    made = []
    for at, (kind, source, metadata) in enumerate(cells):
        new = getattr(nbformat.v4, f"new_{kind}_cell")
        made.append(new(source, metadata=metadata, id=f"cell-{at}"))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return nbformat.writes(nbformat.v4.new_notebook(cells=made, metadata=kernel))


def chapter(minutes=(35, 25), questions=QUESTIONS, title=TITLE):
    facts = {"chapter": {**FACTS, "minutes": list(minutes)}} if minutes else {}
    return notebook(
        ("markdown", title, facts),
        ("code", IMPORTS, {"tags": ["hide-input"]}),
        ("code", FOLDED, {"tags": ["hide-input"]}),
        ("code", FIGURE, {"tags": ["hide-input"]}),
        ("markdown", NEED, {}),
        ("markdown", PREDICT, {"predict": questions} if questions else {}),
        ("code", "unfolded = 1", {}),
        ("markdown", "## The claim\n\nHere it stands.", {}),
        ("markdown", "## Break it\n\n## Exercises", {}),
    )


def new_site(folder):
    """A built site of a chapter, a page in the old form and a front page; its folder."""
    shutil.copytree(ROOT / "tools", folder / "tools")
    shutil.copytree(ROOT / "book" / "_static", folder / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    for name, text in {
        FRONT: notebook(("markdown", "# The front page\n\n<!-- lines: page -->", {})),
        FIRST: chapter(),
        PAGE: chapter(),
        OTHER: notebook(("markdown", TITLE, {})),
    }.items():
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "book/argument/intro.md").write_text("# What comes\n", encoding="utf-8")
    write_toc(folder, {"The argument": ["book/argument/intro", FIRST, PAGE], "Teaching": [OTHER]})
    (folder / "_config.yml").write_text(yaml.safe_dump(settings()), encoding="utf-8")
    build(folder)
    return folder / "_build" / "html"


def write_toc(folder, parts):
    toc = [
        {"caption": part, "chapters": [{"file": name} for name in parts[part]]} for part in parts
    ]
    text = yaml.safe_dump({"format": "jb-book", "root": FRONT, "parts": toc})
    (folder / "_toc.yml").write_text(text, encoding="utf-8")


def settings():
    """The book's settings, with the extension that is under test here, and the colours."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    sphinx = config["sphinx"]
    sphinx["local_extensions"] = {
        f"tools.{name}": "." for name in ("palette", "for_site", "first_screen")
    }
    for kind, name in (("html_css_files", "predict.css"), ("html_js_files", "predict.js")):
        files = sphinx["config"][kind]
        files += [] if name in files else [name]
    return config


def build(folder):
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", ".", "-W", "--keep-going"]
    environment = os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1"}
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return new_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def words(site):
    """words("book/argument/page"): a built page, parsed."""

    def parsed(name):
        return BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")

    return parsed


def test_a_chapter_begins_with_its_place_its_question_and_its_answer_in_one_paragraph():
    made = first_cell(for_site.for_site(chapter(), "book/argument/volume_is_infinite"))
    title, place, lead = re.fullmatch(
        r"(# .*)\n\n:::\{div\} lead-in\n(.*)\n:::\n\n:::\{div\} lead\n(.*)\n:::", made, re.S
    ).groups()
    assert TITLE.startswith(f"{title}\n")
    part, at, count = for_site.places()["book/argument/volume_is_infinite"]
    assert (part, at > 1, count >= at) == ("The argument", True, True)
    times = "35 minutes to read, 25 for the exercises"
    assert re.sub("<.*?>", "", place) == f"The argument · page {at} of {count} · {times}"
    phone = re.sub("<span>.*?</span>", "", place)  # what first.css leaves there, and its signs
    assert re.findall(r">(\d+)<", phone) == ["35", "25"] and "minutes" not in phone
    assert lead == "**Which one is the flattest?** None of them."


def test_doors_stand_where_the_figure_ends():
    made = cells(for_site.for_site(chapter(), PAGE))[4].source
    found = re.fullmatch(r":::\{div\} doors\n(.*)\n:::\n\n(.*)", made, re.S)
    assert found[2] == NEED
    doors = re.findall(r"\[(.+?)\]\((.+?)\)", found[1])
    assert doors[:2] == [("Break it", "#break-it"), ("0 exercises", "#exercises")]
    assert doors[2][1].endswith("/blob/notebooks/reader/argument/page.ipynb")


def test_a_link_to_a_figure_of_the_page_is_one_on_the_site():
    text = notebook(
        ("markdown", "# T\n\nSee [the ray](#ray:alpha=2) and [the claim](#claim).", {}),
        ("code", 'explore(draw, fig=figs, name="ray")', {}),
    )
    made = first_cell(for_site.for_site(text, FRONT))
    assert 'See <a href="#ray:alpha=2">the ray</a> and [the claim](#claim).' in made


def test_a_page_may_lead_to_its_own_notebook():
    text = notebook(("markdown", "# T\n\n[Run it](#colab) now", {}))
    made = first_cell(for_site.for_site(text, FRONT))
    assert re.search(r"\[Run it\]\(https://.*/reader/index.ipynb\) now", made)
    assert "Open in Colab" not in made


def first_cell(text):
    return "".join(json.loads(text)["cells"][0]["source"])


def test_a_formula_and_its_comma_are_held_together():
    formula = r'<span class="math notranslate nohighlight">\(t = 0\)</span>'
    context = {"body": f"<p>raw ({formula}), then {formula} and {formula}.</p>"}
    for_site.hold_marks(None, None, None, context, None)
    first, second = (
        f'<span class="held">{words}</span>' for words in (f"({formula}),", f"{formula}.")
    )
    assert context["body"] == f"<p>raw {first} then {formula} and {second}</p>"


@pytest.mark.parametrize("name", [FRONT, "book/argument/volume_is_infinite"])
def test_a_page_without_doors_and_times_says_its_part_and_where_it_runs(name):
    made = first_cell(for_site.for_site(notebook(("markdown", TITLE, {})), name))
    part = "" if name == FRONT else "The argument · "
    run = rf"\[Run it in Colab\]\(https://\S+/reader/{name.removeprefix('book/')}.ipynb\)"
    assert re.search(rf"lead-in\n{part}{run}\n:::", made)


@pytest.mark.parametrize("rest", ["\n\nCount.", ""])
def test_a_reader_of_the_site_is_told_how_an_answer_is_written(rest):
    text = notebook(("markdown", TITLE, {}), ("markdown", f"## Exercises{rest}", {}))
    made = cells(for_site.for_site(text, PAGE))[-1]
    assert made.source == f"## Exercises\n\n{for_site.ANSWER_THERE}{rest}"


def cells(text):
    return nbformat.reads(text, as_version=4).cells


def test_the_code_that_runs_is_the_code_of_the_source():
    def code(text):
        return [cell for cell in cells(text) if cell.cell_type == "code"]

    assert code(for_site.for_site(chapter(), PAGE)) == code(chapter())


def test_each_list_of_choices_is_followed_by_its_keys_and_feedback():
    made = "".join(json.loads(for_site.for_site(chapter(), PAGE))["cells"][5]["source"])
    found = re.findall(
        r'\n\n<script type="application/json" class="predict">(.*)</script>\n\n', made
    )
    assert [json.loads(data) for data in found] == QUESTIONS
    assert made.count("</script>") == len(QUESTIONS)
    assert re.sub(r"\n<script.*</script>\n", "", made).split() == PREDICT.split()


def test_data_for_another_number_of_lists_is_refused_with_page_and_cell():
    with pytest.raises(ValueError, match=r"page.ipynb cell 6 has 2 lists of choices, data for 1\."):
        for_site.for_site(chapter(questions=QUESTIONS[:1]), PAGE)


@pytest.mark.slow
def test_the_built_page_begins_with_its_place_and_a_figure(words):
    section = words(PAGE).select_one("article section")
    (lead_in,) = section.select(".lead-in")
    assert lead_in.p.text == "The argument · page 2 of 2 · 35 minutes to read, 25 for the exercises"
    order = [lead_in, section.h1, section.select_one(".lead"), words_of(section, "42")]
    order += [section.figure, words_of(section, "Show it"), section.select_one(".doors")]
    order += [words_of(section, "You need."), words_of(section, "Imports"), section.h2]
    everything = [id(node) for node in section.descendants]
    places = [everything.index(id(node)) for node in order]
    assert places == sorted(places), places


def words_of(section, text):
    return section.find(string=re.compile(re.escape(text)))


@pytest.mark.slow
def test_one_way_to_colab(words):
    assert len(words(PAGE).select("article a[href*='colab.research']")) == 1
    for name in (OTHER, FRONT):
        assert len(words(name).select(".lead-in a[href*='colab.research']")) == 1, name
    assert not words("book/argument/intro").select("article a[href*='colab.research']")


@pytest.mark.slow
def test_a_table_of_chapters_is_filled_in_a_notebook(words):
    (link,) = words(FRONT).select("article table a")
    assert (link.text, link["href"]) == ("Flat", "argument/page.html")
    assert link.find_parent("tr").select("td")[1].text == FACTS["line"]


@pytest.mark.slow
def test_a_fold_is_named_by_its_title_and_shows_the_rest(words):
    fold = words(PAGE).select("details.hide")[0]
    assert [label.text for label in fold.select("summary p")] == ["Draw the needle"] * 2
    assert fold.summary.attrs == {}  # nothing that a screen reader would read in its place
    assert fold.pre.text.strip() == FOLDED.partition("\n")[2]
    assert fold.select("pre .n"), "the code has lost its colours"
    assert words(PAGE).select("div.cell_output")[0].text.strip() == "42"


@pytest.mark.slow
def test_the_launch_button_opens_what_the_badge_opens(words):
    slug = repository.address()[0].removeprefix("https://github.com/")
    for name in (PAGE, OTHER, FRONT):
        (button,) = words(name).select(".dropdown-launch-buttons a")
        path = name.removeprefix("book/")
        start = f"https://colab.research.google.com/github/{slug}/blob/notebooks/reader"
        assert button["href"] == f"{start}/{path}.ipynb"


@pytest.mark.slow
def test_a_page_that_moves_changes_the_lead_in_of_the_others(tmp_path):
    site = new_site(tmp_path)
    write_toc(tmp_path, {"The argument": [PAGE, "book/argument/intro"], "Teaching": [OTHER, FIRST]})
    build(tmp_path)
    assert "The argument · page 1 of 1 · " in (site / f"{PAGE}.html").read_text(encoding="utf-8")
