"""The commands of `book.py`, which `make` calls by the same names."""

import os
import re
import shutil
import sys
from contextlib import suppress
from functools import partial

from tools import ROOT, console, environment, kept, releases, serve

BUILD = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
REPORT = "_build/tests.xml"  # which test took how long: benchmarks/builds.py reads it
SETTINGS = ("PORT", "JOBS", "URL", "COURSE", "SEED", "HW", "IN", "SECONDS")
SETTING = re.compile(rf"({'|'.join(SETTINGS)})=(.*)")  # as make takes them, on every system
TAKES_WORDS = ("test", "lab", "set-repository")
NOTEBOOKS = ROOT / "_build" / "notebooks"
OF_SITE = {"slides", "slides-teacher"}  # parts of the kit that are made of the built site
SEED_FILE = "_build/kit/grader/seed.txt"  # the homework of a class hangs on it
LEFT = ("_build/*", "build", "*.egg-info", ".pytest_cache", ".ruff_cache", ".hypothesis")
TITLE = "Sharp Minima Can Generalize"
FIRST = f"{TITLE}: some minutes the first time, seconds after that."


def main(arguments):
    """The exit status of the command that `arguments` name."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a Windows console may lack our letters
    name, *rest = arguments or ["help"]
    os.environ.update(found.groups() for found in map(SETTING.fullmatch, rest) if found)
    words = [word for word in rest if not SETTING.fullmatch(word)]
    if name not in COMMANDS or (words and name not in TAKES_WORDS):
        *some, last = (f"{setting}=" for setting in SETTINGS)
        known = f"one of {', '.join(COMMANDS)}, and {', '.join(some)} or {last}"
        print(f"book.py needs {known}, got {' '.join(arguments)!r}.", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](*words) or 0
    except KeyboardInterrupt:
        print("\nStopped. Chapters that had run to their end are kept.", file=sys.stderr)
        return 130


def help_():
    """This list."""
    print("make NAME, or python book.py NAME:")
    for name, command in COMMANDS.items():
        print(f"  {name:21}{command.__doc__.splitlines()[0]}")


def install():
    """Make the environment in .venv, and nothing else."""
    console.open_log()
    prepare()


def prepare(*more, text="installing into .venv"):
    """The environment, with what the files `more` ask for; True, and a line, if it lacked one."""
    names = ("requirements.txt", *more)
    lacked = environment.lacking(*names)
    if lacked:
        if environment.reason():
            print(environment.reason(), flush=True)
        with console.step(text):
            environment.ready(*names)
    return bool(lacked)


def book():
    """Run the chapters and build the site into _build/html (JOBS=n at once)."""
    print(TITLE if serve.SITE.exists() else FIRST, flush=True)
    console.open_log()
    if not prepare(text="[1/3] installing into .venv"):
        print("[1/3] .venv is ready", flush=True)
    progress = console.Progress()
    command = [environment.PYTHON, "-c", BUILD, "build", ".", "-W", "--keep-going"]
    status, said = console.follow(command, environment.variables(), progress)
    progress.end(status == 0)
    if status:
        print(*console.last_words(said), f"Whole log: {console.LOG}", sep="\n", file=sys.stderr)
        raise SystemExit(1)


def serve_():
    """The same, then serve it (PORT=8000)."""
    server = serve.reserve(serve.wished())
    book()
    serve.serve(server)


def notebooks():
    """Write the editions for readers and students into _build/notebooks."""
    prepare()
    return environment.call("-m", "tools.editions")


def lab(*words):
    """Open the reader's edition in JupyterLab; it is handed the words that follow."""
    prepare("requirements-lab.txt")
    return environment.call("-m", "tools.editions", "--to-run") or environment.call(
        "-m", "jupyterlab", "reader/index.ipynb", *words, cwd=NOTEBOOKS
    )


def test(*arguments):
    """All tests: helpers, chapters, the site in a browser; or those you name."""
    return pytest(*(arguments or ("tests", "--ledger", "check", "--junitxml", REPORT)))


def ledger():
    """Write book/ledger.md from a run of the tests."""
    without = ("-m", "not site", "--ignore", "tests/test_reader_runs.py")
    return pytest("tests", "-q", *without, "--ledger", "write")


def pytest(*arguments):
    prepare()
    os.environ.pop("HELPERS_HOST", None)
    # One thread a worker: two workers share two cores.
    return environment.call("-m", "pytest", *WORKERS, *arguments, OMP_NUM_THREADS="1")


def lint():
    """Format and check the code, clear the notebooks, and count each page's words."""
    prepare()
    return (
        environment.call("-m", "ruff", "format", ".")
        or environment.call("-m", "tools.fold")
        or max(environment.call("-m", *name) for name in (("ruff", "check", "."), ("tools.words",)))
    )


def pdf():
    """Print the book into _build/pdf, with solutions at the end and without."""
    book()
    return environment.call("-m", "tools.print_pdf")


def zip_():
    """Pack the site into _build/site.zip: open its index.html, no server needed."""
    book()
    target = ROOT / "_build" / "site.zip"
    releases.pack(serve.SITE, target)
    print(f"_build/site.zip: {target.stat().st_size / 1e6:.1f} MB.")


def kit(*parts):
    """Pack a course into _build/kit (COURSE=my.yml SEED=n)."""
    if not parts or OF_SITE & {*parts}:
        book()
    else:
        prepare()
    return environment.call("-m", "tools.kit", *parts)


def only(part, words):
    """The command that makes one part of the kit."""
    command = partial(kit, part)
    command.__doc__ = f"Write one part of the kit: {words}."
    return command


def grade():
    """Mark the notebooks of a folder (HW=hw1 IN=folder SECONDS=120)."""
    prepare()
    folder = os.environ.get("IN")  # as the shell's own folder sees it
    more = {"IN": os.path.abspath(folder)} if folder else {}
    return environment.call("-m", "tools.kit_environment", "tools.grade", **more)


def bench():
    """Time the helpers beside their peers, and the build as it grows."""
    prepare("requirements-bench.txt")
    return environment.call("-m", "benchmarks") or environment.call("-m", "benchmarks.builds")


def set_repository(url=""):
    """Point the book at a fork (URL=https://github.com/you/fork)."""
    prepare()
    return environment.call("-m", "tools.repository", url or os.environ.get("URL", ""))


def clean():
    """Drop the built site and every cache; keep .venv, what you wrote and a SEED."""
    try:
        place = kept.keep(NOTEBOOKS, kept.of_readers(NOTEBOOKS))
    except OSError as error:
        raise SystemExit(f"clean needs to move what you wrote first, got: {error}") from None
    if place:
        print(f"What you wrote into the notebooks' folder is in {place.relative_to(ROOT)} now.")
    wanted = (NOTEBOOKS.with_name(kept.PLACE), ROOT / SEED_FILE)
    spared = [path for path in wanted if path.exists()]
    for path in (path for name in LEFT for path in ROOT.glob(name)):
        drop(path, spared)
    with suppress(OSError):  # what was kept is in it, or it is not there
        (ROOT / "_build").rmdir()
    if ROOT / SEED_FILE in spared:
        print(f"{SEED_FILE} is kept: homework that was handed out needs its number.")


def drop(path, spared):
    """Delete a file or a folder, but for the paths `spared` in it."""
    if path in spared:
        return
    if any(path in inside.parents for inside in spared):
        for inner in path.iterdir():
            drop(inner, spared)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


COMMANDS = {
    "serve": serve_,
    "book": book,
    "notebooks": notebooks,
    "lab": lab,
    "test": test,
    "lint": lint,
    "pdf": pdf,
    "zip": zip_,
    "kit": kit,
    "kit-student": only("student", "the class's chapters"),
    "kit-instructor": only("instructor", "the teachers' chapters"),
    "kit-grader": only("grader", "the homework and what marks it"),
    "kit-bank": only("bank", "the questions for Canvas and Moodle"),
    "kit-slides": only("slides", "a deck a meeting, for the class"),
    "kit-slides-teacher": only("slides-teacher", "the decks with notes for whoever teaches"),
    "grade": grade,
    "bench": bench,
    "ledger": ledger,
    "set-repository": set_repository,
    "install": install,
    "clean": clean,
    "help": help_,
}
