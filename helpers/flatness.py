"""The paper's measures of flatness that are not read off one Hessian: what moves inside a ball."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.curvature import gradient
from helpers.params import Params, flatten, perturb

LossFn = Callable[[Params], Tensor]


@dataclass(frozen=True)
class Sharpness:
    """A maximum found inside a neighbourhood: a lower bound on the true one."""

    value: float  # (L(θ') − L(θ)) / (1 + L(θ)), no unit
    rise: float  # L(θ') − L(θ), loss units
    worst: Params  # the θ' that reaches it


def eps_sharpness(
    loss: LossFn,
    params: Params,
    eps_radius: float,
    *,
    steps: int = 30,
    starts: list[Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Sharpness:
    """Return max (L(θ') − L(θ)) / (1 + L(θ)) over the ball ‖θ' − θ‖₂ <= ε, as far as found.

    Definition 2 of the paper. Projected gradient ascent: on a ball, each step goes to the boundary
    point along the gradient, θ + ε ∇L/‖∇L‖, damped by averaging with the last point. It runs from
    every direction in `starts` (each (n,), for example the sharpest eigenvector and the way to the
    origin of a layer) or from one random direction; the best point is kept, so the value is a
    lower bound on the maximum. Cost: `steps` gradients a start.

    Raises:
        ValueError: eps_radius <= 0, or non-finite θ.
    """
    if not 0 < eps_radius < float("inf"):
        raise ValueError(
            f"eps_sharpness needs a finite eps_radius > 0, got {eps_radius}: "
            "it is the radius of a ball."
        )
    theta = flatten(params)
    if starts is None:
        generator = generator or torch.Generator(theta.device).manual_seed(0)
        random = torch.randn(len(theta), generator=generator, device=generator.device).to(theta)
        starts = [random, -random]
    best, rise = torch.zeros_like(theta), 0.0
    base = float(loss(params))
    for start in starts:
        for v in _ascend(loss, params, start * (eps_radius / start.norm()), eps_radius, steps):
            gain = float(loss(perturb(params, v))) - base
            if gain > rise:
                best, rise = v, gain
    return Sharpness(rise / (1 + base), rise, perturb(params, best))


def _ascend(loss: LossFn, params: Params, v: Tensor, radius: float, steps: int) -> list[Tensor]:
    """Return the points v of one ascent on the sphere of this radius, the start included."""
    path = [v]
    for _ in range(steps):
        g = gradient(loss, perturb(params, v))
        if g.norm() == 0:
            break
        v = v + radius * g / g.norm()
        v = v * (radius / v.norm())
        path.append(v)
    return path
