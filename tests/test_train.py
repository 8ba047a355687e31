"""Descent, and its honesty about where it ended.

Oracle: a quadratic bowl with a known minimum, scikit-learn's closed-form linear regression, and
the gradient norm measured afresh at the end point.
"""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from random_nets import DEVICES, build, cases, law, off
from sklearn.linear_model import LinearRegression

from helpers import descend, flatten, gradient, init_net, net, squared_error
from helpers.nets._train import METHODS, bar


def bowl(params):
    return 3 * (params["a"] - 1).square().sum() + (params["b"] + 2).square().sum() / 2


START = {"a": torch.zeros(2, dtype=torch.float64), "b": torch.zeros(3, dtype=torch.float64)}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("method", "lr", "steps"), [("lbfgs", 1, 50), ("gd", 0.15, 2000), ("adam", 0.1, 5000)]
)
def test_every_method_finds_the_bottom_of_a_bowl(method, lr, steps, device):
    start = {name: block.to(device) for name, block in START.items()}
    end = descend(bowl, start, steps=steps, lr=lr, method=method, progress=False)
    assert end.reached
    assert end.grad_norm <= 1e-6
    assert off(end.params["a"], torch.ones(2)) < 1e-6
    assert off(end.params["b"], -2 * torch.ones(3)) < 1e-6
    assert len(end.history) == end.steps < steps
    assert end.history[0] == float(bowl(start))
    assert torch.equal(start["a"], torch.zeros_like(start["a"]))  # the start stays as it was
    assert not end.params["a"].requires_grad


def test_one_gradient_step_is_a_gradient_step():
    end = descend(bowl, START, steps=1, lr=0.01, method="gd", progress=False)
    by_hand = flatten(START) - 0.01 * gradient(bowl, START)
    assert off(flatten(end.params), by_hand) < 1e-15
    assert not end.reached
    assert end.steps == 1


def test_linear_regression_is_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(60, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    params = init_net([4, 2], bias=True, generator=generator)
    end = descend(squared_error(net("linear"), X, y), params, tol=1e-7, progress=False)
    model = LinearRegression().fit(X, y)
    assert end.reached
    assert np.allclose(end.params["theta1"].T, model.coef_, atol=1e-6)
    assert np.allclose(end.params["b1"], model.intercept_, atol=1e-6)


@law(20)
@given(case=cases(where="off", depth=(1, 2)))
def test_what_it_says_about_the_end_is_true(case):
    end = descend(case.loss, case.params, steps=30, tol=1e-4, progress=False)
    assert end.loss == float(case.loss(end.params))
    assert off(end.grad_norm, gradient(case.loss, end.params).norm()) < 1e-10
    assert end.reached == (end.grad_norm <= 1e-4)
    assert end.loss <= end.history[0] if end.history else end.steps == 0


def test_a_minimum_needs_no_step():
    case = build([3, 3, 1], 0)
    end = descend(case.loss, case.params, progress=False)
    assert (end.steps, end.reached, end.history) == (0, True, [])
    assert torch.equal(flatten(end.params), flatten(case.params))


def test_the_bar_can_be_seen(capsys):
    descend(bowl, START, steps=3, tol=1e-30, lr=0.1, method="gd")
    assert re.search(r"^\r?training: ", capsys.readouterr().err, re.M)


def test_a_bar_is_shown_unless_it_is_not_wanted_or_the_site_is_built(capsys, monkeypatch):
    monkeypatch.delenv("HELPERS_HOST", raising=False)
    seen = []
    for host, options in ((None, {}), (None, {"show": False}), ("site", {})):
        if host:
            monkeypatch.setenv("HELPERS_HOST", host)
        assert list(bar(range(3), "walking", **options)) == [0, 1, 2]
        seen.append("walking" in capsys.readouterr().err)
    assert seen == [True, False, False]


def test_a_gradient_as_long_as_the_tolerance_is_short_enough():
    end = descend(lambda p: p["w"].square().sum() / 2, {"w": torch.ones(1)}, tol=1.0)
    assert (end.grad_norm, end.steps, end.reached) == (1.0, 0, True)


def test_five_hundred_steps_are_made_unless_told_otherwise():
    end = descend(bowl, START, method="gd", lr=1e-9, progress=False)
    assert (end.steps, end.reached) == (500, False)


def test_a_step_of_lbfgs_is_one_search_on_a_line_and_the_first_goes_downhill():
    end = descend(bowl, START, steps=1, progress=False)
    step, g = flatten(end.params) - flatten(START), gradient(bowl, START)
    assert float(step @ g / (step.norm() * g.norm())) == pytest.approx(-1, abs=1e-12)


def test_a_last_step_that_diverges_is_a_sentence_too():
    with pytest.raises(ValueError, match=r"got inf: gd with lr=1e\+200 diverged"):
        descend(bowl, START, steps=1, lr=1e200, method="gd", progress=False)


def test_an_unknown_method_is_refused():
    assert list(METHODS) == ["gd", "adam", "lbfgs"]
    with pytest.raises(ValueError, match="descend needs one of gd, adam, lbfgs, got 'sgd'"):
        descend(bowl, START, method="sgd", progress=False)


@pytest.mark.parametrize("change", [{"lr": 0}, {"lr": -1}, {"tol": 0}])
def test_impossible_steps_are_refused(change):
    with pytest.raises(ValueError, match="descend needs lr > 0 and tol > 0, got"):
        descend(bowl, START, progress=False, **change)


def test_divergence_is_a_sentence():
    with pytest.raises(ValueError, match=r"needs a finite loss, got .*: gd with lr=10.* diverged"):
        descend(bowl, START, steps=2000, lr=10.0, method="gd", progress=False)


def test_a_start_with_nan_is_refused():
    with pytest.raises(ValueError, match=r"descend needs finite parameters, got 2 .* in a"):
        descend(bowl, {**START, "a": START["a"] * float("nan")}, progress=False)


@pytest.mark.parametrize("method", METHODS)
def test_a_block_that_the_loss_does_not_use_stays_and_no_grad_outside_is_no_matter(method):
    params = {"a": torch.tensor([3.0]).double(), "b": torch.tensor([7.0]).double()}
    with torch.no_grad():
        end = descend(lambda p: p["a"].square().sum(), params, steps=5, method=method, lr=0.1)
    assert end.loss < 9 and float(end.params["b"]) == 7


def test_the_line_search_goes_on_where_its_first_try_is_too_long():
    """Rosenbrock's valley, from his own start: the minimum is (1, 1), and L never rises."""

    def valley(p):
        a, b = p["theta"]
        return (1 - a) ** 2 + 100 * (b - a**2) ** 2

    start = {"theta": torch.tensor([-1.2, 1.0], dtype=torch.float64)}
    end = descend(valley, start, tol=1e-7, progress=False)
    assert end.reached and end.steps < 60
    assert torch.allclose(end.params["theta"], torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert end.history == sorted(end.history, reverse=True)
