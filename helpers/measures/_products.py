"""Products with the Hessian of L at θ, never the matrix itself (Pearlmutter 1994).

A product costs about two gradients once the graph of the first gradient is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measures._lanczos import Product
from helpers.measures._workers import add_up, is_in_pieces, pieces
from helpers.nets._params import LossFn, Params, check_finite, flatten

SMALL = 2000  # parameters up to which a block costs less than its vectors one by one
BLOCK = 2**22  # numbers in a block of vectors: 32 MB in float64


@dataclass(frozen=True)
class HessianOperator:
    """The map v ↦ Hess L(θ) v, and the gradient ∇L(θ) that it differentiates."""

    product: Product
    gradient: Callable[[], Tensor]

    def __call__(self, v: Tensor) -> Tensor:
        """Return Hess L(θ) v: v is (n,), or (m, n) for m products at once."""
        return self.product(v)


def gradient(loss: LossFn, params: Params) -> Tensor:
    """Return ∇L(θ) as a flat vector, shape (n,). Cost: one gradient."""
    if is_in_pieces(loss):
        terms = (w * _flat(_kept_gradient(part, params)[0]) for w, part in pieces(loss))
        return add_up(sum(terms, torch.zeros_like(flatten(params))))
    return _flat(_kept_gradient(loss, params)[0])


def hvp(loss: LossFn, params: Params, v: Tensor) -> Tensor:
    """Return Hess L(θ) v for a flat direction v, shape (n,). Cost: about three gradients."""
    return hessian_operator(loss, params)(v)


def hessian_operator(loss: LossFn, params: Params) -> HessianOperator:
    """Return the map v ↦ Hess L(θ) v; v is (n,), or (m, n) for m products at once.

    Hess L(θ) v = ∇_θ ⟨∇L(θ), v⟩: the graph of the gradient is made once and kept, so that each
    further product costs about two gradients. In ReLU nets this is the Hessian of the piece of L
    that θ lies in; kinks carry no curvature that automatic differentiation could see. A loss over a
    loader or on several workers adds up its pieces instead, and keeps no batch in memory.

    Raises:
        ValueError: non-finite θ or gradient, no gradient at all, or a v of the wrong shape.
    """
    if is_in_pieces(loss):
        return HessianOperator(_summed_product(loss, params), lambda: gradient(loss, params))
    g, blocks = _kept_gradient(loss, params)
    return HessianOperator(_kept_product(g, blocks), lambda: _flat(g))


def _summed_product(loss: LossFn, params: Params) -> Product:
    """Return v ↦ Σ w · Hess(part) v, over the batches of a loader and over the workers."""

    def once(part: LossFn) -> Product:
        return _kept_product(*_kept_gradient(part, params))

    kept = None
    if not hasattr(loss, "parts"):  # one share of tensors: its graph fits, and stays
        kept = [(w, once(part)) for w, part in pieces(loss)]

    def product(v: Tensor) -> Tensor:
        if kept is not None:
            terms = (w * H(v) for w, H in kept)
        else:  # a batch's graph is gone before the next is made
            terms = (w * once(part)(v) for w, part in pieces(loss))
        return add_up(sum(terms, torch.zeros_like(v)))

    return product


def _kept_product(g: list[Tensor], blocks: list[Tensor]) -> Product:
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


def _pulled_back(g: list[Tensor], blocks: list[Tensor], v: Tensor) -> Tensor:
    """Return ∇⟨g, v⟩ for v (n,), or (m, n): a block where v is zero takes no part, and saves."""
    lead, lengths = v.shape[:-1], [block.numel() for block in blocks]
    parts = v.split(lengths, dim=-1)
    moves = torch.stack([part.any() for part in parts]).tolist()  # one wait for a GPU, not many
    used = [i for i, g_b in enumerate(g) if moves[i] and g_b.requires_grad]
    if not used:  # v = 0, or L is linear in θ
        return torch.zeros_like(v)
    outputs, cotangents = zip(*[(g[i], parts[i].reshape(lead + g[i].shape)) for i in used])
    Hv = torch.autograd.grad(
        *(outputs, blocks, cotangents),
        retain_graph=True,
        is_grads_batched=v.ndim == 2,
        allow_unused=True,
    )
    flat = [0 * part if h is None else h.reshape(part.shape) for h, part in zip(Hv, parts)]
    return torch.cat(flat, dim=-1)


def _kept_gradient(loss: LossFn, params: Params) -> tuple[list[Tensor], list[Tensor]]:
    """Return ∇L(θ) with its graph and the θ it was taken at, each as one tensor for each block."""
    check_finite(params, "the curvature of L")
    theta = {name: block.detach().requires_grad_() for name, block in params.items()}
    blocks = list(theta.values())
    with torch.enable_grad():
        value = loss(theta)
        _check_differentiable(value)
        g = torch.autograd.grad(value, blocks, create_graph=True, materialize_grads=True)
    if not bool(torch.isfinite(_flat(g)).all()):
        raise ValueError(
            f"the curvature of L needs a finite gradient, got L = {value.item()} with NaN or "
            "infinite slopes: the loss overflows at these parameters."
        )
    return list(g), blocks


def _flat(g: Sequence[Tensor]) -> Tensor:
    return torch.cat([block.detach().reshape(-1) for block in g])


def _check_differentiable(value: Tensor) -> None:
    if not value.requires_grad:
        raise ValueError(
            f"the curvature of L needs a loss that can be differentiated, got {value} without a "
            "gradient: something between θ and L is detached or rounds."
        )


def dense_hessian(loss: LossFn, params: Params) -> Tensor:
    """Return Hess L(θ), symmetric, shape (n, n). Cost: about 2n gradients and n² numbers."""
    product = hessian_operator(loss, params)
    H = torch.cat([product(rows) for rows in unit_blocks(flatten(params))])
    return (H + H.T) / 2


def unit_blocks(like: Tensor) -> Iterator[Tensor]:
    """Yield the rows of the n × n unit matrix in blocks (m, n), of the type of `like` (n,)."""
    n = len(like)
    for rows in torch.arange(n, device=like.device).split(block_size(n)):
        block = like.new_zeros(len(rows), n)
        yield block.scatter_(1, rows[:, None], 1)


def block_size(n: int) -> int:
    """Return how many vectors of length n to multiply at once: 64, or fewer for lack of memory."""
    return max(1, min(64, BLOCK // n))
