"""Measures that a rescaling does not change: how much of the symmetry each of them survives.

Oracle: the dense Hessian scaled by hand; twins show the scaling under which each one does change.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, log_uniform, off

from helpers import (
    adaptive_sharpness,
    adaptive_step,
    alpha_scale,
    dense_hessian,
    flatten,
    gradient,
    lanczos,
    rangamani_sharpness,
    scale_units,
    scaled_spectral_norm,
    weight_names,
)
from helpers.measures._invariant import fisher_rao_norm, path_norm, relative_flatness

ALIVE = dict(depth=(1, 2), where="off", bias=False)


def unit_scaled(case, data):
    h = case.widths[1]
    c = torch.tensor(data.draw(st.lists(log_uniform(0.05, 20), min_size=h, max_size=h))).double()
    return scale_units(case.params, c)


def has_curvature(case):
    return float(dense_hessian(case.loss, case.params).abs().max()) > 1e-3


def relative(one, two):
    return abs(one - two) / abs(two)


@law(30)
@given(case=cases(**ALIVE))
def test_each_is_what_the_dense_hessian_says(case):
    H = dense_hessian(case.loss, case.params)
    if not has_curvature(case):
        return
    theta = flatten(case.params)
    for measure, s in (
        (adaptive_sharpness, theta.abs()),
        (
            rangamani_sharpness,
            torch.cat([b.norm().expand(b.numel()) for b in case.params.values()]),
        ),
    ):
        truth = float(torch.linalg.eigvalsh(s[:, None] * H * s).abs().max())
        assert relative(measure(case.loss, case.params), truth) < 1e-5
    d, h = case.params["theta1"].shape
    H = H[: d * h, : d * h].reshape(d, h, d, h)
    w = case.params["theta1"]
    kappa = sum(
        float(w[:, s] @ w[:, t]) * float(H[:, s, :, t].trace()) for s in range(h) for t in range(h)
    )
    assert relative_flatness(case.loss, case.params) == pytest.approx(kappa, rel=1e-9, abs=1e-9)


@law(30)
@given(case=cases(**ALIVE), data=st.data(), alpha=log_uniform(0.01, 100))
def test_which_rescaling_each_one_survives(case, data, alpha):
    if not has_curvature(case):
        return
    layers, units = alpha_scale(case.params, alpha), unit_scaled(case, data)
    rangamani = rangamani_sharpness(case.loss, case.params)
    assert relative(rangamani_sharpness(case.loss, layers), rangamani) < 1e-5
    adaptive = adaptive_sharpness(case.loss, case.params)
    kappa = relative_flatness(case.loss, case.params)
    size = fisher_rao_norm(case.f, case.params, case.X)
    paths = path_norm(case.params)
    for twin in (layers, units):
        assert relative(adaptive_sharpness(case.loss, twin), adaptive) < 1e-5
        assert relative_flatness(case.loss, twin) == pytest.approx(kappa, rel=1e-9, abs=1e-9)
        assert fisher_rao_norm(case.f, twin, case.X) == pytest.approx(size, rel=1e-9)
        assert path_norm(twin) == pytest.approx(paths, rel=1e-12)


@law(30)
@given(case=cases(depth=(1, 3), bias=True))
def test_path_norm_is_a_sum_over_paths(case):
    names = weight_names(case.params)
    total = 0.0
    for k in range(-1, len(names)):  # paths that start at an input, or at bias k
        first = f"b{k + 1}"
        a = torch.ones(case.widths[0]).double() if k < 0 else case.params[first] ** 2
        for name in names[k + 1 :]:
            a = (a[:, None] * case.params[name] ** 2).sum(0)
        total += float(a.sum())
    assert path_norm(case.params) == pytest.approx(total**0.5, rel=1e-12)


@law(30)
@given(case=cases(**ALIVE), rho=log_uniform(1e-3, 1))
def test_the_adaptive_step_has_length_rho_and_goes_uphill(case, rho):
    g, theta = gradient(case.loss, case.params), flatten(case.params)
    if not float((theta * g).norm()) > 1e-6:
        return
    e = flatten(adaptive_step(case.loss, case.params, rho)) - theta
    moved = theta.abs() > 1e-9
    assert float((e / theta)[moved].norm()) == pytest.approx(rho, rel=1e-6)
    assert float(g @ e) == pytest.approx(rho * float((theta * g).norm()), rel=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_on_every_device(dtype, device):
    case = build([4, 5, 2], 0)
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    X = case.X.to(device, dtype)
    assert relative(path_norm(params), path_norm(case.params)) < 1e-5
    assert (
        relative(fisher_rao_norm(case.f, params, X), fisher_rao_norm(case.f, case.params, case.X))
        < 1e-5
    )


def test_bad_input_is_a_sentence():
    case = build([2, 2, 1], 0, where="off")
    zero = {name: 0 * block for name, block in case.params.items()}
    with pytest.raises(ValueError, match="needs a non-zero S of 6 entries, got 0 non-zero ones"):
        adaptive_sharpness(case.loss, zero)
    with pytest.raises(ValueError, match="needs a non-zero S of 6 entries, got 4 .* of 4"):
        scaled_spectral_norm(case.loss, case.params, {"theta1": torch.ones(2, 2)})
    with pytest.raises(ValueError, match="scaled_spectral_norm needs finite parameters, got 4"):
        adaptive_sharpness(case.loss, {**case.params, "theta1": case.params["theta1"] * math.nan})
    with pytest.raises(ValueError, match="needs a weight matrix among theta1, theta2, got 'b1'"):
        relative_flatness(case.loss, case.params, "b1")
    broken = {**case.params, "theta2": case.params["theta2"] * math.inf}
    with pytest.raises(ValueError, match="path_norm needs finite parameters, got 2"):
        path_norm(broken)
    with pytest.raises(ValueError, match="fisher_rao_norm needs finite parameters, got 2"):
        fisher_rao_norm(case.f, broken, case.X)
    for rho, eta in ((0, 0), (-1, 0), (1, -1), (math.inf, 0)):
        with pytest.raises(ValueError, match="adaptive_step needs rho > 0 and eta >= 0, got"):
            adaptive_step(case.loss, case.params, rho, eta=eta)
    minimum = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="adaptive_step needs a slope, got ‖T∇L‖ = 0"):
        adaptive_step(minimum.loss, minimum.params, 0.1)


def test_no_convergence_is_said(monkeypatch):
    case = build([9, 9, 2], 0, where="off")
    short = lambda *args, **knobs: lanczos(*args, **knobs, max_products=2)  # noqa: E731
    monkeypatch.setattr("helpers.measures._invariant.lanczos", short)
    with pytest.raises(ValueError, match="scaled_spectral_norm needs a residual below 1e-06 of"):
        adaptive_sharpness(case.loss, case.params)


def test_off_is_relative():
    assert off(torch.tensor([1.0, 2.2]), torch.tensor([1.0, 2.0])) == pytest.approx(0.1)
