"""The chapters read this book and its environment's packages: nothing from HOME or the shell.

What a person keeps for IPython, Jupyter and matplotlib, and what the shell tells Python, would
change the pages without a word. The kernels inherit what is set here. And a copy of the book built
with the first one's environment would run that one's helpers: it is told so, and stops.
"""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.errors import SphinxError

THE_PERSONS = (
    *("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_RUNTIME_DIR", "MPLBACKEND"),
    *("PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONDEVMODE"),
)
# Kernels that start at once would wait for one another's history.
IPYTHON = "get_config().HistoryManager.enabled = False\n"


def isolate(app):
    """Give the kernels of the build `app` empty settings and the book's own helpers, or stop."""
    root = Path(app.srcdir).resolve()
    sentence = stranger(root, whereabouts("helpers"))
    if sentence:
        atexit.register(print, sentence, file=sys.stderr)  # after Sphinx's own words
        raise SphinxError(sentence)
    folder = Path(tempfile.mkdtemp(prefix="book-settings-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in THE_PERSONS:
        os.environ.pop(name, None)
    os.environ.update(settings(folder, root))


def settings(folder, root):
    """The variables that lead to settings written into the empty `folder`, and to `root`."""
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(IPYTHON, encoding="utf-8")
    (folder / "matplotlibrc").touch()  # empty: matplotlib's defaults
    return {
        "IPYTHONDIR": str(profile.parent),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
        "PYTHONPATH": str(root),
    }


def whereabouts(name):
    """The path of what Python would import as `name`, or None."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    return Path(spec.origin or next(iter(spec.submodule_search_locations))).resolve()


def stranger(root, there):
    """A sentence if `there` is not the helpers of the book in `root`, or a page would miss them."""
    if there is None:
        return f"The build finds no helpers: make book installs them in {root}."
    if there != root / "helpers" / "__init__.py":
        return (
            f"The build needs the helpers of {root}, got {there}: run make book in this folder, "
            "with PYTHONPATH unset."
        )
    names = ("helpers", "helpers.py")
    for path in sorted(path for name in names for path in (root / "book").rglob(name)):
        return f"{path} hides the book's helpers from the chapters beside it: rename it."
    return None
