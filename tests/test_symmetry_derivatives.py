"""Slopes and Hessians under a rescaling: Theorem 3, with K layers, with biases, and what follows.

Oracle: D and S are written out here, factor by factor, not taken from the helpers; derivatives
come from automatic differentiation at the point that was really rescaled.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform, off

from helpers import (
    alpha_scale,
    dense_hessian,
    flatten,
    gradient,
    scale_layers,
    unflatten,
)

ONE = dict(depth=(1, 1), bias=False)
FACTORS = st.sampled_from([1e-3, 0.3, 7.0, 1e3])


def fill(params, factors):
    """A flat vector that holds factors[name] in every place of that block."""
    return torch.cat(
        [b.new_full((b.numel(),), factors.get(name, 1.0)) for name, b in params.items()]
    )


def rescaled_error(case, twin, S):
    """Relative errors of gradient and Hessian at T(θ), compared in the coordinates of θ."""
    g, there = gradient(case.loss, case.params), gradient(case.loss, twin)
    H, H_there = dense_hessian(case.loss, case.params), dense_hessian(case.loss, twin)
    scale = float(H.abs().max()) or 1.0
    size = float(g.abs().max()) or 1.0
    in_place = S[:, None] * H_there * S  # D⁻¹ Hess(Tθ) D⁻¹
    return (
        float((S * there - g).abs().max()) / size,
        float((in_place - H).abs().max()) / scale,
    )


@law(60)
@given(case=cases(**ONE, where="off"), a=FACTORS)
def test_theorem_3_holds_at_any_point(case, a, ledger):
    twin = alpha_scale(case.params, a)
    S = fill(case.params, {"theta1": a, "theta2": 1 / a})
    slope, bend = rescaled_error(case, twin, S)
    ledger("theorem-3-gradient", error=slope, tol=1e-11)
    ledger("theorem-3-hessian", error=bend, tol=1e-11)


@law(60)
@given(case=cases(**ONE, where="minimum"), a=FACTORS)
def test_theorem_3_holds_at_a_minimum(case, a, ledger):
    S = fill(case.params, {"theta1": a, "theta2": 1 / a})
    _, bend = rescaled_error(case, alpha_scale(case.params, a), S)
    ledger("theorem-3-hessian", error=bend, tol=1e-11)


def test_twin_with_d_inverted_theorem_3_is_false():
    case = build([4, 3, 1], 0, n=40, where="off")
    wrong = fill(case.params, {"theta1": 1 / 7.0, "theta2": 7.0})
    assert min(rescaled_error(case, alpha_scale(case.params, 7.0), wrong)) > 1


@law(30)
@given(case=cases(depth=(3, 3), bias=False, width=3), data=st.data())
def test_four_layers_have_a_block_of_d_each(case, data, ledger):
    free = [data.draw(log_uniform(0.05, 20)) for _ in range(3)]
    last = 1 / (free[0] * free[1] * free[2])
    alphas = dict(zip(case.params, [*free, last]))
    twin = scale_layers(case.params, alphas)
    x = torch.randn(50, case.widths[0], generator=case.generator).double()
    ledger("k-layers", error=off(case.f(twin, x), case.f(case.params, x)), tol=1e-10)
    if float(case.loss(case.params)) > 1e-3:  # off the minimum, the gradient is not rounding
        slope, bend = rescaled_error(case, twin, fill(case.params, alphas))
        ledger("k-layers", error=max(slope, bend), tol=1e-10)


@law(40)
@given(case=cases(depth=(1, 3), bias=True, width=3, where="off"), data=st.data())
def test_with_biases_the_hessian_is_scaled_from_both_sides(case, data, ledger):
    names = [name for name in case.params if name.startswith("theta")]
    alphas = [data.draw(log_uniform(0.1, 10)) for _ in names[1:]]
    alphas.append(float(1 / torch.tensor(alphas, dtype=torch.float64).prod()))
    S, so_far = {}, 1.0
    for k, (name, alpha) in enumerate(zip(names, alphas), start=1):
        so_far *= alpha
        S[name], S[f"b{k}"] = alpha, (1.0 if k == len(names) else so_far)
    twin = scale_layers(case.params, dict(zip(names, alphas)))
    by_hand = fill(case.params, S) * flatten(case.params)
    assert off(flatten(twin), by_hand) < 1e-14
    _, bend = rescaled_error(case, twin, fill(case.params, S))
    ledger("appendix-b-deep", error=bend, tol=1e-11)


@law(60)
@given(case=cases(**ONE))
def test_the_slope_along_the_orbit_is_zero_and_so_is_its_derivative(case):
    """d/dα at α = 1 of L(T_α θ) = L(θ), then the gradient of that."""
    theta, g = flatten(case.params), gradient(case.loss, case.params)
    sign = fill(case.params, {"theta1": 1.0, "theta2": -1.0})
    assert abs(float(g @ (sign * theta))) <= 1e-12 * (float(g.norm() * theta.norm()) or 1.0)
    H = dense_hessian(case.loss, case.params)
    scale = float(H.norm() * theta.norm() + g.norm()) or 1.0
    assert float((H @ (sign * theta) + sign * g).abs().max()) <= 1e-11 * scale


@law(60)
@given(case=cases(depth=(1, 3), bias=False, where="off"))
def test_every_layer_has_the_same_slope_along_itself(case):
    g = unflatten(gradient(case.loss, case.params), case.params)
    forms = [float((block * g[name]).sum()) for name, block in case.params.items()]
    scale = max(float(block.norm() * g[name].norm()) for name, block in case.params.items())
    assert max(forms) - min(forms) <= 1e-11 * (scale or 1.0)


@pytest.mark.parametrize(("seed", "tol"), [(0, 1e-8), (1, 1e-5)])
def test_gradient_flow_keeps_the_balance_of_two_layers(seed, tol):
    """‖θ₁‖² − ‖θ₂‖². Seed 1 crosses kinks, where Runge–Kutta's own error is of a lower order."""
    case = build([4, 3, 1], seed, n=40, where="off")
    theta, dt = flatten(case.params), 1e-3
    flow = lambda theta: -gradient(case.loss, unflatten(theta, case.params))  # noqa: E731

    def balance(theta):
        one, two = unflatten(theta, case.params).values()
        return float(one.square().sum() - two.square().sum())

    before = balance(theta)
    start = float(case.loss(case.params))
    for _ in range(1000):
        k1 = flow(theta)
        k2 = flow(theta + dt / 2 * k1)
        k3 = flow(theta + dt / 2 * k2)
        theta = theta + dt / 6 * (k1 + 2 * k2 + 2 * k3 + flow(theta + dt * k3))
    assert float(case.loss(unflatten(theta, case.params))) < 0.9 * start
    assert abs(balance(theta) - before) < tol


@law(40)
@given(case=cases(**ONE), lam=log_uniform(1e-3, 1))
def test_weight_decay_picks_the_balanced_copy(case, lam):
    r1, r2 = (float(block.norm()) for block in case.params.values())
    if min(r1, r2) < 1e-3:
        return

    def decay(t):  # λ‖T_α θ‖², α = e^t times the balancing factor, open to differentiation
        alpha = (r2 / r1) ** 0.5 * t.exp()
        twin = (alpha * case.params["theta1"], case.params["theta2"] / alpha)
        return lam * sum(block.square().sum() for block in twin)

    zero = torch.zeros((), dtype=torch.float64)
    balanced = alpha_scale(case.params, (r2 / r1) ** 0.5)
    assert abs(lam * float(flatten(balanced).square().sum()) / (2 * lam * r1 * r2) - 1) <= 1e-10
    assert float(decay(zero)) <= min(float(decay(zero - 0.1)), float(decay(zero + 0.1)))
    bend = torch.autograd.functional.hessian(decay, zero)
    assert abs(float(bend) / (8 * lam * r1 * r2) - 1) <= 1e-10
