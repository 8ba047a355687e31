"""The page of all public names: Sphinx's own autosummary, fed by the front door's groups.

The line `<!-- api -->` becomes one table a wing, a row a name: what it takes, and the first line of
its docstring. Names that are values rather than functions stand in a sentence below.
"""

import re

import helpers

MARK = "<!-- api -->"
WINGS = {
    "nets": "Weights as plain data, data sets, nets, losses, training",
    "maps": "Maps that keep the function, and maps that change the coordinates",
    "measures": "Curvature and the measures of flatness",
    "sweep": "Many rescalings at once",
    "live": "Figures, knobs, exercises",
    "_audit": "All of it, asked of your network",
}


def setup(app):
    app.setup_extension("sphinx.ext.autosummary")
    app.config.autosummary_generate = False
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", escape)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(_app, _docname, source):
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, "\n\n".join(_wing(*wing) for wing in WINGS.items()))


def _wing(wing, title):
    names = [name for home, names in helpers.GROUPS.items() for name in names if _in(home, wing)]
    told = [name for name in names if _has_a_docstring(name)]
    rows = "\n".join(f"   {name}" for name in told)
    table = "```{eval-rst}\n.. currentmodule:: helpers\n.. autosummary::\n\n" + rows + "\n```"
    values = ", ".join(f"`{name}`" for name in names if name not in told)
    return f"## {title}\n\n{table}" + (f"\n\nAnd the values {values}." if values else "")


def _in(home, wing):
    return home.split(".")[0] == wing


def _has_a_docstring(name):
    """Whether a name has a docstring of its own: a number, or an alias of dict, has its type's."""
    thing = getattr(helpers, name)
    ours = getattr(thing, "__module__", "").startswith(helpers.__name__)
    return ours and hasattr(thing, "__qualname__") and bool(thing.__doc__)


def escape(_app, _what, _name, _thing, _options, lines):
    """Our docstrings are plain text: `x` is code, other markup of reStructuredText is escaped."""
    for at, line in enumerate(lines):
        parts = re.split(r"`([^`]+)`", line)
        parts[::2] = [re.sub(r"([\\*|_`])", r"\\\1", text) for text in parts[::2]]
        parts[1::2] = [rf"\ ``{code}``\ " for code in parts[1::2]]
        lines[at] = "".join(parts)
