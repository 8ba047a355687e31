"""Parameters as plain data: a dictionary of tensors θ, and the same numbers as one flat vector.

The paper writes θ for the concatenation of the vectorized blocks θ_k. Here `params` is the
dictionary and `theta` the vector; n_k is the size of block k and n their sum.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

with warnings.catch_warnings(), suppress(ImportError):
    warnings.simplefilter("ignore")  # torch about itself, when it first goes forward: not later
    import torch._decomp.decompositions_for_jvp

Params = dict[str, Tensor]  # a name, a block of weights
LossFn = Callable[[Params], Tensor]  # L(params), a scalar; the data are frozen in
Net = Callable[[Params, Tensor], Tensor]  # f(params, X), (N, in) to (N, out)


def flatten(params: Params) -> Tensor:
    """Return θ, the concatenation of vec(θ_k) in the order of the dictionary, shape (n,).

    >>> flatten({"theta1": torch.tensor([[1.0, 2.0]]), "theta2": torch.tensor([3.0])})
    tensor([1., 2., 3.])

    Raises:
        ValueError: no dictionary of blocks, or no block at all.
    """
    _check_blocks(params)
    return torch.cat([block.reshape(-1) for block in params.values()])


def _check_blocks(params: Params) -> None:
    if not isinstance(params, Mapping):
        raise ValueError(
            f"parameters need to be a dict of tensors, got {type(params).__name__}: each block has "
            "a name, as in what functional(module) returns."
        )
    if not params:
        raise ValueError("flatten needs at least one block, got no parameters: there is no θ.")


def unflatten(theta: Tensor, like: Params) -> Params:
    """Return the parameters whose flat vector is `theta` (n,), with the names and shapes of `like`.

    Where the blocks of `like` differ in dtype, each gets its own back; else they have that of θ.

    Raises:
        ValueError: `theta` does not have as many entries as `like`.
    """
    n = sum(sizes(like).values())
    if theta.shape != (n,):
        raise ValueError(
            f"unflatten needs a vector of shape ({n},), got {tuple(theta.shape)}: "
            "every parameter has exactly one place in it."
        )
    pieces = theta.split(list(sizes(like).values()))
    blocks = {name: v.reshape(like[name].shape) for name, v in zip(like, pieces, strict=True)}
    if len({block.dtype for block in like.values()}) > 1:
        return {name: block.to(like[name].dtype) for name, block in blocks.items()}
    return blocks


def sizes(params: Params) -> dict[str, int]:
    """Return n_k = dim vec(θ_k) for each block, by name."""
    return {name: block.numel() for name, block in params.items()}


def perturb(params: Params, v: Tensor, t: float = 1.0) -> Params:
    """Return θ + t v for a flat direction `v` of shape (n,)."""
    direction = unflatten(v, params)
    return {name: block + t * direction[name] for name, block in params.items()}


def detached(params: Params) -> Params:
    """Return θ as plain numbers, wherever they came from: no gradient flows back from here."""
    return {name: block.detach() for name, block in params.items()}


def weight_names(params: Params) -> list[str]:
    """Return the names of the weights θ_1 … θ_K, first layer first; biases are left out.

    A weight is `theta1`, `theta2`, … in our nets and any `….weight` with two or more axes in a
    `torch.nn.Module` (a normalization layer's gain has one axis and is not a weight matrix).
    """
    return [
        name
        for name, block in params.items()
        if name.startswith("theta") or (name.endswith("weight") and block.ndim >= 2)
    ]


def axes(weight: str) -> tuple[int, int]:
    """Return which axis of a weight runs over its layer's units, and which over its inputs.

    Our nets store θ_k as (in, out), so (1, 0); a `torch.nn.Module` stores (out, in, …), so (0, 1).
    """
    return (1, 0) if weight.startswith("theta") else (0, 1)


def as_matrix(params: Params, weight: str) -> Tensor:
    """Return a weight as (in, out), a column for each unit, whichever way round it is stored.

    Raises:
        ValueError: a weight with more than two axes, a convolution's.
    """
    block = params[weight]
    if block.ndim != 2:
        raise ValueError(
            f"as_matrix needs a weight with two axes, got {weight} of shape {tuple(block.shape)}: "
            "a convolution uses each of its entries at many places."
        )
    return block.movedim(axes(weight)[1], 0)


def along(c: Tensor, axis: int, ndim: int) -> Tensor:
    """Return the vector `c` (h,) with `ndim` axes, running along one of them: it broadcasts."""
    return c.reshape([-1 if k == axis else 1 for k in range(ndim)])


def bias_name(weight: str) -> str:
    """Return the name of the bias that belongs to a weight: theta2 → b2, 0.weight → 0.bias."""
    if weight.startswith("theta"):
        return "b" + weight.removeprefix("theta")
    return weight.removesuffix("weight") + "bias"


def as_ordinary(t: Tensor) -> Tensor:
    """Return t, or a copy that autograd takes if t was made under `torch.inference_mode`."""
    with torch.inference_mode(False):
        return t.clone() if t.is_inference() else t


def finest(t: Tensor) -> Tensor:
    """Return t in float64, or in float32 where its device has no more, as Apple's MPS."""
    try:
        return t.double()
    except TypeError:
        return t.float()


def seeded(generator: torch.Generator | None, like: Tensor) -> torch.Generator:
    """Return the generator given, or a new one with seed 0 where the tensor `like` lies."""
    return generator or torch.Generator(like.device).manual_seed(0)


def positive(who: str, name: str, value: float, why: str) -> None:
    """Raise a ValueError unless a number is > 0 and finite; `why` ends its sentence."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{who} needs a finite {name} > 0, got {value}: {why}.")


def without_graph(run: Callable, *args: Any) -> Any:
    """Return what `run` gives, without its graph, though it may need one inside, as for ∂f/∂x."""
    try:
        with torch.no_grad():
            return run(*args)
    except RuntimeError:
        with torch.enable_grad():
            out = run(*args)
        return tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, out)


def loss_at(who: str, loss: LossFn, params: Params, why: str) -> float:
    """Return L(θ), or raise a ValueError unless θ is finite and 0 <= L(θ) < ∞."""
    check_finite(params, who)
    value = float(without_graph(loss, params))
    if not 0 <= value < float("inf"):
        raise ValueError(f"{who} needs a finite loss >= 0, got {value:g}: {why}.")
    return value


def check_finite(params: Params, where: str) -> None:
    """Raise unless θ is at least one block of finite real numbers, naming the block that is not.

    Raises:
        ValueError: no block, a block of whole or complex numbers, a NaN or an infinity.
    """
    _check_blocks(params)
    for name, block in params.items():
        if not block.is_floating_point():
            raise ValueError(
                f"{where} needs real floating-point parameters, got {name} of {block.dtype}: "
                "derivatives are with respect to real numbers."
            )
        bad = int((~torch.isfinite(block)).sum())
        if bad:
            raise ValueError(
                f"{where} needs finite parameters, got {bad} NaN or infinite entries in {name}: "
                "no curvature is defined there."
            )
