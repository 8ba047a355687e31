"""A part of the site built again is as good as the whole: sidebars are true, removed pages gone.

Oracle: a site built in one go from the same sources, in another folder, file by file; the build's
own words about what ran.
"""

import json
import re
from types import SimpleNamespace

import pytest
from test_faults import build, new_book, write_book

from tools import fresh

PAGES = {"page": ["print(1)"], "other": ["2 + 2"], "third": ["3"]}


def names(book):
    site = book / "_build" / "html"
    return {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


def built(book, **pages):
    """What a build of these pages says, once it has ended well."""
    write_book(book, **pages)
    status, said = build(book)
    assert status == 0, said
    return said


def sidebar(book, page):
    """The links in a page's sidebar, as (address, words)."""
    text = (book / "_build" / "html" / "book" / f"{page}.html").read_text("utf-8")
    start = text.index('class="bd-links')
    links = re.findall(
        r'href="([^"]*)">\s*([^<]*?)\s*</a>', text[start : text.index("</nav>", start)]
    )
    return [link for link in links if not link[0].startswith("#")]


@pytest.mark.slow
def test_pages_come_go_and_change_their_titles_on_every_page(tmp_path):
    book, whole = new_book(tmp_path / "book"), new_book(tmp_path / "whole")
    one, two, three = ({name: PAGES[name]} for name in PAGES)
    built(book, **one, **two)
    assert "at a time" in built(book, **one, **two, **three)
    assert ("third.html", "A page") in sidebar(book, "other")

    (book / "book" / "other.ipynb").unlink()
    end = "# The true end\n"
    write_book(whole, **one, **three)
    write_book(book, **one, **three)
    for folder in (book, whole):
        (folder / "book" / "end.md").write_text(end)
        status, said = build(folder)
        assert status == 0, said
        assert ("at a time" in said) == (folder == whole), "a page ran again for a title"
    assert sidebar(book, "page") == sidebar(whole, "page")
    assert ("end.html", "The true end") in sidebar(book, "third")
    assert names(book) == names(whole)
    assert not list((book / "_build" / "jupyter_execute").rglob("other.ipynb"))

    said = build(book)[1]
    assert "no targets are out of date" in said


@pytest.fixture
def app(tmp_path):
    """A book of one page, as Sphinx would hand it on."""
    for name in ("_toc.yml", "static/book.css", "templates/page.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(name))
    config = SimpleNamespace(
        external_toc_path="_toc.yml", templates_path=["templates"], html_static_path=["static"]
    )
    title = SimpleNamespace(astext=lambda: "A page")
    env = SimpleNamespace(found_docs={"page"}, titles={"page": title})
    return SimpleNamespace(srcdir=tmp_path, config=config, env=env)


@pytest.mark.parametrize("name", ["_toc.yml", "static/book.css", "templates/page.html"])
def test_a_file_that_every_page_shows_writes_every_page_again(app, name):
    assert fresh.follow_frame(app, app.env) == ["page"]
    assert fresh.follow_frame(app, app.env) == []
    (app.srcdir / name).write_text("changed")
    assert fresh.follow_frame(app, app.env) == ["page"]
