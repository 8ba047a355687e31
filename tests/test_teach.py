"""The teacher's pages point at figures and exercises that exist, and leave no exercise out.

Oracle: the chapters' own calls of explore, read from their sources, and the list of exercises that
the site makes from the chapters.
"""

import re
from urllib.parse import parse_qs

import pytest

from tools import ROOT, exercise_index, pages

LINK = re.compile(r'<a href="([\w./-]+)\.html(?:#([\w-]+)(?::([^"]+))?)?"')
GUIDE = ROOT / "book" / "teach" / "guide.md"


def links(path):
    """(page, figure, knobs) of each HTML link in one Markdown page."""
    for target, figure, query in LINK.findall(path.read_text(encoding="utf-8")):
        page = (path.parent / f"{target}.ipynb").resolve()
        yield page, figure, set(parse_qs(query))


def figures(page):
    """The figures of one notebook: name → names of its knobs."""
    found = {}
    for _, cell in pages.read(page).code():
        for call in pages.calls(cell.source, {"explore"}):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            found[given["name"].value] = set(given) - {"fig", "name", "caption", "alt"}
    return found


LINKED = [p for p in pages.sources() if p.suffix == ".md" and any(links(p))]


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_a_deep_link_names_a_figure_and_its_knobs(path):
    for page, figure, knobs in links(path):
        assert page.exists(), f"{path.name} links to {page.name}, and there is no such page."
        have = figures(page)
        assert not figure or figure in have, f"{page.name} has {sorted(have)}, not {figure}."
        assert knobs <= have.get(figure, set()), f"{figure} has {have[figure]}, not {knobs}."


def test_the_guide_says_what_each_exercise_trains():
    guide = GUIDE.read_text(encoding="utf-8")
    for page in exercise_index.chapters(ROOT):
        for one in exercise_index.exercises(page)[1]:
            assert f"<{one.label}>" in guide, f"guide.md needs a row for {one.label}."


def test_a_link_is_read_whole(tmp_path):
    (tmp_path / "a.md").write_text('<a href="b/c.html#fig-4:alpha=0.1&case=no%20bias">x</a>')
    found = list(links(tmp_path / "a.md"))
    assert found == [(tmp_path / "b" / "c.ipynb", "fig-4", {"alpha", "case"})]
