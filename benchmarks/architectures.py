"""How many factors real networks have: `python -m benchmarks.architectures [name …] [--write]`.

Random weights, small inputs, float64. For each network: is every layer with parameters found or
refused; how far do the predictions move under a random twin (all factors at once, an input that
was not shown), which should be rounding; and how far when one layer that goes up is made tenfold
and nothing undoes it, or the first number would say nothing. A network fails the run if a layer is
missing, if the twin is off by more than 1e-9, or if a tenfold layer moves the predictions by less
than a tenth of them. An environment of its own is made in `_build/architectures`.
"""

import datetime
import gc
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.apart import ROOT, ready

HOME = ROOT / "_build" / "architectures"
TABLE = Path(__file__).with_suffix(".md")
KEPT, POWER = 1e-9, 0.1  # relative: what a twin may be off, and what a layer alone has to move
HEAD = (
    "| network | parameters | factors | kinds | refused | seconds | twin off by | tenfold moves |",
    "|---|---:|---:|---:|---:|---:|---:|---:|",
)


def owners(module):
    """Every layer with parameters; a parametrized one counts as one, a bare parameter as itself."""
    for name, _ in module.named_parameters():
        layer, _, parametrized = name.partition(".parametrizations.")
        yield layer if parametrized else layer.rpartition(".")[0] or name


def ups(symmetry):
    return [symmetry.up] if isinstance(symmetry.up, str) else list(symmetry.up)


def distance(a, b):
    """The relative change of the output that changes most."""
    return max(float((x - y).norm() / y.norm()) for x, y in zip(a, b))


def powers(module, found, x, y):
    """How far the predictions move when one layer that goes up is made tenfold, for each."""
    from benchmarks.zoo import run

    params = dict(module.named_parameters())
    for up in sorted({up for symmetry in found.found for up in ups(symmetry)}):
        more = {name: 10 * p for name, p in params.items() if up in (name, name.rpartition(".")[0])}
        yield up, distance(run(module, {**params, **more}, x), y)


def measure(name):
    """One line of the table, and a sentence for each fault."""
    import torch

    from benchmarks.zoo import ZOO, another, run, settle
    from helpers import find_symmetries

    torch.set_num_threads(1)
    torch.manual_seed(0)
    module, x = ZOO[name]()
    module = module.double().eval()
    settle(module, x)
    other = another(x)
    begin = time.process_time()
    found = find_symmetries(module, x)
    seconds = time.process_time() - begin
    amounts = {s: (2 * torch.rand(s.units, dtype=torch.float64) - 1).exp() for s in found.found}
    scaling, params = found.scaling(amounts), dict(module.named_parameters())
    y = run(module, {}, other)
    kept = distance(run(module, {name: scaling[name] * params[name] for name in params}, other), y)
    weakest = min(powers(module, found, other, y), key=lambda pair: pair[1], default=("", 0.0))
    n = sum(p.numel() for p in module.parameters())
    cells = name, f"{n:,}", f"{found.dim:,}", len(found.found), len(found.refused)
    line = f"| {' | '.join(map(str, cells))} | {seconds:.1f} | {kept:.0e} | {weakest[1]:.2f} |"
    return line, list(faults(module, found, kept, weakest))


def faults(module, found, kept, weakest):
    """A sentence for each way in which the answer is not good enough."""
    answered = [up for s in found.found for up in set(ups(s))]
    refused = [refusal.up for refusal in found.refused]
    missing = set(owners(module)) ^ (set(answered) | set(refused))
    twice = {up for up in refused if refused.count(up) > 1 or up in answered}
    if missing:
        yield f"layers neither found nor refused, or unknown: {', '.join(sorted(missing)[:5])}."
    if twice:
        yield f"layers answered more than once: {', '.join(sorted(twice)[:5])}."
    if not kept < KEPT:
        yield f"a twin's predictions are off by {kept:.1e}."
    if found.dim and not weakest[1] > POWER:
        yield f"{weakest[0]} made tenfold moves the predictions by {weakest[1]:.2g} only."


def table(names):
    """The lines of the table, and every fault with its network's name."""
    lines, wrong = list(HEAD), []
    for name in names:
        try:
            line, found = measure(name)
        except Exception as problem:  # one network's own: the table goes on without it
            text = str(problem).splitlines()[0][:120] if str(problem) else ""
            line, found = f"| {name} |  |  |  |  |  |  |  |", [f"{type(problem).__name__}: {text}"]
        lines.append(line)
        wrong += [f"{name}: {sentence}" for sentence in found]
        print(line, *found, sep="\n  ", flush=True)
        gc.collect()
    return lines, wrong


def page(lines, wrong):
    import timm
    import torch
    import torchvision
    import transformers

    libraries = dict(torchvision=torchvision, timm=timm, transformers=transformers)
    versions = ", ".join(f"{name} {module.__version__}" for name, module in libraries.items())
    first = f"{datetime.date.today()}, torch {torch.__version__}, {versions}, float64, processor."
    about = [
        "*Factors* is the dimension of the group, *kinds* how many lines describe it, *seconds*",
        "the processor's for one `find_symmetries`, which tries what it found before it returns,",
        "*twin off by* the relative change of the predictions when all factors are drawn at once,",
        "*tenfold moves* the smallest change when one layer that goes up is made tenfold, alone.",
        "Random weights, small inputs. Made by `python -m benchmarks.architectures --write`.",
    ]
    ending = ["", "Not good enough:", "", *(f"- {sentence}" for sentence in wrong)] if wrong else []
    return "\n".join(
        ["# Rescalings of real networks", "", first, "", *about, "", *lines, *ending, ""]
    )


def main(arguments):
    if Path(sys.prefix).resolve() != HOME.resolve():
        command = [ready("architectures"), "-m", "benchmarks.architectures", *arguments]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    from benchmarks.zoo import ZOO

    wanted = [word for word in arguments if not word.startswith("-")]
    names = [name for name in ZOO if not wanted or any(word in name for word in wanted)]
    lines, wrong = table(names)
    if "--write" in arguments:
        TABLE.write_text(page(lines, wrong), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
