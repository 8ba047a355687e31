"""Other activations, skip connections, normalization, real networks: where a factor may go.

Oracle: nets written out by hand as one formula each, on fresh inputs; `torch.nn.functional` for
the normalizations; modules that torch runs, with a dense Hessian at both ends. Twins put the factor
one layer too far and must break.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import law, log_uniform, off
from torch import nn
from torch.nn import functional as F

from helpers import (
    apply_scaling,
    cross_entropy,
    dense_hessian,
    find_symmetries,
    functional,
    rescale,
    squared_error,
)


def maxout(z):
    return torch.maximum(z[..., 0::2], z[..., 1::2])


@pytest.mark.parametrize(
    ("phi", "degree", "ok"),
    [
        (torch.relu, 1, True),
        (F.leaky_relu, 1, True),
        (torch.abs, 1, True),
        (lambda z: z, 1, True),
        (maxout, 1, True),
        (lambda z: torch.relu(z) ** 2, 2, True),
        (torch.tanh, 1, False),
        (F.gelu, 1, False),
        (F.softplus, 1, False),
        (lambda z: torch.relu(z) ** 2, 1, False),
    ],
)
def test_which_activations_pass_a_factor_from_layer_to_layer(phi, degree, ok, ledger):
    generator = torch.Generator().manual_seed(0)
    x, th1, th2 = (torch.randn(s, generator=generator).double() for s in ((50, 4), (4, 6), (6, 2)))
    th2 = th2[: phi(x @ th1).shape[1]]
    error = off(phi(x @ (3 * th1)) @ (th2 / 3**degree), phi(x @ th1) @ th2)
    if ok:
        ledger("other-activations", error=error, tol=1e-12)
    else:
        ledger("other-activations", error=float(error < 1e-2), tol=0)


def stream(p, x):
    """Two residual blocks between an embedding and a readout: every state and the output."""
    h = [x @ p["E"]]
    for A, B in (("A1", "B1"), ("A2", "B2")):
        h.append(h[-1] + torch.relu(h[-1] @ p[A]) @ p[B])
    return h, h[-1] @ p["R"]


def random_weights(seed, **shapes):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    } | {"x": torch.randn(30, 3, generator=generator, dtype=torch.float64)}


def residual(seed):
    p = random_weights(seed, E=(3, 5), A1=(5, 4), B1=(4, 5), A2=(5, 4), B2=(4, 5), R=(5, 2))
    return p, p.pop("x")


def powers_of(p, alpha, **powers):
    S = {name: torch.full_like(block, alpha ** powers.get(name, 0)) for name, block in p.items()}
    return apply_scaling(p, S)


@law(50)
@given(seed=st.integers(0, 2**31), alpha=log_uniform(1e-2, 1e2))
def test_a_factor_stays_inside_its_block_or_on_the_whole_stream(seed, alpha, ledger):
    p, x = residual(seed)
    h, y = stream(p, x)
    _, inside = stream(powers_of(p, alpha, A1=1, B1=-1), x)
    ledger("residual-stream", error=off(inside, y), tol=1e-11)
    twin = powers_of(p, alpha, E=1, A1=-1, B1=1, A2=-1, B2=1, R=-1)
    h_twin, whole = stream(twin, x)
    ledger("residual-stream", error=off(whole, y), tol=1e-11)
    assert all(off(new, alpha * old) < 1e-11 for new, old in zip(h_twin, h, strict=True))


def test_a_factor_from_block_to_block_breaks_the_function():
    p, x = residual(0)
    assert off(stream(powers_of(p, 3.0, B1=1, A2=-1), x)[1], stream(p, x)[1]) > 1e-2


NORMS = {
    "batch": lambda z: F.batch_norm(z, None, None, training=True, eps=1e-300),
    "layer": lambda z: F.layer_norm(z, z.shape[1:], eps=0.0),
}


@law(30)
@given(seed=st.integers(0, 2**31), alpha=log_uniform(1e-2, 1e2))
@pytest.mark.parametrize("norm", NORMS)
def test_a_normalization_swallows_what_comes_before_it(norm, seed, alpha):
    p = random_weights(seed, theta1=(3, 6), gain=(6,), shift=(6,), theta2=(6, 2))
    x = p.pop("x")

    def f(p):
        return torch.relu(p["gain"] * NORMS[norm](x @ p["theta1"]) + p["shift"]) @ p["theta2"]

    y = f(p)
    assert off(f(powers_of(p, alpha, theta1=1)), y) < 1e-11
    assert off(f(powers_of(p, alpha, gain=1, shift=1, theta2=-1)), y) < 1e-11
    around = f(powers_of(p, alpha, theta1=1, theta2=-1))  # swallowed, and then divided all the same
    assert off(around, y / alpha) < 1e-11


@pytest.mark.parametrize("c", [0.01, 0.3, 7.0, 100.0])
def test_before_batch_norm_the_hessian_is_divided_by_the_square(c, ledger):
    generator = torch.Generator().manual_seed(0)
    X, th1, th2 = (torch.randn(s, generator=generator).double() for s in ((40, 4), (4, 3), (3, 1)))
    y = torch.randn(40, 1, generator=generator).double()

    def f(params, x, eps=0.0):
        z = x @ params["theta1"]
        z = (z - z.mean(0)) / (z.var(0, correction=0) + eps).sqrt()
        return torch.relu(z) @ th2

    loss, params = squared_error(f, X, y), {"theta1": th1}
    twin = {"theta1": c * th1}
    error = off(c**2 * dense_hessian(loss, twin), dense_hessian(loss, params))
    ledger("batch-norm", error=error, tol=1e-11)


def test_twin_with_its_epsilon_batch_norm_lets_the_function_drift():
    generator = torch.Generator().manual_seed(0)
    X, th1 = (torch.randn(s, generator=generator).double() for s in ((40, 4), (4, 3)))
    norm = lambda z: torch.nn.functional.batch_norm(z, None, None, training=True, eps=1e-5)  # noqa: E731
    drift = [off(norm(c * X @ th1), norm(X @ th1)) for c in (4.0, 1e-2, 1e-3)]
    assert 1e-6 < drift[0] < 1e-4 < drift[1] < drift[2] < 1


class Encoder(nn.Module):
    """One block of a small transformer with one head."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(4, 4) for _ in range(4))
        self.norm, self.up, self.down = nn.LayerNorm(4), nn.Linear(4, 5), nn.Linear(5, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        attention = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 2, dim=-1)
        x = x + self.o(attention @ self.v(x))
        x = x + self.down(torch.relu(self.up(self.norm(x))))
        return self.head(x.mean(1))


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(2, 3, 2), nn.LeakyReLU(), nn.Flatten(), nn.Linear(12, 3)),
    )


@pytest.mark.parametrize(
    ("statement", "make", "shape", "layers"),
    [
        ("real-convolutional", convolutional, (1, 8, 8), {"1", "4"}),
        ("real-transformer", Encoder, (5, 4), {"q", "v", "norm", "up"}),
    ],
)
def test_a_real_network_keeps_each_prediction_and_gets_sharp(
    statement, make, shape, layers, ledger
):
    """A two-hundredth of each rescalable layer at a time, and the Hessian of the module itself."""
    torch.manual_seed(0)
    module = make().double().eval()
    X, fresh = torch.randn(20, *shape).double(), 10 * torch.randn(50, *shape).double()
    f, params = functional(module)
    loss = cross_entropy(f, X, torch.arange(20) % 3)
    top = float(torch.linalg.eigvalsh(dense_hessian(loss, params))[-1])
    assert {symmetry.up for symmetry in find_symmetries(module, X).found} == layers
    for up in layers:
        twin = rescale(module, {up: 0.005}, X)
        ledger(statement, error=off(f(twin, fresh), f(params, fresh)), tol=1e-12)
        there = float(torch.linalg.eigvalsh(dense_hessian(loss, twin))[-1])
        ledger(statement, error=max(0.0, 10 * top - there), tol=0)
