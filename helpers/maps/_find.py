"""Find every positive rescaling of a module's parameters that keeps its function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from helpers.maps._group import Group, Kind
from helpers.maps._trial import Trial
from helpers.nets._params import Params, check_finite


@dataclass(frozen=True)
class Symmetry:
    """Multiply `up` by c > 0 and divide `downs` by it; `units` such c may be chosen one by one."""

    up: str | tuple[str, ...]  # the layer that is multiplied, or all of them
    downs: tuple[str, ...]  # the layers that are divided
    units: int  # h independent factors, in the order of the rows of the first layer
    words: str

    def __str__(self) -> str:
        return f"{self.words}."


@dataclass(frozen=True)
class Refusal:
    """A layer with parameters that may not be multiplied, and what stands in the way."""

    up: str
    reason: str

    def __str__(self) -> str:
        return f"{self.up}: not rescalable, {self.reason}."


@dataclass(frozen=True)
class Symmetries:
    """All positive rescalings of a module: `dim` independent factors; and the other layers."""

    dim: int
    found: tuple[Symmetry, ...]
    refused: tuple[Refusal, ...]
    _group: Group = field(repr=False, compare=False)
    _kinds: tuple[Kind, ...] = field(repr=False, compare=False)
    _params: Params = field(repr=False, compare=False)

    def scaling(self, amounts: Mapping[str | Symmetry, float | Tensor]) -> Params:
        """Return the scaling S > 0 of these factors, an entry for each entry of the parameters."""
        logs = self._logs(amounts)
        return {name: logs[name].exp().to(block) for name, block in self._params.items()}

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.found, *self.refused]))

    def _logs(self, amounts) -> Params:
        z = torch.zeros(self._group.dim, dtype=torch.float64)
        for up, amount in amounts.items():
            units = self._units(up)
            c = torch.as_tensor(amount, dtype=torch.float64).detach().cpu()
            _check_amount(c, len(units), up)
            z[units] += c.log()
        return self._group.logs(z, self._params)

    def _units(self, up) -> list[int]:
        """Return the factors of a symmetry, or all those of a layer or a parameter."""
        units = []
        for symmetry, kind in zip(self.found, self._kinds):
            ups = {n for n, powers in kind.powers.items() if max(powers) > 0}
            if up == symmetry or up in ups | {_layer(n) for n in ups}:
                units += kind.units
        if not units:
            names = ", ".join(dict.fromkeys(n for s in self.found for n in _names(s))) or "none"
            reasons = {r.up: r.reason for r in self.refused}
            reason = reasons.get(up, "there is no such layer")
            raise ValueError(f"rescale needs one of the layers {names}, got {up!r}: {reason}.")
        return units


def find_symmetries(module: nn.Module, x=None) -> Symmetries:
    """Return all positive diagonal rescalings of the parameters that keep the module's function.

    Runs the module once on copies, with a label beside each number in memory that says what it
    would be multiplied by; each operation asks for equations between labels, and the group is what
    solves them. Then the find is tried before it is believed: on generic weights, in float64, on
    another input too; what cannot be tried is refused. The module is left as it was.

    `x` is an ordinary input: a tensor, a tuple of arguments or a dict of keywords. Take it as long
    as any that you use, and small otherwise: a batch of two will do. The function is kept on the
    way through the module that x takes.

    Raises:
        ValueError: no x, or a module that does not run on it.
    """
    if x is None:
        raise ValueError(
            "find_symmetries needs an input, as in find_symmetries(module, x): "
            "it follows one forward, since the code alone does not say which layers meet."
        )
    for dtype in (torch.float64, None):
        try:
            trial = Trial(module, x, dtype)
            labels = trial.labels()
            group = Group(labels, labels.named_parts())
            tol = max(1e-9, 1e3 * labels.eps)
            faults = trial.faults(group, tol)
            break
        except (RuntimeError, TypeError) as error:
            failure = error
    else:
        raise ValueError(
            f"find_symmetries needs a module that runs on x, got {type(module).__name__}: "
            f"{str(failure).splitlines()[0]}"
        ) from failure
    params = {name: p.detach() for name, p in module.named_parameters()}
    kinds = tuple(kind for k, kind in enumerate(group.kinds) if k not in faults)
    found = tuple(_symmetry(kind) for kind in kinds)
    dim = sum(s.units for s in found)
    refused = _refusals(group, faults, {n for s in found for n in _names(s)})
    return Symmetries(dim, found, refused, group, kinds, params)


def symmetry_scaling(module: nn.Module, amounts: Mapping, x=None) -> Params:
    """Return the scaling S > 0 of `rescale(module, amounts, x)`: θ ↦ S ⊙ θ keeps the function.

    For a sweep over many factors keep `found = find_symmetries(module, x)`, and give it
    `lambda c: found.scaling({layer: c})`.

    Raises:
        ValueError: as `rescale`.
    """
    return find_symmetries(module, x).scaling(amounts)


def rescale(module: nn.Module, amounts: Mapping[str | Symmetry, float | Tensor], x=None) -> Params:
    """Return parameters of `module` with the same function, each layer named multiplied by c > 0.

    `amounts` maps a layer's name to one factor, or to one for each of its units; what undoes it is
    found by `find_symmetries(module, x)`. A symmetry found there may stand for its layer's name,
    where a layer has several. The module itself is not changed.

    Raises:
        ValueError: a layer that is not there or not rescalable, with the reason; factors that are
            not finite and positive, or too large for the dtype.
    """
    check_finite(dict(module.named_parameters()), "rescale")
    symmetries = find_symmetries(module, x)
    return _applied(symmetries._params, symmetries._logs(amounts))


def random_twin(module: nn.Module, x=None, *, size: float, generator: torch.Generator) -> Params:
    """Return parameters with the same function and every factor drawn anew: ln c ~ U(−size, size).

    Raises:
        ValueError: as `rescale`.
    """
    symmetries = find_symmetries(module, x)
    amounts = {}
    for symmetry in symmetries.found:
        draw = torch.rand(symmetry.units, generator=generator, device=generator.device).cpu()
        amounts[symmetry] = (size * (2 * draw.double() - 1)).exp()
    return _applied(symmetries._params, symmetries._logs(amounts))


def _applied(params: Params, logs: Params) -> Params:
    twin = {n: (p.double() * logs[n].to(p.device).exp()).to(p.dtype) for n, p in params.items()}
    for name, block in twin.items():
        lost = ~torch.isfinite(block) | (block == 0) & (params[name] != 0)
        if bool(lost.any()):
            raise ValueError(
                f"rescale needs factors that {block.dtype} can hold, got {int(lost.sum())} entries "
                f"of {name} that became infinite or 0: the function would be another."
            )
    return twin


def _check_amount(c: Tensor, units: int, up) -> None:
    if tuple(c.shape) not in ((), (units,)) or not bool((torch.isfinite(c) & (c > 0)).all()):
        raise ValueError(
            f"rescaling {up} needs finite factors > 0 of shape () or ({units},), "
            f"got {c.tolist()}: relu(-z) is not -relu(z)."
        )


def _layer(name: str) -> str:
    """Return the layer that a parameter belongs to; for one of the whole module, itself."""
    layer, _, parametrized = name.partition(".parametrizations.")
    return layer if parametrized else layer.rpartition(".")[0] or name


def _names(symmetry: Symmetry) -> tuple[str, ...]:
    return (symmetry.up,) if isinstance(symmetry.up, str) else symmetry.up


def _symmetry(kind: Kind) -> Symmetry:
    ups = tuple(dict.fromkeys(_layer(n) for n, powers in kind.powers.items() if max(powers) > 0))
    downs = tuple(dict.fromkeys(_layer(n) for n, powers in kind.powers.items() if min(powers) < 0))
    h = len(kind.units)
    words = f"multiply {', '.join(ups)} by c"
    words += f" and divide {', '.join(downs)} by c" if downs else ", which nothing feels"
    words += f", a c of its own for each of {h} units" if h > 1 else ""
    return Symmetry(ups[0] if len(ups) == 1 else ups, downs, h, words)


def _refusals(group: Group, faults: dict[int, str], ups: set[str]) -> tuple[Refusal, ...]:
    """Return each layer that has parameters and stands in no `ups`, with the reason."""
    causes, out = group.causes(), {}
    for name, parts in group.parts.items():
        layer = _layer(name)
        if layer not in ups | set(out):
            out[layer] = _reason(group, name, parts, causes, faults)
    return tuple(Refusal(layer, reason) for layer, reason in out.items())


def _reason(group, name, parts, causes, faults) -> str:
    for k, kind in enumerate(group.kinds):
        if name in kind.powers:
            other = ", ".join(
                dict.fromkeys(_layer(n) for n, p in kind.powers.items() if max(p) > 0)
            )
            return faults.get(k) or f"it is divided where {other} is multiplied, by the same factor"
    labels = [k for part in parts for k in part.plus.flatten().tolist() if k > 0]
    cause = next((causes[k] for k in labels if causes[k]), None)
    return _sentence(*cause) if cause else "nothing in this forward reads it"


def _sentence(op: str, at: str) -> str:
    return f"{op} at {at}"
