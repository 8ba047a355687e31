"""Find the rescaling symmetries of any `torch.nn.Module` by following its signal forward.

A layer's output may be multiplied by c > 0 where everything on the way to the next layers lets c
through, φ(cz) = cφ(z), and each of those layers can divide it out of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from helpers.maps import _lets_through as step
from helpers.nets._params import Params, along, axes, check_finite

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
SOURCES = (nn.Linear, *CONVOLUTIONS, *NORMS)  # weight and bias scale the output
SINKS = (nn.Linear, *CONVOLUTIONS)  # the weight can divide its input


@dataclass(frozen=True)
class Symmetry:
    """Multiply the weight and bias of `up` by c > 0, divide the weights of `downs` by it."""

    up: str  # name of the module that is multiplied
    downs: tuple[str, ...]  # names of the modules that undo it, all of them
    through: tuple[str, ...]  # what stands between
    units: int | None  # h where each output unit may have its own c_j, None where only one c

    def __str__(self) -> str:
        way = ", ".join(self.through) or "nothing"
        each = f", or each of {self.units} units by its own" if self.units else ""
        return f"{self.up} ↔ {', '.join(self.downs)} through {way}: by one factor{each}."


@dataclass(frozen=True)
class Refusal:
    """A layer that may not be rescaled, and what stands in the way."""

    up: str
    reason: str

    def __str__(self) -> str:
        return f"{self.up}: not rescalable, {self.reason}."


@dataclass(frozen=True)
class Symmetries:
    """Every layer of a module with weights: rescalable, or refused with the reason."""

    found: list[Symmetry]
    refused: list[Refusal]

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.found, *self.refused]))


class Blocked(Exception):
    """The factor cannot be undone on one of the ways forward."""


def find_symmetries(module: nn.Module) -> Symmetries:
    """Return which layers of `module` may be rescaled, and for each other one why not.

    Traces the module with `torch.fx`, then follows each layer's output to everything that reads
    it. ReLU, leaky ReLU, pooling, dropout, flattening and reshaping let a factor through; a sum, a
    normalization, a smooth activation or the output does not. The gain and bias of a
    normalization are themselves a layer that may be rescaled. Nothing is run: cost, milliseconds.

    Raises:
        ValueError: a module that torch.fx cannot trace.
    """
    graph, layers = _trace(module), dict(module.named_modules())
    found, refused = [], []
    for node in graph.nodes:
        layer = layers.get(node.target) if node.op == "call_module" else None
        if isinstance(layer, SOURCES) and getattr(layer, "weight", None) is not None:
            try:
                found.append(_follow(node, layers, graph))
            except Blocked as reason:
                refused.append(Refusal(node.target, str(reason)))
    return Symmetries(found, refused)


def symmetry_scaling(params: Params, amount: float | Tensor, symmetry: Symmetry) -> Params:
    """Return the scaling S of one symmetry: `amount` is c > 0, or (units,) one c_j for each unit.

    Raises:
        ValueError: amounts that are not finite and positive, or not one for each unit.
    """
    c = amount if isinstance(amount, Tensor) else torch.tensor(amount, dtype=torch.float64)
    _check_amount(c, symmetry)
    S = {name: torch.ones_like(block) for name, block in params.items()}
    for name in (f"{symmetry.up}.weight", f"{symmetry.up}.bias"):
        if name in S:
            S[name] = S[name] * _along(c, axes(name)[0], S[name])
    for name in (f"{down}.weight" for down in symmetry.downs):
        S[name] = S[name] / _along(c, axes(name)[1], S[name])
    return S


def rescale(module: nn.Module, amounts: Mapping[str, float | Tensor]) -> Params:
    """Return parameters of `module` with the same function, each layer named multiplied by c > 0.

    `amounts` maps a layer's name to one factor, or to one for each of its units; what undoes it is
    found by `find_symmetries`. The module itself is not changed.

    Raises:
        ValueError: a layer that is not there or not rescalable, with the reason.
    """
    params = {name: p.detach().clone() for name, p in module.named_parameters()}
    check_finite(params, "rescale")
    symmetries = find_symmetries(module)
    for up, amount in amounts.items():
        S = symmetry_scaling(params, amount, _pick(symmetries, up))
        params = {name: S[name] * block for name, block in params.items()}
    return params


def _follow(source: fx.Node, layers: dict, graph: fx.Graph) -> Symmetry:
    """Return the symmetry that starts at `source`, or raise with what is in its way."""
    _check_used_once(source, graph)
    downs, through, scaled, units = [], [], {source}, layers[source.target].weight.shape[0]
    for node in graph.nodes:
        carried = [arg for arg in node.all_input_nodes if arg in scaled]
        layer = layers.get(node.target) if node.op == "call_module" else None
        if not carried:
            continue
        if isinstance(layer, SINKS):
            _check_used_once(node, graph)
            downs.append(node.target)
            units = _units_after(units, layers[source.target], layer)
        elif step.lets_through(node, layer, len(carried)):
            scaled.add(node)
            through.append(step.name_of(node, layer))
            units = None if step.mixes_units(node, layer, layers[source.target]) else units
        else:
            raise Blocked(step.why_not(node, layer, len(carried)))
    if not downs:
        raise Blocked("no later layer reads it")
    return Symmetry(source.target, tuple(downs), tuple(through), units)


def _units_after(units: int | None, up: nn.Module, down: nn.Module) -> int | None:
    """Return the number of units that keep a column of `down` each, None where they do not."""
    inputs = down.weight.shape[1]
    flattened = isinstance(up, (*CONVOLUTIONS, nn.BatchNorm2d)) and isinstance(down, nn.Linear)
    if units is None or getattr(down, "groups", 1) > 1:
        return None
    return units if inputs == units or (flattened and inputs % units == 0) else None


def _check_used_once(node: fx.Node, graph: fx.Graph) -> None:
    if sum(other.op == "call_module" and other.target == node.target for other in graph.nodes) > 1:
        raise Blocked(f"{node.target} is used more than once with the same weights")


def _along(c: Tensor, axis: int, block: Tensor) -> Tensor:
    c = c.to(block.dtype).to(block.device)
    if c.ndim == 0:
        return c
    c = c.repeat_interleave(block.shape[axis] // len(c))
    return along(c, axis, block.ndim)


def _check_amount(c: Tensor, symmetry: Symmetry) -> None:
    shapes = [()] + ([(symmetry.units,)] if symmetry.units else [])
    if tuple(c.shape) not in shapes or not bool((torch.isfinite(c) & (c > 0)).all()):
        raise ValueError(
            f"rescaling {symmetry.up} needs finite factors > 0 of shape "
            f"{' or '.join(map(str, shapes))}, got {c.tolist()}: relu(-z) is not -relu(z)."
        )


def _pick(symmetries: Symmetries, up: str) -> Symmetry:
    reasons = {refusal.up: refusal.reason for refusal in symmetries.refused}
    for symmetry in symmetries.found:
        if symmetry.up == up:
            return symmetry
    names = ", ".join(symmetry.up for symmetry in symmetries.found) or "none"
    reason = reasons.get(up, "there is no such layer")
    raise ValueError(f"rescale needs one of the layers {names}, got {up!r}: {reason}.")


def _trace(module: nn.Module) -> fx.Graph:
    try:
        return fx.Tracer().trace(module)
    except Exception as error:
        raise ValueError(
            "find_symmetries needs a module that torch.fx can trace, got "
            f"{type(module).__name__}: {str(error).splitlines()[0]}."
        ) from error
