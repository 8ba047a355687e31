"""Names in the sidebar: short, and numbered by part and place, so that a reader knows where she is.

A chapter's short name stands in its first cell, where the map takes it from; a page without one
keeps the `title` that `_toc.yml` gives it, or its own. The pages themselves keep their titles.
"""

from pathlib import Path

from tools import pages

FIRST_PAGE = "Overview"  # of a part: its caption has the name already
OWN = '<a class="current reference internal" href="#"'  # the link to the page that is open


def setup(app):
    # With another name all pages are read again.
    app.add_config_value("book_sidebar", {}, "env", [dict])
    app.connect("config-inited", name_entries, priority=910)  # the table of contents is there
    app.connect("html-page-context", mark_own, priority=900)  # the theme's functions are there
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mark_own(_app, _page, _template, context, _doctree):
    """The entry of the open page says so to a listener; its bold type says so to the eye."""
    if make := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = lambda *args, **how: marked(make(*args, **how))


def marked(entries):
    return str(entries).replace(OWN, f'{OWN} aria-current="page"')


def name_entries(app, config):
    contents = config.external_site_map
    config.book_sidebar = found = names(Path(app.srcdir))
    for page, name in found.items():
        contents[page].title = name
    numbers = {name.partition(".")[0] for name in found.values() if name[0].isdigit()}
    for number, part in enumerate(contents.root.subtrees, 1):
        if str(number) in numbers:
            part.caption = f"{number} {part.caption}"


def names(root):
    """{page: "2.4 The Hessian"} for the chapters of the book in `root`, and their parts' fronts."""
    found = {}
    for part, (_, listed) in enumerate(pages.parts(root), 1):
        chapters = [(page, short) for page in listed if (short := short_name(root, page))]
        for place, (page, short) in enumerate(chapters, 1):
            found[page] = f"{part}.{place} {short}"
        if chapters:
            found |= {page: FIRST_PAGE for page in listed if page.endswith("/intro")}
    return found


def short_name(root, page):
    """The short name in the first cell of a chapter's notebook; None where there is none."""
    path = root / f"{page}.ipynb"
    return pages.read(path, root).facts.get("short") if path.exists() else None
