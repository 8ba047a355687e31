"""Weight normalization: w = s v/‖v‖, where v may be scaled with nothing to be undone.

Oracles: torch's own `weight_norm`; D written out by hand against automatic differentiation at the
point that was really rescaled; determinants; and a scan of the directions that a ball contains.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import build, cases, law, log_uniform, off
from torch.nn.utils.parametrizations import weight_norm as torch_weight_norm

from helpers import (
    dense_hessian,
    eps_sharpness,
    flatten,
    gradient,
    keskar_sharpness,
    net,
    perturb,
    scale_direction,
    squared_error,
    unflatten,
    weight_norm,
)


def regression(q, n, seed=0, where="minimum"):
    """Linear regression with weight norm: w = s v/‖v‖, v of q entries."""
    case = build([q, 1], seed, n=n, activation="linear", where=where)
    loss, params = weight_norm(case.loss, case.params)
    return case, loss, params


def in_v(loss, params):
    """The loss as a function of v alone, s held."""
    s = {"theta1.s": params["theta1.s"]}
    return lambda p: loss({**s, **p}), {"theta1.v": params["theta1.v"]}


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


def test_a_negative_factor_turns_the_weight_around(ledger):
    case = build([3, 3, 1], 0, where="off")
    loss, params = weight_norm(case.loss, case.params)
    turned = {**params, "theta1.v": -params["theta1.v"]}
    assert abs(float(loss(turned)) - float(loss(params))) > 1e-2
    _, loss, params = regression(q=6, n=40)
    turned = {**params, "theta1.v": -params["theta1.v"]}
    ledger("weight-norm-sign", error=max(0.0, 1e-2 - float(loss(turned))), tol=0)  # it was 0
    with pytest.raises(ValueError, match="alpha > 0"):
        scale_direction(params, -1.0)


@pytest.mark.parametrize("where", ["minimum", "off"])
@pytest.mark.parametrize("alpha", [0.01, 0.3, 7.0, 100.0])
def test_every_eigenvalue_in_v_is_divided_by_the_square(alpha, where, ledger):
    """Item 2. The whole Hessian is D H D, and walking along v changes nothing."""
    _, loss, params = regression(q=6, n=40, where=where)
    twin = scale_direction(params, alpha)
    H, there = dense_hessian(loss, params), dense_hessian(loss, twin)
    D = torch.tensor([1.0] + [1 / alpha] * 6, dtype=torch.float64)
    ledger("weight-norm", error=off(there / D[:, None] / D, H), tol=1e-10)
    before, after = (torch.linalg.eigvalsh(m[1:, 1:]).abs().sort().values for m in (H, there))
    error = float((after * alpha**2 - before).abs().max() / before.max())
    ledger("weight-norm-spectrum", error=error, tol=1e-10)
    assert float(before[-1]) > 1e-2
    g, v = gradient(loss, params)[1:], params["theta1.v"].flatten()
    assert abs(float(g @ v)) <= 1e-10 * float(1 + g.norm() * v.norm())
    assert float((H[1:, 1:] @ v + g).norm()) <= 1e-10 * float(H.norm() * v.norm())


@law(40)
@given(q=st.integers(1, 5), seed=st.integers(0, 10**6), part=st.floats(0.05, 0.9))
def test_in_v_boxes_of_one_loss_grow_past_every_bound(q, seed, part, ledger):
    """Item 1: αB is as low as B, and its volume is α^q times that of B."""
    case, loss, params = regression(q=q, n=20, seed=seed)
    loss_v, v = in_v(loss, params)
    theta = flatten(v)
    r = part * float(theta.abs().max())
    alpha = 10.0 * max(1.0, 1 / (2 * r))  # then the box α B has sides of ten or more

    def T(theta):
        return flatten(scale_direction({**params, **unflatten(theta, v)}, alpha))[1:]

    det = float(torch.linalg.det(torch.autograd.functional.jacobian(T, theta)))
    ledger("weight-norm-volume", error=abs(det / alpha**q - 1), tol=1e-12)
    ledger("weight-norm-volume", error=max(0.0, 9.99**q - det * (2 * r) ** q), tol=0)
    for z in (2 * torch.rand(10, q, generator=case.generator).double() - 1) * r:
        inside = {"theta1.v": (theta + z).reshape(q, 1)}
        one, two = float(loss_v(inside)), float(loss_v({"theta1.v": alpha * inside["theta1.v"]}))
        ledger("weight-norm-volume", error=abs(one - two) / (one + 1e-12), tol=1e-9)


def highest(loss, params, eps, A=None):
    """ε-sharpness over θ + A z with ‖A z‖ <= eps; the whole space without an A (columns of one)."""
    if A is None:
        return eps_sharpness(loss, params, eps).value
    inside = lambda p: loss(perturb(params, A @ p["z"]))  # noqa: E731
    return eps_sharpness(inside, {"z": torch.zeros(A.shape[1], dtype=torch.float64)}, eps).value


def test_in_v_the_sharpness_of_a_ball_falls_to_nothing_in_the_whole_space_and_in_any_other(ledger):
    """Item 3, "arbitrarily low": of the ball of Definition 2, in all of it or in a random plane."""
    _, loss, params = regression(q=6, n=40)
    generator = torch.Generator().manual_seed(0)
    A = torch.linalg.qr(torch.randn(6, 2, generator=generator, dtype=torch.float64))[0]
    for subspace in (None, A):
        values = [
            highest(*in_v(loss, scale_direction(params, alpha)), 1e-2, subspace)
            for alpha in (1.0, 100.0, 1e4)
        ]
        assert values[0] > 1e3 * values[1] > 1e6 * values[2] > 0
        ledger("weight-norm-low", error=max(0.0, values[2] - 1e-7 * values[0]), tol=0)


def test_in_v_the_sharpness_of_a_ball_rises_to_the_worst_direction(ledger):
    """Item 3, "high": close to zero the ball holds every direction, also the opposite one."""
    _, loss, params = regression(q=6, n=40)
    before = highest(*in_v(loss, params), 1e-2)
    twin = scale_direction(params, 1e-2 / float(params["theta1.v"].norm()) / 2)
    opposite = float(loss({**twin, "theta1.v": -twin["theta1.v"]}))
    found = highest(*in_v(loss, twin), 1e-2)
    ledger("weight-norm-high", error=max(0.0, opposite * (1 - 1e-6) - found), tol=0)
    assert found > 1e3 * before


def test_in_keskars_box_which_grows_with_v_there_is_a_plateau(ledger):
    """Our remark: "arbitrarily low" is not true of the box of half-sides ε(|v| + 1)."""
    _, loss, params = regression(q=6, n=40)
    box = [
        keskar_sharpness(*in_v(loss, scale_direction(params, alpha)), 1e-2).value
        for alpha in (1.0, 100.0, 1e4)
    ]
    ledger("keskar-plateau", error=max(0.0, 0.5 * box[1] - box[2]), tol=0)
    assert box[1] > 0.02 * box[0]


@law(25)
@given(case=cases(depth=(1, 2), width=3), alpha=log_uniform(0.1, 10), by_unit=st.booleans())
def test_it_is_onto_and_no_bijection_and_that_is_enough(case, alpha, by_unit, ledger):
    """Every θ has many preimages, and L ∘ g has the gradient and Hessian of the chain rules."""
    loss, params = weight_norm(case.loss, case.params, dim=1 if by_unit else None)
    here = flatten(scale_direction(params, alpha))
    rest = {k: b for k, b in params.items() if k not in ("theta1.s", "theta1.v")}

    def g(eta):  # (s, v, rest) ↦ θ, by hand
        new = unflatten(eta, params)
        s, v = new["theta1.s"], new["theta1.v"]
        size = v.square().sum(0, keepdim=True).sqrt() if by_unit else v.norm()
        return torch.cat([(s * v / size).flatten(), *(new[k].flatten() for k in rest)])

    theta = flatten({k: case.params[k] for k in ("theta1", *rest)})
    ledger("onto-is-enough", error=off(g(here), theta), tol=1e-12)  # onto, and many to one
    J = torch.func.jacrev(g)(here)
    assert len(theta) < len(here)
    order = {k: case.params[k] for k in ("theta1", *rest)}
    grad, H = gradient(case.loss, order), dense_hessian(case.loss, order)
    scale = 1 + float(dense_hessian(loss, unflatten(here, params)).abs().max()) + float(grad.norm())
    slope = gradient(loss, unflatten(here, params)) - grad @ J
    ledger("onto-is-enough", error=float(slope.abs().max()) / scale, tol=1e-10)
    second = torch.func.hessian(lambda eta: grad @ g(eta))(here)
    bend = dense_hessian(loss, unflatten(here, params)) - J.T @ H @ J - second
    ledger("onto-is-enough", error=float(bend.abs().max()) / scale, tol=1e-10)


def test_the_regression_is_the_linear_net():
    case, loss, params = regression(q=6, n=40)
    assert case.f is not None
    linear = squared_error(net("linear"), case.X, case.loss.y)
    assert float(linear(case.params)) == pytest.approx(float(loss(params)), abs=1e-25)


@pytest.mark.parametrize("alpha", [0, -1, math.nan, math.inf])
def test_directions_are_scaled_by_positive_factors(alpha):
    case = build([2, 2, 1], 0)
    _, params = weight_norm(case.loss, case.params)
    with pytest.raises(ValueError, match="scale_direction needs a finite alpha > 0, got"):
        scale_direction(params, alpha)


def test_a_block_without_a_direction_is_refused():
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="scale_direction needs a block among .* 'theta1.v'"):
        scale_direction(case.params, 2.0)
