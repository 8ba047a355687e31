"""A page loads only what it uses: the styles and scripts of extensions it does not need stay away.

Each line below names a part of a file's name and what stands in the body of a page that needs it.
"""

import re
from pathlib import Path

NEEDS = {
    "togglebutton": r'class="[^"]*\b(toggle|dropdown)\b',
    "sphinx-design": r'class="[^"]*\bsd-',
    "design-tabs": r'class="[^"]*\bsd-tab-',
    "proof.css": r'class="[^"]*\bproof\b',
    "exercise.css": r'class="[^"]*\b(exercise|solution)\b',
    "predict": r'class="predict"',
    "gallery.css": r'class="[^"]*\bgallery\b',
    "copybutton": "<pre>",
    "clipboard": "<pre>",
    "explore.js": r'class="live"',
    "sphinx_highlight": r'id="search-results"',
    "translations": r'id="search-results"',
    "doctools": r'id="search-results"',
}
COMMENT = re.compile(r"/\*.*?\*/\s*", re.S)


def setup(app):
    app.connect("html-page-context", drop_unused, priority=1000)
    app.connect("write-started", forget_styles)
    app.connect("build-finished", drop_comments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_unused(_app, _page, _template, context, _doctree):
    if "body" in context:
        for kind in ("css_files", "script_files"):
            used = [asset for asset in context[kind] if is_used(str(asset), context["body"])]
            context[kind] = used


def is_used(asset, body):
    """Does a page with this `body` need the file that `asset` names?"""
    needs = [mark for name, mark in NEEDS.items() if name in asset]
    return all(re.search(mark, body) for mark in needs)


def forget_styles(app, _builder):
    """Styles without comments differ from their sources: Sphinx would report what it overwrites."""
    for path in (Path(app.outdir) / "_static").rglob("*.css"):
        path.unlink()


def drop_comments(app, error):
    """Styles as they are read by a browser: 200 lines of comment are for those who write them."""
    if error is None and app.builder.format == "html":
        for path in (Path(app.outdir) / "_static").rglob("*.css"):
            path.write_text(COMMENT.sub("", path.read_text("utf-8")), "utf-8")
