"""Which vectors to add to a reduced basis, and when to stop: the worst residual says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.measures._lanczos import relative, seen
from helpers.sweep._reduced_basis import (
    ReducedBasis,
    Ritz,
    Small,
    compress,
    extend,
    extend_along,
    longest_parts,
    ritz_outside,
    ritz_sweep,
)

STRETCH = 200  # rows of a sweep of which one at most joins the handful each time


@dataclass(frozen=True)
class Goal:
    """What a sweep is asked for, and when it is reached."""

    k: int  # eigenvalues at each α
    tol: float  # residual over |λ|
    max_products: int
    by: Callable[[Tensor], Tensor]  # the wanted eigenvalues have the largest by(λ)

    def look(self, small: Small, factors: Tensor) -> Ritz:
        """Return what the basis says for each row d_g of `factors` (A, G)."""
        return ritz_sweep(small, factors, min(self.k, len(small.T)), self.by)

    def relative(self, ritz: Ritz) -> Tensor:
        """Return the residuals in units of their eigenvalues, shape (A, k)."""
        return relative(ritz.residuals, ritz.values, ritz.scale[:, None])

    def reached(self, errors: Tensor) -> bool:
        """Return whether there are k values at each α, each with a small relative residual."""
        return errors.shape[1] == self.k and bool((errors <= self.tol).all())


def serve_repeated(
    basis: ReducedBasis, factors: Tensor, goal: Goal, generator: torch.Generator
) -> tuple[ReducedBasis, Ritz, bool]:
    """Return what `serve_all` does, and whether it reaches the goal with all repeated eigenvalues.

    One first guess finds a repeated eigenvalue only once. So for k > 1 random vectors are added,
    until one brings nothing new.
    """
    basis, ritz = serve_all(basis, factors, goal, generator)
    complete, n = goal.k == 1, basis.Q.shape[1]
    while not complete and goal.reached(goal.relative(ritz)) and len(basis.Q) < goal.max_products:
        before = ritz.values
        basis, explored = _explore(basis, factors, ritz.values[:, -1], goal, generator)
        basis, ritz = serve_all(basis, factors, goal, generator)
        change = relative((ritz.values - before).abs(), ritz.values, ritz.scale[:, None])
        complete = explored and goal.reached(change)
    if goal.k > 1 and len(basis.Q) in (n, goal.max_products):  # nothing is left to compress for
        ritz = goal.look(basis.small, factors)
    return basis, ritz, (complete or len(basis.Q) == n) and goal.reached(goal.relative(ritz))


def _explore(basis, factors, wanted: Tensor, goal: Goal, generator) -> tuple[ReducedBasis, bool]:
    """Follow a random vector outside the basis, at three α, until it would show one `wanted` (A,).

    Returns the basis with what was looked at, and whether the products sufficed.
    """
    old, n = basis.Q.shape
    noise = torch.randn(n, generator=generator, device=generator.device).to(basis.Q)
    basis = extend_along(basis, noise, goal.max_products - old)
    for row in {0, len(factors) // 2, len(factors) - 1}:
        steps, d = 0, factors[row]
        while True:
            values, w, off = ritz_outside(basis.small, d, old, goal.by)
            steps, m, left = steps + 1, len(basis.Q), goal.max_products - len(basis.Q)
            if seen(values, off, steps, n, wanted[row], goal.by, goal.tol):
                break
            basis = extend(basis, longest_parts(basis, d, w, left)) if left > 0 else basis
            if len(basis.Q) == m:
                return basis, left > 0
    return basis, True


def serve_all(
    basis: ReducedBasis, factors: Tensor, goal: Goal, generator: torch.Generator
) -> tuple[ReducedBasis, Ritz]:
    """Grow `basis` until it reaches the goal for each row d_g of `factors` (A, G), or runs out.

    A handful of rows are served first. All are then looked at from the few directions that the
    handful needs, and the worst join the handful.
    """
    handful = torch.linspace(0, len(factors) - 1, min(len(factors), 9)).round().long().unique()
    while True:
        basis, few = _serve(basis, factors[handful], goal, generator)
        W = few.weights.movedim(0, 1).flatten(1)  # (m, 9 k)
        thin, C = compress(basis.small, W, min(goal.tol, 1) / 30)
        ritz = goal.look(thin, factors)
        errors = goal.relative(ritz)
        more = torch.cat([handful, _worst(errors.amax(1), goal.tol)]).unique()
        if goal.reached(errors) or len(basis.Q) >= goal.max_products or len(more) == len(handful):
            return basis, replace(ritz, weights=C.T @ ritz.weights)
        handful = more


def _worst(errors: Tensor, tol: float) -> Tensor:
    """Return where `errors` (A,) is largest in each stretch of it, if that is above `tol`."""
    stretches = torch.arange(len(errors)).split(STRETCH)
    worst = torch.stack([rows[errors[rows].argmax()] for rows in stretches])
    return worst[errors[worst] > tol]


def _serve(
    basis: ReducedBasis, factors: Tensor, goal: Goal, generator: torch.Generator
) -> tuple[ReducedBasis, Ritz]:
    """Grow `basis` until it reaches nine tenths of the goal for each of these rows, worst first."""
    goal, row = replace(goal, tol=0.9 * goal.tol), None
    while True:
        ritz = goal.look(basis.small, factors)  # all rows at once: as dear as one or two
        errors, left = goal.relative(ritz), goal.max_products - len(basis.Q)
        if goal.reached(errors) or left <= 0:
            return basis, ritz
        if row is None or bool((errors[row] <= goal.tol).all()):
            row = errors.amax(1).argmax()
        parts = longest_parts(basis, factors[row], ritz.weights[row, :, errors[row].argmax()], left)
        m, basis = len(basis.Q), extend(basis, parts)
        if len(basis.Q) == m:  # H maps the basis into itself
            noise = torch.randn(basis.Q.shape[1], generator=generator, device=generator.device)
            basis = extend_along(basis, noise.to(basis.Q), left)
