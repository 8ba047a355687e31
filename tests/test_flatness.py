"""ε-sharpness, its second-order prediction, and Hochreiter and Schmidhuber's box.

Oracles: a quadratic bowl, where the maximum in a ball is λ_max ε²/2; a scan of every direction in
the plane; distances to the dead net by hand; and, for the box, the two flatness conditions written
out in numpy.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform, off
from scipy.optimize import brentq, minimize_scalar

from helpers import (
    alpha_scale,
    dense_hessian,
    eps_sharpness,
    flatten,
    hs_box,
    hs_description_length,
    net,
    perturb,
    predicted_eps_sharpness,
    relu_net,
    spectral_norm,
    squared_error,
    top_eigenvalues,
    volume_flatness,
    weight_names,
    weight_norm,
)

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


@law(60)
@given(case=cases(depth=(1, 2), bias=False, where="minimum"), eps=log_uniform(1e-3, 1))
def test_the_ball_reaches_the_dead_net(case, eps, ledger):
    size = float(case.params["theta1"].norm())
    if size == 0:
        return
    twin = alpha_scale(case.params, eps / size)
    dead = {**twin, "theta1": 0 * twin["theta1"]}
    distance = float((flatten(twin) - flatten(dead)).norm())
    assert abs(distance / eps - 1) <= 1e-12
    L0 = float(case.loss.y.square().sum(1).mean() / 2)
    assert abs(float(case.loss(dead)) - L0) / (L0 or 1.0) <= 1e-12
    to_dead = flatten(dead) - flatten(twin)
    for starts in (None, [to_dead]):  # by default it looks towards every dead layer
        found = eps_sharpness(case.loss, twin, eps, starts=starts, steps=3).value
        ledger("eps-sharpness-at-will", error=max(0.0, L0 * (1 - 1e-9) - found), tol=0)


@law(30)
@given(case=cases(depth=(1, 1), bias=False, where="off"), eps=log_uniform(1e-3, 1))
def test_the_ball_reaches_the_dead_net_where_the_loss_is_not_zero(case, eps, ledger):
    size = float(case.params["theta1"].norm())
    L, L0 = float(case.loss(case.params)), float(case.loss.y.square().sum(1).mean() / 2)
    if size == 0 or L0 <= L:
        return
    found = eps_sharpness(case.loss, alpha_scale(case.params, eps / size), eps, steps=3).value
    bound = (L0 - L) / (1 + L)
    ledger("eps-sharpness-at-will", error=max(0.0, bound * (1 - 1e-9) - found), tol=0)


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
def test_two_weights_against_a_scan_of_the_circle(a, exact, second_order):
    c, eps = 1.5, 0.1
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(net("linear"), one(1.0), one(c))
    params = {"theta1": one(c**0.5 * a), "theta2": one(c**0.5 / a)}
    truth = scan(c**0.5 * a, c**0.5 / a, c, eps)
    assert truth == pytest.approx(exact, rel=3e-4)
    assert (c * (a**2 + a**-2)) * eps**2 / 2 == pytest.approx(second_order, rel=1e-4)
    assert abs(eps_sharpness(loss, params, eps).value / truth - 1) <= 1e-6


@law(25)
@given(c=st.floats(0.5, 3), eps=st.floats(0.01, 0.2))
def test_one_radius_reaches_the_dead_axis_only_around_the_rescaled_point(c, eps, ledger):
    """Figure 4: two weights, one example; the circle around the twin touches θ₁ = 0."""
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(relu_net, one(1.0), one(c))
    params = {"theta1": one(c**0.5), "theta2": one(c**0.5)}
    twin = alpha_scale(params, eps / c**0.5)
    ledger("figure-4", error=abs(float(twin["theta1"]) / eps - 1), tol=1e-12)
    assert float(params["theta1"]) > 3 * eps
    first, second = (eps_sharpness(loss, p, eps).value for p in (params, twin))
    dead = c**2 / 2  # the loss of the function that is zero everywhere
    # Away from the axis nothing on the circle is as bad: the farthest point along the diagonal.
    farthest = ((c**0.5 + eps / 2**0.5) ** 2 - c) ** 2 / 2
    ledger("figure-4", error=max(0.0, first - farthest) / farthest, tol=1e-6)
    ledger("figure-4", error=max(0.0, farthest - dead), tol=0)
    ledger("figure-4", error=max(0.0, dead * (1 - 1e-9) - second), tol=0)


@law(25)
@given(
    left=st.floats(0.2, 3), right=st.floats(0.2, 3), eps=log_uniform(1e-3, 1e-1), h=st.floats(0, 2)
)
def test_one_epsilon_is_a_height_or_a_radius(left, right, eps, h, ledger):
    """Figure 1, in a crooked well: the edges by brentq, the highest point of the band by scipy."""

    def curve(t):
        side = torch.where(t > 0, torch.full_like(t, right), torch.full_like(t, left))
        return h + side * t.square() * (1 + 0.3 * torch.tanh(t))

    loss = lambda p: curve(p["w"]).sum()  # noqa: E731
    params = {"w": torch.zeros(1, dtype=torch.float64)}
    at = lambda t: float(curve(torch.tensor([t], dtype=torch.float64))) - h  # noqa: E731
    edges = [abs(brentq(lambda t, s=s: at(s * t) - eps, 0, 9)) for s in (-1, 1)]
    found = volume_flatness(loss, params, eps, window=1.2 * max(edges), points=20_001)
    ledger("figure-1", error=abs(found.value / sum(edges) - 1), tol=1e-3)
    band = minimize_scalar(lambda t: -at(t), bounds=(-eps, eps), method="bounded")
    height = max(-band.fun, at(-eps), at(eps))
    rise = eps_sharpness(loss, params, eps).rise
    ledger("figure-1", error=abs(rise / height - 1), tol=1e-6)


@pytest.mark.parametrize(
    "measure", [spectral_norm, lambda *one: eps_sharpness(*one, 1e-3, steps=5).value]
)
def test_which_of_two_minima_is_flatter_can_be_turned_around(measure, ledger):
    """Section 6: by rescaling the flatter one alone."""
    flat, sharp = (build([4, 5, 1], seed, n=40) for seed in (0, 1))
    below, above = measure(flat.loss, flat.params), measure(sharp.loss, sharp.params)
    if below > above:
        flat, sharp, below, above = sharp, flat, above, below
    twin = alpha_scale(flat.params, 1e-3)
    new = 10 * torch.randn(50, 4, generator=flat.generator, dtype=torch.float64)
    assert below < above
    ledger("section-6", error=off(relu_net(twin, new), relu_net(flat.params, new)), tol=1e-12)
    ledger("section-6", error=max(0.0, above - measure(flat.loss, twin)), tol=0)


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
    if length < 0.3:  # a thousandth past zero v has turned around
        at_once = eps_sharpness(
            lambda v: loss({**fixed, **v}), {"theta1.v": length * w}, length * 1.1, steps=0
        )
        assert at_once.value >= float((X @ (2 * w)).square().mean() / 2) * (1 - 1e-9)
    assert found == pytest.approx(float(scan), rel=1e-4)


@pytest.mark.parametrize("side", [-1, 1])
def test_it_sets_out_in_two_opposite_directions(side):
    """Two slopes, one four times as steep: from the end of the other no step leads there."""
    loss = lambda p: (p["w"].square() * (2.5 + 1.5 * side * p["w"].sign())).sum()  # noqa: E731
    params = {"w": torch.zeros(1, dtype=torch.float64)}
    assert eps_sharpness(loss, params, 0.5).rise == pytest.approx(1.0)


@pytest.mark.parametrize(("slope", "refused"), [(0.04, False), (0.06, True), (0.5, True)])
def test_a_slope_may_be_a_tenth_of_the_rise_over_the_radius(slope, refused):
    loss = lambda p: (1 + slope * p["w"] + p["w"].square() / 2).sum()  # noqa: E731
    params = {"w": torch.zeros(1, dtype=torch.float64)}  # over 1 the curvature lifts it by 1/2
    if refused:
        with pytest.raises(ValueError, match="needs a critical point, got ‖∇L‖"):
            predicted_eps_sharpness(loss, params, 1.0)
    else:
        assert predicted_eps_sharpness(loss, params, 1.0) == pytest.approx(1 / 4)


@pytest.mark.parametrize("bias", [False, True])
def test_towards_a_dead_layer_the_others_stand_still_also_those_that_are_zero(bias):
    case = build([3, 4, 1], 0, bias=bias)
    params = {name: block * name.startswith("theta") for name, block in case.params.items()}
    straight = eps_sharpness(case.loss, params, 1e3, steps=0)
    dead = [case.loss({**params, name: 0 * params[name]}) for name in weight_names(params)]
    n, dice = len(flatten(params)), torch.Generator().manual_seed(0)
    random = torch.randn(n, generator=dice).double()
    ends = [perturb(params, sign * random) for sign in (1, -1)]
    highest = max(float(value) for value in [*dead, *map(case.loss, ends)])
    here = float(case.loss(params))
    assert straight.rise == pytest.approx(highest - here, rel=1e-12)


def test_a_slope_of_one_is_climbed_like_any_other():
    params = {"w": torch.zeros(1, dtype=torch.float64)}
    found = eps_sharpness(lambda p: 5 + p["w"].sum(), params, 0.5, starts=[torch.zeros(1)])
    assert found.rise == pytest.approx(0.5)


def test_the_dice_are_those_that_are_handed_in():
    params = {"w": torch.zeros(3, dtype=torch.float64)}  # no weight that could be dead
    uneven = lambda p: (torch.tensor([1.0, 2.0, 5.0]) * p["w"].square()).sum()  # noqa: E731
    ask = lambda dice: eps_sharpness(uneven, params, 0.1, steps=0, generator=dice).value  # noqa: E731
    first, again, other = (ask(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert ask(None) == ask(torch.Generator().manual_seed(0))


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


@law(25)
@given(case=cases(depth=(1, 1)), a=log_uniform(0.01, 100))
def test_a_rescaling_moves_the_box_by_the_log_of_d_over_active_weights(case, a, ledger):
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
    ledger("hochreiter-box", error=abs(after - before - shift) / scale, tol=1e-11)


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
    with pytest.raises(
        ValueError, match=f"needs a finite loss >= 0, got {height}: Definition 2 div"
    ):
        eps_sharpness(loss, params, 0.1)


def test_a_point_that_is_not_critical_is_refused_with_its_slope():
    case = build([3, 4, 1], 0, where="off")
    with pytest.raises(ValueError, match=r"needs a critical point, got ‖∇L‖ = \d"):
        predicted_eps_sharpness(case.loss, case.params, 1e-3)


def test_at_a_saddle_that_falls_faster_than_it_rises_the_prediction_is_refused():
    params = {"w": torch.zeros(2, dtype=torch.float64)}

    def saddle(falls):
        return lambda p: 1 - falls * p["w"][0] ** 2 / 2 + p["w"][1] ** 2 / 2

    with pytest.raises(ValueError, match="needs a minimum, got eigenvalues up to 1"):
        predicted_eps_sharpness(saddle(4.0), params, 0.1)
    rise = 0.1**2 / 2  # along the second weight, where a saddle that falls more slowly is highest
    assert predicted_eps_sharpness(saddle(0.5), params, 0.1) == pytest.approx(rise / 2)


def test_every_input_counts_in_the_mean_description_length():
    case = build([3, 4, 2], 0)
    X = torch.randn(70, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    X[32:] *= 100  # the first thirty-two would say something else
    boxes = [hs_box(case.f, case.params, x, 1e-3) for x in X]
    mean = sum(float(-box[box.isfinite()].log().sum()) for box in boxes) / len(X)
    loss = squared_error(case.f, X, torch.zeros(70, 2, dtype=torch.float64))
    assert hs_description_length(loss, case.params, 1e-3) == pytest.approx(mean, rel=1e-12)
