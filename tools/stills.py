"""The pictures of an edition: taken from the site's build where it fits the source, made small.

GitHub runs nothing, so a notebook without outputs is a book without pictures there. Each live
figure leaves one still picture, each sentence that a cell says stays; widgets and pages do not.
"""

import base64
import io

import nbformat
from nbformat.v4 import new_output
from PIL import Image

from tools import ROOT

EXECUTED = ROOT / "_build" / "jupyter_execute"
MOST_BYTES = 200_000  # of one notebook, pictures and all
SIZES = ((256, 1.0), (64, 1.0), (32, 1.0), (24, 0.8), (16, 0.65), (12, 0.5), (8, 0.35))


def outputs(page, folder=None):
    """The outputs of each code cell in the site's build; None where that is of another source."""
    path = (folder or EXECUTED) / page.name
    if not path.exists():
        return None
    executed = nbformat.read(path, as_version=4).cells
    code = [cell for cell in executed if cell.cell_type == "code"]
    if [cell.source for cell in code] != [cell.source for _, cell in page.code()]:
        return None
    return [list(filter(None, map(kept, cell.outputs))) for cell in code]


def kept(output):
    """A figure's picture with its words, or a sentence; None for every other output."""
    data = output.get("data", {})
    if "image/png" in data:
        names = ("image/png", "text/plain")
    elif "text/markdown" in data:
        names = ("text/markdown",)
    else:
        return None
    return new_output("display_data", {name: data[name] for name in names if name in data})


def fit(notebook):
    """Make the pictures smaller, all alike, until the notebook is small enough; as text."""
    wide = [
        (output, output.data["image/png"])
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    for colours, scale in SIZES:
        for output, picture in wide:
            output.data["image/png"] = shrink(picture, colours, scale)
        text = nbformat.writes(notebook, version=4) + "\n"
        if len(text.encode()) <= MOST_BYTES or not wide:
            break
    return text


def shrink(picture, colours, scale):
    """A PNG (base64) with a palette of so many colours, so many times as wide."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    size = [max(1, round(scale * side)) for side in image.size]
    small = image.resize(size, Image.Resampling.LANCZOS) if scale < 1 else image
    file = io.BytesIO()
    small.quantize(colours).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
