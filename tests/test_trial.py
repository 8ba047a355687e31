"""The trial of a group before it is believed: what it runs on, and what it holds against it.

Oracle: memory laid out by hand, distances by their definition, rules that are wrong on purpose.
"""

import math
from types import MappingProxyType

import pytest
import torch
from group_nets.registry import between
from torch import nn

from helpers import find_symmetries
from helpers.maps import _trial
from helpers.maps._rules import RULES
from helpers.nets import _called


def two_layers(step):
    torch.manual_seed(0)
    return between(step, (4, 6, 3)), torch.randn(5, 4)


def passes(s, x, *_, **__):
    return s[x]


@pytest.mark.parametrize(
    ("op", "step"),
    [
        ("sin", torch.sin),
        ("tanh", torch.tanh),
        ("add", lambda z: z + 0.01),
        ("hardtanh", nn.functional.hardtanh),
    ],
)
def test_a_rule_that_is_wrong_is_found_out(op, step, monkeypatch):
    module, x = two_layers(step)
    assert find_symmetries(module, x).dim == 0
    monkeypatch.setitem(RULES, op, passes)
    found = find_symmetries(module, x)
    reasons = {refusal.up: refusal.reason for refusal in found.refused}
    assert found.dim == 0
    assert "its factor would move the outputs by " in reasons["up"]


def test_a_rule_that_is_wrong_on_another_input_only_is_found_out(monkeypatch):
    """On x no number is larger than the bound; on the other input, of other sizes, some are."""
    module, x = two_layers(lambda z: z.clamp_max(1e3))
    monkeypatch.setitem(RULES, "clamp_max", passes)
    module.double()
    assert find_symmetries(module, x.double()).dim == 6  # nothing ever reaches that bound
    module.forward = lambda x: module.down(torch.relu(module.up(x)) + (x[:1] != first).any())
    first = x.double()[:1].clone()
    monkeypatch.setitem(RULES, "add", passes)
    assert find_symmetries(module, x.double()).dim == 0


def test_a_right_group_is_believed_and_the_worlds_dice_stay_where_they_are():
    module, x = two_layers(torch.relu)
    before = torch.get_rng_state()
    assert find_symmetries(module, x).dim == 6
    assert torch.equal(torch.get_rng_state(), before)


def test_it_runs_in_double_precision_where_the_module_can():
    module, x = two_layers(torch.relu)
    trial = _trial.Trial(module, (x, torch.arange(3)), torch.float64)
    assert [t.dtype for t in trial.x] == [torch.float64, torch.int64]
    assert {p.dtype for p in trial.params.values()} == {torch.float64}
    norm = _trial.Trial(nn.BatchNorm1d(3), torch.ones(2, 3), torch.float64)
    assert norm.own["running_mean"].dtype == torch.float64
    seen = []
    module, x = two_layers(lambda z: seen.append(z.dtype) or torch.relu(z))
    assert find_symmetries(module, x).dim == 6
    assert set(seen) == {torch.float64}


def test_keywords_may_come_in_any_mapping():
    module, x = two_layers(torch.relu)
    named = MappingProxyType({"x": x})
    assert find_symmetries(module, named).dim == 6
    assert _trial.Trial(module, named).x["x"].dtype == torch.float64


@pytest.mark.parametrize(
    ("first", "second", "met"),
    [
        (slice(0, 4), slice(4, 8), set()),
        (slice(0, 5), slice(4, 8), {"a", "b"}),
        (slice(0, 8, 2), slice(1, 8, 2), {"a", "b"}),  # between each other
        (slice(0, 8, 7), slice(7, 8), {"a", "b"}),
        (slice(3, 8), slice(0, 3), set()),
    ],
)
def test_parameters_whose_memory_meets_are_named(first, second, met):
    memory, module = torch.ones(8), nn.Module()
    module.a, module.b = nn.Parameter(memory[first]), nn.Parameter(memory[second])
    module.far, module.empty = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(0))
    assert _called.entwined(module) == met


def test_a_distance_is_relative_and_endless_where_shapes_or_holes_differ():
    a = torch.tensor([3.0, 4.0, math.inf])
    assert _trial._distance(a, a) == 0
    assert _trial._distance(a, torch.tensor([3.0, 4.5, math.inf])) == pytest.approx(0.1)
    assert _trial._distance(a, torch.tensor([3.0, 4.0, 5.0])) == math.inf
    assert _trial._distance(a, a[:2]) == math.inf
    assert _trial._distance(1j * a[:2], a[:2]) == pytest.approx(2**0.5)
    assert _trial._distance(0 * a[:2], 0 * a[:2]) == 0


def test_another_input_is_of_the_same_kind_and_really_another():
    dice = torch.Generator().manual_seed(0)
    assert _trial._other(torch.tensor([3, 5]), dice).tolist() == [5, 3]
    x = torch.arange(1.0, 7.0).reshape(2, 3)
    other = _trial._other(x, dice)
    assert (other.shape, other.dtype) == (x.shape, x.dtype)
    assert not torch.isclose(other.sort(dim=1).values, x).any()
    assert bool((other > 0.5).all()) and bool((other < 9).all())  # within a half of some number
    assert _trial._other("text", dice) == "text"
    assert _trial._other(torch.tensor(2.0), dice) == 2


def test_random_weights_are_not_near_zero_and_keep_the_size_of_a_signal():
    dice = torch.Generator().manual_seed(0)
    w = _trial._random(torch.zeros(50, 100), dice)
    assert (w.dtype, w.shape) == (torch.float32, (50, 100))
    assert 0.05 <= float(w.abs().min()) < 0.06 and 0.14 < float(w.abs().max()) <= 0.15
    assert abs(float(w.sign().mean())) < 0.05
    gain = _trial._random(torch.zeros(100), dice)
    assert 0.5 <= float(gain.min()) < float(gain.max()) <= 1.5
    steps = torch.arange(3)
    assert _trial._random(steps, dice) is steps
    phases = _trial._random(torch.zeros(50, 100, dtype=torch.complex64), dice)
    assert (phases.dtype, phases.shape) == (torch.complex64, (50, 100))
    assert float(phases.real.abs().min()) > 0.03 and float(phases.imag.abs().min()) > 0.03


def test_a_shaken_buffer_is_positive_where_it_was_zero_and_whole_numbers_stay():
    dice, mean = torch.Generator().manual_seed(0), torch.tensor([0.0, 2.0, -2.0])
    shaken = _trial._shaken(mean, dice)
    assert 0.05 <= float(shaken[0]) <= 0.15
    assert 1 <= float(shaken[1]) <= 3 and -3 <= float(shaken[2]) <= -1
    assert _trial._shaken(torch.tensor(4), dice) == 4


def test_the_last_digit_of_each_weight_moves_by_up_to_two_units():
    """Of a gain nothing is added up: the change is 2/√3 of a unit in the mean, and rounding."""

    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(2000))

        def forward(self, x):
            return self.gain * x

    trial = _trial.Trial(Gain(), torch.ones(2000), torch.float64)
    trial.draw()
    share = trial.rounding() / torch.finfo(torch.float64).eps
    assert 2 / 3**0.5 - 0.2 < share < 2 / 3**0.5 + 0.3
