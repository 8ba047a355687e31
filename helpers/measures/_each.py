"""One function of many rows: all at once where torch can, else one after the other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap


def each(function: Callable[..., Tensor], *rows: Tensor, chunk: int = 512) -> Tensor:
    """Return function(row) for each row of `rows`, stacked; several `rows` go side by side.

    The first row is taken alone, so that what fails there fails with its own words. A layer
    without a rule for many rows, such as an LSTM, is then run row by row.
    """
    function(*(row[0] for row in rows))
    try:
        return vmap(function, chunk_size=chunk)(*rows)
    except (RuntimeError, ValueError, TypeError):
        values = [torch.as_tensor(function(*row)) for row in zip(*rows)]
        return torch.stack(values).to(rows[0].device)
