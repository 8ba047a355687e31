"""A panel as PNG, fast enough to follow a hand: axes at rest are pasted, only deflate takes time.

Measured on the panels of this book: axes are two thirds of a drawing, and Pillow's PNG takes three
times as long as `png` here for a larger file, since it tries filters on each row.
"""

import io
import struct
import zlib

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from PIL import Image

from helpers.live._axis_memo import AxisMemo, look

DPI = 144  # twice the layout's 72 points: sharp on a dense screen


class Picture:
    """`fig` on white, at rest in its layout; `bytes` hold the PNG of its last drawing."""

    def __init__(self, fig):
        self.fig, self.bytes, self._pixels = fig, b"", None
        self._layers = AxisLayers()
        fig.set_dpi(DPI)
        fig.patch.set_facecolor("white")
        self._canvas = FigureCanvasAgg(fig)

    def drawn(self):
        """The PNG of what `fig` shows now: the same bytes as before where no pixel has changed.

        Pixels are compared, not flags: an artist may change and not say so. `savefig` is not used:
        it draws twice when a figure has had a layout engine.
        """
        with self._layers.watching(self.fig):
            self._canvas.draw()
        pixels = np.asarray(self._canvas.buffer_rgba())
        if self._pixels is None or not np.array_equal(pixels, self._pixels):
            self._pixels, self.bytes = pixels.copy(), png(pixels)
        return self.bytes


class AxisLayers(AxisMemo):
    """The axes of one figure, each on a clear sheet of its own that is pasted while it rests.

    A new one is pasted too, so that a picture does not depend on what was shown before.
    """

    def _draw(self, axis, renderer):
        if not self.rests(axis):
            sheet = RendererAgg(renderer.width, renderer.height, renderer.dpi)
            type(axis).draw(axis, sheet)
            self._drawn[axis] = look(axis), _cropped(np.asarray(sheet.buffer_rgba()))
        renderer.draw_image(renderer.new_gc(), *self._drawn[axis][1])


def _cropped(pixels):
    """What is not clear in `pixels` (h, w, 4): left, bottom, and its rows from the bottom up."""
    rows, columns = (np.flatnonzero(pixels[..., 3].any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, np.zeros((1, 1, 4), np.uint8)
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return columns[0], len(pixels) - 1 - rows[-1], np.ascontiguousarray(part[::-1])


def png(pixels):
    """`pixels` (h, w, 4) of uint8 as the bytes of a PNG: rows unfiltered, deflate at its fastest.

    Source: the PNG specification, 3rd edition, 5 (chunks) and 9.2 (filter type 0).
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # each row begins with its filter, 0
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits, RGB and alpha
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def side_by_side(pictures):
    """One PNG of several, left to right on white."""
    parts = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    size = sum(part.width for part in parts), max(part.height for part in parts)
    whole = Image.new("RGB", size, "white")
    for at, part in enumerate(parts):
        whole.paste(part, (sum(part.width for part in parts[:at]), 0))
    page = io.BytesIO()
    whole.save(page, "png")
    return page.getvalue()
