"""New coordinates for the parameters.

Oracles: automatic differentiation of L ∘ g itself, which never hears of a chain rule; numpy's
linear algebra for a linear map; torch's own `weight_norm`; and central differences of L ∘ g.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform, off
from torch.nn.utils.parametrizations import weight_norm as torch_weight_norm

from helpers import (
    Bijection,
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
    spectral_norm,
)
from helpers.maps._reparam import scale_direction, weight_norm


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


# Weight normalization.


@law(40)
@given(case=cases(depth=(1, 2), width=3), alpha=log_uniform(0.05, 20), by_unit=st.booleans())
def test_weight_norm_sharp_and_flat_without_limit(case, alpha, by_unit, ledger):
    loss, params = weight_norm(case.loss, case.params, dim=1 if by_unit else None)
    assert off(loss(params), case.loss(case.params)) < 1e-12 or float(loss(params)) < 1e-25
    twin = scale_direction(params, alpha)
    assert off(loss(twin), loss(params)) < 1e-12 or float(loss(twin)) < 1e-25
    D = torch.cat(
        [
            b.new_full((b.numel(),), 1 / alpha if name == "theta1.v" else 1.0)
            for name, b in params.items()
        ]
    )
    grad, H = gradient(loss, params), dense_hessian(loss, params)
    scale = max(float(H.abs().max()), 1e-12)
    there = dense_hessian(loss, twin)
    worst = float(((there / D[:, None] / D) - H).abs().max())
    if case.f(case.params, case.X).abs().max() > 1e-3:
        ledger("weight-norm", error=worst / scale, tol=1e-9)
    assert float((gradient(loss, twin) / D - grad).abs().max()) < 1e-10 * (1 + float(grad.norm()))
    part = slice(
        params["theta1.s"].numel(), params["theta1.s"].numel() + params["theta1.v"].numel()
    )
    v = params["theta1.v"].flatten()
    assert abs(float(v @ grad[part])) < 1e-11 * (1 + float(grad.norm()) * float(v.norm()))


@law(30)
@given(case=cases(depth=(1, 1)))
def test_torchs_weight_norm_is_the_same_function(case):
    module = torch.nn.Linear(*case.params["theta1"].shape, bias=False).double()
    module.weight.data = case.params["theta1"].T.clone()
    module = torch_weight_norm(module, dim=0)  # a scale for each unit
    h = case.widths[1]
    c = 1 + torch.arange(h, dtype=torch.float64)  # other factors for other units
    module.parametrizations.weight.original0.data *= 3.0
    module.parametrizations.weight.original1.data *= c[:, None]
    loss, params = weight_norm(case.loss, case.params, dim=1)
    assert params["theta1.s"].shape == (1, h)
    moved = {**params, "theta1.s": 3 * params["theta1.s"], "theta1.v": c * params["theta1.v"]}
    by_hand = {**case.params, "theta1": module.weight.detach().T}
    assert off(loss(moved), case.loss(by_hand)) < 1e-12


def test_twin_a_negative_factor_turns_the_weight_around():
    case = build([3, 3, 1], 0, where="off")
    loss, params = weight_norm(case.loss, case.params)
    turned = {**params, "theta1.v": -params["theta1.v"]}
    assert abs(float(loss(turned)) - float(loss(params))) > 1e-2


# Bad input.


def test_a_map_that_is_no_bijection_is_refused():
    case = build([2, 2, 1], 0)
    folded = Bijection(torch.abs, torch.abs)
    with pytest.raises(ValueError, match=r"pull_back needs g\(g⁻¹\(θ\)\) = θ, got a point \d"):
        pull_back(case.loss, folded, case.params)
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
    with pytest.raises(ValueError, match="scale_direction needs a block among .* 'theta1.v'"):
        scale_direction(case.params, 2.0)


@pytest.mark.parametrize("alpha", [0, -1, math.nan, math.inf])
def test_directions_are_scaled_by_positive_factors(alpha):
    case = build([2, 2, 1], 0)
    _, params = weight_norm(case.loss, case.params)
    with pytest.raises(ValueError, match="scale_direction needs a finite alpha > 0, got"):
        scale_direction(params, alpha)


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
