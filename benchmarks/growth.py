"""Memory and time of one product as the net and the data grow: `python -m benchmarks.growth`.

Each size runs in a process of its own, so that the peak is its own; what Python and torch take
before the product starts is subtracted.
"""

import resource
import subprocess
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

from helpers import flatten, hvp, init_net, over_loader, relu_net

BATCH = 256
WIDTHS = {"1k": 14, "10k": 70, "100k": 280, "1M": 960, "10M": 3100}


class Made(Dataset):
    """Examples that are made when they are asked for: as many as you like, none in memory."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return torch.randn(64, generator=torch.Generator().manual_seed(i)), i % 10


def one(width, batches):
    """Print the megabytes and the seconds of one product at this size."""
    torch.set_num_threads(1)
    params = init_net([64, width, width, 10], generator=torch.Generator(), dtype=torch.float32)
    loss = over_loader(relu_net, DataLoader(Made(batches * BATCH), batch_size=BATCH))
    v = torch.ones_like(flatten(params))
    before, begin = peak(), time.perf_counter()
    hvp(loss, params, v)
    spent = time.perf_counter() - begin
    print(f"| {len(v):,} | {batches} | {peak() - before:.0f} | {spent:.2f} |", flush=True)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    if len(sys.argv) > 1:
        return one(*map(int, sys.argv[1:]))
    print(
        "| parameters | batches of 256 | MB above the start | seconds |\n|---|---|---|---|",
        flush=True,
    )
    sizes = [(width, 1) for width in WIDTHS.values()] + [(WIDTHS["100k"], n) for n in (10, 100)]
    for width, batches in sizes:
        command = [sys.executable, "-m", "benchmarks.growth", str(width), str(batches)]
        subprocess.run(command, check=True)
    return None


if __name__ == "__main__":
    main()
