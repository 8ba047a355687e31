"""What an audit is asked: a loss on data, in a precision that serves, and how many answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from helpers.nets._called import tensors
from helpers.nets._loader import over_loader
from helpers.nets._losses import Loss, checked_data, cross_entropy, squared_error
from helpers.nets._modules import functional
from helpers.nets._params import Params, check_finite, loss_at


def asked(module: nn.Module, data, x, loss):
    """Return module, parameters and loss to measure, an x for symmetries, and what to say of them.

    A module in half precision is copied. The loss is run once, before the long computation.

    Raises:
        ValueError: a module, data or a loss that do not fit, each with what is wrong.
    """
    f, params = functional(module)
    check_finite(params, "audit")
    coarse = sorted({str(p.dtype) for p in params.values() if _wide(p) is not p})
    if coarse:
        module = copy.deepcopy(module)._apply(_wide)
        f, params = functional(module)
    whole = isinstance(data, (tuple, list, Tensor)) or not hasattr(data, "__iter__")
    X, y = _pair(data, whole)
    device = next(iter(params.values())).device
    x = tree_map(lambda t: _wide(t[:2].to(device)), X) if x is None else x
    name, criterion = _criterion(loss, y)
    if coarse or not isinstance(X, Tensor):
        f, criterion = _fitted(f, X, criterion)
    X = X if isinstance(X, Tensor) else torch.arange(len(y))  # a box of inputs goes by its rows
    L = Loss(f, X, y, criterion) if whole else over_loader(f, data, criterion)
    _run_once(L, params, name)
    name += ", as it is, of all rows at once" if whole and loss else ""
    said = [f"loss: {name}", f"module in {_mode(module)}"]
    said += [f"{dtype} measured as float32, as are the twins" for dtype in coarse]
    return module, params, L, x, "; ".join(said)


@torch.no_grad()
def _run_once(L, params: Params, name: str) -> None:
    try:
        loss_at("audit", L, params, "ε-sharpness divides by 1 + L")
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"audit needs a loss that runs on the data, got: {said}; this was {name}, loss= gives "
            "another."
        ) from error


def _criterion(loss, y: Tensor) -> tuple[str, Any]:
    """Return the name of a loss and the loss, by itself the usual one for these targets."""
    if isinstance(loss, type):
        raise ValueError(
            f"audit needs a loss of (outputs, y), got the class {loss.__name__}: give an instance "
            "or a function."
        )
    if loss:
        return getattr(loss, "__name__", type(loss).__name__), loss
    if y.is_floating_point():
        return "half the squared error", squared_error(None, y, y).criterion
    return "cross-entropy of outputs (n, classes)", cross_entropy(None, y, y).criterion


def _pair(data, whole: bool) -> tuple[Any, Tensor]:
    """Return X, a tensor, a tuple or a dict of tensors, and y: all data, or the first batch."""
    if isinstance(data, Mapping):
        raise ValueError(
            f"audit needs a pair (X, y) or a loader of pairs, got a dict with {', '.join(data)}: "
            "the order tells which is which."
        )
    batch = data if whole else next(iter(data), [])
    batch = batch if isinstance(batch, (tuple, list)) else [batch]
    if not whole or len(batch) != 2 or isinstance(batch[0], Tensor) or not tensors(batch[0]):
        return checked_data("audit", *batch)
    X, y = batch
    for t in tensors(X):
        checked_data("audit", t, y)
    return dict(X) if isinstance(X, Mapping) else tuple(X), y


def _fitted(f, box, criterion):
    """Return f and the loss on data in the params' precision; of a box x says which rows."""

    def run(params: Params, x: Tensor) -> Any:
        like = next(iter(params.values()))
        given = x if isinstance(box, Tensor) else tree_map(lambda t: t.to(x.device)[x], box)
        return f(params, tree_map(lambda t: _as(t, like), given))

    return run, lambda outputs, y: criterion(outputs, _as(y, outputs))


def _as(t: Tensor, like: Tensor) -> Tensor:
    return t.to(like) if t.is_floating_point() else t


def _wide(t: Tensor) -> Tensor:
    """Return t in float32 where its own type rounds more, as half and bfloat16 do."""
    few = t.is_floating_point() and torch.finfo(t.dtype).eps > torch.finfo(torch.float32).eps
    return t.float() if few else t


def _mode(module: nn.Module) -> str:
    modes = {layer.training for layer in module.modules()}
    return "both modes" if len(modes) > 1 else "training mode" if modes.pop() else "evaluation mode"


def answers(outputs: Tensor, y: Tensor) -> Tensor:
    """Return each answer: the class with the largest output, or the sign of a single output.

    The classes lie along axis 1 where y has, as in torch's cross-entropy, the shape of the outputs
    without this axis, or with 1 there; else along the last.
    """
    first, rest = outputs.shape[:1], outputs.shape[2:]
    axis = 1 if outputs.ndim > 1 and y.shape in (first + rest, (*first, 1, *rest)) else -1
    return outputs.argmax(axis) if outputs.ndim > 1 and outputs.shape[axis] > 1 else outputs > 0
