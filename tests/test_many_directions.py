"""What the book adds to Theorems 5 and 6: the exact count of sharp directions, slopes of chords.

Oracles: Cauchy's interlacing between the Hessian measured at the twin and a block of the Hessian
measured at θ, two differentiations that share no number; and distances by hand.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform

from helpers import alpha_scale, dense_hessian, flatten, scale_layers, sizes


def spare(params, name, beta):
    """T_α θ with α = 1/β for every layer but one."""
    alphas = dict.fromkeys(params, 1 / beta)
    alphas[name] = beta ** (len(params) - 1)
    return scale_layers(params, alphas)


def kept(params, name):
    """Which entries of θ belong to the layers that are not spared, (n,)."""
    return torch.cat([torch.full((n,), key != name) for key, n in sizes(params).items()])


def spectrum(H):
    return torch.linalg.eigvalsh(H).flip(0)


@law(60)
@given(
    case=cases(depth=(1, 3), bias=False, where="minimum"),
    beta=log_uniform(1, 30),
    data=st.data(),
)
def test_sharp_directions_are_counted_by_the_block_that_does_not_pay(case, beta, data, ledger):
    name = data.draw(st.sampled_from(list(case.params)))
    K, V = len(case.params), kept(case.params, name)
    H = dense_hessian(case.loss, case.params)
    there = spectrum(dense_hessian(case.loss, spare(case.params, name, beta)))
    block = spectrum(H[V][:, V])
    scale = float(there[0].clamp_min(1e-300))
    missed = (beta**2 * block - there[: len(block)]).max() / scale
    ledger("sharp-count", error=max(0.0, float(missed)), tol=1e-11)
    rank = int((block > 1e-9 * block[0]).sum()) if block[0] > 0 else 0
    rest = spectrum(H[~V][:, ~V])[0] / beta ** (2 * (K - 1))
    loose = 1e-9 * beta**2 * float(block[0])  # eigenvalues of the block that were called zero
    over = float(there[rank]) - float(rest) - loose if rank < len(there) else 0.0
    ledger("sharp-count", error=max(0.0, over) / scale, tol=1e-11)


def test_twin_off_a_minimum_the_rest_need_not_sink():
    def over(case, beta=30.0):
        V = kept(case.params, "theta2")
        H = dense_hessian(case.loss, case.params)
        there = spectrum(dense_hessian(case.loss, spare(case.params, "theta2", beta)))
        block = spectrum(H[V][:, V])
        rank = int((block > 1e-9 * block[0]).sum())
        return float(there[rank] - spectrum(H[~V][:, ~V])[0] / beta**2)

    assert over(build([3, 2, 1], 0, n=2)) < 1e-9
    assert max(over(build([3, 2, 1], seed, n=2, where="off")) for seed in range(9)) > 0.01


@law(60)
@given(case=cases(depth=(1, 1), bias=False, where="off"), a=log_uniform(1e-6, 1))
def test_a_chord_keeps_its_rise_and_loses_its_length(case, a, ledger):
    other = {**case.params, "theta1": 2 * case.params["theta1"]}
    rise = float(case.loss(other) - case.loss(case.params))
    ends = [alpha_scale(p, a) for p in (case.params, other)]
    length = float((flatten(ends[1]) - flatten(ends[0])).norm())
    by_hand = a * math.sqrt(float(case.params["theta1"].square().sum()))
    size = float(case.loss(case.params)) + float(case.loss(other))
    assert length == pytest.approx(by_hand, rel=1e-12)
    there = float(case.loss(ends[1]) - case.loss(ends[0]))
    ledger("chord", error=abs(there - rise) / size, tol=1e-12)


def test_twin_a_linear_classifier_has_a_lipschitz_constant():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 4, (40,), generator=generator)
    bound = 2**0.5 * float(X.norm(dim=1).mean())
    for size in (1e-3, 1.0, 1e3, 1e6):
        W = size * torch.randn(3, 4, generator=generator, dtype=torch.float64)
        W.requires_grad_()
        (g,) = torch.autograd.grad(torch.nn.functional.cross_entropy(X @ W, y), W)
        assert float(g.norm()) <= bound
