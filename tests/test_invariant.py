"""Measures that a rescaling does not change: how much of the symmetry each of them survives.

Oracle: each measure's formula written out from the dense Hessian or the outputs, at points that
were really rescaled; twins show the scaling under which each one does change.
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
    eps_sharpness,
    fisher_rao_norm,
    flatten,
    gradient,
    keskar_sharpness,
    lanczos,
    path_norm,
    perturb,
    rangamani_sharpness,
    relative_flatness,
    scale_units,
    scaled_spectral_norm,
    weight_names,
)

ALIVE = dict(depth=(1, 2), where="off", bias=False)


def unit_scaled(case, data):
    h = case.widths[1]
    c = torch.tensor(data.draw(st.lists(log_uniform(0.05, 20), min_size=h, max_size=h))).double()
    return scale_units(case.params, c)


def has_curvature(case):
    return float(dense_hessian(case.loss, case.params).abs().max()) > 1e-3


def relative(one, two):
    return abs(one - two) / abs(two)


def uneven(case):
    """One factor a hidden unit, spread over four powers of ten."""
    return scale_units(case.params, torch.logspace(-2, 2, case.widths[1], dtype=torch.float64))


def norms(params):
    """Each weight's place holds its layer's norm, (n,)."""
    return torch.cat([b.norm().expand(b.numel()) for b in params.values()])


def scaled_top(case, params, s):
    """The largest |eigenvalue| of diag(s) H diag(s), from the dense Hessian at `params`."""
    H = s[:, None] * dense_hessian(case.loss, params) * s
    return float(torch.linalg.eigvalsh((H + H.T) / 2).abs().max())


@law(30)
@given(case=cases(**ALIVE))
def test_each_is_what_the_dense_hessian_says(case):
    H = dense_hessian(case.loss, case.params)
    if not has_curvature(case):
        return
    theta = flatten(case.params)
    for measure, s in (
        (adaptive_sharpness, theta.abs()),
        (rangamani_sharpness, norms(case.params)),
    ):
        truth = scaled_top(case, case.params, s)
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
    """The formulas to 1e-11, and each helper at the twin to its own precision."""
    if not has_curvature(case):
        return
    layers, units = alpha_scale(case.params, alpha), unit_scaled(case, data)
    rangamani = scaled_top(case, case.params, norms(case.params))
    assert relative(scaled_top(case, layers, norms(layers)), rangamani) <= 1e-11
    assert relative(rangamani_sharpness(case.loss, layers), rangamani) < 1e-5
    adaptive = scaled_top(case, case.params, flatten(case.params).abs())
    kappa = relative_flatness(case.loss, case.params)
    size = fisher_rao_norm(case.f, case.params, case.X)
    paths = path_norm(case.params)
    for twin in (layers, units):
        if adaptive > 1e-6:
            assert relative(scaled_top(case, twin, flatten(twin).abs()), adaptive) <= 1e-11
            assert relative(adaptive_sharpness(case.loss, twin), adaptive) < 1e-5
        if abs(kappa) > 1e-3:
            assert relative(relative_flatness(case.loss, twin), kappa) <= 1e-11
        assert abs(fisher_rao_norm(case.f, twin, case.X) - size) <= 1e-12 * (size or 1.0)
        assert path_norm(twin) == pytest.approx(paths, rel=1e-12)


def test_twin_one_factor_a_unit_changes_those_that_look_at_whole_layers():
    case = build([4, 5, 1], 0, n=40)
    ratio = rangamani_sharpness(case.loss, uneven(case)) / rangamani_sharpness(
        case.loss, case.params
    )
    assert ratio >= 100
    second = relative_flatness(case.loss, case.params, "theta2")
    together = relative_flatness(case.loss, alpha_scale(case.params, 7.0), "theta2")
    assert relative(together, second) <= 1e-11
    assert relative_flatness(case.loss, uneven(case), "theta2") / second >= 100


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


@law(40)
@given(case=cases(depth=(1, 3), bias=False))
def test_the_fisher_rao_norm_is_a_function_of_the_outputs(case):
    K = len(case.params)
    f = case.f(case.params, case.X)
    closed = K**2 * float(f.square().sum(1).mean())
    found = fisher_rao_norm(case.f, case.params, case.X)
    assert abs(found - closed) / (closed or 1.0) <= 1e-12


@law(40)
@given(case=cases(**ALIVE), rho=log_uniform(1e-3, 1), a=log_uniform(0.1, 10))
def test_the_adaptive_step_has_length_rho_goes_uphill_and_moves_along(case, rho, a):
    """e = ρ T² g / ‖T g‖ with T = |θ|, and at a twin it reaches a twin: the same loss."""
    g, theta = gradient(case.loss, case.params), flatten(case.params)
    T = theta.abs()
    if not float((T * g).norm()) > 1e-3 or float(T.min()) < 1e-6:
        return
    e = rho * T**2 * g / (T * g).norm()
    stepped = adaptive_step(case.loss, case.params, rho)
    assert off(flatten(stepped), theta + e) < 1e-14
    assert relative(float((e / T).norm()), rho) <= 1e-12
    assert relative(float(g @ e), rho * float((T * g).norm())) <= 1e-12
    there = adaptive_step(case.loss, alpha_scale(case.params, a), rho)
    assert relative(float(case.loss(there)), float(case.loss(stepped))) <= 1e-11


def test_eta_is_added_to_the_unit_of_each_weight():
    case = build([3, 4, 1], 0, where="off")
    g, theta = gradient(case.loss, case.params), flatten(case.params)
    T = theta.abs() + 0.3
    stepped = adaptive_step(case.loss, case.params, 0.2, eta=0.3)
    assert off(flatten(stepped), theta + 0.2 * T**2 * g / (T * g).norm()) < 1e-14


def test_twin_with_eta_and_without_adaptation_the_step_does_not_move_along():
    case = build([4, 3, 1], 0, n=40, where="off")
    twin, rho = alpha_scale(case.params, 0.05), 0.5
    one, two = (
        float(case.loss(adaptive_step(case.loss, p, rho, eta=0.01))) for p in (case.params, twin)
    )
    assert abs(two / one - 1) >= 1e-4
    sam = []
    for params in (case.params, twin):
        g = gradient(case.loss, params)
        sam.append(float(case.loss(perturb(params, 0.05 * g / g.norm()))))
    assert abs(sam[1] / sam[0] - 1) >= 1e-4


@law(40)
@given(n=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_eigenvalues_against_a_metric_that_moves_along_stay(n, seed):
    generator = torch.Generator().manual_seed(seed)
    random = lambda: torch.randn(n, n, generator=generator).double()  # noqa: E731
    H, G = random(), random()
    H, G = H + H.T, G @ G.T + torch.eye(n).double()
    Q = 2 * torch.eye(n).double() + 0.5 * random() / n
    one = torch.linalg.eigvals(torch.linalg.solve(G, H)).real.sort().values
    two = torch.linalg.eigvals(torch.linalg.solve(Q.T @ G @ Q, Q.T @ H @ Q)).real.sort().values
    assert off(two, one) <= 1e-9


def gain(beta, target, b):
    """L(β e^{2b}) − L(β) for L = ‖β − target‖² (XᵀX = I)."""
    return float((beta * (2 * b).exp() - target).square().sum() - (beta - target).square().sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_geodesic_sharpness_of_a_diagonal_net_in_closed_form(seed):
    """u ⊙ v = β moves along its geodesic to β e^{2b}; the highest gain over ‖b‖ <= ρ."""
    generator = torch.Generator().manual_seed(seed)
    beta, target = (torch.randn(5, generator=generator).double() for _ in range(2))
    rho = 1e-4
    for goal, closed in (
        (target, 4 * rho * float((beta * (beta - target)).norm())),
        (beta, 4 * rho**2 * float(beta.square().max())),
    ):
        b = torch.randn(5, generator=generator).double()
        for _ in range(500):  # ascent on the sphere of radius ρ
            slope = 4 * beta * (2 * b).exp() * (beta * (2 * b).exp() - goal)
            b = b * rho / b.norm() + 10 * rho * slope / slope.norm()
            b = b * rho / b.norm()
        assert abs(gain(beta, goal, b) / closed - 1) <= 1e-3


def test_the_geodesic_is_what_rescaled_factors_multiply_to():
    generator = torch.Generator().manual_seed(0)
    u, v, b = (torch.randn(5, generator=generator).double() for _ in range(3))
    assert off((u * b.exp()) * (v * b.exp()), u * v * (2 * b).exp()) < 1e-14
    assert math.isclose(float((u * b.exp()) @ (v / b.exp())), float(u @ v))  # and this is symmetry


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
    with pytest.raises(ValueError, match="scaled_spectral_norm needs a non-zero S, got 0"):
        adaptive_sharpness(case.loss, zero)
    with pytest.raises(
        ValueError, match=r"needs a number for each entry of theta2 .2, 1., got none:"
    ):
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
    filters = {"0.weight": torch.ones(2, 1, 3, 3), "1.weight": torch.ones(2, 2)}
    with pytest.raises(ValueError, match="relative_flatness needs a weight matrix among 0.weight,"):
        relative_flatness(case.loss, filters, "0.weight")
    for rho, eta in ((0, 0), (-1, 0), (1, -1), (math.inf, 0), (1, math.inf)):
        with pytest.raises(ValueError, match="adaptive_step needs rho > 0 and eta >= 0, got"):
            adaptive_step(case.loss, case.params, rho, eta=eta)
    minimum = build([2, 2, 1], 0)
    with pytest.raises(ValueError, match="adaptive_step needs a slope, got ‖T∇L‖ = 0"):
        adaptive_step(minimum.loss, minimum.params, 0.1)


def test_its_own_dice_are_thrown_and_nobody_elses():
    case = build([4, 3, 2], 0)
    ones = {name: torch.ones_like(block) for name, block in case.params.items()}
    found = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.add(scaled_spectral_norm(case.loss, case.params, ones, tol=0.5))
    assert len(found) == 1


def test_no_convergence_is_said(monkeypatch):
    case = build([9, 9, 2], 0, where="off")
    short = lambda *args, **knobs: lanczos(*args, **knobs, max_products=2)  # noqa: E731
    monkeypatch.setattr("helpers.measures._invariant.lanczos", short)
    with pytest.raises(ValueError, match="scaled_spectral_norm needs a residual below 1e-06 of"):
        adaptive_sharpness(case.loss, case.params)


def test_off_is_relative():
    assert off(torch.tensor([1.0, 2.2]), torch.tensor([1.0, 2.0])) == pytest.approx(0.1)


def test_the_path_norm_of_a_module_is_the_sum_over_its_paths():
    """Every path by hand, from each input and each bias to the output."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(3, 4).double(), torch.nn.Linear(4, 4).double()]
    (W, b), (V, c) = ([p.detach() for p in layer.parameters()] for layer in layers)
    total = sum(
        float(V[out, j] ** 2) * (float(b[j] ** 2) + sum(float(W[j, i] ** 2) for i in range(3)))
        for out in range(4)
        for j in range(4)
    ) + float(c.square().sum())
    module = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    params = {name: p.detach() for name, p in module.named_parameters()}
    assert path_norm(params) == pytest.approx(total**0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2)), "biases, got 1.bias"),
        (torch.nn.Conv1d(2, 2, 1), "needs a weight with two axes, got weight of shape"),
        (torch.nn.LSTM(2, 2), "needs only weight matrices and their biases, got bias_hh_l0"),
        (
            torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(2, 1)),
            "path_norm needs 1.weight to take the 3 units of the layer before it, got one with 2",
        ),
    ],
)
def test_what_has_other_paths_has_no_path_norm(module, sentence):
    with pytest.raises(ValueError, match=sentence):
        path_norm({name: p.detach() for name, p in module.named_parameters()})


def test_where_the_loss_falls_faster_than_it_rises_the_size_is_returned():
    params = {"theta1": torch.ones(1, 2, dtype=torch.float64)}

    def saddle(p):
        a, b = p["theta1"].flatten()
        return (a * a - 3 * b * b) / 2

    assert adaptive_sharpness(saddle, params) == pytest.approx(3)
    ones = {"theta1": torch.ones(1, 2, dtype=torch.float64)}
    other = scaled_spectral_norm(saddle, params, ones, generator=torch.Generator().manual_seed(5))
    assert other == pytest.approx(3)


def test_parameters_that_require_gradients_give_steps_that_do_not():
    params = {"theta1": torch.tensor([[1.0, 2.0]], dtype=torch.float64, requires_grad=True)}

    def loss(p):
        return p["theta1"].square().sum()

    found = [
        adaptive_step(loss, params, 0.1),
        eps_sharpness(loss, params, 0.1).worst,
        keskar_sharpness(loss, params, 0.1).worst,
    ]
    assert not any(block.requires_grad for worst in found for block in worst.values())
