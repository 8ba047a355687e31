"""Radial changes of coordinates around a point: Figure 5's power map and appendix A's local one.

Both send θ to η along the ray from θ̂ through θ: η − θ̂ = ψ(r) (θ − θ̂)/r with r = ‖θ − θ̂‖₂. (In
Figure 5 the paper leaves out the shift by θ̂; it changes no derivative.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from helpers.maps._reparam import Bijection


def radial_power(theta_hat: Tensor, a: float, b: float) -> Bijection:
    """Return the map η − θ̂ = (‖θ − θ̂‖² + b)^a (θ − θ̂) of Figure 5, with its numerical inverse.

    ψ(r) = r (r² + b)^a has ψ'(r) = (r² + b)^(a−1) ((1 + 2a) r² + b) > 0 for a > −1/2: a bijection.
    A minimum at θ̂ keeps its place and its Hessian becomes b^(−2a) H: for b < 1 a negative a
    flattens it and a positive one sharpens it. g = `forward` (η ↦ θ) solves ψ(r) = ‖η − θ̂‖ by
    Newton's method; for b = 0 it is a power map too, and at θ̂ its Jacobian is zero (a < 0) or
    infinite (a > 0), which `pull_back` refuses.

    Raises:
        ValueError: a <= −1/2, b < 0, or not finite.
    """
    _check_power(a, b)
    if b == 0:
        return Bijection(
            lambda eta: theta_hat + _power(_offset(eta, theta_hat), -a / (1 + 2 * a)),
            lambda theta: theta_hat + _power(_offset(theta, theta_hat), a),
        )

    def inverse(theta: Tensor) -> Tensor:
        u = _offset(theta, theta_hat)
        return theta_hat + (_square(u) + b) ** a * u

    def forward(eta: Tensor) -> Tensor:
        v = _offset(eta, theta_hat)
        return theta_hat + (_solve_square(_square(v), a, b) + b) ** -a * v

    return Bijection(forward, inverse)


def radial_map(theta_hat: Tensor, *, r_hat: float, rho: float, delta: float) -> Bijection:
    """Return appendix A's map: the sphere of radius r̂ goes to radius ρ, nothing moves beyond δ.

    At θ̂ the Jacobian of g⁻¹ is (ρ/r̂) I, so a minimum there gets the Hessian (r̂/ρ)² H: ρ < r̂
    sharpens, ρ > r̂ flattens, by any factor. Outside the ball B₂(θ̂, δ) the map is the identity, so
    a few such maps around different minima rank them by flatness in any order, where no Hessian is
    zero. The inverse is a map of the same family, ρ and r̂ exchanged. Not smooth at r = r̂, r = δ.

    Raises:
        ValueError: not 0 < r_hat < delta, or not 0 < rho < delta.
    """
    for name, value in (("r_hat", r_hat), ("rho", rho)):
        if not 0 < value < delta < float("inf"):
            raise ValueError(
                f"radial_map needs 0 < {name} < delta, got {name}={value}, delta={delta}: "
                "inside the ball the map stretches one shell and squeezes the other."
            )
    return Bijection(
        lambda eta: _along_rays(eta, theta_hat, rho, r_hat, delta),
        lambda theta: _along_rays(theta, theta_hat, r_hat, rho, delta),
    )


def psi(r: Tensor, *, r_hat: float, rho: float, delta: float) -> Tensor:
    """Return appendix A's ψ(r; r̂, δ, ρ): ρr/r̂ up to r̂, then linear to δ, then r itself."""
    outer = (rho - delta) * (r - delta) / (r_hat - delta) + delta
    return torch.where(r <= r_hat, rho * r / r_hat, torch.where(r <= delta, outer, r))


def _along_rays(z: Tensor, centre: Tensor, r_hat: float, rho: float, delta: float) -> Tensor:
    u = _offset(z, centre)
    r2 = _square(u)
    r = torch.where(r2 > 0, r2, r_hat**2).sqrt()  # at the centre ψ(r)/r is what it is at r̂
    return centre + psi(r, r_hat=r_hat, rho=rho, delta=delta) / r * u


def _offset(z: Tensor, centre: Tensor) -> Tensor:
    if centre.ndim != 1 or z.shape[-1:] != centre.shape:
        raise ValueError(
            "a radial map needs points of shape (…, n) and a centre of shape (n,), got "
            f"{tuple(z.shape)} and {tuple(centre.shape)}: each coordinate has its own distance."
        )
    return z - centre


def _square(u: Tensor) -> Tensor:
    return u.square().sum(-1, keepdim=True)  # (…, 1), r² without a root: smooth at r = 0


def _check_power(a: float, b: float) -> None:
    if not (math.isfinite(a) and a > -0.5):
        raise ValueError(
            f"radial_power needs a finite a > -1/2, got {a}: "
            "psi(r) = r (r^2 + b)^a must rise to infinity with r, or eta does not reach everywhere."
        )
    if not (math.isfinite(b) and b >= 0):
        raise ValueError(
            f"radial_power needs a finite b >= 0, got {b}: (r^2 + b)^a has no real value at r = 0."
        )


def _power(u: Tensor, c: float) -> Tensor:
    """Return ‖u‖^(2c) u for c > −1/2; at u = 0 that is 0, with the Jacobian 0, I or none."""
    r2 = _square(u)
    away = torch.where(r2 > 0, r2, 1.0) ** c * u
    if c >= 0:
        return torch.where(r2 > 0, away, u if c == 0 else 0 * u)
    return torch.where(r2 > 0, away, torch.where(r2 > 0, 1.0, u).abs() ** (1 + 2 * c))


def _solve_square(p: Tensor, a: float, b: float) -> Tensor:
    """Return q = r² with ψ(r)² = q (q + b)^(2a) = p, differentiable in p.

    Newton in log q converges from anywhere, because the slope stays between 1 and 1 + 2a. Three
    more steps, in q and with the graph kept, carry the derivatives: each doubles their order.
    """
    log_p = p.detach().clamp_min(torch.finfo(p.dtype).tiny).log()
    t = log_p / (1 + 2 * a)
    for _ in range(60):
        q = t.exp()
        t = t - (t + 2 * a * (q + b).log() - log_p) / (1 + 2 * a * q / (q + b))
    q = torch.where(p.detach() > 0, t.exp(), 0.0)
    for _ in range(3):
        slope = (q + b) ** (2 * a - 1) * ((1 + 2 * a) * q + b)
        q = q - (q * (q + b) ** (2 * a) - p) / slope
    return q
