"""Eigenvalues of a symmetric matrix that is known only through its products with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import acosh, log

import torch
from torch import Tensor

from helpers.nets._params import seeded

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
    when every `relative` residual is at most tol. `by=torch.abs` looks at both ends.

    One start finds a repeated eigenvalue only once. So for k > 1 the iteration goes on from random
    vectors orthogonal to all of Q, until one brings nothing new: each eigenvalue then comes as
    often as it is repeated, or `converged` is False.
    Cost: `products` products and O(m² n) for a basis of m vectors of length n.

    Raises:
        ValueError: max_products < 1, a start that is zero, or floats of 16 bits.
    """
    _check(start, max_products)
    n, generator, space, known = len(start), seeded(None, start), None, None
    while True:
        old = len(space[1]) if space else 0
        for space_now in krylov(product, start, max_products, space):
            Q, T, outside = space_now
            values, W, residuals, norm = ritz(T, k, outside=outside, by=by)
            enough = tol if old or k == 1 else tol / 10  # more starts cannot mend the first's
            good = len(T) >= k and bool((relative(residuals, values, norm) <= enough).all())
            fresh = T[old:, old:]  # H as the newest start sees it
            done = good and (not old or _is_seen(fresh, outside[-1], n, values[-1], by, tol))
            if done:
                break
        nothing_new = old and bool((relative((values - known).abs(), values, norm) <= tol).all())
        converged = good and (len(T) == n or (done and bool(k == 1 or nothing_new)))
        if converged or not done or len(T) == max_products:
            break
        space, known = space_now, values
        start = torch.randn(n, generator=generator, device=generator.device).to(start)
    return Eigen(values.to(start), Q.T @ W.to(Q), residuals.to(start), len(Q), converged)


def _check(start: Tensor, most: int) -> None:
    if most < 1:
        raise ValueError(f"lanczos needs max_products >= 1, got {most}: nothing is seen for free.")
    if not bool(start.any()):
        raise ValueError("lanczos needs a start that is not zero, got 0: it has no direction.")


def check_fine(v: Tensor) -> None:
    """Raise a ValueError unless `v` has more digits than a float of 16 bits."""
    if torch.finfo(v.dtype).eps > 1e-4:
        raise ValueError(
            f"curvature and sharpness need float32 or float64, got {v.dtype}: in 16 bits a loss "
            "moves in steps of 1/256; make parameters and data float32 first."
        )


def seen(values: Tensor, off: float, steps: int, n: int, goal: Tensor, by: Callable, tol: float):
    """Return whether a random start, from which H looks like `values`, would show the value `goal`.

    `off` is the residual of the best of them. The start would show it if that best is known to
    `tol`, or to a tenth of its distance below the goal; or if the steps were many: beside values in
    [−b, b] a larger one grows like a Chebyshev polynomial, past its share 1/n of a random vector.
    """
    best = values[by(values).argmax()]
    size, gap = float(best.abs()), float(by(goal) - by(best))
    ratio = float(goal) / max(float(values.abs().max()) + off, 1e-300)
    grown = ratio > 1 and 2 * (steps - 1) * acosh(ratio**0.5) > log(400 * n)
    return grown or off == 0 or (steps > 2 and off <= max(tol * size, 0.1 * min(gap, size)))


def _is_seen(T: Tensor, rest: Tensor, n: int, goal: Tensor, by: Callable, tol: float) -> bool:
    values, W = torch.linalg.eigh(T)
    off = float(rest * W[-1, by(values).argmax()].abs())
    return seen(values, off, len(T), n, goal, by, tol)


Space = tuple[Tensor, Tensor, Tensor]  # Q (m, n), T = QHQᵀ (m, m), how far HQ sticks out (m,)


def krylov(
    product: Product, start: Tensor, steps: int, space: Space | None = None
) -> Iterator[Space]:
    """Yield Q (m, n), T = QHQᵀ (m, m) and how far each Hq sticks out, for m = 1 … min(n, steps).

    The rows of Q are orthonormal. H maps all but the newest into their span, and what sticks out of
    the newest's image is the next row, unless it is only rounding. A `space` yielded before is
    continued from a new start, and the image of its last row then sticks out for good.
    """
    check_fine(start)
    n, none = len(start), torch.zeros(0, 0, dtype=torch.float64)
    Q, T, before = space or (start.new_empty(0, n), none, none.flatten())
    r, largest = split_off(start, Q)[0], float(T.abs().max()) if len(T) else 0.0
    for m in range(len(T) + 1, min(n, steps) + 1):
        if m > len(Q):
            Q = torch.cat([Q, Q.new_empty(min(max(m, 32), n), n)])
        Q[m - 1] = r / r.norm()
        Hq = product(Q[m - 1])
        r, inside = split_off(Hq, Q[:m])
        T = bordered(T, inside[None].cpu().double())
        largest = max(largest, float(Hq.norm()))
        closed = float(r.norm()) <= 100 * torch.finfo(r.dtype).eps * largest
        outside = T.new_zeros(m)  # as in the whole space
        if m < n:
            outside[: len(before)] = before
            outside[-1] = 0.0 if closed else float(r.norm())
        yield Q[:m], T, outside
        if closed and m < n:
            r = _new_direction(Q[:m])


def ritz(
    T: Tensor, k: int, *, outside: Tensor, by: Callable[[Tensor], Tensor] = lambda values: values
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the k wanted eigenvalues of T = QHQᵀ (m, m), their vectors, residuals, and ‖T‖₂.

    This is the Rayleigh–Ritz approximation to H: never above λ_max. The residual of Qᵀw is at most
    what sticks out of the span, `outside` (m,) times |w|: exactly that from one start, where only
    the newest image does.
    """
    values, W = torch.linalg.eigh(T)
    first = by(values).argsort(descending=True)[:k]
    return values[first], W[:, first], outside @ W[:, first].abs(), values.abs().max()


def relative(residuals: Tensor, values: Tensor, largest: Tensor) -> Tensor:
    """Return each residual over its |λ|, or over a hundredth of the largest |λ| if that is more.

    Near zero no eigenvalue is known relative to itself: rounding is relative to the largest.
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
    """Return the symmetric T with p more rows and columns, given by `rows` (p, m + p)."""
    p = len(rows)
    corner = (rows[:, -p:] + rows[:, -p:].T) / 2
    return torch.cat([torch.cat([T, rows[:, :-p].T], 1), torch.cat([rows[:, :-p], corner], 1)])


def _new_direction(Q: Tensor) -> Tensor:
    axis = Q.new_zeros(Q.shape[1])
    axis[Q.square().sum(0).argmin()] = 1  # the axis that Q covers least
    return split_off(axis, Q)[0]
