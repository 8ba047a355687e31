"""A loss over a `DataLoader` that need not fit into memory: one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten
from torch.utils.data import IterableDataset, RandomSampler

from helpers.nets._losses import Loss, by_rows, checked_data
from helpers.nets._params import Net, Params


@dataclass(frozen=True)
class LoaderLoss:
    """L(θ) = mean_i ℓ(f(θ, x_i), y_i) over all the batches of a loader, each seen in every pass."""

    f: Net
    loader: Any  # yields (X, y), the same batches in every pass; X as in `squared_error`
    criterion: Callable[[Tensor, Tensor], Tensor]  # mean of ℓ over the rows of a batch
    fingerprints: list[tuple] = field(repr=False)  # what each batch looked like in the first pass
    examples: int

    def __call__(self, params: Params) -> Tensor:
        """Return L(θ), 0-dim. Differentiating this keeps every batch: products use `parts`."""
        return sum(weight * part(params) for weight, part in self.parts())

    def parts(self) -> Iterator[tuple[float, Loss]]:
        """Yield (w, L_b) for each batch b, with L = Σ w L_b and w its share of the examples."""
        seen, criterion = 0, _checked_mean(self.criterion)
        for seen, batch in enumerate(self.loader, start=1):
            X, y = _pair(batch, seen)
            if seen > len(self.fingerprints) or _fingerprint(X, y) != self.fingerprints[seen - 1]:
                raise _changed(seen)
            yield len(y) / self.examples, Loss(*by_rows(self.f, X), y, criterion)
        if seen < len(self.fingerprints):
            raise _changed(seen + 1)


def over_loader(
    f: Net, loader: Any, criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
) -> LoaderLoss:
    """Return the mean of `criterion` over all examples of `loader`, for every measure of curvature.

    Batches are weighted by their sizes, so a short last one counts as it should. Gradients and
    products add up over the batches, each with its own graph: memory stays that of one batch, and
    a product costs about three gradients instead of two. Each batch is a pair (X, y), with a tuple
    or a dict of tensors as X where f takes several inputs. Reads the loader once to check it.

    Raises:
        ValueError: an empty loader, one that shuffles or drops examples, NaN or infinite data;
            later, batches that differ from the first pass, or a criterion that is not a mean.
    """
    _check_order(loader)
    _check_all(loader)
    fingerprints, examples = [], 0
    for X, y in (_pair(batch, k) for k, batch in enumerate(loader, start=1)):
        fingerprints.append(_fingerprint(X, y))
        examples += len(y)
    if not examples:
        raise ValueError("over_loader needs an example, got an empty loader: the loss is a mean.")
    _check_all(loader, len(fingerprints))
    return LoaderLoss(f, loader, criterion, fingerprints, examples)


def _pair(batch: Any, number: int) -> tuple[Any, Tensor]:
    data = batch if isinstance(batch, (tuple, list)) else [batch]
    return checked_data(f"batch {number} of over_loader", *data)


def _fingerprint(*data: Any) -> list[tuple]:
    """Return what changes when any value changes or moves: shape, type, and a digest."""
    values, box = tree_flatten(data)
    arrays = [t.detach().cpu().contiguous() for t in values]
    digests = [blake2b(t.view(torch.uint8).numpy()).digest() for t in arrays]
    return [(box, t.shape, t.dtype, digest) for t, digest in zip(arrays, digests, strict=True)]


def _check_order(loader: Any) -> None:
    if isinstance(getattr(loader, "sampler", None), RandomSampler):
        raise ValueError(
            "over_loader needs the same batches in every pass, got a loader with shuffle=True: "
            "the products would belong to different matrices."
        )


def _check_all(loader: Any, read: int | None = None) -> None:
    """Refuse a loader that drops rows: by their number beforehand, by that of its batches after."""
    own = getattr(loader, "batch_sampler", None)
    batches, data = loader if own is None else own, getattr(loader, "dataset", None)
    if not getattr(batches, "drop_last", False):
        return
    rows, left = getattr(batches, "sampler", data if own is None else None), "perhaps some"
    rows = data if isinstance(data, IterableDataset) else rows
    with suppress(TypeError, AttributeError):  # of a stream, or of batches of any size
        n, size = len(rows), batches.batch_size
        left = max(0, n - size * (n // size if read is None else read))
    if left:
        raise ValueError(
            f"over_loader needs every example, got drop_last=True, which leaves out {left}: "
            "the loss is a mean over all of them."
        )


def _checked_mean(criterion: Callable) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the criterion, refused where its value on two batches together is not their mean.

    Each batch is tried together with the first; the first is split into halves (one row: doubled).
    """
    first = []

    def checked(outputs: Tensor, y: Tensor) -> Tensor:
        value, rows = criterion(outputs, y), (outputs.detach(), y)
        if first and all(a.shape[1:] == b.shape[1:] for a, b in zip(first, rows, strict=True)):
            parts = first, rows
        else:
            half = len(y) // 2
            parts = zip(*(t.split([half, len(y) - half]) for t in rows)) if half else (rows, rows)
        _check_mean(criterion, torch.as_tensor(value), list(parts))
        first.extend(rows if not first else ())
        return value

    return checked


def _check_mean(criterion: Callable, value: Tensor, parts: Sequence[Sequence[Tensor]]) -> None:
    with torch.no_grad():
        n = sum(len(y) for _, y in parts)
        means = [torch.as_tensor(criterion(outputs, y)).mean() for outputs, y in parts]
        mean = sum(len(y) / n * value for value, (_, y) in zip(means, parts))
        together = torch.as_tensor(criterion(*map(torch.cat, zip(*parts)))).mean()
    eps = torch.finfo(together.dtype).eps
    if value.ndim or not torch.isclose(together, mean, rtol=eps**0.75, atol=10 * eps):
        raise ValueError(
            "over_loader needs a criterion that is a mean over rows, got a value of shape "
            f"{tuple(value.shape)}, {float(together):.6g} for rows together and {float(mean):.6g} "
            "in two parts: take reduction='mean' without weights, ignored targets or pairs, or "
            "average reduction='none' yourself: with weights, torch's mean divides by their sum."
        )


def _changed(batch: int) -> ValueError:
    return ValueError(
        f"over_loader needs the same batches in every pass, got another batch {batch} in place of "
        "the first pass's: the products would belong to different matrices."
    )
