"""One loss on several processes: under `torchrun` each holds a share of the data.

The loss is a mean over examples, so a gradient and a Hessian-vector product are sums over shares:
each worker computes its own and one all-reduce adds them up. The same calls work alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

from helpers.nets._params import LossFn

PATIENCE = timedelta(seconds=45)  # how long to wait for a worker that does not answer


def place() -> tuple[int, int]:
    """Return (rank, workers): which of how many processes this one is; (0, 1) when alone.

    Joins the others on the first call, over NCCL where each process has a GPU, else over gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not dist.is_available():
        return 0, 1
    if not dist.is_initialized():
        gpus = torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        dist.init_process_group("nccl" if gpus else "gloo", timeout=PATIENCE)
    return dist.get_rank(), dist.get_world_size()


def is_in_pieces(loss: LossFn) -> bool:
    """Return whether a product with this loss is a sum: over batches, or over workers."""
    return hasattr(loss, "parts") or place()[1] > 1


def pieces(loss: LossFn) -> Iterator[tuple[float, LossFn]]:
    """Yield this worker's terms (w, part) of L = Σ w · part, the sum over all workers.

    A loss over a loader comes in its batches, of which this worker takes every `workers`-th; a
    loss on tensors is cut into one share for each worker.

    Raises:
        ValueError: several workers, and a loss without data to share.
    """
    rank, workers = place()
    if hasattr(loss, "parts"):
        yield from (part for i, part in enumerate(loss.parts()) if i % workers == rank)
    elif workers == 1:
        yield 1.0, loss
    elif hasattr(loss, "X") and hasattr(loss, "y"):
        share = replace(loss, X=loss.X[rank::workers], y=loss.y[rank::workers])
        if len(share.X):
            yield len(share.X) / len(loss.X), share
    else:
        raise ValueError(
            f"{workers} workers need a loss with data X and y to share, got "
            f"{type(loss).__name__}: otherwise each would measure all of it."
        )


def add_up(term: Tensor) -> Tensor:
    """Return the sum of `term` over all workers, the same tensor on each.

    Raises:
        RuntimeError: a worker that died or did not answer in time.
    """
    if place()[1] == 1:
        return term
    total = term.contiguous().clone()
    try:
        dist.all_reduce(total)
    except RuntimeError as error:
        raise RuntimeError(
            f"a sum over workers needs all {place()[1]}, and one did not answer within "
            f"{PATIENCE.seconds} s: {str(error).splitlines()[0]}"
        ) from error
    return total
