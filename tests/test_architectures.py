"""The table of other people's networks: it can fail, and it says where.

Oracle: two layers whose answer is known, and answers with one planted fault each.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

import helpers
from benchmarks import architectures, zoo


@pytest.fixture(autouse=True)
def two_layers(monkeypatch):
    """The only network of the zoo is one that needs nothing installed."""
    threads = torch.get_num_threads()
    make = lambda: (layers().double(), inputs())  # noqa: E731
    layers = lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))  # noqa: E731
    inputs = lambda: torch.randn(5, 3, dtype=torch.float64)  # noqa: E731
    monkeypatch.setattr(zoo, "ZOO", {"two layers": make})
    yield
    torch.set_num_threads(threads)


def test_a_good_answer_is_a_line_without_faults():
    (*_, line), wrong, faint = architectures.table(["two layers"])
    assert line.startswith("| two layers | 26 | 4 | 1 | 1 |")
    assert not wrong and not faint


def without_refusals(found):
    return replace(found, refused=())


def refused_twice(found):
    return replace(found, refused=(*found.refused, replace(found.refused[0], up="0")))


@pytest.mark.parametrize(
    ("plant", "sentence"),
    [(without_refusals, "neither found nor refused, or unknown: 2."), (refused_twice, "once: 0.")],
)
def test_a_layer_left_out_or_answered_twice_is_named(plant, sentence, monkeypatch):
    right = helpers.find_symmetries
    monkeypatch.setattr(helpers, "find_symmetries", lambda *a: plant(right(*a)), raising=False)
    _, (wrong,), _ = architectures.table(["two layers"])
    assert wrong.endswith(sentence)


def test_a_twin_that_predicts_otherwise_is_a_fault(monkeypatch):
    kind = type(helpers.find_symmetries(*zoo.ZOO["two layers"]()))
    right = kind.scaling
    off = lambda *a: {name: S * (1 + 1e-6) for name, S in right(*a).items()}  # noqa: E731
    monkeypatch.setattr(kind, "scaling", off)
    _, (wrong,), _ = architectures.table(["two layers"])
    assert "predictions are off by" in wrong


def test_a_forgotten_layer_that_the_trial_does_not_see_is_a_fault(monkeypatch):
    monkeypatch.setattr(architectures, "left_out", lambda *_: [("0", 1.0), ("2", 1e-8)])
    _, (wrong,), _ = architectures.table(["two layers"])
    assert wrong.endswith("2 left out moves the predictions by 1.0e-08 only.")


class Gated(nn.Module):
    """One layer makes both: what is multiplied by a factor, and what is divided by it."""

    def __init__(self):
        super().__init__()
        self.both, self.head = nn.Linear(3, 8), nn.Linear(4, 2)

    def forward(self, x):
        a, b = self.both(x).chunk(2, -1)
        return self.head(torch.tanh(a * b))


@pytest.mark.parametrize("downs", [["2"], ["both"]])
def test_what_a_layer_divides_is_left_out_and_nothing_else(downs):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), Gated()
    module = layers[downs == ["both"]].double()
    x, params = torch.randn(5, 3).double(), dict(module.named_parameters())
    found = helpers.find_symmetries(module, x)
    pairs = [(s, down) for s in found.found for down in s.downs if down in downs]
    assert pairs
    for s, down in pairs:
        wrong = architectures.LeftOut(found._group, found._kinds[s], down)
        right, z = found._group, torch.ones(found.dim, dtype=torch.float64)
        for name, u in right.logs(z, params).items():
            assert (wrong.logs(z, params)[name] == u.clamp(min=0 if down in name else -9)).all()
    assert min(off for _, off in architectures.left_out(module, x, found)) > 0.01


def test_a_layer_that_is_hardly_felt_is_named_and_is_no_fault(monkeypatch):
    monkeypatch.setattr(architectures, "powers", lambda *_: [("0", 1e-4)])
    _, wrong, (faint,) = architectures.table(["two layers"])
    assert not wrong
    assert faint == "two layers: `0`, 0.0001."


def test_a_network_that_breaks_leaves_the_others_their_lines(monkeypatch):
    def broken():
        raise RuntimeError("no such model")

    monkeypatch.setitem(zoo.ZOO, "broken", broken)
    lines, wrong, _ = architectures.table(["broken", "two layers"])
    assert lines[-1].startswith("| two layers | 26 |")
    assert wrong == ["broken: RuntimeError: no such model"]


def test_what_rounding_does_to_the_predictions_may_be_as_large_as_it_is():
    right = helpers.find_symmetries(*zoo.ZOO["two layers"]())
    answer = lambda kept, rounding: [  # noqa: E731
        *architectures.faults(layers_of(right), right, kept, rounding, ("2", 1.0))
    ]
    assert not answer(1e-10, 0.0) and not answer(1e-8, 1e-9)
    assert "off by 1.0e-08" in answer(1e-8, 1e-11)[0]


def layers_of(found):
    """A module with the layers that are found or refused."""
    names = [s.up for s in found.found] + [refusal.up for refusal in found.refused]
    return nn.ModuleDict({name: nn.Linear(1, 1) for name in names})
