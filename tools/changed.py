"""Which pages differ between two built sites: `python -m tools.changed BEFORE AFTER`, as Markdown.

What frames a page (sidebar, head, addresses of scripts) is left out: a new chapter changes it
everywhere. Without a site before, every page counts as new.
"""

import re
import sys
from pathlib import Path

ARTICLE = re.compile(r"<article\b.*?</article>", re.S)


def articles(site):
    """The text of each page that has one, by its path in the site."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        article = ARTICLE.search(path.read_text(encoding="utf-8"))
        if article and not {"_static", "_sources"} & set(path.relative_to(site).parts):
            found[path.relative_to(site).as_posix()] = article[0]
    return found


def report(before, after):
    """The list of pages, new, changed and gone, in Markdown."""
    old, new = articles(before), articles(after)
    changed = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    rows = [
        ("new", new.keys() - old.keys()),
        ("changed", changed),
        ("gone", old.keys() - new.keys()),
    ]
    lines = [f"- {what}: `{name}`" for what, names in rows for name in sorted(names)]
    return "\n".join([f"**{len(lines)} of {len(new)} pages differ.**", "", *lines])


if __name__ == "__main__":
    if len(sys.argv) != 3 or not Path(sys.argv[2]).is_dir():
        sys.exit("changed needs two folders with built sites, the earlier one first.")
    print(report(*map(Path, sys.argv[1:])))
