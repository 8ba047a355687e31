"""ε-sharpness, its second-order prediction, and Hochreiter and Schmidhuber's box.

Oracles: a quadratic bowl, where the maximum in a ball is λ_max ε²/2; a scan of every direction in
the plane; and, for the box, the two flatness conditions written out in numpy.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform

from helpers import (
    alpha_scale,
    dense_hessian,
    eps_sharpness,
    flatten,
    net,
    predicted_eps_sharpness,
    squared_error,
    top_eigenvalues,
)
from helpers.maps._reparam import weight_norm
from helpers.measures._flatness import hs_box, hs_description_length

NAN, INF = math.nan, math.inf


def bowl(eigenvalues, seed=0, height=0.0):
    """½ θᵀHθ + height with these eigenvalues, and the parameters of its bottom."""
    n = len(eigenvalues)
    generator = torch.Generator().manual_seed(seed)
    Q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    H = Q @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ Q.T
    loss = lambda p: p["theta1"] @ H @ p["theta1"] / 2 + height  # noqa: E731
    return loss, {"theta1": torch.zeros(n, dtype=torch.float64)}


@law(40)
@given(
    eigenvalues=st.lists(st.floats(0.1, 100), min_size=1, max_size=6),
    eps=log_uniform(1e-3, 10),
    height=st.floats(0, 3),
    seed=st.integers(0, 10**6),
)
def test_definition_2_in_a_bowl(eigenvalues, eps, height, seed, ledger):
    loss, params = bowl(eigenvalues, seed, height)
    found = eps_sharpness(loss, params, eps, steps=60)
    truth = max(eigenvalues) * eps**2 / 2 / (1 + height)
    assert found.value <= truth * (1 + 1e-9)
    ledger("definition-2", error=1 - found.value / truth, tol=5e-2)
    assert float(flatten(found.worst).norm()) <= eps * (1 + 1e-12)
    assert float(loss(found.worst)) - height == pytest.approx(found.rise, rel=1e-9)
    ledger(
        "second-order-link",
        error=abs(predicted_eps_sharpness(loss, params, eps) / truth - 1),
        tol=1e-3,
    )


@law(40)
@given(case=cases(depth=(1, 2), where="minimum"), eps=log_uniform(1e-2, 1))
def test_the_point_is_in_the_ball_and_the_value_is_its_loss(case, eps):
    found = eps_sharpness(case.loss, case.params, eps, steps=10)
    moved = flatten(found.worst) - flatten(case.params)
    assert float(moved.norm()) <= eps * (1 + 1e-9)
    assert found.rise == pytest.approx(float(case.loss(found.worst)), rel=1e-12)
    assert found.value == found.rise  # L(θ) = 0 here


def test_a_maximum_inside_the_ball_is_found_too():
    """A hill of height 1 in a plain: nothing on the sphere of radius 1 is as high."""
    peak = torch.tensor([0.3, 0.0], dtype=torch.float64)
    loss = lambda p: torch.exp(-20 * (p["theta1"] - peak).square().sum())  # noqa: E731
    params = {"theta1": torch.tensor([-0.3, 0.0], dtype=torch.float64)}
    found = eps_sharpness(loss, params, 1.0, starts=[torch.tensor([0.5, 0.1]).double()], steps=60)
    assert float(loss(found.worst)) == pytest.approx(1, abs=1e-3)
    assert float((flatten(found.worst) - params["theta1"]).norm()) == pytest.approx(0.6, abs=0.02)


@law(40)
@given(case=cases(depth=(1, 2), bias=False, where="minimum"), eps=log_uniform(1e-2, 1))
def test_by_default_it_looks_towards_every_dead_layer(case, eps):
    size = float(case.params["theta1"].norm())
    if size == 0:
        return
    twin = alpha_scale(case.params, eps / size)
    dead = float(case.loss.y.square().sum(1).mean() / 2)
    assert eps_sharpness(case.loss, twin, eps, steps=2).rise >= dead * (1 - 1e-9)


@pytest.mark.parametrize("length", [1.0, 0.2, 1e-2])
def test_where_v_is_zero_there_is_no_loss_and_the_search_goes_past_it(length):
    """Under weight normalization; a small v has every direction in the ball, scanned here."""
    X = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w = torch.tensor([[0.8], [0.6]], dtype=torch.float64)
    loss, params = weight_norm(squared_error(net("linear"), X, X @ w), {"theta1": w})
    fixed = {"theta1.s": params["theta1.s"]}
    found = eps_sharpness(lambda v: loss({**fixed, **v}), {"theta1.v": length * w}, 0.3).value
    half = math.pi if length < 0.3 else math.asin(0.3)  # how far the ball's directions turn from w
    t = torch.linspace(-half, half, 20_001, dtype=torch.float64) + math.atan2(0.6, 0.8)
    scan = (X @ (torch.stack([t.cos(), t.sin()]) - w)).square().mean(0).max() / 2
    assert found == pytest.approx(float(scan), rel=1e-4)


def test_starts_longer_than_the_radius_are_shortened_and_short_ones_kept():
    loss, params = bowl([1.0, 4.0])
    e = torch.linalg.eigh(dense_hessian(loss, params)).eigenvectors[:, -1]
    assert eps_sharpness(loss, params, 0.5, starts=[100 * e]).value == pytest.approx(0.5)
    assert eps_sharpness(loss, params, 0.5, starts=[0.1 * e], steps=0).value == pytest.approx(0.02)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-2), (torch.float64, 1e-2)])
def test_the_prediction_holds_in_both_precisions(dtype, tol, device):
    case = build([4, 5, 1], 0)
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    X, y = (t.to(device, dtype) for t in (case.loss.X, case.loss.y))
    loss = squared_error(case.f, X, y)
    top = top_eigenvalues(loss, params).vectors[:, 0]
    found = eps_sharpness(loss, params, 1e-3, starts=[top, -top])
    assert found.value == pytest.approx(predicted_eps_sharpness(loss, params, 1e-3), rel=tol)
    assert all(b.dtype == dtype and b.device.type == device for b in found.worst.values())


# Hochreiter and Schmidhuber's box.


def output_jacobian(case, i):
    f = lambda p: case.f(p, case.X[i : i + 1])[0]  # noqa: E731
    blocks = torch.autograd.functional.jacobian(
        lambda *b: f(dict(zip(case.params, b))), tuple(case.params.values())
    )
    return torch.cat([block.reshape(len(block), -1) for block in blocks], 1).numpy()  # (out, n)


@law(25)
@given(case=cases(), eps=log_uniform(1e-6, 1))
def test_the_box_meets_both_flatness_conditions_and_their_formula(case, eps, ledger):
    lengths = []
    for i in range(len(case.X)):
        J = output_jacobian(case, i)
        slope = np.linalg.norm(J, axis=0)
        active = slope > 0
        box = hs_box(case.f, case.params, case.X[i], eps).numpy()
        assert np.array_equal(np.isinf(box) | np.isnan(box), ~active | np.isnan(box))
        if not active.any():
            lengths.append(0.0)
            continue
        J, slope, box = J[:, active], slope[active], box[active]
        first = ((np.abs(J) * box).sum(1) ** 2).sum()  # condition 1: saturated
        second = (box * slope) ** 2  # condition 2: the same for every weight
        ledger("hochreiter-box", error=abs(first / eps - 1), tol=1e-11)
        ledger("hochreiter-box", error=np.ptp(second) / second[0], tol=1e-11)
        L = len(slope)
        share = ((np.abs(J) / slope).sum(1) ** 2).sum()
        lengths.append((-L * np.log(eps) + np.log(slope**2).sum() + L * np.log(share)) / 2)
        assert lengths[-1] == pytest.approx(-np.log(box).sum(), rel=1e-9, abs=1e-9)
    ours = hs_description_length(case.loss, case.params, eps)
    assert ours == pytest.approx(np.mean(lengths), rel=1e-9, abs=1e-9)


def test_a_dead_unit_needs_no_precision():
    case = build([2, 2, 1], 0)
    params = {**case.params, "theta1": -case.params["theta1"].abs()}
    box = hs_box(case.f, params, torch.ones(2, dtype=torch.float64), 1e-3)
    assert bool(box.isinf().all())
    one = squared_error(case.f, torch.ones(1, 2).double(), torch.zeros(1, 1).double())
    assert hs_description_length(one, params, 1e-3) == 0


# Bad input.


@pytest.mark.parametrize("eps", [0, -1, NAN, INF])
def test_eps_must_be_positive_and_finite(eps):
    case = build([2, 2, 1], 0)
    for measure in (eps_sharpness, predicted_eps_sharpness):
        with pytest.raises(ValueError, match=f"{measure.__name__} needs a finite eps_radius > 0"):
            measure(case.loss, case.params, eps)
    with pytest.raises(ValueError, match=f"hs_box needs a finite eps_output > 0, got {eps}"):
        hs_description_length(case.loss, case.params, eps)


@pytest.mark.parametrize("measure", [eps_sharpness, predicted_eps_sharpness, hs_description_length])
def test_nan_is_refused(measure):
    case = build([2, 2, 1], 0)
    broken = {**case.params, "theta2": case.params["theta2"] * NAN}
    with pytest.raises(ValueError, match=f"{measure.__name__} needs finite parameters, got 2"):
        measure(case.loss, broken, 0.1)


def test_starts_have_one_entry_for_each_parameter():
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match=r"starts of shape \(6,\), got \(5,\): a start is"):
        eps_sharpness(case.loss, case.params, 0.1, starts=[torch.ones(5)])


@pytest.mark.parametrize("height", [-0.5, INF])
def test_a_negative_or_infinite_loss_is_refused(height):
    loss, params = bowl([1.0, 2.0], height=height)
    with pytest.raises(ValueError, match=f"eps_sharpness needs a finite loss >= 0, got {height}"):
        eps_sharpness(loss, params, 0.1)


def test_a_point_that_is_not_critical_is_refused_with_its_slope():
    case = build([3, 4, 1], 0, where="off")
    with pytest.raises(ValueError, match=r"needs a critical point, got ‖∇L‖ = \d"):
        predicted_eps_sharpness(case.loss, case.params, 1e-3)
