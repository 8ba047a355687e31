"""What a build of the site adds to Jupyter Book: live figures, honest caches, no request abroad.

- marks the build (`HELPERS_HOST=site`), so that `explore` ships pictures instead of widgets;
- keys the execution cache and Sphinx's own on a hash of the helpers, so that a change there runs
  every chapter again: both caches look at a chapter's source alone;
- runs the chapters side by side before Sphinx reads them (`tools.parallel`);
- keeps every page's sidebar true, and drops pages that left the book (`tools.fresh`);
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

from myst_nb.sphinx_ import NbMetadataCollector

from tools import fresh, isolation, light
from tools.parallel import ChaptersStopped, leave_executed, run_missing, seconds_file

SHAPES_OUTPUT = ("matplotlib", "numpy", "torch")  # a new release may draw another picture
LIVE = ("grip", "menu", "explore")  # the last one starts, and asks the others what they add
UNWANTED_ASSETS = ("thebe", "require.min.js", "embed-amd")
BOX_TITLE = re.compile(
    r'<p class="admonition-title" id="[^"]*">'
    r'<span class="caption-number">(\w+) </span> \((.*)\)</p>'
)
UNUSED = ("vendor", "locales", "sphinx-thebe.js", "sphinx-thebe.css")
MATHJAX = (
    *("tex-chtml.js", "output/chtml/fonts/woff-v2"),
    *("tex-svg.js", "input/tex/extensions", "../../LICENSE"),
)


def setup(app):
    isolation.isolate(app)
    # The kernels that run the chapters inherit these. One thread: sums then have one order, so that
    # two machines write the same bytes, and the chapters' small nets gain nothing from a second.
    os.environ.update(HELPERS_HOST="site", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    app.add_config_value("helpers_fingerprint", "", "env", [str])
    app.add_config_value("tools_fingerprint", "", "env", [str])
    app.connect("config-inited", key_caches, priority=100)
    app.connect("config-inited", ship_script, priority=100)
    app.connect("config-inited", forget_thebe, priority=100)
    app.connect("env-before-read-docs", run_missing)
    app.connect("env-updated", leave_executed)
    app.connect("env-updated", fresh.follow_frame)
    app.connect("html-page-context", drop_assets, priority=999)
    app.connect("html-page-context", tidy_boxes, priority=999)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def helpers_folder():
    return Path(importlib.util.find_spec("helpers").origin).parent


def hash_of(folder, packages=()):
    """A hash of the Python sources in `folder`, and of the versions of `packages`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    for package in packages:
        digest.update(importlib.metadata.version(package).encode())
    return digest.hexdigest()[:16]


def key_caches(app, config):
    """Outputs depend on the helpers, pages on the tools too; older executions are dropped."""
    config.helpers_fingerprint = hash_of(helpers_folder(), SHAPES_OUTPUT)
    config.tools_fingerprint = hash_of(Path(__file__).parent)
    folder = Path(app.outdir).parent / ".jupyter_cache"
    for old in folder.glob("*"):
        if old.name != config.helpers_fingerprint:
            shutil.rmtree(old, ignore_errors=True)
    config.nb_execution_cache_path = str(folder / config.helpers_fingerprint)


def live_script(names=LIVE):
    """The script of the live figures: its files in one, without their lines of comment."""
    return "".join(light.script(helpers_folder() / "live" / f"{name}.js") for name in names)


def ship_script(app, config):
    folder = Path(app.outdir).parent / "live"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "explore.js").write_text(live_script(), "utf-8")
    # relative, because Sphinx keeps a hash of this setting beside the pages
    config.html_static_path.append(os.path.relpath(folder, app.srcdir))
    app.add_js_file("explore.js", defer="defer")


def forget_thebe(app, _config):
    """Thebe's script is in every page, on or off, and names a host abroad: unhook it."""
    for event, listeners in app.events.listeners.items():
        keep = [x for x in listeners if not x.handler.__module__.startswith("sphinx_thebe")]
        app.events.listeners[event] = keep


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
        atexit.register(print, blame(error), file=sys.stderr)  # after Sphinx's own tracebacks
    elif app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        copy_mathjax(static / "mathjax")
        prune(static)
        fresh.drop_removed(app)
        forward(app)
        keep_seconds(app)


def blame(error):
    """What stopped the build: for chapters, a sentence each that names page and cell."""
    if isinstance(error, ChaptersStopped):
        return error.sentences
    cause = error.__cause__ or error
    return f"The build stopped: {type(cause).__name__}: {cause}"


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
    """How long each chapter ran, the cached ones too: for `make bench`, and for the next order."""
    ran = {name: NbMetadataCollector.get_exec_data(app.env, name) for name in app.env.found_docs}
    seconds = {name: data["runtime"] for name, data in sorted(ran.items()) if data}
    seconds_file(app).write_text(json.dumps(seconds, indent=1), "utf-8")


FORWARD = """<!DOCTYPE html>
<html lang="en-GB">
<meta charset="utf-8">
<title>{title}</title>
<script>location.replace("{first}" + location.search + location.hash)</script>
<meta http-equiv="refresh" content="0; url={first}">
<link rel="canonical" href="{first}">
<p><a href="{first}">{title}</a></p>
</html>
"""
