"""What a course file must keep: each rule yields sentences that begin after the file's name."""

import difflib

WHOLE = {"title", "points", "most_minutes_a_week", "meetings", "also", "left_out"}
MEETING = {"title", "day", "minutes", "chapters", "steps", "homework"}
HOMEWORK, TASK = {"due", "points", "exercises"}, {"label", "points", "marked"}
STEP, ALSO = {"figure", "minutes"}, {"title", "due", "points"}
OPTIONAL = {"also", "left_out", "steps", "homework"}
TEXTS, LISTS = {"title", "label", "marked", "figure"}, {"meetings", "chapters", "exercises"}
MARKED = ("by otter", "by hand")
A_WEEK = 7


def faults(raw, book):
    """Every sentence about a course as YAML gives it; `book` is what it may name."""
    form = list(_form(raw, WHOLE, ""))
    for where, meeting in [] if form else _numbered(raw["meetings"]):
        form += _meeting_form(where, meeting)
    for at, one in enumerate([] if form else raw.get("also") or (), 1):
        form += _form(one, ALSO, f", also {at}")
    yield from form
    if not form:
        for rule in (_names, _order, _needs, _days, _points, _times):
            yield from rule(raw, book)


def figure(text):
    """(page, name, position) of "meaning/volume#rising-lake:eps_height=0.1"."""
    page, _, rest = text.partition("#")
    name, _, position = rest.partition(":")
    return page, name, position


def nearest(name, names):
    """The words that send a writer to the nearest of `names`, or to all of a few."""
    close = difflib.get_close_matches(str(name), list(names), 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(names))}."


def _numbered(meetings):
    return ((f", meeting {k}", meeting) for k, meeting in enumerate(meetings, 1))


def _meeting_form(where, meeting):
    yield from (form := list(_form(meeting, MEETING, where)))
    if form:
        return
    for at, step in enumerate(meeting.get("steps") or (), 1):
        yield from _form(step, STEP, f"{where}, step {at}")
    if meeting.get("homework") is not None:
        yield from (bad := list(_form(meeting["homework"], HOMEWORK, f"{where}, homework")))
        for at, task in enumerate([] if bad else meeting["homework"]["exercises"], 1):
            yield from _form(task, TASK, f"{where}, exercise {at}")


def _form(raw, keys, where):
    """The keys of one mapping, and of which type their values are."""
    if not isinstance(raw, dict):
        yield f"{where} needs {', '.join(sorted(keys))}, got {raw!r}."
        return
    for key in sorted(set(raw) - keys, key=str):
        yield f"{where}: no key {key!r} is known there; {nearest(key, keys)}"
    for key in sorted(keys - OPTIONAL - set(raw)):
        yield f"{where} needs {key}, and it is not there."
    for key, value in raw.items():
        yield from _type(key, value, where) if key in keys else ()


def _type(key, value, where):
    if key in OPTIONAL and value is None:
        return
    if key in TEXTS and not (isinstance(value, str) and value.strip()):
        yield f"{where}: {key} needs words, got {value!r}."
    if key in LISTS | {"steps", "also", "left_out"} and not isinstance(value, list):
        yield f"{where}: {key} needs a list, got {value!r}."
    elif key in LISTS and not value:
        yield f"{where}: {key} needs one entry or more."
    numbers = {"points", "most_minutes_a_week", "day", "minutes", "due"}
    if key in numbers and not (type(value) is int and value > 0):
        yield f"{where}: {key} needs a whole number above 0, got {value!r}."


def tasks(meeting):
    return meeting["homework"]["exercises"] if meeting.get("homework") else []


def _names(raw, book):
    """Chapters, figures and exercises exist, and otter is asked only what it can mark."""
    for where, meeting in _numbered(raw["meetings"]):
        for name in meeting["chapters"]:
            if name not in book.chapters:
                yield f"{where}: no chapter {name!r}; {nearest(name, book.chapters)}"
        for page, name, _ in (figure(step["figure"]) for step in meeting.get("steps") or ()):
            if page not in book.chapters:
                yield f"{where}: no chapter {page!r} for a figure; {nearest(page, book.chapters)}"
            elif name not in book.figures[page]:
                yield f"{where}: no figure {name!r} in {page}; {nearest(name, book.figures[page])}"
        for task in tasks(meeting):
            yield from (f"{where}{fault}" for fault in _task(task, book))
    for name in raw.get("left_out") or ():
        if name not in book.chapters:
            yield f", left_out: no chapter {name!r}; {nearest(name, book.chapters)}"


def _task(task, book):
    label = task["label"]
    if label not in book.exercises:
        yield f": no exercise {label!r}; {nearest(label, book.exercises)}"
    elif task["marked"] not in MARKED:
        yield f": {label} is marked 'by otter' or 'by hand', got {task['marked']!r}."
    elif task["marked"] == "by otter" and book.exercises[label][2] == "judged":
        yield f": {label} has no key that a grader could hold, so mark it by hand: it is judged."


def _order(raw, book):
    """Nothing is shown or set before its chapter is read, and nothing twice."""
    read, seen = set(), set()
    for where, meeting in _numbered(raw["meetings"]):
        for name in [n for n in meeting["chapters"] if n in read]:
            yield f"{where}: {name} is read a second time."
        read |= set(meeting["chapters"])
        for page, name, _ in (figure(step["figure"]) for step in meeting.get("steps") or ()):
            if page in book.chapters and page not in read:
                yield f"{where} shows {name} of {page}, which is not read by then."
        for label in (task["label"] for task in tasks(meeting)):
            chapter = book.exercises[label][0] if label in book.exercises else None
            if chapter and chapter not in read:
                yield f"{where} sets {label} of {chapter}, which is not taught by then."
            if label in seen:
                yield f"{where} sets {label} a second time."
            seen.add(label)
    for name in [n for n in book.chapters if n not in read | set(raw.get("left_out") or ())]:
        yield f" has {name} in no meeting: give it one, or write it under left_out."


def _needs(raw, book):
    """A chapter comes with, or after, those that the map says it needs."""
    read = set()
    for where, meeting in _numbered(raw["meetings"]):
        read |= set(meeting["chapters"])
        for name in [n for n in meeting["chapters"] if n in book.chapters]:
            for need in book.chapters[name].needs:
                if need.removeprefix("book/") not in read:
                    first = need.removeprefix("book/")
                    yield f"{where} reads {name} before {first}, which it needs."


def _days(raw, _book):
    last = 0
    for where, meeting in _numbered(raw["meetings"]):
        if meeting["day"] <= last:
            yield f"{where} is on day {meeting['day']}, and the one before it on day {last}."
        last = meeting["day"]
        due = meeting["homework"]["due"] if meeting.get("homework") else last + 1
        if due <= last:
            yield f"{where} is on day {last}, and its homework is due on day {due}."


def _points(raw, _book):
    total = sum(one["points"] for one in raw.get("also") or ())
    for where, meeting in _numbered(raw["meetings"]):
        if meeting.get("homework"):
            told, found = meeting["homework"]["points"], sum(t["points"] for t in tasks(meeting))
            total += told
            if told != found:
                yield f"{where}: its homework has {told} points, and its exercises {found}."
    if total != raw["points"]:
        yield f" has {raw['points']} points, and its homework and the rest add up to {total}."


def _times(raw, book):
    for where, meeting in _numbered(raw["meetings"]):
        taken = sum(step["minutes"] for step in meeting.get("steps") or ())
        if taken > meeting["minutes"]:
            yield f"{where} lasts {meeting['minutes']} minutes, and its steps take {taken}."
    for week, minutes in sorted(weeks(raw, book).items()):
        if minutes > raw["most_minutes_a_week"]:
            most = raw["most_minutes_a_week"]
            yield f", week {week}, takes a student {minutes} minutes, and {most} are allowed."


def weeks(raw, book):
    """The minutes of each week: its meetings, what is read before them, what they set."""
    found = {}
    for meeting in raw["meetings"]:
        known = [book.chapters[n] for n in meeting["chapters"] if n in book.chapters]
        labels = [t["label"] for t in tasks(meeting) if t["label"] in book.exercises]
        minutes = meeting["minutes"] + sum(one.minutes[0] for one in known)
        minutes += sum(book.exercises[label][1].minutes for label in labels)
        week = (meeting["day"] - 1) // A_WEEK + 1
        found[week] = found.get(week, 0) + minutes
    return found
