"""The rescalings T_α that change the weights and not one prediction.

Every map here multiplies θ entrywise by a scaling S: T(θ) = S ⊙ θ. The diagonal D of the paper's
Theorem 3 is 1/S: ∇L(Tθ) = ∇L(θ) D and Hess L(Tθ) = D Hess L(θ) D.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from helpers.nets._nets import ACTIVATIONS, is_positively_homogeneous
from helpers.nets._params import (
    Params,
    along,
    axes,
    bias_name,
    check_finite,
    positive,
    weight_names,
)

REASON = "relu(-z) is not -relu(z)"


def layer_scaling(params: Params, alphas: Mapping[str, float]) -> Params:
    """Return the scaling S of (θ_k) → (α_k θ_k) with Π α_k = 1, one entry for each entry of θ.

    `alphas` maps a weight's name to its α_k; weights left out keep α_k = 1. A hidden bias is
    multiplied by Π_{j<=k} α_j, which leaves the output bias alone (the paper's appendix B).

    Raises:
        ValueError: an unknown layer, α_k <= 0 or not finite, or a product that is not one.
    """
    weights = weight_names(params)
    _check_alphas("a rescaling of layers", alphas, weights)
    S = {name: torch.ones_like(block) for name, block in params.items()}
    so_far = 1.0
    for weight in weights:
        alpha = alphas.get(weight, 1.0)
        so_far = 1.0 if weight == weights[-1] else so_far * alpha
        S[weight] = S[weight] * alpha
        if bias_name(weight) in S:
            S[bias_name(weight)] = S[bias_name(weight)] * so_far
    return S


def unit_scaling(params: Params, c: Tensor, *, up: str, down: str) -> Params:
    """Return the scaling S that multiplies hidden unit j by c_j > 0 in `up` and divides in `down`.

    This is the whole rescaling symmetry of one hidden layer; T_α is the case c_j = α. `c` has
    shape (h,). Where a convolution is flattened into `down`, each channel meets several inputs.

    Raises:
        ValueError: unknown or non-adjacent layers, widths that do not fit, c of the wrong shape,
            not positive, not finite.
    """
    weights = weight_names(params)
    _check_order(weights, up, down, adjacent=True)
    units, inputs = axes(up)[0], axes(down)[1]
    h, reads = params[up].shape[units], params[down].shape[inputs]
    if c.shape != (h,) or not bool((torch.isfinite(c) & (c > 0)).all()):
        raise ValueError(
            f"unit_scaling needs {h} finite factors c > 0, got {c.tolist()}: "
            "each hidden unit has one, and relu(-z) is not -relu(z)."
        )
    if reads % h:
        raise ValueError(
            f"unit_scaling needs a {down} that reads the {h} units of {up}, got {reads} inputs."
        )
    c, S = c.to(params[up]), {name: torch.ones_like(block) for name, block in params.items()}
    S[up] = S[up] * along(c, units, S[up].ndim)
    if bias_name(up) in S:
        S[bias_name(up)] = S[bias_name(up)] * c
    S[down] = S[down] / along(c.repeat_interleave(reads // h), inputs, S[down].ndim)
    return S


def apply_scaling(params: Params, S: Params) -> Params:
    """Return T(θ) = S ⊙ θ.

    Raises:
        ValueError: S is not shaped like θ.
    """
    return {name: s * params[name] for name, s in aligned("apply_scaling", S, params).items()}


def aligned(who: str, S: Params, params: Params) -> Params:
    """Return S in the order that `flatten` has, numbers and vectors as blocks; or a ValueError."""
    given = S if isinstance(S, Mapping) else {"S, a": S}
    full = {name: _fitted(given.get(name), block) for name, block in params.items()}
    if bad := [name for name in full | given if full.get(name) is None][:5]:
        need = ", ".join(f"{n} {tuple(params[n].shape)}" for n in bad if n in params) or "θ alone"
        kinds = {n: getattr(s, "shape", type(s).__name__) for n, s in given.items() if n in bad}
        got = [f"{n} {k if isinstance(k, str) else tuple(k)}" for n, k in kinds.items()]
        raise ValueError(
            f"{who} needs a number for each entry of {need}, got {', '.join(got) or 'none'}: "
            "each weight has a unit of its own."
        )
    return full


def _fitted(s, block: Tensor) -> Tensor | None:
    s = block.new_tensor(s) if isinstance(s, (int, float)) else s  # one number for all of them
    if not isinstance(s, Tensor) or s.shape not in ((), block.shape, (block.numel(),)):
        return None
    return s.reshape(block.shape) if s.ndim else s.to(block).expand(block.shape)


def alpha_scale(
    params: Params,
    alpha: float,
    *,
    up: str = "theta1",
    down: str = "theta2",
    activation: str = "relu",
) -> Params:
    """Return T_α(θ) = (…, α θ_up, …, α⁻¹ θ_down, …), the same function (Definition 5).

    It is the same because relu(αz) = α relu(z) for α > 0: the later layer divides the factor out.
    Name the `activation` between the layers; for a module, `rescale` finds out what is between.

    Raises:
        ValueError: α <= 0 or not finite, an unknown layer, layers in the wrong order, or an
            activation that is not positively homogeneous.
    """
    positive("alpha_scale", "alpha", alpha, REASON)
    _check_order(weight_names(params), up, down)
    return scale_layers(params, {up: alpha, down: 1 / alpha}, activation=activation)


def scale_layers(
    params: Params, alphas: Mapping[str, float], *, activation: str = "relu"
) -> Params:
    """Return T_α(θ) = (α_k θ_k)_k with Π α_k = 1, the same function (section 4.2 of the paper).

    Raises:
        ValueError: as `layer_scaling`, and non-finite θ or an activation without the symmetry.
    """
    check_finite(params, "scale_layers")
    _check_activation(activation)
    return apply_scaling(params, layer_scaling(params, alphas))


def scale_units(
    params: Params, c: Tensor, *, up: str = "theta1", down: str = "theta2", activation: str = "relu"
) -> Params:
    """Return θ with unit j of `up` multiplied by c_j, and `down` divided by it: the same function.

    Raises:
        ValueError: as `unit_scaling`, and non-finite θ or an activation without the symmetry.
    """
    check_finite(params, "scale_units")
    _check_activation(activation)
    return apply_scaling(params, unit_scaling(params, c, up=up, down=down))


def _check_alphas(who: str, alphas: Mapping[str, float], weights: list[str]) -> None:
    for name, alpha in alphas.items():
        positive(who, f"alpha for {name}", alpha, REASON)
    _check_layers(weights, *alphas)
    product = math.prod(alphas.values())
    if not math.isclose(product, 1, rel_tol=1e-9):
        raise ValueError(
            f"{who} needs factors with product 1, got {product:.6g}: "
            "the output would be multiplied by it."
        )


def _check_layers(weights: list[str], *names: str) -> None:
    for name in names:
        if name not in weights:
            raise ValueError(
                f"a rescaling needs layers among {', '.join(weights)}, got {name!r}: "
                "only a layer of the net can be rescaled."
            )


def _check_order(weights: list[str], up: str, down: str, *, adjacent: bool = False) -> None:
    _check_layers(weights, up, down)
    gap = weights.index(down) - weights.index(up)
    if gap < 1 or (adjacent and gap > 1):
        rule = "the layer just after" if adjacent else "a later layer than"
        raise ValueError(
            f"a rescaling needs `down` to be {rule} `up`, got up={up!r}, down={down!r}: "
            "only what comes after can undo the factor."
        )


def _check_activation(activation: str) -> None:
    phi = ACTIVATIONS.get(activation)
    if phi is None or not is_positively_homogeneous(phi):
        raise ValueError(
            f"a rescaling needs a positively homogeneous activation, got {activation!r}: "
            "phi(alpha z) = alpha phi(z) is what keeps the function."
        )
