"""Two processes measure what one does, and a process that dies is an error, not a wait.

Oracle: the same calls in this process, alone. The workers are real processes over gloo, started
as `torchrun` starts them, by their environment; who joins whom, and what is shared, is tried here
with a stand-in for torch.distributed, which plays all workers but one.
"""

import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from helpers import init_net, over_loader, relu_net, squared_error
from helpers.measures._workers import add_up, is_in_pieces, pieces, place

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


# Who joins whom, and what is shared.


class World:
    """torch.distributed, as one worker of several sees it; all of them hold the same."""

    def __init__(self, rank=1, workers=2, available=True):
        self.rank, self.workers, self.available, self.joined = rank, workers, available, []

    def is_available(self):
        return self.available

    def is_initialized(self):
        return bool(self.joined)

    def init_process_group(self, backend, timeout):
        self.joined.append((backend, timeout.total_seconds()))

    def get_rank(self):
        return self.rank

    def get_world_size(self):
        return self.workers

    def all_reduce(self, total):
        assert total.is_contiguous()
        total.mul_(self.workers)


@pytest.fixture
def enter(monkeypatch):
    """enter(world, 2, WORLD_SIZE=…): this process is one of its workers now, and has two GPUs."""

    def enter(world, gpus=0, **names):
        for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("helpers.measures._workers.dist", world)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        return world

    return enter


@pytest.mark.parametrize(
    ("available", "names"),
    [(True, {}), (True, {"WORLD_SIZE": "1"}), (False, {"WORLD_SIZE": "2"})],
)
def test_one_process_is_alone_and_joins_nobody(available, names, enter):
    world = enter(World(available=available), **names)
    assert place() == (0, 1)
    assert not world.joined


@pytest.mark.parametrize(
    ("gpus", "local", "backend"),
    [(0, "2", "gloo"), (1, "2", "gloo"), (2, "2", "nccl"), (1, None, "nccl"), (0, None, "gloo")],
)
def test_workers_join_once_and_over_gpus_where_each_has_one(gpus, local, backend, enter):
    names = {"WORLD_SIZE": "2"} | ({"LOCAL_WORLD_SIZE": local} if local else {})
    world = enter(World(), gpus, **names)
    assert place() == place() == (1, 2)
    assert world.joined == [(backend, 45.0)]  # and wait three quarters of a minute for an answer


def net_and_loss(n=7):
    generator = torch.Generator().manual_seed(0)
    params = init_net([3, 4, 2], generator=generator)
    X, y = (torch.randn(n, d, generator=generator, dtype=torch.float64) for d in (3, 2))
    return params, squared_error(relu_net, X, y)


def test_shares_and_batches_are_each_measured_by_one_worker(enter):
    params, whole = net_and_loss()
    rows = DataLoader(TensorDataset(whole.X, whole.y), batch_size=2)
    batches = over_loader(relu_net, rows, whole.criterion)
    for loss in (whole, batches):
        total, seen = 0.0, []
        for rank in range(3):
            enter(World(rank, 3), WORLD_SIZE="3")
            assert is_in_pieces(loss)
            for w, part in pieces(loss):
                total, seen = total + w * part(params), [*seen, *part.X.tolist()]
        assert float(total) == pytest.approx(float(whole(params)), rel=1e-12)
        assert sorted(seen) == sorted(whole.X.tolist())


def test_a_worker_for_whom_no_example_is_left_has_nothing_to_measure(enter):
    _, loss = net_and_loss(2)
    enter(World(2, 3), WORLD_SIZE="3")
    assert not list(pieces(loss))


def test_a_sum_leaves_its_terms_alone_and_says_who_is_missing(enter):
    world, term = enter(World(workers=3), WORLD_SIZE="3"), torch.arange(6.0).reshape(2, 3).T
    assert torch.equal(add_up(term), 3 * term)
    assert torch.equal(term, torch.arange(6.0).reshape(2, 3).T)

    def gone(total):
        raise RuntimeError("closed by peer\nand much more")

    world.all_reduce = gone
    with pytest.raises(RuntimeError, match="needs all 3, .* within 45 s: closed by peer$"):
        add_up(term)


def test_alone_nothing_is_shared():
    term = torch.ones(2)
    assert place() == (0, 1)
    assert add_up(term) is term
    assert list(pieces(len)) == [(1.0, len)]
    assert not is_in_pieces(len)


@pytest.mark.parametrize("held", ["nothing", "X", "y"])
def test_a_loss_without_data_cannot_be_shared(held, enter):
    enter(World(), WORLD_SIZE="2")
    loss = SimpleNamespace(**{held: torch.ones(2)})
    with pytest.raises(ValueError, match="2 workers need a loss with data X and y to share"):
        list(pieces(loss))
