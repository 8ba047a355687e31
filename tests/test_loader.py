"""Losses over a DataLoader: the same numbers as on tensors, and each misuse refused.

Oracle: the loss on the whole data as one tensor, which shares no code with the batches.
"""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from helpers import (
    cross_entropy,
    curvature_sweep,
    dense_hessian,
    flatten,
    functional,
    gradient,
    hvp,
    init_net,
    over_loader,
    relu_net,
    top_eigenvalues,
    trace,
)

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(50, 6, generator=GENERATOR, dtype=torch.float64)
Y = torch.randint(0, 3, (50,), generator=GENERATOR)
PARAMS = init_net([6, 7, 3], bias=True, generator=GENERATOR)
WHOLE = cross_entropy(relu_net, X, Y)


def loader(X=X, y=Y, **options):
    return DataLoader(TensorDataset(X, y), batch_size=16, **options)  # 16, 16, 16 and 2


def test_loss_gradient_and_product_are_those_of_the_whole():
    loss = over_loader(relu_net, loader())
    v = torch.randn(len(flatten(PARAMS)), generator=GENERATOR, dtype=torch.float64)
    assert torch.allclose(loss(PARAMS), WHOLE(PARAMS), rtol=1e-13)
    assert torch.allclose(gradient(loss, PARAMS), gradient(WHOLE, PARAMS), rtol=1e-11)
    assert torch.allclose(hvp(loss, PARAMS, v), hvp(WHOLE, PARAMS, v), rtol=1e-11)
    assert torch.allclose(dense_hessian(loss, PARAMS), dense_hessian(WHOLE, PARAMS), atol=1e-13)


def test_every_measure_takes_it():
    loss = over_loader(relu_net, loader())
    theirs = top_eigenvalues(WHOLE, PARAMS, k=2, tol=1e-8).values
    assert torch.allclose(top_eigenvalues(loss, PARAMS, k=2, tol=1e-8).values, theirs)
    assert trace(loss, PARAMS).value == pytest.approx(trace(WHOLE, PARAMS).value)
    sweeps = [curvature_sweep(each, PARAMS, {"theta1": 1, "theta2": -1}, [0.1, 1, 5])
              for each in (loss, WHOLE)]  # fmt: skip
    assert torch.allclose(sweeps[0].values, sweeps[1].values)


def test_one_batch_is_in_memory_at_a_time():
    alive, most = set(), 0

    def f(params, x):
        nonlocal most
        alive.add(id(x))
        most = max(most, len(x))
        return relu_net(params, x)

    gradient(over_loader(f, loader()), PARAMS)
    assert most == 16


def refused(sentence, **kwargs):
    return pytest.raises(ValueError, match=sentence)


def test_shuffling_is_refused_before_anything_runs():
    with refused("got a loader with shuffle=True"):
        over_loader(relu_net, loader(shuffle=True))


def test_dropping_a_part_is_refused_and_dropping_nothing_is_not():
    with refused("drop_last=True, which leaves out 2"):
        over_loader(relu_net, loader(drop_last=True))
    over_loader(relu_net, loader(X[:48], Y[:48], drop_last=True))


def test_batches_that_change_between_passes_are_noticed():
    class Restless:
        passes = 0

        def __iter__(self):
            self.passes += 1
            order = torch.arange(50).roll(self.passes)
            yield X[order[:25]], Y[order[:25]]
            yield X[order[25:]], Y[order[25:]]

    with refused("needs the same batches in every pass, got another batch 1"):
        gradient(over_loader(relu_net, Restless()), PARAMS)


def test_labels_that_change_between_passes_are_noticed():
    class Relabelled:
        passes = 0

        def __iter__(self):
            self.passes += 1
            yield X, Y.roll(self.passes, dims=0)

    with refused("needs the same batches in every pass, got another batch 1"):
        gradient(over_loader(relu_net, Relabelled()), PARAMS)


def test_a_shorter_second_pass_is_noticed():
    batches = [(X[:25], Y[:25]), (X[25:], Y[25:])]
    loss = over_loader(relu_net, batches)
    batches.pop()
    with refused("another batch 2"):
        gradient(loss, PARAMS)


def test_empty_and_non_finite_data_are_refused():
    with refused("got an empty loader"):
        over_loader(relu_net, [])
    bad = X.clone()
    bad[20, 1] = float("nan")
    with refused("NaN or infinite entries in batch 2"):
        over_loader(relu_net, loader(bad))


def test_a_sum_is_not_a_mean():
    def added(outputs, y):
        return F.cross_entropy(outputs, y, reduction="sum")

    def each(outputs, y):
        return F.cross_entropy(outputs, y, reduction="none")

    for criterion in (added, each):
        with refused("needs a criterion that is a mean over rows"):
            gradient(over_loader(relu_net, loader(), criterion), PARAMS)


def test_a_detached_loss_is_one_sentence():
    with refused("needs a loss that can be differentiated"):
        gradient(lambda params: params["theta1"].detach().sum(), PARAMS)


def test_dropout_in_training_mode_is_refused_and_dropout_at_rest_is_not():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    with refused("got Dropout at 1 in training mode"):
        functional(module)
    functional(module.eval())
