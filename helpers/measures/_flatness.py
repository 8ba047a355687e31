"""ε-sharpness: the highest loss nearby.

One of three families (section 2 of the paper); the others are the size of a region (`_volume`, and
the box of `_description`) and curvature (`_curvature`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measures._curvature import spectral_norm, top_eigenvalues
from helpers.measures._lanczos import check_fine
from helpers.measures._products import gradient
from helpers.nets._params import (
    LossFn,
    Params,
    detached,
    flatten,
    loss_at,
    perturb,
    positive,
    seeded,
    weight_names,
    without_graph,
)


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

    Definition 2 of the paper. Gradient ascent, projected onto the ball, with a step that doubles
    when it rises and halves when it does not, from each displacement θ' − θ in `starts` (each
    (n,), shortened if it is outside). Without `starts` it sets out in two opposite random
    directions and towards θ_k = 0 for each weight: where the ball reaches a dead layer, the value
    is at least what section 4.3 says. Where the loss is undefined at θ_k = 0, as under weight
    normalization, it sets out a little past it. A lower bound, like every maximum searched for.
    Cost: about `steps` gradients and a few losses for each start.

    Raises:
        ValueError: eps_radius <= 0, non-finite θ, starts of the wrong shape, a negative loss.
    """
    base = _check_ball("eps_sharpness", loss, params, eps_radius)
    params, theta = detached(params), flatten(params).detach()
    best, top = torch.zeros_like(theta), base
    starts = list(_starts(loss, params, eps_radius, generator) if starts is None else starts)
    if not starts or any(start.shape != theta.shape for start in starts):
        got = ", ".join(str(tuple(start.shape)) for start in starts) or "none"
        raise ValueError(
            f"eps_sharpness needs starts of shape ({len(theta)},), got {got}: "
            "a start is a displacement of all parameters."
        )
    for start in starts:
        v, value = _climb(loss, params, _into_ball(start, eps_radius), eps_radius, steps)
        if value > top:
            best, top = v, value
    return Sharpness((top - base) / (1 + base), top - base, perturb(params, best))


def predicted_eps_sharpness(loss: LossFn, params: Params, eps_radius: float) -> float:
    """Return ‖Hess L(θ)‖₂ ε² / (2 (1 + L(θ))), what ε-sharpness is to second order (section 2).

    This holds only at a minimum with slope zero: elsewhere the rise begins with ‖∇L‖ ε, and at a
    saddle it follows the largest eigenvalue, which may be smaller than the norm. It is refused
    where either is more than a tenth off. Cost: some 40 Hessian-vector products.

    Raises:
        ValueError: eps_radius <= 0, non-finite θ, a point too far from a critical one, a saddle.
    """
    base = _check_ball("predicted_eps_sharpness", loss, params, eps_radius)
    norm = spectral_norm(loss, params)
    if (top := float(top_eigenvalues(loss, params).values[0])) < 0.9 * norm:
        raise ValueError(
            f"predicted_eps_sharpness needs a minimum, got eigenvalues up to {top:.1e} and down to "
            f"{-norm:.1e}: the loss rises along the first, but the norm is the size of the last."
        )
    rise = norm * eps_radius**2 / 2
    slope = float(gradient(loss, params).norm())
    if slope * eps_radius > 0.1 * rise:
        raise ValueError(
            f"predicted_eps_sharpness needs a critical point, got ‖∇L‖ = {slope:.1e}: over a "
            f"radius of {eps_radius:g} the slope can raise L by {slope * eps_radius:.1e}, the "
            f"curvature by {rise:.1e}."
        )
    return rise / (1 + base)


def _check_ball(who: str, loss: LossFn, params: Params, eps_radius: float) -> float:
    positive(who, "eps_radius", eps_radius, "it is the radius of a ball")
    check_fine(flatten(params))
    return loss_at(who, loss, params, "Definition 2 divides by 1 + L")


def _starts(
    loss: LossFn, params: Params, radius: float, generator: torch.Generator | None
) -> list[Tensor]:
    theta = flatten(params)
    generator = seeded(generator, theta)
    random = torch.randn(len(theta), generator=generator, device=generator.device).to(theta)
    starts = [random, -random]
    for name in weight_names(params):
        to_zero = flatten({k: -block if k == name else 0 * block for k, block in params.items()})
        there = loss(perturb(params, _into_ball(to_zero, radius)))
        starts.append(to_zero if torch.isfinite(there) else (1 + 1e-3) * to_zero)
    return starts


def _into_ball(v: Tensor, radius: float) -> Tensor:
    return v * (radius / v.norm().clamp_min(radius))


def _at(loss: LossFn, params: Params, v: Tensor) -> float:
    return float(without_graph(loss, perturb(params, v)))


def _climb(loss: LossFn, params: Params, v: Tensor, radius: float, steps: int):
    """Return the highest point v of one ascent from v in the ball, and the loss there."""
    value, step = _at(loss, params, v), radius
    g = gradient(loss, perturb(params, v))
    for _ in range(steps):
        if g.norm() == 0 or step < 1e-6 * radius:
            break
        w = _into_ball(v + step * g / g.norm(), radius)
        there = _at(loss, params, w)
        if there > value:
            v, value, step = w, there, 2 * step
            g = gradient(loss, perturb(params, v))
        else:
            step /= 2
    return v, value
