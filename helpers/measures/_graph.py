"""The graph of a gradient, kept, and products with the Hessian from it; no check of either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from helpers.measures._lanczos import Product
from helpers.nets._modules import full_precision
from helpers.nets._params import LossFn, Params, as_ordinary, check_finite

SMALL = 2000  # parameters up to which a block costs less than its vectors one by one


@full_precision()
def kept_gradient(loss: LossFn, params: Params) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return ∇L(θ) with its graph and the θ it was taken at, a tensor for each block, and L(θ)."""
    check_finite(params, "the curvature of L")
    with torch.inference_mode(False), torch.enable_grad(), _in_one_sentence():
        theta = {k: as_ordinary(b).detach().requires_grad_() for k, b in params.items()}
        blocks, value = list(theta.values()), loss(theta)
        _check_differentiable(value)
        g = torch.autograd.grad(value, blocks, create_graph=True, materialize_grads=True)
    if not bool(torch.isfinite(flat(g)).all()):
        raise ValueError(
            f"the curvature of L needs a finite gradient, got L = {value.item()} with NaN or "
            "infinite slopes: the loss overflows at these parameters."
        )
    return list(g), blocks, value


def kept_product(g: list[Tensor], blocks: list[Tensor]) -> Product:
    """Return v ↦ ∇⟨g, v⟩, where g is the gradient with its graph, one tensor for each block."""
    n = sum(block.numel() for block in blocks)

    def product(v: Tensor) -> Tensor:
        if v.shape[-1:] != (n,) or v.ndim > 2:
            raise ValueError(
                f"a Hessian-vector product needs v of shape ({n},) or (m, {n}), "
                f"got {tuple(v.shape)}: one entry for each parameter."
            )
        if v.ndim == 2 and n > SMALL:
            return torch.stack([_pulled_back(g, blocks, row) for row in v])
        return _pulled_back(g, blocks, v)

    return product


@full_precision()
def _pulled_back(g: list[Tensor], blocks: list[Tensor], v: Tensor) -> Tensor:
    """Return ∇⟨g, v⟩ for v (n,), or (m, n): a block where v is zero takes no part, and saves."""
    lead, lengths = v.shape[:-1], [block.numel() for block in blocks]
    parts = v.split(lengths, dim=-1)
    moves = torch.stack([part.any() for part in parts]).tolist()  # one wait for a GPU, not many
    used = [i for i, g_b in enumerate(g) if moves[i] and g_b.requires_grad]
    if not used:  # v = 0, or L is linear in θ
        return torch.zeros_like(v)
    outputs, cotangents = zip(*[(g[i], parts[i].reshape(lead + g[i].shape)) for i in used])
    how = dict(retain_graph=True, is_grads_batched=v.ndim == 2, allow_unused=True)
    with torch.inference_mode(False), _in_one_sentence():
        Hv = torch.autograd.grad(outputs, blocks, cotangents, **how)
    images = [0 * part if h is None else h.reshape(part.shape) for h, part in zip(Hv, parts)]
    Hv = torch.cat(images, dim=-1)
    if not (isfinite(Hv.sum()) or bool(Hv.isfinite().all())):  # a sum is cheap, but may overflow
        bad = int((~Hv.isfinite()).sum())
        raise ValueError(
            f"a Hessian-vector product needs second derivatives at θ, got {bad} NaN or infinite "
            "entries: L bends without bound there, as a norm does at 0."
        )
    return Hv


def flat(g: Sequence[Tensor]) -> Tensor:
    """Return the blocks of a gradient as one vector (n,), without their graph."""
    return torch.cat([block.detach().reshape(-1) for block in g])


def _check_differentiable(value: Any) -> None:
    if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
        shape = f" {value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        raise ValueError(
            "the curvature of L needs a loss that returns one real number as a tensor, got "
            f"{type(value).__name__}{shape}: there is one slope for each parameter."
        )
    if not value.requires_grad:
        raise ValueError(
            f"the curvature of L needs a loss that can be differentiated, got {value} without a "
            "gradient: something between θ and L is detached or rounds."
        )


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Say in one sentence which step torch cannot differentiate (twice); let other errors be."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).splitlines()[0].rstrip(".")
        if not re.search(r"derivative|differentiat|double backward|heckpoint|nference", said):
            raise
        raise ValueError(
            "the curvature of L needs two derivatives of each step, got a step without: "
            f"{said}; write this step in plain operations."
        ) from error
