"""One small basis that serves every rescaling: its vectors each live inside one group of entries.

Theorem 3 of the paper: Hess L(T_α θ) = D Hess L(θ) D, where D is constant on each group (a layer,
or the weights of one unit). A vector q inside group g has D q = d_g q, so the projection of D H D
on such vectors is Δ (QᵀHQ) Δ with Δ = diag(d_g(q)): one stored HQ, a tiny matrix for every α.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.lanczos import Product

CHUNK = 256  # values of α at a time, so that memory does not grow with their number


@dataclass(frozen=True)
class Groups:
    """The entries of θ in groups on which every D is constant."""

    of: Tensor  # (n,) the group of each entry, 0 … G−1
    order: Tensor | None  # (n,) the entries sorted by group; None where they are
    sizes: list[int]  # entries in each group


@dataclass(frozen=True)
class ReducedBasis:
    """Orthonormal vectors, each zero outside one group of entries of θ, and their images."""

    product: Product  # v ↦ H v
    groups: Groups
    Q: Tensor  # (m, n) orthonormal rows
    HQ: Tensor  # (m, n) H q for each row, one product each
    group: Tensor  # (m,) the group that each row lives in, on the CPU


@dataclass(frozen=True)
class View:
    """What a reduced basis says about D H D, once for all D."""

    T: Tensor  # (m, m) QHQᵀ, float64 on the CPU
    E: Tensor  # (m, n) what the images stick out of the basis
    grams: Tensor  # (G, m, m) E_g E_gᵀ for each group g, float64 on the CPU


@dataclass(frozen=True)
class Ritz:
    """What a reduced basis says about D H D for each of A diagonals D; float64, on the CPU."""

    values: Tensor  # (A, k) eigenvalues, the wanted ones first
    weights: Tensor  # (A, m, k) eigenvectors Σ_i weights_i q_i
    residuals: Tensor  # (A, k) ‖D H D v − λ v‖₂
    scale: Tensor  # (A,) the largest |λ| seen


def empty_basis(product: Product, of: Tensor, like: Tensor) -> ReducedBasis:
    """Return the basis without vectors for the map `product` on vectors of the type of `like` (n,).

    `of` (n,) numbers the group of each entry.
    """
    in_order = bool((of.diff() >= 0).all())
    order = None if in_order else of.argsort(stable=True)
    groups = Groups(of, order, torch.bincount(of).tolist())
    none = like.new_empty(0, len(like))
    return ReducedBasis(product, groups, none, none, torch.empty(0, dtype=torch.long))


def extend(basis: ReducedBasis, v: Tensor, g: int) -> ReducedBasis:
    """Return `basis` with `v` (n,), which lives inside group g, added. Cost: one product.

    `v` is made orthogonal to the basis, twice against rounding. Where nothing but rounding is left
    of it, the basis comes back as it was.
    """
    length = v.norm()
    for _ in range(2):
        v = v - (basis.Q @ v) @ basis.Q
    if not v.norm() > 1e-6 * length:
        return basis
    q = v / v.norm()
    Q, HQ = torch.cat([basis.Q, q[None]]), torch.cat([basis.HQ, basis.product(q)[None]])
    return replace(basis, Q=Q, HQ=HQ, group=torch.cat([basis.group, torch.tensor([g])]))


def extend_at_random(basis: ReducedBasis, generator: torch.Generator) -> ReducedBasis:
    """Return `basis` with a random vector added in each group, in the eight emptiest at most."""
    of = basis.groups.of
    v = torch.randn(len(of), generator=generator, device=generator.device).to(basis.Q)
    room = torch.tensor(basis.groups.sizes)
    room = room - torch.bincount(basis.group, minlength=len(room))
    for g in room.argsort(descending=True, stable=True)[:8].tolist():
        basis = extend(basis, torch.where(of == g, v, 0), g)
    return basis


def view(basis: ReducedBasis) -> View:
    """Return T = HQ Qᵀ, the part E = HQ − T Q of each image that the basis misses, and E_g E_gᵀ.

    The residual of a Ritz pair (λ, Qᵀw) of D H D is D Eᵀ Δ w: everything inside the basis cancels
    by construction, so no digit is lost in subtracting λv from D H D v.
    """
    T = basis.HQ @ basis.Q.T
    E = basis.HQ - T @ basis.Q
    by_group = E if basis.groups.order is None else E[:, basis.groups.order]
    parts = by_group.split(basis.groups.sizes, dim=1)
    grams = torch.stack([part @ part.T for part in parts]).cpu().double()
    T = T.cpu().double()
    return View((T + T.T) / 2, E, grams)


def ritz_sweep(
    basis: ReducedBasis,
    seen: View,
    factors: Tensor,
    k: int,
    by: Callable[[Tensor], Tensor] = lambda values: values,
) -> Ritz:
    """Return the k eigenvalues of D H D largest by `by`, for each row d_g of `factors` (A, G).

    These are the eigenvalues of Δ (QHQᵀ) Δ, Rayleigh–Ritz: never above λ_max. Cost: an m × m
    eigenproblem for each row, and no product.
    """
    pieces = [_ritz(basis.group, seen, d, k, by) for d in factors.split(CHUNK)]
    return Ritz(*(torch.cat(field) for field in zip(*pieces, strict=True)))


def _ritz(group, seen, d, k, by):
    delta = d[:, group]  # (A, m)
    values, W = torch.linalg.eigh(delta[:, :, None] * seen.T * delta[:, None, :])
    scale = values.abs().amax(1)
    first = by(values).argsort(dim=1, descending=True)[:, :k]
    values = values.gather(1, first)
    W = W.gather(2, first[:, None, :].expand(-1, len(group), -1))  # (A, m, k)
    Y = delta[:, :, None] * W
    gram = torch.tensordot(d.square(), seen.grams, 1)  # (A, m, m), Σ_g d_g² E_g E_gᵀ
    squares = (Y * (gram @ Y)).sum(1)
    return values, W, squares.clamp_min(0).sqrt(), scale


def largest_part(basis: ReducedBasis, seen: View, d: Tensor, w: Tensor) -> tuple[Tensor, int]:
    """Return the part (n,) of the residual D Eᵀ Δ w in the group where it is longest, and g.

    `d` (G,) is one diagonal, `w` (m,) the weights of one Ritz vector.
    """
    y = d[basis.group] * w
    squares = d.square() * ((seen.grams @ y) @ y)
    g = int(squares.argmax())
    return torch.where(basis.groups.of == g, y.to(seen.E) @ seen.E, 0), g
