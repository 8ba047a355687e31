"""The pictures of an edition: taken from the site's build where it fits the source, made small.

GitHub runs nothing, so a notebook without outputs is a book without pictures there. Each live
figure leaves one still picture with its words and its caption, as wide as the live one, and each
sentence that a cell says stays; widgets and pages do not.
"""

import base64
import html
import io
import re

import nbformat
from nbformat.v4 import new_output
from PIL import Image

from tools import ROOT

EXECUTED = ROOT / "_build" / "jupyter_execute"
MOST_BYTES = 200_000  # of one notebook, pictures and all
SHARP = 144 / 110  # pixels of a picture for each on the screen, where a live figure is that wide
FIGURE = re.compile(r'<figure class="live" id="([^"]+)".*?</figure>', re.S)
WORDS = re.compile(r'<div class="live-words">(.*?)</div>', re.S)
CAPTION = re.compile(r"<figcaption>(.*?)</figcaption>", re.S)
MOVE = "[Move this figure on the site]({address}), or run all cells and move it here."
SIZES = ((256, 1.0), (64, 1.0), (32, 1.0), (24, 0.8), (16, 0.65), (12, 0.5), (8, 0.35))


def outputs(page, places, folder=None):
    """The outputs of each code cell in the site's build; None where that is of another source."""
    path = (folder or EXECUTED) / page.name
    if not path.exists():
        return None
    executed = nbformat.read(path, as_version=4).cells
    code = [cell for cell in executed if cell.cell_type == "code"]
    if [cell.source for cell in code] != [cell.source for _, cell in page.code()]:
        return None
    name = page.name.removesuffix(".ipynb")
    return [[o for one in cell.outputs for o in kept(one, name, places)] for cell in code]


def kept(output, page, places):
    """A figure's picture and what stands below it, or a sentence; nothing of another output."""
    data = output.get("data", {})
    if "image/png" in data:
        return [_picture(data), *_below(data.get("text/html", ""), page, places)]
    if "text/markdown" in data:
        return [new_output("display_data", {"text/markdown": data["text/markdown"]})]
    return []


def _picture(data):
    alt = data.get("text/plain", "")
    shown = {"width": round(_image(data["image/png"]).width / SHARP), "alt": alt}
    kept_data = {"image/png": data["image/png"], "text/plain": alt}
    return new_output("display_data", kept_data, metadata={"image/png": shown})


def _below(figure, page, places):
    """The words and the caption of a figure's HTML as Markdown, and where it moves if it can."""
    found = FIGURE.search(figure)
    if not found:
        return
    said = re.findall("<p>(.*?)</p>", "".join(WORDS.findall(found[0])), re.S)
    lines = [*map(_words, said), *(f"*{_words(text)}*" for text in CAPTION.findall(found[0]))]
    if "live-data" in found[0]:
        lines.append(MOVE.format(address=places.address(page, found[1])))
    yield new_output("display_data", {"text/markdown": "\n\n".join(lines)})


def _words(escaped):
    """Text of HTML as Markdown that shows the same characters."""
    return re.sub(r"[\\`*_\[\]<>$|~]", r"\\\g<0>", html.unescape(escaped).strip())


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
    image = _image(picture).convert("RGB")
    size = [max(1, round(scale * side)) for side in image.size]
    small = image.resize(size, Image.Resampling.LANCZOS) if scale < 1 else image
    file = io.BytesIO()
    small.quantize(colours).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _image(picture):
    return Image.open(io.BytesIO(base64.b64decode(picture)))
