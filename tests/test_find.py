"""Symmetries found by tracing a module: every one keeps the function, every refusal has a reason.

Oracle: the module itself, run with the rescaled parameters. A layer that is refused is multiplied
all the same, with what reads it divided, to see that the prediction really changes.
"""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from helpers import alpha_scale, find_symmetries, flatten, rescale, symmetry_scaling


class Encoder(nn.Module):
    """One block of a small transformer in plain layers."""

    def __init__(self, activation=F.relu):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(6, 6) for _ in range(4))
        self.up, self.down, self.norm = nn.Linear(6, 11), nn.Linear(11, 6), nn.LayerNorm(6)
        self.head, self.activation = nn.Linear(6, 3), activation

    def forward(self, x):
        attention = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 6**0.5, dim=-1)
        x = x + self.o(attention @ self.v(x))
        x = x + self.down(self.activation(self.up(self.norm(x))))
        return self.head(x.mean(1))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.b(torch.relu(self.a(torch.relu(self.a(x)))))


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        z = self.a(x)
        return self.c(torch.relu(self.b(torch.relu(z) + z)) + x)


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 6, 3, padding=1), nn.LeakyReLU(), nn.Dropout(0.5), nn.Flatten()),
        *(nn.Linear(96, 12), nn.GELU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)),
    )


def grouped():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 2),
    )  # fmt: skip


NETS = {
    "convolutional": (convolutional, (5, 1, 8, 8), {"1": 4, "4": 6, "10": 8}),
    "encoder": (Encoder, (5, 7, 6), {"v": None, "norm": 6, "up": 11}),
    "skip": (Skip, (5, 4), {"a": 4}),
    "grouped": (grouped, (5, 1, 8, 8), {"0": None, "2": 4}),
}


def built(name):
    torch.manual_seed(0)
    module, shape, units = NETS[name]
    return module().double().eval(), torch.randn(shape, dtype=torch.float64), units


@pytest.mark.parametrize("name", NETS)
def test_the_pairs_found_are_the_ones_known_by_hand(name):
    module, _, units = built(name)
    assert {s.up: s.units for s in find_symmetries(module).found} == units


@pytest.mark.parametrize("name", NETS)
def test_each_symmetry_keeps_the_function(name):
    module, x, _ = built(name)
    for symmetry in find_symmetries(module).found:
        factors = [3.0, 0.25]
        if symmetry.units:
            factors.append(torch.rand(symmetry.units) + 0.3)
        for c in factors:
            twin = rescale(module, {symmetry.up: c})
            assert not torch.equal(flatten(twin), flatten(dict(module.named_parameters())))
            difference = (functional_call(module, twin, (x,)) - module(x)).detach().abs().max()
            assert float(difference) < 1e-13


def test_several_layers_at_once():
    module, x, _ = built("convolutional")
    twin = rescale(module, {"1": torch.rand(4) + 0.5, "4": 7.0, "10": torch.rand(8) + 0.1})
    assert torch.allclose(functional_call(module, twin, (x,)), module(x), rtol=1e-12)


@pytest.mark.parametrize(("up", "down"), [("4", "8"), ("10", "12")])
def test_a_chain_of_layers_is_rescaled_as_the_paper_does(up, down):
    module, _, _ = built("convolutional")
    params = {name: p.detach() for name, p in module.named_parameters()}
    theirs = alpha_scale(params, 3.7, up=f"{up}.weight", down=f"{down}.weight")
    ours = rescale(module, {up: 3.7})
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-15, atol=0) for name in params)


def test_the_gain_of_a_batch_norm_is_a_layer_in_training_mode_too():
    module, x, _ = built("convolutional")
    module[6] = nn.Dropout(0.0)
    module.train()
    twin = rescale(module, {"1": 5.0, "4": 0.2})
    assert torch.allclose(functional_call(module, twin, (x,)), module(x), rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "up", "reason"),
    [
        ("convolutional", "0", "BatchNorm2d at 1 subtracts a stored mean"),
        ("convolutional", "8", "for GELU at 9"),
        ("convolutional", "12", "its output is the prediction"),
        ("encoder", "q", "softmax"),
        ("encoder", "o", "add joins it with a branch"),
        ("encoder", "head", "its output is the prediction"),
        ("skip", "b", "add joins it with a branch"),
    ],
)
def test_a_refusal_says_what_is_in_the_way_and_is_right(name, up, reason):
    module, x, _ = built(name)
    refused = {refusal.up: refusal.reason for refusal in find_symmetries(module).refused}
    assert reason in refused[up]
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    for key in (f"{up}.weight", f"{up}.bias"):
        params[key] = 3 * params[key]
    assert not torch.allclose(functional_call(module, params, (x,)), module(x), rtol=1e-3)
    with pytest.raises(ValueError, match="rescale needs one of the layers"):
        rescale(module, {up: 2.0})


def test_what_batch_norm_divides_out_in_training_mode():
    module, _, _ = built("convolutional")
    refused = {r.up: r.reason for r in find_symmetries(module.train()).refused}
    assert "divides every factor out again" in refused["0"]


def test_a_gelu_block_is_refused_where_a_relu_block_is_not():
    refused = {r.up: r.reason for r in find_symmetries(Encoder(F.gelu)).refused}
    assert "gelu" in refused["up"]


def test_shared_weights_are_refused():
    symmetries = find_symmetries(Twice())
    assert [refusal.up for refusal in symmetries.refused][:1] == ["a"]
    assert "more than once" in symmetries.refused[0].reason


def test_the_list_reads_as_sentences():
    module, _, _ = built("convolutional")
    lines = str(find_symmetries(module)).splitlines()
    assert lines[0] == (
        "1 ↔ 4 through ReLU, MaxPool2d: by one factor, or each of 4 units by its own."
    )
    assert len(lines) == 6


@pytest.mark.parametrize("c", [-1.0, 0.0, float("inf"), torch.ones(5)])
def test_bad_factors_are_one_sentence(c):
    module, _, _ = built("convolutional")
    symmetry = find_symmetries(module).found[0]
    params = {name: p.detach() for name, p in module.named_parameters()}
    with pytest.raises(ValueError, match="rescaling 1 needs finite factors > 0"):
        symmetry_scaling(params, c, symmetry)


def test_a_module_that_cannot_be_traced_is_one_sentence():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="needs a module that torch.fx can trace, got Branches"):
        find_symmetries(Branches())
    with pytest.raises(ValueError, match="there is no such layer"):
        rescale(convolutional(), {"99": 2.0})


def through(step):
    """Return two linear layers with a rectifier and a step of one's own between them."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.down(step(torch.relu(self.up(x))))

    return Net().double()


@pytest.mark.parametrize(
    "step",
    [
        lambda h: h * h,
        lambda h: h.mul(h),
        lambda h: torch.mul(h, h),
        lambda h: h / (h + 1),
        lambda h: torch.div(h, 0.5, rounding_mode="floor"),
        lambda h: 2 / (1 + h),
        lambda h: h.abs() * torch.relu(h),
    ],
)
def test_a_signal_that_meets_itself_or_is_rounded_is_refused(step):
    found = find_symmetries(through(step))
    assert not found.found and {r.up for r in found.refused} >= {"up"}


@pytest.mark.parametrize("step", [lambda h: h * 2, lambda h: h / 3, lambda h: h.mul(0.5)])
def test_a_number_beside_the_signal_lets_the_factor_through(step):
    assert {s.up for s in find_symmetries(through(step)).found} == {"up"}


def test_a_layer_that_reads_twice_cannot_divide_for_one_of_its_readings():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.down(torch.relu(self.up(x))) + self.down(x)

    assert "up" in {r.up for r in find_symmetries(Net()).refused}
