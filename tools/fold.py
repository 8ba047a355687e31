"""Format the notebooks, and fold in every host what the site folds: `python -m tools.fold`.

What Jupyter leaves when it runs and saves goes: outputs, counts, times, the machine's own names.
A cell tagged hide-input, remove-input, remove-cell or test gets `jupyter.source_hidden` (Jupyter)
and `cellView: form` (Colab, which shows the cell's first line, `#@title …`, in its place).
"""

import copy
import re
import subprocess
import sys

import nbformat

from tools.pages import CELL_KEYS, FOLDED, KERNEL, sources, tags


def clear(notebook):
    """Take out what nothing reads; a cell tagged keep_output keeps what it shows."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in cell.metadata if key in CELL_KEYS}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.metadata.get("jupyter", {}).pop("outputs_hidden", None)
            cell.outputs = cell.outputs if "keep_output" in tags(cell) else []


def fold(notebook):
    """Write the keys of each folded cell, take them from the others; True if one changed."""
    before = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("cellView", None)
        cell.metadata.get("jupyter", {}).pop("source_hidden", None)
        if tags(cell) & FOLDED:
            cell.metadata["cellView"] = "form"
            cell.metadata["jupyter"] = {**cell.metadata.get("jupyter", {}), "source_hidden": True}
        elif not cell.metadata.get("jupyter", True):
            del cell.metadata["jupyter"]
    return notebook != before


def tidy(path):
    """Format one notebook, clear it, and write its folding keys."""
    ruff = [sys.executable, "-m", "ruff", "format", "-q", "--config", "format.exclude=[]"]
    subprocess.run([*ruff, path], check=True)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # the formatter puts a space before @title
            cell.source = re.sub(r"^# @title ", "#@title ", cell.source)
    clear(notebook)
    fold(notebook)
    nbformat.write(notebook, path)


def main():
    for path in sources():
        if path.suffix == ".ipynb":
            tidy(path)


if __name__ == "__main__":
    main()
