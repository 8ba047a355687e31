"""Claims about measures that were made to be invariant, and where each of them stops being so.

Oracle: dense Hessians and outputs at points that were really rescaled; each measure's formula is
written out here, beside the helper of the same name.
"""

import math

import pytest
import torch
from claims import below, holds
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform, off

from helpers import (
    adaptive_sharpness,
    adaptive_step,
    alpha_scale,
    dense_hessian,
    flatten,
    gradient,
    perturb,
    rangamani_sharpness,
    scale_units,
)
from helpers.measures._invariant import fisher_rao_norm, path_norm, relative_flatness

OFF = dict(depth=(1, 1), bias=False, where="off")


def factors(data, case, low=0.1, high=10.0):
    h = case.widths[1]
    values = data.draw(st.lists(log_uniform(low, high), min_size=h, max_size=h))
    return torch.tensor(values, dtype=torch.float64)


def uneven(case):
    """One factor a hidden unit, spread over four powers of ten."""
    return scale_units(case.params, torch.logspace(-2, 2, case.widths[1], dtype=torch.float64))


def top(H):
    return float(torch.linalg.eigvalsh((H + H.T) / 2).abs().max())


def in_units_of(case, params, s):
    return top(s[:, None] * dense_hessian(case.loss, params) * s)


def norms(params):
    return torch.cat([b.norm().expand(b.numel()) for b in params.values()])


def has_curvature(case):
    return top(dense_hessian(case.loss, case.params)) > 1e-3


@law(25)
@given(case=cases(**OFF), a=log_uniform(0.01, 100))
def test_claim_37_rangamani_layer_by_layer(case, a):
    if not has_curvature(case):
        return
    twin = alpha_scale(case.params, a)
    one, two = (in_units_of(case, p, norms(p)) for p in (case.params, twin))
    holds(37, abs(two / one - 1), 1e-11)
    assert rangamani_sharpness(case.loss, twin) == pytest.approx(one, rel=1e-5)


def test_claim_37_but_not_unit_by_unit():
    case = build([4, 5, 1], 0, n=40)
    ratio = rangamani_sharpness(case.loss, uneven(case)) / rangamani_sharpness(
        case.loss, case.params
    )
    below(37, 100, ratio)


@law(25)
@given(case=cases(**OFF), data=st.data())
def test_claim_38_elementwise_unit_by_unit(case, data):
    if not has_curvature(case):
        return
    twin = scale_units(case.params, factors(data, case))
    one, two = (in_units_of(case, p, flatten(p).abs()) for p in (case.params, twin))
    if one > 1e-6:
        holds(38, abs(two / one - 1), 1e-11)
        assert adaptive_sharpness(case.loss, twin) == pytest.approx(one, rel=1e-5)


@law(40)
@given(case=cases(**OFF), a=log_uniform(0.1, 10))
def test_claims_39_and_40_asams_step(case, a):
    g, theta = gradient(case.loss, case.params), flatten(case.params)
    T = theta.abs()
    if not float((T * g).norm()) > 1e-3 or float(T.min()) < 1e-6:
        return
    rho = 0.05
    e = rho * T**2 * g / (T * g).norm()
    stepped = adaptive_step(case.loss, case.params, rho)
    assert off(flatten(stepped), theta + e) < 1e-14
    holds(40, abs(float((e / T).norm()) / rho - 1), 1e-12)
    holds(40, abs(float(g @ e) / (rho * float((T * g).norm())) - 1), 1e-12)
    there = adaptive_step(case.loss, alpha_scale(case.params, a), rho)
    holds(39, abs(float(case.loss(there)) / float(case.loss(stepped)) - 1), 1e-12)


def test_claim_39_but_not_with_eta_and_not_sam():
    case = build([4, 3, 1], 0, n=40, where="off")
    twin, rho = alpha_scale(case.params, 0.05), 0.5
    one, two = (
        float(case.loss(adaptive_step(case.loss, p, rho, eta=0.01))) for p in (case.params, twin)
    )
    below(39, 1e-4, abs(two / one - 1))
    sam = []
    for params in (case.params, twin):
        g = gradient(case.loss, params)
        sam.append(float(case.loss(perturb(params, 0.05 * g / g.norm()))))
    below(39, 1e-4, abs(sam[1] / sam[0] - 1))


@law(25)
@given(case=cases(**OFF), data=st.data())
def test_claim_41_relative_flatness_of_the_first_layer(case, data):
    one = relative_flatness(case.loss, case.params)
    two = relative_flatness(case.loss, scale_units(case.params, factors(data, case)))
    if abs(one) > 1e-3:
        holds(41, abs(two / one - 1), 1e-11)


def test_claim_41_but_of_the_second_only_when_its_inputs_scale_together():
    case = build([4, 5, 1], 0, n=40)
    one = relative_flatness(case.loss, case.params, "theta2")
    together = relative_flatness(case.loss, alpha_scale(case.params, 7.0), "theta2")
    holds(41, abs(together / one - 1), 1e-11)
    ratio = relative_flatness(case.loss, uneven(case), "theta2") / one
    below(41, 100, ratio)


@law(40)
@given(case=cases(depth=(1, 3), bias=False))
def test_claim_42_the_fisher_rao_norm_is_a_function_of_f(case):
    K = len(case.params)
    f = case.f(case.params, case.X)
    closed = K**2 * float(f.square().sum(1).mean())
    found = fisher_rao_norm(case.f, case.params, case.X)
    holds(42, abs(found - closed) / (closed or 1.0), 1e-12)


@law(25)
@given(case=cases(depth=(1, 1), bias=False), data=st.data())
def test_claims_42_and_43_unit_by_unit(case, data):
    twin = scale_units(case.params, factors(data, case))
    one, two = (fisher_rao_norm(case.f, p, case.X) for p in (case.params, twin))
    holds(42, abs(two - one) / (one or 1.0), 1e-12)
    paths = [
        float((x**2 @ p["theta1"] ** 2 @ p["theta2"] ** 2).sum())
        for p in (case.params, twin)
        for x in [torch.ones(case.widths[0], dtype=torch.float64)]
    ]
    holds(43, abs(paths[1] / paths[0] - 1), 1e-12)
    assert path_norm(twin) == pytest.approx(paths[0] ** 0.5, rel=1e-12)


@law(40)
@given(n=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_claim_44_a_metric_that_moves_along(n, seed):
    generator = torch.Generator().manual_seed(seed)
    random = lambda: torch.randn(n, n, generator=generator).double()  # noqa: E731
    H, G = random(), random()
    H, G = H + H.T, G @ G.T + torch.eye(n).double()
    Q = 2 * torch.eye(n).double() + 0.5 * random() / n
    one = torch.linalg.eigvals(torch.linalg.solve(G, H)).real.sort().values
    two = torch.linalg.eigvals(torch.linalg.solve(Q.T @ G @ Q, Q.T @ H @ Q)).real.sort().values
    holds(44, off(two, one), 1e-9)


def gain(beta, target, b):
    """L(β e^{2b}) − L(β) for L = ‖β − target‖² (XᵀX = I)."""
    return float((beta * (2 * b).exp() - target).square().sum() - (beta - target).square().sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_claim_55_geodesic_sharpness_of_a_diagonal_net(seed):
    """u ⊙ v = β moves along its geodesic to β e^{2b}; the highest gain over ‖b‖ <= ρ."""
    generator = torch.Generator().manual_seed(seed)
    beta, target = (torch.randn(5, generator=generator).double() for _ in range(2))
    rho = 1e-4
    for goal, closed in (
        (target, 4 * rho * float((beta * (beta - target)).norm())),
        (beta, 4 * rho**2 * float(beta.square().max())),
    ):
        b = torch.randn(5, generator=generator).double()
        for _ in range(500):  # ascent on the sphere of radius ρ
            slope = 4 * beta * (2 * b).exp() * (beta * (2 * b).exp() - goal)
            b = b * rho / b.norm() + 10 * rho * slope / slope.norm()
            b = b * rho / b.norm()
        holds(55, abs(gain(beta, goal, b) / closed - 1), 1e-3)


def test_claim_55_the_curve_is_what_rescaled_factors_multiply_to():
    generator = torch.Generator().manual_seed(0)
    u, v, b = (torch.randn(5, generator=generator).double() for _ in range(3))
    assert off((u * b.exp()) * (v * b.exp()), u * v * (2 * b).exp()) < 1e-14
    assert math.isclose(float((u * b.exp()) @ (v / b.exp())), float(u @ v))  # and this is symmetry
