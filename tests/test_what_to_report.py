"""What the last page carries along: plots, bounds, and the floor that stability sets.

Oracle of the plots: the loss at twins, with random factors of other sizes and seeds. Oracle of the
bound: a divergence by sampling, the ceiling by scipy's entropy, errors of each draw one by one.
Oracle of the floor: the Hessian from automatic differentiation, for several inputs, at random
weights and factors; the page has one input and the mean of the gradients' products.
"""

import math
from functools import cache

import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import entropy

from helpers import flatten, init_net, relu_net, scale_units, squared_error, unit_scaling
from tools import ROOT, pages

PAGE = pages.read(ROOT / "book" / "after" / "what_to_report.ipynb")


@cache
def page():
    """The functions that the page shows, without its data."""
    known, cells = {}, {cell.id: cell.source for cell in PAGE.cells}
    for name in ("imports", "filter", "ceiling", "kl", "g"):
        exec(cells[name], known)
    exec(cells["weight"].partition("\n\n\n")[0], known)
    return known


def net_and_twins(seed):
    dice = torch.Generator().manual_seed(seed)
    theta = init_net([5, 7, 3], generator=dice)
    X, y = (torch.randn(30, n, generator=dice, dtype=torch.float64) for n in (5, 3))
    one, many = torch.full((7,), 0.03).double(), torch.logspace(-2, 2, 7, dtype=torch.float64)
    twins = [scale_units(theta, c, up="theta1", down="theta2") for c in (one, many)]
    noise = {k: torch.randn(w.shape, generator=dice, dtype=w.dtype) for k, w in theta.items()}
    return squared_error(relu_net, X, y), theta, twins, noise


def apart(unit, seed):
    """How far the plot of each of two twins is from the first, over its rise."""
    loss, theta, twins, noise = net_and_twins(seed)
    profile = lambda p: torch.stack(  # noqa: E731
        [loss({k: w + t * unit(p, noise)[k] for k, w in p.items()}) for t in (-1.0, 0.3, 2.0)]
    )
    first = profile(theta)
    return [float((profile(twin) - first).abs().max() / first.max()) for twin in twins]


@pytest.mark.parametrize("seed", (5, 6))
def test_a_plot_in_units_of_each_weight_is_one_plot_for_all_twins(seed, ledger):
    ledger("plot-units", error=max(apart(page()["in_weights"], seed)), tol=1e-12)


def test_a_plot_in_units_of_filters_survives_a_factor_a_layer_and_none_a_unit():
    by_layer, by_unit = apart(page()["in_filters"], 7)
    assert by_layer < 1e-12 and by_unit > 0.1


def test_a_direction_in_units_of_filters_has_each_filters_length():
    _, theta, _, noise = net_and_twins(4)
    for k, d in page()["in_filters"](theta, noise).items():
        assert torch.allclose(d.norm(dim=0), theta[k].norm(dim=0), rtol=1e-12)


def clouds(seed, n=40):
    dice = torch.Generator().manual_seed(seed)
    centre, prior = torch.randn(2, n, generator=dice, dtype=torch.float64)
    width, prior_width = torch.rand(2, n, generator=dice, dtype=torch.float64) + 0.5
    S = torch.exp(torch.randn(n, generator=dice, dtype=torch.float64))
    return (centre, width), (prior, prior_width), S


def test_the_divergence_is_what_sampling_gives():
    (centre, width), (prior, prior_width), _ = clouds(1)
    dice = torch.Generator().manual_seed(2)
    draws = centre + width * torch.randn(200_000, 40, generator=dice, dtype=torch.float64)
    normal = torch.distributions.Normal
    logs = normal(centre, width).log_prob(draws) - normal(prior, prior_width).log_prob(draws)
    sampled = logs.sum(1)
    error = float(sampled.std()) / math.sqrt(len(sampled))
    exact = page()["kl"]((centre, width), (prior, prior_width))
    assert abs(float(sampled.mean()) - exact) < 4 * error


def test_a_bound_stays_where_both_clouds_are_carried_and_not_where_one_is(ledger):
    kl = page()["kl"]
    Q, P, S = clouds(3)
    moved = [(S * centre, S * width) for centre, width in (Q, P)]
    ledger("pac-bayes-carried", error=abs(kl(*moved) / kl(Q, P) - 1), tol=1e-12)
    assert kl(moved[0], P) > 1.5 * kl(Q, P)


def test_each_draw_of_a_carried_cloud_computes_what_the_old_draw_computed():
    _, theta, _, noise = net_and_twins(8)
    X = torch.randn(20, 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    S = unit_scaling(theta, torch.logspace(-2, 2, 7).double(), up="theta1", down="theta2")
    draw = {k: w + 0.1 * noise[k] for k, w in theta.items()}
    carried = {k: S[k] * theta[k] + S[k] * 0.1 * noise[k] for k in theta}
    assert torch.allclose(relu_net(draw, X), relu_net(carried, X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("r_hat", "right"), [(0.0, 0.05), (0.03, 0.1), (0.4, 0.2), (0.2, 3.0)])
def test_the_ceiling_is_where_the_two_sides_meet(r_hat, right):
    gap = lambda r: entropy([r_hat, 1 - r_hat], [r, 1 - r]) - right  # noqa: E731
    assert abs(page()["ceiling"](r_hat, right) - brentq(gap, r_hat + 1e-12, 1 - 1e-15)) < 1e-9


def two_layers(seed, d=3, units=6, n=25):
    dice = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, generator=dice, dtype=torch.float64)
    parts = {k: torch.randn(shape, generator=dice, dtype=torch.float64) for k, shape in {
        "w": (units, d), "b": (units,), "v": (units,), "beta": ()}.items()}  # fmt: skip
    return X, parts


def f(p, X):
    return (X @ p["w"].T - p["b"]).relu() @ p["v"] + p["beta"]


def weighted_bending(p, X):
    """Σ |a| min(g̃(u, t), g̃(−u, −t)), from the theorem's text, for any number of inputs."""
    total = 0.0
    for w, b, v in zip(p["w"], p["b"], p["v"]):
        sides = []
        for sign in (1, -1):
            u, t = sign * w / w.norm(), sign * b / w.norm()
            on = X @ u > t
            share = on.double().mean()
            if not on.any():
                sides.append(0.0)
                continue
            reach, middle = (X[on] @ u - t).mean(), X[on].mean(0)
            sides.append(float(share**2 * reach * (1 + middle.square().sum()).sqrt()))
        total += float(v.abs() * w.norm()) * min(sides)
    return total


def top(p, X, y):
    names = list(p)
    sizes = [q.numel() for q in p.values()]

    def loss(vector):
        blocks = vector.split(sizes)
        q = {k: block.reshape(p[k].shape) for k, block in zip(names, blocks)}
        return (f(q, X) - y).square().mean() / 2

    theta = flatten(p)
    return float(torch.linalg.eigvalsh(torch.func.hessian(loss)(theta))[-1]), float(loss(theta))


@pytest.mark.parametrize("seed", range(6))
def test_no_twin_of_a_network_without_loss_is_below_the_floor(seed, ledger):
    X, p = two_layers(seed)
    y, floor = f(p, X), 1 + 2 * weighted_bending(p, X)
    dice = torch.Generator().manual_seed(seed + 100)
    for spread in (0.0, 0.3, 1.5):
        c = torch.exp(spread * torch.randn(6, generator=dice, dtype=torch.float64))
        twin = {"w": c[:, None] * p["w"], "b": c * p["b"], "v": p["v"] / c, "beta": p["beta"]}
        lam, loss = top(twin, X, y)
        assert loss < 1e-25
        assert abs(weighted_bending(twin, X) * 2 + 1 - floor) < 1e-9 * floor
        ledger("stable-function", error=max(0.0, floor - lam), tol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_with_loss_the_theorems_last_term_covers_the_rest(seed):
    X, p = two_layers(seed)
    noise = torch.randn(25, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    lam, loss = top(p, X, f(p, X) + noise)
    radius = float(X.norm(dim=1).max())
    assert weighted_bending(p, X) <= lam / 2 - 0.5 + (radius + 1) * math.sqrt(2 * loss)


def test_the_pages_weight_of_a_kink_is_the_theorems_for_one_input():
    X, p = two_layers(11, d=1)
    known = {"torch": torch, "x": X[:, 0]}
    exec(next(cell.source for cell in PAGE.cells if cell.id == "g"), known)
    shown = known["bending"](p["w"][:, 0], p["b"], p["v"], p["beta"])
    assert abs(shown - weighted_bending(p, X)) < 1e-12 and shown > 0
