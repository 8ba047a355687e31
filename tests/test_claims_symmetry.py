"""Claims about moving along an orbit: functions, gradients, Hessians, biases, what breaks it.

Oracle: D and S are written out here, factor by factor, not taken from the helpers; derivatives
come from automatic differentiation at the point that was really rescaled. Claim numbers refer to
one list for all files test_claims_*.
"""

import pytest
import torch
from claims import below, holds
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform, off
from torch import nn
from torch.nn import functional as F

from helpers import (
    alpha_scale,
    cross_entropy,
    dense_hessian,
    flatten,
    gradient,
    relu_net,
    scale_layers,
    sizes,
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
@given(case=cases(**ONE), a=FACTORS)
def test_claim_01_the_function_is_kept(case, a, ledger):
    x = torch.randn(50, case.widths[0], generator=case.generator).double()
    by_hand = {"theta1": a * case.params["theta1"], "theta2": case.params["theta2"] / a}
    assert off(flatten(alpha_scale(case.params, a)), flatten(by_hand)) < 1e-15
    error = off(case.f(by_hand, x), case.f(case.params, x))
    holds(1, error, 1e-12)
    ledger("definition-5", error=error, tol=1e-12)


@law(60)
@given(case=cases(**ONE, where="off"), a=FACTORS)
def test_claims_02_and_03_gradient_and_hessian_anywhere(case, a, ledger):
    twin = alpha_scale(case.params, a)
    S = fill(case.params, {"theta1": a, "theta2": 1 / a})
    slope, bend = rescaled_error(case, twin, S)
    holds(2, slope, 1e-11)
    holds(3, bend, 1e-11)
    ledger("theorem-3-gradient", error=slope, tol=1e-11)
    ledger("theorem-3-hessian", error=bend, tol=1e-11)


@law(60)
@given(case=cases(**ONE, where="minimum"), a=FACTORS)
def test_claim_03_the_hessian_at_a_minimum(case, a, ledger):
    S = fill(case.params, {"theta1": a, "theta2": 1 / a})
    _, bend = rescaled_error(case, alpha_scale(case.params, a), S)
    holds(3, bend, 1e-11)
    ledger("theorem-3-hessian", error=bend, tol=1e-11)


def test_twin_claim_03_with_d_inverted_is_false():
    case = build([4, 3, 1], 0, n=40, where="off")
    wrong = fill(case.params, {"theta1": 1 / 7.0, "theta2": 7.0})
    assert min(rescaled_error(case, alpha_scale(case.params, 7.0), wrong)) > 1


@law(60)
@given(case=cases(**ONE))
def test_claims_04_and_05_along_the_orbit(case):
    theta, g = flatten(case.params), gradient(case.loss, case.params)
    sign = fill(case.params, {"theta1": 1.0, "theta2": -1.0})
    holds(4, abs(float(g @ (sign * theta))) / (float(g.norm() * theta.norm()) or 1.0), 1e-12)
    H = dense_hessian(case.loss, case.params)
    scale = float(H.norm() * theta.norm() + g.norm()) or 1.0
    holds(5, float((H @ (sign * theta) + sign * g).abs().max()) / scale, 1e-11)


@law(60)
@given(case=cases(depth=(1, 3), bias=False, where="off"))
def test_claim_06_every_layer_has_the_same_slope_along_itself(case):
    g = unflatten(gradient(case.loss, case.params), case.params)
    forms = [float((block * g[name]).sum()) for name, block in case.params.items()]
    scale = max(float(block.norm() * g[name].norm()) for name, block in case.params.items())
    holds(6, (max(forms) - min(forms)) / (scale or 1.0), 1e-11)


@law(30)
@given(case=cases(depth=(3, 3), bias=False, width=3), data=st.data())
def test_claim_14_four_layers(case, data, ledger):
    free = [data.draw(log_uniform(0.05, 20)) for _ in range(3)]
    last = 1 / (free[0] * free[1] * free[2])
    alphas = dict(zip(case.params, [*free, last]))
    twin = scale_layers(case.params, alphas)
    x = torch.randn(50, case.widths[0], generator=case.generator).double()
    holds(14, off(case.f(twin, x), case.f(case.params, x)), 1e-10)
    if float(case.loss(case.params)) > 1e-3:  # off the minimum, the gradient is not rounding
        slope, bend = rescaled_error(case, twin, fill(case.params, alphas))
        holds(14, max(slope, bend), 1e-10)
        ledger("theorem-3-gradient", error=slope, tol=1e-10)
        ledger("theorem-3-hessian", error=bend, tol=1e-10)


@law(60)
@given(case=cases(**ONE), a=log_uniform(0.1, 10))
def test_claim_18_how_volume_changes(case, a):
    n1, n2 = sizes(case.params).values()
    T = lambda theta: flatten(alpha_scale(unflatten(theta, case.params), a))  # noqa: E731
    det = torch.linalg.det(torch.autograd.functional.jacobian(T, flatten(case.params)))
    holds(18, abs(float(det) / a ** (n1 - n2) - 1), 1e-12)


@law(60)
@given(case=cases(**ONE, where="off"), a=FACTORS)
def test_claim_26_the_gradient_norm(case, a, ledger):
    g1, g2 = unflatten(gradient(case.loss, case.params), case.params).values()
    there = float(gradient(case.loss, alpha_scale(case.params, a)).norm() ** 2)
    closed = float(g1.norm() ** 2) / a**2 + a**2 * float(g2.norm() ** 2)
    error = abs(there - closed) / (closed or 1.0)
    holds(26, error, 1e-12)
    ledger("theorem-6", error=error, tol=1e-12)


@law(30)
@given(case=cases(**ONE, where="off"), M=log_uniform(1, 1e9))
def test_claim_26_no_lipschitz_constant_is_large_enough(case, M, ledger):
    g1, g2 = (b.norm() for b in unflatten(gradient(case.loss, case.params), case.params).values())
    if max(g1, g2) == 0:
        return
    a = float(g1 / M) if g1 >= g2 else float(M / g2)
    there = float(gradient(case.loss, alpha_scale(case.params, a)).norm())
    ledger("theorem-6", error=max(0.0, M - there) / M, tol=1e-12)


@law(40)
@given(case=cases(depth=(1, 3), bias=True, width=3, where="off"), data=st.data())
def test_claim_27_biases(case, data, ledger):
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
    x = torch.randn(50, case.widths[0], generator=case.generator).double()
    holds(27, off(case.f(twin, x), case.f(case.params, x)), 1e-11)
    _, bend = rescaled_error(case, twin, fill(case.params, S))
    holds(27, bend, 1e-11)
    ledger("appendix-b", error=bend, tol=1e-11)


@pytest.mark.parametrize(("seed", "tol"), [(0, 1e-8), (1, 1e-5)])
def test_claim_46_gradient_flow_keeps_the_balance(seed, tol):
    """Seed 1 crosses kinks on its way, where Runge–Kutta's own error is of a lower order."""
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
    if tol == 1e-8:
        holds(46, abs(balance(theta) - before), tol)


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
def test_claim_51_which_activations_pass(phi, degree, ok, ledger):
    generator = torch.Generator().manual_seed(0)
    x, th1, th2 = (torch.randn(s, generator=generator).double() for s in ((50, 4), (4, 6), (6, 2)))
    th2 = th2[: phi(x @ th1).shape[1]]
    error = off(phi(x @ (3 * th1)) @ (th2 / 3**degree), phi(x @ th1) @ th2)
    if ok:
        holds(51, error, 1e-12)
        ledger("theorem-1", error=error, tol=1e-12)
    else:
        below(51, 1e-2, error)


def test_claim_52_convolutions(ledger):
    torch.manual_seed(0)
    for second in (nn.Conv2d(4, 3, 3), nn.Sequential(nn.Flatten(), nn.Linear(4 * 36, 3))):
        first = nn.Conv2d(2, 4, 3).double()
        second = second.double()
        x = torch.randn(10, 2, 8, 8, dtype=torch.float64)
        y = second(torch.relu(first(x)))
        with torch.no_grad():
            first.weight *= 5
            first.bias *= 5
            last = second if isinstance(second, nn.Conv2d) else second[1]
            last.weight /= 5
        error = off(second(torch.relu(first(x))), y)
        holds(52, error, 1e-12)
        ledger("convolution", error=error, tol=1e-12)


@law(40)
@given(case=cases(**ONE), lam=log_uniform(1e-3, 1))
def test_claim_53_weight_decay_picks_the_balanced_copy(case, lam):
    r1, r2 = (float(block.norm()) for block in case.params.values())
    if min(r1, r2) < 1e-3:
        return

    def decay(t):  # λ‖T_α θ‖², α = e^t times the balancing factor
        alpha = (r2 / r1) ** 0.5 * t.exp()
        twin = (alpha * case.params["theta1"], case.params["theta2"] / alpha)
        return lam * sum(block.square().sum() for block in twin)

    zero = torch.zeros((), dtype=torch.float64)
    holds(53, abs(float(decay(zero)) / (2 * lam * r1 * r2) - 1), 1e-10)
    below(53, decay(zero), min(decay(zero - 0.1), decay(zero + 0.1)))
    bend = torch.autograd.functional.hessian(decay, zero)
    holds(53, abs(float(bend) / (8 * lam * r1 * r2) - 1), 1e-10)


def test_claim_56_larger_weights_are_flatter_and_better_for_cross_entropy():
    case = build([4, 3, 3], 0, n=200)
    logits = case.f(case.params, case.X)
    first, second = logits.topk(2).values.T
    wide = first - second > 0.3  # separable, and with a margin: the net classifies all of these
    loss = cross_entropy(relu_net, case.X[wide], logits.argmax(1)[wide])
    losses, tops = [], []
    for factor in (1, 10, 100):
        params = {name: factor**0.5 * block for name, block in case.params.items()}
        losses.append(float(loss(params)))
        tops.append(float(torch.linalg.eigvalsh(dense_hessian(loss, params))[-1]))
    assert losses[0] > losses[1] > losses[2] > 0
    assert tops[0] > tops[1] > tops[2] > 0
    holds(56, 0.0, 0.0)
