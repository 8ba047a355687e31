"""The repository's address: read from _config.yml, written everywhere it must be repeated.

`make set-repository URL=https://github.com/you/your-fork` runs this file. Colab needs the address
inside every notebook (the first code cell), so it cannot live in one place alone;
this file is the one place that writes it, and a test checks that all copies agree.
"""

import json
import re
import sys

import yaml

from tools import ROOT

ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
FIRST_CELL = """\
#@title Fetch the book's helpers (on Colab)
# Once; torch and numpy stay as they are. The package helpers on PyPI is not this one.
import importlib.machinery
import importlib.util
import shutil
import site
import subprocess
import sys

pip = [sys.executable, "-m", "pip", "install", "-q"]
if not importlib.machinery.PathFinder.find_spec("pip"):  # as in the environments of uv
    pip = ["uv", "pip", "install", "-q", "--python", sys.executable]
source = "git+{url}"
if not shutil.which("git"):
    source = "{zip}"
for options in ([], ["--force-reinstall", "--no-deps"], None):  # again if files are gone
    importlib.invalidate_caches()
    found = importlib.import_module("helpers") if importlib.util.find_spec("helpers") else None
    if hasattr(found, "GROUPS"):  # as nobody else's
        break
    if getattr(found, "__file__", None):
        raise ImportError(f"{{found.__file__}} is not the book's: rename or uninstall it, restart.")
    if options is None or not shutil.which(pip[0]):
        raise ImportError("The book's helpers did not come: restart, with pip or uv at hand.")
    sys.modules.pop("helpers", None)  # a folder without __init__.py gives way
    command = [*pip, *options, source]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if site.ENABLE_USER_SITE:  # where pip installs if the environment is read-only
        site.addsitedir(site.getusersitepackages())
    if done.returncode:
        said = [x for x in done.stderr.splitlines() if "fatal: " in x or "ERROR: " in x]
        why = (said or ["pip failed"])[0].strip()
        raise ImportError(f"The book's helpers did not come ({{why}}): run this again online.")"""
EDITIONS = "notebooks"  # the branch to which the publishing workflow pushes the editions


def address():
    """The repository's address and branch, as _config.yml has them."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    found = config.get("repository") or {}
    if "url" not in found:
        raise ValueError(
            "_config.yml needs repository: url: the notebooks take their address there."
        )
    return found["url"], found.get("branch", "main")


def first_cell(url):
    """The text of every notebook's first code cell, which fetches `url` or `url@commit`.

    With git if it is there, since that finds private forks too; else from the zip of the commit,
    or of the newest.
    """
    place, _, commit = url.partition("@")
    return FIRST_CELL.format(url=url, zip=f"{place}/archive/{commit or 'HEAD'}.zip")


def site(url):
    """The address of the published site, which GitHub Pages makes of the repository's."""
    owner, name = url.removeprefix("https://github.com/").split("/")
    return f"https://{owner}.github.io/{name}"


def colab(url, page, edition="reader"):
    """Where Colab opens an edition of `page`, a path from the root without suffix."""
    slug, path = url.removeprefix("https://github.com/"), page.removeprefix("book/")
    start = "https://colab.research.google.com/github"
    return f"{start}/{slug}/blob/{EDITIONS}/{edition}/{path}.ipynb"


def notebooks():
    """Every notebook of the book, by path."""
    found = (ROOT / "book").rglob("*.ipynb")
    return sorted(path for path in found if not {"_build", ".ipynb_checkpoints"} & set(path.parts))


def rewrite(path, old, new):
    """Replace the old address in one file, and that of its pages; True if something changed."""
    text = fresh = path.read_text(encoding="utf-8")
    for before, after in zip(spellings(old), spellings(new)):
        fresh = re.sub(rf"(?<![\w.-]){re.escape(before)}(?![\w-])", after, fresh)
    if path.suffix == ".ipynb":
        json.loads(fresh)
    if fresh != text:
        path.write_text(fresh, encoding="utf-8")
    return fresh != text


def spellings(url):
    """How an address is written: owner/name, its site on GitHub Pages, the way into its clone."""
    slug = url.removeprefix("https://github.com/")
    owner, name = slug.split("/")
    return slug, f"{owner}.github.io/{name}", f"cd {name}"


def main(new):
    new = new.rstrip("/").removesuffix(".git")
    if not ADDRESS.fullmatch(new):
        sys.exit(f"set-repository needs URL=https://github.com/owner/name, got {new!r}.")
    old, _ = address()
    names = ["_config.yml", "README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml"]
    names += [".zenodo.json", "helpers/README.md"]
    paths = [ROOT / name for name in names] + notebooks() + sorted((ROOT / "book").rglob("*.md"))
    changed = [path for path in paths if path.exists() and rewrite(path, old, new)]
    print(f"{old} is now {new} in {len(changed)} files:", *changed, sep="\n  ")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
