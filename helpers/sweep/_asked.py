"""What an audit is asked: a loss on data, in a precision that serves, and how many answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from helpers.maps._find import Symmetries, find_symmetries
from helpers.measures._products import gradient
from helpers.nets._loader import over_loader
from helpers.nets._losses import Loss, by_rows, checked_data, cross_entropy, squared_error
from helpers.nets._modules import functional
from helpers.nets._params import Params, check_finite, positive, without_graph

FEW, MORE, SMALL = 2, 32, 100_000  # rows of X for symmetries; all, if these have so few numbers


def asked(module: nn.Module, data, x, loss):
    """Return module, parameters and loss to measure, ‖∇L‖₂, the symmetries, and what to say.

    A module in half precision is copied. The loss is run once here, so that what does not fit
    raises its ValueError before the long computation.
    """
    f, params = functional(module)
    check_finite(params, "audit")
    coarse = sorted({str(p.dtype) for p in params.values() if _wide(p) is not p})
    if coarse:
        with _refused(f"a module in {coarse[0]} that can be copied"):
            module = copy.deepcopy(module)._apply(_wide)
        f, params = functional(module)
    whole = isinstance(data, (tuple, list, Tensor, Mapping)) or not hasattr(data, "__iter__")
    first = data if whole else next(iter(data), [])
    X, y = checked_data("audit", *(first if isinstance(first, (tuple, list)) else [first]))
    name, criterion = _criterion(loss, y)
    if coarse:
        f, criterion = _fitted(f, criterion)
    L = Loss(*by_rows(f, X), y, criterion) if whole else over_loader(f, data, criterion)
    value, slope = _run_once(L if whole else next(L.parts())[1], L, params, name, loss)
    said = [f"loss: {name}{', as it is, on all rows at once' if whole and loss else ''}"]
    said += ["module in training mode" if module.training else "module in evaluation mode"]
    said += [f"{dtype} measured as float32, as are the twins" for dtype in coarse]
    said += ["no ε-sharpness, which divides by 1 + L, as L is negative"] * (value < 0)
    return module, params, L, slope, _symmetries(module, X, x), "; ".join(said)


def _run_once(part: Loss, L, params: Params, name: str, given) -> tuple[float, float]:
    """Return L(θ) and ‖∇L‖₂; a module or a loss that does not run is refused as such."""
    device = next(iter(params.values())).device
    with _refused("a module that runs on X"):
        outputs = without_graph(part.f, params, part.X.to(device))
    sizes = " and ".join(str(tuple(t.shape)) for t in (*tree_leaves(outputs), part.y))
    taken = f"{name}{'' if given else ', since no loss= was given'}"
    with _refused("a loss of (outputs, y) that runs", f"; this was {taken}, of shapes {sizes}"):
        slope, value = float(gradient(L, params).norm()), float(without_graph(L, params))
    if abs(value) < float("inf"):
        return value, slope
    raise ValueError(f"audit needs a finite loss, got {value:g}: no curvature is defined there.")


@contextmanager
def _refused(need: str, more: str = "") -> Iterator[None]:
    try:
        yield
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"audit needs {need}, got: {said}{more}.") from error


def _symmetries(module: nn.Module, X, x) -> Symmetries:
    """Return the symmetries on x, or on two rows of X, or on more where two leave a layer out.

    x may be a number of rows. What runs on all rows alone, as on a graph, is given all of them.
    """
    device = next(module.parameters()).device

    def rows(n: int) -> Any:
        return tree_map(lambda t: _wide(t[:n].to(device)), X)

    if isinstance(x, int):
        positive("audit", "number of rows", x, "rescalings are looked for on them")
    if x is not None:
        return find_symmetries(module, rows(x) if isinstance(x, int) else x)
    with suppress(ValueError):
        found = find_symmetries(module, rows(FEW))
        return found if all(r.tried for r in found.refused) else find_symmetries(module, rows(MORE))
    small = sum(t.numel() for t in tree_leaves(X)) <= SMALL
    try:
        return find_symmetries(module, rows(len(tree_leaves(X)[0]) if small else MORE))
    except ValueError as error:
        more = "this was on rows of X, and another input may be named with x="
        raise ValueError(f"{str(error).rstrip('.')}; {more}.") from error


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
    """Return the name of the loss and the loss: the one given, or else the usual one for y."""
    usual = squared_error if y.is_floating_point() else cross_entropy
    name = getattr(loss or usual, "__name__", type(loss).__name__)
    name = f"the class {name}" if isinstance(loss, type) else name
    return name, loss or usual(None, y, y).criterion


def answers(outputs: Tensor, y: Tensor) -> Tensor:
    """Return each answer: the class with the largest output, or the sign of a single output.

    There are none where y holds no whole numbers, or has not the shape of the outputs without an
    axis of classes, the first after the rows, as in torch's cross-entropy, or the last; or with it.
    """
    first, rest = outputs.shape[:1], outputs.shape[2:]
    axis = 1 if outputs.ndim > 1 and y.shape in (first + rest, (*first, 1, *rest)) else -1
    whole = not y.is_floating_point() or bool((y == y.round()).all())
    if not whole or (axis < 0 and y.shape not in (outputs.shape, outputs.shape[:-1])):
        return outputs.new_zeros(0, dtype=torch.long)
    return outputs.argmax(axis) if outputs.ndim > 1 and outputs.shape[axis] > 1 else outputs > 0
