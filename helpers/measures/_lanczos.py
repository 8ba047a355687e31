"""Eigenvalues of a symmetric matrix that is known only through its products with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    converged: bool  # every residual <= tol · |λ|, see `relative`


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
    rounding) to the whole basis Q, and read the eigenvalues off the small matrix T = QHQᵀ. Stops
    when every `relative` residual is at most tol. `by=torch.abs` looks at both ends. From one start
    an eigenvalue that is repeated is seen once.
    Cost: `products` products and O(m² n) for a basis of m vectors of length n.
    """
    for Q, T, rest in krylov(product, start, max_products):
        basis, (values, W, residuals, norm) = Q, ritz(T, k, rest=rest, by=by)
        converged = len(T) >= k and bool((relative(residuals, values, norm) <= tol).all())
        if converged:
            break
    vectors = basis.T @ W.to(basis)
    return Eigen(values.to(start), vectors, residuals.to(start), len(basis), converged)


def krylov(product: Product, start: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yield Q (m, n), T = QHQᵀ (m, m) and the length left over, for m = 1 … min(n, steps).

    The rows of Q are orthonormal. H maps all but the newest into their span; the newest sticks out
    by the length left over, and what sticks out is the next row.
    """
    n = len(start)
    Q = start.new_empty(min(n, steps, 32), n)  # its first m rows are the basis
    T = torch.zeros(0, 0, dtype=torch.float64)
    r = start
    for m in range(1, min(n, steps) + 1):
        Q = Q if m <= len(Q) else torch.cat([Q, torch.empty_like(Q)])
        Q[m - 1] = r / r.norm()
        Hq = product(Q[m - 1])
        r, inside = split_off(Hq, Q[:m])
        T = bordered(T, inside[None].cpu().double())
        closed = bool(r.norm() <= 1e-10 * Hq.norm())  # span(Q) is mapped into itself
        yield Q[:m], T, 0.0 if closed else float(r.norm())
        if closed and m < n:
            r = _new_direction(Q[:m])


def ritz(
    T: Tensor,
    k: int,
    *,
    rest: float = 0.0,
    by: Callable[[Tensor], Tensor] = lambda values: values,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the k eigenvalues of T = QHQᵀ (m, m) wanted, their vectors, residuals, and ‖T‖₂.

    This is the Rayleigh–Ritz approximation to H: never above λ_max. In Lanczos' basis the images
    stay inside span(Q), but for the newest, which sticks out by the length `rest`: so the residual
    of Qᵀw is `rest` times the last entry of w.
    """
    values, W = torch.linalg.eigh(T)
    first = by(values).argsort(descending=True)[:k]
    return values[first], W[:, first], rest * W[-1, first].abs(), values.abs().max()


def relative(residuals: Tensor, values: Tensor, largest: Tensor) -> Tensor:
    """Return each residual over its |λ|, or over a hundredth of the largest |λ| if that is more.

    Near zero an eigenvalue is not known to a share of itself: rounding is a share of the largest.
    """
    size = values.abs().maximum(largest / 100)
    return residuals / size.clamp_min(torch.finfo(size.dtype).tiny)


def split_off(v: Tensor, Q: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part of v orthogonal to the rows of Q, and its coefficients Qv inside.

    `v` is (n,), or (p, n) for p vectors, whose coefficients come as (p, m).
    """
    inside = v @ Q.T
    v = v - inside @ Q
    again = v @ Q.T  # what rounding left inside
    return v - again @ Q, inside + again


def bordered(T: Tensor, rows: Tensor) -> Tensor:
    """Return the symmetric T with p more rows and columns, of which `rows` (p, m + p) is told."""
    p = len(rows)
    corner = (rows[:, -p:] + rows[:, -p:].T) / 2
    return torch.cat([torch.cat([T, rows[:, :-p].T], 1), torch.cat([rows[:, :-p], corner], 1)])


def _new_direction(Q: Tensor) -> Tensor:
    axis = Q.new_zeros(Q.shape[1])
    axis[Q.square().sum(0).argmin()] = 1  # the axis that Q covers least
    return split_off(axis, Q)[0]
