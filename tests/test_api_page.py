"""The API page lists every public name with the first line of its docstring.

Oracle: the page as Sphinx builds it, against the names and docstrings as Python has them.
"""

import inspect
import re
from html import unescape

import pytest
from sphinx.application import Sphinx

import helpers
from tools import ROOT, api_page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    text = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(text.replace("(notation.md)", "(#x)"), encoding="utf-8")
    settings = {"extensions": ["myst_parser", "tools.api_page"], "suppress_warnings": ["myst"]}
    out = folder / "out"
    app = Sphinx(folder, None, out, out, "html", settings, status=None, warningiserror=True)
    app.build()
    assert app.statuscode == 0
    html = (out / "index.html").read_text(encoding="utf-8")
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def squeezed(text):
    return re.sub(r"\W", "", text)


@pytest.mark.parametrize("name", [name for name in helpers.__all__ if name != "GROUPS"])
def test_a_public_name_stands_on_the_page_with_its_first_line(page, name):
    assert re.search(rf"\b{name}\b", page)
    thing = getattr(helpers, name)
    if getattr(thing, "__module__", "").startswith("helpers.") and hasattr(thing, "__qualname__"):
        first = squeezed(inspect.getdoc(thing).partition("\n")[0].split(". ")[0].split(": ")[0])
        assert first[:25] in squeezed(page)


def test_every_function_and_class_has_a_first_line():
    named = [getattr(helpers, name) for name in helpers.__all__ if name != "GROUPS"]
    ours = [x for x in named if getattr(x, "__module__", "").startswith("helpers.")]
    assert len(ours) > 80
    assert not [x.__qualname__ for x in ours if hasattr(x, "__qualname__") and not x.__doc__]


def test_markup_in_a_docstring_is_text_and_a_name_in_backticks_is_code():
    lines = ["λ_max(diag|θ| H) * `a_b`(λ) and Σ_{s}, one ` alone"]
    api_page.escape(None, "function", "f", None, None, lines)
    assert lines == [r"λ\_max(diag\|θ\| H) \* \ ``a_b``\ (λ) and Σ\_{s}, one \` alone"]


def test_what_python_says_of_its_own_types_is_not_on_the_page(page):
    assert "new empty dictionary" not in page
    assert "`" not in page


def test_each_wing_has_its_heading():
    assert set(api_page.WINGS) == {
        home.split(".")[0] for home, names in helpers.GROUPS.items() if names
    }
