"""What moves the imbalance of two layers, and what does not: the statements of the page.

Oracle of the formula: a rectifier net written down in numpy with its gradient by hand, and plain
arithmetic on its weights. Oracle of the walks: the laws themselves, on networks of other seeds,
widths and losses than those of the page.
"""

from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch

from helpers import (
    accuracy,
    adaptive_step,
    alpha_scale,
    cross_entropy,
    flatten,
    gradient,
    init_net,
    net,
    perturb,
    predictions,
    relu_net,
    squared_error,
    top_eigenvalues,
    unflatten,
)
from tools import ROOT, pages

PAGE = pages.read(ROOT / "book" / "after" / "who_moves.ipynb")


@cache
def page():
    """The page's data and its functions, without its runs."""
    known, cells = {}, {cell.id: cell.source for cell in PAGE.cells}
    for name in ("imports", "twin", "stack", "rules", "imbalance", "tangent", "step", "slide"):
        exec(cells[name], known)
    for name in ("leave", "leaky", "pushes"):
        exec(cells[name], known)
    return known


def by_hand(weights, x, y):
    """Return the gradient of mean ‖f − y‖²/2 for a net of rectifiers in numpy."""
    layers, z = [x], x
    for W in weights[:-1]:
        z = np.maximum(z @ W, 0)
        layers.append(z)
    back, slopes = (z @ weights[-1] - y) / len(x), []
    for W, before in zip(weights[::-1], layers[::-1]):
        slopes.append(before.T @ back)
        back = (back @ W.T) * (before > 0)
    return slopes[::-1]


@pytest.mark.parametrize("widths", [(6, 5, 3), (6, 5, 4, 3), (6, 4, 5, 4, 3)])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_a_step_moves_the_imbalance_by_the_squares_of_its_gradients(widths, decay, ledger):
    dice = np.random.default_rng(len(widths))
    weights = [dice.normal(size=pair) / pair[0] ** 0.5 for pair in zip(widths, widths[1:])]
    X, Y, eta, off = dice.normal(size=(40, 6)), dice.normal(size=(40, 3)), 0.1, 0.0
    for _ in range(60):
        batch = dice.integers(40, size=4)
        g = by_hand(weights, X[batch], Y[batch])
        before, slopes = ([np.square(W).sum() for W in blocks] for blocks in (weights, g))
        weights = [(1 - 2 * eta * decay) * W - eta * slope for W, slope in zip(weights, g)]
        after = [np.square(W).sum() for W in weights]
        promised = (1 - 2 * eta * decay) ** 2 * np.diff(before) + eta**2 * np.diff(slopes)
        off = max(off, np.abs(np.diff(after) - promised).max())
    ledger("step-identity", error=float(off), tol=1e-12)


def test_each_hidden_unit_keeps_the_formula_under_another_loss_and_activation(ledger):
    dice = torch.Generator().manual_seed(5)
    x, y = torch.randn(50, 6, generator=dice).double(), torch.randint(3, (50,), generator=dice)
    for f in (relu_net, net("leaky_relu"), net("linear")):
        loss, params = cross_entropy(f, x, y), init_net([6, 5, 3], generator=dice)
        g = unflatten(gradient(loss, params), params)
        after = perturb(params, flatten(g), -0.3)
        q = page()["unit_imbalances"]
        off = float((q(after) - q(params) - 0.3**2 * q(g)).abs().max())
        ledger("step-identity", error=off, tol=1e-12)


def test_no_walk_moves_the_imbalance_further_than_the_squares_of_its_steps(ledger):
    dice = torch.Generator().manual_seed(6)
    x, y = torch.randn(30, 6, generator=dice).double(), torch.randn(30, 3, generator=dice).double()
    for eta in (0.01, 0.1, 0.4):
        params = start = init_net([6, 8, 3], generator=dice)
        squares, Q = 0.0, page()["imbalance"]
        for _ in range(100):
            s = -eta * gradient(squared_error(relu_net, x, y), params)
            params, squares = perturb(params, s), squares + float(s.square().sum())
        beyond = max(0.0, abs(Q(params) - Q(start)) - squares)
        ledger("step-identity", error=beyond, tol=1e-12)
        assert abs(Q(params) - Q(start)) > 1e-9


def test_two_weights_shrink_their_imbalance_by_the_square_of_the_residual():
    a, b, eta = 0.4, 5.0, 0.004  # the residual is one, so there is something to shrink
    for _ in range(50):
        r, Q = 2 * a * b - 3, a**2 - b**2
        a, b = a - eta * 2 * r * b, b - eta * 2 * r * a
        assert abs(a**2 - b**2 - (1 - 4 * eta**2 * r**2) * Q) < 1e-12


def test_asam_pushes_alike_at_each_twin_and_sam_does_not(ledger):
    theta, loss = net_16(), page()["loss"]
    push, asam, sam = page()["push"], [], []
    for alpha in (0.3, 1.0, 2.9):
        twin = alpha_scale(theta, alpha)
        g = gradient(loss, twin)
        for pushes, ahead in ((asam, adaptive_step(loss, twin, 0.4)), (sam, twin)):
            if ahead is twin:
                ahead = perturb(twin, 0.1 * g / g.norm())
            one, other = push(twin, ahead)
            assert abs(one - other) < 1e-12  # −⟨τ, ĝ⟩, and ⟨e₁, ĝ₁⟩ − ⟨e₂, ĝ₂⟩
            pushes.append(one)
    spread = (max(asam) - min(asam)) / min(map(abs, asam))  # never negative, whatever the sign
    ledger("asam-push", error=spread, tol=1e-9)
    assert sam[0] > 2 * sam[1] and sam[0] > 0 > sam[2]


def test_sliding_units_keeps_the_function_and_reaches_each_imbalance():
    theta, q = net_16(), torch.linspace(-4, 3, 16).double()
    there = page()["slide"](theta, q)
    assert float((page()["unit_imbalances"](there) - q).abs().max()) < 1e-12
    x = page()["data"].X_test
    assert float((relu_net(there, x) - relu_net(theta, x)).abs().max()) < 1e-12


def test_descent_never_moves_a_unit_that_is_dead():
    theta = net_16()
    dead = {name: block.clone() for name, block in theta.items()}
    dead["theta1"][:, 3] = -dead["theta1"][:, 3].abs()  # inputs are not negative
    after = dead
    for _ in range(5):
        after = perturb(after, gradient(page()["loss"], after), -0.05)
    assert torch.equal(after["theta1"][:, 3], dead["theta1"][:, 3])
    assert torch.equal(after["theta2"][3], dead["theta2"][3])


@cache
def net_16():
    """A trained network of another seed than the page's."""
    return page()["trained"](16, seed=1)


def top(params):
    return float(top_eigenvalues(page()["loss"], params, tol=1e-4).values[0])


def test_descent_rests_below_the_edge_and_hardly_slides_above_it():
    start, Q = alpha_scale(net_16(), 0.25), page()["imbalance"]
    top_0, (rest, low, high) = page()["leave"](start, (1.9, 2.2, 2.8), 1000)
    assert abs(top(rest) / top_0 - 1) < 0.05 and abs(Q(rest) / Q(start) - 1) < 1e-3
    X_test = page()["data"].X_test
    same = predictions(relu_net, rest, X_test) == predictions(relu_net, start, X_test)
    assert same.double().mean() > 0.96
    for times, end in ((2.2, low), (2.8, high)):
        assert 1.8 < times * top(end) / top_0 < 2.6
        assert abs(Q(end) / Q(start) - 1) < 0.02


def test_a_wide_net_switches_half_of_its_units_off_and_keeps_its_answers():
    start = alpha_scale(page()["trained"](256, seed=1, steps=200, lr=0.001), 0.25)
    _, (end,) = page()["leave"](start, (8.0,), 300)
    data, Q = page()["data"], page()["imbalance"]
    dead = lambda p: int(((page()["X"] @ p["theta1"]).amax(0) <= 0).sum())  # noqa: E731
    assert dead(start) < 40 and dead(end) > 100
    assert accuracy(relu_net, end, data.X_test, data.y_test) > 0.93
    assert abs(Q(end) / Q(start) - 1) < 0.08
    now, then = (predictions(relu_net, params, data.X_test) for params in (end, start))
    assert (now != then).double().mean() < 0.1


@pytest.mark.parametrize(
    ("method", "batch", "least"),
    [("weight decay", None, 0.1), ("SAM", None, 0.05), ("noise", 10, 0.01)],
)
def test_decay_sam_and_noise_slide_where_descent_does_not(method, batch, least):
    start, Q, data = alpha_scale(net_16(), 0.5), page()["imbalance"], page()["data"]
    right, eta = accuracy(relu_net, start, data.X_test, data.y_test), 1.4 / top(start)
    moved = {}
    for name, size in (("descent", None), (method, batch)):
        rows = flatten(start).float()[None]
        walk = page()["walk"](rows, [eta], name, batch=size)
        end = page()["row"](next(islice(walk, 1200, None)), 0)
        moved[name] = 1 - Q(end) / Q(start)
    assert abs(moved["descent"]) < 2e-3 and moved[method] > least
    assert accuracy(relu_net, end, data.X_test, data.y_test) > right - 0.03
