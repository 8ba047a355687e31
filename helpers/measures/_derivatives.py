"""Whether torch's derivatives of a loss are those of the loss: tried once for each kind of graph.

Some steps have a derivative that is wrong, cut off or set to zero, and torch does not say so. The
book's own nets have none of them, and are not tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from helpers.measures._graph import flat, kept_gradient, kept_product
from helpers.nets._losses import Loss
from helpers.nets._params import LossFn, Net, Params, finest, flatten, perturb

ROWS = 4  # examples that a derivative is tried on
HALVINGS, ENOUGH = 16, 0.1  # of θ, until a step as long as θ changes L that much by bending


def checked_gradient(loss: LossFn, params: Params) -> tuple[list[Tensor], list[Tensor]]:
    """Return ∇L(θ) with its graph and the θ it was taken at, each as one tensor for each block.

    If a module takes part for the first time in such steps, if a step has a derivative of its own,
    or if a slope is declared constant, gradient and Hessian are first compared with differences: a
    few gradients and products, on a few examples.

    Raises:
        ValueError: they do not agree.
    """
    g, blocks, value = kept_gradient(loss, params)
    new, own = _untried(value)
    if new or own or not all(g_b.requires_grad for g_b in g):
        _check(*_exact(loss, params))
        for net, kind in new:
            net.checked.add(kind)
    return g, blocks


def check_outputs(outputs: Tensor, f: Net, params: Params, X: Tensor) -> None:
    """Check the derivatives of `outputs`, f(θ, X) with its graph, as those of a loss are.

    Raises:
        ValueError: a step whose stated derivative is wrong.
    """
    if any(_untried(outputs)):
        checked_gradient(Loss(f, X, X, lambda outputs, _: outputs.square().mean()), params)


def _untried(value: Tensor) -> tuple[list, bool]:
    """Return modules with their kind of graph, if it is new, and whether a step has its own slope.

    Two graphs are of one kind if they have each step equally often: one with a part that is
    detached is of another.
    """
    nodes = _nodes(value)
    nets = {node.metadata["net"] for node in nodes if "net" in node.metadata}
    steps = frozenset(Counter(node.name() for node in nodes).items())
    kinds = [(net, (steps, *(net.probed or ()))) for net in nets]
    own = any(isinstance(node, BackwardCFunction) for node in nodes)
    return [(net, kind) for net, kind in kinds if kind not in net.checked], own


def _nodes(value: Tensor) -> set[Node]:
    """Return the steps in the graph of L."""
    seen, todo = set(), [value.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [before for before, _ in node.next_functions]
    return seen


def _rounding(loss: LossFn, params: Params) -> float:
    """Return the eps of the coarsest type that a step of L computes in, whatever L's own is."""
    value = kept_gradient(loss, params)[2]
    dtypes = {out.dtype for node in _nodes(value) for out in getattr(node, "_input_metadata", ())}
    return max(torch.finfo(t).eps for t in {value.dtype, *dtypes} if t.is_floating_point)


def _exact(loss: LossFn, params: Params) -> tuple[LossFn, Params]:
    """Return the loss on a few examples near θ in float64, as far as that is possible."""
    near = _near(params)
    for L in _fewer(loss):
        for p in ({name: finest(block) for name, block in near.items()}, near):
            try:
                if bool(L(p).isfinite()):
                    return L, _where_it_bends(L, p)
            except (RuntimeError, ValueError, TypeError, IndexError):  # it cannot be had like that
                continue
    return loss, params


def _fewer(loss: LossFn) -> Iterator[LossFn]:
    """Yield the loss in float64 on a few examples, in float64 on all, and as it is."""
    if isinstance(loss, Loss):
        X, y = (finest(t) if t.is_floating_point() else t for t in (loss.X, loss.y))
        yield replace(loss, X=X[:ROWS], y=y[:ROWS])
        yield replace(loss, X=X, y=y)
    yield loss


def _near(params: Params) -> Params:
    """Return θ moved by a hundredth, so that no unit lies on its kink, as with biases of zero."""
    noise = _directions(params, seed=0)
    moved = {}
    for name, block in params.items():
        at = block.detach()
        moved[name] = at + 0.01 * torch.where(at == 0, noise[name], at * noise[name].sign())
    return moved


def _where_it_bends(loss: LossFn, params: Params) -> Params:
    """Return θ if L bends there, otherwise the one of θ/2, θ/4, … where it bends most.

    Where a softmax is sure of each answer slopes are 1e-20, and differences see only rounding.
    """
    most, best = 0.0, params
    for halvings in range(HALVINGS):
        p = {name: block / 2**halvings for name, block in params.items()}
        v = flatten(_directions(p, seed=1))
        bend = float(v.abs() @ kept_product(*kept_gradient(loss, p)[:2])(v).abs())
        if bend > most:
            most, best = bend, p
        if bend > ENOUGH:
            break
    return best


def _directions(params: Params, seed: int) -> Params:
    """Return a random direction that moves each block in proportion to its own size."""
    generator, v = torch.Generator().manual_seed(seed), {}
    for name, block in params.items():
        size = finest(block.detach()).square().mean().sqrt().to(block)
        noise = torch.randn(block.shape, generator=generator).to(block)
        v[name] = noise * torch.where(size > 0, size, torch.ones_like(size))
    return v


def _check(loss: LossFn, params: Params) -> None:
    """Compare ∇L with differences of L, and Hess L with its transpose and differences of ∇L."""
    u, v = (flatten(_directions(params, seed)) for seed in (1, 2))
    rounding = _rounding(loss, params)
    _, g, Hu, Hv = here = _along(loss, params, u, v)
    beside = _along(loss, perturb(params, v, 16 * rounding), u, v)  # so near that all is rounding
    _, off, *offs = [(there - at).abs() for there, at in zip(beside, here)]
    scale = rounding**0.25 * ((v * Hu).abs().sum() + (u * Hv).abs().sum())
    askew = (v @ Hu - u @ Hv).abs() > scale + 10 * (v.abs() @ offs[0] + u.abs() @ offs[1])
    floor = 100 * rounding * g.abs() + 30 * off  # of the slopes
    # the second step is shorter: it misses some kinks, and takes the slopes between the others
    for h, points in ((rounding**0.5, 1), (rounding**0.5625, 64)):
        at = (loss, params, v, h, points, g, Hv, rounding, floor)
        if not (wrong := "second" if askew else _wrong_along(*at)):
            return
    raise ValueError(
        f"the curvature of L needs derivatives that are those of L, got a {wrong} derivative that "
        "differences contradict: some step defines a wrong one or is cut off, as by detach, by a "
        "straight-through estimator or by a gradient checkpoint; turn that off."
    )


def _wrong_along(loss, params, v: Tensor, h: float, points, g, Hv, rounding: float, floor) -> str:
    """Return which derivative along v is not a difference over 2h, "" if both are.

    L's difference is compared with the mean of its slopes at `points` places on the way. Hess L is
    judged in float64 only: a step that is long enough for float32 would meet too many kinks.
    """
    (up, g_up), (down, g_down) = (_along(loss, perturb(params, v, t)) for t in (h, -h))
    way = (h * ((2 * j + 1) / points - 1) for j in range(points))
    slope = sum(_along(loss, perturb(params, v, t))[1] @ v for t in way) / points
    least = 10 * rounding * (up.abs() + down.abs()) / h
    if ((up - down) / (2 * h) - slope).abs() > rounding**0.25 * (g * v).abs().sum() + least:
        return "first"
    sizes = [block.numel() for block in params.values()]
    vectors = ((g_up - g_down) / (2 * h) - Hv, Hv, floor / h)
    off, true, least = (torch.stack([b.norm() for b in w.split(sizes)]) for w in vectors)
    allowed = rounding**0.25 * (true + Hv.norm() / 100) + least
    return "second" if rounding < 1e-15 and bool((off > allowed).any()) else ""


def _along(loss: LossFn, params: Params, *directions: Tensor) -> list[Tensor]:
    """Return L, ∇L and the products of Hess L with some directions."""
    g, blocks, value = kept_gradient(loss, params)
    return [value.detach(), flat(g), *map(kept_product(g, blocks), directions)]
