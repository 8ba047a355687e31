"""Losses as callables of the parameters alone, with the net and the data frozen in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves, tree_map

from helpers.nets._params import Net, Params, as_ordinary, without_graph


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


def squared_error(f: Net, X: Any, y: Tensor) -> Loss:
    """Return L(θ) = mean_i ‖f(θ, x_i) − y_i‖² / 2, the sum over outputs inside the norm.

    X (N, …), or a tuple or a dict of such tensors where f takes several inputs.

    Raises:
        ValueError: no examples, different numbers of inputs and targets, non-finite data.
    """
    X, y = checked_data("squared_error", X, y)
    return Loss(*by_rows(f, X), y, _half_square)


def _half_square(outputs: Tensor, y: Tensor) -> Tensor:
    if outputs.shape != y.shape:
        raise ValueError(
            f"squared_error needs outputs and targets of one shape, got {tuple(outputs.shape)} "
            f"and {tuple(y.shape)}: broadcasting would compare every pair."
        )
    return (outputs - y).square().reshape(len(y), -1).sum(1).mean() / 2


def cross_entropy(f: Net, X: Any, y: Tensor, *, smoothing: float = 0.0) -> Loss:
    """Return L(θ) = mean_i −log softmax(f(θ, x_i))[y_i], in nats.

    Without `smoothing` a net that fits every label has no finite minimum: larger weights always
    lower the loss. With label smoothing s the targets are (1−s) one-hot + s/C and a finite
    minimum can exist. X is as in `squared_error`.

    Raises:
        ValueError: no examples, different numbers of inputs and targets, non-finite data, or a
            smoothing outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(
            f"cross_entropy needs 0 <= smoothing < 1, got {smoothing}: the targets are a mixture."
        )
    X, y = checked_data("cross_entropy", X, y)
    f, X = by_rows(f, X)
    return Loss(f, X, y, lambda logits, y: F.cross_entropy(logits, y, label_smoothing=smoothing))


def by_rows(f: Net, X: Any) -> tuple[Net, Tensor]:
    """Return f and X as a loss takes them: several inputs are passed as their row numbers, (N,).

    Their real numbers are then taken in the precision of θ, where that is finer than their own.
    """
    if isinstance(X, Tensor):
        return f, X

    def run(params: Params, rows: Tensor) -> Any:
        like = next(iter(params.values()))

        def taken(t: Tensor) -> Tensor:
            t = t.to(rows.device)[rows]
            return t.to(torch.promote_types(t.dtype, like.dtype)) if t.is_floating_point() else t

        return f(params, tree_map(taken, X))

    return run, torch.arange(len(tree_leaves(X)[0]))


def predictions(f: Net, params: Params, X: Tensor) -> Tensor:
    """Return the predicted class numbers argmax_c f(θ, x)_c, shape (N,).

    Raises:
        ValueError: outputs that are not (N, C) with two classes or more.
    """
    outputs = without_graph(f, params, X)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            "predictions needs a row of two numbers or more for each example, got outputs of shape "
            f"{tuple(outputs.shape)}: the class is the place of the largest; of sequences, let f "
            "return one row for each step."
        )
    return outputs.argmax(dim=1)


def accuracy(f: Net, params: Params, X: Tensor, y: Tensor) -> float:
    """Return the fraction of the N examples whose predicted class is y, between 0 and 1.

    Raises:
        ValueError: as `predictions`, and y that is not one class number for each of them.
    """
    found = predictions(f, params, X)
    if found.shape != y.shape:
        raise ValueError(
            f"accuracy needs one class number for each prediction, got {tuple(y.shape)} for "
            f"{tuple(found.shape)}: broadcasting would compare every pair."
        )
    return float((found == y).cpu().double().mean())


def check_value(who: str, value: Any) -> None:
    """Raise a ValueError unless L(θ) is one real number, as a tensor with a gradient."""
    if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
        shape = f" {value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        raise ValueError(
            f"{who} needs a loss that returns one real number as a tensor, got "
            f"{type(value).__name__}{shape}: there is one slope for each parameter."
        )
    if not value.requires_grad:
        raise ValueError(
            f"{who} needs a loss that can be differentiated, got {value} without a "
            "gradient: something between θ and L is detached or rounds."
        )


def checked_data(who: str, *data: Any) -> tuple[Any, Tensor]:
    """Return the inputs X, a tensor or a tuple or a dict of them, and the targets y.

    Raises:
        ValueError: not a pair, no examples, different numbers of them, or non-finite data.
    """
    if len(data) == 2 and isinstance(data[0], (tuple, list, Mapping)) and len(data[0]):
        box = dict(data[0]) if isinstance(data[0], Mapping) else tuple(data[0])
        pairs = [_checked_pair(who, X, data[1]) for X in tree_leaves(box)]
        return tree_map(as_ordinary, box), pairs[0][1]
    return _checked_pair(who, *data)


def _checked_pair(who: str, *data: Any) -> tuple[Tensor, Tensor]:
    if len(data) != 2 or not all(isinstance(values, Tensor) and values.ndim for values in data):
        got = ", ".join(type(values).__name__ for values in data)
        why = "a pair (X, y), with several inputs as a tuple or a dict X"
        raise ValueError(f"{who} needs inputs X and targets y as tensors, got {got}: {why}.")
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
