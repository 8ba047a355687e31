"""The editions lose no cell of the book, tell no answer that they should keep, and are small.

Oracle: a planted book of a few cells, whose editions are written down here; Python's own `exec`;
the sources of the real book, compared with its editions cell by cell.
"""

import base64
import io
import json
import re
import subprocess
import sys
import tokenize
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers import linear_knob, unseal
from helpers.live._host_site import fragment
from tools import ROOT, editions, needs, pages, places, repository, stills, student, works
from tools.pages import Page
from tools.places import Fault
from tools.whole_book import Book, read_book, state

NAME = "book/argument/volume_is_infinite"  # a chapter's place is read from the real _toc.yml
URL = "https://github.com/owner/name"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
FACTS = {"short": "s", "gives": "g", "line": "l", "minutes": [35, 25]}
PREDICT = {"keys": ["B"], "feedback": {"A": "It grows a thousandfold.", "B": "Right, it stays."}}
KEY = (
    'check_digits = exercise("ex-a", truth=-3.25, hint="count the zeros", wrong={})\ntruth_far = 8'
)
SOLUTION = (
    "digits = -13 / 4  # a long line of the solution\nextra = 7.5\nassert check_digits(digits)"
)
TEST = """\
#@title Test what the page claims
assert flat == 2  # stays
assert digits == -3.25
second = extra + 1
assert second > 1
assert truth_far
assert flat < 3"""


def markdown(text, **metadata):
    return new_markdown_cell(text, metadata=metadata)


def folded(source, *tags):
    form = {"cellView": "form", "jupyter": {"source_hidden": True}}
    return new_code_cell(source, metadata={"tags": list(tags), **form})


def cells():
    """A chapter in small."""
    ask = "## Predict\n\n- **A.** It grows.\n- **B.** It stays.\n\n"
    answer = ":::{dropdown} Answer, after you have chosen\n**B.** It stays at two for ever.\n:::"
    exercise = ":::{exercise} Core, 10 minutes: digits\n:label: ex-a\n\nHow many?\n:::"
    exercise = f"## Exercises\n\n{exercise}"
    start = ":::{solution-start} ex-a\n:class: dropdown\n:::\n\nCount the zeros of the area."
    return [
        markdown("# Title\n\n**Question.** Why?", chapter=FACTS),
        folded(repository.first_cell(URL), "remove-cell", "setup"),
        folded("#@title Imports\nimport math", "hide-input"),
        markdown(ask + answer, predict=[PREDICT]),
        folded(
            "#@title Draw it\nexplore(draw, fig=f, name='box', caption='', alt='')", "hide-input"
        ),
        new_code_cell("flat = 2"),
        folded(f"#@title The checks of the exercises\n{KEY}", "remove-cell"),
        markdown(exercise),
        new_code_cell("digits = None  # your answer\n\ncheck_digits(digits);"),
        markdown(start),
        new_code_cell(SOLUTION),
        markdown(":::{solution-end}\n:::\n\n## Take away\n\nThat is all."),
        folded(TEST, "remove-cell", "test"),
    ]


def planted(found, **metadata):
    page = Page(f"{NAME}.ipynb", found, {**KERNEL, **metadata})
    front = Page("book/index.ipynb", [markdown("# Front")], KERNEL)
    book = {NAME: page, "book/index": front}
    where = places.read(book, "https://owner.github.io/name")
    cited = works.read(ROOT / "book" / "references.bib")
    return page, Book(book, where, cited, URL, "abc123", "as committed")


def made(name, found=None, outputs=None):
    page, book = planted(found or cells())
    return editions.edition(page, book, name, outputs)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_the_first_cell_says_place_times_and_where_else_the_page_is():
    colab = f"https://colab.research.google.com/github/owner/name/blob/notebooks/reader/{NAME[5:]}"
    assert made("reader").cells[0].source == (
        "# Title\n\n*The argument · page 3 of 11 · 35 minutes to read, 25 for the exercises*\n\n"
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"({colab}.ipynb) · [this page on the site](https://owner.github.io/name/{NAME}.html)"
        " · run all cells, and the figures move: where the text says drag, move the slider"
        "\n\n**Question.** Why?"
    )
    assert "blob/notebooks/student/" in made("student").cells[0].source


def test_the_install_cell_and_the_metadata_name_the_commit():
    notebook = made("reader")
    assert f'"git+{URL}@abc123"' in notebook.cells[1].source
    edition = {"name": "reader", "commit": "abc123", "tree": "as committed"}
    assert notebook.metadata.edition == edition and notebook.metadata.kernelspec.name == "python3"


def test_the_reader_has_every_answer_and_every_answer_is_folded():
    notebook = made("reader")
    text = "\n".join(sources(notebook))
    assert "<details>\n<summary>Answer, after you have chosen</summary>\n\n**B.**" in text
    assert "<details>\n<summary>Solution in words</summary>\n\nCount the zeros" in text
    solution = next(cell for cell in notebook.cells if "13 / 4" in cell.source)
    assert solution.source == f"#@title Solution\n{SOLUTION}"
    assert solution.metadata.jupyter.source_hidden and solution.metadata.cellView == "form"
    assert notebook.cells[3].metadata.predict == [PREDICT]
    assert notebook.cells[-1].source == TEST and notebook.cells[-1].metadata.cellView == "form"


@pytest.mark.parametrize("name", editions.EDITIONS)
def test_where_the_exercises_begin_stands_what_to_do(name):
    (text,) = [text for text in sources(made(name)) if "## Exercises" in text]
    assert text.startswith(f"## Exercises\n\n{editions.ANSWER_HERE}\n\n> **Exercise 1 (core")


def test_imported_names_stand_side_by_side():
    found = cells()
    found[2].source = "#@title Imports\nfrom helpers import (\n    alpha_scale,\n    explore,\n)"
    source = made("reader", found).cells[2].source
    assert source == "#@title Imports\nfrom helpers import (\n    alpha_scale, explore,\n)"


def test_the_student_sees_no_answer_no_key_and_no_hint():
    text = nbformat.writes(made("student"))
    told = ["**B.** It stays at", '"keys"', "-3.25", "count the zeros", "Count the zeros"]
    told += ["truth_far", "13 / 4", "extra", "second", "solution", "thousandfold", "flat == 2"]
    assert [word for word in told if word in text] == []
    assert "your answer" in text and "**B.** It stays." in text and "## Take away" in text


def test_a_sealed_cell_shows_its_title_and_opens_to_what_it_was():
    sealed = {cell.source.split("\n")[0]: cell.source for cell in made("student").cells}
    checks, test = sealed["#@title The checks of the exercises"], sealed[TEST.split("\n")[0]]
    opened = [unseal(re.search(r'exec\(unseal\("(.+)"\)\)', s)[1]) for s in (checks, test)]
    assert opened[0].endswith(KEY)
    assert opened[1] == (
        "#@title Test what the page claims\nassert flat == 2  # stays\nassert flat < 3"
    )


def test_the_students_edition_runs_with_its_starters_untouched():
    asked = []
    names = {"exercise": lambda *_, **__: asked.append, "explore": lambda *_, **__: None}
    names |= {"draw": None, "f": None}
    for cell in made("student").cells[2:]:
        if cell.cell_type == "code":
            exec(cell.source, names)
    assert asked == [None]


def test_a_kept_cell_that_needs_a_solution_is_named():
    found = cells()
    found.insert(12, new_code_cell("flat + extra"))
    found.insert(13, new_code_cell("def later():\n    return digits"))
    found.insert(14, new_code_cell("extra += 1"))
    with pytest.raises(Fault) as refused:
        made("student", found)
    assert str(refused.value).splitlines() == [
        f"{NAME}.ipynb cell 13 needs extra, which only a solution gives.",
        f"{NAME}.ipynb cell 14 needs digits, which only a solution gives.",
        f"{NAME}.ipynb cell 15 needs extra, which only a solution gives.",
    ]


NEEDS = {
    "x = x + y\nz = x": {"x", "y"},
    "m += 1": {"m"},
    "for k in range(n):\n    total = k": {"range", "n"},
    "def f(a, b=c):\n    t = a\n    return lambda: t + w": {"c", "w"},
    "[i for i in r]": {"r"},
    "import a.b as c, d\nc.q(d)": set(),
    "q[0] = p.s": {"q", "p"},
    "if (w := g()):\n    u = w": {"g"},
}


@pytest.mark.parametrize("source", NEEDS)
def test_what_a_cell_needs_is_read_from_its_syntax(source):
    assert needs.needs(source) == NEEDS[source]


def test_what_a_cell_binds_is_read_from_its_syntax():
    source = (
        "import a.b, c as d\nx, (y, *z) = q\nfor k in x: u = k\nwith o() as h: pass\n"
        "def f(): inner = 1\n(w := 3)\n[n for n in x]\nm += 1\no.p = 3\nq[1] = 2\n%pip install a"
    )
    assert needs.binds(source) == {*"adxyzkuhfwm"}


PLANTED = {
    "cell 4: the directive {tabs}": (3, ":::{tabs}\n:::"),
    "cell 4: the role {term}": (3, "{term}`orbit`"),
    "cell 4: the link to nowhere.ipynb leads to no page": (3, "[x](nowhere.ipynb)"),
    "cell 4: the citation 'nobody1900'": (3, "{cite:t}`nobody1900`"),
    "cell 4: the label 'nowhere' is nowhere": (3, "{prf:ref}`nowhere`"),
    "cell 4: #nowhere is nowhere on": (3, "[x](#nowhere)"),
    "cell 4 opens a fence": (3, ":::{note}\nNo end."),
    "cell 5 needs a first line #@title": (4, "explore(draw)"),
    "cell 6 has a role or a relative link in a string": (5, "print('{cite:t}`x`')"),
}


@pytest.mark.parametrize("sentence", PLANTED)
def test_a_fault_is_named_with_its_page_and_cell(sentence):
    at, source = PLANTED[sentence]
    found = cells()
    found[at].source = source
    with pytest.raises(Fault) as refused:
        made("reader", found)
    told = str(refused.value).splitlines()
    assert any(line.startswith(f"{NAME}.ipynb {sentence}") for line in told), told


def test_an_unknown_tag_is_named():
    found = cells()
    found[5].metadata["tags"] = ["hide-imput"]
    with pytest.raises(Fault, match=r"cell 6 has the tag 'hide-imput'"):
        made("reader", found)


def test_a_notebook_saved_with_widgets_is_refused():
    page, book = planted(cells(), widgets={"application/vnd.jupyter.widget-state+json": {}})
    with pytest.raises(Fault, match=f"{NAME}.ipynb holds the state of widgets"):
        editions.edition(page, book, "reader")
    found = cells()
    found[5].outputs = [
        new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
    ]
    with pytest.raises(Fault, match=f"{NAME}.ipynb cell 6 has outputs: `make lint` clears them"):
        made("reader", found)


def test_an_output_that_a_source_keeps_for_nbval_stays(tmp_path):
    found = cells()
    found[5] = new_code_cell("# NBVAL_CHECK_OUTPUT\nflat = 2", metadata={"tags": ["keep_output"]})
    found[5].outputs = [new_output("stream", text="two")]
    page, book = planted(found)
    outputs = stills.outputs(page, book.places, folder=executed(tmp_path, found))
    for drawn in (None, outputs):
        assert made("reader", found, drawn).cells[5].outputs == found[5].outputs


def test_a_fault_stops_the_command_and_the_editions_of_yesterday_stay(tmp_path, monkeypatch):
    found = cells()
    found[3].source = "[x](nowhere.ipynb)"
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "old").write_text("yesterday")
    monkeypatch.setattr(editions, "read_book", lambda: planted(found)[1])
    monkeypatch.setattr(editions, "TARGET", tmp_path / "notebooks")
    with pytest.raises(SystemExit, match="cell 4: the link to nowhere"):
        editions.main()
    assert (tmp_path / "notebooks" / "old").read_text() == "yesterday"


def test_another_commit_of_the_same_book_leaves_a_readers_notebook_where_it_is(
    tmp_path, monkeypatch, capsys
):
    found = cells()

    def write(commit, tree):
        book = replace(planted(found)[1], commit=commit, tree=tree)
        monkeypatch.setattr(editions, "read_book", lambda: book)
        editions.main()
        return "the book has changed" in capsys.readouterr().out

    monkeypatch.setattr(editions, "ROOT", tmp_path)
    monkeypatch.setattr(editions, "TARGET", tmp_path / "notebooks")
    write("a" * 40, "as committed")
    own = tmp_path / "notebooks" / "reader" / f"{NAME[5:]}.ipynb"
    own.write_text("my answer")
    states = [("a" * 40, "differs from the commit"), ("0123456789" * 4, "as committed")]
    for state_now in (*states, ("", "not under version control"), states[0]):
        assert not write(*state_now)
        assert own.read_text() == "my answer"
        other = own.parents[2] / "student" / own.relative_to(own.parents[1])
        assert json.loads(other.read_text())["metadata"]["edition"]["commit"] == state_now[0]
    found[0].source += " And why at all?"
    assert write(*states[0])
    assert "And why at all?" in own.read_text()


def test_a_tree_that_differs_from_its_commit_says_so(tmp_path):
    def git(*words):
        me = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", tmp_path, *me, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    commit, tree = state(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", commit) and tree == "as committed"
    (tmp_path / "a").write_text("2")
    assert state(tmp_path) == (commit, "differs from the commit")
    # a copy in a course's repository is not at the course's commit
    (tmp_path / "book").mkdir()
    assert state(tmp_path / "book") == ("", "not under version control")


def test_without_git_the_book_is_not_under_version_control(tmp_path, monkeypatch):
    """As unpacked from GitHub's *Download ZIP* on a computer that has no git."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert state(ROOT) == ("", "not under version control")


# Pictures.


def picture(width=900, height=300):
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def box(guess=None, said="789 times as $λ_{max}$.\n[The line](line): 1 < 2 * 3.\nα$^{2}$ | 5."):
    """A figure of two panels as the site's build writes it."""
    knobs = {"alpha": linear_knob(0, 1, start=0, steps=2)} if said else {}
    panels = [SimpleNamespace(svg="<svg ><p>no</p></svg>", slots=[], values=[])] * 2
    words = {"name": "box", "caption": "The needle's eye.", "alt": "Two boxes.", "guess": guess}
    return fragment([said] * 2, panels, [], knobs, **words)


def executed(tmp_path, found):
    """The same cells as the site's build leaves them: widgets, pages, pictures, sentences."""
    run = [new_code_cell(c.source) for c in found if c.cell_type == "code"]
    figure = {"text/html": box(), "image/png": picture(), "text/plain": "Two boxes."}
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Box()"}
    run[2].outputs = [new_output("display_data", data) for data in (figure, widget)]
    run[3].outputs = [
        new_output("display_data", {"text/markdown": "It is 2."}),
        new_output("stream", text="noise"),
    ]
    path = tmp_path / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=run), path)
    return tmp_path


def test_a_figure_leaves_its_picture_and_a_sentence_stays(tmp_path):
    page, book = planted(cells())
    outputs = stills.outputs(page, book.places, folder=executed(tmp_path, page.cells))
    text = stills.fit(made("reader", page.cells, outputs))
    shown = [cell.get("outputs", []) for cell in json.loads(text)["cells"]]
    assert [list(o["data"]) for o in shown[4]] == [["image/png", "text/plain"], ["text/markdown"]]
    assert [o["data"] for o in shown[5]] == [{"text/markdown": ["It is 2."]}]
    assert sum(map(len, shown)) == 3 and "widget" not in text
    image = Image.open(io.BytesIO(base64.b64decode("".join(shown[4][0]["data"]["image/png"]))))
    assert image.mode == "P"
    assert len(text.encode()) <= stills.MOST_BYTES < len(picture())


def test_below_a_picture_stand_its_words_its_caption_and_where_it_moves(tmp_path):
    page, book = planted(cells())
    outputs = stills.outputs(page, book.places, folder=executed(tmp_path, page.cells))
    drawn, below = outputs[2]
    assert drawn.metadata["image/png"] == {"width": round(900 * 110 / 144), "alt": "Two boxes."}
    assert below.data["text/markdown"] == (
        "**789 times as λ<sub>max</sub>.**\n\nThe line: 1 \\< 2 \\* 3.\n\n"
        "α<sup>2</sup> \\| 5.\n\n*The needle's eye.*\n\n"
        f"[Move this figure on the site](https://owner.github.io/name/{NAME}.html#box), "
        "or run all cells and move it here."
    )


def test_a_figure_without_knobs_is_not_said_to_move(tmp_path):
    _, book = planted(cells())
    still = {"text/html": box(said=""), "image/png": picture()}
    below = stills.kept({"data": still}, NAME, book.places)[1]
    assert below.data["text/markdown"].endswith("*The needle's eye.*")


GUESS = {"panel": 1, "question": "How $λ_{max}$?", "options": ["a", "b"], "right": 0, "reply": "c"}


def test_a_student_s_picture_does_not_tell_what_a_figure_asks():
    """Oracle: Pillow, and the words of the figure."""
    _, book = planted(cells())
    data = {"text/html": box(GUESS), "image/png": picture()}
    ask, below = stills.kept({"data": data}, NAME, book.places, True)
    shown, told = stills.kept({"data": data}, NAME, book.places)
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(p))).convert("RGB"))
        for p in (shown.data["image/png"], ask.data["image/png"])
    )
    half = before.shape[1] // 2
    assert np.array_equal(before[:, :half], after[:, :half])
    assert len(np.unique(after[:, half:].reshape(-1, 3), axis=0)) < 300  # a mark on one grey
    assert (after[5, -5] == 242).all()
    assert "789" not in below.data["text/markdown"] + told.data["text/markdown"]
    assert "The line" not in below.data["text/markdown"]
    assert below.data["text/markdown"].startswith("*The needle's eye.*")
    assert "The line" in told.data["text/markdown"]


def test_pictures_of_another_source_are_not_taken(tmp_path):
    page, book = planted(cells())
    folder = executed(tmp_path, page.cells)
    page.cells[5].source = "flat = 3"
    assert stills.outputs(page, book.places, folder=folder) is None
    assert stills.outputs(page, book.places, folder=tmp_path / "nothing") is None


def test_without_pictures_one_sentence_says_what_to_run(tmp_path, monkeypatch, capsys):
    book = planted(cells())[1]
    monkeypatch.setattr(editions, "read_book", lambda: book)
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    monkeypatch.setattr(editions, "TARGET", tmp_path / "notebooks")
    monkeypatch.setattr(stills, "EXECUTED", tmp_path)
    editions.main()
    told = capsys.readouterr().out.splitlines()
    assert len(list((tmp_path / "notebooks").rglob("*.ipynb"))) == 4
    assert told == ["4 notebooks in notebooks", editions.NO_PICTURES.format(count=2, all=2)]
    (tmp_path / "notebooks" / "reader" / "x.ipynb").write_text("a note of mine")
    mine = next(path for path in (tmp_path / "notebooks").rglob("*.ipynb") if path.stem != "x")
    mine.write_text("my answer")
    monkeypatch.setattr(sys, "argv", ["editions", "--to-run"])  # of JupyterLab: cells will run
    editions.main()
    assert capsys.readouterr().out.splitlines() == ["4 notebooks in notebooks"]
    assert mine.read_text() == "my answer"


def test_an_export_to_a_script_ends_in_py():
    page, book = planted(cells())
    page.metadata["language_info"] = {"name": "python"}
    told = editions.edition(page, book, "reader").metadata["language_info"]
    assert told == {"name": "python", "file_extension": ".py"}


def test_lines_of_code_before_the_first_figure_are_counted_where_they_stand_open():
    notebook = made("reader")
    assert editions.visible_before_first_figure(notebook) == 0
    notebook.cells.insert(1, new_code_cell("a = 1\nb = 2"))
    notebook.cells.append(new_code_cell("c = 3"))
    assert editions.visible_before_first_figure(notebook) == 2


# The real book.

NOTEBOOKS = [path.relative_to(ROOT).with_suffix("").as_posix() for path in repository.notebooks()]
MYST = re.compile(r"^.*(?::::|\{[\w:.-]+\}`|^\([^)\n]+\)=).*$", re.M)
MOST_OPEN_LINES = 30


@pytest.fixture(scope="module")
def whole():
    return read_book()


@pytest.fixture(scope="module", params=NOTEBOOKS)
def page(request, whole):
    return whole.pages[request.param]


@pytest.fixture(scope="module")
def both(page, whole):
    """The two editions of a page of the book, as written to the disk and read again."""
    texts = [
        stills.fit(
            editions.edition(
                page, whole, name, stills.outputs(page, whole.places, name == "student")
            )
        )
        for name in editions.EDITIONS
    ]
    return [nbformat.reads(text, as_version=4) for text in texts]


def test_no_edition_shows_myst_or_a_link_that_is_not_whole(both):
    for notebook in both:
        text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        assert MYST.findall(text) == []
        words = re.sub(r"```.*?```|`[^`]+`|\$\$.+?\$\$|\$[^$]+\$", "", text, flags=re.S)
        assert re.findall(r"\]\((?!https?://|mailto:)[^)]*\)", words) == []


def test_what_stands_below_a_picture_is_markdown_and_no_html_but_scripts(both):
    for notebook in both:
        said = [
            output.data["text/markdown"]
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            if "text/markdown" in output.get("data", {})
        ]
        tags = re.findall(r"\\?</?[a-z][^>]*>", "\n".join(said))
        assert {tag.strip("</>") for tag in tags} <= {"sub", "sup"}


def test_the_reader_has_every_cell_and_the_student_all_but_the_solutions(page, both):
    gates = {
        cell.id
        for _, cell, pieces in student.parts(page)
        if not any(text.strip() for text, _ in pieces)
    }
    cut = {
        cell.id
        for _, cell, pieces in student.parts(page)
        if all(inside or not text.strip() for text, inside in pieces)
    }
    kept = [cell.id for cell in page.cells if cell.id not in gates]
    assert [cell.id for cell in both[0].cells] == kept
    removed = [cell for cell in page.cells if cell.id not in {c.id for c in both[1].cells}]
    assert {cell.id for cell in removed if "test" not in pages.tags(cell)} == cut
    assert [cell.id for cell in both[1].cells] == [
        k for k in kept if k not in {c.id for c in removed}
    ]


def test_the_reader_has_every_line_of_code(page, both):
    code = {cell.id: cell.source for cell in both[0].cells}
    for _, cell in page.code():
        if "setup" not in pages.tags(cell):
            assert tokens(code[cell.id].removeprefix("#@title Solution\n")) == tokens(cell.source)


def tokens(source):
    """What Python and a reader see, whatever line it stands on; a name's line breaks aside."""
    found = tokenize.generate_tokens(io.StringIO(source).readline)
    return [(t.type, t.string) for t in found if t.type != tokenize.NL]


def test_no_line_of_a_solution_stands_in_the_students_edition(page, both):
    kept, secret = "", []
    for _, cell, pieces in student.parts(page):
        check = cell.cell_type == "code" and student.is_check(cell)
        sealed = check or "test" in pages.tags(cell)
        for text, inside in pieces:
            kept += "" if inside or sealed else f"{text}\n"
            secret += [line.strip() for line in text.split("\n")] if inside else []
    text = "\n".join(cell.source for cell in both[1].cells)
    assert [s for s in secret if len(s) >= 20 and s in text and s not in kept] == []
    assert not any("predict" in cell.metadata for cell in both[1].cells)
    assert "feedback" not in str([cell.metadata for cell in both[1].cells])


def test_an_edition_is_small_and_has_no_widgets(both):
    for notebook in both:
        text = nbformat.writes(notebook)
        assert len(text.encode()) <= stills.MOST_BYTES and "vnd.jupyter.widget" not in text


def test_no_chapter_shows_much_code_before_its_first_figure(page, both):
    if page.is_chapter or page.name == "book/index.ipynb":
        assert editions.visible_before_first_figure(both[0]) <= MOST_OPEN_LINES


@pytest.mark.site
def test_no_title_is_cut_at_the_edge_of_a_stored_picture(site):
    """A kernel draws with a font of its own, wider than the site's. Oracle: dark pixels there."""
    cut = []
    for path in sorted(stills.EXECUTED.rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for data in (output.get("data", {}) for output in cell.get("outputs", [])):
                figure = re.search(
                    r'id="([^"]+)".*?live-panels-(\d)', data.get("text/html", ""), re.S
                )
                if "image/png" in data and figure:
                    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
                    pixels, count = np.asarray(image.convert("L")), int(figure[2])
                    titles, wide = pixels[: len(pixels) // 8], pixels.shape[1] // count
                    edges = [titles[:, (k + 1) * wide - 1] for k in range(count)]
                    cut += [f"{path.stem}#{figure[1]}" for edge in edges if (edge < 140).any()]
    assert cut == []
