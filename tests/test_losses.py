"""The losses.

Oracle: scikit-learn's `mean_squared_error`, `log_loss` and `accuracy_score`, and label smoothing
written out as a mixture of targets in numpy.
"""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, off
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error

from helpers import (
    accuracy,
    cross_entropy,
    dense_hessian,
    init_net,
    predictions,
    relu_net,
    squared_error,
)


@law(60)
@given(case=cases(where="off"))
def test_squared_error_is_scikit_learns(case):
    outputs = case.f(case.params, case.X)
    theirs = mean_squared_error(case.loss.y, outputs) * case.widths[-1] / 2
    assert float(case.loss(case.params)) == pytest.approx(theirs, rel=1e-12)


@law(60)
@given(case=cases(), seed=st.integers(0, 1000), smoothing=st.floats(0, 0.9))
def test_cross_entropy_is_scikit_learns_and_a_mixture(case, seed, smoothing):
    classes = case.widths[-1] + 1  # two at least
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (len(case.X),), generator=generator)
    f = lambda p, x: torch.nn.functional.pad(case.f(p, x), (0, 1))  # noqa: E731
    logs = log_softmax(f(case.params, case.X).numpy(), axis=1)
    plain = float(cross_entropy(f, case.X, y)(case.params))
    theirs = log_loss(y, np.exp(logs) / np.exp(logs).sum(1, keepdims=True), labels=range(classes))
    assert plain == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    targets = (1 - smoothing) * np.eye(classes)[y] + smoothing / classes
    smooth = float(cross_entropy(f, case.X, y, smoothing=smoothing)(case.params))
    assert smooth == pytest.approx(-(targets * logs).sum(1).mean(), rel=1e-10)


@law(30)
@given(case=cases(out=3), seed=st.integers(0, 1000))
def test_accuracy_is_scikit_learns(case, seed):
    classes = case.widths[-1]
    assume(classes > 1)
    y = torch.randint(0, classes, (len(case.X),), generator=torch.Generator().manual_seed(seed))
    ours = predictions(case.f, case.params, case.X)
    theirs = case.f(case.params, case.X).numpy().argmax(1)
    assert ours.dtype == torch.int64
    assert np.array_equal(ours, theirs)
    assert accuracy(case.f, case.params, case.X, y) == accuracy_score(y, theirs)


@law(40)
@given(case=cases(where="off"))
def test_a_mean_over_examples_splits_over_shards(case):
    first, rest = case.loss.X[:1], case.loss.X[1:]
    if len(rest) == 0:
        return
    parts = [
        (squared_error(case.f, x, y)(case.params), len(x))
        for x, y in ((first, case.loss.y[:1]), (rest, case.loss.y[1:]))
    ]
    whole = sum(value * n for value, n in parts) / len(case.X)
    assert off(whole, case.loss(case.params)) < 1e-12


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_device_are_kept(dtype, device):
    generator = torch.Generator().manual_seed(0)
    params = init_net([3, 4, 2], generator=generator, dtype=dtype, device=device)
    X = torch.randn(5, 3, generator=generator).to(device, dtype)
    y = torch.zeros(5, dtype=torch.int64, device=device)
    for loss in (cross_entropy(relu_net, X, y), squared_error(relu_net, X, X[:, :2])):
        value = loss(params)
        assert (value.dtype, value.device.type, value.ndim) == (dtype, device, 0)


@pytest.mark.parametrize("make", [squared_error, cross_entropy])
def test_the_data_follow_the_weights_to_where_they_lie(make):
    drawn = init_net([3, 4, 2], generator=torch.Generator().manual_seed(0))
    params = {name: block.to("meta") for name, block in drawn.items()}
    X = torch.ones(5, 3, dtype=torch.float64)
    y = X[:, :2] if make is squared_error else torch.zeros(5, dtype=torch.int64)
    assert make(relu_net, X, y)(params).device.type == "meta"


def test_cross_entropy_falls_for_ever_on_separated_data_but_not_with_smoothing():
    X = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    y = torch.tensor([0, 1])
    f = lambda p, x: torch.cat([x * p["w"], -x * p["w"]], 1)  # noqa: E731
    losses = lambda s: [  # noqa: E731
        float(cross_entropy(f, X, y, smoothing=s)({"w": torch.tensor(w).double()}))
        for w in (1.0, 5.0, 15.0)
    ]
    plain, smooth = losses(0.0), losses(0.1)
    assert plain[0] > plain[1] > plain[2] > 0
    assert smooth[2] > smooth[1]


def test_larger_weights_are_flatter_and_better_for_cross_entropy():
    case = build([4, 3, 3], 0, n=200)
    logits = case.f(case.params, case.X)
    first, second = logits.topk(2).values.T
    wide = first - second > 0.3  # separable, and with a margin: the net classifies all of these
    loss = cross_entropy(relu_net, case.X[wide], logits.argmax(1)[wide])
    losses, tops = [], []
    for factor in (1, 10, 100):
        params = {name: factor**0.5 * block for name, block in case.params.items()}
        losses.append(float(loss(params)))
        tops.append(float(torch.linalg.eigvalsh(dense_hessian(loss, params))[-1]))
    assert losses[0] > losses[1] > losses[2] > 0
    assert tops[0] > tops[1] > tops[2] > 0


@pytest.mark.parametrize("make", [squared_error, cross_entropy])
def test_bad_data_are_refused(make):
    X, y = torch.ones(3, 2), torch.ones(3, 1)
    name = make.__name__
    with pytest.raises(ValueError, match=f"{name} needs as many targets .* got 3 inputs and 2"):
        make(relu_net, X, y[:2])
    with pytest.raises(ValueError, match=f"{name} needs as many targets .* got 0 inputs and 0"):
        make(relu_net, X[:0], y[:0])
    with pytest.raises(ValueError, match=f"{name} needs finite data, got .* entries in X"):
        make(relu_net, X * float("nan"), y)
    with pytest.raises(ValueError, match=f"{name} needs finite data, got .* entries in y"):
        make(relu_net, X, y * float("inf"))


def test_targets_that_would_broadcast_are_refused():
    params = {"theta1": torch.ones(2, 1)}
    loss = squared_error(relu_net, torch.ones(3, 2), torch.ones(3))
    with pytest.raises(ValueError, match=r"one shape, got \(3, 1\) and \(3,\): broadcasting"):
        loss(params)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_impossible_smoothing_is_refused(smoothing):
    with pytest.raises(ValueError, match="cross_entropy needs 0 <= smoothing < 1, got"):
        cross_entropy(relu_net, torch.ones(1, 1), torch.zeros(1).long(), smoothing=smoothing)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3), (6, 2, 4, 5)])
def test_the_squared_error_is_a_mean_over_examples_of_whole_outputs(shape):
    dice = torch.Generator().manual_seed(0)
    outputs, y = torch.randn(2, *shape, generator=dice, dtype=torch.float64)
    loss = squared_error(lambda params, X: params["z"], outputs, y)
    right = sum(float((a - b).norm() ** 2) for a, b in zip(outputs, y)) / 2 / 6
    assert float(loss({"z": outputs})) == pytest.approx(right)


def test_classes_in_a_column_are_not_compared_with_every_prediction():
    case = build([3, 4, 2], 0)
    X, classes = case.loss.X, torch.zeros(20, dtype=torch.long)
    with pytest.raises(
        ValueError, match=r"one class number for each prediction, got \(.*, 1\) for"
    ):
        accuracy(relu_net, case.params, X, classes[:, None])
    assert 0 <= accuracy(relu_net, case.params, X, classes) <= 1


# Several inputs, as one tuple or one dict: the loss is the same function of θ.


def looked_up(params, x):
    """A table of words and a matrix: two inputs, one of them whole numbers."""
    i, z = (x["i"], x["z"]) if isinstance(x, dict) else x
    return params["table"][i] + z @ params["M"]


SEVERAL = {
    "table": torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
    "M": torch.randn(3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64),
}
WORDS = torch.tensor([0, 4, 2, 2, 1, 3])
REALS = torch.randn(6, 3, generator=torch.Generator().manual_seed(3))  # coarser than θ


@pytest.mark.parametrize(
    "box", [lambda i, z: (i, z), lambda i, z: [i, z], lambda i, z: dict(z=z, i=i)]
)
@pytest.mark.parametrize("loss", [squared_error, cross_entropy])
def test_several_inputs_go_by_their_rows(box, loss):
    y = torch.tensor([0, 1, 1, 0, 1, 0])
    y = y if loss is cross_entropy else torch.stack([y, 1 - y], 1).double()
    x = (WORDS, REALS.double())
    several = loss(looked_up, box(WORDS, REALS), y)
    z = [float(loss(lambda params, x: x, looked_up(SEVERAL, x), y)({"a": torch.ones(1)}))]
    assert float(several(SEVERAL)) == pytest.approx(z[0], rel=1e-12)
    rows = torch.tensor([5, 1])
    assert torch.equal(several.f(SEVERAL, rows), looked_up(SEVERAL, (WORDS[rows], x[1][rows])))
    assert torch.equal(several.X, torch.arange(6))


@pytest.mark.parametrize(
    ("X", "y", "sentence"),
    [
        ((WORDS, REALS[:4]), REALS, "got 4 inputs and 6 targets"),
        ((WORDS, REALS / 0), REALS, "got NaN or infinite entries in X:"),
        (REALS, REALS / 0, "got NaN or infinite entries in y:"),
        ({"i": WORDS, "z": 3}, REALS, "tensors, got int, Tensor: a pair"),
        ((), REALS, "tensors, got tuple, Tensor: a pair"),
        ((WORDS, REALS), None, "tensors, got Tensor, NoneType: a pair"),
        (REALS, torch.tensor(1.0), "tensors, got Tensor, Tensor: a pair"),
    ],
)
def test_inputs_that_do_not_fit_together_are_named(X, y, sentence):
    with pytest.raises(ValueError, match=f"^squared_error needs .*{sentence}"):
        squared_error(looked_up, X, y)


@pytest.mark.parametrize("box", [tuple, list, lambda pair: dict(zip("iz", pair))])
def test_inputs_made_without_gradients_are_taken_too(box):
    with torch.inference_mode():
        z = REALS + 1
    params = {name: block.clone().requires_grad_() for name, block in SEVERAL.items()}
    squared_error(looked_up, box((WORDS, z)), REALS[:, :2].double())(params).backward()
    assert params["M"].grad.any()
