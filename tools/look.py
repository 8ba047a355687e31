"""What the site would say of one chapter's figures: `.venv/bin/python -m tools.look PAGE`.

Runs the notebook as the build does, without the rest of the book, and prints every rule of
`tools/grammar.py` that a figure of it breaks. What only a browser can tell is told by the tests.
"""

import os
import sys
from pathlib import Path

from tools import grammar, shown
from tools.parallel import Chapter


def ran(path):
    """The HTML of all that the notebook shows on the site."""
    chapter = Chapter(path.stem, path, timeout=None)
    os.environ["HELPERS_HOST"] = "site"
    try:
        chapter.run()
    finally:
        del os.environ["HELPERS_HOST"]
    if chapter.error:
        sys.exit(f"{chapter.place} stopped: {chapter.reason}")
    outputs = [output for cell in chapter.notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("data", {}).get("text/html", "") for output in outputs)


def main(name):
    path = Path(name).resolve()
    if not path.is_file():
        sys.exit(f"{name} is no notebook: give one, as book/meaning/curvature.ipynb.")
    figures = list(shown.figures(ran(path), path.stem, shown.reasons(path)))
    faults = [fault for figure in figures for fault in grammar.faults(figure)]
    print(*faults or [f"{len(figures)} figures keep the rules."], sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
