"""New coordinates for the parameters: L_η = L ∘ g, and what its gradient and Hessian become.

Section 5.1 of the paper. A symmetry moves a point in one space; a reparametrization keeps the
point and changes the space. Every map here acts on the last axis of a tensor of shape (…, n).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.func import hessian, jacrev

from helpers.nets._params import LossFn, Params, check_finite, flatten, positive, unflatten

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Bijection:
    """A change of coordinates g and its inverse, each from (…, n) to (…, n)."""

    forward: Map  # g: η ↦ θ (for inputs ξ: u ↦ x)
    inverse: Map  # g⁻¹: θ ↦ η (for inputs ξ⁻¹: x ↦ u)


def compose(*maps: Bijection) -> Bijection:
    """Return g₁ ∘ g₂ ∘ … : the last map is the one nearest to the new coordinates."""
    return Bijection(
        lambda eta: reduce(lambda z, g: g.forward(z), reversed(maps), eta),
        lambda theta: reduce(lambda z, g: g.inverse(z), maps, theta),
    )


def pull_back(loss: LossFn, g: Bijection, params: Params) -> tuple[LossFn, Params]:
    """Return (L_η, η) with L_η = L ∘ g and η = g⁻¹(θ): the same model in other coordinates.

    L_η(η) = L(θ), and η keeps θ's names and shapes, so that every measure applies to it as it
    stands: `spectral_norm(*pull_back(loss, g, params))`. Cost: one Jacobian of g, n × n.

    Raises:
        ValueError: non-finite θ, or a g that is not a bijection at this point: g(g⁻¹(θ)) is not θ,
            or the Jacobian of g there is singular or not finite.
    """
    check_finite(params, "pull_back")
    theta = flatten(params)
    eta = g.inverse(theta)
    _check_inverse(g.forward(eta), theta)
    jacobian(g, eta)

    def loss_eta(eta: Params) -> Tensor:
        return loss(unflatten(g.forward(flatten(eta)), params))

    return loss_eta, unflatten(eta, params)


def jacobian(g: Bijection, eta: Tensor) -> Tensor:
    """Return Jac g(η) = ∂θ/∂η by automatic differentiation, shape (n, n), checked to be invertible.

    Raises:
        ValueError: a Jacobian that is singular or not finite.
    """
    J = jacrev(g.forward)(eta)  # (n, n)
    if J.shape != (len(eta), len(eta)):
        raise ValueError(
            f"a bijection needs a square Jacobian, got shape {tuple(J.shape)}: "
            "θ and η have the same number of coordinates."
        )
    if not bool(torch.isfinite(J).all()):
        raise ValueError(
            "a bijection needs a finite Jacobian, got NaN or infinite entries: "
            "the map is not differentiable at this point."
        )
    sizes = torch.linalg.svdvals(J)
    if not bool(sizes[-1] > len(eta) * torch.finfo(J.dtype).eps * sizes[0]):
        raise ValueError(
            f"a bijection needs an invertible Jacobian, got singular values from {sizes[0]:.1e} "
            f"down to {sizes[-1]:.1e}: some direction of η does not move θ."
        )
    return J


def pulled_gradient(grad: Tensor, g: Bijection, eta: Tensor) -> Tensor:
    """Return ∇L_η(η) = ∇L(g(η)) Jac g(η), shape (n,), from grad = ∇L(g(η))."""
    return grad @ jacobian(g, eta)


def pulled_hessian(H: Tensor, grad: Tensor, g: Bijection, eta: Tensor) -> Tensor:
    """Return Hess L_η(η) = JᵀHJ + Σ_i ∂_iL · Hess g_i(η), shape (n, n), with J = Jac g(η).

    H (n, n) and grad (n,) are those of L at g(η). The second term is zero at a critical point,
    where the new Hessian is congruent to the old: eigenvalues keep their signs, not their sizes.
    """
    J = jacobian(g, eta)
    return J.T @ H @ J + hessian(lambda eta: grad @ g.forward(eta))(eta)


def weight_norm(
    loss: LossFn, params: Params, name: str = "theta1", *, dim: int | None = None
) -> tuple[LossFn, Params]:
    """Return (L, params) in the coordinates of weight normalization: w = s v/‖v‖₂ (section 5.1).

    The block `name` is replaced by `name.s` and `name.v`, which start at s = ‖w‖, v = w. With
    `dim=1` each column of w, a hidden unit's weights, has a scale of its own; without, w is one
    vector. It is onto, but no bijection: all αv, α > 0, give one w (Salimans & Kingma 2016).

    Raises:
        ValueError: an unknown block or dim, non-finite θ, or a w (a column of w) that is zero.
    """
    check_finite(params, "weight_norm")
    _check_block("weight_norm", params, name)
    _check_dim(params[name], dim, name)
    s = _norm(params[name], dim)
    if not bool((s > 0).all()):
        raise ValueError(
            f"weight_norm needs a non-zero {name}, got norm 0: "
            "zero has no direction to be normalized."
        )

    def loss_sv(new: Params) -> Tensor:
        s, v = new[f"{name}.s"], new[f"{name}.v"]  # in θ's order: a net takes its layers by it
        return loss({k: s * v / _norm(v, dim) if k == name else new[k] for k in params})

    rest = {k: block for k, block in params.items() if k != name}
    return loss_sv, {f"{name}.s": s, f"{name}.v": params[name], **rest}


def scale_direction(params: Params, alpha: float, *, name: str = "theta1") -> Params:
    """Return T'_α: v ↦ αv, the paper's symmetry of weight normalization, which leaves w as it is.

    ∇_v L(αv) = ∇_v L(v)/α and Hess_vv(αv) = Hess_vv(v)/α²: sharp and flat without limit, with
    respect to v. A negative α turns w around, so α > 0 is needed.

    Raises:
        ValueError: α <= 0 or not finite, or no such direction.
    """
    positive("scale_direction", "alpha", alpha, "-v points the other way")
    _check_block("scale_direction", params, f"{name}.v")
    return {**params, f"{name}.v": alpha * params[f"{name}.v"]}


def _norm(v: Tensor, dim: int | None) -> Tensor:
    return v.square().sum([axis for axis in range(v.ndim) if axis != dim], keepdim=True).sqrt()


def _check_block(who: str, params: Params, name: str) -> None:
    if name not in params:
        raise ValueError(
            f"{who} needs a block among {', '.join(params)}, got {name!r}: "
            "only a block of the parameters can be rewritten."
        )


def _check_dim(block: Tensor, dim: int | None, name: str) -> None:
    if dim is not None and not 0 <= dim < block.ndim:
        raise ValueError(
            f"weight_norm needs a dim from 0 to {block.ndim - 1}, got {dim}: "
            f"it is the axis of {name} along which each unit has its scale."
        )


def _check_inverse(back: Tensor, theta: Tensor) -> None:
    tol = 1e4 * torch.finfo(theta.dtype).eps
    if back.shape != theta.shape or not torch.allclose(back, theta, rtol=tol, atol=tol):
        if back.shape != theta.shape:
            got = f"shape {tuple(back.shape)} for {tuple(theta.shape)}"
        elif bool(torch.isfinite(back).all()):
            got = f"a point {float((back - theta).norm()):.1e} away"
        else:
            got = "NaN or infinite coordinates"
        raise ValueError(
            f"pull_back needs g(g⁻¹(θ)) = θ, got {got}: "
            "g is not a bijection here, or its inverse is that of a different map."
        )
