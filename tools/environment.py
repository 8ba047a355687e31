"""The environment in .venv: made where there is none, and made anew where it fits no longer.

`.venv/.ready` holds what the environment depends on: the folder, the Python that made it, and what
was installed from which file. Only the standard library is used: this runs before anything else.
"""

import hashlib
import json
import os
import re
import subprocess
import sys

from tools import ROOT, console

HOME = ROOT / ".venv"
READY = HOME / ".ready"
PYTHON = HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
UV = (
    "uv==0.13.9"  # a minute faster than pip; it reads none of pip's settings, so they are handed on
)
# Best match is what pip does with two indexes.
UV_INSTALL = ("-m", "uv", "pip", "install", "-q", "--index-strategy", "unsafe-best-match")
HANDED_ON = {  # pip's setting: uv's variable, and what stands between two values
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
NO_MATTER = {
    "default-timeout", "timeout", "retries", "disable-pip-version-check", "no-input", "no-color",
    "progress-bar", "quiet", "verbose", "require-virtualenv", "user", "root-user-action",
    "break-system-packages", "cache-dir", "no-cache-dir", "config-file",
}  # fmt: skip
UNREACHED = re.compile(
    "connection broken|name resolution|proxyerror|unreachable|dns error|error sending request"
    "|timed out|failed to fetch",
    re.I,
)
OFFLINE = (
    "Installing needs the network once, and it does not answer: "
    "try again when it does; after that the book builds offline. Whole log: {log}"
)

LINKED = (
    ".venv is a link to {place}, which belongs to another folder and would be emptied: "
    "remove the link, and an environment is made here."
)


def variables(**more):
    """The shell's variables, less those that would lead Python or pip astray, and `more`."""
    astray = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "VIRTUAL_ENV"}
    kept = {key: value for key, value in os.environ.items() if key not in astray}
    return kept | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | more


def call(*arguments, cwd=ROOT, **more):
    """The exit status of the environment's Python with `arguments`, on this console."""
    return subprocess.run(
        [PYTHON, *arguments], cwd=cwd, env=variables(**more), check=False
    ).returncode


def lacking(*names):
    """Those of the files `names` whose contents .venv does not have yet."""
    kept = stamp()
    return [name for name in names if misfit(kept) or kept["installed"].get(name) != wanted(name)]


def reason():
    """A sentence that says why the environment there cannot stay, or ""."""
    return misfit(stamp()) if stamp()["installed"] else ""


def ready(*names):
    """Make .venv fit, with what the files `names` ask for."""
    kept = stamp()
    made_now = bool(misfit(kept))
    if made_now:
        kept = make()
    for name in lacking(*names):
        # What stops halfway is done again, whatever is asked for then.
        kept["installed"].pop(name, None)
        write(kept)
        install(name, made_now)
        kept["installed"][name] = wanted(name)
        write(kept)


def write(kept):
    READY.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def stamp():
    """What .venv was made of, as it says itself; nothing installed where it does not say."""
    try:
        return {"place": "", "python": "", **json.loads(READY.read_text(encoding="utf-8"))}
    except (OSError, ValueError):
        return {"place": "", "python": "", "installed": {}}


def misfit(kept):
    """What `kept` says that is not so here, as a sentence, or ""."""
    if kept["place"] != str(ROOT):
        return f".venv is made anew: it was made in {kept['place']}, and this is {ROOT}."
    if kept["python"] != sys.version:
        theirs, ours = kept["python"].split(" ")[0], sys.version.split()[0]
        return f".venv is made anew: it has Python {theirs}, and this is {ours}."
    return "" if PYTHON.exists() else ".venv is made anew: its Python is gone."


def wanted(name):
    """A hash of the requirements in the file `name`, and for the first also of our package's."""
    names = [name, "pyproject.toml"] if name == "requirements.txt" else [name]
    text = b"".join((ROOT / name).read_bytes().replace(b"\r\n", b"\n") for name in names)
    return hashlib.sha256(text).hexdigest()[:16]


def make():
    """A bare environment in .venv, in place of the one there; its stamp."""
    if HOME.is_symlink():
        raise SystemExit(LINKED.format(place=HOME.resolve()))
    command = [sys.executable, "-m", "venv", "--clear", HOME]
    status, said = console.follow(command, variables())
    if status:
        raise SystemExit(
            f"`python -m venv` failed: {' '.join(said[-1:])} "
            f"(On Debian and Ubuntu: apt install python3-venv.) Whole log: {console.LOG}"
        )
    return {"place": str(ROOT), "python": sys.version, "installed": {}}


def install(name, made_now):
    """What the file `name` asks for: nothing is fetched where it is there already."""
    if not made_now and pip("--no-index", "--no-build-isolation", "-r", name)[0] == 0:
        return
    settings = handed_on(pip_settings())
    if settings is not None:
        # Asks the network, be uv there or not, and once more at most: no answer is known at once.
        once = ("--force-reinstall", "--no-deps", "--retries", "1", "--timeout", "20")
        status, said = pip(*once, UV)
        stop_offline(status, said)
        if status == 0 and uv(name, settings) == 0:
            return
    status, said = pip("-r", name)
    stop_offline(status, said)
    if status:
        tail = "\n".join(said[-8:])
        raise SystemExit(f"{tail}\nInstalling {name} failed. Whole log: {console.LOG}")


def stop_offline(status, said):
    if status and UNREACHED.search("\n".join(said)):
        raise SystemExit(OFFLINE.format(log=console.LOG))


def pip(*arguments):
    quiet = ("-m", "pip", "install", "-q", "--no-input", "--progress-bar", "off")
    return console.follow([PYTHON, *quiet, *arguments], variables())


def uv(name, settings):
    command = [PYTHON, *UV_INSTALL, "--compile-bytecode", "-r", name]  # bytecode as pip leaves it
    given = variables(VIRTUAL_ENV=str(HOME), **settings)
    status, said = console.follow(command, given)
    if status and "initialize cache" in "\n".join(said):  # in a home that cannot be written to
        status, _ = console.follow([*command, "--no-cache"], given)
    return status


def pip_settings():
    """The pip settings of this person and machine, the shell's variables over the files."""
    command = [PYTHON, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=variables(), capture_output=True, text=True, check=False)
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.M)
    order = ("global", "install", ":env:")
    return {key: value for _, key, value in sorted(found, key=lambda row: order.index(row[0]))}


def handed_on(settings):
    """uv's variables for pip's `settings`, or None where one of them has no counterpart."""
    if set(settings) - set(HANDED_ON) - NO_MATTER:
        return None
    variables = {}
    for key in HANDED_ON.keys() & settings.keys():
        name, between = HANDED_ON[key]
        variables[name] = between.join(settings[key].replace("\\n", " ").split())
    if not variables.keys() - {"SSL_CERT_FILE"}:  # PyPI's own torch for Linux brings CUDA, 2 GB
        variables["UV_TORCH_BACKEND"] = os.environ.get("UV_TORCH_BACKEND", "cpu")
    return variables
