"""Rectified feed-forward nets in the paper's row-vector letters.

Definition 3 of the paper: y = relu( … relu(x θ_1) … θ_{K-1} ) θ_K, with a linear output layer.
`theta1` has shape (in, hidden): the transpose of what `torch.nn.Linear` stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.nets._params import Net, Params, bias_name, weight_names

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "abs": torch.abs,
    "linear": lambda z: z,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "softplus": F.softplus,
}


def is_positively_homogeneous(phi: Callable[[Tensor], Tensor], *, tol: float = 1e-12) -> bool:
    """Return whether φ(αz) = α φ(z) on a grid of z and for several α > 0 (Definition 4)."""
    z = torch.linspace(-5, 5, 101, dtype=torch.float64)
    return all(
        torch.allclose(phi(alpha * z), alpha * phi(z), rtol=tol, atol=tol)
        for alpha in (0.1, 0.7, 3.0, 20.0)
    )


def net(activation: str = "relu") -> Net:
    """Return f(params, x): the feed-forward net with this activation between its layers.

    `params` holds theta1 … thetaK and, for a net with biases, b1 … bK. x is (N, in), f is (N, out).

    Raises:
        ValueError: an activation that is not in `ACTIVATIONS`.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"net needs one of {', '.join(ACTIVATIONS)}, got {activation!r}: "
            "no other activation is defined here."
        )
    phi = ACTIVATIONS[activation]

    def f(params: Params, x: Tensor) -> Tensor:
        first, *rest = weight_names(params)
        z = _affine(params, first, x)  # (N, h_1)
        for weight in rest:
            z = _affine(params, weight, phi(z))  # (N, h_k)
        return z

    return f


def relu_net(params: Params, x: Tensor) -> Tensor:
    """Return y = relu( … relu(x θ_1 + b_1) … ) θ_K + b_K, shape (N, out); biases are optional."""
    return net("relu")(params, x)


def _affine(params: Params, weight: str, x: Tensor) -> Tensor:
    y = x @ params[weight]
    bias = bias_name(weight)
    return y + params[bias] if bias in params else y


def init_net(
    widths: Sequence[int],
    *,
    bias: bool = False,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Params:
    """Return random weights for a net of these widths: θ_k ~ N(0, 2/fan-in), biases ~ N(0, 0.01).

    He initialization (He et al. 2015), which keeps the size of the signal through ReLU layers.

    Raises:
        ValueError: fewer than two widths, or a width that is not positive.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(
            f"init_net needs two or more positive widths, got {list(widths)}: "
            "a net has an input and an output."
        )
    draw = dict(generator=generator, dtype=dtype, device=generator.device)
    params = {}
    for k, (fan_in, fan_out) in enumerate(zip(widths[:-1], widths[1:], strict=True), start=1):
        params[f"theta{k}"] = torch.randn(fan_in, fan_out, **draw) * (2 / fan_in) ** 0.5
        if bias:
            params[f"b{k}"] = torch.randn(fan_out, **draw) * 0.1
    return {name: block.to(device) for name, block in params.items()}
