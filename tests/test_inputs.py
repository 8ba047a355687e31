"""New coordinates for the inputs.

Oracles: scikit-learn's own `transform`, numpy's covariance and deviations, automatic
differentiation of the composed network, and the density of a Gaussian written out.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform, off
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from helpers import (
    init_net,
    jacobian,
    relu_net,
    scale_inputs,
    warp_inputs,
    whiten_inputs,
    with_inputs,
)


def spread_inputs(case, n=30):
    d = case.widths[0]
    A = torch.randn(d, d, generator=case.generator).double() + 2 * torch.eye(d).double()
    m = torch.randn(d, generator=case.generator).double()
    return torch.randn(n, d, generator=case.generator).double() @ A + 5 * m


@law(40)
@given(case=cases())
def test_standardization_is_scikit_learns(case):
    X = spread_inputs(case)
    xi = scale_inputs(X)
    assert off(xi.inverse(X), torch.tensor(StandardScaler().fit_transform(X))) < 1e-12
    assert off(xi.forward(xi.inverse(X)), X) < 1e-14


@law(40)
@given(case=cases())
def test_whitening_is_scikit_learns(case):
    X = spread_inputs(case)
    xi = whiten_inputs(X)
    U = xi.inverse(X)
    theirs = PCA(whiten=True).fit_transform(X.numpy())
    assert np.abs(U.numpy()) == pytest.approx(np.abs(theirs), rel=1e-6, abs=1e-9)
    d = X.shape[1]
    assert np.cov(U.numpy().T).reshape(d, d) == pytest.approx(np.eye(d), abs=1e-9)
    assert off(xi.forward(U), X) < 1e-12


@law(40)
@given(
    case=cases(), kind=st.sampled_from(["scale", "whiten", "warp"]), factor=log_uniform(0.05, 20)
)
def test_section_5_2_predictions_stay_and_gradients_follow_the_chain_rule(
    case, kind, factor, ledger
):
    X = spread_inputs(case)
    xi = {
        "scale": lambda: scale_inputs(X),
        "whiten": lambda: whiten_inputs(X),
        "warp": lambda: warp_inputs(X[0], factor, radius=10.0),
    }[kind]()
    f_xi, U = with_inputs(case.f, xi), xi.inverse(X)
    assert off(f_xi(case.params, U), case.f(case.params, X)) < 1e-10
    for x, u in list(zip(X, U))[:3]:
        in_x = torch.func.jacrev(lambda x: case.f(case.params, x[None])[0])(x)  # (out, d)
        in_u = torch.func.jacrev(lambda u: f_xi(case.params, u[None])[0])(u)
        by_rule = in_x @ jacobian(xi, u)
        scale = float(in_u.abs().max())
        if scale > 1e-6:
            ledger("section-5-2", error=float((in_u - by_rule).abs().max()) / scale, tol=1e-11)


@law(40)
@given(case=cases(width=4))
def test_standardization_multiplies_each_gradient_by_its_deviation(case, ledger):
    d = case.widths[0]
    X = torch.randn(30, d, generator=case.generator).double() * torch.logspace(-1, 1, d).double()
    xi = scale_inputs(X)
    f_xi = with_inputs(case.f, xi)
    x, u = X[0], xi.inverse(X[0])
    in_x = torch.autograd.functional.jacobian(lambda x: case.f(case.params, x[None])[0], x)
    in_u = torch.autograd.functional.jacobian(lambda u: f_xi(case.params, u[None])[0], u)
    s = torch.as_tensor(X.numpy().std(0))
    ledger("section-5-2", error=off(in_u, s * in_x), tol=1e-12)


def log_normal(x, mean, cov):
    """log N(x; mean, cov) for one row, by hand."""
    d = x - mean
    return float(
        -(d @ torch.linalg.solve(cov, d)) / 2
        - torch.logdet(cov) / 2
        - len(x) / 2 * math.log(2 * math.pi)
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whitening_flips_a_ranking_by_squared_error_and_none_by_likelihood(seed, ledger):
    """Two models of x: A errs where x varies much, B where it varies little."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(400, 2, generator=generator).double() * torch.tensor([10.0, 0.2]).double()
    xi = whiten_inputs(X)
    W = torch.autograd.functional.jacobian(xi.inverse, X[0])  # (2, 2), the same everywhere
    A = X + torch.tensor([0.7, 0.0]).double()
    B = X + torch.tensor([0.0, 0.08]).double()
    mse = lambda one, two: float((one - two).square().mean())  # noqa: E731
    raw = mse(A, X) - mse(B, X)
    white = mse(xi.inverse(A), xi.inverse(X)) - mse(xi.inverse(B), xi.inverse(X))
    assert raw > 0 > white  # the ranking by squared error flips
    covariances = (torch.tensor([[90.0, 1], [1, 0.1]]), torch.tensor([[120.0, 0], [0, 0.03]]))
    worst = 0.0
    for x, a, b in list(zip(X, A, B))[:20]:
        one, two = (
            log_normal(x, a, covariances[0].double()) - log_normal(x, b, covariances[1].double()),
            log_normal(*(xi.inverse(z) for z in (x, a)), W @ covariances[0].double() @ W.T)
            - log_normal(*(xi.inverse(z) for z in (x, b)), W @ covariances[1].double() @ W.T),
        )
        worst = max(worst, abs(one - two) / (1 + abs(one)))
    ledger("appendix-d", error=worst, tol=1e-12)
    ledger("appendix-d", error=max(0.0, white, -raw), tol=0)


@law(30)
@given(factor=log_uniform(0.01, 100), seed=st.integers(0, 10**6))
def test_a_warp_multiplies_one_gradient_and_leaves_far_points_alone(factor, seed, ledger):
    generator = torch.Generator().manual_seed(seed)
    centre, far = (torch.randn(3, generator=generator).double() for _ in range(2))
    far = centre + 2 * far / far.norm()
    xi = warp_inputs(centre, factor, radius=1.0)
    assert off(jacobian(xi, centre), factor * torch.eye(3, dtype=torch.float64)) < 1e-12
    assert torch.equal(xi.forward(far), far)
    assert off(xi.forward(centre), centre) < 1e-14
    near = centre + 0.75 * (far - centre)  # one and a half away: the radius is one by itself
    assert torch.equal(warp_inputs(centre, factor).forward(near), near)
    params = init_net([3, 5, 2], generator=generator)
    f_xi = with_inputs(relu_net, xi)
    slope = lambda f, x: torch.func.jacrev(lambda x: f(params, x[None])[0])(x)  # noqa: E731
    for u, times in ((centre, factor), (far, 1.0)):
        error = off(slope(f_xi, u), times * slope(relu_net, u))
        ledger("section-5-2-at-will", error=error, tol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-4), (torch.float64, 1e-12)])
def test_both_precisions_on_every_device(dtype, tol, device):
    case = build([3, 2, 1], 0)
    X = spread_inputs(case)
    there = X.to(device, dtype)
    for make in (scale_inputs, whiten_inputs):
        xi = make(there)
        U = xi.inverse(there)
        assert (U.dtype, U.device.type) == (dtype, device)
        assert off(xi.forward(U), X) < tol
        assert off(U.abs(), make(X).inverse(X).abs()) < 10 * tol


@pytest.mark.parametrize("make", [scale_inputs, whiten_inputs])
def test_inputs_are_finite_rows(make):
    name = make.__name__
    with pytest.raises(
        ValueError, match=rf"{name} needs finite inputs of shape \(N, d\), got shape \(3,\)"
    ):
        make(torch.ones(3))
    with pytest.raises(ValueError, match=rf"{name} needs .* got shape \(2, 2\) with NaN or inf"):
        make(torch.tensor([[1.0, math.nan], [0.0, 1.0]]))


def test_features_without_variance_are_refused():
    X = torch.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 5.0]]).double()
    with pytest.raises(ValueError, match="scale_inputs needs features that vary, got 1 constant"):
        scale_inputs(X)
    with pytest.raises(
        ValueError, match="whiten_inputs needs an invertible covariance, got 3 examples"
    ):
        whiten_inputs(X)
    with pytest.raises(ValueError, match="an invertible covariance, got 2 examples of 2"):
        whiten_inputs(X[:2] + torch.eye(2).double())


@pytest.mark.parametrize(
    ("factor", "radius"),
    [(0, 1), (-1, 1), (math.inf, 1), (2, 0), (2, math.nan), (2, math.inf)],
)
def test_impossible_warps_are_refused(factor, radius):
    with pytest.raises(ValueError, match="warp_inputs needs a finite factor > 0 and radius > 0"):
        warp_inputs(torch.zeros(2), factor, radius=radius)
