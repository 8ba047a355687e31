"""Keskar's metric.

Oracles: a linear loss, whose maximum over a box stands in a corner and is a sum; an exhaustive
grid over the box; numpy's `pinv` for A⁺; the loss of the dead net by hand; and scipy's differential
evolution, a global optimizer that knows no gradient.
"""

import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform
from scipy.optimize import differential_evolution

from helpers import (
    alpha_scale,
    box_half_sides,
    flatten,
    keskar_sharpness,
    perturb,
    squared_error,
)
from helpers.measures._keskar import _points

INF, NAN = math.inf, math.nan


@law(60)
@given(
    theta=st.lists(st.floats(-5, 5), min_size=1, max_size=8),
    eps=log_uniform(1e-4, 1),
    seed=st.integers(0, 10**6),
)
def test_a_linear_loss_is_highest_in_a_corner(theta, eps, seed, ledger):
    theta = torch.tensor(theta).double()
    slope = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed)).double()
    loss = lambda p: 1000 + slope @ p["w"]  # noqa: E731
    params = {"w": theta}
    found = keskar_sharpness(loss, params, eps)
    corner = float((slope.abs() * eps * (theta.abs() + 1)).sum())
    truth = 100 * corner / (1 + float(loss(params)))
    ledger("keskar-metric", error=abs(found.value / truth - 1), tol=1e-9)


@law(40)
@given(case=cases(depth=(1, 2)), eps=log_uniform(1e-4, 1e-1))
def test_the_point_is_in_the_box_and_the_value_is_its_loss(case, eps):
    found = keskar_sharpness(case.loss, case.params, eps, starts=2)
    theta, base = flatten(case.params), float(case.loss(case.params))
    moved = (flatten(found.worst) - theta).abs()
    assert bool((moved <= eps * (theta.abs() + 1) * (1 + 1e-9)).all())
    assert found.rise == pytest.approx(float(case.loss(found.worst)) - base, rel=1e-9, abs=1e-15)
    assert found.value == pytest.approx(100 * found.rise / (1 + base))
    assert found.evaluations >= 4


def test_a_grid_over_the_whole_box_finds_nothing_higher():
    case = build([1, 1, 1], 0)
    found = keskar_sharpness(case.loss, case.params, 0.1)
    half = 0.1 * (flatten(case.params).abs() + 1)
    grid = [
        float(case.loss(perturb(case.params, torch.tensor(z).double() * half)))
        for z in itertools.product(np.linspace(-1, 1, 41), repeat=2)
    ]
    assert found.rise == pytest.approx(max(grid), rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_global_optimizer_without_gradients_finds_nothing_higher(seed):
    case = build([2, 2, 1], seed)
    found = keskar_sharpness(case.loss, case.params, 1e-2, iterations=50, starts=10)
    half = box_half_sides(flatten(case.params), 1e-2)
    theirs = differential_evolution(
        lambda z: -float(case.loss(perturb(case.params, torch.as_tensor(z)))),
        list(zip(-half, half)),
        rng=seed,
        maxiter=60,
        tol=1e-10,
    )
    assert 0.8 * found.rise < -theirs.fun <= found.rise * (1 + 1e-9)


@law(40)
@given(case=cases(depth=(1, 2)), eps=log_uniform(1e-4, 1e-1), data=st.data())
def test_the_subspace_and_its_pseudo_inverse(case, eps, data):
    theta = flatten(case.params)
    p = data.draw(st.integers(1, min(5, len(theta))))
    A = torch.randn(len(theta), p, generator=case.generator).double()
    half = box_half_sides(theta, eps, A)
    assert half == pytest.approx(eps * (np.abs(np.linalg.pinv(A.numpy()) @ theta.numpy()) + 1))
    found = keskar_sharpness(case.loss, case.params, eps, subspace=A, starts=2)
    z = np.linalg.lstsq(A.numpy(), (flatten(found.worst) - theta).numpy(), rcond=None)
    assert (np.abs(z[0]) <= half * (1 + 1e-6)).all()
    back = theta.numpy() + A.numpy() @ z[0]
    assert back == pytest.approx(flatten(found.worst).numpy())


def test_the_whole_space_is_the_subspace_of_the_identity():
    case = build([2, 3, 1], 0)
    eye = torch.eye(9, dtype=torch.float64)
    one, two = (
        keskar_sharpness(
            case.loss, case.params, 1e-2, subspace=A, generator=torch.Generator().manual_seed(1)
        )
        for A in (None, eye)
    )
    assert one.value == pytest.approx(two.value, rel=1e-6)


def test_the_same_generator_gives_the_same_number():
    case = build([4, 6, 1], 0)
    one, two, three = (
        keskar_sharpness(
            case.loss, case.params, 1e-3, subspace=5, generator=torch.Generator().manual_seed(s)
        ).value
        for s in (0, 0, 1)
    )
    assert one == two != three


def test_from_the_minimum_itself_it_would_not_move():
    case = build([4, 6, 1], 0)
    zero = [torch.zeros(30)]
    still = keskar_sharpness(case.loss, case.params, 1e-2, starts=zero)
    assert still.value == 0
    assert torch.equal(flatten(still.worst), flatten(case.params))
    assert keskar_sharpness(case.loss, case.params, 1e-2, starts=1).value > 0


def test_where_nothing_rises_the_worst_point_is_the_minimum_itself():
    found = keskar_sharpness(lambda p: 1 + 0 * p["w"].sum(), {"w": torch.ones(3).double()}, 0.1)
    assert (found.value, found.rise) == (0, 0)
    assert torch.equal(found.worst["w"], torch.ones(3).double())


def test_losses_are_counted_and_five_starts_have_ten_iterations_unless_told_otherwise():
    case, calls = build([4, 6, 1], 0), []
    counted = lambda p: calls.append(1) or case.loss(p)  # noqa: E731
    usual = keskar_sharpness(counted, case.params, 1e-2)
    assert usual.evaluations == len(calls) - 1  # the first one is L(θ)
    told = keskar_sharpness(case.loss, case.params, 1e-2, starts=5, iterations=10)
    assert (told.value, told.evaluations) == (usual.value, usual.evaluations)


def test_random_starts_fill_the_box_evenly():
    half = np.array([0.1, 2.0])
    U = np.array(_points(2000, half, torch.Generator().manual_seed(0)))
    assert (np.abs(U) < 1).all()
    assert U.mean(0) == pytest.approx(0, abs=0.05)
    assert U.std(0) == pytest.approx(3**-0.5, rel=0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_given_starts_are_clipped_into_the_box_and_counted_themselves(sign):
    case = build([1, 1, 1], 0)
    half = sign * torch.as_tensor(box_half_sides(flatten(case.params), 0.1))
    found = keskar_sharpness(case.loss, case.params, 0.1, starts=[1e9 * half], iterations=0)
    assert found.rise >= float(case.loss(perturb(case.params, half)))
    half = half.abs()
    moved = (flatten(found.worst) - flatten(case.params)).abs()
    assert bool((moved <= half * (1 + 1e-9)).all())


def wide(seed=0):
    return build([4, 6, 1], seed, n=60)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rescaling_makes_the_box_reach_the_dead_net(seed, ledger):
    case, eps = wide(seed), 1e-3
    L0 = float(case.loss.y.square().mean() / 2)
    assert keskar_sharpness(case.loss, case.params, eps).value < L0  # small before
    twin = alpha_scale(case.params, eps / float(case.params["theta1"].abs().max()))
    half = box_half_sides(flatten(twin), eps)
    n1 = case.params["theta1"].numel()
    assert bool((flatten(twin)[:n1].abs().numpy() <= half[:n1]).all())
    to_dead = torch.cat([-flatten(twin)[:n1], torch.zeros(6).double()])
    for starts in (5, [to_dead]):
        found = keskar_sharpness(case.loss, twin, eps, starts=starts).value
        ledger("keskar-box-sooner", error=max(0.0, 100 * L0 * (1 - 1e-9) - found), tol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_the_ball_reaches_the_dead_net_the_box_around_it_does_so_too(seed, ledger):
    """The paper's own amount, ε over the length of θ₁, and its reason: ε ≤ ε (|θ| + 1)."""
    case, eps = wide(seed), 1e-3
    L0 = float(case.loss.y.square().mean() / 2)
    twin = alpha_scale(case.params, eps / float(case.params["theta1"].norm()))
    assert (box_half_sides(flatten(twin), eps) >= eps).all()
    to_dead = torch.cat([-flatten(twin)[: case.params["theta1"].numel()], torch.zeros(6).double()])
    assert abs(float(to_dead.norm()) / eps - 1) < 1e-12
    found = keskar_sharpness(case.loss, twin, eps, starts=[to_dead]).value
    ledger("keskar-box-at-will", error=max(0.0, 100 * L0 * (1 - 1e-9) - found), tol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_a_fixed_random_subspace_it_grows_without_limit(seed, ledger):
    """Not a statement of the paper, which leaves it open. One fixed A; α falls by tens."""
    case = wide(seed)
    A = torch.randn(30, 5, generator=case.generator, dtype=torch.float64)
    values = [
        keskar_sharpness(case.loss, alpha_scale(case.params, a), 1e-3, subspace=A).value
        for a in (1.0, 0.1, 0.01, 1e-3)
    ]
    assert all(next_ > 10 * value for value, next_ in pairwise(values))
    ledger("random-subspace", error=max(0.0, 1e6 - values[-1] / values[0]), tol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("subspace", [None, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_on_every_device(dtype, subspace, device):
    case = build([4, 6, 1], 0)
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    loss = squared_error(case.f, case.X.to(device, dtype), case.loss.y.to(device, dtype))
    values = []
    for L, theta in ((case.loss, case.params), (loss, params)):
        dice = torch.Generator().manual_seed(0)  # a GPU's own would draw another subspace
        found = keskar_sharpness(L, theta, 1e-2, subspace=subspace, generator=dice)
        values.append(found.value)
    assert values[1] == pytest.approx(values[0], rel=1e-2)
    assert all(b.dtype == dtype and b.device.type == device for b in found.worst.values())


# Bad input.


@pytest.mark.parametrize("eps", [0, -1e-3, NAN, INF])
def test_eps_must_be_positive_and_finite(eps):
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="keskar_sharpness needs a finite eps_box > 0, got"):
        keskar_sharpness(case.loss, case.params, eps)


def test_nan_and_a_negative_loss_are_refused():
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="keskar_sharpness needs finite parameters, got 4"):
        keskar_sharpness(case.loss, {**case.params, "theta1": case.params["theta1"] * NAN}, 0.1)
    with pytest.raises(ValueError, match=r"needs a finite loss >= 0, got -1: the metric div"):
        keskar_sharpness(lambda p: case.loss(p) - 1, case.params, 0.1)


@pytest.mark.parametrize(
    ("subspace", "got"),
    [(0, "0:"), (7, "7:"), (torch.ones(5, 2), r"\(5, 2\):"), (torch.ones(6), r"\(6,\):")],
)
def test_impossible_subspaces_are_refused(subspace, got):
    case = build([2, 2, 1], 0)
    with pytest.raises(
        ValueError, match=rf"subspace of 1 to 6 directions or .* shape \(6, p\), got {got}"
    ):
        keskar_sharpness(case.loss, case.params, 0.1, subspace=subspace)


@pytest.mark.parametrize("starts", [0, [], [torch.ones(5)]])
def test_impossible_starts_are_refused(starts):
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match=r"needs at least one start, of shape \(6,\), got"):
        keskar_sharpness(case.loss, case.params, 0.1, starts=starts)


def test_the_search_stops_after_as_many_iterations_as_are_asked_for():
    case = build([6, 10, 2], 0)
    searches = [
        keskar_sharpness(case.loss, case.params, 0.3, iterations=k, starts=1) for k in (1, 3, 10)
    ]
    for fewer, more in pairwise(searches):
        assert more.evaluations > fewer.evaluations and more.value > fewer.value
