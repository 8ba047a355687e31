"""What every live figure keeps, as rules on what the site ships: sizes, letters, words, handles.

Each rule takes a figure and yields sentences that name it, as in `tools/contract.py`. What only a
browser can tell (sizes on a screen, labels that overlap) is tested there.
"""

import math
import re
from collections import Counter, defaultdict

from bs4 import BeautifulSoup

from helpers import PALETTE

VIEW = "0 0 216 194.4"
SIZE = "9.25px"
MOST_RESULT, MOST_TITLE, MOST_TICKS, LEAST_VALUES = 60, 32, 5, 5
NAMES = ("Hessian", "Gauss", "Fisher")  # that a label may begin with
SAME, APART, DIFFERENT = 0.8, 1.0, 0.8
NUMBER = re.compile(
    r"[−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?|[−-]?10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|∞"
)


def plain(line):
    return BeautifulSoup(line, "html.parser").get_text()


def one_size(figure):
    for root, _ in figure.panels:
        if root.get("viewBox") != VIEW:
            yield figure.faulty(f"has a panel of {root.get('viewBox')}, and a panel is {VIEW}.")
        for text in root.iter("text"):
            size = re.search(r"font-size: ([\d.]+px)", text.get("style", ""))
            if size is None or size[1] != SIZE:
                words = "".join(text.itertext())
                yield figure.faulty(f"writes {words!r} at {size and size[1]}, and text is {SIZE}.")


def letters(figure):
    """No sign of the notation is left where a reader looks, or a voice reads."""
    labels = [text for knob in figure.knobs for text in (knob["label"], *knob["texts"])]
    lines = [plain(line) for said in figure.words for line in said]
    for text in {*figure.texts(), *labels, *lines, figure.alt, figure.caption.get_text()}:
        if found := re.search(r"[_^$\\]|lambda_?max", text):
            yield figure.faulty(f"shows {found[0]!r} in {text[:60]!r}: write $λ_{{max}}$.")


def labels_speak(figure):
    for knob in figure.knobs:
        if not re.search(r"[A-Za-z]{3,}", knob["label"]):
            yield figure.faulty(f"names a knob {knob['label']!r}: a word says what it does.")


def labels_are_alike(figure):
    """A label goes on in its value: it begins small, has no colon, no comma before its letter."""
    for knob in figure.knobs:
        if re.match(r"[A-Z][a-z]", knob["label"]) and not knob["label"].startswith(NAMES):
            yield figure.faulty(f"names a knob {knob['label']!r}: a label begins small.")
        if found := re.search(r":|, \S{1,3}$", knob["label"]):
            yield figure.faulty(f"has {found[0]!r} in {knob['label']!r}: its value follows.")


def knobs_have_room(figure):
    for knob in figure.knobs:
        if knob["kind"] == "range" and len(knob["values"]) < LEAST_VALUES:
            yield figure.faulty(f"has a slider of {len(knob['values'])} values: make it a choice.")


def ends_differ(figure):
    """From end to end of each knob, whatever the others are, picture and result change."""
    if figure.why:
        return
    at = {indices: k for k, indices in enumerate(figure.positions())}
    for place, knob in enumerate(figure.knobs):
        last = len(knob["values"]) - 1
        for low in (indices for indices in at if indices[place] == 0):
            high = (*low[:place], last, *low[place + 1 :])
            pictures = {figure.picture(at[low]), figure.picture(at[high])}
            if len(pictures) < 2 or figure.words[at[low]] == figure.words[at[high]]:
                yield figure.faulty(f"looks or reads alike at both ends of {knob['label']!r}.")
                break


def no_dead_half(figure):
    for place, knob in enumerate(figure.knobs):
        steps = [pair for pair in _neighbours(figure, place) if knob["kind"] == "range"]
        moved = [figure.picture(a) != figure.picture(b) for a, b in steps]
        if moved and sum(moved) < DIFFERENT * len(moved) and not figure.why:
            share = f"{sum(moved)} of {len(moved)}"
            yield figure.faulty(f"moves at {share} steps of {knob['label']!r}: drop the dead part.")


def _neighbours(figure, place):
    """Pairs of positions one step apart along one knob."""
    at = {indices: k for k, indices in enumerate(figure.positions())}
    for indices, k in at.items():
        after = (*indices[:place], indices[place] + 1, *indices[place + 1 :])
        if after in at:
            yield k, at[after]


def starts_where_it_shows(figure):
    for knob in figure.knobs:
        if knob["kind"] != "range" or figure.why:
            continue
        if knob["start"] in (0, len(knob["values"]) - 1):
            yield figure.faulty(
                f"starts at an end of {knob['label']!r}: start where both ways lead."
            )


def result_line(figure):
    """The first line is short, carries a number, ends, and keeps its words."""
    if not figure.knobs:
        return
    results = [plain(said[0]) for said in figure.words]
    for text in dict.fromkeys(results):
        if not (0 < len(text) <= MOST_RESULT and text[-1] in ".?!" and re.search(r"\d|∞", text)):
            yield figure.faulty(
                f"says {text!r} ({len(text)} characters): a result has a number, a stop, and at "
                f"most {MOST_RESULT} characters."
            )
            break
    groups = defaultdict(list)
    choices = [k for k, knob in enumerate(figure.knobs) if knob["kind"] == "choice"]
    for indices, text in zip(figure.positions(), results):
        groups[tuple(indices[k] for k in choices)].append(NUMBER.sub("#", text))
    for said in groups.values():
        common, count = Counter(said).most_common(1)[0]
        if count < SAME * len(said):
            other = next(text for text in said if text != common)
            yield figure.faulty(f"changes its result's words: {common!r} and {other!r}.")
            break


def handles(figure):
    sliders = [knob for knob in figure.knobs if knob["kind"] == "range"]
    if sliders and not figure.grips and not figure.why:
        yield figure.faulty("has a slider and no handle: drag=, or why= there is none.")
    for grip in figure.grips:
        steps = [
            pair
            for place, knob in enumerate(figure.knobs)
            if knob["name"] in grip["moves"]
            for pair in _neighbours(figure, place)
        ]
        far = [math.dist(grip["spots"][a], grip["spots"][b]) >= APART for a, b in steps]
        if sum(far) < SAME * len(far):
            yield figure.faulty(f"moves its handle at {sum(far)} of {len(far)} steps only.")


def marks(figure):
    """What words light is there, and what is marked is named in words."""
    drawn = {node.get("data-mark") for root, _ in figure.panels for node in root.iter()} - {None}
    said = {mark for lines in figure.words for line in lines for mark in MARK.findall(line)}
    said |= set(MARK.findall(figure.caption.decode_contents()))
    for name in sorted(said - drawn):
        yield figure.faulty(f"lights {name!r} in words, and no artist is marked so.")
    for name in sorted(drawn - said):
        yield figure.faulty(f"marks {name!r}, and no words light it.")


MARK = re.compile(r'data-mark="([\w-]+)"')


def titles_and_ticks(figure):
    for root, _ in figure.panels:
        axes = Counter()
        for text in root.iter("text"):
            words, style = "".join(text.itertext()), text.get("style", "")
            if "font-weight: 700" in style and len(words) > MOST_TITLE:
                yield figure.faulty(
                    f"has the title {words!r} of {len(words)} characters, and {MOST_TITLE} fit."
                )
            if TICK.fullmatch(words):
                at = ("x", text.get("y")) if "anchor: middle" in style else ("y", text.get("x"))
                axes[at] += "rotate" not in text.get("transform", "")
        for (axis, _), count in axes.items():
            if count > MOST_TICKS:
                yield figure.faulty(f"has {count} numbers along {axis}: a panel has room for 4.")


TICK = re.compile(r"[−-]?[\d,.]+(?:%|°)?|[−-]?10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def colours(figure):
    known = {f"var(--{name})" for name in PALETTE} | {"none"}
    for root, change in figure.panels:
        styles = [node.get("style", "") for node in root.iter()]
        styles += [value for value in change["values"] if value]
        for style in styles:
            for colour in re.findall(r"(?:fill|stroke): ([^;]+)", style):
                if colour not in known:
                    yield figure.faulty(
                        f"draws in {colour}: only {', '.join(PALETTE)} have a dark twin."
                    )
                    return


EVERY_FIGURE = (
    *(one_size, letters, labels_speak, labels_are_alike, knobs_have_room),
    *(ends_differ, no_dead_half),
    *(starts_where_it_shows, result_line, handles, marks, titles_and_ticks, colours),
)


def faults(figure):
    """Every sentence about one figure."""
    return [sentence for rule in EVERY_FIGURE for sentence in rule(figure)]
