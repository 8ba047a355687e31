"""The nets.

Oracle: the same net written as a `torch.nn.Sequential`, and in numpy, entry by entry.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, cases, law, off
from torch import nn

from helpers import (
    ACTIVATIONS,
    functional,
    init_net,
    is_positively_homogeneous,
    net,
    relu_net,
    weight_names,
)
from helpers.nets._params import bias_name


def in_numpy(params, x):
    for k, weight in enumerate(weight_names(params)):
        x = (x if k == 0 else np.maximum(x, 0)) @ params[weight].numpy()
        if bias_name(weight) in params:
            x = x + params[bias_name(weight)].numpy()
    return x


def as_sequential(params):
    layers = []
    for weight in weight_names(params):
        d, h = params[weight].shape
        layer = nn.Linear(d, h, bias=bias_name(weight) in params, dtype=torch.float64)
        layer.weight.data = params[weight].T.clone()
        if layer.bias is not None:
            layer.bias.data = params[bias_name(weight)].clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@law(100)
@given(case=cases())
def test_definition_3_against_numpy_and_torch(case, ledger):
    y = relu_net(case.params, case.X)
    assert y.shape == (len(case.X), case.widths[-1])
    ledger("definition-3", error=off(y, in_numpy(case.params, case.X.numpy())), tol=1e-12)
    ledger("definition-3", error=off(y, as_sequential(case.params)(case.X)), tol=1e-12)


@law(30)
@given(case=cases())
def test_any_module_becomes_a_function_of_its_parameters(case):
    module = as_sequential(case.params)
    f, params = functional(module)
    before = [p.clone() for p in module.parameters()]
    assert off(f(params, case.X), relu_net(case.params, case.X)) < 1e-12
    doubled = f({name: 2 * block for name, block in params.items()}, case.X)
    assert not torch.equal(doubled, f(params, case.X)) or not bool(doubled.any())
    assert all(torch.equal(p, q) for p, q in zip(before, module.parameters()))
    assert not any(block.requires_grad for block in params.values())


@pytest.mark.parametrize(
    ("activation", "yes"),
    [
        *((name, True) for name in ("relu", "leaky_relu", "abs", "linear")),
        *((name, False) for name in ("tanh", "gelu", "softplus")),
    ],
)
def test_definition_4_tells_the_activations_apart(activation, yes, ledger):
    assert is_positively_homogeneous(ACTIVATIONS[activation]) == yes
    z, alpha = torch.linspace(-3, 3, 61, dtype=torch.float64), 3.0
    phi = ACTIVATIONS[activation]
    differs = float((phi(alpha * z) - alpha * phi(z)).abs().max()) > 1e-6
    ledger("definition-4", error=float(differs == yes), tol=0)


def test_definition_4_asks_for_every_factor():
    """Multiplying by ten only shifts the phase of this one; multiplying by 0.7 does not."""

    def phi(z):
        return z * (2 + torch.sin(2 * torch.pi * z.abs().clamp_min(1e-300).log10()))

    z = torch.linspace(-3, 3, 60, dtype=torch.float64)
    assert off(phi(0.1 * z), 0.1 * phi(z)) < 1e-12
    assert not is_positively_homogeneous(phi)


def test_definition_4_looks_close_to_zero_and_far_from_it():
    """One of these is bent within 0.05 of zero, the other one from 50 on."""
    bent = lambda where: lambda z: torch.where(where(z.abs()), 2 * z, z)  # noqa: E731
    assert not is_positively_homogeneous(bent(lambda size: size < 0.05))
    assert not is_positively_homogeneous(bent(lambda size: size > 50))


def test_definition_4_is_held_to_rounding_unless_more_is_allowed():
    def phi(z):
        return z + 1e-10 * torch.sin(z)

    assert not is_positively_homogeneous(phi)
    assert is_positively_homogeneous(phi, tol=1e-8)


@law(100)
@given(alpha=st.floats(0, 1e6), z=st.floats(-1e6, 1e6))
def test_theorem_1_for_any_factor(alpha, z, ledger):
    left, right = max(0.0, alpha * z), alpha * max(0.0, z)  # Python's floats, not torch
    assert float(torch.relu(torch.tensor(alpha * z, dtype=torch.float64))) == left
    ledger("theorem-1", error=abs(left - right), tol=0)


def test_a_negative_factor_is_not_homogeneous():
    assert max(0.0, -2 * -1.0) != -2 * max(0.0, -1.0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_he_initialization_has_the_promised_spread(dtype, device):
    generator = torch.Generator().manual_seed(0)
    params = init_net([400, 300, 2], bias=True, generator=generator, dtype=dtype, device=device)
    assert {name: tuple(b.shape) for name, b in params.items()} == {
        "theta1": (400, 300),
        "b1": (300,),
        "theta2": (300, 2),
        "b2": (2,),
    }
    assert float(params["theta1"].std()) == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert float(params["b1"].std()) == pytest.approx(0.1, rel=0.2)
    assert all(b.dtype == dtype and b.device.type == device for b in params.values())
    y = relu_net(params, torch.ones(5, 400, dtype=dtype, device=device))
    assert y.dtype == dtype


def test_seeds_fix_the_weights():
    one, two, three = (
        init_net([3, 2, 1], generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)
    )
    assert torch.equal(one["theta1"], two["theta1"])
    assert not torch.equal(one["theta1"], three["theta1"])


def test_a_linear_map_is_the_smallest_net_and_without_bias_unless_asked():
    params = init_net([3, 2], generator=torch.Generator().manual_seed(0))
    assert {name: tuple(block.shape) for name, block in params.items()} == {"theta1": (3, 2)}
    x = torch.eye(3, dtype=torch.float64)
    assert torch.equal(relu_net(params, x), params["theta1"])


def test_a_net_is_rectified_unless_another_activation_is_asked_for():
    params = {"theta1": torch.eye(2), "theta2": torch.eye(2)}
    assert net()(params, torch.tensor([[-1.0, 2.0]])).tolist() == [[0.0, 2.0]]


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"net needs one of relu, .*, got 'sigmoid'"):
        net("sigmoid")


@pytest.mark.parametrize("widths", [[3], [3, 0, 1], [3, -1]])
def test_impossible_widths_are_refused(widths):
    with pytest.raises(ValueError, match="init_net needs two or more positive widths"):
        init_net(widths, generator=torch.Generator().manual_seed(0))


HOMOGENEOUS = {"relu", "leaky_relu", "abs", "linear"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_has_its_slope_and_passes_a_factor_on_as_listed(name):
    phi = ACTIVATIONS[name]
    z = torch.linspace(-5, 5, 100, dtype=torch.float64, requires_grad=True)  # no kink on it
    assert bool(phi(z).isfinite().all()) and torch.autograd.gradcheck(phi, z)
    said = f"{name} needs to stand in HOMOGENEOUS if phi(alpha z) = alpha phi(z), and only then."
    assert is_positively_homogeneous(phi) == (name in HOMOGENEOUS), said
