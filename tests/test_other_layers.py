"""Skip connections and normalization: where a factor may go in, and where it must come out.

Oracle: nets written out by hand as one formula each, on fresh inputs; `torch.nn.functional` for
the normalizations. Twins put the factor one layer too far and must break.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import law, log_uniform, off
from torch.nn import functional as F

from helpers.maps._symmetry import apply_scaling


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
