"""Keskar and others' sharpness (Metric 2.1): the highest loss in a box, found by L-BFGS-B.

"On Large-Batch Training for Deep Learning", ICLR 2017. Section 4.3 of the paper treats the version
in the full space and leaves the one in a random subspace open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from helpers.measures._lanczos import check_fine
from helpers.nets._losses import check_value
from helpers.nets._modules import full_precision
from helpers.nets._params import (
    LossFn,
    Params,
    detached,
    finest,
    flatten,
    loss_at,
    perturb,
    positive,
    seeded,
)


@dataclass(frozen=True)
class BoxSharpness:
    """A maximum found in Keskar's box: a lower bound on the true one."""

    value: float  # 100 (L(θ') − L(θ)) / (1 + L(θ)), no unit
    rise: float  # L(θ') − L(θ), loss units
    worst: Params  # the θ' that reaches it
    evaluations: int  # losses with gradients spent


def keskar_sharpness(
    loss: LossFn,
    params: Params,
    eps_box: float,
    *,
    subspace: int | Tensor | None = None,
    iterations: int = 10,
    starts: int | list[Tensor] = 5,
    generator: torch.Generator | None = None,
) -> BoxSharpness:
    """Return 100 max_z (L(θ + Az) − L(θ)) / (1 + L(θ)) over |z_i| <= ε (|(A⁺θ)_i| + 1).

    `subspace` is A: None for the whole space (A = I), a number p for p random directions, or A
    itself, (n, p). The maximum is sought by `iterations` steps of scipy's L-BFGS-B from random
    points of the box, as many as `starts` says, or from the displacements z given there (each
    (p,)): from z = 0, where the gradient vanishes at a minimum, it would not move. Keskar and
    others use ε = 1e-3 and 5e-4, 10 iterations and p = 100. The "+ 1" gives the box a size that
    does not shrink with the weights, so for small α it reaches θ₁ = 0.
    Cost: about 1.3 · iterations · starts gradients.

    Raises:
        ValueError: eps_box <= 0, non-finite θ, A or starts of the wrong shape, a negative loss.
    """
    positive("keskar_sharpness", "eps_box", eps_box, "it scales a box")
    base = loss_at("keskar_sharpness", loss, params, "the metric divides by 1 + L")
    theta, generator = flatten(params).detach(), seeded(generator, flatten(params))
    A = _subspace(subspace, theta, generator)
    half = box_half_sides(theta, eps_box, A)
    f = _Fall(loss, params, A, half, base)
    best, fall = 0 * half, 0.0
    for u in _points(starts, half, generator):
        value, slope = f(u)
        f.unit = max(float(np.square(slope).mean()) ** 0.5, 1e-12)  # or the first step is tiny
        options = {"maxiter": iterations, "ftol": 0, "gtol": 1e-6}
        box = [(-1, 1)] * len(u)
        end = minimize(f, u, jac=True, method="L-BFGS-B", bounds=box, options=options)
        for point, there in ((u, value), (end.x, end.fun * f.unit)):
            if there < fall:
                best, fall = point * half, float(there)
        f.unit = 1.0
    rise, end = max(0.0, -fall), torch.as_tensor(best).to(theta)
    worst = perturb(detached(params), end if A is None else A @ end)
    return BoxSharpness(100 * rise / (1 + base), rise, worst, f.evaluations)


def box_half_sides(theta: Tensor, eps_box: float, A: Tensor | None = None) -> np.ndarray:
    """Return Keskar's half-sides ε (|(A⁺θ)_i| + 1), shape (p,), with A⁺ the pseudo-inverse of A."""
    x = theta if A is None else torch.linalg.lstsq(A, theta[:, None]).solution[:, 0]
    return eps_box * (x.abs() + 1).detach().cpu().double().numpy()


class _Fall:
    """u ↦ (L(θ) − L(θ + Az), its gradient) for scipy, z = half · u, in float64; counts its calls.

    In units of the box and of `unit`: weights and losses of any size then look alike to the
    optimizer, whose first step is as long as the slope it sees.
    """

    def __init__(self, loss: LossFn, params: Params, A: Tensor | None, half, base: float):
        self.loss, self.params, self.A, self.half, self.base = loss, params, A, half, base
        self.evaluations, self.unit = 0, 1.0

    @full_precision()
    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        self.evaluations += 1
        with torch.enable_grad():
            z = torch.as_tensor(self.half * u).to(flatten(self.params)).requires_grad_()
            value = self.loss(perturb(self.params, z if self.A is None else self.A @ z))
            check_value("keskar_sharpness", value)
            (g,) = torch.autograd.grad(value, z)
        fall, slope = self.base - float(value.detach()), -self.half * g.cpu().double().numpy()
        return fall / self.unit, slope / self.unit


def _subspace(subspace: int | Tensor | None, theta: Tensor, generator) -> Tensor | None:
    check_fine(theta)
    n = len(theta)
    if isinstance(subspace, int) and 1 <= subspace <= n:
        A = torch.randn(n, subspace, generator=generator, device=generator.device)
        return A.to(theta)
    if subspace is None or (isinstance(subspace, Tensor) and subspace.shape[:-1] == (n,)):
        return None if subspace is None else subspace.to(theta)
    got = tuple(subspace.shape) if isinstance(subspace, Tensor) else subspace
    raise ValueError(
        f"keskar_sharpness needs a subspace of 1 to {n} directions or a matrix of shape ({n}, p), "
        f"got {got}: its columns are directions in parameter space."
    )


def _points(starts: int | list[Tensor], half: np.ndarray, generator) -> list[np.ndarray]:
    """Return where the searches begin, in units of the box."""
    if isinstance(starts, int):
        size = (starts, len(half))
        like = finest(torch.empty(0, device=generator.device))
        U = torch.rand(size, generator=generator, dtype=like.dtype, device=like.device)
        starts = list(half * (2 * U.cpu().numpy() - 1))
    points = [torch.as_tensor(z).detach().cpu().double().numpy() for z in starts]
    if not points or any(z.shape != half.shape for z in points):
        raise ValueError(
            f"keskar_sharpness needs at least one start, of shape {half.shape}, got "
            f"{[z.shape for z in points]}: a start is a displacement in the box."
        )
    return [np.clip(z / half, -1, 1) for z in points]
