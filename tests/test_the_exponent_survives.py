"""The exponent of volume: closed forms, what rescaling does to it, and chains that estimate it.

Oracle: volumes in closed form, worked out by hand here; plain random points where the page spreads
them evenly; determinants from automatic differentiation. The page's own functions are under test.
"""

import math
from functools import cache

import pytest
import torch

from helpers import (
    alpha_scale,
    dense_hessian,
    flatten,
    init_net,
    relu_net,
    squared_error,
    teacher_student,
    unflatten,
)
from tools import ROOT, pages

PAGE = pages.read(ROOT / "book" / "after" / "the_exponent_survives.ipynb")
NEEDED = ("imports", "toys", "slope-of", "langevin", "units")


@cache
def page():
    """What the page writes down: its networks, its chains, its units."""
    known, cells = {}, {cell.id: cell.source for cell in PAGE.cells}
    for name in NEEDED:
        exec(cells[name], known)
    return known


def uniform(low, high, count, width, seed):
    dice = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(count, width, generator=dice, dtype=torch.float64)


def fitted(a, b):  # the loss of the page's first three networks, where their units are on
    return (a[:, :, None] * b[:, None] - 1).square().sum((1, 2))


# name: the volume below ε, worked out by hand
VOLUMES = {
    "one input": lambda e: 2 * e**0.5 * math.log(4),
    "two inputs": lambda e: math.pi * e * 1.5,
    "two outputs": lambda e: math.pi * e * 1.5,
    "silent": lambda e: 4 * e**0.5 * (1 - math.log(e) / 2),
    "silent, two inputs": lambda e: 2 * math.pi * (2 * e**0.5 - e),
    "silent, three layers": lambda e: 4 * math.pi * (e - e**0.5 * math.log(e)),
}


def thrown(name, count=4_000_000):
    """Losses of plain random points, and the volume of where they are."""
    if name == "one input":
        return fitted(uniform(1 / 3, 3, count, 1, 7), uniform(0.5, 2, count, 1, 8)), 8 / 3 * 1.5
    if name.startswith("two"):
        z, t = uniform(1 / 3, 3, count, 2, 7), uniform(0.5, 2, count, 1, 8)
        return fitted(*((z, t) if name == "two inputs" else (t, z))), (8 / 3) ** 2 * 1.5
    dimensions = {"silent": 2, "silent, two inputs": 3, "silent, three layers": 4}[name]
    w = uniform(-1, 1, count, dimensions, 9)
    if name == "silent":
        return w.prod(1).square(), 4
    inside = w[:, :2].square().sum(1) < 1  # a disc; elsewhere the loss counts as infinite
    loss = w[:, :2].square().sum(1) * w[:, 2:].prod(1).square()
    return torch.where(inside, loss, torch.inf), 2**dimensions


@pytest.mark.parametrize("name", VOLUMES)
def test_volume_has_the_closed_form_that_points_count(name, ledger):
    losses, size = thrown(name)
    for eps in (0.03, 0.06):
        counted = float((losses < eps).double().mean()) * size
        ledger("learning-coefficient", error=abs(counted / VOLUMES[name](eps) - 1), tol=0.01)


@pytest.mark.parametrize("name", VOLUMES)
def test_the_page_has_that_form_and_its_exponent(name):
    toy = page()["toys"][name]
    eps = torch.tensor([1e-30, 1e-29, 1e-3], dtype=torch.float64)
    for mine, theirs in zip((VOLUMES[name](float(e)) for e in eps), toy.exact(eps)):
        assert abs(float(theirs) / mine - 1) < 1e-12
    slope = math.log10(VOLUMES[name](1e-29) / VOLUMES[name](1e-30))
    assert abs(slope + (toy.power - 1) / math.log(1e30) - toy.exponent) < 2e-3


@pytest.mark.parametrize("widths", [[3, 2, 2], [2, 4, 1], [1, 3, 3]])
def test_rescaling_shifts_the_volume_below_every_height_alike(widths, ledger):
    dice = torch.Generator().manual_seed(11)
    theta = init_net(widths, generator=dice)
    data = teacher_student(relu_net, theta, 20, generator=dice)
    loss = squared_error(relu_net, data.X, data.y)
    n = [block.numel() for block in theta.values()]
    points = flatten(theta) + uniform(-0.2, 0.2, 500, sum(n), 12)
    losses = torch.func.vmap(lambda v: loss(unflatten(v, theta)))
    for alpha in (0.3, 2.7):
        carry = lambda v, a=alpha: flatten(alpha_scale(unflatten(v, theta), a))  # noqa: E731
        factor = float(torch.func.jacrev(carry)(flatten(theta)).det())
        below, below_twin = losses(points), losses(torch.stack([carry(v) for v in points]))
        for eps in below.quantile(torch.tensor([0.01, 0.1, 0.5, 0.9], dtype=torch.float64)):
            shift = factor * float((below_twin < eps).sum() / (below < eps).sum())
            ledger("exponent-shift", error=abs(shift / alpha ** (n[0] - n[1]) - 1), tol=1e-12)


def test_coordinates_that_are_smooth_both_ways_keep_the_exponent(ledger):
    heights = torch.logspace(-16, -14, 3, dtype=torch.float64)
    for power in (2, 4, 6):  # L = w^power, and w = sinh(η) + η³ + η
        edge = heights ** (1 / power)
        low, high = torch.zeros_like(edge), torch.full_like(edge, 2.0)
        for _ in range(80):
            middle = (low + high) / 2
            beyond = middle.sinh() + middle**3 + middle > edge
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        slope = float((2 * low).log10().diff().mean())
        ledger("exponent-coordinates", error=abs(slope - 1 / power), tol=1e-4)
    squared = (heights**0.5) ** 2  # η = |w| w for L = w²: smooth one way only
    assert abs(float(squared.log10().diff().mean()) - 0.5) > 0.4


def test_the_constant_of_a_clean_minimum_is_made_of_hessians(ledger):
    c = torch.full((1, 1), 0.5, dtype=torch.float64)
    loss = squared_error(relu_net, torch.ones_like(c), c)  # (θ₁θ₂ − 1/2)² / 2
    cuts = torch.linspace(1, 3, 401, dtype=torch.float64)
    total = 0.0
    for t, step in zip((cuts[1:] + cuts[:-1]) / 2, cuts.diff()):
        H = dense_hessian(loss, {"theta1": c / t, "theta2": t.reshape(1, 1)})
        values = torch.linalg.eigvalsh(H)
        assert float(values[0]) < 1e-9 * float(values[1])  # rank 1
        total += float((1 + 0.25 / t**4).sqrt() * step / values[1].sqrt())
    by_hand = 2 * 2**0.5 * math.log(3)  # the volume is 2 √(2ε) ln 3
    ledger("exponent-hessian", error=abs(2 * 2**0.5 * total / by_hand - 1), tol=1e-4)


def along(L, theta, S, h, t=1e4, steps=1200, chains=120, seed=21):
    """t · mean of L along the page's chains, from the places they come to."""
    theta, dice = torch.as_tensor(theta).double(), torch.Generator().manual_seed(seed)
    U = lambda w: t * L(w) + ((w - theta) / S).square().sum(-1) / 2  # noqa: E731
    start = theta.expand(*theta.shape[:-2], chains, -1)
    places = [*page()["langevin"](U, start, S, h / t, steps, dice)]
    return t * torch.stack([L(w) for w in places[steps // 3 :]]).mean(0)


def hyperbola(w):
    return (w[..., 0] * w[..., 1] - 0.5).square()


def test_chains_find_the_exponent_of_a_bowl_and_of_a_hyperbola_at_both_twins():
    bowl = along(lambda w: w.square().sum(-1), [[0.0, 0.0]], 1, 1.0)
    assert abs(float(bowl.mean()) - 1) < 0.03
    for twin, step in (([0.5**0.5, 0.5**0.5], 0.5), ([5.0, 0.1], 0.02)):
        assert abs(float(along(hyperbola, [twin], 1, step).mean()) / 0.5 - 1) < 0.03


def test_chains_find_three_halves_where_a_product_of_two_matrices_is_zero():
    product = lambda w: w[..., :4].unflatten(-1, (2, 2)) @ w[..., 4:].unflatten(-1, (2, 2))  # noqa: E731
    values = along(lambda w: product(w).square().sum((-2, -1)), [[0.0] * 8], 1, 10.0)
    assert 1.35 < float(values.mean()) < 1.55


def flat_loss(theta, X, d, h, out):
    def f(w):
        first, second = (
            w[..., : d * h].unflatten(-1, (d, h)),
            w[..., d * h :].unflatten(-1, (h, out)),
        )
        return (X @ first).relu() @ second

    y = f(flatten(theta))
    return lambda w: (f(w) - y).square().sum(-1).mean(-1) / 2


def test_chains_with_noise_in_units_of_the_layers_are_images_of_each_other(ledger):
    dice = torch.Generator().manual_seed(31)
    theta = init_net([3, 2, 2], generator=dice)
    X = torch.randn(30, 3, generator=dice, dtype=torch.float64)
    L = flat_loss(theta, X, 3, 2, 2)
    at = torch.stack([flatten(alpha_scale(theta, a)) for a in (1.0, 0.3, 4.0)])[:, None]
    values = along(L, at, page()["units"](at, 6), 0.1, steps=400, chains=40)
    assert float(values[0].mean()) > 1  # the chains have left θ
    ledger("carried-noise", error=float((values - values[0]).abs().max()), tol=1e-8)


def test_chains_with_naive_noise_are_not():
    valley = page()["fits"](1)
    twins = torch.tensor([[[1.0, 1.0, 1.0]], [[10.0, 10.0, 0.1]]], dtype=torch.float64)
    steps = torch.tensor([0.2, 0.003], dtype=torch.float64)[:, None, None]  # 1.2/λ_max
    values = along(lambda w: valley(w[..., :2], w[..., 2:]), twins, 1, steps).mean(1)
    assert abs(float(values[0]) - 1) < 0.05 and float(values[1]) < 0.75
