"""The book's version, from pyproject.toml alone: under every page, and where a page asks for it.

`<!-- version -->` in a line of a Markdown page becomes the number. `python -m tools.version TAG`
prints what CHANGELOG.md says of that version, and stops where the tag is not the book's version.
"""

import re
import sys

from tools import ROOT

MARK = "<!-- version -->"
NUMBER = re.compile(r'^version = "([^"]+)"$', re.M)
SECTION = re.compile(r"^## (\S+?)(?:, [^\n]*)?\n(.*?)(?=^## |\Z)", re.M | re.S)


def setup(app):
    app.connect("config-inited", sign, priority=900)  # after Jupyter Book's own footer
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def number(root=ROOT):
    """The version, such as 0.1.0."""
    return NUMBER.search((root / "pyproject.toml").read_text("utf-8"))[1]


def sign(_app, config):
    """The version stands in the footer of each page."""
    own = config.html_theme_options.get("extra_footer") or ""
    config.html_theme_options["extra_footer"] = f"{own}<p>Version {number()}.</p>"


def fill(_app, _docname, source):
    source[0] = source[0].replace(MARK, number())


def notes(tag, root=ROOT):
    """What CHANGELOG.md says of the version of `tag`; ValueError where they do not fit."""
    wanted, version = tag.removeprefix("v"), number(root)
    if wanted != version:
        raise ValueError(f"The tag {tag} needs version {wanted} in pyproject.toml, got {version}.")
    sections = dict(SECTION.findall((root / "CHANGELOG.md").read_text("utf-8")))
    if version not in sections:
        raise ValueError(f"CHANGELOG.md needs a section {version}, got {', '.join(sections)}.")
    return sections[version].strip()


if __name__ == "__main__":
    try:
        print(notes(*sys.argv[1:2]))
    except (TypeError, ValueError) as fault:
        sys.exit(str(fault))
