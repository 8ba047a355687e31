"""Curvature along an orbit: Theorem 4, the asymptotes, and the flattest copy.

Oracle: dense Hessians by automatic differentiation at points that were really rescaled; the closed
forms are written out here from the weights and the data, and minima over the orbit are looked for
by scipy.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform
from scipy.optimize import minimize, minimize_scalar

from helpers import (
    alpha_scale,
    dense_hessian,
    flatten,
    gradient,
    layer_traces,
    net,
    relu_net,
    scale_layers,
    spectral_norm,
    squared_error,
    trace,
    unflatten,
)

ONE = dict(depth=(1, 1), bias=False)
FEW = 15  # nets for the laws that form many dense Hessians


def toy(seed=0):
    """d = 4, h = 3, N = 40, one output, teacher = student: n₁ = 12, n₂ = 3."""
    return build([4, 3, 1], seed, n=40)


def eigenvalues(loss, params):
    return torch.linalg.eigvalsh(dense_hessian(loss, params)).flip(0)


@law(40)
@given(case=cases(**ONE, where="minimum"), times=log_uniform(1.5, 1e6))
def test_theorem_4_some_factor_passes_every_bound(case, times, ledger):
    H = dense_hessian(case.loss, case.params)
    if float(H.abs().max()) < 1e-6:
        return  # the theorem needs a Hessian that is not zero
    n, n1 = len(H), case.params["theta1"].numel()
    gamma, i = H.diagonal().max(0)
    M = times * float(torch.linalg.eigvalsh(H)[-1])
    for r in (1.0, n**-0.5):  # ours, and the constant of the paper's proof
        a = math.sqrt(r * float(gamma) / M)
        a = a if i < n1 else 1 / a
        twin = alpha_scale(case.params, a)
        there = spectral_norm(case.loss, twin, tol=1e-8)
        ledger("theorem-4", error=max(0.0, 1 - there / M), tol=1e-10)
        whole = trace(case.loss, twin).value
        ledger("theorem-4-trace", error=max(0.0, 1 - whole / M), tol=1e-10)


def test_twin_a_zero_hessian_stays_zero():
    case = toy()
    dead = {**case.params, "theta1": -case.params["theta1"].abs()}
    loss = squared_error(relu_net, case.X.abs(), 0 * case.loss.y)
    for a in (1e-6, 1.0, 1e6):
        assert not dense_hessian(loss, alpha_scale(dead, a)).any()


@pytest.mark.parametrize(("a", "tol"), [(0.1, 1e-3), (0.01, 1e-7)])
def test_far_down_the_orbit_only_the_first_block_counts(a, tol):
    case = toy()
    n1 = case.params["theta1"].numel()
    limit = torch.linalg.eigvalsh(dense_hessian(case.loss, case.params)[:n1, :n1])[-1]
    there = a**2 * eigenvalues(case.loss, alpha_scale(case.params, a))[0]
    assert abs(float(there / limit) - 1) <= tol


def test_what_the_asymptote_leaves_out_falls_like_the_fourth_power():
    case = toy()
    n1 = case.params["theta1"].numel()
    limit = torch.linalg.eigvalsh(dense_hessian(case.loss, case.params)[:n1, :n1])[-1]
    errors = [
        abs(float(a**2 * eigenvalues(case.loss, alpha_scale(case.params, a))[0] / limit) - 1)
        for a in (0.1, 0.05)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)


@law(FEW)
@given(case=cases(**ONE, where="minimum"))
def test_the_orbit_has_one_valley(case):
    if float(dense_hessian(case.loss, case.params).abs().max()) < 1e-6:
        return
    grid = np.linspace(-2, 2, 33)
    tops = [
        float(torch.log(eigenvalues(case.loss, alpha_scale(case.params, 10**t))[0])) for t in grid
    ]
    assert max(0.0, -np.diff(tops, 2).min()) <= 1e-9


@law(FEW)
@given(case=cases(**ONE), a=log_uniform())
def test_the_flattest_copy_by_trace(case, a, ledger):
    t1, t2 = layer_traces(case.loss, case.params).values()
    if min(t1, t2) < 1e-6:
        return
    at = lambda a: trace(case.loss, alpha_scale(case.params, a)).value  # noqa: E731
    assert abs(at(a) / (t1 / a**2 + a**2 * t2) - 1) <= 1e-11
    best = (t1 / t2) ** 0.25
    assert abs(at(best) / (2 * math.sqrt(t1 * t2)) - 1) <= 1e-11
    found = minimize_scalar(lambda t: at(math.exp(t)), (math.log(best) - 3, math.log(best) + 2))
    assert math.exp(found.x) == pytest.approx(best, rel=1e-3)
    ledger("flattest-point", error=max(0.0, 1 - found.fun / (2 * math.sqrt(t1 * t2))), tol=1e-11)


@law(FEW)
@given(case=cases(depth=(1, 3), bias=False, width=3), data=st.data())
def test_the_flattest_copy_of_k_layers(case, data, ledger):
    t = layer_traces(case.loss, case.params)
    if min(t.values()) < 1e-6:
        return
    K, mean = len(t), math.prod(t.values()) ** (1 / len(t))
    at = lambda alphas: trace(case.loss, scale_layers(case.params, alphas)).value  # noqa: E731
    best = {name: math.sqrt(t_k / mean) for name, t_k in t.items()}
    assert abs(at(best) / (K * mean) - 1) <= 1e-10

    def from_logs(logs):
        alphas = [math.exp(x) for x in (*logs, -sum(logs))]
        return at(dict(zip(t, alphas))) / (K * mean)

    start = [data.draw(st.floats(-1, 1)) for _ in list(t)[1:]]
    found = minimize(from_logs, start, method="Nelder-Mead", options={"maxfev": 60})
    ledger("flattest-point", error=max(0.0, 1 - found.fun), tol=1e-10)
    assert from_logs(start) >= 1 - 1e-12


def scalar(th1, th2, x=2.0, y=3.0):
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(net("linear"), one(x), one(y))
    return loss, {"theta1": one(th1), "theta2": one(th2)}


@law(40)
@given(th1=log_uniform(0.1, 10), x=log_uniform(0.3, 3), y=st.floats(0.2, 5))
def test_two_weights_have_their_curvature_in_closed_form(th1, x, y):
    loss, params = scalar(th1, y / x / th1, x, y)
    low, high = torch.linalg.eigvalsh(dense_hessian(loss, params))
    closed = x**2 * (th1**2 + (y / x / th1) ** 2)
    assert abs(float(high) / closed - 1) <= 1e-12
    assert abs(float(low)) / closed <= 1e-12
    balanced = (y / x) ** 0.5
    loss, params = scalar(balanced, balanced, x, y)
    assert abs(float(dense_hessian(loss, params).trace()) / (2 * x * y) - 1) <= 1e-12
    assert 2 * x * y * (1 - 1e-12) <= closed


@pytest.mark.parametrize(("lr", "end"), [(0.05, 37.0), (0.06, 29.34), (0.1, 15.02)])
def test_gradient_descent_leaves_what_is_too_sharp_for_its_step(lr, end):
    loss, params = scalar(0.5 + 1e-6, 3.0)
    theta = flatten(params)
    for _ in range(3000):
        theta = theta - lr * gradient(loss, unflatten(theta, params))
    there = unflatten(theta, params)
    top = float(torch.linalg.eigvalsh(dense_hessian(loss, there))[-1])
    assert float(loss(there)) < 1e-20
    assert top == pytest.approx(end, abs=0.02)
    assert max(0.0, top - 2 / lr) <= 0
