"""The data sets.

Oracle: scikit-learn's own copy of the digits, the MNIST-1D package's own signals, numpy's counts,
and the net evaluated by hand.
"""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from random_nets import DEVICES, build, cases, law
from sklearn.datasets import load_digits

from helpers import digits, init_net, mnist1d, relu_net, squared_error, teacher_student, two_moons


@law(50)
@given(case=cases(where="minimum"))
def test_the_teacher_is_an_exact_minimum(case):
    assert float(case.loss(case.params)) == 0.0


def test_teacher_student_is_reproducible_and_split():
    params = init_net([3, 2, 1], generator=torch.Generator().manual_seed(0))
    one, two = (
        teacher_student(relu_net, params, 7, generator=torch.Generator().manual_seed(5), n_test=4)
        for _ in range(2)
    )
    assert torch.equal(one.X, two.X)
    assert torch.equal(one.X_test, two.X_test)
    assert one.X.shape == (7, 3)
    assert one.y_test.shape == (4, 1)
    assert torch.equal(one.y_test, torch.relu(one.X_test @ params["theta1"]) @ params["theta2"])


def test_teacher_student_reads_a_modules_width_too():
    module = torch.nn.Linear(5, 2, dtype=torch.float64)
    params = {name: p.detach() for name, p in module.named_parameters()}
    f = lambda p, x: torch.func.functional_call(module, p, (x,))  # noqa: E731
    data = teacher_student(f, params, 3, generator=torch.Generator().manual_seed(0))
    assert data.X.shape == (3, 5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("make", "d", "classes"), [(two_moons, 2, 2), (digits, 64, 10), (mnist1d, 40, 10)]
)
def test_splits_are_disjoint_stratified_and_typed(make, d, classes, dtype, device):
    data = make(dtype=dtype, device=device)
    assert data.X.shape[1] == data.X_test.shape[1] == d
    assert data.X.dtype == data.X_test.dtype == dtype
    assert data.y.dtype == torch.int64
    assert {t.device.type for t in (data.X, data.y, data.X_test, data.y_test)} == {device}
    shares = [np.bincount(y.cpu(), minlength=classes) / len(y) for y in (data.y, data.y_test)]
    assert np.abs(shares[0] - shares[1]).max() < 0.01
    assert torch.equal(make(dtype=dtype, device=device).X, data.X)
    assert not torch.equal(make(seed=1, dtype=dtype, device=device).X, data.X)


def test_the_digits_are_scikit_learns():
    data, (X, y) = digits(), load_digits(return_X_y=True)
    ours = np.concatenate(
        [torch.cat([data.X, data.X_test]), torch.cat([data.y, data.y_test])[:, None]], 1
    )
    theirs = np.concatenate([X / 16, y[:, None]], 1)
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    assert len(data.X_test) == 360
    assert 0 <= float(data.X.min()) < float(data.X.max()) == 1


def test_mnist1d_is_the_packages_own():
    from mnist1d.data import get_dataset_args, make_dataset

    theirs = make_dataset(get_dataset_args())  # seed 42, 4000 + 1000, another split
    data = mnist1d(seed=42)
    rows = [torch.cat([data.X, data.X_test]).numpy(), np.r_[theirs["x"], theirs["x_test"]]]
    labels = [torch.cat([data.y, data.y_test]).numpy(), np.r_[theirs["y"], theirs["y_test"]]]
    order = [np.lexsort(x.T) for x in rows]
    assert np.array_equal(rows[0][order[0]], rows[1][order[1]])
    assert np.array_equal(labels[0][order[0]], labels[1][order[1]])
    assert len(data.X) == 4000
    assert len(np.unique(rows[0], axis=0)) == 5000  # so the two parts share no signal


def test_another_seed_makes_other_signals():
    one, two = (mnist1d(30, test=10, seed=seed) for seed in (0, 1))
    assert not torch.isin(one.X[:, 0], torch.cat([two.X, two.X_test])[:, 0]).any()


def test_mnist1d_leaves_the_callers_randomness_alone():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert mnist1d(33, test=12).X.shape == (33, 40)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def teacher():
    case = build([2, 2, 1], 0)
    return teacher_student(case.f, case.params, 7, generator=case.generator)


@pytest.mark.parametrize(
    ("make", "name", "sizes"),
    [
        (teacher, "teacher = student", (7, 200)),
        (two_moons, "two moons", (400, 200)),
        (digits, "digits", (1437, 360)),
        (lambda: mnist1d(30, test=10), "MNIST-1D", (30, 10)),
    ],
)
def test_a_set_says_what_it_is_and_keeps_a_part_to_test_on(make, name, sizes):
    data = make()
    assert data.name == name
    assert (len(data.X), len(data.X_test)) == (len(data.y), len(data.y_test)) == sizes


def test_the_moons_are_half_circles_with_noise_and_the_seed_is_zero():
    data = two_moons(2000)
    centre = torch.tensor([[0.0, 0.0], [1.0, 0.5]], dtype=torch.float64)[data.y]
    off = (data.X - centre).norm(dim=1) - 1
    assert float(off.std()) == pytest.approx(0.15, rel=0.05)
    assert abs(float(off.mean())) < 0.03
    for make in (two_moons, digits):
        assert torch.equal(make().X, make(seed=0).X)


@pytest.mark.parametrize(("n", "test"), [(9, 1000), (4000, 0)])
def test_fewer_signals_than_classes_are_refused(n, test):
    with pytest.raises(ValueError, match=f"n >= 10 and test >= 10, got {n} and {test}"):
        mnist1d(n, test=test)


@pytest.mark.parametrize("n", [0, -3])
def test_no_examples_are_refused(n):
    case = build([2, 2, 1], 0)
    with pytest.raises(
        ValueError, match=f"teacher_student needs n >= 1 and n_test >= 0, got {n} and"
    ):
        teacher_student(case.f, case.params, n, generator=case.generator)


@pytest.mark.parametrize("test", [0, 1797])
def test_an_empty_part_is_refused(test):
    with pytest.raises(ValueError, match=f"digits needs 0 < test < 1797, got {test}"):
        digits(test=test)


def test_a_twin_with_other_targets_is_no_minimum():
    case = build([3, 3, 1], 1, where="off")
    assert float(case.loss(case.params)) > 0.1
    assert float(squared_error(case.f, case.X, case.f(case.params, case.X))(case.params)) == 0
