"""Products with the Hessian of L at θ, never the matrix itself (Pearlmutter 1994).

A product costs about two gradients once the graph of the first gradient is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measures._derivatives import checked_gradient
from helpers.measures._graph import flat, kept_product
from helpers.measures._lanczos import Product
from helpers.measures._workers import add_up, is_in_pieces, pieces
from helpers.nets._params import LossFn, Params, flatten

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
        terms = (w * flat(checked_gradient(part, params)[0]) for w, part in pieces(loss))
        return add_up(sum(terms, torch.zeros_like(flatten(params))))
    return flat(checked_gradient(loss, params)[0])


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
        ValueError: non-finite θ, gradient or product, no gradient at all, a v of the wrong shape,
            a step without a second derivative, or derivatives of a module that are not L's.
    """
    if is_in_pieces(loss):
        return HessianOperator(_summed_product(loss, params), lambda: gradient(loss, params))
    g, blocks = checked_gradient(loss, params)
    return HessianOperator(kept_product(g, blocks), lambda: flat(g))


def _summed_product(loss: LossFn, params: Params) -> Product:
    """Return v ↦ Σ w · Hess(part) v, over the batches of a loader and over the workers."""

    def once(part: LossFn) -> Product:
        return kept_product(*checked_gradient(part, params))

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
