"""Volume ε-flatness, Definition 1: the size of the connected region of nearly equal loss."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, lgamma, log, pi

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from helpers.measures._curvature import Estimate
from helpers.measures._each import each
from helpers.nets._params import (
    LossFn,
    Params,
    check_finite,
    finest,
    flatten,
    perturb,
    positive,
    seeded,
    without_graph,
)

MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class Volume:
    """The part of C(L, θ, ε) inside a window, counted in cells of a grid."""

    value: float  # its volume, in parameter units to the power d
    rim: float  # volume of its cells that have a neighbour outside: how far off `value` may be
    cut: bool  # whether it reaches the window's edge: then C is larger
    inside: np.ndarray  # (points,) * d, which cells belong to it
    axes: list[np.ndarray]  # d times (points,): cell centres, as displacements from θ


def volume_flatness(
    loss: LossFn,
    params: Params,
    eps_height: float,
    *,
    window: float | tuple[Tensor | float, Tensor | float],
    points: int = 101,
    directions: Tensor | None = None,
) -> Volume:
    """Return the volume of C(L, θ, ε): the connected set around θ where L < L(θ) + ε.

    Definition 1 of the paper. C is often unbounded (Theorem 2), so it is cut off: θ + Σ z_i d_i
    with low <= z <= high, or |z_i| <= `window`. The rows of `directions` (d, n) span the slice;
    without them it is all of the space. Cells of the grid count as inside when their centre is, and
    as connected when they share a face; a passage narrower than a cell may be missed.
    Cost: points^d losses.

    Raises:
        ValueError: eps_height <= 0, non-finite θ or L(θ), a window of the wrong shape or without
            θ, directions that do not fit or are not independent, more cells than 4 million.
    """
    height = _height("volume_flatness", loss, params, eps_height)
    D = _directions(params, directions, points)
    low, high = _window(window, D)
    steps = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    axes = [float(a) + float(b - a) * steps for a, b in zip(low, high)]
    Z = torch.cartesian_prod(*axes).reshape(-1, len(D)).to(D)  # (points^d, d)
    values = without_graph(each, lambda z: loss(perturb(params, z @ D)), Z)
    below = (values < height).reshape([points] * len(D)).cpu().numpy()
    home = tuple(((-low / (high - low)) * points).long().clamp(0, points - 1).tolist())
    below[home] = True  # θ itself is in C, whatever the centre of its cell says
    inside = (labels := ndimage.label(below)[0]) == labels[home]
    cell = float(((high - low) / points).prod() * (D @ D.T).det().sqrt())
    rim = inside & ~ndimage.binary_erosion(inside, border_value=1)
    cut = any(inside.take(k, axis).any() for axis in range(len(D)) for k in (0, -1))
    return Volume(inside.sum() * cell, rim.sum() * cell, cut, inside, [a.numpy() for a in axes])


def visible_volume(
    loss: LossFn,
    params: Params,
    eps_height: float,
    *,
    radius: float,
    samples: int = 2000,
    scan: int = 64,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Return the volume of what θ sees: the points within `radius` joined to θ by a straight line
    along which L < L(θ) + ε. It is part of C(L, θ, ε); where C is convex and fits, all of it.

    Monte Carlo: V = V_n · mean R(u)^n over random unit vectors u, with R(u) the distance to the
    first crossing, looked for at `scan` points a ray and then bisected. Needs no grid, so n may be
    10 or 20; the spread of R^n grows with n. Cost: samples · (scan + 40) losses.

    Raises:
        ValueError: eps_height <= 0, radius <= 0, fewer than two samples, non-finite θ or L(θ).
    """
    height = _height("visible_volume", loss, params, eps_height)
    positive("visible_volume", "radius", radius, "a ray has a length")
    if not (isinstance(samples, int) and samples >= 2):
        raise ValueError(f"visible_volume needs whole samples >= 2, got {samples}: they are rays.")
    n, generator = len(theta := flatten(params)), seeded(generator, flatten(params))
    U = torch.randn(samples, n, generator=generator, device=generator.device).to(theta)
    U = U / U.norm(dim=1, keepdim=True)
    R = without_graph(_first_crossing, loss, params, U, height, radius, scan)
    unit_ball = n / 2 * log(pi) - lgamma(n / 2 + 1)  # log V_n
    V = (n * finest(R).log() + unit_ball).exp()  # (samples,)
    value, error = float(V.mean()), float(V.std() / samples**0.5)
    if not isfinite(error):
        raise ValueError(f"visible_volume needs a smaller radius, got {radius:g}: R^n overflows.")
    return Estimate(value, error)


def disjoint_alpha(params: Params, r: float, *, up: str = "theta1") -> float:
    """Return α = 2 (‖θ₁‖∞ + r) / (‖θ₁‖∞ − r), for which the boxes B, T_α B, T_α² B, … are disjoint.

    B = B∞(r, θ). In T_α B every ‖θ₁'‖∞ is at least α (‖θ₁‖∞ − r), twice the most that B has. With
    n₁ = n₂ all boxes have one volume, so their union is infinite (Theorem 2).

    Raises:
        ValueError: r is not between 0 and ‖θ₁‖∞.
    """
    check_finite(params, "disjoint_alpha")
    if up not in params:
        raise ValueError(f"disjoint_alpha needs a block among {', '.join(params)}, got {up!r}.")
    size = float(params[up].abs().max())
    if not 0 < r < size:
        raise ValueError(
            f"disjoint_alpha needs 0 < r < {size:g}, got {r}: the box must not touch {up} = 0."
        )
    return 2 * (size + r) / (size - r)


def _first_crossing(loss, params, U, height, radius, scan) -> Tensor:
    def above(t: Tensor) -> Tensor:  # (samples,) distances -> (samples,) bool
        return ~(each(lambda t, u: loss(perturb(params, u, t)), t, U) < height)

    low, high = torch.zeros_like(U[:, 0]), torch.full_like(U[:, 0], radius)
    open_ = torch.ones_like(low, dtype=torch.bool)  # rays that have met no wall yet
    for k in range(1, scan + 1):
        t = torch.full_like(low, radius * k / scan)
        hit = open_ & above(t)
        high = torch.where(hit, t, high)
        open_ = open_ & ~hit
        low = torch.where(open_, t, low)
    for _ in range(40):
        outside = above(middle := (low + high) / 2)
        low, high = torch.where(outside, low, middle), torch.where(outside, middle, high)
    return low


def _height(who: str, loss: LossFn, params: Params, eps_height: float) -> float:
    """Return L(θ) + ε, where C ends."""
    check_finite(params, who)
    why = "it is how far the loss may rise, and L < L(θ) holds nowhere near a minimum"
    positive(who, "eps_height", eps_height, why)
    value = float(without_graph(loss, params))
    if not isfinite(value):
        raise ValueError(f"{who} needs a finite loss at θ, got {value}: nothing is as low.")
    return value + eps_height


def _directions(params: Params, directions: Tensor | None, points: int) -> Tensor:
    theta = flatten(params)
    shape = (len(theta), len(theta)) if directions is None else tuple(directions.shape)
    if len(shape) != 2 or shape[1] != len(theta) or shape[0] == 0:
        raise ValueError(
            f"volume_flatness needs directions of shape (d, {len(theta)}), got {shape}: "
            "each row is a direction in parameter space."
        )
    if points < 3 or points ** shape[0] > MOST_CELLS:
        raise ValueError(
            f"volume_flatness needs points >= 3 and at most {MOST_CELLS:,} cells, got {points} "
            f"points in {shape[0]} dimensions: take a slice, or visible_volume."
        )
    D = torch.eye(len(theta)).to(theta) if directions is None else directions
    if (rank := int(torch.linalg.matrix_rank(D))) < len(D):
        raise ValueError(
            f"volume_flatness needs independent directions, got {len(D)} that span {rank} "
            "dimensions: such a slice has no volume."
        )
    return D


def _window(window, D: Tensor) -> tuple[Tensor, Tensor]:
    low, high = window if isinstance(window, tuple) else (-window, window)
    low, high = (torch.as_tensor(side, dtype=D.dtype, device=D.device) for side in (low, high))
    if not all(side.ndim == 0 or side.shape == D.shape[:1] for side in (low, high)):
        raise ValueError(
            f"volume_flatness needs a window of {len(D)} numbers a side, got {window}: "
            "one for each direction."
        )
    low, high = low.expand(len(D)), high.expand(len(D))
    if not bool(((low < 0) & (high > 0) & (high - low).isfinite()).all()):
        raise ValueError(
            f"volume_flatness needs a finite window around 0, got {window}: "
            "the component is the one that holds θ."
        )
    return low, high
