"""A module run with weights other than its own, and what comes out of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call

from helpers.nets._params import Params, finest

_BOXES = (tuple, list, Mapping)
_WRAPS = (nn.DataParallel, nn.parallel.DistributedDataParallel, torch.jit.ScriptModule)


def called(module: nn.Module, state: Params, x: Any) -> Any:
    """Return what the module gives for x with these parameters and buffers in place of its own.

    Tied ones go by one name, their first. A layer that stands at two places, as in twin towers,
    is filled once: torch would fill it at both, and then restore the first filling instead.

    Raises:
        ValueError: a name that is not among the module's own.
    """
    if isinstance(module, _WRAPS):
        raise ValueError(
            "functional needs a module whose weights can be exchanged, got "
            f"{type(module).__name__}: give it the one that was wrapped."
        )
    args, kwargs = ((), x) if isinstance(x, Mapping) else (x if isinstance(x, tuple) else (x,), {})
    first, filled = {}, {}
    for place, layer in module.named_modules():
        for key, t in [*layer._parameters.items(), *layer._buffers.items()]:
            if t is not None:
                name = f"{place}.{key}" if place else key
                filled[name] = state[first.setdefault(id(t), name)]
    if other := sorted(state.keys() - first.values()):
        raise ValueError(
            f"functional needs the names that it gave, got {other[0]}: no parameter or buffer "
            "has this name, or it is tied and goes by its first name."
        )
    stance = "torch._dynamo" in sys.modules and getattr(torch.compiler, "set_stance", None)
    with (stance or nullcontext)("force_eager"):  # what torch.compile made is not compiled anew
        return functional_call(module, filled, args, kwargs, tie_weights=False)


def tensors(out: Any) -> list[Tensor]:
    """Return every tensor of what goes into a module or comes out of it, whatever its box."""
    if isinstance(out, Tensor):
        return [out]
    if isinstance(out, Distribution) or (is_dataclass(out) and not isinstance(out, Mapping)):
        out = vars(out)
    box = out.values() if isinstance(out, Mapping) else out
    return [t for part in box for t in tensors(part)] if isinstance(out, _BOXES) else []


def same(a: Any, b: Any, rounding: float) -> bool:
    """Return whether all tensors in two outputs agree, up to `rounding` times the largest."""
    a, b = tensors(a), tensors(b)
    if [t.shape for t in a] != [t.shape for t in b]:
        return False
    pairs = [(finest(s.detach()), finest(t.detach())) for s, t in zip(a, b)]
    scale = [float(t.abs().nan_to_num().max()) if t.numel() else 0.0 for _, t in pairs]
    return all(
        torch.allclose(s, t, rtol=0, atol=rounding * size, equal_nan=True)
        for (s, t), size in zip(pairs, scale)
    )


def entwined(module: nn.Module) -> set[str]:
    """Return the parameters whose memory overlaps another's, so that writing one writes both."""
    spans, found, last = [], set(), ("", 0, 0, "")  # the last: of those before, it ends furthest on
    for name, p in module.named_parameters():
        size = (1 + sum((n - 1) * step for n, step in zip(p.shape, p.stride()))) * p.element_size()
        spans += [(str(p.device), p.data_ptr(), p.data_ptr() + size, name)] * bool(p.numel())
    for span in sorted(spans):
        if span[0] == last[0] and span[1] < last[2]:
            found |= {last[3], span[3]}
        last = max(last, span, key=lambda s: (s[0], s[2]))
    return found


def dense(t: Tensor) -> Tensor:
    """Return the tensor itself. Raises: ValueError if it has no number at each of its places."""
    sort = "nested" if t.is_nested else "sparse" if t.layout != torch.strided else ""
    if sort or t.is_meta:
        raise ValueError(f"a {sort or 'meta or jagged'} tensor")
    return t
