"""Parameters as a dictionary and as a vector.

Oracle: numpy's own concatenation of the blocks, and torch's `parameters_to_vector`, which know
nothing of these functions.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from random_nets import DEVICES, cases, law
from torch.nn.utils import parameters_to_vector

from helpers.nets import _params as P

TWO = {"theta1": torch.arange(6.0).reshape(2, 3), "b1": torch.zeros(3)}


@law(100)
@given(case=cases())
def test_flatten_is_numpys_concatenation_and_torchs(case):
    theta = P.flatten(case.params)
    blocks = [np.asarray(block).ravel() for block in case.params.values()]
    assert np.array_equal(theta.numpy(), np.concatenate(blocks))
    assert torch.equal(theta, parameters_to_vector(case.params.values()))


@law(100)
@given(case=cases())
def test_unflatten_undoes_flatten(case):
    back = P.unflatten(P.flatten(case.params), case.params)
    assert list(back) == list(case.params)
    assert all(torch.equal(back[name], block) for name, block in case.params.items())
    assert sum(P.sizes(case.params).values()) == len(P.flatten(case.params))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_perturb_moves_along_v_and_keeps_dtype_and_device(dtype, device):
    params = {name: block.to(device, dtype) for name, block in TWO.items()}
    v = torch.arange(9.0).to(device, dtype)
    moved = P.perturb(params, v, 0.5)
    assert torch.equal(P.flatten(moved), P.flatten(params) + 0.5 * v)
    assert all(b.dtype == dtype and b.device == v.device for b in moved.values())
    assert torch.equal(params["theta1"].cpu(), TWO["theta1"].to(dtype))  # the old ones stay


def test_names_of_weights_and_biases():
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(2, 1)
    )
    params = dict(module.named_parameters())
    assert P.weight_names(params) == ["0.weight", "3.weight"]
    assert P.weight_names(TWO) == ["theta1"]
    assert P.bias_name("theta12") == "b12"
    assert P.bias_name("0.weight") == "0.bias"


def test_a_vector_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"unflatten needs a vector of shape \(9,\), got \(8,\)"):
        P.unflatten(torch.zeros(8), TWO)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_entry_is_named(bad):
    with pytest.raises(ValueError, match=r"here needs finite parameters, got 3 NaN .* in b1"):
        P.check_finite({**TWO, "b1": torch.full((3,), bad)}, "here")
    P.check_finite(TWO, "here")
