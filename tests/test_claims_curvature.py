"""Claims about the Hessian: its trace, its largest eigenvalue along the orbit, Theorems 4 and 5.

Oracle: dense Hessians by automatic differentiation at points that were really rescaled; the closed
forms are written out here from the weights and the data, and minima over the orbit are looked for
by scipy.
"""

import math

import numpy as np
import pytest
import torch
from claims import below, holds
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform, off, pre_activations
from scipy.optimize import minimize, minimize_scalar

from helpers import (
    alpha_scale,
    cross_entropy,
    dense_hessian,
    flatten,
    gradient,
    layer_traces,
    net,
    perturb,
    relu_net,
    scale_layers,
    sizes,
    spectral_norm,
    squared_error,
    trace,
    unflatten,
)
from helpers.maps._symmetry import layer_scaling

ONE = dict(depth=(1, 1), bias=False)
FEW = 15  # nets for the laws that form many dense Hessians


def toy(seed=0):
    """d = 4, h = 3, N = 40, one output, teacher = student: n₁ = 12, n₂ = 3."""
    return build([4, 3, 1], seed, n=40)


def eigenvalues(loss, params):
    return torch.linalg.eigvalsh(dense_hessian(loss, params)).flip(0)


@law(60)
@given(case=cases(**ONE, out=1))
def test_claim_07_traces_in_closed_form(case):
    (z,) = pre_activations(case.params, case.X)
    theta2 = case.params["theta2"][:, 0]
    active = (z > 0).double()
    t1 = (case.X.square().sum(1) * (active @ theta2.square())).mean()
    t2 = z.clamp_min(0).square().sum(1).mean()
    H = dense_hessian(case.loss, case.params).diagonal()
    n1 = case.params["theta1"].numel()
    scale = float(t1 + t2) or 1.0
    holds(7, abs(float(H[:n1].sum() - t1)) / scale, 1e-12)
    holds(7, abs(float(H[n1:].sum() - t2)) / scale, 1e-12)
    ours = list(layer_traces(case.loss, case.params).values())
    holds(7, float((t1.new_tensor(ours) - torch.stack([t1, t2])).abs().max()) / scale, 1e-12)


@law(40)
@given(case=cases(bias=False, width=3), kind=st.sampled_from(["squares", "entropy"]))
def test_claim_08_blocks_of_the_hessian_are_gauss_newton_blocks(case, kind, ledger):
    loss, C = case.loss, torch.eye(case.widths[-1], dtype=torch.float64)[None]
    if kind == "entropy":
        y = torch.randint(0, case.widths[-1], (len(case.X),), generator=case.generator)
        loss = cross_entropy(relu_net, case.X, y)
        p = case.f(case.params, case.X).softmax(1)
        C = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # (N, out, out)
    theta = flatten(case.params)
    J = torch.autograd.functional.jacobian(
        lambda theta: case.f(unflatten(theta, case.params), case.X), theta
    )
    G = torch.einsum("noi,nop,npj->ij", J, C.expand(len(J), -1, -1), J) / len(J)
    H, at = dense_hessian(loss, case.params), 0
    scale = max(float(H.abs().max()), float(G.abs().max())) or 1.0
    for n_k in sizes(case.params).values():
        block = slice(at, at + n_k)
        holds(8, float((H[block, block] - G[block, block]).abs().max()) / scale, 1e-11)
        at += n_k
    error = abs(float(H.trace() - G.trace())) / scale
    holds(8, error, 1e-11)
    ledger("gauss-newton-trace", error=error, tol=1e-11)


@law(FEW)
@given(case=cases(**ONE), a=log_uniform())
def test_claim_09_the_flattest_copy_by_trace(case, a, ledger):
    t1, t2 = layer_traces(case.loss, case.params).values()
    if min(t1, t2) < 1e-6:
        return
    at = lambda a: trace(case.loss, alpha_scale(case.params, a)).value  # noqa: E731
    holds(9, abs(at(a) / (t1 / a**2 + a**2 * t2) - 1), 1e-11)
    best = (t1 / t2) ** 0.25
    holds(9, abs(at(best) / (2 * math.sqrt(t1 * t2)) - 1), 1e-11)
    found = minimize_scalar(lambda t: at(math.exp(t)), (math.log(best) - 3, math.log(best) + 2))
    assert math.exp(found.x) == pytest.approx(best, rel=1e-3)
    ledger("flattest-point", error=max(0.0, 1 - found.fun / (2 * math.sqrt(t1 * t2))), tol=1e-11)


@law(FEW)
@given(case=cases(depth=(1, 3), bias=False, width=3), data=st.data())
def test_claim_10_the_flattest_copy_of_k_layers(case, data, ledger):
    t = layer_traces(case.loss, case.params)
    if min(t.values()) < 1e-6:
        return
    K, mean = len(t), math.prod(t.values()) ** (1 / len(t))
    at = lambda alphas: trace(case.loss, scale_layers(case.params, alphas)).value  # noqa: E731
    best = {name: math.sqrt(t_k / mean) for name, t_k in t.items()}
    holds(10, abs(at(best) / (K * mean) - 1), 1e-10)

    def from_logs(logs):
        alphas = [math.exp(x) for x in (*logs, -sum(logs))]
        return at(dict(zip(t, alphas))) / (K * mean)

    start = [data.draw(st.floats(-1, 1)) for _ in list(t)[1:]]
    found = minimize(from_logs, start, method="Nelder-Mead", options={"maxfev": 60})
    ledger("flattest-point", error=max(0.0, 1 - found.fun), tol=1e-10)
    assert from_logs(start) >= 1 - 1e-12


@law(FEW)
@given(case=cases(**ONE, where="minimum"))
def test_claim_11_one_valley_along_the_orbit(case):
    if float(spectral_norm_or_zero(case)) < 1e-6:
        return
    grid = np.linspace(-2, 2, 33)
    tops = [
        float(torch.log(eigenvalues(case.loss, alpha_scale(case.params, 10**t))[0])) for t in grid
    ]
    holds(11, max(0.0, -np.diff(tops, 2).min()), 1e-9)


def spectral_norm_or_zero(case):
    return dense_hessian(case.loss, case.params).abs().max()


@law(40)
@given(case=cases(**ONE, where="minimum"), times=log_uniform(1.5, 1e6))
def test_claim_12_theorem_4(case, times, ledger):
    H = dense_hessian(case.loss, case.params)
    if float(H.abs().max()) < 1e-6:
        return  # the theorem needs a Hessian that is not zero
    n, n1 = len(H), case.params["theta1"].numel()
    gamma, i = H.diagonal().max(0)
    M = times * float(torch.linalg.eigvalsh(H)[-1])
    for r in (1.0, n**-0.5):  # ours, and the constant of the paper's proof
        a = math.sqrt(r * float(gamma) / M)
        a = a if i < n1 else 1 / a
        there = spectral_norm(case.loss, alpha_scale(case.params, a), tol=1e-8)
        below(12, M * (1 - 1e-10), there)
        ledger("theorem-4", error=max(0.0, 1 - there / M), tol=1e-10)


def test_twin_claim_12_a_zero_hessian_stays_zero():
    case = toy()
    dead = {**case.params, "theta1": -case.params["theta1"].abs()}
    loss = squared_error(relu_net, case.X.abs(), 0 * case.loss.y)
    for a in (1e-6, 1.0, 1e6):
        assert not dense_hessian(loss, alpha_scale(dead, a)).any()


@pytest.mark.parametrize(("a", "tol"), [(0.1, 1e-3), (0.01, 1e-7)])
def test_claim_13_the_asymptote(a, tol):
    case = toy()
    n1 = case.params["theta1"].numel()
    limit = torch.linalg.eigvalsh(dense_hessian(case.loss, case.params)[:n1, :n1])[-1]
    there = a**2 * eigenvalues(case.loss, alpha_scale(case.params, a))[0]
    holds(13, abs(float(there / limit) - 1), tol)


def test_claim_13_the_error_falls_like_the_fourth_power():
    case = toy()
    n1 = case.params["theta1"].numel()
    limit = torch.linalg.eigvalsh(dense_hessian(case.loss, case.params)[:n1, :n1])[-1]
    errors = [
        abs(float(a**2 * eigenvalues(case.loss, alpha_scale(case.params, a))[0] / limit) - 1)
        for a in (0.1, 0.05)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)


BIGGER = (6, 5, 1), 200  # n = 35, rank 30
DEEP = (5, 6, 6, 6, 2), 400  # n = 114


def lifted(case, M):
    """H at θ, its rank, the small block's name, β, and D H D as the proof of Theorem 5 has it."""
    H = dense_hessian(case.loss, case.params)
    values = torch.linalg.eigvalsh(H).flip(0)
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
def test_claims_15_and_16_theorem_5(net, seed, times, ledger):
    case = build(net[0], seed, n=net[1])
    _, values, rank, small, beta, _, DHD = lifted(case, times)
    n_K, M = case.params[small].numel(), times * float(values[0])
    there = torch.linalg.svdvals(DHD)  # Definition 6: singular values, largest first
    promised, count = rank - n_K, int((there > M).sum())
    assert promised > 0, "a vacuous case proves nothing"
    holds(15, max(0, promised - count), 0)
    ledger("theorem-5", error=max(0, promised - count), tol=0)
    missed = [
        1 - float(there[i] / (beta**2 * values[i + n_K])) for i in range(promised)
    ]  # λ_i(DHD) ≥ β² λ_{i+n_K}(H)
    holds(16, max(0.0, *missed), 1e-6)
    ledger("horn-inequality", error=max(0.0, *missed), tol=1e-6)


def test_claim_15_by_really_rescaling(ledger):
    case = build(BIGGER[0], 0, n=BIGGER[1])
    _, values, rank, small, _, alphas, _ = lifted(case, 1.0)
    twin = scale_layers(case.params, alphas)
    count = int((eigenvalues(case.loss, twin) > values[0]).sum())
    promised = rank - case.params[small].numel()
    assert promised == 25
    holds(15, max(0, promised - count), 0)
    ledger("theorem-5", error=max(0, promised - count), tol=0)


@law(40)
@given(case=cases(depth=(1, 2), bias=False, where="minimum"), M=log_uniform(0.1, 10))
def test_claims_15_and_16_random_nets_vacuous_or_not(case, M, ledger):
    if float(dense_hessian(case.loss, case.params).abs().max()) < 1e-6:
        return
    _, values, rank, small, beta, _, DHD = lifted(case, M)
    n_K = case.params[small].numel()
    there = torch.linalg.svdvals(DHD)
    count = int((there > M * float(values[0])).sum())
    ledger("theorem-5", error=max(0, rank - n_K - count), tol=0)
    for i in range(rank - n_K):
        below(16, beta**2 * float(values[i + n_K]), there[i], slack=1e-6)


@law(40)
@given(case=cases(depth=(1, 2), bias=False, where="minimum"))
def test_definition_6_singular_values_are_eigenvalues_at_a_minimum(case, ledger):
    H = dense_hessian(case.loss, case.params)
    values = torch.linalg.eigvalsh(H).flip(0)
    error = float((torch.linalg.svdvals(H) - values).abs().max()) / (float(values[0]) or 1.0)
    ledger("definition-6", error=error, tol=1e-10)


def test_twin_definition_6_off_a_minimum_they_are_not():
    case = build([4, 3, 1], 0, where="off")
    values = eigenvalues(case.loss, case.params)
    assert float(values[-1]) < -1e-3
    H = dense_hessian(case.loss, case.params)
    assert float((torch.linalg.svdvals(H) - values).abs().max()) > 1e-3


@pytest.mark.parametrize(("widths", "n"), [((4, 3, 1), 40), ((6, 5, 1), 200), ((5, 4, 1), 200)])
@pytest.mark.parametrize("seed", [0, 1])
def test_claim_17_one_flat_direction_for_each_hidden_unit(widths, n, seed):
    case = build(widths, seed, n=n)
    (z,) = pre_activations(case.params, case.X)
    assert bool((z > 0).any(0).all()), "every unit must be active somewhere"
    values = eigenvalues(case.loss, case.params)
    rank = int((values > 1e-10 * values[0]).sum())
    holds(17, abs(rank - (len(values) - widths[1])), 0)
    assert float(values[rank - 1]) > 1e3 * float(values[rank:].abs().max())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_claim_24_the_loss_along_the_sharpest_direction(seed):
    case = toy(seed)
    values, vectors = torch.linalg.eigh(dense_hessian(case.loss, case.params))
    errors = []
    for eps in (1e-3, 1e-4):
        rise = float(case.loss(perturb(case.params, vectors[:, -1], eps)))
        errors.append(abs(rise / (float(values[-1]) * eps**2 / 2) - 1))
    holds(24, errors[0], 1e-2)
    assert errors[1] < errors[0] / 5  # O(ε)


def test_claim_25_the_trace_is_what_noise_feels():
    case, s = toy(), 1e-3
    U = s * torch.randn(4000, 15, generator=case.generator).double()
    mean = torch.func.vmap(lambda u: case.loss(perturb(case.params, u)))(U).mean()
    predicted = s**2 / 2 * trace(case.loss, case.params).value
    holds(25, abs(float(mean) / predicted - 1), 5e-2)


def scalar(th1, th2, x=2.0, y=3.0):
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(net("linear"), one(x), one(y))
    return loss, {"theta1": one(th1), "theta2": one(th2)}


@law(40)
@given(th1=log_uniform(0.1, 10), x=log_uniform(0.3, 3), y=st.floats(0.2, 5))
def test_claim_47_the_scalar_toy(th1, x, y):
    loss, params = scalar(th1, y / x / th1, x, y)
    low, high = torch.linalg.eigvalsh(dense_hessian(loss, params))
    closed = x**2 * (th1**2 + (y / x / th1) ** 2)
    holds(47, abs(float(high) / closed - 1), 1e-12)
    holds(47, abs(float(low)) / closed, 1e-12)
    balanced = (y / x) ** 0.5
    loss, params = scalar(balanced, balanced, x, y)
    holds(47, abs(float(dense_hessian(loss, params).trace()) / (2 * x * y) - 1), 1e-12)
    below(47, 2 * x * y * (1 - 1e-12), closed)


@pytest.mark.parametrize(("lr", "end"), [(0.05, 37.0), (0.06, 29.34), (0.1, 15.02)])
def test_claim_48_gradient_descent_leaves_what_is_too_sharp_for_its_step(lr, end):
    loss, params = scalar(0.5 + 1e-6, 3.0)
    theta = flatten(params)
    for _ in range(3000):
        theta = theta - lr * gradient(loss, unflatten(theta, params))
    there = unflatten(theta, params)
    top = float(torch.linalg.eigvalsh(dense_hessian(loss, there))[-1])
    assert float(loss(there)) < 1e-20
    assert top == pytest.approx(end, abs=0.02)
    holds(48, max(0.0, top - 2 / lr), 0)


@pytest.mark.parametrize("c", [0.01, 0.3, 7.0, 100.0])
def test_claim_50_batch_norm_without_its_epsilon(c, ledger):
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
    holds(50, error, 1e-11)
    ledger("batch-norm", error=error, tol=1e-11)


def test_twin_claim_50_with_its_epsilon_the_function_drifts():
    generator = torch.Generator().manual_seed(0)
    X, th1 = (torch.randn(s, generator=generator).double() for s in ((40, 4), (4, 3)))
    norm = lambda z: torch.nn.functional.batch_norm(z, None, None, training=True, eps=1e-5)  # noqa: E731
    drift = [off(norm(c * X @ th1), norm(X @ th1)) for c in (4.0, 1e-2, 1e-3)]
    assert 1e-6 < drift[0] < 1e-4 < drift[1] < drift[2] < 1
