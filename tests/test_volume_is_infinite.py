"""Theorem 2: boxes that never meet, volumes that grow past every bound, and the rate in a window.

Oracle: sup-norm shells and determinants by hand, points drawn in the boxes, and scipy's quadrature
of the regions themselves.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform
from scipy.integrate import quad

from helpers import alpha_scale, disjoint_alpha, flatten, net, sizes, squared_error, unflatten

MINIMA = dict(depth=(1, 3), bias=False, where="minimum")  # also deeper: θ₁ and θ₂ take the factor


def sup(block):
    return float(block.abs().max())


@law(60)
@given(case=cases(**MINIMA), a=log_uniform(0.1, 10))
def test_volumes_are_multiplied_by_a_power_of_the_factor(case, a, ledger):
    n1, n2 = list(sizes(case.params).values())[:2]
    T = lambda theta: flatten(alpha_scale(unflatten(theta, case.params), a))  # noqa: E731
    det = torch.linalg.det(torch.autograd.functional.jacobian(T, flatten(case.params)))
    ledger("volume-change", error=abs(float(det) / a ** (n1 - n2) - 1), tol=1e-12)


@law(60)
@given(case=cases(**MINIMA), part=st.floats(0.01, 0.99))
def test_the_boxes_are_disjoint(case, part, ledger):
    size = sup(case.params["theta1"])
    r = part * size
    alpha = disjoint_alpha(case.params, r)
    assert alpha == pytest.approx(2 * (size + r) / (size - r))
    overlap = 0.0
    for k in range(5):  # every θ₁' of box k is longer than every one of box k − 1, in sup norm
        longest, next_shortest = alpha**k * (size + r), alpha ** (k + 1) * (size - r)
        overlap = max(overlap, longest - next_shortest)
    ledger("theorem-2", error=max(0.0, overlap), tol=0)


@law(40)
@given(case=cases(**MINIMA), part=st.floats(0.01, 0.5), k=st.integers(1, 4))
def test_points_of_a_box_have_the_loss_of_their_images_in_another(case, part, k, ledger):
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
@given(case=cases(**MINIMA), part=st.floats(0.1, 0.9))
def test_the_volume_passes_every_bound(case, part, ledger):
    """n₁ = n₂: so many equal boxes; n₁ ≠ n₂: one box, stretched. Logs, for they are large."""
    n1, n2 = list(sizes(case.params).values())[:2]
    n = len(flatten(case.params))
    r = part * sup(case.params["theta1"])
    log_v, bound = n * math.log(2 * r), 1e6
    if n1 == n2:
        boxes = math.ceil(2 * bound * math.exp(-log_v))
        reached = math.log(boxes) + log_v
    else:
        alpha = math.exp((math.log(bound) + 1 - log_v) / (n1 - n2))
        reached = log_v + (n1 - n2) * math.log(alpha)
    ledger("theorem-2", error=max(0.0, math.log(bound) - reached), tol=0)


def test_twin_with_half_the_factor_they_overlap():
    case = build([2, 2, 1], 0)
    size = sup(case.params["theta1"])
    r = 0.5 * size
    alpha = disjoint_alpha(case.params, r) / 2.5
    assert alpha * (size - r) < size + r


@law(40)
@given(c=st.floats(0.3, 3), balance=log_uniform(0.3, 3), part=st.floats(0.05, 0.9))
def test_with_two_weights_the_boxes_follow_the_hyperbola(c, balance, part, ledger):
    """Figure 3: corners by hand. Each is longer and thinner, as large, and around the valley."""
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(net("linear"), one(1.0), one(c))
    params = {"theta1": one(c**0.5 * balance), "theta2": one(c**0.5 / balance)}
    theta = flatten(params)
    r = part * float(theta[0])
    alpha, reached = disjoint_alpha(params, r), -math.inf
    for k in range(5):
        corners = [
            flatten(alpha_scale(unflatten(theta + r * sign, params), alpha**k))
            for sign in torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
        ]
        (left, bottom), (right, top) = (corner.tolist() for corner in corners)
        assert left > reached  # to the right of the box before
        reached = right
        ledger("figure-3", error=abs((right - left) * (top - bottom) / (2 * r) ** 2 - 1), tol=1e-12)
        assert (right - left) / (top - bottom) == pytest.approx(alpha ** (2 * k), rel=1e-12)
        middle = unflatten((corners[0] + corners[1]) / 2, params)
        ledger("figure-3", error=float(loss(middle)) / c**2, tol=1e-12)


@law(40)
@given(a=st.floats(0.1, 1), b=st.floats(1.5, 20), c=st.floats(0.5, 3), s=st.floats(0.01, 0.4))
def test_the_area_of_the_channel_is_a_logarithm_of_the_window(a, b, c, s, ledger):
    area = quad(lambda t: (c + s) / t - (c - s) / t, a, b, epsrel=1e-12)[0]
    ledger("volume-growth", error=abs(area / (2 * s * math.log(b / a)) - 1), tol=1e-8)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_volume_of_the_funnel_is_a_power_of_the_window(d, ledger):
    """θ₁ ∈ R^d, θ₂ ∈ R: V_d s^d (a^{1−d} − b^{1−d})/(d − 1), a power of the cut-off a."""
    s, b = 0.3, 2.0
    ball = math.pi ** (d / 2) / math.gamma(d / 2 + 1)
    for a in (0.5, 0.1, 0.01):
        volume = quad(lambda t: ball * (s / t) ** d, a, b, epsrel=1e-11, limit=200)[0]
        closed = ball * s**d * (a ** (1 - d) - b ** (1 - d)) / (d - 1)
        ledger("volume-growth", error=abs(volume / closed - 1), tol=1e-8)
