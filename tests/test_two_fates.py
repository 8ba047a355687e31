"""What whole numbers see of a rescaling: the arithmetic of the page, on networks of its own.

Oracles: PyTorch's quantizer and its `cross_layer_equalization` (private, so compared here and not
used on the page); the float64 network; the diagonal of the Hessian from automatic differentiation;
rulers of random members of the orbit.
"""

from functools import cache
from statistics import mean

import pytest
import torch
from torch import nn
from torch.ao.quantization._equalize import cross_layer_equalization

from helpers import (
    cross_entropy,
    dense_hessian,
    descend,
    digits,
    init_net,
    relu_net,
    scale_units,
    unflatten,
)
from tools import ROOT, pages

CELLS = {c.id: c.source for c in pages.read(ROOT / "book" / "after" / "two_fates.ipynb").cells}
SHAPES = ((5, 3, 2), (12, 7, 4), (30, 20, 10))


@cache
def page():
    """The functions that the page writes down."""
    known = {}
    for name in ("imports", "integers"):
        exec(CELLS[name], known)
    return known


def random_net(shape, seed=5):
    dice = torch.Generator().manual_seed(seed)
    x = torch.rand(40, shape[0], dtype=torch.float64, generator=dice)
    return init_net(shape, generator=dice), x, dice


def factors(size, dice, spread=1.5):
    return (spread * torch.randn(size, dtype=torch.float64, generator=dice)).exp()


@cache
def trained(seed=3, width=14):
    data = digits(seed=seed)
    loss = cross_entropy(relu_net, data.X, data.y, smoothing=0.1)
    begin = init_net([64, width, 10], generator=torch.Generator().manual_seed(seed))
    return data, loss, descend(loss, begin, method="adam", lr=0.01, steps=300).params


@pytest.mark.parametrize("bits", (8, 6, 4))
@pytest.mark.parametrize("shape", SHAPES)
def test_whole_numbers_are_those_of_pytorch(shape, bits):
    params, _, _ = random_net(shape)
    most = 2 ** (bits - 1) - 1
    for w in params.values():
        integers, step = page()["quantize"](w, bits)
        theirs = torch.fake_quantize_per_tensor_affine(w.float(), float(step), 0, -most, most)
        assert torch.equal(integers.float(), (theirs / float(step)).round())
        assert int(integers.abs().max()) == most and integers.dtype == torch.int8


@pytest.mark.parametrize("shape", SHAPES)
def test_the_network_of_whole_numbers_is_the_one_that_pytorch_rounds(shape):
    params, x, _ = random_net(shape)

    def fake(w, top):
        return torch.fake_quantize_per_tensor_affine(w.float(), float(top) / 127, 0, -127, 127)

    units = torch.relu(fake(x, x.max()) @ fake(params["theta1"], params["theta1"].abs().max()))
    held = fake(units, torch.relu(x @ params["theta1"]).max())
    scores = held @ fake(params["theta2"], params["theta2"].abs().max())
    ours = page()["in_integers"](params, x, x)
    assert torch.allclose(ours.float(), scores, atol=1e-5 * float(scores.abs().max()))


@pytest.mark.parametrize("alpha", (1e-3, 0.25, 3.0, 77.7, 1e6))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_factor_for_the_layer_leaves_every_whole_number(shape, alpha, ledger):
    params, _, _ = random_net(shape)
    twin = scale_units(params, torch.full((shape[1],), alpha, dtype=torch.float64))
    for bits in (8, 6, 4):
        pairs = [(page()["quantize"](p[k], bits)[0].int() for p in (params, twin)) for k in params]
        worst = max(float((a - b).abs().max()) for a, b in pairs)
        ledger("fates-layer", error=worst, tol=0)


@pytest.mark.parametrize("bits", (8, 6, 4))
@pytest.mark.parametrize("shape", SHAPES)
def test_above_the_bound_one_unit_silences_all(shape, bits, ledger):
    params, x, _ = random_net(shape)
    r, q = page()["ranges"](params)
    for j in range(shape[1]):
        others = torch.arange(shape[1]) != j
        bound = 2 * (2 ** (bits - 1) - 1) * max(r[others].max() / r[j], q[j] / q[others].max())
        twin = scale_units(params, torch.where(others, 1.0, 1.001 * bound))
        assert relu_net(twin, x).abs().max() > 0.01  # the floats still speak
        scores = page()["in_integers"](twin, x, x, bits)
        ledger("fates-unit", error=float(scores.abs().max()), tol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_equalization_makes_ranges_equal_and_keeps_the_function(shape, ledger):
    params, x, dice = random_net(shape)
    lopsided = scale_units(params, factors(shape[1], dice))
    repaired = page()["equalize"](lopsided)
    r, q = page()["ranges"](repaired)
    before = relu_net(params, x)
    off = float((relu_net(repaired, x) - before).abs().max() / before.abs().max())
    ledger("fates-equal", error=max(off, float((r / q - 1).abs().max())), tol=1e-12)


def test_equalization_is_pytorchs_where_weights_come_with_their_negatives(ledger):
    """There its range, largest minus smallest, is twice ours."""
    params, _, dice = random_net((6, 5, 3))
    theta1 = torch.cat([params["theta1"], -params["theta1"]])
    theta2 = torch.cat([params["theta2"], -params["theta2"]], dim=1)
    both = scale_units({"theta1": theta1, "theta2": theta2}, factors(5, dice))
    first, second = nn.Linear(12, 5, bias=False), nn.Linear(5, 6, bias=False)
    for layer, name in ((first, "theta1"), (second, "theta2")):
        layer.weight = nn.Parameter(both[name].mT.contiguous())
    cross_layer_equalization(first, second)
    ours = page()["equalize"](both)
    for layer, name in ((first, "theta1"), (second, "theta2")):
        off = float((layer.weight.mT / ours[name] - 1).detach().abs().max())
        ledger("fates-equal", error=off, tol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_orbit_equalizes_to_one_twin_of_smallest_product(shape, ledger):
    params, _, dice = random_net(shape)
    home = page()["equalize"](params)
    smallest = float(torch.stack([w.abs().max() for w in home.values()]).prod())
    for _ in range(20):
        twin = scale_units(params, factors(shape[1], dice))
        back = page()["equalize"](twin)
        apart = max(float((back[k] / home[k] - 1).abs().max()) for k in home)
        product = float(torch.stack([w.abs().max() for w in twin.values()]).prod())
        ledger("fates-one-twin", error=max(apart, smallest / product - 1), tol=1e-10)


@pytest.mark.parametrize("bits", (8, 7))
def test_small_rounding_raises_the_loss_as_the_steps_and_traces_say(bits, ledger):
    _, loss, theta = trained()
    known = page() | {"loss": loss, "theta": theta}
    exec(CELLS["predicted"] + "\n" + CELLS["rise"], known)
    stretch = torch.linspace(1, 1.2, 31).tolist()
    for twin in (theta, page()["equalize"](theta)):
        seen = mean(known["rise"](twin, s, bits) for s in stretch)
        said = known["predicted"](twin, bits) * mean(s * s for s in stretch)
        ledger("fates-noise", error=abs(seen / said - 1), tol=0.4)


def test_three_twins_are_lowest_in_their_own_ruler_and_not_in_another(ledger):
    params, x, dice = random_net((8, 6, 3))
    classes = torch.randint(3, (40,), generator=dice)
    loss = cross_entropy(relu_net, x, classes, smoothing=0.1)
    known = page() | {"loss": loss, "theta": params}
    exec(CELLS["unit-traces"] + "\n" + CELLS["three"], known)
    goals = [scale_units(params, c) for c in known["targets"].values()]
    rulers = (
        lambda p: sum(float(w.square().sum()) for w in p.values()),
        lambda p: float(dense_hessian(loss, p).trace()),
        lambda p: float(torch.stack([w.abs().max() for w in p.values()]).prod()),
    )
    for goal, ruler in zip(goals, rulers):
        around = [scale_units(goal, factors(6, dice, spread)) for spread in (0.01, 0.1, 1) * 5]
        least = min(ruler(p) for p in around)
        ledger("fates-three", error=max(ruler(goal) / least - 1, 0.0), tol=1e-12)
        assert all(ruler(other) > 1.001 * ruler(goal) for other in goals if other is not goal)


def test_the_traces_of_units_are_the_diagonal_of_the_hessian():
    params, x, _ = random_net((8, 6, 3))
    loss = cross_entropy(relu_net, x, torch.arange(40) % 3, smoothing=0.1)
    c = torch.linspace(0.5, 2, 6, dtype=torch.float64)
    diagonals = [
        unflatten(dense_hessian(loss, p).diagonal(), params)
        for p in (params, scale_units(params, c))
    ]
    (t, u), (t_twin, u_twin) = ((d["theta1"].sum(0), d["theta2"].sum(1)) for d in diagonals)
    assert torch.allclose(t_twin * c**2, t) and torch.allclose(u_twin / c**2, u)


@pytest.mark.parametrize("draw", (11, 12, 13))
def test_eight_bits_fail_at_spread_two_and_are_repaired(draw):
    data, _, theta = trained()
    z = torch.randn(14, dtype=torch.float64, generator=torch.Generator().manual_seed(draw))
    ruined = scale_units(theta, (2 * (z - z.mean()) / z.std(correction=0)).exp())

    def share(scores):
        return float((scores.argmax(dim=1) == data.y_test).double().mean())

    run = page()["in_integers"]
    assert share(relu_net(ruined, data.X_test)) == share(relu_net(theta, data.X_test)) > 0.95
    assert share(run(ruined, data.X_test, data.X)) < 0.5
    assert share(run(page()["equalize"](ruined), data.X_test, data.X)) > 0.94
