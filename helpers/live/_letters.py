"""Letters with a subscript or a superscript, written once and set alike in every host.

Authors write mathtext with Unicode letters: `largest curvature $λ_{max}$`. matplotlib sets it in a
kernel. Its SVG would place each glyph by DejaVu's metrics, so for the site the text is taken as it
is written, and set here: `tspan` in pictures, `sub` and `sup` in words, plain text for a voice.
"""

import html
import re
import xml.etree.ElementTree as ET

SMALL = 0.72  # size of a script, relative to its letter
_SHIFT = {"_": 0.28, "^": -0.42}  # down and up, in em of the letter
_TAG = {"_": "sub", "^": "sup"}
_FORMULA = re.compile(r"\$([^$]*)\$")
_SCRIPT = re.compile(r"([_^])(?:\{([^{}]*)\}|(.))")
_TICK = re.compile(r"\\mathdefault\{(.*)\}")  # how matplotlib's own formatters wrap theirs
_MARK = re.compile(r"\[([^\]]+)\]\(([a-z][a-z0-9-]*)\)")


def runs(text):
    """`text` cut where the line shifts: pairs (part, None), or (part, "_" or "^") for a script."""
    parts = _FORMULA.split(text)  # what stands at an odd place is a formula
    return [
        run
        for i, part in enumerate(parts)
        for run in (_formula(part) if i % 2 else [(part, None)])
        if run[0]
    ]


def _formula(text):
    text = _TICK.sub(r"\1", text)
    if "\\" in text:
        raise ValueError(
            f"a formula in a figure needs Unicode letters and one level of _ and ^, got ${text}$: "
            "every host sets it without TeX."
        )
    found, at = [], 0
    for script in _SCRIPT.finditer(text):
        found += [(text[at : script.start()], None), (script[2] or script[3], script[1])]
        at = script.end()
    return [*found, (text[at:], None)]


def to_html(text):
    """One line of words as HTML: `<sub>` and `<sup>`; `[the trace](trace)` lights its curve."""
    parts = [(html.escape(part), _TAG.get(kind)) for part, kind in runs(text)]
    line = "".join(f"<{tag}>{part}</{tag}>" if tag else part for part, tag in parts)
    return _MARK.sub(r'<span data-mark="\2">\1</span>', line)


def to_plain(text):
    """One line of words for a voice, or where nothing can be set: `λ max`, `α to the 2`."""
    said = {None: "", "_": " ", "^": " to the "}
    return _MARK.sub(r"\1", "".join(said[kind] + part for part, kind in runs(text)))


def marks_of(text):
    """The names that the words of `text` light up, in order."""
    return [name for _, name in _MARK.findall(text)]


def set_maths(node):
    """Turn `$λ_{max}$` in the SVG text `node` into tspans that are shifted by `dy`.

    `dy` and not `baseline-shift`, which Firefox lacks. A length in em counts in the run's own size.
    """
    if "$" not in (node.text or ""):
        return
    parts, level = runs(node.text), 0.0
    node.text = None
    for part, kind in parts:
        span = ET.SubElement(node, "tspan")
        span.text = part
        wanted, size = (_SHIFT[kind], SMALL) if kind else (0.0, 1.0)
        if kind:
            span.set("font-size", f"{SMALL:.0%}")
        if wanted != level:
            span.set("dy", f"{(wanted - level) / size:.2f}em")
        level = wanted
