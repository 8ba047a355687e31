"""A rescaling, or why there is none, in words: what is multiplied, and what stands in the way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import Tensor, nn

from helpers.maps._group import Group, Kind
from helpers.maps._rules import RULES
from helpers.nets._params import Params

BENT = {
    *("softmax", "log_softmax", "gelu", "silu", "tanh", "sigmoid", "exp", "log", "softplus", "elu"),
    *("mish", "erf", "sin", "cos", "log_sigmoid_forward", "hardswish", "hardsigmoid", "hardtanh"),
    *("div", "clamp", "clamp_max", "pow"),
}
WHY = {  # what an operation does that leaves no factor
    **dict.fromkeys(BENT, "{op}{at} bends a factor: phi(cz) is not c phi(z)"),
    **dict.fromkeys(("add", "sub", "rsub"), "{op}{at} joins it with {what} that is not multiplied"),
    "clamp_min": "{op}{at} bounds it by a value that is not multiplied, as max(norm, eps) does",
    "eps": "{op}{at} divides a factor out, but not exactly: its {detail} is not multiplied",
    "stored mean": "{op}{at} subtracts a stored mean, which is not multiplied",
    "output": "its factor would reach the prediction, and nothing is left to undo it",
    "shared memory": "it shares its memory with another parameter, so writing one writes both",
    "another way": "the forward{at} also reaches it by a way other than its name",
    "written over": "the forward{at} changes it in place, as max_norm does",
}


def layer_of(name: str) -> str:
    """Return the layer that a parameter belongs to; for one of the whole module, itself."""
    layer, _, parametrized = name.partition(".parametrizations.")
    return layer if parametrized else layer.rpartition(".")[0] or name


def tied(module: nn.Module) -> dict[str, str]:
    """Return, for each layer with parameters, that it shares them, should it be asked for."""
    first = {id(p): layer_of(name) for name, p in module.named_parameters()}
    every = module.named_parameters(remove_duplicate=False)
    return {layer_of(n): f"it shares its parameters with {first[id(p)]}" for n, p in every}


def layers(kind: Kind, sign: int) -> tuple[str, ...]:
    """Return the layers that are multiplied (sign 1), or those that are divided (−1)."""
    names = (n for n, powers in kind.powers.items() if max(sign * p for p in powers) > 0)
    return tuple(dict.fromkeys(map(layer_of, names)))


def words(kind: Kind, logs: Params) -> str:
    """Return what is multiplied and divided, by which power of c, and how many c there are.

    `logs` are the log-factors of the parameters where every c of this kind is e.
    """
    steps = []
    for p in sorted({p for powers in kind.powers.values() for p in powers}, reverse=True):
        verb, sign = ("multiply", 1) if p > 0 else ("divide", -1)
        mine = [name for name, powers in kind.powers.items() if p in powers]
        names = ", ".join(_entries(name, logs[name].sign() == sign) for name in mine)
        steps.append(f"{verb} {names} by c{f'^{abs(p)}' * (abs(p) != 1)}")
    h = len(kind.units)
    return " and ".join(steps) + (f", with its own c for each of {h} units" if h > 1 else "")


def _entries(name: str, moved: Tensor) -> str:
    """Return the name of a parameter, with its rows or columns where only some are moved."""
    if bool(moved.all()):
        return name
    for axis, before in zip(range(moved.ndim), ("", ":, ")):
        hit = moved.movedim(axis, 0).reshape(moved.shape[axis], -1).any(1)
        first, last = (f(hit.nonzero().flatten().tolist() or [0]) for f in (min, max))
        if last - first + 1 == int(hit.sum()) < len(hit):
            return f"{name}[{before}{first}:{last + 1}]"
    return f"part of {name}"


def refusals(group: Group, faults: dict[int, str], ups: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each layer that has parameters and is not in `ups`, once, with the reason."""
    causes, seen = group.causes(), set(ups)
    far = {k: n for n, k in enumerate(causes)}
    for name, parts in group.parts.items():
        if (layer := layer_of(name)) not in seen:
            seen.add(layer)
            labels = {k for part in parts for k in part.plus.unique().tolist()} & far.keys()
            cause = causes[min(labels, key=far.get)] if labels else None
            yield layer, _sentence(*cause) if cause else _otherwise(group, name, faults)


def _sentence(op: str, layer: str) -> str:
    op, _, detail = op.partition(": ")
    name = op.strip("_").removeprefix("safe_")
    norm = re.search("(batch|layer|group|rms)_norm", name)
    rule = "ties it to a value that is not multiplied" if op in RULES else "has no rule here"
    why = WHY.get(detail.partition(" = ")[0], WHY.get(name, "{op}{at} " + rule))
    said = {"op": f"{norm[1]} norm" if norm else name, "at": f" at {layer}" if layer else ""}
    what = "a number (such as an eps)" if detail else "a branch"
    return why.format(**said, detail=detail, what=what)


def _otherwise(group: Group, name: str, faults: dict[int, str]) -> str:
    mine = {k: kind for k, kind in enumerate(group.kinds) if name in kind.powers}
    ups = dict.fromkeys(up for kind in mine.values() for up in layers(kind, 1))
    divided = f"it is only divided, by the factor of {', '.join(ups)}"
    unread = "not tried: nothing reads it on this x; other rows may"
    return next((faults[k] for k in mine if k in faults), divided if mine else unread)
