"""The pictures of an edition: taken from the site's build where it fits the source, made small.

GitHub runs nothing, so a notebook without outputs is a book without pictures there. Each live
figure leaves one still picture with its words and its caption, as wide as the live one, and each
sentence that a cell says stays; widgets and pages do not.
"""

import base64
import html
import io
import json
import re

import nbformat
from nbformat.v4 import new_output
from PIL import Image, ImageDraw

from tools import ROOT

EXECUTED = ROOT / "_build" / "jupyter_execute"
MOST_BYTES = 200_000  # of one notebook, pictures and all
SHARP = 144 / 110  # pixels of a picture for each on the screen, where a live figure is that wide
FIGURE = re.compile(r'<figure class="live" id="([^"]+)".*?</figure>', re.S)
RESULT = re.compile(r'<p class="live-result">(.*?)</p>', re.S)
WORDS = re.compile(r'<div class="live-words">(.*?)</div>', re.S)
CAPTION = re.compile(r'<p class="live-caption">(.*?)</p>', re.S)
DATA = re.compile(r'class="live-data">(.*?)</script>', re.S)
MOVE = "[Move this figure on the site]({address}), or run all cells and move it here."
SIZES = ((256, 1.0), (64, 1.0), (32, 1.0), (24, 0.8), (16, 0.65), (12, 0.5), (8, 0.35))


def outputs(page, places, asks=False, folder=None):
    """The outputs of each code cell in the site's build; None where that is of another source.

    With `asks` a panel that waits for a guess is left blank, and nothing said tells the answer.
    """
    path = (folder or EXECUTED) / page.name
    if not path.exists():
        return None
    executed = nbformat.read(path, as_version=4).cells
    code = [cell for cell in executed if cell.cell_type == "code"]
    if [cell.source for cell in code] != [cell.source for _, cell in page.code()]:
        return None
    name = page.name.removesuffix(".ipynb")
    return [[o for one in cell.outputs for o in kept(one, name, places, asks)] for cell in code]


def kept(output, page, places, asks=False):
    """A figure's picture and what stands below it, or a sentence; nothing of another output."""
    data = output.get("data", {})
    if "image/png" in data:
        figure = data.get("text/html", "")
        guess = _guess(figure)
        covered = blank(data["image/png"], *guess) if guess and asks else data["image/png"]
        below = _below(figure, page, places, bool(guess), asks)
        return [_picture({**data, "image/png": covered}), *below]
    if "text/markdown" in data:
        return [new_output("display_data", {"text/markdown": data["text/markdown"]})]
    return []


def _picture(data):
    alt = data.get("text/plain", "")
    shown = {"width": round(_image(data["image/png"]).width / SHARP), "alt": alt}
    kept_data = {"image/png": data["image/png"], "text/plain": alt}
    return new_output("display_data", kept_data, metadata={"image/png": shown})


def _guess(figure):
    """(which panel waits for a guess, of how many), or None."""
    data = DATA.search(figure)
    data = json.loads(data[1]) if data else {}
    return (data["guess"]["panel"], len(data["panels"])) if "guess" in data else None


def blank(picture, panel, count):
    """The PNG (base64) with one of its panels, all of one width, grey and with a question mark."""
    image, file = _image(picture).convert("RGB"), io.BytesIO()
    (wide, high), pen = image.size, ImageDraw.Draw(image)
    left, right = wide * panel // count, wide * (panel + 1) // count
    pen.rectangle((left, 0, right - 1, high - 1), fill="#f2f2f2")
    pen.text(((left + right) / 2, high / 2), "?", "#595959", font_size=high / 3, anchor="mm")
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _below(figure, page, places, guessed, asks):
    """The words and the caption of a figure's HTML as Markdown, and where it moves if it can.

    The result is among them, unless a guess comes before it; the words are not where it `asks`.
    """
    found = FIGURE.search(figure)
    if not found:
        return
    said = re.findall("<p>(.*?)</p>", "".join(WORDS.findall(found[0])), re.S)
    said = [] if guessed and asks else said
    results = [] if guessed else filter(None, RESULT.findall(found[0]))
    lines = [*(f"**{_words(text)}**" for text in results), *map(_words, said)]
    lines += [f"*{_words(text)}*" for text in CAPTION.findall(found[0])]
    if "live-data" in found[0]:
        lines.append(MOVE.format(address=places.address(page, found[1])))
    yield new_output("display_data", {"text/markdown": "\n\n".join(lines)})


def _words(line):
    """A line of HTML as Markdown that shows the same: scripts stay, what lights a curve is text."""
    parts = re.split("(</?su[bp]>)", re.sub("</?span[^>]*>", "", line.strip()))
    return "".join(part if k % 2 else _escaped(part) for k, part in enumerate(parts))


def _escaped(text):
    return re.sub(r"[\\`*_\[\]<>$|~]", r"\\\g<0>", html.unescape(text))


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
