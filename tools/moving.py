"""The moving picture of the README: the front page's first figure, at its own measured positions.

`python -m tools.moving` takes the figure's page of the built site through a browser and writes
`book/_static/moving.gif`. The picture's comment keeps a hash of the cells that made the figure, so
that a test can tell when it is no longer the book's.
"""

import hashlib
import io
import sys

from PIL import Image

from tools import ROOT, browser, pages

TARGET = ROOT / "book" / "_static" / "moving.gif"
FRONT = "book/index.ipynb"
SIZE = {"width": 940, "height": 560}
COLOURS = 24
MS = 140  # a frame
EDGE = 10  # pixels around it
LEAVE = ".live-actions, .live-caption, .live-words { display: none !important }"
SHOW = """(slider, at) => {
  slider.value = at;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}"""
HERE = """() => {
  const boxes = [...document.querySelectorAll('.live-panels, .live-bar')]
    .map(part => part.getBoundingClientRect());
  return [Math.min(...boxes.map(b => b.left)), Math.min(...boxes.map(b => b.top)),
          Math.max(...boxes.map(b => b.right)), Math.max(...boxes.map(b => b.bottom))];
}"""


def main():
    figure = first_figure()
    page = ROOT / "_build" / "html" / "figures" / f"{figure}.html"
    if not page.exists():
        sys.exit(f"The moving picture needs {page.relative_to(ROOT)}: run make book first.")
    save(frames(page.as_uri()), TARGET)
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1000:.0f} kB")


def first_figure():
    """The name of the front page's first figure."""
    sources = (cell.source for _, cell in pages.read(ROOT / FRONT).code())
    return next(call["name"] for source in sources for call in named(source))


def named(source):
    """The keywords with a literal value of each call of `explore` in a cell."""
    for call in pages.calls(source, {"explore"}):
        yield {k.arg: k.value.value for k in call.keywords if hasattr(k.value, "value")}


def frames(address):
    """Pictures of the figure from the middle of its slider to the low end, and back."""
    with browser.browser() as running:
        tab = running.new_page(viewport=SIZE)
        tab.goto(address)
        tab.add_style_tag(content=LEAVE)
        slider = tab.locator("figure.live input[type=range]").first
        middle = int(slider.get_attribute("max")) // 2
        down = range(middle, -1, -2)
        left, top, right, bottom = tab.evaluate(HERE)
        clip = {"x": left - EDGE, "y": top - EDGE}
        clip |= {"width": right - left + 2 * EDGE, "height": bottom - top + 2 * EDGE}
        return [shot(tab, slider, at, clip) for at in (*down, *reversed(down))]


def shot(tab, slider, at, clip):
    slider.evaluate(SHOW, at)
    tab.wait_for_timeout(60)
    return Image.open(io.BytesIO(tab.screenshot(clip=clip))).convert("RGB")


def save(pictures, path):
    palette = pictures[len(pictures) // 3].quantize(COLOURS)
    first, *rest = [one.quantize(palette=palette, dither=0) for one in pictures]
    first.save(
        path, save_all=True, append_images=rest, duration=MS, loop=0, comment=made_from().encode()
    )


def made_from():
    """A hash of the front page's code down to its first figure: what the picture was made from.

    Not of the first cell, which fetches the helpers: a fork has its own address there.
    """
    digest = hashlib.sha256()
    for _, cell in list(pages.read(ROOT / FRONT).code())[1:]:
        digest.update(cell.source.encode())
        if "explore(" in cell.source:
            return digest.hexdigest()[:16]


if __name__ == "__main__":
    main()
