"""The book as the editions see it: every page, every place, every cited work, and the commit."""

import shutil
import subprocess
from dataclasses import dataclass

from tools import ROOT, pages, places, repository, works


@dataclass(frozen=True)
class Book:
    """What an edition of one page needs to know of the others, and of the commit it is made at."""

    pages: dict  # Page by path without suffix, in the order of _toc.yml
    places: places.Places
    works: works.Works
    url: str
    commit: str = ""
    tree: str = "as committed"

    def notebooks(self):
        return [page for page in self.pages.values() if page.name.endswith(".ipynb")]


def read_book(root=ROOT):
    """The book as it stands on the disk."""
    url, _ = repository.address()
    paths = {path.relative_to(root).with_suffix("").as_posix(): path for path in pages.sources()}
    book = {name: pages.read(paths[name]) for name in pages.table_of_contents() if name in paths}
    where = places.read(book, repository.site(url))
    cited = works.read(root / "book" / "references.bib")
    return Book(book, where, cited, url, *state(root))


def state(root):
    """(the commit of HEAD or "", whether the tree is as committed).

    A copy of the book inside another repository has no commit of its own.
    """

    def git(*words):
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    own = shutil.which("git") and git("rev-parse", "--show-prefix") == ""  # it is no folder of one
    commit = git("rev-parse", "HEAD") if own else None
    if not commit:
        return "", "not under version control"
    changed = git("status", "--porcelain")
    return commit, "differs from the commit" if changed else "as committed"
