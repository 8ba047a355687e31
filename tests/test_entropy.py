"""Local entropy.

Oracle: scipy's adaptive quadrature of the integral itself, in one and two dimensions; the error
bar is held against the quadrature, not against itself.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, law
from scipy.integrate import dblquad, quad

from helpers import alpha_scale, local_entropy, quadratic_local_entropy


def quadratic(H):
    H = torch.as_tensor(H, dtype=torch.float64)
    return lambda p: p["w"] @ H @ p["w"] / 2


def by_quadrature(loss, at, gamma, centre, reach):
    """log of the integral over centre ± reach in each of one or two dimensions."""
    f = lambda *w: math.exp(  # noqa: E731
        -float(loss({"w": torch.tensor(w, dtype=torch.float64)}))
        - gamma / 2 * sum((a - b) ** 2 for a, b in zip(w, at))
    )
    box = [end for c in centre for end in (c - reach, c + reach)]
    if len(at) == 1:
        return math.log(quad(f, *box, epsabs=0, epsrel=1e-10)[0])
    return math.log(dblquad(f, *box, epsabs=0, epsrel=1e-8)[0])


@law(25)
@given(curvature=st.floats(-0.4, 20), at=st.floats(-3, 3), gamma=st.floats(0.5, 5))
def test_the_closed_form_in_one_dimension(curvature, at, gamma, ledger):
    loss = quadratic([[curvature]])
    closed = quadratic_local_entropy(loss, {"w": torch.tensor([at], dtype=torch.float64)}, gamma)
    width = curvature + gamma  # the integrand is a Gaussian of this precision
    truth = by_quadrature(loss, [at], gamma, [gamma * at / width], 9 / width**0.5)
    ledger("local-entropy", error=abs(closed - truth), tol=1e-8)


@pytest.mark.parametrize("at", [[0.0, 0.0], [0.7, -0.4]])
def test_the_closed_form_in_two_dimensions(at, ledger):
    """The helper and the formula with its matrices, both against the integral."""
    H, gamma = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64), 0.8
    x, eye = torch.tensor(at, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    middle = gamma * eye - gamma**2 * torch.linalg.inv(H + gamma * eye)
    closed = math.log(2 * math.pi) - float(torch.logdet(H + gamma * eye)) / 2
    closed -= float(x @ middle @ x) / 2
    integrand = lambda b, a: math.exp(  # noqa: E731
        -(3 * a * a + 2 * a * b + 2 * b * b) / 2 - gamma / 2 * ((a - at[0]) ** 2 + (b - at[1]) ** 2)
    )
    truth = math.log(dblquad(integrand, -8, 8, -8, 8, epsabs=0, epsrel=1e-10)[0])
    assert abs(closed - truth) <= 1e-8
    ours = quadratic_local_entropy(quadratic(H), {"w": x}, gamma)
    ledger("local-entropy", error=abs(ours - truth), tol=1e-8)


def test_the_formula_of_the_eigenvalues_at_a_minimum():
    H = np.diag([0.5, 3.0, 10.0])
    closed = quadratic_local_entropy(quadratic(H), {"w": torch.zeros(3).double()}, 0.7)
    by_hand = 1.5 * math.log(2 * math.pi) - sum(math.log(x + 0.7) for x in (0.5, 3, 10)) / 2
    assert closed == pytest.approx(by_hand, rel=1e-14)


@law(30)
@given(
    eigenvalues=st.lists(st.floats(0, 50), min_size=1, max_size=6),
    gamma=st.floats(0.1, 10),
    seed=st.integers(0, 10**6),
)
def test_sampling_agrees_within_its_own_error_bar(eigenvalues, gamma, seed):
    generator = torch.Generator().manual_seed(seed)
    params = {"w": torch.randn(len(eigenvalues), generator=generator).double()}
    loss = quadratic(np.diag(eigenvalues))
    found = local_entropy(loss, params, gamma, samples=1000, generator=generator)
    truth = quadratic_local_entropy(loss, params, gamma)
    assert abs(found.value - truth) < 5 * found.standard_error + 1e-9
    assert found.standard_error < 0.2
    assert found.effective_samples > 100


def test_where_the_loss_is_quadratic_no_sample_counts_more_than_twice_its_share():
    """Half of them come from the integrand itself, wherever that has its middle."""
    params = {"w": torch.tensor([2.0, -1.0, 1.0]).double()}
    found = local_entropy(quadratic(np.diag([0.5, 3.0, 10.0])), params, 0.7, samples=4000)
    assert found.effective_samples > 0.45 * 4000


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_where_the_loss_is_not_quadratic_quadrature_decides(gamma):
    loss = lambda p: (p["w"].square().sum() - 1).square()  # noqa: E731
    params = {"w": torch.tensor([1.0, 0.0]).double()}
    truth = by_quadrature(loss, [1.0, 0.0], gamma, [0.0, 0.0], 4.5)
    found = local_entropy(loss, params, gamma, samples=20_000)
    assert abs(found.value - truth) < 4 * found.standard_error
    assert found.standard_error < 0.05
    assert abs(quadratic_local_entropy(loss, params, gamma) - truth) > 4 * found.standard_error


def test_the_error_bar_shrinks_like_the_square_root():
    case = build([2, 2, 1], 0)
    few, many = (
        local_entropy(case.loss, case.params, 1.0, samples=n).standard_error for n in (500, 50_000)
    )
    assert few / many == pytest.approx(10, rel=0.5)


def test_it_changes_along_the_orbit():
    case = build([4, 3, 1], 0)
    one, two = (
        quadratic_local_entropy(case.loss, alpha_scale(case.params, alpha), 1.0)
        for alpha in (1.0, 0.01)
    )
    assert one - two > 5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_on_every_device(dtype, device):
    loss = lambda p: 3 * p["w"].square().sum() / 2  # noqa: E731
    params = {"w": torch.ones(2, dtype=dtype, device=device)}
    truth = math.log(2 * math.pi) - math.log(4.0) - 3 + 9 / 4
    assert quadratic_local_entropy(loss, params, 1.0) == pytest.approx(truth, rel=1e-5)
    found = local_entropy(loss, params, 1.0)
    assert abs(found.value - truth) < 5 * found.standard_error


@pytest.mark.parametrize("measure", [local_entropy, quadratic_local_entropy])
@pytest.mark.parametrize("gamma", [0, -1, math.nan, math.inf])
def test_gamma_must_be_positive_and_finite(measure, gamma):
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="local entropy needs a finite gamma > 0, got"):
        measure(case.loss, case.params, gamma)


@pytest.mark.parametrize("measure", [local_entropy, quadratic_local_entropy])
def test_nan_is_refused(measure):
    case = build([2, 2, 1], 0)
    broken = {**case.params, "theta1": case.params["theta1"] * math.nan}
    with pytest.raises(ValueError, match="local entropy needs finite parameters, got 4"):
        measure(case.loss, broken, 1.0)


def test_a_diverging_integral_is_refused():
    params = {"w": torch.zeros(1).double()}
    with pytest.raises(ValueError, match="quadratic_local_entropy needs gamma > 2, got 1: with a"):
        quadratic_local_entropy(quadratic([[-2.0]]), params, 1.0)


def test_one_sample_is_refused():
    case = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="local_entropy needs samples >= 2, got 1"):
        local_entropy(case.loss, case.params, 1.0, samples=1)


@pytest.mark.parametrize("gamma", [4.0, 3.0])
def test_at_a_maximum_as_bent_as_the_weight_the_estimate_is_still_the_integral(gamma):
    params = {"a": torch.zeros(1, dtype=torch.float64)}  # L'' = −4 there

    def loss(p):
        return (p["a"].square() - 1).square().sum()

    right = math.log(quad(lambda a: math.exp(-((a * a - 1) ** 2) - gamma / 2 * a * a), -9, 9)[0])
    found = local_entropy(loss, params, gamma, samples=4000)
    assert abs(found.value - right) < 4 * found.standard_error < 0.1
