"""The diagonals D = 1/S along an orbit, and which entries of θ they always treat alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from helpers.maps._symmetry import aligned, layer_scaling
from helpers.nets._params import Params, flatten, sizes

Scaling = Callable[[float], Params] | Mapping[str, float | Sequence[float]]


def inverse_scaling(params: Params, scaling: Scaling, amounts: Tensor) -> tuple[Tensor, Tensor]:
    """Return (d, of): d (A, G) holds 1/S for each amount and group, of (n,) each entry's group.

    Two entries of θ are in one group when S treats them alike at every amount: the weights and the
    bias of a first layer, or all the weights of one hidden unit. `scaling` is amount ↦ S, or the
    exponents of the layers, and then a group is a set of whole blocks.

    Raises:
        ValueError: amounts <= 0 for exponents, a scaling that is not finite and positive.
    """
    if callable(scaling):
        return _from_map(params, scaling, amounts)
    return _from_exponents(params, scaling, amounts)


def _from_exponents(params, exponents, amounts):
    """For S = Π_j amount_j^e_j: log S is linear in log amount, so e is read off at amount = e."""
    if not bool((torch.isfinite(amounts) & (amounts > 0)).all()):
        raise ValueError(
            f"a sweep needs finite amounts > 0, got {float(amounts.min())} to "
            f"{float(amounts.max())}: relu(-z) is not -relu(z)."
        )
    rows, knobs = [], 1 if amounts.ndim == 1 else amounts.shape[1]
    if bad := [name for name, e in exponents.items() if torch.as_tensor(e).numel() != knobs]:
        raise ValueError(
            f"a sweep needs one exponent per knob for each layer, got {exponents[bad[0]]} for "
            f"{bad[0]} (knobs: {knobs}): a row of amounts holds one for each knob."
        )
    double = {name: torch.as_tensor(e, dtype=torch.float64) for name, e in exponents.items()}
    for j in range(knobs):
        powers = {name: float(e.reshape(-1)[j]) for name, e in double.items()}
        rows.append(_log_scaling(params, powers))
    by_knob, of_block = torch.stack(rows).unique(dim=1, return_inverse=True)  # (J, G), (blocks,)
    logs = amounts.log().reshape(len(amounts), -1)  # (A, J)
    first = next(iter(params.values()))
    counts = torch.tensor(list(sizes(params).values()))
    return torch.exp(-logs @ by_knob), of_block.repeat_interleave(counts).to(first.device)


def _log_scaling(params, powers):
    """Return log S for each block at amount e, from a stand-in with one entry a block."""
    if abs(sum(powers.values())) > 1e-9:
        raise ValueError(
            f"a sweep needs exponents that add up to 0, got {powers}: the output would change."
        )
    tiny = {name: torch.ones([1] * t.ndim, dtype=torch.float64) for name, t in params.items()}
    e = torch.tensor(1.0, dtype=torch.float64).exp()
    S = layer_scaling(tiny, {name: float(e**power) for name, power in powers.items()})
    return (1e9 * flatten(S).log()).round() / 1e9  # so that equal exponents are equal


def _from_map(params, scaling, amounts):
    n, rows = sum(sizes(params).values()), []
    first = next(iter(params.values()))
    of = torch.zeros(n, dtype=torch.long, device=first.device)
    member = torch.zeros(1, dtype=torch.long, device=first.device)  # (G,) one entry of each group
    for amount in amounts:
        S = scaling(amount.item() if amount.ndim == 0 else amount)
        S = flatten(aligned("a sweep", S, params)).detach()
        _check_scaling(S, amount)
        if not torch.equal(S[member][of], S):
            parent, (of, member) = of, _refine(of, S)
            rows = [row[parent[member]] for row in rows]
        rows.append(1 / S[member])
    return torch.stack(rows).cpu().double(), of


def _refine(of: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Return the groups split where S differs inside one, and one member of each."""
    values, inverse = S.unique(return_inverse=True)
    _, of = (of * len(values) + inverse).unique(return_inverse=True)
    member = of.new_zeros(int(of.max()) + 1)
    return of, member.scatter_(0, of, torch.arange(len(of), device=of.device))


def _check_scaling(S: Tensor, amount: Tensor) -> None:
    if not bool((torch.isfinite(S) & (S > 0)).all()):
        raise ValueError(
            "a sweep needs a finite scaling S > 0, got entries from "
            f"{float(S.min())} to {float(S.max())} at {amount.tolist()}: "
            "relu(-z) is not -relu(z)."
        )
