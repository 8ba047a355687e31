"""Two processes measure what one does, and a process that dies is an error, not a wait.

Oracle: the same calls in this process, alone. The workers are real processes over gloo, started
as `torchrun` starts them, by their environment.
"""

import os
import socket
import subprocess
import sys
import time

import pytest
import torch

from helpers.measures._workers import add_up, pieces, place

SCRIPT = """
import sys, torch
from torch.utils.data import DataLoader, TensorDataset
from helpers import gradient, hvp, top_eigenvalues, trace
from helpers import over_loader
from helpers import cross_entropy
from helpers import init_net, relu_net
from helpers import flatten
from helpers import curvature_sweep

g = torch.Generator().manual_seed(0)
X = torch.randn(51, 6, generator=g, dtype=torch.float64)
y = torch.randint(0, 3, (51,), generator=g)
params = init_net([6, 7, 3], bias=True, generator=g)
v = torch.randn(len(flatten(params)), generator=g, dtype=torch.float64)
tensors = cross_entropy(relu_net, X, y)
batches = over_loader(relu_net, DataLoader(TensorDataset(X, y), batch_size=8))
found = []
for loss in (tensors, batches):
    found += [gradient(loss, params), hvp(loss, params, v)]
    found += [top_eigenvalues(loss, params, k=2, tol=1e-12).values]
    found += [torch.tensor([trace(loss, params).value])]
    found += [curvature_sweep(loss, params, {"theta1": 1, "theta2": -1}, [0.1, 2]).values.flatten()]
torch.save(torch.cat(found), sys.argv[1])
"""
DYING = """
import os, torch
from helpers.measures._workers import add_up, place
rank, _ = place()
add_up(torch.ones(3))
if rank == 1:
    os._exit(3)
add_up(torch.ones(3))
"""


def start(script, rank, workers, port, *arguments):
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    place = {"RANK": str(rank), "WORLD_SIZE": str(workers), "LOCAL_WORLD_SIZE": str(workers)}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **address, **place, "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def finish(processes):
    try:
        return [(p.communicate(timeout=120)[1], p.returncode) for p in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    port, results = free_port(), []
    runs = [(rank, 2, port, str(tmp_path / f"{rank}.pt")) for rank in (0, 1)]
    runs.append((0, 1, port, str(tmp_path / "alone.pt")))
    for errors, code in finish([start(SCRIPT, *run) for run in runs]):
        assert code == 0, errors
    results = [torch.load(run[-1]) for run in runs]
    assert torch.equal(results[0], results[1])
    assert float((results[0] - results[2]).abs().max()) < 1e-10


@pytest.mark.slow
def test_a_worker_that_dies_is_an_error_within_a_minute():
    begin, port = time.monotonic(), free_port()
    (errors, code), (_, died) = finish([start(DYING, rank, 2, port) for rank in (0, 1)])
    assert died == 3
    assert code == 1
    assert "a sum over workers needs all 2, and one did not answer" in errors
    assert time.monotonic() - begin < 60


def test_alone_nothing_is_shared():
    term = torch.ones(2)
    assert place() == (0, 1)
    assert add_up(term) is term
    assert list(pieces(len)) == [(1.0, len)]


def test_a_loss_without_data_cannot_be_shared(monkeypatch):
    monkeypatch.setattr("helpers.measures._workers.place", lambda: (0, 2))
    with pytest.raises(ValueError, match="2 workers need a loss with data X and y to share"):
        list(pieces(lambda params: params))
