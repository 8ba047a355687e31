"""What the tests would not see: `python -m benchmarks.mutation [module …] [--all] [--write] …`.

In a module (`maps._symmetry`, or all of `maps`; default: all four wings) faults are planted one at
a time, a sample of sixty or all, and the tests of that module run on each. A fault that no test
sees has survived: a test is missing, or the fault is none, and `equivalents.yml` says why. Each run
is a fork of one process that has torch in memory, so nothing is written and a fault costs a second
or two; `--survivors` tries again only what survived the last time. The run fails where fewer than
95 in a hundred are killed or equivalent.
"""

import datetime
import gc
import importlib.machinery
import json
import math
import os
import re
import signal
import subprocess
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.apart import ROOT, ready

HOME = ROOT / "_build" / "mutation"
SAID = HOME / "said.txt"  # by the last run
TABLE = Path(__file__).with_suffix(".md")
EQUIVALENTS = Path(__file__).with_name("equivalents.yml")
SAMPLE, ENOUGH = 60, 0.95  # faults in a module; the share that must be seen
PATIENCE, LEAST, HANGS = 4, 5, 1800  # times the tests' own seconds, and 5 more; by the clock
WINGS = ("nets", "maps", "measures", "sweep")
TWINS = {  # where the tests of a module have another name, or more than one file has them
    "nets._called": ("modules", "derivatives", "group_borders"),
    "nets._params": ("params", "flatness", "volume"),
    "maps._group": ("equations",),
    "maps._find": ("find", "group_borders"),
    "maps._labels": ("rules", "find", "group_borders"),
    "maps._reparam": ("reparam", "weight_norm"),
    "maps._rules": ("rules", "find"),
    "maps._symmetry": ("symmetry", "reparam"),
    "maps._trial": ("trial", "find", "group_borders"),
    "maps._words": ("find", "group_borders"),
    "measures._derivatives": ("derivatives", "gauss_newton", "right_or_refused"),
    "measures._description": ("flatness", "right_or_refused"),
    "measures._graph": ("curvature", "derivatives"),
    "measures._products": ("curvature", "loader"),
    "measures._workers": ("distributed",),
    "sweep._asked": ("audit_any",),
    "sweep._audit": ("audit", "audit_any"),
    "sweep._greedy": ("sweep",),
    "sweep._orbit": ("sweep",),
    "sweep._reduced_basis": ("sweep",),
}
HEAD = (
    "| module | tests | faults in all | planted | killed | equivalent | survived | seen |",
    "|---|---|---:|---:|---:|---:|---:|---:|",
)


def modules():
    """Every module of the four wings, "maps._symmetry"."""
    found = (path for wing in WINGS for path in sorted((ROOT / "helpers" / wing).glob("_*.py")))
    return [f"{path.parent.name}.{path.stem}" for path in found if path.stem != "__init__"]


def source_of(module):
    return ROOT / "helpers" / f"{module.replace('.', '/')}.py"


def twins(module):
    """The test files of a module, as paths from the root."""
    names = TWINS.get(module, (module.rpartition("._")[2],))
    return [f"tests/test_{name}.py" for name in names]


# ---- the faults ----------------------------------------------------------------------------------


def faults(module, count):
    """(how many there are, those that are planted); `count` None for all."""
    drawn = [] if count is None else [str(count), module]
    command = [ready("mutation"), "-m", "benchmarks.mutants", source_of(module), *drawn]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def equivalents():
    """{(module, line before, line after): why no test can see it}."""
    listed = yaml.safe_load(EQUIVALENTS.read_text(encoding="utf-8")) or {}
    return {
        (module, one["before"], one["after"]): one["why"]
        for module, ones in listed.items()
        for one in ones
    }


# ---- a run ---------------------------------------------------------------------------------------


class Planted(importlib.machinery.SourceFileLoader):
    """Imports one module from a text, and every other one as always."""

    def __init__(self, module, source):
        super().__init__(f"helpers.{module}", str(source_of(module)))
        self.source = source

    def find_spec(self, name, _path=None, _target=None):
        if name == self.name:
            return importlib.machinery.ModuleSpec(name, self, origin=self.path)
        return None

    def get_code(self, _name):
        return compile(self.source, self.path, "exec")


def warm():
    """Load what every run needs; `helpers` itself is left to the fork."""
    import filelock  # noqa: F401
    import hypothesis.strategies  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import nbformat  # noqa: F401
    import pytest  # noqa: F401
    import scipy.sparse.linalg  # noqa: F401
    import sklearn.datasets
    import sklearn.linear_model
    import sklearn.model_selection  # noqa: F401
    import torch
    from torch import func  # noqa: F401

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # no test here needs one
    torch.set_num_threads(1)
    torch.randn(8, 8) @ torch.randn(8, 8)
    gc.freeze()  # or each fork looks through all of torch for what nobody needs any more
    assert "helpers.nets" not in sys.modules, "helpers is loaded: its forks would not see a fault."


def run(module, source, files, limit, order):
    """(True if every test passed, processor seconds) with a module's text replaced, in a fork."""
    child = os.fork()
    if child == 0:
        said = os.open(SAID, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        import resource  # no more than fork is it to be had on Windows

        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))  # a fault may well never end
        signal.alarm(HANGS)
        os._exit(tested(module, source, files, order))
    _, status, used = os.wait4(child, 0)
    return status == 0, used.ru_utime + used.ru_stime


def tested(module, source, files, order):
    """pytest's exit status; in a fork."""
    import pytest
    from hypothesis import Phase, settings

    try:
        settings.register_profile("one example is enough", phases=(Phase.explicit, Phase.generate))
        settings.load_profile("one example is enough")
        sys.meta_path.insert(0, Planted(module, source))
        options = ("-x", "-q", "-p", "no:cacheprovider", "--assert=plain")
        return int(pytest.main([*options, *files], plugins=[order]))
    except BaseException:
        traceback.print_exc()
        return 99
    finally:
        sys.stdout.flush()


class Quickest:
    """pytest's plugin: times each test, or runs those first that saw most, for their time."""

    def __init__(self, path):
        self.path, self.seconds, self.seen = path, {}, Counter()  # faults, by the test's function
        self.before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.last = path.with_name("killer.txt")

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda one: self.before.get(one.nodeid, 0) / (1 + self.seen[_test(one)]))

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.failed:
            self.last.write_text(_test(report), encoding="utf-8")

    def learn(self):
        """Count a fault for the test that saw it, if it was a test."""
        if self.last.exists():
            self.seen[self.last.read_text(encoding="utf-8")] += 1
            self.last.unlink()

    def pytest_sessionfinish(self):
        if not self.before:
            self.path.write_text(json.dumps(self.seconds), encoding="utf-8")


def _test(one):
    return one.nodeid.partition("[")[0]


@dataclass
class Row:
    """What became of the faults of one module."""

    module: str
    total: int
    planted: int = 0
    killed: list = field(default_factory=list)
    equivalent: list = field(default_factory=list)
    survived: list = field(default_factory=list)

    @property
    def seen(self):
        return 1 - len(self.survived) / max(self.planted, 1)

    def line(self):
        tests = ", ".join(Path(name).stem for name in twins(self.module))
        counts = (self.planted, len(self.killed), len(self.equivalent), len(self.survived))
        return (
            f"| {self.module} | {tests} | {self.total} | {' | '.join(map(str, counts))} "
            f"| {100 * self.seen:.0f} % |"
        )


def judged(module, count, known, dead=()):
    """The row of a module; faults that are known to be `dead` are not tried again."""
    files, (total, drawn) = twins(module), faults(module, count)
    seconds, order = undisturbed(module, files)
    row = Row(module, total, len(drawn))
    for one in drawn:
        key = [one["before"], one["after"], one["line"]]
        if (module, *key[:2]) in known:
            row.equivalent.append(one)
        elif (
            key in dead
            or not run(module, one["source"], files, LEAST + PATIENCE * seconds, order)[0]
        ):
            row.killed.append(key)
            order.learn()
        else:
            row.survived.append(one)
            print(f"  {module} {key[2]}: {key[0]}\n    → {key[1]}", flush=True)
    print(row.line(), f"{seconds} s without a fault", flush=True)
    (HOME / f"{module}.json").write_text(json.dumps(row.killed), encoding="utf-8")
    return row


def undisturbed(module, files):
    """(seconds, order) of the tests without a fault; a sentence where they fail."""
    path = HOME / f"{module}.seconds.json"
    path.unlink(missing_ok=True)
    good, seconds = run(module, source_of(module).read_text("utf-8"), files, 3600, Quickest(path))
    if not good:
        last = "\n".join(SAID.read_text("utf-8").splitlines()[-20:])
        raise SystemExit(f"{last}\nThe tests of {module} fail without a fault: mend them first.")
    return math.ceil(seconds), Quickest(path)


def killed_before(module):
    """The faults that died in the last run."""
    path = HOME / f"{module}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


# ---- the page ------------------------------------------------------------------------------------


def kept():
    """The lines of the page as it stands, by module: a run of some modules replaces only those."""
    text = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    return {found[1]: found[0] for found in re.finditer(r"^\| ([\w.]+\._\w+) \|.*$", text, re.M)}


def page(lines, known):
    about = [
        f"{datetime.date.today()}. Faults that mutmut's operators plant, texts left out: a seeded",
        f"sample of {SAMPLE} in each module, each tried against the module's own tests.",
        "*Seen* is the share that is killed or equivalent; each equivalent has its reason below.",
        "Made by `python -m benchmarks.mutation --write`; all faults are tried once a week.",
    ]
    listed = [
        f"- `{module}`: `{before}` → `{after}`: {why}"
        for (module, before, after), why in sorted(known.items())
    ]
    ordered = [lines[module] for module in modules() if module in lines]
    reasons = ["", "## Equivalent, and why", "", *listed] if listed else []
    return "\n".join(["# Mutation testing", "", *about, "", *HEAD, *ordered, *reasons, ""])


def main(arguments):
    named = [word for word in arguments if not word.startswith("-")]
    wanted = [m for m in modules() if not named or {m, m.partition(".")[0]} & set(named)]
    warm()
    known, count = equivalents(), None if "--all" in arguments else SAMPLE
    rows = []
    for module in wanted:
        dead = killed_before(module) if "--survivors" in arguments else ()
        rows.append(judged(module, count, known, dead))
        if "--write" in arguments:
            lines = kept() | {module: rows[-1].line()}
            TABLE.write_text(page(lines, known), encoding="utf-8")
    return 1 if any(row.seen < ENOUGH for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
