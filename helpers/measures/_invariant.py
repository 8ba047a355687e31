"""Measures made after the paper so that rescaling does not change them; each says which rescaling.

Most are the curvature in units of the weights: λ_max(S Hess L S) with a diagonal S that grows with
the weights as D = 1/S shrinks. What such a number predicts is another question.
"""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.maps._symmetry import aligned
from helpers.measures._gauss_newton import outputs_and_jacobian
from helpers.measures._lanczos import lanczos
from helpers.measures._products import gradient, hessian_operator
from helpers.nets._losses import by_rows
from helpers.nets._params import (
    LossFn,
    Net,
    Params,
    as_matrix,
    axes,
    bias_name,
    check_finite,
    detached,
    flatten,
    perturb,
    seeded,
    weight_names,
)


def scaled_spectral_norm(
    loss: LossFn,
    params: Params,
    S: Params,
    *,
    tol: float = 1e-6,
    generator: torch.Generator | None = None,
) -> float:
    """Return the largest |eigenvalue| of S Hess L(θ) S for a diagonal S shaped like θ.

    At a minimum that is λ_max. `generator` draws the vector that the search starts from.
    Cost: some 10 to 30 Hessian-vector products.

    Raises:
        ValueError: non-finite θ or S, S that is zero or of other shapes, no convergence.
    """
    check_finite(S, "scaled_spectral_norm")
    s = flatten(aligned("scaled_spectral_norm", S, params))
    if not bool(s.any()):
        raise ValueError("scaled_spectral_norm needs a non-zero S, got 0: it is a unit of length.")
    product = hessian_operator(loss, params)
    generator = seeded(generator, s)
    start = s * torch.randn(len(s), generator=generator, device=s.device).to(s)
    eigen = lanczos(lambda v: s * product(s * v), start, tol=tol, by=torch.abs)
    if not eigen.converged:
        raise ValueError(
            f"scaled_spectral_norm needs a residual below {tol} of the norm, got "
            f"{float(eigen.residuals[0]):.1e}: use a larger tol."
        )
    return float(eigen.values[0].abs())


def rangamani_sharpness(loss: LossFn, params: Params) -> float:
    """Return max |λ(G⁻¹ Hess L)|, G⁻¹ = blockdiag(‖θ_k‖² I): each block in units of its norm.

    At a minimum it is λ_max. Constant under one factor a layer (T_α), not one for each hidden unit.
    Rangamani and others, "A Scale Invariant Flatness Measure for Deep Network Minima", 2019.
    """
    S = {name: block.norm().expand_as(block) for name, block in params.items()}
    return scaled_spectral_norm(loss, params, S)


def adaptive_sharpness(loss: LossFn, params: Params) -> float:
    """Return max |λ(diag|θ| Hess L diag|θ|)|: each weight in units of itself.

    Constant under one positive factor a hidden unit. At a minimum it is λ_max, and the second-order
    form of ASAM's sharpness (Kwon and others, ICML 2021): multiplied by ρ²/2, it gives there the
    highest rise over ‖e/|θ|‖₂ <= ρ.
    """
    return scaled_spectral_norm(loss, params, {k: block.abs() for k, block in params.items()})


def adaptive_step(loss: LossFn, params: Params, rho: float, *, eta: float = 0.0) -> Params:
    """Return θ + e with ASAM's e = ρ T² ∇L/‖T ∇L‖₂, T = diag(|θ| + η): uphill, to first order.

    With η = 0 the loss there is the same for every rescaled copy of the net; with η > 0 (the
    authors use 0.01, against division by zero) it is not.

    Raises:
        ValueError: ρ <= 0, η < 0, non-finite θ, or a critical point, where no direction is up.
    """
    if not (0 < rho < float("inf") and 0 <= eta < float("inf")):
        raise ValueError(
            f"adaptive_step needs rho > 0 and eta >= 0, got {rho} and {eta}: "
            "they are a radius and a smallest unit."
        )
    T = flatten(params).detach().abs() + eta
    g = gradient(loss, params)
    length = (T * g).norm()
    if not bool(length > 0):
        raise ValueError(
            "adaptive_step needs a slope, got ‖T∇L‖ = 0: at a critical point no direction is up."
        )
    return perturb(detached(params), rho * T.square() * g / length)


def relative_flatness(loss: LossFn, params: Params, name: str = "theta1") -> float:
    """Return κ = Σ_{s,s'} ⟨w_s, w_s'⟩ tr H_{s,s'} for one layer, with w_s the weights of unit s.

    H_{s,s'} is the block of the Hessian between units s and s'. Constant when the layer's own
    units are rescaled, not when its inputs are. Petzka and others, NeurIPS 2021.
    Cost: d² Hessian-vector products for a layer with d inputs.

    Raises:
        ValueError: an unknown layer, or non-finite θ.
    """
    if name not in weight_names(params) or params[name].ndim != 2:
        raise ValueError(
            f"relative_flatness needs a weight matrix among {', '.join(weight_names(params))}, "
            f"got {name!r}: it compares the units of one layer."
        )
    w = as_matrix(params, name)  # (d, h): column s belongs to unit s
    product, like = hessian_operator(loss, params), {k: 0 * b for k, b in params.items()}
    inputs, total = axes(name)[1], 0.0
    for i in range(len(w)):
        for row in w:  # Σ_ij vᵀHv over v = (row j of w, put in row i)
            block = torch.zeros_like(w)
            block[i] = row
            v = flatten({**like, name: block.movedim(0, inputs)})
            total += float(v @ product(v))
    return total


def fisher_rao_norm(f: Net, params: Params, X: Tensor) -> float:
    """Return θᵀFθ = mean_i ‖∂f(θ, x_i)/∂θ · θ‖², with F the Fisher matrix of a unit Gaussian.

    It is that Fisher matrix whatever the loss; the norm is over all outputs of a row, those of
    tokens or pixels too. In a net of K layers without biases it is K² mean ‖f‖², by Euler's
    theorem: a function of f alone. Liang and others, AISTATS 2019. Cost: about three passes.

    Raises:
        ValueError: non-finite θ.
    """
    check_finite(params, "fisher_rao_norm")
    f, X = by_rows(f, X)
    _, _, J = outputs_and_jacobian(f, params, X)
    return float(J(flatten(params)).square().sum()) / len(X)


def path_norm(params: Params) -> float:
    """Return (Σ over paths Π over edges w²)^(1/2), every input to every output; biases start paths.

    For linear layers in the order of `params`, with only such activations between them as pass
    factors on: our nets, or `torch.nn.Linear` layers. Each unit's factor occurs once going in and
    once going out, so it cancels. Neyshabur and others, "Path-SGD", 2015. Cost: one pass.

    Raises:
        ValueError: non-finite θ, a convolution, a block that is neither weight nor bias of such a
            layer, or layers that do not follow one another.
    """
    check_finite(params, "path_norm")
    names = weight_names(params)
    others = set(params) - set(names) - set(map(bias_name, names))
    if others or not names:
        raise ValueError(
            "path_norm needs only weight matrices and their biases, got "
            f"{min(others, default='none')}: a path is a product of weights."
        )
    a = torch.ones_like(as_matrix(params, names[0])[:, 0])
    for weight in names:
        w = as_matrix(params, weight).square()
        if len(a) != len(w):
            raise ValueError(
                f"path_norm needs {weight} to take the {len(a)} units of the layer before it, got "
                f"one with {len(w)} inputs: a path goes through every layer in turn."
            )
        a = a @ w + params.get(bias_name(weight), a.new_zeros(())).square()
    return float(a.sum().sqrt())
