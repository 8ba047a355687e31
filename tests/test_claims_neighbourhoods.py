"""Claims about boxes, balls and their volumes: Theorem 2, section 4.3, Keskar's box, H&S's box.

Oracle: sup-norm shells and distances computed by hand, scipy's quadrature, and a scan of every
angle of a disc.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from claims import below, holds
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform
from scipy.integrate import dblquad, quad

from helpers import (
    alpha_scale,
    box_half_sides,
    disjoint_alpha,
    eps_sharpness,
    flatten,
    keskar_sharpness,
    net,
    quadratic_local_entropy,
    sizes,
    squared_error,
    unflatten,
)
from helpers.measures._flatness import hs_description_length

ONE = dict(depth=(1, 1), bias=False, where="minimum")


def sup(block):
    return float(block.abs().max())


@law(60)
@given(case=cases(**ONE), part=st.floats(0.01, 0.99))
def test_claim_19_the_boxes_are_disjoint(case, part, ledger):
    size = sup(case.params["theta1"])
    r = part * size
    alpha = disjoint_alpha(case.params, r)
    assert alpha == pytest.approx(2 * (size + r) / (size - r))
    overlap = 0.0
    for k in range(5):  # every θ₁' of box k is longer than every one of box k − 1, in sup norm
        longest, next_shortest = alpha**k * (size + r), alpha ** (k + 1) * (size - r)
        overlap = max(overlap, longest - next_shortest)
    holds(19, max(0.0, overlap), 0)
    ledger("theorem-2", error=max(0.0, overlap), tol=0)


@law(40)
@given(case=cases(**ONE), part=st.floats(0.01, 0.5), k=st.integers(1, 4))
def test_claim_19_points_of_a_box_and_of_its_image(case, part, k, ledger):
    """Drawn points: none lies in two boxes, and the image has the loss of the original."""
    theta, size = flatten(case.params), sup(case.params["theta1"])
    r = part * size
    alpha = disjoint_alpha(case.params, r) ** k
    corner = torch.rand(20, len(theta), generator=case.generator).double()
    for z in (2 * corner - 1) * r:
        inside = unflatten(theta + z, case.params)
        image = alpha_scale(inside, alpha)
        assert float((flatten(image) - theta).abs().max()) > r
        one, two = float(case.loss(inside)), float(case.loss(image))
        ledger("theorem-2", error=abs(one - two) / (one or 1.0), tol=1e-9)


@law(40)
@given(case=cases(**ONE), part=st.floats(0.1, 0.9))
def test_theorem_2_the_volume_passes_every_bound(case, part, ledger):
    """n₁ = n₂: so many equal boxes; n₁ ≠ n₂: one box, stretched. Logs, for they are large."""
    n1, n2 = sizes(case.params).values()
    r = part * sup(case.params["theta1"])
    log_v, bound = (n1 + n2) * math.log(2 * r), 1e6
    if n1 == n2:
        count = math.ceil(bound * math.exp(-log_v)) + 1
        reached = math.log(count) + log_v
    else:
        alpha = math.exp((math.log(bound) + 1 - log_v) / (n1 - n2))
        reached = log_v + (n1 - n2) * math.log(alpha)
    ledger("theorem-2", error=max(0.0, math.log(bound) - reached), tol=0)


def test_twin_claim_19_with_half_the_factor_they_overlap():
    case = build([2, 2, 1], 0)
    size = sup(case.params["theta1"])
    r = 0.5 * size
    alpha = disjoint_alpha(case.params, r) / 2.5
    assert alpha * (size - r) < size + r


@law(40)
@given(a=st.floats(0.1, 1), b=st.floats(1.5, 20), c=st.floats(0.5, 3), s=st.floats(0.01, 0.4))
def test_claim_20_area_of_the_channel(a, b, c, s, ledger):
    area = quad(lambda t: (c + s) / t - (c - s) / t, a, b, epsrel=1e-12)[0]
    error = abs(area / (2 * s * math.log(b / a)) - 1)
    holds(20, error, 1e-8)
    ledger("volume-growth", error=error, tol=1e-8)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_claim_20_volume_of_the_funnel(d, ledger):
    """θ₁ ∈ R^d, θ₂ ∈ R: V_d s^d (a^{1−d} − b^{1−d})/(d − 1), a power of the cut-off a."""
    s, b = 0.3, 2.0
    ball = math.pi ** (d / 2) / math.gamma(d / 2 + 1)
    for a in (0.5, 0.1, 0.01):
        volume = quad(lambda t: ball * (s / t) ** d, a, b, epsrel=1e-11, limit=200)[0]
        closed = ball * s**d * (a ** (1 - d) - b ** (1 - d)) / (d - 1)
        ledger("volume-growth", error=abs(volume / closed - 1), tol=1e-8)


@law(60)
@given(case=cases(**ONE), eps=log_uniform(1e-3, 1))
def test_claims_21_and_22_the_ball_reaches_the_dead_net(case, eps, ledger):
    size = float(case.params["theta1"].norm())
    if size == 0:
        return
    twin = alpha_scale(case.params, eps / size)
    dead = {"theta1": 0 * twin["theta1"], "theta2": twin["theta2"]}
    distance = float((flatten(twin) - flatten(dead)).norm())
    holds(21, abs(distance / eps - 1), 1e-12)
    L0 = float(case.loss.y.square().sum(1).mean() / 2)
    holds(21, abs(float(case.loss(dead)) - L0) / (L0 or 1.0), 1e-12)
    to_dead = flatten(dead) - flatten(twin)
    for starts in (None, [to_dead]):
        found = eps_sharpness(case.loss, twin, eps, starts=starts, steps=3).value
        below(22, L0 * (1 - 1e-9), found)
        ledger("eps-sharpness-at-will", error=max(0.0, L0 * (1 - 1e-9) - found), tol=0)


@law(30)
@given(case=cases(depth=(1, 1), bias=False, where="off"), eps=log_uniform(1e-3, 1))
def test_claim_22_where_the_loss_is_not_zero(case, eps, ledger):
    size = float(case.params["theta1"].norm())
    L, L0 = float(case.loss(case.params)), float(case.loss.y.square().sum(1).mean() / 2)
    if size == 0 or L0 <= L:
        return
    found = eps_sharpness(case.loss, alpha_scale(case.params, eps / size), eps, steps=3).value
    bound = (L0 - L) / (1 + L)
    ledger("eps-sharpness-at-will", error=max(0.0, bound * (1 - 1e-9) - found), tol=0)


def wide(seed=0):
    return build([4, 6, 1], seed, n=60)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_claim_23_keskars_box_reaches_it_too(seed, ledger):
    case, eps = wide(seed), 1e-3
    L0 = float(case.loss.y.square().mean() / 2)
    assert keskar_sharpness(case.loss, case.params, eps).value < L0  # small before
    twin = alpha_scale(case.params, eps / sup(case.params["theta1"]))
    half = box_half_sides(flatten(twin), eps)
    n1 = case.params["theta1"].numel()
    assert bool((flatten(twin)[:n1].abs().numpy() <= half[:n1]).all())
    to_dead = torch.cat([-flatten(twin)[:n1], torch.zeros(6).double()])
    for starts in (5, [to_dead]):
        found = keskar_sharpness(case.loss, twin, eps, starts=starts).value
        below(23, 100 * L0, found)
        ledger("keskar-box-at-will", error=max(0.0, 100 * L0 * (1 - 1e-9) - found), tol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_subspaces_in_our_measurements(seed, ledger):
    """Not a statement of the paper, which leaves it open. One fixed A; α falls by tens."""
    case = wide(seed)
    A = torch.randn(30, 5, generator=case.generator, dtype=torch.float64)
    values = [
        keskar_sharpness(case.loss, alpha_scale(case.params, a), 1e-3, subspace=A).value
        for a in (1.0, 0.1, 0.01, 1e-3)
    ]
    assert all(next_ > 10 * value for value, next_ in pairwise(values))
    ledger("random-subspace", error=max(0.0, 1e6 - values[-1] / values[0]), tol=0)


@law(25)
@given(case=cases(depth=(1, 1)), a=log_uniform(0.01, 100))
def test_claim_54_hochreiter_and_schmidhubers_box_moves(case, a, ledger):
    """B(T_α θ) − B(θ) = Σ log D_i over the weights that the output depends on, input by input."""
    before = hs_description_length(case.loss, case.params, 1e-3)
    after = hs_description_length(case.loss, alpha_scale(case.params, a), 1e-3)
    log_D = {"theta1": -1, "b1": -1, "theta2": 1, "b2": 0}
    shift = 0.0
    for x in case.X:
        one = {name: b.clone().requires_grad_() for name, b in case.params.items()}
        outputs = case.f(one, x[None])[0]
        slope = {name: torch.zeros_like(b) for name, b in one.items()}
        for y in outputs:
            grads = torch.autograd.grad(y, one.values(), retain_graph=True, materialize_grads=True)
            slope = {name: slope[name] + g.abs() for name, g in zip(one, grads)}
        active = {name: int((s > 0).sum()) for name, s in slope.items()}
        shift += sum(log_D[name] * active[name] for name in active) * math.log(a) / len(case.X)
    scale = abs(before) + abs(after) + abs(shift) or 1.0
    holds(54, abs(after - before - shift) / scale, 1e-11)
    ledger("hochreiter-box", error=abs(after - before - shift) / scale, tol=1e-11)


def scan(th1, th2, c, eps):
    """The highest (θ₁θ₂ − c)²/2 on a circle of radius eps, from 400,001 angles."""
    t = np.linspace(0, 2 * np.pi, 400_001)
    return float((((th1 + eps * np.cos(t)) * (th2 + eps * np.sin(t)) - c) ** 2 / 2).max())


@pytest.mark.parametrize(
    ("a", "exact", "second_order"),
    [
        (1, 0.01588, 0.0150),
        (0.3, 0.08442, 0.08401),
        (0.1, 0.75025, 0.75008),
        (0.01, 75.0001, 75.0000),
    ],
)
def test_claim_49_the_scalar_net_exactly(a, exact, second_order):
    c, eps = 1.5, 0.1
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(net("linear"), one(1.0), one(c))
    params = {"theta1": one(c**0.5 * a), "theta2": one(c**0.5 / a)}
    truth = scan(c**0.5 * a, c**0.5 / a, c, eps)
    assert truth == pytest.approx(exact, rel=3e-4)
    assert (c * (a**2 + a**-2)) * eps**2 / 2 == pytest.approx(second_order, rel=1e-4)
    holds(49, abs(eps_sharpness(loss, params, eps).value / truth - 1), 1e-6)


def test_claim_45_local_entropy_of_a_quadratic(ledger):

    H = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    loss = lambda p: p["w"] @ H @ p["w"] / 2  # noqa: E731
    for at in ([0.0, 0.0], [0.7, -0.4]):
        x, gamma = torch.tensor(at, dtype=torch.float64), 0.8
        inverse = torch.linalg.inv(H + gamma * torch.eye(2).double())
        middle = gamma * torch.eye(2).double() - gamma**2 * inverse
        closed = math.log(2 * math.pi) - float(torch.logdet(H + gamma * torch.eye(2).double())) / 2
        closed -= float(x @ middle @ x) / 2
        integrand = lambda b, a, at=at, gamma=gamma: math.exp(  # noqa: E731
            -(3 * a * a + 2 * a * b + 2 * b * b) / 2
            - gamma / 2 * ((a - at[0]) ** 2 + (b - at[1]) ** 2)
        )
        truth = math.log(dblquad(integrand, -8, 8, -8, 8, epsabs=0, epsrel=1e-10)[0])
        holds(45, abs(closed - truth), 1e-8)
        ours = quadratic_local_entropy(loss, {"w": x}, gamma)
        holds(45, abs(ours - truth), 1e-8)
        ledger("local-entropy", error=abs(ours - truth), tol=1e-8)
