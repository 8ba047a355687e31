"""One worker against two, one thread each: `python -m benchmarks.workers`.

The same script runs under torchrun; each worker computes its share of the Hessian-vector products.
Needs two idle cores to say anything.
"""

import os
import statistics
import subprocess
import sys
import time

import torch

from benchmarks.problems import mlp
from helpers import hessian_operator


def worker():
    """Time twenty products with this worker's share of the data; the first worker reports."""
    torch.set_num_threads(1)
    problem = mlp("mlp 300k")
    product, v = hessian_operator(problem.loss, problem.params), torch.randn(problem.size)
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        product(v)
        times.append(time.perf_counter() - begin)
    if os.environ.get("RANK", "0") == "0":
        print(1e3 * statistics.median(times), flush=True)


def milliseconds(count):
    """Milliseconds of a product with this many workers, each a process with one thread."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, f"--nproc-per-node={count}", "-m", "benchmarks.workers"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, check=True, env=one_thread, stdout=subprocess.PIPE, text=True)
    return float(ran.stdout)


def main():
    if os.environ.get("WORLD_SIZE"):
        return worker()
    rounds = [(milliseconds(1), milliseconds(2)) for _ in range(5)]  # interleaved
    one, two = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"one worker {one:.0f} ms a product, two {two:.0f} ms: a factor of {one / two:.2f}")
    return None


if __name__ == "__main__":
    main()
