"""Find every positive rescaling of a module's parameters that keeps its function, and apply it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from helpers.maps._group import Group, Kind
from helpers.maps._symmetry import apply_scaling
from helpers.maps._trial import Trial, believed
from helpers.maps._words import layers, refusals, words
from helpers.nets._params import Params, check_finite


@dataclass(frozen=True)
class Symmetry:
    """Multiply `up` by c > 0, divide `downs` by it: no prediction changes."""

    up: str | tuple[str, ...]  # the layer that is multiplied, or all of them
    downs: tuple[str, ...]  # the layers that are divided
    units: int  # how many such c there are, in the order of the rows of the first parameter
    words: str  # each parameter, and the power of c

    def __str__(self) -> str:
        up = self.up if isinstance(self.up, str) else ", ".join(self.up)
        return f"{up} ↔ {', '.join(self.downs) or 'itself'}: {self.words}."


@dataclass(frozen=True)
class Refusal:
    """A layer with parameters that may not be multiplied, and what stands in the way."""

    up: str
    reason: str

    def __str__(self) -> str:
        return f"{self.up}: not rescalable, {self.reason}."


@dataclass(frozen=True)
class Symmetries:
    """All positive rescalings of a module, `dim` independent factors, and every other layer."""

    dim: int
    found: tuple[Symmetry, ...]
    refused: tuple[Refusal, ...]
    _group: Group = field(repr=False, compare=False)
    _kinds: dict[Symmetry, Kind] = field(repr=False, compare=False)
    _params: Params = field(repr=False, compare=False)

    def __str__(self) -> str:
        head = f"{self.dim} factors that change no prediction"
        return "\n".join(map(str, [head, *self.found, *self.refused]))

    def scaling(self, amounts: Mapping[str | Symmetry, float | Tensor]) -> Params:
        """Return the scaling S > 0 of these factors, an entry for each entry of the parameters.

        Raises:
            ValueError: as `rescale`.
        """
        z = torch.zeros(self._group.dim, dtype=torch.float64)
        for up, amount in amounts.items():
            units = [i for kind in self._named(up) for i in kind.units]
            c = torch.as_tensor(amount, dtype=torch.float64).detach().cpu()
            _check_amount(c, len(units), up)
            z[units] += c.log()
        logs = self._group.logs(z, self._params)
        ones = {name: torch.ones_like(p) for name, p in self._params.items()}
        return ones | {name: u.exp().to(ones[name]) for name, u in logs.items()}

    def _trial(self, module: nn.Module, x) -> Trial:
        """Return a trial as that of the search, to see what it makes of a group that is wrong."""
        return Trial(module, x)

    def _named(self, up) -> list[Kind]:
        """Return the kinds that a symmetry, a layer or a parameter's name stands for."""
        kinds = [
            kind
            for symmetry, kind in self._kinds.items()
            if up in (symmetry, *layers(kind, 1)) or max(kind.powers.get(up, (0,))) > 0
        ]
        if not kinds:
            every = ", ".join(dict.fromkeys(n for k in self._kinds.values() for n in layers(k, 1)))
            reason = {r.up: r.reason for r in self.refused}.get(up, "there is no such layer")
            raise ValueError(
                f"rescale needs one of the layers {every or 'none'}, got {up!r}: {reason}."
            )
        return kinds


def find_symmetries(module: nn.Module, x=None) -> Symmetries:
    """Return all positive diagonal rescalings of the parameters that keep the module's function.

    Runs the module once on copies, with a label beside each number in memory that says what it
    would be multiplied by. Each operation asks for equations between labels, and what solves them
    is the group. It is tried before it is believed: on random weights in float64, here and on
    another input; what does not pass is refused. The module is left as it was, bit by bit.

    `x` is an ordinary input, a tensor, a tuple of arguments or a dict of keywords; a batch of two
    and small images will do, but a sequence as long as any you use. The function is kept on every
    input that takes the same way through the code.

    Raises:
        ValueError: no x, or a module that does not run on it with copies of its parameters.
    """
    if x is None:
        raise ValueError(
            "a search for symmetries needs an input, as in find_symmetries(module, x), got none: "
            "it follows what the module does with x, since its code may do anything."
        )
    group, faults = believed(module, x)
    params, kinds = {name: p.detach() for name, p in module.named_parameters()}, {}
    for kind in (kind for k, kind in enumerate(group.kinds) if k not in faults):
        up, downs, units = layers(kind, 1), layers(kind, -1), torch.tensor(kind.units)
        said = words(kind, group.logs(torch.zeros(group.dim).index_fill(0, units, 1.0), params))
        kinds[Symmetry(up[0] if len(up) == 1 else up, downs, len(kind.units), said)] = kind
    ups = {up for kind in kinds.values() for up in layers(kind, 1)}
    refused = tuple(Refusal(*refusal) for refusal in refusals(group, faults, ups))
    return Symmetries(sum(s.units for s in kinds), tuple(kinds), refused, group, kinds, params)


def symmetry_scaling(module: nn.Module, amounts: Mapping, x=None) -> Params:
    """Return the scaling S > 0 of `rescale(module, amounts, x)`, which is S ⊙ θ.

    For many amounts search once: `found = find_symmetries(module, x)`, then `found.scaling`.

    Raises:
        ValueError: as `rescale`.
    """
    return find_symmetries(module, x).scaling(amounts)


def rescale(module: nn.Module, amounts: Mapping[str | Symmetry, float | Tensor], x=None) -> Params:
    """Return parameters of `module` with the same function, each layer named multiplied by c > 0.

    `amounts` maps the name of a layer to one factor, or to one for each of its units, (units,);
    what is divided is found by `find_symmetries(module, x)`. A symmetry found there may stand for
    a name, where a layer has several. The module itself is not changed.

    Raises:
        ValueError: a layer that is not there or not rescalable, with the reason; factors that are
            not finite and positive, or that the dtype cannot hold.
    """
    check_finite(dict(module.named_parameters()), "rescale")
    return _applied(find_symmetries(module, x), amounts)


def random_twin(module: nn.Module, x=None, *, size: float, generator: torch.Generator) -> Params:
    """Return parameters with the same function, every factor drawn anew: ln c ~ U(−size, size).

    Raises:
        ValueError: as `rescale`.
    """
    check_finite(dict(module.named_parameters()), "random_twin")
    symmetries, amounts = find_symmetries(module, x), {}
    for symmetry in symmetries.found:
        draw = torch.rand(symmetry.units, generator=generator, device=generator.device)
        amounts[symmetry] = (size * (2 * draw.double() - 1)).exp()
    return _applied(symmetries, amounts)


def _applied(symmetries: Symmetries, amounts) -> Params:
    twin = apply_scaling(symmetries._params, symmetries.scaling(amounts))
    for name, block in twin.items():
        lost = ~torch.isfinite(block) | ((block == 0) & (symmetries._params[name] != 0))
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
