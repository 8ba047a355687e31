"""Volume ε-flatness.

Oracles: the volume of an ellipsoid, V_n (2ε)^(n/2) / √det H; scipy's quadrature of the region
between two hyperbolas; flood fill, written here, against scipy's labels; and the two functions
against each other, one by cells and one by rays.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, law
from scipy.integrate import quad

from helpers import disjoint_alpha, net, squared_error, visible_volume, volume_flatness

INF, NAN = math.inf, math.nan


def ellipsoid(eigenvalues, eps):
    n = len(eigenvalues)
    ball = math.pi ** (n / 2) / math.gamma(n / 2 + 1)
    return ball * (2 * eps) ** (n / 2) / math.prod(eigenvalues) ** 0.5


def bowl(eigenvalues):
    scale = torch.tensor(eigenvalues, dtype=torch.float64)
    n = len(eigenvalues)
    return lambda p: (scale * p["w"].square()).sum() / 2, {"w": torch.zeros(n).double()}


@law(30)
@given(eigenvalues=st.lists(st.floats(0.5, 5), min_size=1, max_size=3), eps=st.floats(0.01, 1))
def test_definition_1_in_a_bowl(eigenvalues, eps, ledger):
    loss, params = bowl(eigenvalues)
    reach = 1.05 * (2 * eps / min(eigenvalues)) ** 0.5
    points = {1: 4001, 2: 201, 3: 61}[len(eigenvalues)]
    found = volume_flatness(loss, params, eps, window=reach, points=points)
    truth = ellipsoid(eigenvalues, eps)
    ledger("definition-1", error=abs(found.value / truth - 1), tol=3e-2)
    assert abs(found.value - truth) <= found.rim
    assert not found.cut


@law(20)
@given(eigenvalues=st.lists(st.floats(0.5, 5), min_size=1, max_size=8), eps=st.floats(0.01, 1))
def test_rays_agree_with_the_closed_form_in_more_dimensions(eigenvalues, eps):
    loss, params = bowl(eigenvalues)
    found = visible_volume(loss, params, eps, radius=10, samples=500)
    assert abs(found.value - ellipsoid(eigenvalues, eps)) <= 4.5 * found.standard_error + 1e-9


def test_the_height_is_counted_from_the_loss_at_theta():
    loss, params = bowl([1.0])
    up = {"w": torch.ones(1, dtype=torch.float64)}  # L = ½ here: C is |w| < √(1 + 2ε)
    raised = lambda p: loss(p) + 7  # noqa: E731
    for measure, knob in ((volume_flatness, {"window": 5.0}), (visible_volume, {"radius": 5.0})):
        assert measure(raised, params, 0.5, **knob).value == pytest.approx(2, rel=5e-2)
        assert measure(loss, up, 0.5, **knob).value == pytest.approx(8**0.5, rel=8e-2)


def two_wells(p):
    return (
        p["w"].square().sum() - 1
    ).square()  # a ring of minima in the plane; two in one dimension


def test_only_the_connected_part_counts():
    params = {"w": torch.ones(1).double()}
    both = (1 + 0.5**0.5) ** 0.5 - (1 - 0.5**0.5) ** 0.5
    found = volume_flatness(two_wells, params, 0.5, window=(-3.0, 1.0), points=4000)
    assert found.value == pytest.approx(both, rel=1e-2)  # the well at −1 is left out
    joined = volume_flatness(two_wells, params, 1.01, window=(-3.0, 1.0), points=4000)
    assert joined.value == pytest.approx(2 * (1 + 1.01**0.5) ** 0.5, rel=1e-2)


def test_round_a_ring_cells_go_where_rays_do_not():
    params = {"w": torch.tensor([1.0, 0.0]).double()}
    found = volume_flatness(two_wells, params, 0.09, window=((-3.0), (2.0)), points=401)
    ring = math.pi * ((1 + 0.3) - (1 - 0.3))
    assert found.value == pytest.approx(ring, rel=2e-2)
    seen = visible_volume(two_wells, params, 0.09, radius=3, samples=3000)
    assert seen.value + 5 * seen.standard_error < 0.8 * ring  # the far side is behind the wall


def flood(below, home):
    reached, todo = {home}, [home]
    while todo:
        i, j = todo.pop()
        for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            inside = all(0 <= c < s for c, s in zip(cell, below.shape))
            if inside and cell not in reached and below[cell]:
                reached.add(cell)
                todo.append(cell)
    return reached


@law(20)
@given(seed=st.integers(0, 10**6), eps=st.floats(0.02, 0.5))
def test_the_component_is_what_a_flood_fill_reaches(seed, eps):
    case = build([2, 2, 1], seed)
    D = torch.linalg.qr(torch.randn(6, 2, generator=case.generator).double())[0].T
    found = volume_flatness(case.loss, case.params, eps, window=2.0, points=31, directions=D)
    below = np.zeros((31, 31), dtype=bool)
    theta = torch.cat([b.flatten() for b in case.params.values()])
    for i, a in enumerate(found.axes[0]):
        for j, b in enumerate(found.axes[1]):
            there = theta + a * D[0] + b * D[1]
            moved = {"theta1": there[:4].reshape(2, 2), "theta2": there[4:].reshape(2, 1)}
            below[i, j] = float(case.loss(moved)) < eps
    reached = flood(below, (15, 15))
    assert found.cut == any(i in (0, 30) or j in (0, 30) for i, j in reached)
    inner = [
        (i, j) for i, j in reached if {(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)} <= reached
    ]
    touches = sum(i in (0, 30) or j in (0, 30) for i, j in reached)
    rim = len(reached) - len(inner)
    assert rim - touches <= round(found.rim / (4 / 31) ** 2) <= rim
    assert set(zip(*map(np.ndarray.tolist, np.nonzero(found.inside)))) == reached
    assert found.value == pytest.approx(found.inside.sum() * (4 / 31) ** 2)


@pytest.mark.parametrize(("a", "b"), [(0.5, 4.0), (0.1, 10.0), (1.0, 3.0)])
def test_the_channel_of_the_scalar_net_grows_like_a_logarithm(a, b, ledger):
    """{|θ₁θ₂ − c| < s, a < θ₁ < b} has area 2 s ln(b/a)."""
    c, s = 1.5, 0.3
    area = quad(lambda t: (c + s) / t - (c - s) / t, a, b)[0]
    assert area == pytest.approx(2 * s * math.log(b / a), rel=1e-8)
    loss = squared_error(net("linear"), torch.ones(1, 1).double(), torch.full((1, 1), c).double())
    t1 = (a * b) ** 0.5
    params = {
        "theta1": torch.full((1, 1), t1).double(),
        "theta2": torch.full((1, 1), c / t1).double(),
    }
    window = (torch.tensor([a - t1, -c / t1]), torch.tensor([b - t1, (c + s) / a - c / t1 + 0.1]))
    found = volume_flatness(loss, params, s**2 / 2, window=window, points=1000)
    assert found.cut
    ledger("volume-growth", error=abs(found.value / area - 1), tol=2e-2)


def test_unequal_layers_make_it_grow_like_a_power(ledger):
    """θ₁ ∈ R², θ₂ ∈ R: {‖θ₁θ₂ − w‖ < s, a < θ₂ < b} has volume π s² (1/a − 1/b)."""
    s, b = 0.5, 2.0
    w = torch.tensor([1.0, 0.5]).double()
    loss = lambda p: (p["t1"] * p["t2"] - w).square().sum() / 2  # noqa: E731
    params = {"t1": w.clone(), "t2": torch.ones(1).double()}
    for a in (1.0 - 0.5, 1.0 - 0.75):
        high = (w + s) / a - w + 0.05
        low = torch.minimum((w - s) / a, (w - s) / b) - w - 0.05
        window = (
            torch.cat([low, torch.tensor([a - 1.0])]),
            torch.cat([high, torch.tensor([b - 1.0])]),
        )
        found = volume_flatness(loss, params, s**2 / 2, window=window, points=121)
        truth = math.pi * s**2 * (1 / a - 1 / b)
        ledger("volume-growth", error=abs(found.value / truth - 1), tol=2e-2)


def test_slices_are_measured_in_the_units_of_parameter_space():
    loss, params = bowl([1.0, 2.0, 3.0])
    D = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]).double()  # not of length one: the area stays
    stretched = volume_flatness(loss, params, 0.1, window=0.6, points=301, directions=D)
    assert stretched.value == pytest.approx(ellipsoid([1.0, 2.0], 0.1), rel=1e-2)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_on_every_device(dtype, device):
    case = build([1, 1, 1], 3)
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    loss = squared_error(case.f, case.X.to(device, dtype), case.loss.y.to(device, dtype))
    one = volume_flatness(loss, params, 0.01, window=0.5)
    two = volume_flatness(case.loss, case.params, 0.01, window=0.5)
    assert one.value == pytest.approx(two.value, rel=1e-3)


def test_a_cells_centre_lies_half_a_step_from_its_edge_in_full_precision():
    loss, params = bowl([1.0, 1.0])
    window = (torch.tensor([-1.0, -1.0]), torch.tensor([0.5, 3.0]))
    found = volume_flatness(loss, params, 0.1, window=window, points=7)
    for axis, high in zip(found.axes, (0.5, 3.0)):
        edges = np.linspace(-1, high, 8)
        assert np.abs(axis - (edges[1:] + edges[:-1]) / 2).max() < 1e-15


@pytest.mark.parametrize(("high", "cut"), [(1.0, True), (1.2, False), (2.0, False)])
def test_a_set_is_cut_if_it_has_the_last_cell_and_not_if_it_has_the_last_but_one(high, cut):
    loss, params = bowl([1.0])  # low where |w| < 1; ten cells from −2 to `high`
    assert volume_flatness(loss, params, 0.5, window=(-2.0, high), points=10).cut is cut


def test_every_ray_ends_at_the_edge_of_a_ball_to_rounding():
    loss, params = bowl([1.0] * 10)
    ball = visible_volume(loss, params, 0.5, radius=2.0, samples=2)
    assert ball.value == pytest.approx(math.pi**5 / math.factorial(5), rel=1e-10)
    assert ball.standard_error < 1e-9


def test_rays_go_where_the_dice_that_are_handed_in_say():
    loss, params = bowl([1.0, 9.0])
    dice = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
    one, again, other = (
        visible_volume(loss, params, 0.5, radius=2.0, samples=5, generator=dice(seed)).value
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert visible_volume(loss, params, 0.5, radius=2.0, samples=5).value == pytest.approx(
        visible_volume(loss, params, 0.5, radius=2.0, samples=5, generator=dice(0)).value
    )


def test_a_wall_thinner_than_one_of_sixty_four_steps_may_be_missed():
    wall = lambda p: ((p["w"].abs() - 1 / 65).abs() < 1e-4).double().sum()  # noqa: E731
    theta = {"w": torch.zeros(1, dtype=torch.float64)}
    assert visible_volume(wall, theta, 0.5, radius=1.0, samples=2).value == pytest.approx(2)
    found = visible_volume(wall, theta, 0.5, radius=1.0, samples=2, scan=65)
    assert found.value == pytest.approx(2 * (1 / 65 - 1e-4))


def test_theta_itself_always_counts():
    loss, params = bowl([1e6, 1e6])  # far narrower than a cell
    assert volume_flatness(loss, params, 0.1, window=1.0, points=10).inside.sum() == 1


# Bad input.


@pytest.mark.parametrize("measure", [volume_flatness, visible_volume])
@pytest.mark.parametrize("eps", [0, -0.1, NAN, INF])
def test_eps_must_be_positive_and_finite(measure, eps):
    loss, params = bowl([1.0, 1.0])
    knob = {"window": 1.0} if measure is volume_flatness else {"radius": 1.0}
    with pytest.raises(ValueError, match=f"{measure.__name__} needs a finite eps_height > 0") as no:
        measure(loss, params, eps, **knob)
    assert "how far the loss may rise" in str(no.value)
    with pytest.raises(ValueError, match=f"{measure.__name__} needs finite parameters, got 2"):
        measure(loss, {"w": params["w"] * NAN}, 0.1, **knob)


@pytest.mark.parametrize("shape", [(2,), (1, 3), (0, 2)])
def test_directions_have_one_entry_for_each_parameter(shape):
    loss, params = bowl([1.0, 1.0])
    with pytest.raises(ValueError, match=r"needs directions of shape \(d, 2\), got"):
        volume_flatness(loss, params, 0.1, window=1.0, directions=torch.ones(shape).double())


def test_too_many_cells_are_refused_before_they_are_made():
    case = build([100, 100, 10], 0, n=2)
    with pytest.raises(ValueError, match="at most 4,000,000 cells, got 101 points in 11000 dim"):
        volume_flatness(case.loss, case.params, 0.1, window=1.0)
    loss, params = bowl([1.0])
    with pytest.raises(ValueError, match="needs points >= 3 .* got 2 points in 1 dim"):
        volume_flatness(loss, params, 0.1, window=1.0, points=2)
    three = volume_flatness(loss, params, 1e9, window=1.0, points=3)  # as few as that will do
    assert int(three.inside.sum()) == 3


@pytest.mark.parametrize("window", [-1.0, 0.0, INF, (0.5, 1.0), (-1.0, NAN)])
def test_the_window_holds_theta(window):
    loss, params = bowl([1.0, 1.0])
    with pytest.raises(ValueError, match="needs a finite window around 0, got"):
        volume_flatness(loss, params, 0.1, window=window)


def test_the_window_has_one_number_for_each_direction():
    loss, params = bowl([1.0, 1.0])
    with pytest.raises(ValueError, match="needs a window of 2 numbers a side, got"):
        volume_flatness(loss, params, 0.1, window=torch.ones(3))


@pytest.mark.parametrize("knob", [{"radius": 0}, {"radius": INF}, {"radius": 1, "samples": 1}])
def test_rays_have_a_length_and_a_spread(knob):
    loss, params = bowl([1.0, 1.0])
    with pytest.raises(
        ValueError, match="visible_volume needs (a finite radius > 0|whole samples >= 2), got"
    ):
        visible_volume(loss, params, 0.1, **knob)


@pytest.mark.parametrize("r", [0, -1, 1.5, 2.0, NAN])
def test_boxes_do_not_touch_zero(r):
    params = {"theta1": torch.tensor([[1.5, -1.0]]), "theta2": torch.ones(2, 1)}
    with pytest.raises(ValueError, match="disjoint_alpha needs 0 < r < 1.5, got"):
        disjoint_alpha(params, r)


@pytest.mark.parametrize("r", [0.1, 1.0, 1.4])
def test_the_next_box_begins_at_twice_the_most_that_a_box_has(r):
    params = {"theta1": torch.tensor([[1.5, -1.0]]), "theta2": torch.ones(2, 1)}
    assert disjoint_alpha(params, r) * (1.5 - r) == pytest.approx(2 * (1.5 + r))


def test_the_first_layer_has_to_exist():
    with pytest.raises(ValueError, match="disjoint_alpha needs a block among theta1, got 'theta9'"):
        disjoint_alpha({"theta1": torch.ones(1, 1)}, 0.5, up="theta9")
    with pytest.raises(ValueError, match="disjoint_alpha needs finite parameters, got 1"):
        disjoint_alpha({"theta1": torch.full((1, 1), NAN)}, 0.5)


def test_the_water_passes_through_the_faces_of_cells_and_not_through_corners():
    params = {
        "w": torch.ones(2, dtype=torch.float64)
    }  # low in two quarters that meet at the origin
    loss = lambda p: torch.relu(-p["w"].prod())  # noqa: E731
    window = (torch.tensor([-3.0, -3.0]), torch.tensor([1.0, 1.0]))  # −2 to 2, twenty cells a side
    found = volume_flatness(loss, params, 1e-6, window=window, points=20)
    assert found.value == pytest.approx(4) and int(found.inside.sum()) == 100


@pytest.mark.parametrize("points", [20, 21])
def test_the_lake_starts_in_the_cell_that_holds_theta(points):
    loss, params = bowl([1e9, 1e9])
    window = (torch.tensor([-0.31, -1.03]), torch.tensor([1.7, 0.52]))
    found = volume_flatness(loss, params, 1e-9, window=window, points=points)  # one cell is low
    assert int(found.inside.sum()) == 1
    for axis, place in zip(found.axes, np.argwhere(np.asarray(found.inside))[0]):
        assert place == int(np.abs(np.asarray(axis)).argmin())


@pytest.mark.parametrize("rows", [[[1, 0], [1, 0]], [[1, 0], [0, 1], [1, 1]], [[0, 0]]])
def test_a_slice_along_dependent_directions_is_refused(rows):
    params = {"theta1": torch.zeros(1, 2, dtype=torch.float64)}
    directions = torch.tensor(rows, dtype=torch.float64)
    with pytest.raises(ValueError, match=f"independent directions, got {len(rows)} that span"):
        volume_flatness(
            lambda p: p["theta1"].square().sum(), params, 0.1, window=1.0, directions=directions
        )


def nothing(params):
    return 0 * params["theta1"].sum()


def test_a_loss_that_never_rises_fills_window_and_ball_to_the_last_digit():
    params = {"theta1": torch.zeros(1, 2, dtype=torch.float64)}
    found = volume_flatness(
        nothing, params, 0.1, window=(torch.tensor([-0.1, -0.3]), 0.7), points=7
    )
    low, high = float(torch.tensor(-0.1)), float(torch.tensor(-0.3))
    assert found.value == pytest.approx((0.7 - low) * (0.7 - high), rel=1e-12)
    whole = volume_flatness(nothing, params, 0.1, window=0.1, points=7)
    assert whole.value == pytest.approx(0.04, rel=1e-12)
    assert whole.cut and whole.rim == 0  # what lies beyond the window is no neighbour outside
    seen = visible_volume(nothing, params, 0.1, radius=0.3, samples=9, scan=4)
    assert seen.value == pytest.approx(math.pi * 0.09, rel=1e-9)


def test_a_window_that_begins_at_the_point_itself_is_refused():
    params = {"theta1": torch.zeros(1, 2, dtype=torch.float64)}
    with pytest.raises(ValueError, match="a finite window around 0"):
        volume_flatness(nothing, params, 0.1, window=(0.0, 1.0), points=7)
