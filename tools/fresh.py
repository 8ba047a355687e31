"""Keeps the built site true to its sources when only a part of it is built again.

A page shows more than its own source: the sidebar, and links to styles and scripts. When one of
these changes every page is written again, and nothing runs again. A page that left the book leaves
the site.
"""

import hashlib
from pathlib import Path


def follow_frame(app, env):
    """On `env-updated`: every page, if what all of them show is no longer as written."""
    frame = frame_of(app, env)
    if getattr(env, "frame_of_pages", None) == frame:
        return []
    env.frame_of_pages = frame  # kept in the environment, beside the pages
    return sorted(env.found_docs)


def frame_of(app, env):
    """A hash of the table of contents, the pages' titles, the templates, styles and scripts."""
    root = Path(app.srcdir)
    digest = hashlib.sha256((root / app.config.external_toc_path).read_bytes())
    for name in sorted(env.found_docs):
        digest.update(f"{name}: {env.titles[name].astext()}\n".encode())
    for place in (*app.config.templates_path, *app.config.html_static_path):
        for path in sorted([root / place, *(root / place).rglob("*")]):
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()


def drop_removed(app):
    """After a build: delete what an earlier one left of pages and pictures that are gone."""
    site, env = Path(app.outdir), app.env
    sources = {env.doc2path(name, base=False) for name in env.found_docs}
    for path in files(site / "_sources"):
        name = path.relative_to(site / "_sources")
        if name.as_posix() not in sources:
            path.unlink()
            if name.with_suffix("").as_posix() not in env.found_docs:
                site.joinpath(name).with_suffix(".html").unlink(missing_ok=True)
                site.parent.joinpath("jupyter_execute", name).unlink(missing_ok=True)
    for folder, used in (("_images", env.images), ("_downloads", env.dlfiles)):
        names = {name for _, name in used.values()}
        for path in files(site / folder):
            if path.relative_to(site / folder).as_posix() not in names:
                path.unlink()


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]
