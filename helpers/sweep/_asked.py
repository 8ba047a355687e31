"""What an audit is asked: a loss on data, in a precision that serves, and how many answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from helpers.measures._products import gradient
from helpers.nets._loader import over_loader
from helpers.nets._losses import Loss, by_rows, checked_data, cross_entropy, squared_error
from helpers.nets._modules import functional
from helpers.nets._params import Params, check_finite, loss_at


def asked(module: nn.Module, data, x, loss):
    """Return module, parameters and loss to measure, ‖∇L‖₂, an x for symmetries, and what to say.

    A module in half precision is copied. What does not fit is a ValueError before the long
    computation: the loss is run here.
    """
    f, params = functional(module)
    check_finite(params, "audit")
    coarse = sorted({str(p.dtype) for p in params.values() if _wide(p) is not p})
    if coarse:
        module = copy.deepcopy(module)._apply(_wide)
        f, params = functional(module)
    whole = isinstance(data, (tuple, list, Tensor, Mapping)) or not hasattr(data, "__iter__")
    first = data if whole else next(iter(data), [])
    X, y = checked_data("audit", *(first if isinstance(first, (tuple, list)) else [first]))
    if x is None:
        x = tree_map(lambda t: _wide(t[:2].to(next(iter(params.values())).device)), X)
    name, criterion = _criterion(loss, y)
    if coarse:
        f, criterion = _fitted(f, criterion)
    L = Loss(*by_rows(f, X), y, criterion) if whole else over_loader(f, data, criterion)
    slope = _run_once(L, params, name)
    said = [f"loss: {name}{', as it is, of all rows at once' if whole and loss else ''}"]
    said += ["module in training mode" if module.training else "module in evaluation mode"]
    said += [f"{dtype} measured as float32, as are the twins" for dtype in coarse]
    return module, params, L, slope, x, "; ".join(said)


def _run_once(L, params: Params, name: str) -> float:
    try:
        slope = float(gradient(L, params).norm())
        loss_at("audit", L, params, "ε-sharpness divides by 1 + L")
        return slope
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"audit needs a loss that runs on the data, got: {said}; this was {name}, by itself "
            "cross_entropy of outputs (n, classes) or squared_error."
        ) from error


def _fitted(f, criterion):
    """Return f and the loss on data that are no coarser than float32."""
    return (
        lambda params, x: f(params, tree_map(_wide, x)),
        lambda outputs, y: criterion(outputs, _wide(y)),
    )


def _wide(t: Tensor) -> Tensor:
    """Return t in float32 where its own type rounds more, as half and bfloat16 do."""
    few = t.is_floating_point() and torch.finfo(t.dtype).eps > torch.finfo(torch.float32).eps
    return t.float() if few else t


def _criterion(loss, y: Tensor):
    """Return the name of a loss and the loss, of which there is a usual one for these targets."""
    usual = squared_error if y.is_floating_point() else cross_entropy
    name = getattr(loss or usual, "__name__", type(loss).__name__)
    name = f"the class {name}" if isinstance(loss, type) else name
    return name, loss or usual(None, y, y).criterion


def answers(outputs: Tensor, y: Tensor) -> Tensor:
    """Return each answer: the class with the largest output, or the sign of a single output.

    The classes lie along axis 1 where y has, as in torch's cross-entropy, the shape of the outputs
    without this axis, or with 1 there; else along the last.
    """
    first, rest = outputs.shape[:1], outputs.shape[2:]
    axis = 1 if outputs.ndim > 1 and y.shape in (first + rest, (*first, 1, *rest)) else -1
    return outputs.argmax(axis) if outputs.ndim > 1 and outputs.shape[axis] > 1 else outputs > 0
