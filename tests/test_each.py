"""A function of many rows, for layers that torch cannot take many rows through at once.

Oracle: the same function called row by row, or the same layer written in plain operations.
"""

import pytest
import torch
from torch import nn

from helpers import (
    functional,
    hs_box,
    hs_description_length,
    local_entropy,
    net,
    squared_error,
    visible_volume,
    volume_flatness,
)
from helpers.measures._each import each

LAYERS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}


def recurrent(name):
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.out = LAYERS[name](1, 1, batch_first=True), nn.Linear(1, 1)

        def forward(self, x):
            return self.out(self.a(x)[0][:, -1])

    f, params = functional(Net().double())
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(5, 3, 1, generator=generator, dtype=torch.float64)
    return squared_error(f, X, torch.zeros(5, 1).double()), params


@pytest.mark.parametrize("name", LAYERS)
def test_every_measure_of_many_points_takes_a_recurrent_layer(name):
    loss, params = recurrent(name)
    boxes = [hs_box(loss.f, params, x, 0.1) for x in loss.X]
    lengths = torch.stack([-box[box.isfinite()].log().sum() for box in boxes])
    found = hs_description_length(loss, params, 0.1)
    assert found == pytest.approx(float(lengths.mean()), rel=1e-9)
    assert local_entropy(loss, params, 1.0, samples=40).effective_samples > 1
    n = sum(block.numel() for block in params.values())
    D = torch.eye(n, dtype=torch.float64)[:2]
    assert volume_flatness(loss, params, 0.1, window=1.0, points=5, directions=D).value > 0
    assert visible_volume(loss, params, 0.1, radius=0.1, samples=4, scan=2).value > 0


def test_the_box_of_a_recurrent_layer_has_the_slopes_of_differences():
    loss, params = recurrent("GRU")
    from helpers import flatten, unflatten

    theta, x = flatten(params), loss.X[0]
    f = lambda v: loss.f(unflatten(theta + v, params), x[None])[0].detach()  # noqa: E731
    steps = 1e-6 * torch.eye(len(theta), dtype=torch.float64)
    slope = torch.stack([(f(v) - f(-v)) / 2e-6 for v in steps])[:, 0].abs()
    share = float((slope > 1e-9).sum())
    seen = slope > 1e-6
    assert torch.allclose(
        hs_box(loss.f, params, x, 0.1)[seen], 0.1**0.5 / share / slope[seen], rtol=1e-4
    )


def test_rows_at_once_and_one_by_one_are_the_same():
    X = torch.arange(12.0).reshape(4, 3)
    at_once = each(lambda x, y: (x * y).sum(), X, X)
    one_by_one = each(lambda x, y: float((x * y).sum()), X, X)
    assert torch.equal(at_once, one_by_one)


@pytest.mark.parametrize(
    ("rows", "options", "calls"), [(5, {"chunk": 2}, 3), (513, {}, 2), (1, {}, 1)]
)
def test_many_rows_go_through_at_once_and_no_more_than_are_allowed(rows, options, calls):
    seen = []
    X = torch.arange(3.0 * rows).reshape(rows, 3)
    found = each(lambda x: seen.append(x.shape) or x.sum(), X, **options)
    assert torch.equal(found, X.sum(1))
    assert seen == [(3,)] * (1 + calls)  # the first row alone, then a call for each chunk


def test_a_fault_of_the_function_itself_is_not_hidden():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        each(lambda x: net()({"theta1": torch.ones(2, 2)}, x[None]), torch.ones(4, 3))
