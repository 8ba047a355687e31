"""The kept graph of a gradient, and products with the Hessian from it; neither is checked here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite

import torch
from torch import Tensor

from helpers.measures._lanczos import Product
from helpers.nets._losses import check_value
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
        check_value("the curvature of L", value)
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
        rows = v if v.ndim == 2 and n > SMALL else v[None]  # one by one, or the block at once
        parts = rows.split([block.numel() for block in blocks], dim=-1)
        moved = torch.stack([part.flatten(1).any(1) for part in parts], 1).tolist()
        each = zip(zip(*parts, strict=True), moved, strict=True)
        Hv = torch.stack([_pulled_back(g, blocks, *row) for row in each]).reshape(v.shape)
        _check_second(Hv, v)
        return Hv

    return product


@full_precision()
def _pulled_back(
    g: list[Tensor], blocks: list[Tensor], parts: tuple[Tensor, ...], moved: list[bool]
) -> Tensor:
    """Return ∇⟨g, v⟩ for the parts of v, (n_b,) or (m, n_b): where v is zero it costs nothing."""
    lead = parts[0].shape[:-1]
    used = [i for i, g_b in enumerate(g) if moved[i] and g_b.requires_grad]
    if not used:  # v = 0, or L is linear in θ
        return 0 * torch.cat(parts, dim=-1)
    outputs, cotangents = zip(*[(g[i], parts[i].reshape(lead + g[i].shape)) for i in used])
    how = dict(retain_graph=True, is_grads_batched=bool(lead), allow_unused=True)
    with torch.inference_mode(False), _in_one_sentence():
        Hv = torch.autograd.grad(outputs, blocks, cotangents, **how)
    images = [0 * part if h is None else h.reshape(part.shape) for h, part in zip(Hv, parts)]
    return torch.cat(images, dim=-1)


def _check_second(Hv: Tensor, v: Tensor) -> None:
    if isfinite(Hv.sum()) or bool(Hv.isfinite().all()):  # a sum is cheap, but may overflow
        return
    if bad := int((~v.isfinite()).sum()):
        raise ValueError(
            f"a Hessian-vector product needs a finite v, got {bad} NaN or infinite entries: "
            "it has no direction."
        )
    raise ValueError(
        f"a Hessian-vector product needs second derivatives at θ, got {int((~Hv.isfinite()).sum())}"
        " NaN or infinite entries: L bends without bound there, as a norm does at 0."
    )


def flat(g: Sequence[Tensor]) -> Tensor:
    """Return the blocks of a gradient as one vector (n,), without their graph."""
    return torch.cat([block.detach().reshape(-1) for block in g])


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
            "the curvature of L needs two derivatives of each step, got one that lacks them: "
            f"{said}; write this step in plain operations."
        ) from error
