"""A loss over a `DataLoader` that need not fit into memory: one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import RandomSampler

from helpers.nets._params import Net, Params


@dataclass(frozen=True)
class LoaderLoss:
    """L(θ) = mean_i ℓ(f(θ, x_i), y_i) over all the batches of a loader, each seen in every pass."""

    f: Net
    loader: Any  # yields (X, y), the same batches in every pass
    criterion: Callable[[Tensor, Tensor], Tensor]  # mean of ℓ over the rows of a batch
    prints: list[tuple] = field(repr=False)  # what each batch looked like in the first pass
    examples: int

    def __call__(self, params: Params) -> Tensor:
        """Return L(θ), 0-dim. Differentiating this keeps every batch: products use `parts`."""
        return sum(weight * part(params) for weight, part in self.parts())

    def parts(self) -> Iterator[tuple[float, Callable[[Params], Tensor]]]:
        """Yield (w, L_b) for each batch b, with L = Σ w L_b and w its share of the examples."""
        seen = 0
        for seen, (X, y) in enumerate(self.loader, start=1):
            if seen > len(self.prints) or _print(X, y) != self.prints[seen - 1]:
                raise _changed(seen)
            yield len(X) / self.examples, _batch_loss(self, X, y)
        if seen < len(self.prints):
            raise _changed(seen + 1)


def over_loader(
    f: Net,
    loader: Any,
    criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> LoaderLoss:
    """Return the mean of `criterion` over all examples of `loader`, for every measure of curvature.

    Batches are weighted by their sizes, so a short last one counts as it should. Gradients and
    products add up over the batches, each with its own graph: memory stays that of one batch, and
    a product costs about three gradients instead of two. Reads the loader once to check it.

    Raises:
        ValueError: an empty loader, one that shuffles or drops examples, NaN or infinite data;
            later, batches that differ from the first pass, or a criterion that is not a mean.
    """
    _check_order(loader)
    prints, examples = [], 0
    for X, y in loader:
        if not bool(torch.isfinite(X).all() and torch.isfinite(y).all()):
            raise ValueError(
                f"over_loader needs finite data, got NaN or infinite entries in batch "
                f"{len(prints) + 1}: the loss would be NaN everywhere."
            )
        prints.append(_print(X, y))
        examples += len(X)
    if not examples:
        raise ValueError("over_loader needs at least one example, got an empty loader: a mean.")
    return LoaderLoss(f, loader, criterion, prints, examples)


def _batch_loss(loss: LoaderLoss, X: Tensor, y: Tensor) -> Callable[[Params], Tensor]:
    def part(params: Params) -> Tensor:
        device = next(iter(params.values())).device
        outputs, targets = loss.f(params, X.to(device)), y.to(device)
        value = loss.criterion(outputs, targets)
        _check_mean(loss.criterion, value, outputs.detach(), targets)
        return value

    return part


def _print(X: Tensor, y: Tensor) -> tuple:
    """Return a few numbers that change when examples change places, batches or values."""
    flat = X.reshape(len(X), -1).double()
    place = torch.arange(1, len(X) + 1, dtype=torch.float64, device=X.device)
    rows = flat.sum(1) + y.reshape(len(y), -1).double().sum(1).to(X.device)
    return len(X), float(rows @ place)


def _check_order(loader: Any) -> None:
    if isinstance(getattr(loader, "sampler", None), RandomSampler):
        raise ValueError(
            "over_loader needs the same batches in every pass, got a loader with shuffle=True: "
            "products would not be of one matrix."
        )
    left = len(loader.dataset) % loader.batch_size if getattr(loader, "drop_last", False) else 0
    if left:
        raise ValueError(
            f"over_loader needs every example, got drop_last=True, which leaves out {left}: "
            "the loss is a mean over all of them."
        )


def _check_mean(criterion: Callable, value: Tensor, outputs: Tensor, y: Tensor) -> None:
    with torch.no_grad():
        value = value.detach()
        twice = criterion(torch.cat([outputs, outputs]), torch.cat([y, y]))
    if value.ndim or not torch.isclose(twice, value, rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"over_loader needs a criterion that is a mean over rows, got {float(value.sum()):.4g} "
            f"for a batch and {float(twice.sum()):.4g} for the batch twice: use reduction='mean'."
        )


def _changed(batch: int) -> ValueError:
    return ValueError(
        f"over_loader needs the same batches in every pass, got another batch {batch} than in the "
        "first pass: products would not be of one matrix."
    )
