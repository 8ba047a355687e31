"""The gradient and the Hessian of L at θ: products, eigenvalues, trace.

A Hessian-vector product costs about two gradients once the first gradient's graph is kept
(Pearlmutter 1994), so nothing here but `dense_hessian` forms an n × n matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measures._lanczos import Eigen, lanczos
from helpers.measures._products import block_size, hessian_operator, unit_blocks
from helpers.nets._params import LossFn, Params, flatten, seeded


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error (0 when exact)."""

    value: float
    standard_error: float


def top_eigenvalues(
    loss: LossFn,
    params: Params,
    k: int = 1,
    *,
    tol: float = 1e-4,
    max_products: int = 300,
    generator: torch.Generator | None = None,
    start: Tensor | None = None,
    by: Callable[[Tensor], Tensor] = lambda values: values,
) -> Eigen:
    """Return the k largest eigenvalues λ₁ ≥ … ≥ λ_k of Hess L(θ), each with its residual.

    Lanczos iteration over a kept graph; see `lanczos` for the stop. `start` (n,) is a first guess
    of the leading eigenvector, the gradient if none is given: it comes with the graph, and mostly
    lies in the sharpest directions (Gur-Ari et al. 2018). A little noise from `generator` is added,
    or it could miss an eigenvector.
    Cost: `products` Hessian-vector products, each about two gradients.

    Raises:
        ValueError: k outside 1 … n, tol <= 0, non-finite θ.
    """
    theta = flatten(params)
    if not 1 <= k <= len(theta) or not tol > 0:
        raise ValueError(
            f"top_eigenvalues needs 1 <= k <= {len(theta)} and tol > 0, got k={k}, tol={tol}: "
            "there is one eigenvalue for each parameter."
        )
    H = hessian_operator(loss, params)
    generator = seeded(generator, theta)
    guess = first_guess(H.gradient() if start is None else start, generator)
    return lanczos(H, guess, k, tol=tol, max_products=max_products, by=by)


def first_guess(v: Tensor, generator: torch.Generator) -> Tensor:
    """Return v (n,), of unit length, plus a tenth of a random vector: v may miss a direction."""
    noise = torch.randn(len(v), generator=generator, device=generator.device).to(v)
    return v / v.norm().clamp_min(torch.finfo(v.dtype).tiny) + 0.1 * noise / noise.norm()


def spectral_norm(
    loss: LossFn, params: Params, *, tol: float = 1e-4, generator: torch.Generator | None = None
) -> float:
    """Return |||Hess L(θ)|||₂, the largest |λ|, to within tol times itself; λ_max at a minimum.

    Cost: some 10 to 20 Hessian-vector products.

    Raises:
        ValueError: as `top_eigenvalues`, and no convergence within its products.
    """
    eigen = top_eigenvalues(loss, params, tol=tol, generator=generator, by=torch.abs)
    if not eigen.converged:
        raise ValueError(
            f"spectral_norm needs a residual below {tol} of the norm, got "
            f"{float(eigen.residuals[0]):.1e} after {eigen.products} products: use a larger tol."
        )
    return float(eigen.values[0].abs())


def trace(
    loss: LossFn,
    params: Params,
    *,
    samples: int | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Return tr Hess L(θ): exact from n products, or an estimate from `samples` random ones.

    Hutchinson (1990): E vᵀHv = tr H for signs v ∈ {−1, 1}ⁿ. Cost: 2n or 2·samples gradients.

    Raises:
        ValueError: fewer than two samples, non-finite θ.
    """
    if samples is not None and not (samples >= 2 and samples % 1 == 0):
        raise ValueError(f"trace needs a number of samples >= 2, got {samples}: one has no spread.")
    if samples is None:
        return Estimate(float(diagonal(loss, params).sum()), 0.0)
    of = torch.zeros_like(flatten(params), dtype=torch.int64)
    forms = group_forms(loss, params, of, samples, generator)[:, 0]
    return Estimate(float(forms.mean()), float(forms.std() / samples**0.5))


def diagonal(loss: LossFn, params: Params, samples=None, generator=None) -> Tensor:
    """Return diag Hess L(θ), (n,): exact from n products, or roughly from random signs."""
    theta, product = flatten(params), hessian_operator(loss, params)
    blocks = unit_blocks(theta) if samples is None else signs(theta, samples, generator)
    return sum((rows * product(rows)).sum(0) for rows in blocks) / (samples or 1)


def group_forms(loss: LossFn, params: Params, of: Tensor, samples: int, generator) -> Tensor:
    """Return vᵀHv for random signs v on one group of entries and 0 elsewhere, (samples, G).

    Each has the mean Σ H_ii over its group, and no noise from where two groups meet; `of` (n,) says
    to which of 0 … G − 1 an entry belongs. Cost: samples · G products.
    """
    product, forms, groups = hessian_operator(loss, params), [], range(int(of.max()) + 1)
    for rows in signs(flatten(params), samples, generator):
        parts = [rows * (of == group) for group in groups]
        forms.append(torch.stack([(v * product(v)).sum(1) for v in parts], 1))
    return torch.cat(forms)


def signs(like: Tensor, samples: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Yield rows of ±1, as many in all as `samples`, a block at a time."""
    dice = seeded(generator, like)
    for rows in torch.arange(samples).split(block_size(len(like))):
        draws = torch.randint(0, 2, (len(rows), len(like)), generator=dice, device=dice.device)
        yield 2 * draws.to(like) - 1
