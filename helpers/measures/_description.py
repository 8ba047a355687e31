"""Hochreiter and Schmidhuber's box: how precisely the weights have to be written down."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor
from torch.func import jacrev

from helpers.measures._derivatives import checked_gradient
from helpers.measures._each import each
from helpers.measures._workers import add_up, pieces
from helpers.nets._losses import Loss
from helpers.nets._modules import full_precision
from helpers.nets._params import (
    Net,
    Params,
    check_finite,
    flatten,
    positive,
    unflatten,
    without_graph,
)


def hs_description_length(loss: Loss, params: Params, eps_output: float) -> float:
    """Return Hochreiter and Schmidhuber's −Σ log Δw_i in nats, the mean over the inputs.

    That many nats describe the weights precisely enough: fewer for a flatter box. The authors sum
    over inputs; a mean does not grow with N. Only weights with ∂f/∂w ≠ 0 are counted, so
    under T_α it changes by Σ log D_i over them: (#active out − #active in) · log α. ("Flat
    Minima", Neural Computation 9(1), 1997.) Cost: one gradient for each output of each input.

    Raises:
        ValueError: eps_output <= 0, non-finite θ, or a net in which rows meet.
    """
    check_finite(params, "hs_description_length")
    total = flatten(params).new_zeros(())
    for w, part in pieces(loss):
        X = part.X.to(total.device)
        checked_gradient(part, params)  # refused where a slope is not that of L
        _check_alone(part.f, params, X)
        box = each(lambda x, f=part.f: hs_box(f, params, x, eps_output), X, chunk=32)  # (N, n)
        total += w * torch.where(box.isinf(), 0.0, -box.log()).sum(1).mean()
    return float(add_up(total))


def _check_alone(f: Net, params: Params, X: Tensor) -> None:
    rows = alone = None
    with suppress(RuntimeError, ValueError):  # of a net that takes no single row
        rows, alone = (without_graph(f, params, x) for x in (X, X[:1]))
    if alone is None or not torch.allclose(rows[0], alone[0], 1e-4, 1e-4 * float(rows.abs().max())):
        raise ValueError(
            "hs_description_length needs a net that takes each row by itself, got one in which "
            "rows meet: each row has a box of its own; batch norm needs module.eval() first."
        )


@full_precision()
def hs_box(f: Net, params: Params, x: Tensor, eps_output: float) -> Tensor:
    """Return the half-sides Δw of the box in which f(θ, x) hardly changes, shape (n,); x is (d,).

    Flatness condition 2 gives each weight the same share, Δw_i = c / ‖∂f/∂w_i‖; condition 1,
    Σ_k (Σ_i |∂f_k/∂w_i| Δw_i)² = ε, sets c. A weight that f does not depend on gets ∞.

    Raises:
        ValueError: eps_output <= 0.
    """
    why = "it is the squared output change that is tolerated"
    positive("hs_box", "eps_output", eps_output, why)
    J = jacrev(lambda theta: f(unflatten(theta, params), x[None])[0])(flatten(params))  # (out, n)
    slope = J.square().sum(0).sqrt()  # (n,)
    share = torch.where(slope > 0, J.abs() / slope, 0.0).sum(1)  # (out,)
    return (eps_output / share.square().sum()).sqrt() / slope
