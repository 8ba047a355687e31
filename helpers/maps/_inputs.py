"""New coordinates for the inputs: f_ξ = f ∘ ξ, the section 5.2 side of reparametrization.

ξ maps the new representation u to the old one x. A `Bijection` holds ξ as `forward`, ξ⁻¹, the
preprocessing, as `inverse`; both act on the last axis of (…, d).
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from helpers.maps._radial import radial_map
from helpers.maps._reparam import Bijection
from helpers.nets._params import Net


def with_inputs(f: Net, xi: Bijection) -> Net:
    """Return f_ξ(params, u) = f(params, ξ(u)): the same predictions from other inputs.

    Its input gradient is ∂f/∂u (u) = ∂f/∂x (ξ(u)) · ∂ξ/∂u (u) (section 5.2 of the paper).
    """
    return lambda params, u: f(params, xi.forward(u))


def scale_inputs(X: Tensor) -> Bijection:
    """Return the standardization of X (N, d): u = (x − m)/s for each feature, x = m + s u.

    By scikit-learn's `StandardScaler`. Gradients become ∂f/∂u = s ∂f/∂x.

    Raises:
        ValueError: X is not (N, d), not finite, or has a constant feature.
    """
    scaler = StandardScaler().fit(_checked("scale_inputs", X))
    s = torch.as_tensor(np.sqrt(scaler.var_)).to(X)
    if not bool((s > 0).all()):
        raise ValueError(
            f"scale_inputs needs features that vary, got {int((s == 0).sum())} constant ones: "
            "dividing by their deviation 0 is no bijection."
        )
    m = torch.as_tensor(scaler.mean_).to(X)
    return Bijection(lambda u: m + s * u, lambda x: (x - m) / s)


def whiten_inputs(X: Tensor) -> Bijection:
    """Return the whitening of X (N, d): u has mean 0 and covariance I, x = m + u A.

    By scikit-learn's `PCA`, as with `whiten=True`: principal axes, each divided by its deviation.

    Raises:
        ValueError: X is not (N, d), not finite, or its covariance is singular.
    """
    N, d = (data := _checked("whiten_inputs", X)).shape
    pca = PCA().fit(data) if d < N else None
    if pca is None or pca.singular_values_[-1] <= 1e-10 * pca.singular_values_[0]:
        raise ValueError(
            f"whiten_inputs needs an invertible covariance, got {N} examples of {d} features that "
            "do not vary in some direction: dividing by a deviation of 0 is no bijection."
        )
    m = torch.as_tensor(pca.mean_).to(X)
    s = torch.as_tensor(np.sqrt(pca.explained_variance_)).to(X)[:, None]  # (d, 1)
    axes = torch.as_tensor(pca.components_).to(X)  # (d, d), orthonormal rows
    return Bijection(lambda u: m + u @ (s * axes), lambda x: (x - m) @ (axes / s).T)


def warp_inputs(centre: Tensor, factor: float, *, radius: float = 1.0) -> Bijection:
    """Return ξ that multiplies ∂f/∂u at ξ⁻¹(`centre`) = `centre` (d,) by `factor` > 0, locally.

    Appendix A's radial map, used on inputs: beyond `radius` from the centre nothing moves. So the
    relative size of a net's input gradients at two points depends on the representation.

    Raises:
        ValueError: factor or radius not positive and finite.
    """
    if not (0 < factor < float("inf") and 0 < radius < float("inf")):
        raise ValueError(
            f"warp_inputs needs a finite factor > 0 and radius > 0, got {factor} and {radius}: "
            "a map that folds or forgets is no bijection."
        )
    half = radius / 2
    r_hat, rho = (half, half / factor) if factor > 1 else (half * factor, half)
    return radial_map(centre, r_hat=r_hat, rho=rho, delta=radius)


def _checked(who: str, X: Tensor) -> np.ndarray:
    if X.ndim != 2 or not bool(torch.isfinite(X).all()):
        raise ValueError(
            f"{who} needs finite inputs of shape (N, d), got shape {tuple(X.shape)}"
            f"{'' if X.ndim != 2 else ' with NaN or infinite entries'}: "
            "means and deviations are taken over N examples."
        )
    return X.detach().cpu().double().numpy()
