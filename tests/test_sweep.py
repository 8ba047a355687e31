"""Sweeps: one reduced basis against the honest way, which rescales and starts again at each α.

Oracles: the dense Hessian of the really rescaled net (independent of D and of the basis), Lanczos
at the rescaled weights, and a product there that recomputes each residual.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, law

from helpers import (
    alpha_scale,
    cross_entropy,
    curvature_sweep,
    dense_hessian,
    digits,
    flatten,
    hvp,
    init_net,
    layer_traces,
    net,
    relu_net,
    spectrum_sweep,
    squared_error,
    top_eigenvalues,
    trace,
)
from helpers.maps._symmetry import apply_scaling, layer_scaling, unit_scaling
from helpers.sweep._orbit import inverse_scaling
from helpers.sweep._reduced_basis import (
    compress,
    empty_basis,
    extend,
    extend_along,
    longest_parts,
    ritz_sweep,
)


def small_net(widths=(5, 6, 4, 3), *, seed=0, bias=True, dtype=torch.float64, f=relu_net):
    generator = torch.Generator().manual_seed(seed)
    params = init_net(list(widths), bias=bias, generator=generator, dtype=dtype)
    X = torch.randn(40, widths[0], generator=generator, dtype=dtype)
    y = torch.randint(0, widths[-1], (40,), generator=generator)
    return cross_entropy(f, X, y), params


def dense_values(loss, params, by=lambda values: values):
    values = torch.linalg.eigvalsh(dense_hessian(loss, params))
    return values[by(values).argsort(descending=True)]


AMOUNTS = torch.logspace(-3, 3, 25, dtype=torch.float64)
EXPONENTS = {"theta1": 1, "theta3": -1}


@given(seed=st.integers(0, 2**16), bias=st.booleans(), k=st.integers(1, 4))
@law(15)
def test_values_are_those_of_the_really_rescaled_net(seed, bias, k, ledger):
    loss, params = small_net(seed=seed, bias=bias)
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, k=k, tol=1e-7)
    assert sweep.converged
    for i in range(0, 25, 6):
        twin = alpha_scale(params, float(AMOUNTS[i]), up="theta1", down="theta3")
        truth = dense_values(loss, twin)[:k]
        error = (sweep.values[i] - truth).abs() / truth.abs().maximum(1e-3 * truth[0].abs())
        ledger("one-basis", error=float(error.max()), tol=1e-6)


def test_each_residual_is_what_a_product_at_the_rescaled_net_gives(ledger):
    loss, params = small_net()
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, k=2, tol=1e-2)
    for i in (0, 7, 12, 24):
        twin = alpha_scale(params, float(AMOUNTS[i]), up="theta1", down="theta3")
        for j, v in enumerate(sweep.vectors(i).T):
            residual = (hvp(loss, twin, v) - sweep.values[i, j] * v).norm()
            error = float((residual / sweep.residuals[i, j] - 1).abs())
            ledger("one-basis", error=error, tol=1e-5)
            assert torch.isclose(v.norm(), torch.tensor(1.0, dtype=v.dtype))


def test_exponents_and_a_map_give_the_same_sweep():
    loss, params = small_net()
    other = curvature_sweep(
        loss, params, lambda a: layer_scaling(params, {"theta1": a, "theta3": 1 / a}), AMOUNTS
    )
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS)
    assert sweep.products == other.products
    assert torch.allclose(sweep.values, other.values, rtol=1e-9)


def test_two_knobs():
    loss, params = small_net()
    knobs = {"theta1": (1, 0), "theta2": (-1, 1), "theta3": (0, -1)}
    pairs = torch.cartesian_prod(AMOUNTS[4:-4:4], AMOUNTS[4:-4:4])
    sweep = curvature_sweep(loss, params, knobs, pairs, tol=1e-6)
    assert sweep.converged
    for i in (0, 3, len(pairs) - 1):
        a, b = pairs[i].tolist()
        alphas = {"theta1": a, "theta2": b / a, "theta3": 1 / b}
        twin = apply_scaling(params, layer_scaling(params, alphas))
        assert torch.allclose(sweep.values[i, 0], dense_values(loss, twin)[0], rtol=1e-6)


def test_two_knobs_by_a_map_are_two_knobs_by_their_exponents():
    loss, params = small_net()
    pairs = torch.tensor([[0.5, 2.0], [3.0, 0.1]], dtype=torch.float64)
    knobs = {"theta1": (1, 0), "theta2": (-1, 1), "theta3": (0, -1)}

    def scaling(pair):
        a, b = pair.tolist()
        return layer_scaling(params, {"theta1": a, "theta2": b / a, "theta3": 1 / b})

    by_map, by_exponents = (curvature_sweep(loss, params, s, pairs) for s in (scaling, knobs))
    assert torch.allclose(by_map.values, by_exponents.values, rtol=1e-9)


def test_one_factor_for_each_unit():
    loss, params = small_net()
    powers = torch.linspace(-1, 1, 6, dtype=torch.float64)

    def scaling(amount):
        assert type(amount) is float  # one knob is a plain number
        return unit_scaling(params, amount**powers, up="theta1", down="theta2")

    sweep = curvature_sweep(loss, params, scaling, AMOUNTS, tol=1e-6)
    assert sweep.converged
    for i in (0, 12, 24):
        twin = apply_scaling(params, scaling(float(AMOUNTS[i])))
        assert torch.allclose(sweep.values[i, 0], dense_values(loss, twin)[0], rtol=1e-6)


def test_traces_come_for_every_amount_from_one_set_of_block_traces():
    loss, params = small_net()
    sweep = curvature_sweep(
        loss, params, EXPONENTS, AMOUNTS, block_traces=layer_traces(loss, params)
    )
    for i in (0, 5, 24):
        twin = alpha_scale(params, float(AMOUNTS[i]), up="theta1", down="theta3")
        assert float(sweep.traces[i]) == pytest.approx(trace(loss, twin).value, rel=1e-9)


def test_both_ends_of_an_indefinite_hessian():
    loss, params = small_net(seed=3)
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, k=4, tol=1e-7, by=torch.abs)
    truth = dense_values(loss, params, torch.abs)[:4]
    assert float(truth[3]) < 0  # one of the four largest sizes belongs to a negative eigenvalue
    assert torch.allclose(sweep.values[12], truth, rtol=1e-6)


def test_all_eigenvalues_of_a_small_net():
    loss, params = small_net((3, 4, 2))
    exponents = {"theta1": 1, "theta2": -1}
    spectra = spectrum_sweep(loss, params, exponents, AMOUNTS)
    twin = alpha_scale(params, float(AMOUNTS[3]))
    truth = dense_values(loss, twin)
    assert spectra.shape == (25, len(flatten(params)))
    assert torch.allclose(spectra[3], truth, atol=1e-11 * float(truth[0]))


def test_every_eigenvalue_of_a_small_net_through_the_basis():
    loss, params = small_net((2, 2, 2), bias=False)
    sweep = curvature_sweep(loss, params, {"theta1": 1, "theta2": -1}, [0.5, 2.0], k=8)
    assert sweep.products == 8
    assert sweep.converged
    assert (sweep.amounts.tolist(), sweep.amounts.dtype) == ([0.5, 2.0], torch.float64)
    assert torch.allclose(sweep.values[0], dense_values(loss, alpha_scale(params, 0.5)), atol=1e-9)


def test_a_compressed_basis_says_what_the_whole_basis_says():
    """It holds the eigenvectors at some α, so their values and residuals are what they were."""
    generator = torch.Generator().manual_seed(0)
    H = torch.randn(30, 30, generator=generator, dtype=torch.float64)
    H = H + H.T
    basis = empty_basis(lambda v: H @ v, [12, 8, 10], H[0])
    for _ in range(4):
        noise = torch.randn(30, generator=generator, dtype=torch.float64)
        basis = extend_along(basis, noise)
    factors = torch.tensor([[1.0, 1.0, 1.0], [0.5, 1.0, 2.0]], dtype=torch.float64)
    whole = ritz_sweep(basis.small, factors, 1)
    thin, C = compress(basis.small, whole.weights[:, :, 0].T, 1e-9)
    again = ritz_sweep(thin, factors, 1)
    assert len(thin.T) == 6 < len(basis.Q)
    assert torch.allclose(again.values, whole.values, rtol=1e-12)
    assert torch.allclose(again.residuals, whole.residuals, rtol=1e-9)
    v, d = (
        basis.Q.T @ C.T @ again.weights[1, :, 0],
        factors[1].repeat_interleave(torch.tensor([12, 8, 10])),
    )
    assert torch.isclose((d * (H @ (d * v)) - again.values[1] * v).norm(), again.residuals[1])


def test_vectors_added_in_several_groups_at_once_are_those_added_one_by_one():
    """The images, their rests and the small matrices, against the whole matrix."""
    generator = torch.Generator().manual_seed(0)
    H = torch.randn(30, 30, generator=generator, dtype=torch.float64)
    H = H + H.T
    at_once = one_by_one = empty_basis(lambda v: H @ v, [12, 8, 10], H[0])
    for _ in range(3):
        v = torch.randn(30, generator=generator, dtype=torch.float64)
        parts = dict(enumerate(v.split([12, 8, 10])))
        at_once = extend(at_once, parts)
        for g, part in parts.items():
            one_by_one = extend(one_by_one, {g: part})
    for basis in (at_once, one_by_one):
        Q, E, small = basis.Q, basis.E, basis.small
        assert torch.allclose(Q @ Q.T, torch.eye(9, dtype=Q.dtype), atol=1e-13)
        assert torch.allclose(small.T, Q @ H @ Q.T, atol=1e-12)
        assert torch.allclose(E, Q @ H - small.T @ Q, atol=1e-12)
        for gram, part in zip(small.grams, basis.groups, strict=True):
            assert torch.allclose(gram, E[:, part] @ E[:, part].T, atol=1e-11)
    assert torch.allclose(at_once.Q, one_by_one.Q, atol=1e-12)
    assert extend(at_once, {1: at_once.Q[1, 12:20]}) is at_once  # nothing new


def test_a_vector_is_followed_into_the_eight_emptiest_groups():
    """Ten groups of one to ten entries: the two smallest are full first, and wait."""
    H = torch.eye(55, dtype=torch.float64)
    basis = empty_basis(lambda v: H @ v, list(range(1, 11)), H[0])
    basis = extend_along(basis, torch.ones(55, dtype=torch.float64), 20)
    assert sorted(basis.small.group.tolist()) == list(range(2, 10))
    assert len(extend_along(basis, torch.ones(55, dtype=torch.float64), 1).Q) == 8  # nothing new


@pytest.mark.parametrize("row", [0, 1, 2])
def test_the_longest_parts_of_a_residual_are_those_of_the_whole_vector(row):
    """The residual at one α, written out: where it is longest, and second if nearly as long."""
    generator = torch.Generator().manual_seed(0)
    H = torch.randn(30, 30, generator=generator, dtype=torch.float64)
    H, sizes = H + H.T, [12, 8, 10]
    basis = empty_basis(lambda v: H @ v, sizes, H[0])
    basis = extend_along(basis, torch.randn(30, generator=generator, dtype=torch.float64))
    d = torch.tensor([[1.0, 1.0, 1.0], [0.1, 1.0, 3.0], [5.0, 1.0, 0.2]]).double()[row]
    ritz = ritz_sweep(basis.small, d[None], 1)
    D, v = d.repeat_interleave(torch.tensor(sizes)), basis.Q.T @ ritz.weights[0, :, 0]
    residual = D * (H @ (D * v)) - ritz.values[0, 0] * v
    lengths = {g: float(part.norm()) for g, part in enumerate(residual.split(sizes))}
    first, second, _ = sorted(lengths, key=lengths.get, reverse=True)
    wanted = [first] + [second] * (3 * lengths[second] >= lengths[first])
    parts = longest_parts(basis, d, ritz.weights[0, :, 0], 8)
    assert list(parts) == wanted
    for g, part in parts.items():
        assert torch.allclose(d[g] * part, residual.split(sizes)[g], atol=1e-12)
    assert list(longest_parts(basis, d, ritz.weights[0, :, 0], 1)) == [first]


def test_the_gradient_is_no_blind_first_guess():
    """Where the gradient has no part in the sharpest direction, the noise finds it."""
    a = torch.tensor([1.0, 9.0], dtype=torch.float64)
    params = {"theta1": torch.ones(2, 1).double(), "theta2": torch.ones(1, 1).double()}

    def loss(p):
        return 0.5 * (a * (p["theta1"][:, 0] - torch.tensor([0.0, 1.0])) ** 2).sum()

    sweep = curvature_sweep(loss, params, {"theta1": 1, "theta2": -1}, [1.0], tol=1e-9)
    assert float(sweep.values[0, 0]) == pytest.approx(9)
    assert float(top_eigenvalues(loss, params, tol=1e-9).values[0]) == pytest.approx(9)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_cost_does_not_grow_with_the_number_of_amounts(dtype, device):
    data = digits(dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(0)
    params = init_net([64, 16, 10], generator=generator, dtype=dtype, device=device)
    loss = cross_entropy(relu_net, data.X, data.y)
    exponents = {"theta1": 1, "theta2": -1}
    few, many = (
        curvature_sweep(loss, params, exponents, torch.logspace(-2, 2, count))
        for count in (41, 1001)
    )
    assert few.converged and many.converged
    assert few.values.device.type == few.basis.device.type == device
    assert many.products <= 1.2 * few.products <= 48
    for i in (0, 20, 40):
        twin = alpha_scale(params, float(few.amounts[i]))
        truth = top_eigenvalues(loss, twin, tol=1e-5).values[0]
        assert abs(few.values[i, 0] - truth) <= few.residuals[i, 0] + 1e-5 * truth


@pytest.mark.parametrize(("widths", "k"), [((4, 3, 3), 4), ((5, 4, 4), 3), ((3, 6, 2), 6)])
def test_repeated_eigenvalues_come_as_often_as_they_are_repeated(widths, k):
    """A linear layer in front of `out` outputs gives each of its eigenvalues `out` times."""
    generator = torch.Generator().manual_seed(0)
    params = init_net(list(widths), generator=generator)
    X = torch.randn(30, widths[0], generator=generator, dtype=torch.float64)

    def apart(p):  # one block of equal copies in each layer, and nothing between them
        return ((X @ p["theta1"]) ** 2).sum() / 60 + 0.3 * (p["theta2"] ** 2).sum() / 2

    exponents = {"theta1": 1, "theta2": -1}
    sweep = curvature_sweep(apart, params, exponents, AMOUNTS, k=k)
    truth = spectrum_sweep(apart, params, exponents, AMOUNTS)[:, :k]
    assert sweep.converged
    assert bool((truth[:, 0] - truth[:, 1] < 1e-9 * truth[:, 0]).all())
    assert torch.allclose(sweep.values, truth, rtol=2e-3, atol=1e-5 * float(truth.max()))
    short = curvature_sweep(apart, params, exponents, AMOUNTS, k=k, max_products=9)
    assert not short.converged


def test_a_sweep_that_ran_out_says_so_and_keeps_its_bound():
    loss, params = small_net((8, 20, 20, 3))
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, tol=1e-10, max_products=6)
    assert not sweep.converged
    assert float(sweep.residuals.max()) > 0
    values = dense_values(loss, alpha_scale(params, 1.0, up="theta1", down="theta3"))
    assert (values - sweep.values[12, 0]).abs().min() <= sweep.residuals[12, 0]


@pytest.mark.parametrize("most", [1, 2, 5, 6, 7, 8])
def test_no_more_products_than_allowed(most):
    loss, params = small_net((8, 20, 20, 3))
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, tol=1e-10, max_products=most)
    assert sweep.products == len(sweep.basis) == most


def test_the_dice_are_those_that_are_handed_in():
    loss, params = small_net()
    dice = (None, 0, 1, 1)
    default, zero, one, again = (
        curvature_sweep(
            *(loss, params, EXPONENTS, AMOUNTS),
            tol=1.0,
            generator=None if seed is None else torch.Generator().manual_seed(seed),
        ).values
        for seed in dice
    )
    assert torch.equal(zero, default)
    assert torch.equal(one, again)
    assert not torch.equal(one, zero)


def test_a_loose_tolerance_is_a_tolerance_all_the_same():
    loss, params = small_net()
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, tol=1e4)
    assert sweep.converged
    assert sweep.values.shape == (25, 1)


def test_a_loss_without_curvature_has_zeros():
    params = {"theta1": torch.ones(2, 2), "theta2": torch.ones(2, 1)}
    sweep = curvature_sweep(
        lambda p: p["theta1"].sum() + p["theta2"].sum(), params, {"theta1": 1, "theta2": -1}, [1, 2]
    )
    assert sweep.converged
    assert not sweep.values.any()


def test_the_twin_fails_without_the_symmetry():
    """A tanh net keeps no function under T_α: what the sweep says is then not its curvature."""
    loss, params = small_net(f=net("tanh"))
    sweep = curvature_sweep(loss, params, EXPONENTS, AMOUNTS, tol=1e-6)
    twin = alpha_scale(params, float(AMOUNTS[20]), up="theta1", down="theta3")
    assert not torch.isclose(sweep.values[20, 0], dense_values(loss, twin)[0], rtol=0.1)


def test_at_an_exact_minimum_of_the_squared_error():
    generator = torch.Generator().manual_seed(1)
    params = init_net([4, 5, 2], generator=generator)
    X = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    loss = squared_error(relu_net, X, relu_net(params, X))
    sweep = curvature_sweep(loss, params, {"theta1": 1, "theta2": -1}, AMOUNTS, tol=1e-8)
    truth = dense_values(loss, alpha_scale(params, float(AMOUNTS[2])))[0]
    assert torch.isclose(sweep.values[2, 0], truth, rtol=1e-7)


def negative():
    return {name: -torch.ones_like(block) for name, block in small_net()[1].items()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k": 0}, "curvature_sweep needs 1 <= k"),
        ({"k": 10**6}, "curvature_sweep needs 1 <= k"),
        ({"tol": 0.0}, "curvature_sweep needs 1 <= k .* tol > 0 and .*, got k=1, tol=0.0"),
        ({"amounts": []}, "needs amounts of shape"),
        ({"amounts": [1.0, -1.0]}, "needs finite amounts > 0"),
        ({"amounts": [1.0, 0.0]}, "needs finite amounts > 0"),
        ({"amounts": [1.0, float("inf")]}, "needs finite amounts > 0"),
        ({"amounts": [1.0, float("nan")]}, "needs finite amounts > 0"),
        ({"scaling": {"theta1": 1}}, "exponents that add up to 0"),
        ({"scaling": {"theta9": 1, "theta1": -1}}, "needs layers among"),
        ({"scaling": lambda a: {"theta1": torch.ones(3)}}, "needs a number for each entry of"),
        ({"scaling": lambda a: negative()}, "needs a finite scaling S > 0"),
        ({"block_traces": {"theta1": 1.0}}, "block_traces needs one trace for each"),
    ],
)
def test_bad_input_is_one_sentence(change, sentence):
    loss, params = small_net()
    call = {"scaling": EXPONENTS, "amounts": [1.0, 2.0]} | change
    with pytest.raises(ValueError, match=sentence) as error:
        curvature_sweep(loss, params, **call)
    assert "\n" not in str(error.value)


def test_non_finite_parameters_are_refused():
    loss, params = small_net()
    params["theta1"][0, 0] = float("nan")
    with pytest.raises(ValueError, match="needs finite parameters"):
        curvature_sweep(loss, params, EXPONENTS, [1.0])


def test_each_sweep_names_itself_and_what_it_needs():
    case = build([3, 4, 2], 0)
    along = {"theta1": 1, "theta2": -1}
    with pytest.raises(ValueError, match="^spectrum_sweep needs amounts of shape"):
        spectrum_sweep(case.loss, case.params, along, [])
    with pytest.raises(ValueError, match="^curvature_sweep needs .* max_products >= 1, got .* 0: "):
        curvature_sweep(case.loss, case.params, along, [1.0], max_products=0)
    with pytest.raises(
        ValueError, match=r"one exponent per knob for each layer, got 1 for theta1 \(knobs: 2\)"
    ):
        curvature_sweep(case.loss, case.params, along, [[1.0, 2.0]])


def test_groups_that_split_again_stay_apart():
    """Three groups, then two values: each entry keeps its own factor at each amount."""
    params = {"theta1": torch.ones(1, 4, dtype=torch.float64)}
    rows = {1.0: [1.0, 1.0, 2.0, 3.0], 2.0: [5.0, 6.0, 5.0, 5.0]}
    maps = {a: {"theta1": torch.tensor([row], dtype=torch.float64)} for a, row in rows.items()}
    d, of = inverse_scaling(params, lambda a: maps[a], torch.tensor([1.0, 2.0]).double())
    assert torch.equal(d[:, of], 1 / torch.tensor([*rows.values()], dtype=torch.float64))
