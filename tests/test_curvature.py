"""Gradient, Hessian-vector products, eigenvalues and traces.

Oracles: central differences of L itself, `torch.func.hessian` (forward over reverse mode, where
the helpers go twice in reverse), scipy's `eigsh` over the same products, and the loss itself at
points moved along an eigenvector or at random.
"""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, margin, off
from scipy.sparse.linalg import LinearOperator, eigsh

from helpers import (
    cross_entropy,
    dense_hessian,
    flatten,
    gradient,
    hessian_operator,
    hvp,
    lanczos,
    perturb,
    spectral_norm,
    top_eigenvalues,
    trace,
    unflatten,
)
from helpers.measures import _graph
from helpers.measures import _products as products
from helpers.measures._curvature import diagonal, first_guess, group_forms


def forward_over_reverse(case):
    return torch.func.hessian(lambda theta: case.loss(unflatten(theta, case.params)))(
        flatten(case.params)
    )


def along(case, v, h):
    """Central differences of L on the line θ + t v: slope and curvature at t = 0."""
    low, mid, high = (float(case.loss(perturb(case.params, v, t))) for t in (-h, 0.0, h))
    return (high - low) / (2 * h), (high - 2 * mid + low) / h**2


def direction(case):
    v = torch.randn(len(flatten(case.params)), generator=case.generator, dtype=torch.float64)
    return v / v.norm()


@law(60)
@given(case=cases())
def test_gradient_and_hessian_are_central_differences(case):
    v, h = direction(case), 1e-4
    if margin(case) < 1e-1:  # no step may cross a kink
        h = margin(case) / 1e3
    slope, bend = along(case, v, h)
    scale = 1 + float(case.loss(case.params)) + float(flatten(case.params).abs().max()) ** 4
    assert float(gradient(case.loss, case.params) @ v) == pytest.approx(slope, abs=1e-5 * scale)
    if h == 1e-4:
        assert float(v @ hvp(case.loss, case.params, v)) == pytest.approx(bend, abs=1e-5 * scale)


@law(60)
@given(case=cases())
def test_products_are_those_of_the_matrix(case):
    H = forward_over_reverse(case)
    scale = float(H.abs().max()) or 1.0
    product = hessian_operator(case.loss, case.params)
    V = torch.randn(3, len(H), generator=case.generator, dtype=torch.float64)
    assert float((product(V) - V @ H).abs().max()) < 1e-12 * scale * len(H)
    assert float((product(V[0]) - H @ V[0]).abs().max()) < 1e-12 * scale * len(H)
    dense = dense_hessian(case.loss, case.params)
    assert torch.equal(dense, dense.T)
    assert float((dense - H).abs().max()) < 1e-12 * scale


@law(30)
@given(case=cases())
def test_a_block_in_which_a_vector_is_zero_may_stay_out(case):
    H = forward_over_reverse(case)
    product, scale = hessian_operator(case.loss, case.params), float(H.abs().max()) or 1.0
    lengths = [block.numel() for block in case.params.values()]
    one_block = torch.eye(len(lengths), dtype=H.dtype).repeat_interleave(torch.tensor(lengths), 1)
    V = one_block * direction(case)  # a row for each block, zero in all others
    assert float((product(V) - V @ H).abs().max()) < 1e-12 * scale * len(H)
    for v in V:
        assert float((product(v) - H @ v).abs().max()) < 1e-12 * scale * len(H)


def test_blocks_that_do_not_meet_leave_each_other_alone():
    params = {name: torch.ones(2, dtype=torch.float64) for name in ("p", "q", "r")}
    apart = lambda t: t["p"].pow(3).sum() + t["q"].pow(4).sum() + 5 * t["r"].sum()  # noqa: E731
    product, eye = hessian_operator(apart, params), torch.eye(6, dtype=torch.float64)
    assert torch.equal(product(eye).diag(), torch.tensor([6.0, 6, 12, 12, 0, 0]).double())
    assert torch.equal(product(eye), torch.stack([product(row) for row in eye]))
    assert product(eye[:2]).sum() == 12


@law(50)
@given(case=cases())
def test_the_two_hessian_measures_against_the_spectrum(case, ledger):
    values = torch.linalg.eigvalsh(forward_over_reverse(case))
    top = float(values.abs().max())
    if top == 0:
        return
    found = spectral_norm(case.loss, case.params, tol=1e-6)
    ledger("hessian-measures", error=abs(found - top) / top, tol=1e-6)
    exact = trace(case.loss, case.params)
    assert exact.standard_error == 0
    ledger("hessian-measures", error=abs(exact.value - float(values.sum())) / top, tol=1e-11)


@law(30)
@given(case=cases(where="minimum", depth=(1, 2)))
def test_at_a_minimum_no_eigenvalue_is_negative_and_the_norm_is_below_the_trace(case):
    values = torch.linalg.eigvalsh(dense_hessian(case.loss, case.params))
    assert float(values[0]) > -1e-12 * (1 + float(values[-1]))
    assert float(values[-1]) <= trace(case.loss, case.params).value * (1 + 1e-12) + 1e-15


@law(30)
@given(case=cases(where="off", depth=(1, 2)), data=st.data())
def test_top_eigenvalues_against_scipy(case, data):
    n = len(flatten(case.params))
    H = forward_over_reverse(case)
    truth = torch.linalg.eigvalsh(H).flip(0)
    k = data.draw(st.integers(1, min(3, n)))
    if float(truth.abs().max()) == 0 or (truth[:k].diff().abs() < 1e-6 * truth[0]).any():
        return
    eigen = top_eigenvalues(case.loss, case.params, k, tol=1e-9)
    assert eigen.converged
    assert off(eigen.values, truth[:k]) < 1e-6
    if n > k + 1:
        product = hessian_operator(case.loss, case.params)
        matvec = lambda v: product(torch.as_tensor(v.reshape(-1))).numpy()  # noqa: E731
        operator = LinearOperator((n, n), matvec=matvec, dtype=np.float64)
        v0 = np.ones(n) + 1e-2 * np.arange(n)
        theirs = eigsh(operator, k=k, which="LA", return_eigenvectors=False, v0=v0)
        assert off(eigen.values, np.sort(theirs)[::-1].copy()) < 1e-6


def test_a_warm_start_saves_products():
    case = build([20, 15, 3], 0, n=100, where="off")
    cold = top_eigenvalues(case.loss, case.params, tol=1e-6)
    warm = top_eigenvalues(case.loss, case.params, tol=1e-6, start=cold.vectors[:, 0])
    assert off(warm.values, cold.values) < 1e-6
    assert warm.products < cold.products


def test_the_spectral_norm_of_a_saddle_is_the_size_of_its_steepest_descent():
    saddle = lambda p: p["w"][0] ** 2 / 2 - 3 * p["w"][1] ** 2 / 2  # noqa: E731
    params = {"w": torch.zeros(2, dtype=torch.float64)}
    assert spectral_norm(saddle, params) == pytest.approx(3)
    assert float(top_eigenvalues(saddle, params).values[0]) == pytest.approx(1)


@pytest.mark.parametrize("rows", [1, 4, 64])
def test_blocks_fit_the_memory_limit_and_change_nothing(rows, monkeypatch):
    case = build([4, 5, 3], 2)
    H, n = forward_over_reverse(case), len(flatten(case.params))
    monkeypatch.setattr(products, "BLOCK", rows * n)
    product, seen = products.hessian_operator(case.loss, case.params), []

    def watched(V):
        seen.append(len(V))
        return product(V)

    monkeypatch.setattr(products, "hessian_operator", lambda *_: watched)
    dense = dense_hessian(case.loss, case.params)
    assert float((dense - H).abs().max()) < 1e-12 * float(H.abs().max())
    assert max(seen) == min(rows, n) and sum(seen) == n
    assert trace(case.loss, case.params).value == pytest.approx(float(H.trace()))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_loss_along_the_sharpest_direction_is_a_parabola(seed):
    case = build([4, 3, 1], seed, n=40)
    values, vectors = torch.linalg.eigh(dense_hessian(case.loss, case.params))
    errors = []
    for eps in (1e-3, 1e-4):
        rise = float(case.loss(perturb(case.params, vectors[:, -1], eps)))
        errors.append(abs(rise / (float(values[-1]) * eps**2 / 2) - 1))
    assert errors[0] <= 1e-2
    assert errors[1] < errors[0] / 5  # O(ε)


def test_the_trace_is_what_noise_feels():
    case, s = build([4, 3, 1], 0, n=40), 1e-3
    U = s * torch.randn(4000, 15, generator=case.generator).double()
    mean = torch.func.vmap(lambda u: case.loss(perturb(case.params, u)))(U).mean()
    predicted = s**2 / 2 * trace(case.loss, case.params).value
    assert abs(float(mean) / predicted - 1) <= 5e-2


def test_hutchinson_is_unbiased_within_its_own_error():
    case = build([6, 5, 2], 0, n=50, where="off")
    exact = trace(case.loss, case.params).value
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        guess = trace(case.loss, case.params, samples=200, generator=generator)
        assert abs(guess.value - exact) < 4 * guess.standard_error
        assert 0 < guess.standard_error < 0.2 * exact


def test_a_loss_linear_in_theta_has_no_curvature():
    params = {"theta1": torch.ones(3, dtype=torch.float64)}
    linear = lambda p: 2 * p["theta1"].sum()  # noqa: E731
    assert hvp(linear, params, torch.ones(3, dtype=torch.float64)).tolist() == [0, 0, 0]
    assert gradient(linear, params).tolist() == [2, 2, 2]
    constant = lambda p: torch.ones(()).double()  # noqa: E731
    with pytest.raises(ValueError, match="needs a loss that can be differentiated"):
        gradient(constant, params)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_cross_entropy_in_both_precisions_on_every_device(dtype, tol, device):
    case = build([5, 6, 4], 3, bias=True)
    y = torch.randint(0, 4, (20,), generator=case.generator)
    truth = dense_hessian(cross_entropy(case.f, case.X, y), case.params)
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    loss = cross_entropy(case.f, case.X.to(device, dtype), y.to(device))
    assert off(dense_hessian(loss, params), truth) < tol
    eigen = top_eigenvalues(loss, params, 2, tol=tol)
    assert (eigen.values.dtype, eigen.values.device.type) == (dtype, device)
    assert off(eigen.values, torch.linalg.eigvalsh(truth).flip(0)[:2]) < tol
    assert trace(loss, params).value == pytest.approx(float(truth.trace()), rel=10 * tol)


# Bad input.


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 1, 6)])
def test_directions_of_the_wrong_shape_are_refused(shape):
    case = build([1, 3, 1], 0)
    with pytest.raises(ValueError, match=r"needs v of shape \(6,\) or \(m, 6\), got"):
        hvp(case.loss, case.params, torch.ones(shape).double())


@pytest.mark.parametrize("measure", [gradient, dense_hessian, spectral_norm, trace])
def test_nan_in_the_weights_or_the_gradient_is_refused(measure):
    case = build([2, 2, 1], 0)
    broken = {**case.params, "theta1": case.params["theta1"] * float("nan")}
    with pytest.raises(ValueError, match=r"curvature of L needs finite parameters.* in theta1"):
        measure(case.loss, broken)
    huge = {name: 1e200 * block for name, block in case.params.items()}
    with pytest.raises(ValueError, match="needs a finite gradient, got L = "):
        measure(case.loss, huge)


@pytest.mark.parametrize(("k", "tol"), [(0, 1e-3), (7, 1e-3), (1, 0)])
def test_impossible_requests_are_refused(k, tol):
    case = build([1, 3, 1], 0)
    with pytest.raises(ValueError, match=r"needs 1 <= k <= 6 and tol > 0, got k="):
        top_eigenvalues(case.loss, case.params, k, tol=tol)


def test_the_dice_are_those_that_are_handed_in():
    case = build([3, 4, 2], 0)
    asked = (
        lambda g: trace(case.loss, case.params, samples=3, generator=g).value,
        lambda g: float(top_eigenvalues(case.loss, case.params, tol=1, generator=g).values[0]),
        lambda g: spectral_norm(case.loss, case.params, tol=1, generator=g),
    )
    for ask in asked:
        first, again, other = (ask(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert first == again != other
        assert ask(None) == ask(torch.Generator().manual_seed(0))


def test_a_first_guess_has_a_tenth_of_noise_beside_its_direction():
    v, generator = torch.arange(1.0, 9.0).double(), torch.Generator().manual_seed(0)
    noise = first_guess(v, generator) - v / v.norm()
    assert float(noise.norm()) == pytest.approx(0.1, rel=1e-6)
    assert float(first_guess(0 * v, generator).norm()) == pytest.approx(0.1, rel=1e-6)


def test_one_eigenvalue_is_asked_for_with_three_hundred_products_at_most():
    scale = torch.linspace(1, 2, 400, dtype=torch.float64)
    bowl = lambda params: (scale * params["x"] ** 2).sum() / 2  # noqa: E731
    eigen = top_eigenvalues(bowl, {"x": torch.ones(400, dtype=torch.float64)}, tol=1e-300)
    assert (len(eigen.values), eigen.products, eigen.converged) == (1, 300, False)


def test_a_smaller_tolerance_is_met_and_costs_more_products():
    scale = torch.linspace(0, 1, 60, dtype=torch.float64)
    bowl = lambda params: (scale * params["x"] ** 2).sum() / 2  # noqa: E731
    params = {"x": torch.ones(60, dtype=torch.float64)}
    loose, usual, tight = (top_eigenvalues(bowl, params, tol=tol) for tol in (1e-1, 1e-4, 1e-9))
    assert loose.products < usual.products < tight.products
    assert float(tight.residuals[0]) <= 1e-9 * float(tight.values[0])


def test_the_diagonal_is_that_of_the_matrix_and_two_samples_are_enough_for_a_trace():
    case = build([3, 4, 2], 0)
    H = dense_hessian(case.loss, case.params)
    found = diagonal(case.loss, case.params)
    assert float((found - H.diagonal()).abs().max()) < 1e-12 * float(H.abs().max())
    assert float(found.sum()) == trace(case.loss, case.params).value
    guess = diagonal(case.loss, case.params, 2, torch.Generator().manual_seed(0))
    total = trace(case.loss, case.params, samples=2)
    assert float(guess.sum()) == pytest.approx(total.value, rel=1e-12)
    assert total.standard_error > 0


def test_a_form_for_each_group_has_the_mean_of_its_share_of_the_diagonal():
    case = build([3, 4, 2], 0)
    H = dense_hessian(case.loss, case.params)
    of = (torch.arange(len(H)) >= len(H) // 2).long()
    dice = torch.Generator().manual_seed(0)
    forms = group_forms(case.loss, case.params, of, 400, dice)
    for group in (0, 1):
        block = H[of == group][:, of == group]
        spread = float((2 * (block - block.diag().diag()).square().sum()).sqrt())  # Hutchinson's
        assert float(forms[:, group].std()) == pytest.approx(spread, rel=0.2)
        off = float(forms[:, group].mean() - block.trace())
        assert abs(off) < 4 * spread / 20
    one = group_forms(case.loss, case.params, torch.arange(len(H)), 2, dice)
    assert torch.allclose(one, H.diagonal().expand_as(one))  # a group of one entry has no noise


def test_one_sample_is_refused():
    case = build([1, 3, 1], 0)
    with pytest.raises(
        ValueError, match="trace needs a number of samples >= 2, got 1: one has no spread"
    ):
        trace(case.loss, case.params, samples=1)


def test_no_convergence_is_said(monkeypatch):
    case = build([20, 30, 10, 3], 0, n=20, where="off")
    eigen = top_eigenvalues(case.loss, case.params, 5, tol=1e-13, max_products=8)
    assert not eigen.converged
    assert float(eigen.residuals.max()) > 1e-13 * float(eigen.values[0])
    short = lambda *args, **knobs: lanczos(*args, **{**knobs, "max_products": 2})  # noqa: E731
    monkeypatch.setattr("helpers.measures._curvature.lanczos", short)
    with pytest.raises(ValueError, match=r"spectral_norm needs a residual below 0\.0001 of"):
        spectral_norm(case.loss, case.params)


def test_a_block_is_its_vectors_one_by_one_in_a_larger_net(monkeypatch):
    case = build([4, 5, 3], 2)
    V = torch.randn(3, len(flatten(case.params)), generator=case.generator, dtype=torch.float64)
    at_once = hessian_operator(case.loss, case.params)(V)
    monkeypatch.setattr(_graph, "SMALL", 1)
    one_by_one = hessian_operator(case.loss, case.params)(V)
    assert torch.allclose(at_once, one_by_one, rtol=1e-12)
    alone = hessian_operator(case.loss, case.params)(V[0])
    assert torch.allclose(alone, at_once[0], rtol=1e-12)
    with pytest.raises(ValueError, match="needs v of shape"):
        hessian_operator(case.loss, case.params)(V[:, :-1])


def test_a_graph_that_nobody_asks_any_more_is_gone_at_once():
    """Not only when the garbage collector comes by: a loader makes one graph for each batch."""
    case = build([4, 5, 3], 2)
    gc.disable()
    try:
        H = hessian_operator(case.loss, case.params)
        H(torch.ones(len(flatten(case.params)), dtype=torch.float64))
        product = weakref.ref(H.product)
        del H
        assert product() is None
    finally:
        gc.enable()
