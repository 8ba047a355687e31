"""The book's six colours on the site: CSS variables made from the palette that draws the figures.

One truth: change `TWIN` in `helpers/live/_figures.py`, and every figure, box and page follows.
"""

import os
from pathlib import Path

from helpers.live._figures import DARK, PALETTE


def css():
    """The palette as variables, for light pages and for dark ones."""
    return _rule(":root", PALETTE) + _rule('html[data-theme="dark"]', DARK)


def _rule(selector, colours):
    lines = "".join(f"  --{name}: {colour};\n" for name, colour in colours.items())
    return f"{selector} {{\n{lines}}}\n"


def setup(app):
    app.connect("config-inited", ship, priority=90)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def ship(app, config):
    """Write palette.css beside the site, and have Sphinx copy it before the book's own sheet."""
    folder = Path(app.outdir).parent / "palette"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "palette.css").write_text(css(), encoding="utf-8")
    # relative, because Sphinx keeps a hash of this setting beside the pages
    config.html_static_path.append(os.path.relpath(folder, app.srcdir))
    config.html_css_files.insert(0, "palette.css")
