"""What a build of the site adds to Jupyter Book: live figures, honest caches, no request abroad.

- marks the build (`HELPERS_HOST=site`), so that `explore` ships pictures instead of widgets;
- keys the execution cache and Sphinx's own on a hash of the helpers, so that a change there runs
  every chapter again: both caches look at a chapter's source alone;
- says which chapter runs;
- ships MathJax and `explore.js` from the site itself, and drops Thebe and Font Awesome.
"""

import atexit
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.util import logging

log = logging.getLogger(__name__)
SHAPES_OUTPUT = ("matplotlib", "numpy", "torch")  # a new release may draw another picture
UNWANTED_ASSETS = ("thebe", "require.min.js", "embed-amd")
BOX_TITLE = re.compile(
    r'<p class="admonition-title" id="[^"]*">'
    r'<span class="caption-number">(\w+) </span> \((.*)\)</p>'
)
UNUSED = ("vendor", "locales", "sphinx-thebe.js", "sphinx-thebe.css")
MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions", "../../LICENSE")


def setup(app):
    # The kernels that run the chapters inherit these. One thread: sums then have one order, so that
    # two machines write the same bytes, and the chapters' small nets gain nothing from a second.
    os.environ.update(HELPERS_HOST="site", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    app.add_config_value("helpers_fingerprint", "", "env", [str])
    app.connect("config-inited", key_caches, priority=100)
    app.connect("config-inited", ship_script, priority=100)
    app.connect("config-inited", forget_thebe, priority=100)
    app.connect("env-before-read-docs", announce)
    app.connect("source-read", say_which)
    app.connect("html-page-context", drop_assets, priority=999)
    app.connect("html-page-context", tidy_boxes, priority=999)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def helpers_folder():
    return Path(importlib.util.find_spec("helpers").origin).parent


def fingerprint():
    """A hash of everything that a chapter's outputs depend on, other than the chapter."""
    digest = hashlib.sha256()
    folder = helpers_folder()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    for package in SHAPES_OUTPUT:
        digest.update(importlib.metadata.version(package).encode())
    return digest.hexdigest()[:16]


def key_caches(app, config):
    """Both caches start afresh when the fingerprint changes; older executions are dropped."""
    config.helpers_fingerprint = fingerprint()
    folder = Path(app.outdir).parent / ".jupyter_cache"
    for old in folder.glob("*"):
        if old.name != config.helpers_fingerprint:
            shutil.rmtree(old, ignore_errors=True)
    config.nb_execution_cache_path = str(folder / config.helpers_fingerprint)


def ship_script(app, config):
    # relative, because Sphinx keeps a hash of this setting beside the pages
    script = os.path.relpath(helpers_folder() / "live" / "explore.js", app.srcdir)
    config.html_static_path.append(script)
    app.add_js_file("explore.js", defer="defer")


def forget_thebe(app, _config):
    """Thebe's script is in every page, on or off, and names a host abroad: unhook it."""
    for event, listeners in app.events.listeners.items():
        keep = [x for x in listeners if not x.handler.__module__.startswith("sphinx_thebe")]
        app.events.listeners[event] = keep


def announce(app, _env, docnames):
    app.pages_to_read = list(docnames)


def say_which(app, docname, _source):
    pages = getattr(app, "pages_to_read", [])
    if docname in pages:
        log.info("chapter %d of %d: %s", pages.index(docname) + 1, len(pages), docname)


def drop_assets(_app, _page, _template, context, _doctree):
    for kind in ("script_files", "css_files"):
        context[kind] = [
            asset
            for asset in context.get(kind, [])
            if not any(x in str(asset) for x in UNWANTED_ASSETS)
        ]


def tidy_boxes(_app, _page, _template, context, _doctree):
    """A box says "Theorem 4: …" once, and ids that the box extensions repeat are dropped."""
    if "body" in context:
        body = BOX_TITLE.sub(box_title, context["body"])
        context["body"] = re.sub(r' id="(proof|(proof|exercise|solution)-content)"', "", body)


def box_title(match):
    kind, title = match.groups()
    alone = re.match(
        r"(Definition|Theorem|Proposition|Lemma|Corollary|Remark|Consequence)\b", title
    )
    return f'<p class="admonition-title">{title if alone else f"{kind}: {title}"}</p>'


def finish(app, error):
    if error is not None:
        atexit.register(print, blame(app, error), file=sys.stderr)  # after Sphinx's own tracebacks
    elif app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        copy_mathjax(static / "mathjax")
        prune(static)
        forward(app)
        keep_seconds(app)


def blame(app, error):
    """One sentence on what stopped the build: for a chapter that raises, its page and cell."""
    cause = error.__cause__
    if not hasattr(cause, "ename"):
        return f"The build stopped: {type(error).__name__}: {error}"
    page = Path(str(error))
    source = re.search(r"^-{18}\n(.*?)\n-{18}$", str(cause), re.S | re.M)[1]
    cells = nbformat.read(page, as_version=4).cells
    at = next((i for i, cell in enumerate(cells, 1) if cell.source.strip() == source.strip()), "?")
    where = page.relative_to(app.srcdir).as_posix()
    return f"{where} cell {at} stopped the build: {cause.ename}: {cause.evalue}"


def copy_mathjax(target):
    """The part of MathJax that the book's pages load: 2 of 24 MB."""
    source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
    for name in MATHJAX:
        path = source / "static" / "mathjax" / name
        if path.is_dir():
            shutil.copytree(path, target / name, dirs_exist_ok=True)
        elif path.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / name)


def prune(static):
    for name in UNUSED:
        path = static / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in static.rglob("*.map"):
        path.unlink()


def forward(app):
    """The site's root leads to the book's first page, with what stands after the #."""
    first = f"{app.config.root_doc}.html"
    index = Path(app.outdir) / "index.html"
    if first != "index.html":
        index.write_text(FORWARD.format(title=app.config.html_title, first=first), "utf-8")


def keep_seconds(app):
    """How long each chapter ran, for `make bench`; beside the site, not in it."""
    ran = {name: NbMetadataCollector.get_exec_data(app.env, name) for name in app.env.found_docs}
    seconds = {name: data["runtime"] for name, data in sorted(ran.items()) if data}
    (Path(app.outdir).parent / "seconds.json").write_text(json.dumps(seconds, indent=1), "utf-8")


FORWARD = """<!DOCTYPE html>
<html lang="en-GB">
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={first}">
<link rel="canonical" href="{first}">
<p><a href="{first}">{title}</a></p>
</html>
"""
