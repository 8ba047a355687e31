"""A page loads only what it uses: the styles and scripts of extensions it does not need stay away.

Each line below names a part of a file's name and what stands in the body of a page that needs it.
"""

import os
import re
from pathlib import Path

NEEDS = {
    "togglebutton": r'class="[^"]*\b(toggle|dropdown)\b',
    "solutions.js": r'class="[^"]*\b(toggle|dropdown)\b',
    "sphinx-design": r'class="[^"]*\bsd-',
    "design-tabs": r'class="[^"]*\bsd-tab-',
    "proof.css": r'class="[^"]*\bproof\b',
    "exercise.css": r'class="[^"]*\b(exercise|solution)\b',
    "predict": r'class="predict"',
    "gallery.css": r'class="[^"]*\bgallery\b',
    "copybutton": "<pre>",
    "clipboard": "<pre>",
    "explore.js": r'class="live"',
}
SEARCH = ("sphinx_highlight", "translations", "doctools")  # for the search page, which has no body
OWN = "book/_static"
COMMENT = re.compile(r"/\*.*?\*/\s*", re.S)


def setup(app):
    app.connect("html-page-context", drop_unused, priority=1000)
    app.connect("config-inited", ship_light, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_unused(_app, _page, _template, context, _doctree):
    if "body" in context:
        for kind in ("css_files", "script_files"):
            used = [asset for asset in context[kind] if is_used(str(asset), context["body"])]
            context[kind] = used


def is_used(asset, body):
    """Does a page with this `body` need the file that `asset` names?"""
    needs = [mark for name, mark in NEEDS.items() if name in asset]
    return all(re.search(mark, body) for mark in needs) and not any(x in asset for x in SEARCH)


def ship_light(app, config):
    """The book's own styles and scripts without their comments, in place of their folder.

    A file is written only where it changed, so that a second build leaves the site as it is.
    """
    if OWN not in config.html_static_path:
        return
    source = Path(app.srcdir) / OWN
    target = Path(app.outdir).parent / "static"
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        light = shortened(path)
        place = target / path.name
        if not place.exists() or place.read_bytes() != light:
            place.write_bytes(light)
    for left in {one.name for one in target.iterdir()} - {one.name for one in source.iterdir()}:
        (target / left).unlink()
    own = os.path.relpath(target, app.srcdir)
    config.html_static_path = [own if place == OWN else place for place in config.html_static_path]


def shortened(path):
    """The bytes of a file of ours, a style or a script without lines of comment."""
    if path.suffix == ".css":
        return COMMENT.sub("", path.read_text("utf-8")).encode()
    return script(path).encode() if path.suffix == ".js" else path.read_bytes()


def script(path):
    """A script without its lines of comment."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith("//"))
