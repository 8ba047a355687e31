"""Eigenvalues of a symmetric matrix that is known only through its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Eigen:
    """Eigenvalues of a symmetric matrix H, largest first, with how far each may be from true."""

    values: Tensor  # (k,)
    vectors: Tensor  # (n, k), orthonormal columns
    residuals: Tensor  # (k,) ‖Hv − λv‖₂: an eigenvalue of H lies within this of λ
    products: int  # products with H spent
    converged: bool  # every residual <= tol · largest |λ|


def lanczos(
    product: Product,
    start: Tensor,
    k: int = 1,
    *,
    tol: float = 1e-4,
    max_products: int = 300,
    by: Callable[[Tensor], Tensor] = lambda values: values,
) -> Eigen:
    """Return the k eigenvalues of the symmetric map `product` that are largest by `by`(λ).

    Lanczos (1950): multiply the newest basis vector, make the result orthogonal (twice, against
    rounding) to the whole basis Q, and read the eigenvalues off the small matrix QᵀHQ. Stops when
    every residual ‖Hv − λv‖₂ is at most tol · |λ|_max. `by=torch.abs` looks at both ends.
    `start` should be random: from one start, an eigenvalue that H has several times is seen once.
    Cost: `products` products and O(m² n) for a basis of m vectors of length n.
    """
    n = len(start)
    Q = start.new_empty(0, n)  # (m, n), orthonormal rows
    HQ = start.new_empty(0, n)  # (m, n), their images
    r = start
    for m in range(1, min(n, max_products) + 1):
        Q = torch.cat([Q, (r / r.norm())[None]])
        HQ = torch.cat([HQ, product(Q[-1])[None]])
        r = _orthogonal_part(HQ[-1], Q)
        closed = bool(r.norm() <= 1e-10 * HQ[-1].norm())  # span(Q) is mapped into itself
        if m >= k and (m % 2 == 0 or closed):
            eigen = ritz(Q, HQ, k, tol=tol, by=by)
            if eigen.converged:
                return eigen
        if closed and m < n:
            r = _new_direction(Q)
    return ritz(Q, HQ, min(k, len(Q)), tol=tol, by=by)


def ritz(
    Q: Tensor,
    HQ: Tensor,
    k: int,
    *,
    tol: float,
    by: Callable[[Tensor], Tensor] = lambda values: values,
) -> Eigen:
    """Return the k largest eigenvalues of H as seen from the orthonormal rows of Q, (m, n).

    These are the eigenvalues of QHQᵀ (m, m), the Rayleigh–Ritz approximation: never above λ_max.
    """
    small = Q @ HQ.T  # (m, m)
    values, W = torch.linalg.eigh((small + small.T) / 2)
    scale = values.abs().max()
    first = by(values).argsort(descending=True)[:k]
    values, W = values[first], W[:, first]
    vectors = Q.T @ W  # (n, k)
    residuals = (HQ.T @ W - vectors * values).norm(dim=0)
    return Eigen(values, vectors, residuals, len(Q), bool((residuals <= tol * scale).all()))


def _orthogonal_part(v: Tensor, Q: Tensor) -> Tensor:
    for _ in range(2):
        v = v - Q.T @ (Q @ v)
    return v


def _new_direction(Q: Tensor) -> Tensor:
    axis = Q.new_zeros(Q.shape[1])
    axis[Q.square().sum(0).argmin()] = 1  # the axis that Q covers least
    return _orthogonal_part(axis, Q)
