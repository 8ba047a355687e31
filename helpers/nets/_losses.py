"""Losses as callables of the parameters alone, with the net and the data frozen in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.nets._params import Net, Params, as_ordinary


@dataclass(frozen=True)
class Loss:
    """L(θ) = mean_i ℓ(f(θ, x_i), y_i): call it with parameters, get a 0-dim tensor."""

    f: Net  # f(params, X) -> (N, out)
    X: Tensor  # (N, …) inputs
    y: Tensor  # (N, out) real targets or (N,) class numbers
    criterion: Callable[[Tensor, Tensor], Tensor]  # mean of ℓ over the rows

    def __call__(self, params: Params) -> Tensor:
        """Return L(θ), a 0-dim tensor, computed where the parameters lie.

        Raises:
            ValueError: a net whose outputs are not one tensor.
        """
        device = next(iter(params.values())).device
        outputs = self.f(params, self.X.to(device))
        if not isinstance(outputs, Tensor):
            raise ValueError(
                f"a loss needs a net that returns one tensor, got {type(outputs).__name__}: put a "
                "function or a module around it that picks the one that is compared with y."
            )
        return self.criterion(outputs, self.y.to(device))


def squared_error(f: Net, X: Tensor, y: Tensor) -> Loss:
    """Return L(θ) = mean_i ‖f(θ, x_i) − y_i‖² / 2, the sum over outputs inside the norm.

    Raises:
        ValueError: no examples, different numbers of inputs and targets, non-finite data.
    """
    return Loss(f, *checked_data("squared_error", X, y), _half_square)


def _half_square(outputs: Tensor, y: Tensor) -> Tensor:
    if outputs.shape != y.shape:
        raise ValueError(
            f"squared_error needs outputs and targets of one shape, got {tuple(outputs.shape)} "
            f"and {tuple(y.shape)}: broadcasting would compare every pair."
        )
    return (outputs - y).square().sum(-1).mean() / 2


def cross_entropy(f: Net, X: Tensor, y: Tensor, *, smoothing: float = 0.0) -> Loss:
    """Return L(θ) = mean_i −log softmax(f(θ, x_i))[y_i], in nats.

    Without `smoothing` a net that fits every label has no finite minimum: larger weights always
    lower the loss. With label smoothing s the targets are (1−s) one-hot + s/C and a finite
    minimum can exist.

    Raises:
        ValueError: no examples, different numbers of inputs and targets, non-finite data, or a
            smoothing outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(
            f"cross_entropy needs 0 <= smoothing < 1, got {smoothing}: the targets are a mixture."
        )
    X, y = checked_data("cross_entropy", X, y)
    return Loss(f, X, y, lambda logits, y: F.cross_entropy(logits, y, label_smoothing=smoothing))


def predictions(f: Net, params: Params, X: Tensor) -> Tensor:
    """Return the predicted class numbers argmax_c f(θ, x)_c, shape (N,)."""
    with torch.no_grad():
        return f(params, X).argmax(dim=-1)


def accuracy(f: Net, params: Params, X: Tensor, y: Tensor) -> float:
    """Return the fraction of the N examples whose predicted class is y, between 0 and 1."""
    return float((predictions(f, params, X) == y).double().mean())


def checked_data(who: str, *data: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inputs X and the targets y as autograd takes them.

    Raises:
        ValueError: not two tensors, no examples, different numbers of them, or non-finite data.
    """
    if len(data) != 2 or not all(isinstance(values, Tensor) and values.ndim for values in data):
        got = ", ".join(type(values).__name__ for values in data)
        box = len(data) == 2 and isinstance(data[0], (tuple, list, dict))
        why = "wrap the module so that it takes one tensor" if box else "a pair (X, y)"
        why += ", with several inputs as one" if len(data) > 2 else ""
        raise ValueError(f"{who} needs inputs X and targets y, two tensors, got {got}: {why}.")
    X, y = map(as_ordinary, data)
    if len(X) == 0 or len(X) != len(y):
        raise ValueError(
            f"{who} needs as many targets as inputs and at least one, got {len(X)} inputs and "
            f"{len(y)} targets: the loss is a mean over examples."
        )
    for name, values in (("X", X), ("y", y)):
        if not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"{who} needs finite data, got NaN or infinite entries in {name}: "
                "the loss would be NaN everywhere."
            )
    return X, y
