"""Lanczos iteration.

Oracle: `torch.linalg.eigvalsh` of the same matrix, formed in full, and scipy's `eigsh` (ARPACK),
another implementation by other people. The matrices are built from chosen eigenvalues.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, law, off
from scipy.sparse.linalg import eigsh

from helpers import lanczos
from helpers.measures._lanczos import krylov, relative, seen


def matrix(eigenvalues, seed, device="cpu", dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    n = len(eigenvalues)
    Q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    H = Q @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ Q.T
    start = torch.randn(n, generator=generator, dtype=torch.float64)
    return ((H + H.T) / 2).to(device, dtype), start.to(device, dtype)


spectra = st.lists(st.integers(-50, 50), min_size=1, max_size=12, unique=True).filter(any)


@law(150)
@given(values=spectra, seed=st.integers(0, 10**6), data=st.data())
def test_values_vectors_and_residuals_against_the_dense_matrix(values, seed, data):
    H, start = matrix([value / 5 for value in values], seed)
    k = data.draw(st.integers(1, len(values)))
    eigen = lanczos(lambda v: H @ v, start, k, tol=1e-10)
    truth = torch.linalg.eigvalsh(H).flip(0)[:k]
    scale = float(H.abs().max())
    assert eigen.converged
    assert float((eigen.values - truth).abs().max()) < 1e-8 * scale
    assert off(eigen.vectors.T @ eigen.vectors, torch.eye(k)) < 1e-8
    measured = (H @ eigen.vectors - eigen.vectors * eigen.values).norm(dim=0)
    assert float((eigen.residuals - measured).abs().max()) < 1e-10 * scale
    assert eigen.products <= len(values)


@law(40)
@given(seed=st.integers(0, 10**6))
def test_scipys_arpack_agrees(seed):
    values = np.random.default_rng(seed).normal(size=40)
    H, start = matrix(values.tolist(), seed)
    ours = lanczos(lambda v: H @ v, start, 3, tol=1e-9)
    theirs = eigsh(H.numpy(), k=3, which="LA", return_eigenvectors=False)[::-1]
    assert off(ours.values, torch.tensor(theirs.copy())) < 1e-7
    both_ends = lanczos(lambda v: H @ v, start, 1, tol=1e-9, by=torch.abs)
    assert off(both_ends.values, eigsh(H.numpy(), k=1, which="LM")[0]) < 1e-7


def test_by_abs_finds_the_most_negative_one():
    H, start = matrix([-9.0, 1, 2, 3], 0)
    assert float(lanczos(lambda v: H @ v, start).values[0]) == pytest.approx(3)
    assert float(lanczos(lambda v: H @ v, start, by=torch.abs).values[0]) == pytest.approx(-9)


def test_the_tolerance_holds_for_the_smallest_of_the_wanted_ones_too():
    """λ₁₀ is a fiftieth of λ₁: a residual that is small beside λ₁ says little about it."""
    H = torch.diag(torch.cat([torch.logspace(0, -1.7, 10), torch.linspace(0, 0.019, 300)])).double()
    start = torch.randn(310, generator=torch.Generator().manual_seed(0)).double()
    eigen = lanczos(lambda v: H @ v, start, 10, tol=1e-3)
    assert eigen.converged
    assert bool((eigen.residuals <= 1e-3 * eigen.values).all())
    assert torch.allclose(eigen.values, torch.logspace(0, -1.7, 10).double(), rtol=1e-3, atol=0)


def test_an_eigenvalue_near_zero_is_asked_for_a_hundredth_of_the_largest():
    size = relative(torch.tensor([1.0, 1.0]), torch.tensor([10.0, 1e-9]), torch.tensor(10.0))
    assert size.tolist() == pytest.approx([0.1, 10.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@law(25)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_each_eigenvalue_comes_as_often_as_it_is_repeated(dtype, seed, data):
    """Copies of three values in a spectrum that decays, is even, or has two signs."""
    n, k = data.draw(st.sampled_from([7, 30, 90])), data.draw(st.integers(2, 6))
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(n, generator=generator, dtype=torch.float64)
    values = values ** data.draw(st.sampled_from([1, 4])) - data.draw(st.sampled_from([0, 0.4]))
    for value in (1.0, 0.8, 0.5):
        values[torch.randperm(n, generator=generator)[: data.draw(st.integers(0, 3))]] = value
    H, start = matrix(values.tolist(), seed, dtype=dtype)
    eigen = lanczos(lambda v: H @ v, start, k, tol=1e-3)
    assert eigen.converged
    assert eigen.products <= n
    truth = values.sort(descending=True).values[:k]
    assert float((eigen.values - truth).abs().max()) < 3e-3 * float(values.abs().max())
    assert off(eigen.vectors.T @ eigen.vectors, torch.eye(k)) < 1e-4


@pytest.mark.parametrize("seed", range(6))
def test_the_last_of_the_wanted_ones_comes_twice_though_the_first_are_far_above_it(seed):
    """A second start has to show a 1 that is hidden close above the bulk, not a 5."""
    wanted = [5.0, 4.0, 1.0, 1.0]
    H, start = matrix([*wanted, 0.97, *np.linspace(0, 0.95, 120).tolist()], seed)
    eigen = lanczos(lambda v: H @ v, start, 4, tol=1e-3)
    assert eigen.converged
    assert eigen.values.tolist() == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize("tol", [1e-1, 3e-2, 1e-2])
def test_a_second_look_is_short_also_where_little_was_asked(tol):
    # What the first start leaves sticking out stays: at its limit, a second one tipped it over,
    # and all the products were spent.
    for seed in range(12):
        H, start = matrix([1 / (i + 1) for i in range(80)], seed)
        eigen = lanczos(lambda v, H=H: H @ v, start, 5, tol=tol)
        assert eigen.converged and eigen.products <= 30


def test_without_products_for_a_second_look_nothing_is_said_to_have_converged():
    H, start = matrix([5.0, 5.0, 5.0, 3.0, *np.linspace(0, 1, 60).tolist()], 1)
    eigen = lanczos(lambda v: H @ v, start, 2)
    assert eigen.converged and eigen.values.tolist() == pytest.approx([5, 5])
    for most in range(1, eigen.products):
        assert not lanczos(lambda v: H @ v, start, 2, max_products=most).converged


def test_who_asks_for_more_eigenvalues_than_there_are_gets_all_and_is_told():
    H, start = matrix([3.0, 2.0, 1.0], 5)
    eigen = lanczos(lambda v: H @ v, start, 4)
    assert eigen.values.tolist() == pytest.approx([3, 2, 1])
    assert not eigen.converged


def test_a_start_that_is_an_eigenvector_leaves_nothing_to_tolerate():
    H = torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    eigen = lanczos(lambda v: H @ v, H[2], tol=0.0)
    assert (eigen.converged, eigen.products, eigen.values.tolist()) == (True, 1, [3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_ritz_value_leaves_the_spectrum_once_the_space_is_exhausted(dtype):
    generator = torch.Generator().manual_seed(3)
    J = torch.randn(3, 60, generator=generator, dtype=dtype)
    start, top = torch.randn(60, generator=generator, dtype=dtype), float(torch.linalg.norm(J, 2))
    for Q, T, _ in krylov(lambda v: J.T @ (J @ v), start, 50):
        values = torch.linalg.eigvalsh(T)
        assert float(values[0]) > -1e-4
        assert float(values[-1]) < top**2 * (1 + 1e-4)
        assert off(Q @ Q.T, torch.eye(len(Q))) < 1e-4


def test_a_start_without_the_top_eigenvector_misses_it_and_a_random_one_does_not():
    H, start = matrix([3.0, 2.0, 1.0], 5)
    top = torch.linalg.eigh(H).eigenvectors[:, -1]
    blind = start - (start @ top) * top
    assert float(lanczos(lambda v: H @ v, blind).values[0]) == pytest.approx(2, abs=1e-3)
    assert float(lanczos(lambda v: H @ v, start).values[0]) == pytest.approx(3)


def test_an_exhausted_krylov_space_is_left_by_a_new_direction():
    H = torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    start = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    assert lanczos(lambda v: H @ v, start, 3).values.tolist() == pytest.approx([3, 2, 1])


def test_where_the_space_is_exhausted_nothing_sticks_out_of_it():
    generator = torch.Generator().manual_seed(3)
    J = torch.randn(3, 60, generator=generator, dtype=torch.float64)
    start = torch.randn(60, generator=generator, dtype=torch.float64)
    steps = [outside[-1] for _, _, outside in krylov(lambda v: J.T @ (J @ v), start, 8)]
    assert [m for m, rest in enumerate(steps, 1) if rest == 0] == [4, 5, 6, 7, 8]


SEEN = [  # off, steps, goal, whether a random start would have shown it
    (0.0, 1, 5.0, True),  # the value is exact
    (1.0, 1, 9.0, False),
    (1e-9, 2, 1.0, False),  # after two steps a small residual is chance
    (1e-9, 3, 1.0, True),
    (1e-4, 3, 1.0, True),  # known to tol, exactly
    (1.1e-4, 3, 1.0, False),
    (0.09, 3, 2.0, True),  # known to a tenth of what it lies below the goal
    (0.5, 3, 2.0, False),
    (0.5, 10, 2.0, False),  # 2 · 9 · acosh(√(2/1.5)) is 9.9, and log(400 · 100) is 10.6
    (0.5, 11, 2.0, True),
    (0.5, 11, 1.4, False),  # below the largest that may be there, however many steps
]


@pytest.mark.parametrize(("off", "steps", "goal", "shown"), SEEN)
def test_a_start_would_show_what_it_knows_or_what_outgrows_the_rest(off, steps, goal, shown):
    values, by = torch.tensor([-0.5, 1.0, 0.2]), lambda values: values
    assert seen(values, off, steps, 100, torch.tensor(goal), by, 1e-4) is shown


def test_the_second_start_is_drawn_without_the_dice_of_others():
    H, start = matrix([5.0, 5.0, *np.linspace(0, 4, 40).tolist()], 1)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(lanczos(lambda v: H @ v, start, 2))
    assert torch.equal(found[0].vectors, found[1].vectors)


def test_the_zero_matrix_has_zero_eigenvalues():
    eigen = lanczos(torch.zeros_like, torch.ones(4), 2)
    assert eigen.converged
    assert eigen.values.tolist() == [0, 0]


def test_the_residual_bounds_the_error_when_stopped_early():
    H, start = matrix(np.linspace(0, 1, 200).tolist(), 2)
    eigen = lanczos(lambda v: H @ v, start, 1, tol=1e-12, max_products=12)
    truth = torch.linalg.eigvalsh(H)
    assert not eigen.converged
    assert eigen.products == 12
    measured = (H @ eigen.vectors - eigen.vectors * eigen.values).norm(dim=0)
    assert off(eigen.residuals, measured) < 1e-8
    nearest = (truth - eigen.values[0]).abs().min()
    assert 0 < float(nearest) <= float(eigen.residuals[0])
    assert float(eigen.values[0]) <= float(truth[-1]) + 1e-12  # Rayleigh: never above


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_dtype_and_device_are_kept(dtype, tol, device):
    H, start = matrix([7.0, 3.0, 1.0, 0.5], 4, device, dtype)
    eigen = lanczos(lambda v: H @ v, start, 2, tol=tol)
    assert eigen.converged
    assert (eigen.values.dtype, eigen.vectors.device.type) == (dtype, device)
    assert off(eigen.values, torch.tensor([7.0, 3.0])) < 10 * tol


def test_a_start_without_direction_and_a_search_without_products_are_refused():
    with pytest.raises(ValueError, match="lanczos needs a start that is not zero, got 0"):
        lanczos(lambda v: v, torch.zeros(4), max_products=9)
    with pytest.raises(ValueError, match="lanczos needs max_products >= 1, got 0"):
        lanczos(lambda v: v, torch.ones(4), max_products=0)
