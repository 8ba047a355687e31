"""A course in a box: `make kit` builds all of it into _build/kit, `make kit-bank` one part.

Each part is built into a temporary folder and then renamed, so nothing there is half written, and
no chapter is run again. COURSE= is another course file, SEED= the number behind homework's data.
"""

import os
import random
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

from tools import ROOT, console, course, guide
from tools.places import Fault
from tools.whole_book import Book, read_book

TARGET = ROOT / "_build" / "kit"
SITE = ROOT / "_build" / "html"
# Each part: the function that makes it, and whether it needs the built site. The function gets the
# Kit and a path: an empty folder, or for a name with a suffix the file that it is to write.
PARTS = {
    "student": ("tools.kit_editions:students", False),
    "instructor": ("tools.kit_editions:instructors", False),
    "grader": ("tools.grader:write", False),
    "bank": ("tools.bank:write", False),
    "syllabus.md": ("tools.syllabus:write", False),
    "book-student.pdf": ("tools.print_pdf:part", True),
    "book-solutions.pdf": ("tools.print_pdf:part", True),
    "site.zip": ("tools.releases:site_zip", True),
    "slides": ("tools.slides:for_class", True),
    "slides-teacher": ("tools.slides:for_teachers", True),
}
FOR_TEACHERS = ("instructor", "grader", "slides-teacher")  # never part of a release
MISSING = "The kit needs the built site, and _build/html is not there: run make book first."
OLDER = "_build/html is older than {name}: run make book first."


@dataclass
class Kit:
    """What a part may ask for."""

    course: course.Course
    book: Book
    shelf: course.Shelf
    seed: str = ""

    @cached_property
    def older(self):
        """What to say of a built site that is not of these sources, or is not there, or ""."""
        if not SITE.exists():
            return MISSING
        for page in self.book.pages.values():
            copy = SITE / "_sources" / page.name
            text = (ROOT / page.name).read_text(encoding="utf-8")
            if not copy.exists() or copy.read_text(encoding="utf-8") != guide.for_class(text):
                return OLDER.format(name=page.name)
        return ""


def seed(given, target=TARGET):
    """The SEED that is given, or that of the grader there, or a new one."""
    kept = target / "grader" / "seed.txt"
    return given or (kept.read_text(encoding="utf-8").strip() if kept.exists() else "") or str(
        random.SystemRandom().randrange(10**6)
    )  # fmt: skip


def build(kit, names, target=TARGET):
    """Write the parts `names` into `target`, all of them or none; a line says each one's time."""
    if any(PARTS[name][1] for name in names) and kit.older:
        raise Fault(kit.older)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".kit-", dir=target.parent) as folder:
        for name in names:
            with console.step(f"making {name}"):
                _make(kit, name, Path(folder, name))
        for name in names:
            if (old := target / name).exists():
                old.rename(Path(folder, f"old-{name}"))
            Path(folder, name).rename(target / name)


def _make(kit, name, path):
    module, _, function = PARTS[name][0].partition(":")
    if not path.suffix:
        path.mkdir()
    getattr(import_module(module), function)(kit, path)


def megabytes(path):
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(p.stat().st_size for p in files) / 1e6


def main(names, chosen=os.environ):
    shelf = course.shelf()
    read = course.read(chosen.get("COURSE") or course.DEFAULT, shelf)
    kit = Kit(read, read_book(), shelf, seed(chosen.get("SEED", "")))
    names = names or [*PARTS]
    build(kit, names)
    for name in names:
        print(f"_build/kit/{name:18} {megabytes(TARGET / name):6.1f} MB")
    if kit.older:
        print(kit.older.replace("run", "for its new pictures, run"))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Fault as fault:
        sys.exit(str(fault))
