"""Density and trace of a spectrum that is never written down, and Gauss–Newton products.

Oracles: the eigenvalues and the trace of the dense Hessian; the Jacobian formed in full by
`torch.autograd.functional.jacobian`, which shares no code with the kept graphs.
"""

import pytest
import torch

from helpers import (
    cross_entropy,
    dense_hessian,
    flatten,
    gauss_newton_operator,
    hvp,
    init_net,
    relu_net,
    spectral_density,
    squared_error,
    trace_plus,
    unflatten,
)
from helpers.measures._spectrum import Density


def small(widths=(6, 8, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    params = init_net(list(widths), bias=True, generator=generator)
    X = torch.randn(50, widths[0], generator=generator, dtype=torch.float64)
    return cross_entropy(relu_net, X, torch.arange(50) % widths[-1]), params


def test_moments_of_the_density_are_those_of_the_spectrum():
    loss, params = small()
    values = torch.linalg.eigvalsh(dense_hessian(loss, params))
    density = spectral_density(loss, params, steps=40, samples=60)
    assert float(density.shares.sum()) == pytest.approx(1)
    for power in (1, 2):
        moment = float((density.shares * density.nodes**power).sum())
        assert moment == pytest.approx(float((values**power).mean()), rel=0.1)
    assert float(density.nodes[-1]) == pytest.approx(float(values[-1]), rel=1e-8)


def test_the_smoothed_density_has_area_one_and_the_right_share_above():
    loss, params = small()
    values = torch.linalg.eigvalsh(dense_hessian(loss, params))
    density = spectral_density(loss, params, steps=40, samples=40)
    grid = torch.linspace(-3, float(values[-1]) + 3, 4001, dtype=torch.float64)
    assert float(torch.trapezoid(density.at(grid, 0.1), grid)) == pytest.approx(1, abs=1e-6)
    truth = float((values > 0.05).double().mean())
    assert density.share_above(0.05) == pytest.approx(truth, abs=0.05)


def test_a_density_in_as_many_steps_as_parameters_stops_where_it_closes():
    loss, params = small((2, 2, 2))
    density = spectral_density(loss, params, steps=500, samples=3)
    assert density.products <= 3 * len(flatten(params))


def test_the_trace_lies_within_its_standard_error():
    loss, params = small()
    truth = float(dense_hessian(loss, params).trace())
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        estimate = trace_plus(loss, params, products=45, generator=generator)
        assert abs(estimate.value - truth) < 5 * estimate.standard_error + 1e-9
        assert estimate.standard_error < 0.2 * truth


def bowl(curvatures):
    """A loss whose Hessian is diagonal, with these entries; its minimum."""
    d = torch.as_tensor(curvatures, dtype=torch.float64)
    return lambda p: (d * p["x"] ** 2).sum() / 2, {"x": torch.zeros_like(d)}


def test_three_products_for_each_direction_that_bends_are_enough_for_the_trace():
    loss, params = bowl([5.0, 2.0, 1.0] + 20 * [0.0])
    assert trace_plus(loss, params, products=9).value == pytest.approx(8, rel=1e-12)
    assert abs(trace_plus(loss, params, products=8).value - 8) > 1e-3
    rounded = trace_plus(*bowl([5.0, 2.0]), products=6)
    assert (rounded.value, rounded.standard_error) == (pytest.approx(7), pytest.approx(0, abs=1e-9))


def test_the_standard_error_of_a_trace_is_the_spread_of_many():
    loss, params = bowl(torch.linspace(0, 1, 30) ** 2)
    estimates = [
        trace_plus(loss, params, products=12, generator=torch.Generator().manual_seed(seed))
        for seed in range(80)
    ]
    # a diagonal H gives a sign vector its trace exactly: what is left spreads by Q's part alone
    spread = torch.tensor([estimate.value for estimate in estimates]).std()
    said = torch.tensor([estimate.standard_error**2 for estimate in estimates]).mean().sqrt()
    assert float(said / spread) == pytest.approx(1, abs=0.25)


def test_one_step_from_one_vector_is_a_rayleigh_quotient():
    """On a diagonal H every sign vector has the mean of the spectrum."""
    density = spectral_density(*bowl([1.0, 2.0, 6.0]), steps=1, samples=1)
    assert (density.nodes.tolist(), density.shares.tolist()) == ([pytest.approx(3)], [1])
    assert density.products == 1


def test_sixty_steps_from_each_of_four_vectors_unless_told_otherwise():
    assert spectral_density(*bowl(torch.linspace(0, 1, 300))).products == 240


def test_a_share_above_leaves_out_what_lies_on_the_threshold():
    nodes, shares = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.5, 0.3, 0.2])
    assert Density(nodes, shares, 3).share_above(1.0) == pytest.approx(0.2)


def test_the_dice_are_those_that_are_handed_in():
    loss, params = bowl(torch.linspace(0, 1, 30))
    turned = lambda p: loss({"x": p["x"] - p["x"].mean()})  # noqa: E731
    for ask in (
        lambda dice: spectral_density(turned, params, steps=3, generator=dice).nodes.tolist(),
        lambda dice: trace_plus(turned, params, products=6, generator=dice).value,
    ):
        first, again, other = (ask(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert first == again != other
        assert ask(None) == ask(torch.Generator().manual_seed(0))


def jacobian(loss, params):
    theta = flatten(params)
    J = torch.autograd.functional.jacobian(
        lambda flat: loss.f(unflatten(flat, params), loss.X), theta
    )
    return J.reshape(-1, len(theta))


def test_gauss_newton_products_are_those_of_the_dense_matrix():
    loss, params = small()
    J, out = jacobian(loss, params), 4
    p = torch.softmax(loss.f(params, loss.X), 1)
    C = torch.block_diag(*(torch.diag(q) - torch.outer(q, q) for q in p)) / len(p)
    v = torch.randn(J.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert C.shape == (50 * out, 50 * out)
    assert torch.allclose(gauss_newton_operator(loss, params)(v), J.T @ (C @ (J @ v)), rtol=1e-10)


def test_at_an_exact_fit_the_hessian_is_the_gauss_newton_matrix_and_elsewhere_it_is_not():
    _, params = small()
    X = torch.randn(30, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    v = torch.ones_like(flatten(params))
    fitted = squared_error(relu_net, X, relu_net(params, X))
    assert torch.allclose(gauss_newton_operator(fitted, params)(v), hvp(fitted, params, v))
    missed = squared_error(relu_net, X, relu_net(params, X) + 1)
    assert not torch.allclose(
        gauss_newton_operator(missed, params)(v), hvp(missed, params, v), rtol=1e-2
    )


def test_bad_input_is_one_sentence():
    loss, params = small()
    with pytest.raises(ValueError, match="spectral_density needs steps >= 1"):
        spectral_density(loss, params, steps=0)
    with pytest.raises(ValueError, match="and samples >= 1, got 60 and 0"):
        spectral_density(loss, params, samples=0)
    with pytest.raises(ValueError, match="trace_plus needs products >= 6"):
        trace_plus(loss, params, products=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rank", [1, 4])
def test_the_nodes_stay_inside_the_spectrum_when_there_is_little_of_it(rank, dtype):
    generator = torch.Generator().manual_seed(rank)
    params = init_net([30, 12, 1], bias=True, generator=generator, dtype=dtype)
    X = torch.randn(rank, 30, generator=generator, dtype=dtype)
    loss = squared_error(relu_net, X, relu_net(params, X))
    values = torch.linalg.eigvalsh(dense_hessian(loss, params).double())
    slack = 1e-5 * float(values[-1])
    density = spectral_density(loss, params, steps=50)
    assert density.nodes.dtype == density.shares.dtype == dtype
    assert float(density.nodes.min()) > float(values[0]) - slack
    assert float(density.nodes.max()) < float(values[-1]) + slack
    assert float(density.shares.sum()) == pytest.approx(1, abs=1e-5)


def test_a_density_is_high_at_its_nodes_and_nowhere_else():
    """Two Gaussians of width 1/2, a quarter at 1 and three quarters at 3, written down."""
    density = Density(torch.tensor([1.0, 3.0]), torch.tensor([0.25, 0.75]), 0)
    high = torch.tensor([0.25, 0.75]) / (0.5 * (2 * torch.pi) ** 0.5)
    far = torch.exp(torch.tensor(-8.0))
    seen = density.at(torch.tensor([1.0, 3.0, -1.0, -3.0]), 0.5)
    assert torch.allclose(seen[:2], high + far * high.flip(0), rtol=1e-5)
    assert seen[2:].max() < 1e-3
