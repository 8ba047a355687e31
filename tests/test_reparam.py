"""New coordinates for the parameters.

Oracles: automatic differentiation of L ∘ g itself, which never hears of a chain rule; numpy's
linear algebra for a linear map; central differences of L ∘ g; and, for the Kullback–Leibler
divergence, the formula for two Gaussians and scipy's quadrature.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform, off
from scipy.integrate import quad

from helpers import (
    Bijection,
    alpha_scale,
    compose,
    dense_hessian,
    flatten,
    gradient,
    jacobian,
    perturb,
    pull_back,
    pulled_gradient,
    pulled_hessian,
    relu_net,
    scale_direction,
    sizes,
    spectral_norm,
    weight_norm,
)


def linear(A):
    A_inverse = torch.linalg.inv(A)
    return Bijection(lambda eta: eta @ A.T, lambda theta: theta @ A_inverse.T)


def sinh(s):
    return Bijection(lambda eta: torch.sinh(s * eta) / s, lambda theta: torch.asinh(s * theta) / s)


def random_matrix(case, n):
    return torch.eye(n).double() * 2 + torch.randn(n, n, generator=case.generator).double() / n


@law(40)
@given(case=cases(depth=(1, 2), width=3, where="off"), s=st.floats(0.1, 2))
def test_chain_rules_for_a_curved_map(case, s, ledger):
    n = len(flatten(case.params))
    g = compose(linear(random_matrix(case, n)), sinh(s))
    loss_eta, eta = pull_back(case.loss, g, case.params)
    here = flatten(eta)
    grad, H = gradient(case.loss, case.params), dense_hessian(case.loss, case.params)
    ledger(
        "chain-rules",
        error=off(pulled_gradient(grad, g, here), gradient(loss_eta, eta)),
        tol=1e-11,
    )
    ledger(
        "chain-rules",
        error=off(pulled_hessian(H, grad, g, here), dense_hessian(loss_eta, eta)),
        tol=1e-11,
    )


@law(40)
@given(case=cases(depth=(1, 2), width=3, where="minimum"), s=st.floats(0.1, 2))
def test_at_a_critical_point_the_hessian_is_congruent(case, s, ledger):
    g = sinh(s)
    loss_eta, eta = pull_back(case.loss, g, case.params)
    J = torch.cosh(s * flatten(eta))  # by hand: diagonal
    H = J[:, None] * dense_hessian(case.loss, case.params) * J
    ledger("chain-rules", error=off(dense_hessian(loss_eta, eta), H), tol=1e-11)


def test_twin_away_from_a_critical_point_the_second_term_is_needed():
    case = build([3, 3, 1], 0, where="off")
    g = sinh(1.0)
    loss_eta, eta = pull_back(case.loss, g, case.params)
    J = jacobian(g, flatten(eta))
    congruent = J.T @ dense_hessian(case.loss, case.params) @ J
    assert off(congruent, dense_hessian(loss_eta, eta)) > 1e-2


@law(30)
@given(case=cases(depth=(1, 2), width=3))
def test_the_loss_and_the_names_are_kept_and_central_differences_agree(case):
    g = sinh(0.5)
    loss_eta, eta = pull_back(case.loss, g, case.params)
    assert {k: v.shape for k, v in eta.items()} == {k: v.shape for k, v in case.params.items()}
    assert off(loss_eta(eta), case.loss(case.params)) < 1e-12 or float(loss_eta(eta)) < 1e-25
    v = torch.randn(len(flatten(eta)), generator=case.generator).double()
    v, h = v / v.norm(), 1e-6
    slope = float(loss_eta(perturb(eta, v, h)) - loss_eta(perturb(eta, v, -h))) / (2 * h)
    assert float(gradient(loss_eta, eta) @ v) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_composition_is_in_the_order_of_mathematics():
    double = Bijection(lambda z: 2 * z, lambda z: z / 2)
    shift = Bijection(lambda z: z + 1, lambda z: z - 1)
    g = compose(double, shift)
    assert float(g.forward(torch.tensor(3.0))) == 8
    assert float(g.inverse(torch.tensor(8.0))) == 3
    same = compose()
    assert float(same.forward(torch.tensor(3.0))) == float(same.inverse(torch.tensor(3.0))) == 3


@law(30)
@given(case=cases(depth=(1, 1), where="minimum", bias=False), factor=log_uniform(0.1, 10))
def test_sharp_becomes_flat_and_flat_sharp(case, factor):
    """θ = factor · η: the simplest bijection multiplies every curvature by factor²."""
    top = float(torch.linalg.eigvalsh(dense_hessian(case.loss, case.params))[-1])
    if top == 0:
        return
    g = Bijection(lambda eta: factor * eta, lambda theta: theta / factor)
    assert spectral_norm(*pull_back(case.loss, g, case.params)) == pytest.approx(
        factor**2 * top, rel=1e-3
    )


def kl(m1, S1, m0, S0):
    """KL(N(m1, S1) ‖ N(m0, S0)), by hand."""
    d = m0 - m1
    return float(
        (torch.linalg.solve(S0, S1).trace() + d @ torch.linalg.solve(S0, d) - len(d)) / 2
        + (torch.logdet(S0) - torch.logdet(S1)) / 2
    )


@law(40)
@given(case=cases(depth=(1, 1), bias=False, width=3), a=log_uniform(0.1, 10))
def test_kl_stays_when_both_move_and_changes_when_the_prior_stays(case, a):
    theta = flatten(case.params)
    n1, n2 = sizes(case.params).values()
    eye = torch.eye(n1 + n2).double()
    S = torch.diag(torch.tensor([a] * n1 + [1 / a] * n2, dtype=torch.float64))
    there = flatten(alpha_scale(case.params, a))
    before = kl(theta, 0.01 * eye, 0 * theta, eye)
    both = kl(there, 0.01 * S @ S, 0 * theta, S @ S)
    assert abs(both - before) / (1 + before) <= 1e-12
    stays = kl(there, 0.01 * S @ S, 0 * theta, eye)
    moved = abs(float((there.square() - theta.square()).sum())) > 1e-2
    if moved and abs(math.log(a)) > 0.1 and n1 == n2:
        assert abs(stays - before) > 1e-6


@law(20)
@given(mean=st.floats(-1, 1), width=st.floats(0.2, 1))
def test_kl_stays_under_a_curved_bijection_by_quadrature(mean, width):
    """q = N(mean, width²), p = N(0, 1), pushed through x ↦ sinh(x)."""
    log_q = lambda x: -((x - mean) ** 2) / (2 * width**2) - math.log(width)  # noqa: E731
    log_p = lambda x: -(x**2) / 2  # noqa: E731
    closed = (width**2 + mean**2 - 1) / 2 - math.log(width)
    norm = math.sqrt(2 * math.pi)

    def integrand(z):  # in the new coordinate: both densities divided by cosh
        x = math.asinh(z)
        jacobian = math.sqrt(1 + z * z)
        return math.exp(log_q(x)) / norm / jacobian * (log_q(x) - log_p(x))

    low, high = (math.sinh(mean + s * 9 * width) for s in (-1, 1))
    cuts = [math.sinh(mean + s * width) for s in (-3, -1, 0, 1, 3)]
    pushed = quad(integrand, low, high, points=cuts, epsabs=1e-11, epsrel=1e-10, limit=400)[0]
    assert pushed == pytest.approx(closed, rel=1e-9, abs=1e-9)


# Bad input.


def test_a_map_that_is_no_bijection_is_refused():
    case = build([2, 2, 1], 0)
    folded = Bijection(torch.abs, torch.abs)
    with pytest.raises(ValueError, match=r"pull_back needs g\(g⁻¹\(θ\)\) = θ, got a point \d"):
        pull_back(case.loss, folded, case.params)
    lost = Bijection(lambda eta: eta * math.nan, lambda theta: theta)
    with pytest.raises(ValueError, match=r"g\(g⁻¹\(θ\)\) = θ, got NaN or infinite coordinates"):
        pull_back(case.loss, lost, case.params)
    flat = Bijection(lambda eta: eta.sum() + 0 * eta, lambda theta: theta / len(theta))
    ones = {name: torch.ones_like(block) for name, block in case.params.items()}
    with pytest.raises(ValueError, match=r"needs an invertible Jacobian, got singular values from"):
        pull_back(case.loss, flat, ones)
    cube = Bijection(lambda eta: eta**3, lambda theta: theta.sign() * theta.abs() ** (1 / 3))
    zero = {name: torch.zeros_like(block) for name, block in case.params.items()}
    with pytest.raises(ValueError, match=r"invertible Jacobian, got .* from 0.0e\+00 down to 0"):
        pull_back(case.loss, cube, zero)
    root = Bijection(lambda eta: eta.sign() * eta.abs().sqrt(), lambda theta: theta * theta.abs())
    with pytest.raises(ValueError, match=r"needs a finite Jacobian, got NaN or infinite"):
        pull_back(case.loss, root, zero)


def test_a_bijection_may_be_of_any_size_so_long_as_no_direction_is_lost():
    g = Bijection(lambda eta: 1e-12 * eta, lambda theta: 1e12 * theta)
    assert off(jacobian(g, torch.ones(6).double()), 1e-12 * torch.eye(6).double()) < 1e-15


def test_a_direction_is_not_turned_around():
    with pytest.raises(ValueError, match=r"scale_direction needs .* got -1: -v points the other"):
        scale_direction({"theta1.v": torch.ones(2)}, -1)


def test_a_map_between_other_dimensions_is_refused():
    case = build([2, 2, 1], 0)
    longer = Bijection(lambda eta: eta[:-1], lambda theta: torch.cat([theta, theta[:1]]))
    with pytest.raises(ValueError, match=r"needs a square Jacobian, got shape \(6, 7\)"):
        pull_back(case.loss, longer, case.params)
    shorter = Bijection(lambda eta: eta, lambda theta: theta[:-1])
    with pytest.raises(ValueError, match=r"g\(g⁻¹\(θ\)\) = θ, got shape \(5,\) for \(6,\)"):
        pull_back(case.loss, shorter, case.params)


def test_nan_zero_and_unknown_blocks_are_refused():
    case = build([2, 2, 1], 0)
    broken = {**case.params, "theta1": case.params["theta1"] * math.nan}
    with pytest.raises(ValueError, match="pull_back needs finite parameters, got 4"):
        pull_back(case.loss, sinh(1.0), broken)
    with pytest.raises(ValueError, match="weight_norm needs finite parameters, got 4"):
        weight_norm(case.loss, broken)
    with pytest.raises(ValueError, match="weight_norm needs a non-zero theta2, got norm 0"):
        weight_norm(case.loss, {**case.params, "theta2": 0 * case.params["theta2"]}, "theta2")
    with pytest.raises(ValueError, match="weight_norm needs a block among .*, got 'theta9'"):
        weight_norm(case.loss, case.params, "theta9")
    with pytest.raises(ValueError, match="weight_norm needs a dim from 0 to 1, got 2: it is the"):
        weight_norm(case.loss, case.params, dim=2)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_both_precisions_on_every_device(dtype, tol, device):
    case = build([3, 4, 1], 0, where="off")
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    loss = type(case.loss)(
        relu_net, case.X.to(device, dtype), case.loss.y.to(device, dtype), case.loss.criterion
    )
    g = sinh(0.7)
    loss_eta, eta = pull_back(loss, g, params)
    assert all(b.dtype == dtype and b.device.type == device for b in eta.values())
    truth = dense_hessian(*pull_back(case.loss, g, case.params))
    assert off(dense_hessian(loss_eta, eta), truth) < tol


@pytest.mark.parametrize("slip", [1e-9, 1e-6, 0.1])
def test_an_inverse_that_is_a_little_wrong_is_refused(slip):
    case = build([3, 4, 1], 0)
    g = Bijection(lambda eta: 2 * eta, lambda theta: theta / 2 * (1 + slip))
    with pytest.raises(ValueError, match=r"pull_back needs g\(g⁻¹\(θ\)\) = θ, got a point"):
        pull_back(case.loss, g, case.params)
