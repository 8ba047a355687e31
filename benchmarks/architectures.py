"""How many factors real networks have: `python -m benchmarks.architectures [name …] [--write]`.

Random weights, small inputs, float64. For each network: is every layer with parameters found or
refused; how far do the predictions move under a random twin (all factors at once, an input that
was not shown), which should be rounding; and would a wrong answer be seen: in the trial that
`find_symmetries` makes, each layer that a symmetry divides is left out once. A network fails the
run if a layer is missing, if the twin is off by more than 1e-9, or a hundred times what rounding
does to its predictions, which is what the trial allows, or if a symmetry with one layer left out
moves the predictions by less than 1e-6.
How far they move when one layer is made tenfold, and nothing undoes it, says how much a network
feels of its layers; below a tenth the page names the layer. An environment of its own is made in
`_build/architectures`.
"""

import datetime
import gc
import math
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.apart import ROOT, ready

HOME = ROOT / "_build" / "architectures"
TABLE = Path(__file__).with_suffix(".md")
KEPT, SEEN = 1e-9, 1e-6  # relative: what a twin may be off, and what a wrong one has to be off
FELT = 0.1  # a layer that moves the predictions less, made tenfold, is named
HEAD = (
    "| network | parameters | factors | kinds | refused | seconds | twin off by "
    "| one left out | tenfold moves |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


def layer_of(name):
    """The layer of a parameter; a parametrized one counts as one, a bare parameter as itself."""
    layer, _, parametrized = name.partition(".parametrizations.")
    return layer if parametrized else layer.rpartition(".")[0] or name


def owners(module):
    """Every layer with parameters."""
    return [layer_of(name) for name, _ in module.named_parameters()]


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


class LeftOut:
    """One symmetry of a group, except for what it divides in one layer: a wrong answer."""

    def __init__(self, group, kind, layer):
        self.group, self.dim, self.kinds, self.layer = group, group.dim, [kind], layer

    def logs(self, z, params):
        powers = self.group.logs((z != 0).double(), params)
        logs = self.group.logs(z, params)
        mine = [name for name in logs if layer_of(name) == self.layer]
        return logs | {name: logs[name] * (powers[name] > 0) for name in mine}


def left_out(module, x, found):
    """How far the trial sees the predictions move when a symmetry forgets a layer, for each.

    As in the trial there are four draws, since in one of them a unit may be dead.
    """
    trial, group = found._trial(module, x), found._group
    off = {(s, down): 0.0 for s in found.found for down in s.downs}
    for _ in range(4):
        trial.draw()
        for s, down in [pair for pair in off if not off[pair] > SEEN]:
            off[s, down] = trial.far(LeftOut(group, found._kinds[s], down), [0])
    return [(down, moved) for (_, down), moved in off.items()]


def measure(name):
    """One line of the table, a sentence for each fault, and one if a layer is hardly felt."""
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
    last = {name: p * (1 + 2**-51 * torch.rand_like(p)) for name, p in params.items()}
    rounding = distance(run(module, last, other), y)
    weakest = least(powers(module, found, other, y))
    missed = least(left_out(module, x, found))
    n = sum(p.numel() for p in module.parameters())
    cells = name, f"{n:,}", f"{found.dim:,}", len(found.found), len(found.refused)
    cells = *cells, f"{seconds:.1f}", f"{kept:.0e}", f"{missed[1]:.0e}", f"{weakest[1]:.2f}"
    return (
        f"| {' | '.join(map(str, cells))} |",
        [*faults(module, found, kept, rounding, missed)],
        weakest,
    )


def least(pairs):
    return min(pairs, key=lambda pair: pair[1], default=("", float("nan")))


def faults(module, found, kept, rounding, missed):
    """A sentence for each way in which the answer is not good enough."""
    answered = [up for s in found.found for up in set(ups(s))]
    refused = [refusal.up for refusal in found.refused]
    missing = set(owners(module)) ^ (set(answered) | set(refused))
    twice = {up for up in refused if refused.count(up) > 1 or up in answered}
    if missing:
        yield f"layers neither found nor refused, or unknown: {', '.join(sorted(missing)[:5])}."
    if twice:
        yield f"layers answered more than once: {', '.join(sorted(twice)[:5])}."
    if not kept < max(KEPT, 100 * rounding):
        yield f"a twin's predictions are off by {kept:.1e}."
    if found.dim and not missed[1] > SEEN:
        yield f"{missed[0]} left out moves the predictions by {missed[1]:.1e} only."


def table(names):
    """The lines of the table, every fault, and each layer that is hardly felt, by network."""
    lines, wrong, faint = list(HEAD), [], []
    for name in names:
        try:
            line, found, (layer, power) = measure(name)
        except Exception as problem:  # one network's own: the table goes on without it
            text = str(problem).splitlines()[0][:120] if str(problem) else ""
            line, found = f"| {name} {'| ' * HEAD[1].count('-:')}|", []
            wrong.append(f"{name}: {type(problem).__name__}: {text}")
            power = math.inf
        lines.append(line)
        wrong += [f"{name}: {sentence}" for sentence in found]
        if power < FELT:
            faint.append(f"{name}: `{layer}`, {power:.2g}.")
        print(line, *found, sep="\n  ", flush=True)
        gc.collect()
    return lines, wrong, faint


def page(lines, wrong, faint):
    import timm
    import torch
    import torchvision
    import transformers

    libraries = dict(torchvision=torchvision, timm=timm, transformers=transformers)
    versions = ", ".join(f"{name} {module.__version__}" for name, module in libraries.items())
    first = f"{datetime.date.today()}, torch {torch.__version__}, {versions}, float64, processor."
    about = [
        "*Factors* is the dimension of the group, *kinds* how many lines describe it, *seconds*",
        "the processor time of one `find_symmetries`, the trial of what it found included,",
        "*twin off by* the relative change of the predictions when all factors are drawn at once",
        "(from rounding: a deep network may magnify the last digits of its weights),",
        "*one left out* the smallest change that the trial sees if a symmetry forgets a layer that",
        f"it divides (it refuses what is off by {KEPT:.0e}), *tenfold moves* the smallest change",
        "when one multiplied layer alone is made ten times as large. Random weights, small inputs.",
        "Made by `python -m benchmarks.architectures --write`.",
    ]
    parts = {"Not good enough": wrong, "Hardly felt, and seen all the same when left out": faint}
    ending = [[f"{title}:", "", *(f"- {s}" for s in parts[title]), ""] for title in parts]
    ending = [line for said in ending if len(said) > 3 for line in said]
    return "\n".join(
        ["# Rescalings of real networks", "", first, "", *about, "", *lines, "", *ending]
    )


def main(arguments):
    if Path(sys.prefix).resolve() != HOME.resolve():
        command = [ready("architectures"), "-m", "benchmarks.architectures", *arguments]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    from benchmarks.zoo import ZOO

    wanted = [word for word in arguments if not word.startswith("-")]
    names = [name for name in ZOO if not wanted or any(word in name for word in wanted)]
    lines, wrong, faint = table(names)
    if "--write" in arguments:
        TABLE.write_text(page(lines, wrong, faint), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
