"""The whole spectrum of Hess L(θ), from a few dozen products: its density and its trace."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measures._curvature import Estimate, signs
from helpers.measures._lanczos import Product, krylov
from helpers.measures._products import hessian_operator
from helpers.nets._params import LossFn, Params, flatten


@dataclass(frozen=True)
class Density:
    """The shape of thousands of eigenvalues as a few dozen, each with its share of the whole."""

    nodes: Tensor  # (m,) eigenvalues as seen from random vectors, ascending
    shares: Tensor  # (m,) the share of the n eigenvalues near each node; they add up to 1
    products: int

    def at(self, grid: Tensor, width: float) -> Tensor:
        """Return the density at each point of `grid` (G,), smoothed by a Gaussian of this width."""
        z = (grid[:, None].to(self.nodes) - self.nodes) / width
        return (torch.exp(-(z**2) / 2) @ self.shares) / (width * (2 * torch.pi) ** 0.5)

    def share_above(self, threshold: float) -> float:
        """Return the share of the eigenvalues above `threshold`, between 0 and 1."""
        return float(self.shares[self.nodes > threshold].sum())


def spectral_density(
    loss: LossFn,
    params: Params,
    *,
    steps: int = 60,
    samples: int = 4,
    generator: torch.Generator | None = None,
) -> Density:
    """Return the density of the n eigenvalues of Hess L(θ), by stochastic Lanczos quadrature.

    For a random unit v, E v φ(H) vᵀ = tr φ(H) / n. Lanczos from v gives the quadrature: the
    eigenvalues of T are the nodes, and the squared first entries of its eigenvectors the weights,
    exact for polynomials φ up to degree 2·steps − 1 (Golub and Welsch 1969; Ghorbani et al. 2019).
    Cost: steps · samples products, each about two gradients.

    Raises:
        ValueError: steps or samples below 1, non-finite θ.
    """
    if steps < 1 or samples < 1:
        raise ValueError(
            f"spectral_density needs steps >= 1 and samples >= 1, got {steps} and {samples}: "
            "a mean needs a sample."
        )
    product, theta = hessian_operator(loss, params), flatten(params)
    rules = [_rule(product, v, steps) for rows in signs(theta, samples, generator) for v in rows]
    nodes, shares = (torch.cat(field) for field in zip(*rules, strict=True))
    order = nodes.argsort()
    return Density(nodes[order].to(theta), (shares[order] / samples).to(theta), len(nodes))


def trace_plus(
    loss: LossFn, params: Params, *, products: int = 99, generator: torch.Generator | None = None
) -> Estimate:
    """Return tr Hess L(θ) by Hutch++ (Meyer et al. 2021), with its standard error.

    A third of the products finds the directions Q that carry most of the trace, a third measures
    them exactly, tr QᵀHQ, and a third samples what is left: where few eigenvalues carry the trace,
    the error falls like 1/products instead of 1/√products. Cost: `products` products.

    Raises:
        ValueError: products below 6, non-finite θ.
    """
    if products < 6:
        raise ValueError(f"trace_plus needs products >= 6, got {products}: two for each third.")
    third, theta, product = products // 3, flatten(params), hessian_operator(loss, params)
    S = torch.cat(list(signs(theta, 2 * third, generator)))
    Q = torch.linalg.qr(product(S[:third]).T).Q.T  # (third, n), orthonormal rows
    rest = S[third:] - (S[third:] @ Q.T) @ Q
    exact = float((Q * product(Q)).sum())
    forms = (rest * product(rest)).sum(1)
    return Estimate(exact + float(forms.mean()), float(forms.std() / third**0.5))


def _rule(product: Product, v: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return the nodes and weights of Gauss quadrature for the spectrum as seen from v."""
    for _, T, outside in krylov(product, v, steps):  # noqa: B007
        if outside[-1] == 0:
            break
    nodes, W = torch.linalg.eigh(T)
    return nodes, W[0].square()
