"""Theorems 5 and 6, and what the book adds: the exact count of sharp directions, slopes of chords.

Oracles: singular values of D H D with D written out; Cauchy's interlacing between the
Hessian measured at the twin and a block of the Hessian measured at θ, two differentiations that
share no number; and distances by hand.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform, pre_activations

from helpers import (
    alpha_scale,
    dense_hessian,
    flatten,
    gradient,
    layer_scaling,
    scale_layers,
    sizes,
    unflatten,
)

FACTORS = st.sampled_from([1e-3, 0.3, 7.0, 1e3])
BIGGER = (6, 5, 1), 200  # n = 35, rank 30
DEEP = (5, 6, 6, 6, 2), 400  # n = 114


def spectrum(H):
    return torch.linalg.eigvalsh(H).flip(0)


def lifted(case, M):
    """H at θ, its rank, the small block's name, β, and D H D as the proof of Theorem 5 has it."""
    H = dense_hessian(case.loss, case.params)
    values = spectrum(H)
    rank = int((values > 1e-10 * values[0]).sum())
    small = min(case.params, key=lambda name: case.params[name].numel())
    beta = 1.001 * math.sqrt(M * float(values[0]) / float(values[rank - 1]))
    K = len(case.params)
    alphas = {name: beta ** (K - 1) if name == small else 1 / beta for name in case.params}
    D = 1 / flatten(layer_scaling(case.params, alphas))
    return H, values, rank, small, beta, alphas, D[:, None] * H * D


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("net", [BIGGER, DEEP], ids=["two layers", "four layers"])
@pytest.mark.parametrize("times", [1.0, 10.0])
def test_theorem_5_and_the_inequality_of_its_proof(net, seed, times, ledger):
    case = build(net[0], seed, n=net[1])
    _, values, rank, small, beta, _, DHD = lifted(case, times)
    n_K, M = case.params[small].numel(), times * float(values[0])
    there = torch.linalg.svdvals(DHD)  # Definition 6: singular values, largest first
    promised, count = rank - n_K, int((there > M).sum())
    assert promised > 0, "a vacuous case proves nothing"
    ledger("theorem-5", error=max(0, promised - count), tol=0)
    missed = [
        1 - float(there[i] / (beta**2 * values[i + n_K])) for i in range(promised)
    ]  # λ_i(DHD) ≥ β² λ_{i+n_K}(H)
    ledger("horn-inequality", error=max(0.0, *missed), tol=1e-6)


def test_theorem_5_by_really_rescaling(ledger):
    case = build(BIGGER[0], 0, n=BIGGER[1])
    _, values, rank, small, _, alphas, _ = lifted(case, 1.0)
    twin = scale_layers(case.params, alphas)
    count = int((spectrum(dense_hessian(case.loss, twin)) > values[0]).sum())
    promised = rank - case.params[small].numel()
    assert promised == 25
    ledger("theorem-5", error=max(0, promised - count), tol=0)


@law(40)
@given(case=cases(depth=(1, 2), bias=False, where="minimum"), M=log_uniform(0.1, 10))
def test_theorem_5_in_random_nets_vacuous_or_not(case, M, ledger):
    if float(dense_hessian(case.loss, case.params).abs().max()) < 1e-6:
        return
    _, values, rank, small, beta, _, DHD = lifted(case, M)
    n_K = case.params[small].numel()
    there = torch.linalg.svdvals(DHD)
    count = int((there > M * float(values[0])).sum())
    ledger("theorem-5", error=max(0, rank - n_K - count), tol=0)
    for i in range(rank - n_K):
        missed = 1 - float(there[i] / (beta**2 * values[i + n_K]))
        ledger("horn-inequality", error=max(0.0, missed), tol=1e-6)


@law(40)
@given(case=cases(depth=(1, 2), bias=False, where="minimum"))
def test_definition_6_singular_values_are_eigenvalues_at_a_minimum(case, ledger):
    H = dense_hessian(case.loss, case.params)
    values = spectrum(H)
    error = float((torch.linalg.svdvals(H) - values).abs().max()) / (float(values[0]) or 1.0)
    ledger("definition-6", error=error, tol=1e-10)


def test_twin_off_a_minimum_singular_values_are_not_eigenvalues():
    case = build([4, 3, 1], 0, where="off")
    H = dense_hessian(case.loss, case.params)
    values = spectrum(H)
    assert float(values[-1]) < -1e-3
    assert float((torch.linalg.svdvals(H) - values).abs().max()) > 1e-3


@pytest.mark.parametrize(("widths", "n"), [((4, 3, 1), 40), ((6, 5, 1), 200), ((5, 4, 1), 200)])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_active_unit_takes_one_from_the_rank(widths, n, seed):
    case = build(widths, seed, n=n)
    (z,) = pre_activations(case.params, case.X)
    assert bool((z > 0).any(0).all()), "every unit must be active somewhere"
    values = spectrum(dense_hessian(case.loss, case.params))
    rank = int((values > 1e-10 * values[0]).sum())
    assert rank == len(values) - widths[1]
    assert float(values[rank - 1]) > 1e3 * float(values[rank:].abs().max())


def spare(params, name, beta):
    """T_α θ with α = 1/β for every layer but one."""
    alphas = dict.fromkeys(params, 1 / beta)
    alphas[name] = beta ** (len(params) - 1)
    return scale_layers(params, alphas)


def kept(params, name):
    """Which entries of θ belong to the layers that are not spared, (n,)."""
    return torch.cat([torch.full((n,), key != name) for key, n in sizes(params).items()])


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
@given(case=cases(depth=(1, 1), bias=False, where="off"), a=FACTORS)
def test_theorem_6_the_slope_on_the_orbit_in_closed_form(case, a, ledger):
    g1, g2 = unflatten(gradient(case.loss, case.params), case.params).values()
    there = float(gradient(case.loss, alpha_scale(case.params, a)).norm() ** 2)
    closed = float(g1.norm() ** 2) / a**2 + a**2 * float(g2.norm() ** 2)
    error = abs(there - closed) / (closed or 1.0)
    ledger("theorem-6", error=error, tol=1e-12)


@law(30)
@given(case=cases(depth=(1, 1), bias=False, where="off"), M=log_uniform(1, 1e9))
def test_theorem_6_no_lipschitz_constant_is_large_enough(case, M, ledger):
    g1, g2 = (b.norm() for b in unflatten(gradient(case.loss, case.params), case.params).values())
    if max(g1, g2) == 0:
        return
    a = float(g1 / M) if g1 >= g2 else float(M / g2)
    there = float(gradient(case.loss, alpha_scale(case.params, a)).norm())
    ledger("theorem-6", error=max(0.0, M - there) / M, tol=1e-12)


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
