"""Radial maps: Figure 5's power map and appendix A's local one.

Oracles: the Jacobians written out by hand from the definition, eigenvalues from numpy, scipy's
`brentq` for the inverse, automatic differentiation of L ∘ g, and central differences of it.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, off
from scipy.optimize import brentq

from helpers import (
    compose,
    dense_hessian,
    flatten,
    gradient,
    jacobian,
    psi,
    pull_back,
    pulled_gradient,
    pulled_hessian,
    radial_map,
    radial_power,
    spectral_norm,
)

points = st.lists(st.floats(-3, 3), min_size=1, max_size=5)
powers = st.floats(-0.45, 2)
floors = st.floats(1e-3, 2)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@law(60)
@given(u=points, a=powers, b=floors, shift=st.floats(-2, 2))
def test_figure_5_there_and_back(u, a, b, shift, ledger):
    centre = torch.full((len(u),), shift, dtype=torch.float64)
    g, theta = radial_power(centre, a, b), centre + tensor(u)
    assume(float((theta - centre).norm()) > 1e-6)
    eta = g.inverse(theta)
    r = float((theta - centre).norm())
    assert off(eta - centre, r * (r**2 + b) ** a * (theta - centre) / r) < 1e-12
    ledger("figure-5", error=float((g.forward(eta) - theta).abs().max()) / (1 + r), tol=1e-11)
    s = float((eta - centre).norm())
    root = brentq(lambda r: r * (r * r + b) ** a - s, 0, 10 * r, xtol=1e-14, rtol=1e-14)
    assert float((g.forward(eta) - centre).norm()) == pytest.approx(root, rel=1e-9)


@law(60)
@given(u=points, a=powers, b=floors)
def test_figure_5_jacobian_and_its_eigenvalues(u, a, b, ledger):
    u = tensor(u)
    r2, n = float(u @ u), len(u)
    assume(r2 > 1e-6)
    g = radial_power(torch.zeros_like(u), a, b)
    by_hand = (r2 + b) ** a * torch.eye(n).double() + 2 * a * (r2 + b) ** (a - 1) * torch.outer(
        u, u
    )
    measured = torch.autograd.functional.jacobian(g.inverse, u)  # ∂η/∂θ
    ledger("figure-5", error=off(measured, by_hand), tol=1e-11)
    J = torch.linalg.inv(by_hand)  # ∂θ/∂η
    ledger("figure-5", error=off(jacobian(g, g.inverse(u)), J), tol=1e-9)
    around, out = (r2 + b) ** a, (r2 + b) ** (a - 1) * ((1 + 2 * a) * r2 + b)
    truth = np.sort([around] * (n - 1) + [out])
    assert np.sort(np.linalg.eigvalsh(by_hand.numpy())) == pytest.approx(truth, rel=1e-10)
    assert out > 0


@law(40)
@given(case=cases(depth=(1, 2), width=3, where="minimum"), a=powers, b=st.floats(0.05, 2))
def test_figure_5_at_the_minimum_itself(case, a, b, ledger):
    H = dense_hessian(case.loss, case.params)
    loss, eta = pull_back(case.loss, radial_power(flatten(case.params), a, b), case.params)
    assert off(flatten(eta), flatten(case.params)) == 0  # it keeps its place
    ledger("figure-5", error=off(dense_hessian(loss, eta), b ** (-2 * a) * H), tol=1e-10)


@law(25)
@given(
    case=cases(depth=(1, 2), width=3, where="off"),
    a=st.floats(-0.4, 1),
    b=st.floats(0.1, 2),
    shift=st.floats(-1, 1),
)
def test_chain_rules_hold_for_a_radial_map_around_another_point(case, a, b, shift, ledger):
    g = radial_power(flatten(case.params) + shift, a, b)
    loss_eta, eta = pull_back(case.loss, g, case.params)
    grad, H = gradient(case.loss, case.params), dense_hessian(case.loss, case.params)
    here, there = flatten(eta), dense_hessian(loss_eta, eta)
    scale = max(float(there.abs().max()), float(grad.norm())) or 1.0
    errors = (
        float((pulled_gradient(grad, g, here) - gradient(loss_eta, eta)).abs().max()) / scale,
        float((pulled_hessian(H, grad, g, here) - there).abs().max()) / scale,
    )
    ledger("chain-rules", error=max(errors), tol=1e-11)


TABLE = {  # curvature at θ = 0, 1, 2, 3 in the new coordinates
    (-0.4, 1e-3): (0.0786, 489.95, 1493.3, 2859.7),
    (1.0, 0.01): (1.97e5, 2.179, 0.1368, 0.0271),
}


@pytest.mark.parametrize(("a", "b"), TABLE)
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_figure_5_makes_four_equal_minima_unequal(a, b, k, ledger):
    loss = lambda p: torch.sin(math.pi * p["w"]).square().sum()  # noqa: E731
    g = radial_power(torch.zeros(1, dtype=torch.float64), a, b)
    at_k = {"w": torch.tensor([float(k)], dtype=torch.float64)}
    loss_eta, eta = pull_back(loss, g, at_k)
    slope = (k**2 + b) ** (a - 1) * ((1 + 2 * a) * k**2 + b)  # ψ'(k)
    closed = 2 * math.pi**2 / slope**2
    assert closed == pytest.approx(TABLE[a, b][k], rel=2e-3)
    measured = float(dense_hessian(loss_eta, eta))
    ledger("figure-5", error=abs(measured / closed - 1), tol=1e-10)
    h = 1e-3 * slope * (0.1 if k == 0 else 1.0)  # a step in η as long as 1e-3 in θ
    if k == 0:
        h = 1e-3 * b ** (a + 0.5)
    moved = [float(loss_eta({"w": eta["w"] + s * h})) for s in (-1, 0, 1)]
    assert (moved[0] - 2 * moved[1] + moved[2]) / h**2 == pytest.approx(closed, rel=1e-3)


@law(30)
@given(u=st.floats(0.2, 3), a=powers, b=floors)
def test_second_derivatives_of_the_inverse_are_right_too(u, a, b):
    """Off a critical point the Hessian of L ∘ g needs ∂²g, which Newton's steps must carry."""
    g = radial_power(torch.zeros(1).double(), a, b)
    loss = lambda p: p["w"].sum()  # noqa: E731, curvature of g itself
    pulled, eta = pull_back(loss, g, {"w": tensor([u])})
    slope = lambda r: (r * r + b) ** (a - 1) * ((1 + 2 * a) * r * r + b)  # noqa: E731, ψ'
    h = 1e-5 * u
    bend = (slope(u + h) - slope(u - h)) / (2 * h)  # ψ''
    truth = -bend / slope(u) ** 3  # (ψ⁻¹)'' = −ψ''/ψ'³
    assert float(dense_hessian(pulled, eta)) == pytest.approx(truth, rel=1e-4, abs=1e-6)


def test_at_the_centre_without_a_floor_it_is_no_bijection():
    params = {"w": torch.ones(2).double()}
    loss = lambda p: (p["w"] - 1).square().sum()  # noqa: E731
    sharp = radial_power(params["w"], 1.0, 0.0)  # J⁻¹ = 0 there: infinitely sharp
    with pytest.raises(ValueError, match="needs a finite Jacobian, got NaN or infinite entries"):
        pull_back(loss, sharp, params)
    flat = radial_power(params["w"], -0.4, 0.0)
    with pytest.raises(
        ValueError, match="needs an invertible Jacobian, got singular values from 0"
    ):
        pull_back(loss, flat, params)


@law(40)
@given(u=points, a=powers, shift=st.floats(-2, 2))
def test_without_a_floor_it_is_a_power_map_that_keeps_its_centre(u, a, shift):
    centre = torch.full((len(u),), shift, dtype=torch.float64)
    g, u = radial_power(centre, a, 0.0), tensor(u)
    for there in (g.forward, g.inverse):
        assert torch.equal(there(centre), centre)  # a number, never NaN
    r = float(u.norm())
    assume(r > 1e-2)
    assert off(g.inverse(centre + u) - centre, r ** (2 * a) * u) < 1e-9
    assert off(g.forward(g.inverse(centre + u)), centre + u) < 1e-9
    by_hand = r ** (2 * a) * torch.eye(len(u)).double()
    by_hand = by_hand + 2 * a * r ** (2 * a - 2) * torch.outer(u, u)
    assert off(jacobian(g, g.inverse(centre + u)), torch.linalg.inv(by_hand)) < 1e-7


def test_a_half_is_a_power_like_any_other():
    g, points = radial_power(tensor([0.5, -1.0]), 0.5, 1.0), tensor([[2.0, 1.0], [0.5, -0.9]])
    assert off(g.forward(g.inverse(points)), points) < 1e-12


def test_the_power_zero_without_a_floor_changes_nothing_not_even_at_the_centre():
    centre = tensor([0.5, -1.0])
    g, points = radial_power(centre, 0.0, 0.0), torch.stack([centre, centre + 1.0])
    assert torch.equal(g.forward(points), points) and torch.equal(g.inverse(points), points)
    assert torch.equal(jacobian(g, centre), torch.eye(2, dtype=torch.float64))


@law(60)
@given(
    u=points,
    r_hat=st.floats(0.05, 0.95),
    rho=st.floats(0.05, 0.95),
    delta=st.floats(0.1, 3),
)
def test_appendix_a_formula_on_its_three_pieces(u, r_hat, rho, delta, ledger):
    r_hat, rho, u = r_hat * delta, rho * delta, tensor(u)
    r, n = float(u.norm()), len(u)
    assume(min(abs(r - r_hat), abs(r - delta), r) > 1e-3)
    g = radial_map(torch.zeros_like(u), r_hat=r_hat, rho=rho, delta=delta)
    eye, ray = torch.eye(n).double(), torch.outer(u, u)
    if r > delta:
        J = eye
    elif r <= r_hat:
        J = rho / r_hat * eye
    else:
        c = delta * (r_hat - rho) / (r_hat - delta)
        J = (rho - delta) / (r_hat - delta) * eye - c / r**3 * ray + c / r * eye
    assert off(torch.func.jacrev(g.inverse)(u), J) < 1e-11
    ledger("appendix-a", error=off(jacobian(g, g.inverse(u)), torch.linalg.inv(J)), tol=1e-9)
    assert off(g.forward(g.inverse(u)), u) < 1e-12
    if r > delta:
        assert torch.equal(g.inverse(u), u)


@law(40)
@given(
    case=cases(depth=(1, 2), width=3, where="minimum"),
    r_hat=st.floats(0.05, 0.95),
    rho=st.floats(0.05, 0.95),
)
def test_appendix_a_at_the_centre(case, r_hat, rho, ledger):
    g = radial_map(flatten(case.params), r_hat=r_hat, rho=rho, delta=1.0)
    there = dense_hessian(*pull_back(case.loss, g, case.params))
    error = off(there, (r_hat / rho) ** 2 * dense_hessian(case.loss, case.params))
    ledger("appendix-a", error=error, tol=1e-11)


@law(40)
@given(
    turn=st.floats(0, 2 * math.pi),
    out=st.floats(1.0, 3.0),
    r_hat=st.floats(0.05, 0.95),
    rho=st.floats(0.05, 0.95),
)
def test_figure_6_a_sphere_goes_to_a_sphere_and_nothing_outside_the_ball_moves(
    turn, out, r_hat, rho, ledger
):
    """The graph of ψ at its four corners, and its map of the plane, point by point."""
    ray, centre = tensor([math.cos(turn), math.sin(turn)]), tensor([0.5, -1.0])
    g = radial_map(centre, r_hat=r_hat, rho=rho, delta=1.0)
    corners = {0.0: 0.0, r_hat: rho, 1.0: 1.0, out: out}
    for r, s in corners.items():
        here = float(psi(tensor(r), r_hat=r_hat, rho=rho, delta=1.0))
        ledger("figure-6", error=abs(here - s), tol=1e-14)
    for r, s in list(corners.items())[1:]:
        ledger("figure-6", error=off(g.inverse(centre + r * ray), centre + s * ray), tol=1e-14)
    far = centre + 1.001 * out * ray
    ledger("figure-6", error=float((g.inverse(far) - far).abs().max()), tol=0)
    between = [
        float(psi(tensor(r), r_hat=r_hat, rho=rho, delta=1.0)) for r in np.linspace(0, 1, 50)
    ]
    assert (np.diff(between) > 0).all()


@law(60)
@given(r=st.floats(0, 3), r_hat=st.floats(0.1, 0.9), rho=st.floats(0.1, 0.9))
def test_psi_is_its_own_family(r, r_hat, rho):
    there = psi(tensor(r), r_hat=r_hat, rho=rho, delta=1.0)
    back = psi(there, r_hat=rho, rho=r_hat, delta=1.0)
    assert float(back) == pytest.approx(r, abs=1e-12)
    assert float(psi(tensor(r_hat), r_hat=r_hat, rho=rho, delta=1.0)) == pytest.approx(rho)


def test_the_ranking_of_three_minima_is_reordered_at_will(ledger):
    """Three minima of one net (its hidden units permuted), each flattest in turn."""
    case = build([4, 3, 1], 0, n=40)
    minima = [
        {"theta1": case.params["theta1"][:, order], "theta2": case.params["theta2"][order]}
        for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1])
    ]
    norms = [spectral_norm(case.loss, params) for params in minima]
    assert max(norms) / min(norms) == pytest.approx(1, rel=1e-3)
    gap = min(float((flatten(p) - flatten(q)).norm()) for p in minima for q in minima if p is not q)
    delta = 0.45 * gap
    for wanted in ([4.0, 1.0, 0.25], [0.25, 4.0, 1.0], [1.0, 0.25, 4.0]):
        maps = [
            radial_map(flatten(p), r_hat=delta / 4, rho=delta / 4 / factor**0.5, delta=delta)
            for p, factor in zip(minima, wanted)
        ]
        found = [spectral_norm(*pull_back(case.loss, compose(*maps), p)) for p in minima]
        worst = max(abs(f / n / w - 1) for f, n, w in zip(found, norms, wanted))
        ledger("appendix-a", error=worst, tol=1e-3)


def test_maps_in_disjoint_balls_compose_in_any_order():
    """Two disjoint balls: each map acts in its own and is the identity in the other's."""
    one, two = torch.zeros(2).double(), torch.tensor([5.0, 0.0]).double()
    maps = [radial_map(c, r_hat=0.5, rho=0.1, delta=1.0) for c in (one, two)]
    for order in (maps, maps[::-1]):
        g = compose(*order)
        assert off(jacobian(g, one), 5 * torch.eye(2, dtype=torch.float64)) < 1e-12
        assert off(jacobian(g, two), 5 * torch.eye(2, dtype=torch.float64)) < 1e-12
    assert np.allclose(compose(*maps).forward(torch.full((2,), 2.5).double()), 2.5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_both_precisions_on_every_device_and_many_points_at_once(dtype, tol, device):
    centre = torch.tensor([0.5, -1.0], dtype=dtype, device=device)
    z = torch.randn(7, 5, 2, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    for g in (radial_power(centre, -0.3, 0.1), radial_map(centre, r_hat=0.5, rho=0.2, delta=2.0)):
        back = g.forward(g.inverse(z))
        assert (back.dtype, back.device.type, back.shape) == (dtype, device, z.shape)
        assert off(back, z) < tol
        one = torch.stack([g.inverse(row) for row in z.reshape(-1, 2)]).reshape(z.shape)
        assert off(one, g.inverse(z)) < tol


# Bad input.


@pytest.mark.parametrize("a", [-0.5, -1, math.nan, math.inf])
def test_the_power_must_be_above_minus_a_half(a):
    with pytest.raises(ValueError, match="radial_power needs a finite a > -1/2, got"):
        radial_power(torch.zeros(2), a, 1.0)


@pytest.mark.parametrize("b", [-0.1, math.nan, math.inf])
def test_the_floor_must_not_be_negative(b):
    with pytest.raises(ValueError, match="radial_power needs a finite b >= 0, got"):
        radial_power(torch.zeros(2), 0.5, b)


def test_twin_below_minus_a_half_two_points_share_an_image():
    image = lambda r: r * (r * r + 1.0) ** -1.0  # noqa: E731, a = −1
    assert image(0.5) == image(2.0)


@pytest.mark.parametrize(
    ("knobs", "name"),
    [
        ((0.0, 0.5, 1.0), "r_hat"),
        ((1.0, 0.5, 1.0), "r_hat"),
        ((0.5, 0.0, 1.0), "rho"),
        ((0.5, 1.5, 1.0), "rho"),
        ((0.5, math.nan, 1.0), "rho"),
        ((0.5, 0.5, math.inf), "r_hat"),
        ((0.5, 0.5, -1.0), "r_hat"),
    ],
)
def test_radii_must_lie_inside_the_ball(knobs, name):
    r_hat, rho, delta = knobs
    with pytest.raises(ValueError, match=f"radial_map needs 0 < {name} < delta, got {name}="):
        radial_map(torch.zeros(2), r_hat=r_hat, rho=rho, delta=delta)


@pytest.mark.parametrize(("point", "centre"), [((6,), (5,)), ((6,), (1,)), ((6,), ()), ((), (1,))])
def test_points_and_centre_have_the_same_coordinates(point, centre):
    for g in (
        radial_power(torch.zeros(centre), 0.5, 1.0),
        radial_map(torch.zeros(centre), r_hat=0.5, rho=0.2, delta=1.0),
    ):
        for move in (g.forward, g.inverse):
            with pytest.raises(
                ValueError, match=r"a radial map needs points of shape \(…, n\) and"
            ):
                move(torch.zeros(point))
