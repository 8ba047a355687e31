"""A line such as `<!-- gallery -->`, in whose place a tool puts what stands on other pages."""

import json
from pathlib import Path


def fill(app, mark, make):
    """Put `make(root)` where a page holds `mark`; such a page is read again at each build."""

    def outdated(_app, env, _added, _changed, _removed):
        return [name for name in env.found_docs if mark in text_of(env.doc2path(name))]

    def put(_app, _docname, source):
        if mark in source[0]:
            source[0] = source[0].replace(mark, make(Path(app.srcdir)))

    app.connect("env-get-outdated", outdated)
    app.connect("source-read", put)


def text_of(path):
    """The Markdown of a page, whichever of the two formats it has."""
    text = Path(path).read_text(encoding="utf-8")
    if Path(path).suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
