"""Find every positive rescaling of a module's parameters that keeps its function, and apply it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from helpers.maps._group import Group, Kind
from helpers.maps._symmetry import apply_scaling
from helpers.maps._trial import Trial, believed
from helpers.maps._words import layers, refusals, tied, words
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

    @property
    def tried(self) -> bool:
        """Whether x showed what stands in the way: if not, other rows may."""
        return not self.reason.startswith("not tried")

    def __str__(self) -> str:
        return f"{self.up}: {'not rescalable, ' if self.tried else ''}{self.reason}."


@dataclass(frozen=True)
class Symmetries:
    """The positive rescalings of a module, `dim` independent factors, and every other layer."""

    dim: int
    found: tuple[Symmetry, ...]
    refused: tuple[Refusal, ...]
    _group: Group = field(repr=False, compare=False)
    _kinds: dict[Symmetry, Kind] = field(repr=False, compare=False)
    _params: Params = field(repr=False, compare=False)
    _reasons: dict[str, str] = field(repr=False, compare=False)  # why not, by layer
    _trial = Trial  # that of the search, so that others can see it refuse a wrong group

    def __str__(self) -> str:
        head = f"{self.dim} factors that change no prediction"
        return "\n".join(map(str, [head, *self.found, *self.refused]))

    def scaling(self, amounts: Mapping[str | Symmetry, float | Tensor]) -> Params:
        """Return the scaling S > 0 of these factors, an entry for each entry of the parameters.

        Raises:
            ValueError: as `rescale`.
        """
        if not isinstance(amounts, Mapping):
            raise ValueError(f"rescale needs a dict from layers to factors, got {amounts!r}.")
        z = torch.zeros(self._group.dim, dtype=torch.float64)
        for up, amount in amounts.items():
            units = [i for kind in self._named(up) for i in kind.units]
            z[units] += _checked(amount, len(units), getattr(up, "up", up)).log()
        logs = self._group.logs(z, self._params)
        ones = {name: torch.ones_like(p) for name, p in self._params.items()}
        return ones | {name: u.exp().to(ones[name]) for name, u in logs.items()}

    def _named(self, up) -> list[Kind]:
        """Return the kinds that a symmetry, a layer or a parameter's name stands for."""
        kinds = [
            kind
            for symmetry, kind in self._kinds.items()
            if up in (symmetry, *layers(kind, 1)) or max(kind.powers.get(up, (0,))) > 0
        ]
        if not kinds:
            every = ", ".join(dict.fromkeys(n for k in self._kinds.values() for n in layers(k, 1)))
            why = self._reasons.get(up, "there is no such layer")
            raise ValueError(
                f"rescale needs one of the layers {every or '(none)'}, got {up!r}: {why}."
            )
        return kinds


def find_symmetries(module: nn.Module, x=None) -> Symmetries:
    """Return all positive diagonal rescalings of the parameters that keep the module's function.

    All, except factors on what no output feels, such as a bias that a softmax or a norm subtracts
    again; and a step counts even if no output feels its result, as where forward logs a number.
    Runs the module once on copies, with a label beside each number in memory that says what it
    would be multiplied by. Each operation asks for equations between labels, and their solutions
    are the group. It is tried before it is believed: on random weights in float64, here and on
    a different input; what does not pass is refused. The module is left as it was, to the last bit.

    `x` is an ordinary input, a tensor, a tuple of arguments or a dict of keywords: two rows and
    small images will do, but take more rows where rows part ways, as at experts or signs, and the
    longest sequence in use. The function is kept on every input with the same path in forward.

    Raises:
        ValueError: no x, no module, or one that does not run on x with copies of its parameters.
    """
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"a search for symmetries needs a torch module, got {type(module).__name__}: "
            "only a module has parameters that go by names."
        )
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
    dim, why = sum(s.units for s in kinds), dict(refusals(group, faults, ups))
    refused = tuple(map(Refusal, why, why.values()))
    return Symmetries(dim, tuple(kinds), refused, group, kinds, params, tied(module) | why)


def symmetry_scaling(module: nn.Module, amounts: Mapping, x=None) -> Params:
    """Return the scaling S > 0 of `rescale(module, amounts, x)`, which is S ⊙ θ.

    For many amounts search once: `found = find_symmetries(module, x)`, then `found.scaling`.

    Raises:
        ValueError: as `rescale`.
    """
    return find_symmetries(module, x).scaling(amounts)


def rescale(module: nn.Module, amounts: Mapping[str | Symmetry, float | Tensor], x=None) -> Params:
    """Return parameters of `module` with the same function, each named layer multiplied by c > 0.

    `amounts` maps the name of a layer to one factor, or to one for each of its units, (units,);
    what is divided is found by `find_symmetries(module, x)`. The name of a layer applies all its
    symmetries; a `Symmetry` as the key applies that one only. The module itself is not changed.

    Raises:
        ValueError: a layer that is not rescalable, with the reason; factors not > 0, or so extreme
            that the dtype cannot hold the result.
    """
    return _applied(find_symmetries(module, x), amounts)


def random_twin(module: nn.Module, x=None, *, size: float, generator: torch.Generator) -> Params:
    """Return parameters with the same function, every factor drawn anew: ln c ~ U(−size, size).

    Raises:
        ValueError: as `rescale`.
    """
    symmetries, amounts = find_symmetries(module, x), {}
    for symmetry in symmetries.found:
        draw = torch.rand(symmetry.units, generator=generator, device=generator.device)
        amounts[symmetry] = (size * (2 * draw.cpu().double() - 1)).exp()
    return _applied(symmetries, amounts)


def _applied(symmetries: Symmetries, amounts) -> Params:
    params = symmetries._params
    check_finite({n: p.abs() if p.is_complex() else p for n, p in params.items()}, "rescale")
    twin = apply_scaling(params, symmetries.scaling(amounts))
    for name, block in twin.items():
        lost = ~torch.isfinite(block) | ((block == 0) & (params[name] != 0))
        if bool(lost.any()):
            raise ValueError(
                f"rescale needs factors that {block.dtype} can hold, got {int(lost.sum())} entries "
                f"of {name} that became infinite or 0: the function would change."
            )
    return twin


def _checked(amount, units: int, up) -> Tensor:
    with suppress(TypeError, ValueError, RuntimeError):  # what is no number
        c = amount.cpu() if isinstance(amount, Tensor) else amount
        c = torch.as_tensor(c, dtype=torch.float64).detach()
        if c.shape in ((), (units,)) and bool((torch.isfinite(c) & (c > 0)).all()):
            return c
        amount = c.tolist()
    raise ValueError(
        f"rescaling {up!r} needs a finite factor > 0, or {units} of them, got {amount!r}: "
        "each unit has one, and relu(-z) is not -relu(z)."
    )
