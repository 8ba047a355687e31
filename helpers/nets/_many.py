"""Many small nets at once: one product trains a whole group, each with a step size of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.nets._nets import init_net, relu_net
from helpers.nets._params import Params


@dataclass(frozen=True)
class Many:
    """m nets of one shape, each as it first fell below the target; net i is entry i of a block."""

    params: Params  # θ_k (m, in, out) at the end; as at the start if it never did
    start: Params  # θ_k (m, in, out) before training
    loss: Tensor  # (m,) training loss at the end; nan for a net that did not get there


def train_many(
    X: Tensor,
    y: Tensor,
    widths: Sequence[int],
    *,
    lr: Tensor,
    decay: Tensor,
    batch: int,
    target: float,
    epochs: int,
    generator: torch.Generator,
) -> Many:
    """Return m bias-free ReLU nets trained by SGD until the cross-entropy on X (N, d) is < target.

    Each net has its own `lr` (m,) and weight `decay` (m,), its own start and its own order of
    batches; momentum is 0.9. A net stops after the first epoch that ends below the target.

    Raises:
        ValueError: different numbers of decays and step sizes, or a batch larger than the data.
    """
    _check(X, lr, decay, batch)
    lr, decay = lr.to(X), decay.to(X)
    new = {"generator": generator, "dtype": X.dtype, "device": X.device}
    starts = [init_net(widths, **new) for _ in lr]
    start = nets = {name: torch.stack([one[name] for one in starts]) for name in starts[0]}
    end = {name: block.clone() for name, block in start.items()}
    speed = {name: torch.zeros_like(block) for name, block in start.items()}
    loss, left = torch.full_like(lr, torch.nan), torch.arange(len(lr), device=X.device)
    for _ in range(epochs):
        nets, speed = _epoch(nets, speed, X, y, lr[left], decay[left], batch, generator)
        value = _losses(nets, X.expand(len(left), -1, -1), y.expand(len(left), -1)).detach()
        done, stay = value < target, ~(value < target) & value.isfinite()
        for name, block in nets.items():
            end[name][left[done]] = block[done]
        loss[left[done]], left = value[done], left[stay]
        nets, speed = ({name: w[stay] for name, w in part.items()} for part in (nets, speed))
        if not len(left):
            break
    return Many(end, start, loss)


def _losses(nets: Params, X: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(relu_net(nets, X).mT, y, reduction="none").mean(1)  # (m,)


def _epoch(nets, speed, X, y, lr, decay, batch, generator):
    dice = torch.rand(len(lr), len(X), generator=generator, device=generator.device)
    order = dice.argsort(1).to(X.device)  # one for each net
    lr, decay = lr[:, None, None], decay[:, None, None]
    for rows in order.split(batch, dim=1):
        leaves = {name: block.detach().requires_grad_() for name, block in nets.items()}
        slopes = torch.autograd.grad(_losses(leaves, X[rows], y[rows]).sum(), [*leaves.values()])
        for (name, block), slope in zip(nets.items(), slopes, strict=True):
            speed[name] = 0.9 * speed[name] + slope + decay * block
            nets = {**nets, name: block - lr * speed[name]}
    return nets, speed


def _check(X, lr, decay, batch):
    if lr.shape != decay.shape or not 0 < batch <= len(X):
        raise ValueError(
            f"train_many needs a decay for each lr and a batch of 1 to {len(X)}, got {len(lr)} lr, "
            f"{len(decay)} decays and a batch of {batch}: each net has its own decay."
        )
