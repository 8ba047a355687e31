"""Local entropy, the flatness of Entropy-SGD: how much of e^(−L) lies within reach of θ.

F(θ, γ) = log ∫ exp(−L(θ') − γ/2 ‖θ − θ'‖²) dθ' (Chaudhari and others, ICLR 2017). A wide valley has
a large F. γ fixes a Euclidean scale, so F changes under T_α.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from helpers.measures._each import each
from helpers.measures._lanczos import check_fine
from helpers.measures._products import dense_hessian, gradient
from helpers.nets._params import (
    LossFn,
    Params,
    check_finite,
    flatten,
    perturb,
    positive,
    seeded,
    without_graph,
)


@dataclass(frozen=True)
class LocalEntropy:
    """An estimate of F(θ, γ) and how far to believe it."""

    value: float  # F(θ, γ), nats
    standard_error: float  # of `value`; means little when few samples count
    effective_samples: float  # how many equally weighted samples the estimate is worth


def local_entropy(
    loss: LossFn,
    params: Params,
    gamma: float,
    *,
    samples: int = 2000,
    generator: torch.Generator | None = None,
) -> LocalEntropy:
    """Return F(θ, γ), estimated by importance sampling, with its standard error.

    Half of the samples come from N(θ, I/γ), the weight that γ gives, half from the Gaussian that
    fits the integrand to second order. For L >= 0 the weights e^(−L) p/q are then at most
    2, and the error bar can be trusted as far as `effective_samples` is large.
    Cost: one dense Hessian (2n gradients, n² numbers) and `samples` losses, one at a time over a
    loader and for layers such as an LSTM.

    Raises:
        ValueError: γ <= 0, fewer than two samples, non-finite θ, a loss that is NaN nearby.
    """
    if not (samples >= 2 and samples % 1 == 0):
        raise ValueError(f"local_entropy needs samples >= 2, got {samples}: one has no spread.")
    values, W, mean, base = _second_order(loss, params, gamma)
    scale = (values.abs() + gamma).rsqrt()  # (n,) deviations along the eigenvectors W
    generator = seeded(generator, mean)
    draws = torch.randn(samples, len(mean), generator=generator, device=generator.device).to(mean)
    fitted = (torch.arange(samples, device=mean.device) % 2 == 0)[:, None]
    c = torch.where(fitted, mean + scale * draws, draws / gamma**0.5)  # (samples, n) coordinates
    L = without_graph(each, lambda c: loss(perturb(params, W @ c)), c)
    _check_numbers(L)
    prior = _log_normal(c, 0 * mean, gamma**-0.5 + 0 * scale)
    proposal = torch.logaddexp(prior, _log_normal(c, mean, scale)) - log(2)
    log_w = -(L - base) + prior - proposal
    w = (log_w - log_w.max()).exp()  # (samples,)
    value = float(w.mean().log() + log_w.max()) - base + len(mean) / 2 * log(2 * pi / gamma)
    error = float(w.std() / w.mean()) / samples**0.5
    return LocalEntropy(value, error, float(w.sum() ** 2 / w.square().sum()))


def _check_numbers(L: Tensor) -> None:
    if bad := int(L.isnan().sum()):
        raise ValueError(
            f"local_entropy needs a loss that is a number around θ, got {bad} NaN among {len(L)}: "
            "the integral goes over all weights."
        )


def quadratic_local_entropy(loss: LossFn, params: Params, gamma: float) -> float:
    """Return F(θ, γ) of the second-order model of L at θ, in closed form.

    F = (n/2) log 2π − ½ log det(H + γI) − L(θ) + ½ ∇L (H + γI)⁻¹ ∇Lᵀ; at a critical point the
    eigenvalues enter only as −½ Σ log(λ_i + γ). Exact where L is quadratic. Cost: one dense
    Hessian and its eigenvalues.

    Raises:
        ValueError: γ <= 0, non-finite θ, or H + γI not positive definite: the integral diverges.
    """
    values, _, mean, base = _second_order(loss, params, gamma)
    if not float(values[0]) + gamma > 0:
        raise ValueError(
            f"quadratic_local_entropy needs gamma > {-float(values[0]):.3g}, got {gamma:g}: with a "
            "negative eigenvalue below -gamma the integral diverges."
        )
    gain = (mean.square() * (values + gamma)).sum() / 2  # ½ ∇L (H + γI)⁻¹ ∇Lᵀ
    n = len(values)
    return float(n / 2 * log(2 * pi) - (values + gamma).log().sum() / 2 - base + gain)


def _second_order(loss: LossFn, params: Params, gamma: float):
    """Return λ, the eigenvectors W, the Gibbs measure's mean in their coordinates, and L(θ)."""
    positive("local entropy", "gamma", gamma, "without it nothing is local")
    check_finite(params, "local entropy")
    check_fine(flatten(params))
    values, W = torch.linalg.eigh(dense_hessian(loss, params))
    width = torch.where(values + gamma > 0, values, values.abs()) + gamma  # else there is no mean
    mean = -(W.T @ gradient(loss, params)) / width
    return values, W, mean, float(without_graph(loss, params))


def _log_normal(c: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Return log N(c; mean, scale²) up to a constant, which cancels where two are compared."""
    z = (c - mean) / scale
    return -(z.square() / 2 + scale.log()).sum(-1)
