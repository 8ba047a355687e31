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
from helpers.curvature import hessian_operator
from helpers.workers import place


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
    spent = statistics.median(times)
    if place()[0] == 0:
        print(f"{place()[1]} worker(s): {1e3 * spent:.1f} ms a product", flush=True)


def main():
    if os.environ.get("WORLD_SIZE"):
        return worker()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    for count in (1, 2):
        command = [*torchrun, f"--nproc-per-node={count}", "-m", "benchmarks.workers"]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return None


if __name__ == "__main__":
    main()
