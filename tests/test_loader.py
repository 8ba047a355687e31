"""Losses over a DataLoader: the same numbers as on tensors, and each misuse refused.

Oracle: the loss on the whole data as one tensor, which shares no code with the batches.
"""

import weakref

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from helpers import (
    cross_entropy,
    curvature_sweep,
    dense_hessian,
    flatten,
    functional,
    gauss_newton_operator,
    gradient,
    hs_description_length,
    hvp,
    init_net,
    layer_traces,
    local_entropy,
    over_loader,
    relu_net,
    squared_error,
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


class Counted(torch.autograd.Function):
    """A step that changes nothing, and says how many graphs it is part of."""

    alive, most = weakref.WeakSet(), 0

    class Token:
        pass

    @staticmethod
    def forward(ctx, z):
        ctx.token = Counted.Token()
        Counted.alive.add(ctx.token)
        Counted.most = max(Counted.most, len(Counted.alive))
        return z.clone()

    @staticmethod
    def backward(ctx, g):
        return 1 * g


def graphs(measure, batches):
    Counted.most = 0
    f = lambda params, x: Counted.apply(relu_net(params, x))  # noqa: E731
    measure(over_loader(f, batches), PARAMS)
    return Counted.most


@pytest.mark.parametrize(
    "measure", [gradient, lambda *at: hvp(*at, torch.ones_like(flatten(PARAMS)))]
)
def test_one_batch_is_in_memory_at_a_time(measure):
    assert graphs(measure, loader()) == graphs(measure, loader(X[:16], Y[:16])) > 0


def test_what_three_workers_measure_adds_up_to_the_whole(monkeypatch):
    v = torch.randn(len(flatten(PARAMS)), generator=GENERATOR, dtype=torch.float64)
    truth = gradient(WHOLE, PARAMS), hvp(WHOLE, PARAMS, v)
    monkeypatch.setattr("helpers.measures._products.add_up", lambda term: term)
    for loss in (WHOLE, over_loader(relu_net, loader())):
        found = [0, 0]
        for rank in range(3):
            monkeypatch.setattr("helpers.measures._workers.place", lambda rank=rank: (rank, 3))
            own = gradient(loss, PARAMS), hvp(loss, PARAMS, v)
            found = [a + b for a, b in zip(found, own)]
        for ours, theirs in zip(found, truth):
            assert torch.allclose(ours, theirs, rtol=1e-11)


def test_a_worker_without_a_batch_adds_nothing(monkeypatch):
    monkeypatch.setattr("helpers.measures._workers.place", lambda: (2, 3))
    monkeypatch.setattr("helpers.measures._products.add_up", lambda term: term)
    loss, v = over_loader(relu_net, loader(X[:16], Y[:16])), torch.ones_like(flatten(PARAMS))
    for found in (
        gradient(loss, PARAMS),
        hvp(loss, PARAMS, v),
        hvp(loss, PARAMS, torch.stack([v, v])),
    ):
        assert not found.any()
    assert found.shape == (2, len(v))


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
    with refused("batch 2 of over_loader needs finite data, got NaN or infinite entries in X"):
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


def moving(change):
    """Two passes over one batch of images; the second is changed."""

    class Moving:
        passes = 0

        def __iter__(self):
            self.passes += 1
            images = torch.arange(48.0, dtype=torch.float64).reshape(4, 1, 3, 4)
            yield change(images, Y[:4].clone()) if self.passes > 1 else (images, Y[:4].clone())

    return Moving()


CHANGES = {
    "flipped": lambda X, y: (X.flip(-1), y),
    "turned": lambda X, y: (X.roll(1, dims=-2), y),
    "two labels changed places": lambda X, y: (X, y.flip(0)),
    "another type": lambda X, y: (X.float(), y),
    "one sign": lambda X, y: (torch.cat([-X[:1], X[1:]]), y),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_value_in_another_place_is_another_batch(change):
    f = lambda params, x: relu_net(params, x.flatten(1).double()[:, :6])  # noqa: E731
    with refused("got another batch 1 in place of the first"):
        gradient(over_loader(f, moving(CHANGES[change])), PARAMS)


WEIGHTS = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
NO_MEANS = {
    "class weights": lambda f, y: F.cross_entropy(f, y, weight=WEIGHTS),
    "ignored targets": lambda f, y: F.cross_entropy(f, y, ignore_index=0),
    "pairs": lambda f, y: (f @ f.T - (y[:, None] == y).to(f)).square().mean(),
    "largest of the batch": lambda f, y: F.cross_entropy(f, y, reduction="none").max(),
    "a sum over its root": lambda f, y: F.cross_entropy(f, y, reduction="sum") / len(y) ** 0.5,
}


@pytest.mark.parametrize("criterion", NO_MEANS)
def test_what_is_no_mean_over_rows_is_refused_with_the_remedy(criterion):
    by_label = Y.argsort()  # batches of one class look even from inside
    for order in (torch.arange(50), by_label):
        loss = over_loader(relu_net, loader(X[order], Y[order]), NO_MEANS[criterion])
        with refused("needs a criterion that is a mean over rows, .* average reduction='none'"):
            gradient(loss, PARAMS)


def test_batches_of_one_class_each_do_not_hide_class_weights():
    """Inside such a batch the weighted mean is a plain mean; beside the first one it is not."""
    y = torch.arange(48) // 16
    with refused("needs a criterion that is a mean over rows"):
        gradient(over_loader(relu_net, loader(X[:48], y), NO_MEANS["class weights"]), PARAMS)


def test_a_criterion_is_a_mean_up_to_rounding_and_no_further():
    """A hundred-millionth is more than rounding, and what large losses are rounded by is not."""
    almost = lambda f, y: F.mse_loss(f, y) * (1 + 1e-8 / len(y))  # noqa: E731
    wide = torch.randn(1000, 3, generator=GENERATOR, dtype=torch.float64)
    data = torch.randn(1000, 6, generator=GENERATOR, dtype=torch.float64), 1e4 * wide
    with refused("needs a criterion that is a mean over rows"):
        over_loader(relu_net, loader(*data), almost)(PARAMS)
    whole = F.mse_loss(relu_net(PARAMS, data[0]), data[1])
    found = over_loader(relu_net, loader(*data), F.mse_loss)(PARAMS)
    assert torch.allclose(found, whole, rtol=1e-12)


def test_the_remedy_is_taken_and_a_mean_over_tokens_of_equal_length_too():
    weighted = lambda f, y: (WEIGHTS[y] * F.cross_entropy(f, y, reduction="none")).mean()  # noqa: E731
    truth = weighted(relu_net(PARAMS, X), Y)
    assert torch.allclose(over_loader(relu_net, loader(), weighted)(PARAMS), truth, rtol=1e-12)
    tokens, labels = X.reshape(25, 2, 6), Y.reshape(25, 2)
    each = lambda params, x: relu_net(params, x).transpose(1, 2)  # noqa: E731
    whole = cross_entropy(each, tokens, labels)(PARAMS)
    assert torch.allclose(over_loader(each, loader(tokens, labels))(PARAMS), whole, rtol=1e-12)


class Towers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.v = torch.nn.Linear(6, 3), torch.nn.Linear(2, 3, bias=False)

    def forward(self, u, v):
        return torch.tanh(self.u(u)) * self.v(v)


@pytest.mark.parametrize("box", [lambda u, v: (u, v), lambda u, v: dict(u=u, v=v)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_several_inputs_come_in_batches_too(box, dtype):
    f, params = functional(Towers().double())
    u, v = X.to(dtype), torch.randn(50, 2, generator=GENERATOR).to(dtype)
    batches = over_loader(f, DataLoader([(box(a, b), c) for a, b, c in zip(u, v, Y)], 16))

    def whole(theta):
        return F.cross_entropy(f(theta, (u.double(), v.double())), Y)

    ours, theirs = dense_hessian(batches, params), dense_hessian(whole, params)
    assert torch.allclose(ours, theirs, atol=1e-12)
    assert batches.examples == 50
    together = cross_entropy(f, box(u, v), Y)
    assert torch.allclose(dense_hessian(together, params), theirs, atol=1e-12)
    scale = torch.randn(50, 3, generator=GENERATOR, dtype=torch.float64)
    error = (f(params, (u.double(), v.double())) - scale).square().sum() / 100
    assert float(squared_error(f, box(u, v), scale)(params)) == pytest.approx(float(error))


def test_inputs_that_change_places_or_names_are_another_batch():
    a, b = torch.randn(2, 8, 4, generator=GENERATOR, dtype=torch.float64)
    f, params = functional(torch.nn.Bilinear(4, 4, 3).double())
    batch = [(a, b), Y[:8]]
    loss = over_loader(f, [batch])
    loss(params)
    batch[0] = (b, a)
    with refused("another batch 1"):
        loss(params)
    batch[0] = {"input1": a, "input2": b}
    with refused("another batch 1"):
        loss(params)


@pytest.mark.parametrize(
    ("batches", "got"),
    [
        ([{"input_ids": X, "labels": Y}], "got dict"),
        ([(X, Y, Y)], "got Tensor, Tensor, Tensor"),
        ([X], "got Tensor: a pair"),
        ([((X, None), Y)], "got NoneType, Tensor"),
        ([((), Y)], "got tuple, Tensor: a pair"),
        ([((X, X[:3]), Y)], "got 3 inputs and 50 targets"),
        ([({"u": X, "v": X / 0}, Y)], "finite data"),
        ([(X, Y[:3])], "got 50 inputs and 3 targets"),
    ],
)
def test_a_batch_is_a_pair_of_tensors(batches, got):
    with refused(f"batch 1 of over_loader needs .*{got}"):
        over_loader(relu_net, batches)


def test_a_stream_that_may_drop_its_end_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from zip(X, Y)

    with refused("leaves out perhaps some"):
        over_loader(relu_net, DataLoader(Stream(), batch_size=16, drop_last=True))
    loss = over_loader(relu_net, DataLoader(Stream(), batch_size=16))
    assert torch.allclose(loss(PARAMS), WHOLE(PARAMS), rtol=1e-12)


def test_measures_in_closed_form_and_by_sampling_take_it_too():
    loss, v = over_loader(relu_net, loader()), torch.ones_like(flatten(PARAMS))
    assert layer_traces(loss, PARAMS) == pytest.approx(layer_traces(WHOLE, PARAMS), rel=1e-12)
    boxes = [hs_description_length(each, PARAMS, 0.1) for each in (loss, WHOLE)]
    assert boxes[0] == pytest.approx(boxes[1], rel=1e-12)
    products = [gauss_newton_operator(each, PARAMS)(v) for each in (loss, WHOLE)]
    assert torch.allclose(*products, rtol=1e-10)
    entropies = [local_entropy(each, PARAMS, 1.0, samples=20).value for each in (loss, WHOLE)]
    assert entropies[0] == pytest.approx(entropies[1], rel=1e-9)


def test_a_single_batch_with_class_weights_is_refused_too():
    weighted = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 1.0]).double())
    loss = over_loader(relu_net, [(X, Y)], weighted)
    with refused("a mean over rows"):
        loss(PARAMS)
