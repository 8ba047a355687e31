"""The house rules: the import arrow, small modules, no drawer for odds and ends, a true README.

Oracle: the syntax trees of the sources, read without importing them.
"""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from sphinx.project import Project

import helpers
from tools import ROOT

HELPERS = ROOT / "helpers"
ARROW = list(helpers.GROUPS)  # "nets._params", "nets._data", …
DOOR = ["_audit", "__main__"]  # the front door's own modules: they may take from every wing
WINGS = list(dict.fromkeys(name.split(".")[0] for name in ARROW if name not in DOOR))
MODULES = sorted(path for path in HELPERS.rglob("*.py") if path.stem != "__init__")
PYTHON = [
    path
    for folder in ("helpers", "tests", "benchmarks", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MOST_LINES, MOST_BODY, MOST_IN_ALL = 200, 20, 8200


def place(path):
    """A module's place in the arrow, from its path: helpers/nets/_data.py is nets._data."""
    return ".".join(path.relative_to(HELPERS).with_suffix("").parts)


def imports(tree):
    """Every name a syntax tree imports, with its line; relative ones spelled out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"helpers.{node.module or ''}".rstrip(".") if node.level else node.module
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def offences(name, source):
    """A sentence for each import of the module `name` that goes against the arrow."""
    wing = name.split(".")[0]
    for target, line in imports(ast.parse(source)):
        where = f"{name} line {line}"
        if target.split(".")[0] == "helpers":
            _, *inner = target.split(".")
            inner = inner[0] if inner[:1] and inner[0] in DOOR else ".".join(inner[:2])
            if inner not in ARROW:
                yield f"{where} imports {target}: a module imports from modules, not the door."
            elif ARROW.index(inner) >= ARROW.index(name):
                yield f"{where} imports {inner}, which stands after {name} in the arrow."
            elif wing == "live" != inner.split(".")[0]:
                yield f"{where} imports {inner}: live imports from no other wing."
        if target.split(".")[0] == "torch" and wing == "live":
            yield f"{where} imports torch, which live does without."
        if target.split(".")[0] == "matplotlib" and wing != "live":
            yield f"{where} imports matplotlib, which only live does."


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_follow_the_arrow(path):
    assert place(path) in ARROW, f"{path.name} needs a place in helpers.GROUPS: the arrow is there."
    assert not list(offences(place(path), path.read_text(encoding="utf-8")))


def test_the_folders_are_the_wings():
    folders = {path.name for path in HELPERS.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == set(WINGS)
    assert WINGS == ["nets", "maps", "measures", "sweep", "live"]
    assert ARROW[-len(DOOR) :] == DOOR  # so that no wing imports from them
    assert not [path for path in HELPERS.glob("*/__init__.py") if path.read_text(encoding="utf-8")]
    assert not [path for path in MODULES if not path.stem.startswith("_")]
    with pytest.raises(ModuleNotFoundError):
        import_module("helpers.curvature")


def test_the_package_ships_every_wing_and_the_script():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^packages = \[(.*?)\]", settings, re.M | re.S)[1]
    assert re.findall(r'"([\w.]+)"', listed) == ["helpers", *(f"helpers.{w}" for w in WINGS)]
    assert '"helpers.live" = ["*.js"]' in settings
    assert {path.parent.name for path in HELPERS.rglob("*.js")} == {"live"}


@pytest.mark.parametrize(
    ("name", "source", "offender"),
    [
        ("nets._data", "from helpers.nets._nets import net", "imports nets._nets, which stands"),
        ("nets._data", "def f():\n    from helpers.sweep import _sweep", "imports sweep._sweep"),
        ("maps._find", "from helpers.measures._lanczos import lanczos", "measures._lanczos, which"),
        ("nets._train", "from helpers import number", "imports helpers.number: a module imports"),
        ("live._knobs", "from helpers.nets._params import flatten", "live imports from no other"),
        ("live._explore", "import torch", "imports torch"),
        ("measures._curvature", "from matplotlib.figure import Figure", "imports matplotlib"),
        ("sweep._audit", "from helpers._audit import Report", "imports _audit, which stands after"),
        ("_audit", "from matplotlib.figure import Figure", "imports matplotlib"),
    ],
)
def test_an_import_against_the_arrow_is_named(name, source, offender):
    assert any(offender in offence for offence in offences(name, source))


@pytest.mark.parametrize("folder", ["book", "benchmarks"])
def test_readers_come_in_by_the_front_door(folder):
    inside = re.compile(r"^\s*(?:from helpers\.\w|import helpers\.)", re.M)
    found = [
        path for path in (ROOT / folder).rglob("*.py") if inside.search(path.read_text("utf-8"))
    ]
    assert not found
    assert not inside.search((ROOT / "README.md").read_text(encoding="utf-8"))


def test_no_path_is_bent():
    bent = re.compile(r"sys\.path\.(insert|append|extend)")
    here = Path(__file__)
    assert not [path for path in PYTHON if path != here and bent.search(path.read_text("utf-8"))]


def long_bodies(source):
    """A sentence for each function with too many lines between its docstring and its end."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - body[0].lineno + 1 if body else 0
            if length > MOST_BODY:
                yield f"{node.name} needs a body of <= {MOST_BODY} lines, got {length}."


def test_the_helpers_stay_small():
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES)
    assert lines <= MOST_IN_ALL, (
        f"helpers/ needs at most {MOST_IN_ALL} lines, got {lines}: shorten, or raise MOST_IN_ALL "
        "here and in CONTRIBUTING.md (Short) with the reason."
    )


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_modules_and_bodies_are_short(path):
    source = path.read_text(encoding="utf-8")
    lines = len(source.splitlines())
    assert lines <= MOST_LINES, f"{place(path)} needs at most {MOST_LINES} lines, got {lines}."
    assert not list(long_bodies(source))


def test_a_long_body_is_named():
    body = "\n".join(f"    x = {k}" for k in range(21))
    assert list(long_bodies(f"def f():\n    'doc'\n{body}")) == [
        "f needs a body of <= 20 lines, got 21."
    ]


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_public_functions_say_what_comes_back(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    public = [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]
    assert not [node.name for node in public if not ast.get_docstring(node)]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.stem)
def test_no_star_imports_and_no_blanket_silence(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [name for name, _ in imports(tree) if name and name.endswith(".*")]
    quiet = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "warnings.filterwarnings"
    ]
    assert not [ast.unparse(call) for call in quiet if len(call.args) + len(call.keywords) < 2]


def tracked():
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return names.stdout.splitlines()


def test_no_file_is_called_utils_or_numbered():
    assert not [name for name in tracked() if re.search(r"(^|/)(utils?|misc|common)\b", name)]
    assert not [
        name
        for name in tracked()
        if re.match(r"book/.*\.(ipynb|md)$", name) and re.search(r"\d", name)
    ]


def test_helpers_list_what_exists_and_load_nothing_by_themselves():
    assert not [name for name in helpers.__all__ if not hasattr(helpers, name)]
    with pytest.raises(AttributeError, match="helpers has no 'alpha_scales'"):
        _ = helpers.alpha_scales
    code = "import sys, helpers; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def targets():
    return set(
        re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    )


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_in_the_guides_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.S) + re.findall(r"`([^`\n]+)`", text))
    asked = set(re.findall(r"\bmake ([a-z][a-z-]*)", code))
    assert asked
    assert asked <= targets()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_files_named_in_the_guides_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|txt|toml|yml))`", text))
    assert not [
        path for path in paths if not (ROOT / path).exists() and not path.startswith("_build")
    ]


def test_a_make_target_takes_one_or_two_lines():
    recipes = re.findall(
        r"^[^\s#.].*:(?!=).*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M
    )
    assert max(recipe.count("\n") for recipe in recipes) <= 2


def test_the_readmes_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    exec(compile(example, "README.md", "exec"), {})
    *_, here, there = capsys.readouterr().out.split()
    assert float(there) > 1000 * float(here)


def test_the_how_to_of_the_package_runs_as_it_stands(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it writes a checkpoint
    text = (HELPERS / "README.md").read_text("utf-8")
    exec(compile("".join(re.findall(r"```python\n(.*?)```", text, re.S)), "how-to", "exec"), {})
    said = dict(re.findall(r"^([^:]+): \D*([\d.e+-]+)", capsys.readouterr().out, re.M))
    assert float(said["change of an output"]) < 1e-12
    assert float(said["largest curvature of the twin"]) > 10 * float(said["largest curvature"])


def test_a_second_build_takes_no_tools_notes_for_pages(tmp_path):
    """The test runner leaves a README.md in its cache: with it `make book` failed after a test."""
    hidden = (".pytest_cache/README.md", ".venv/lib/x.md", "book/.ipynb_checkpoints/a.md")
    for name in ("book/a.md", *hidden):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    project = Project(tmp_path, {".md": "markdown"})
    assert project.discover(settings["exclude_patterns"]) == {"book/a"}


@pytest.mark.parametrize("asked", [("check", "."), ("format", "--check", ".")])
def test_the_code_is_as_make_lint_leaves_it(asked):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "path",
    [*HELPERS.rglob("*.js"), *(ROOT / "book" / "_static").glob("*.js")],
    ids=lambda p: p.name,
)
def test_scripts_speak_to_browsers_of_three_years_ago(path):
    """A look behind is an error of the whole file in Safari 16.3; `with` is missing before 16."""
    script = path.read_text(encoding="utf-8")
    assert (
        re.findall(r"\(\?<[=!]|\.(?:with|toSorted|toReversed|findLast)\(|\bObject\.groupBy", script)
        == []
    )
