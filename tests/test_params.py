"""Parameters as a dictionary and as a vector.

Oracle: numpy's own concatenation of the blocks, and torch's `parameters_to_vector`, which know
nothing of these functions.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from random_nets import DEVICES, cases, law
from torch import nn
from torch.nn.utils import parameters_to_vector

from helpers import (
    flatten,
    functional,
    init_net,
    layer_traces,
    path_norm,
    relative_flatness,
    relu_net,
    spectral_norm,
    squared_error,
    unit_scaling,
)
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
    assert torch.equal(P.flatten(P.perturb(params, v)), P.flatten(params) + v)
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


def test_blocks_of_two_dtypes_get_their_own_back():
    like = {"theta1": torch.zeros(2, 3), "b1": torch.zeros(3, dtype=torch.float64)}
    back = P.unflatten(torch.arange(9.0).double(), like)
    assert {name: block.dtype for name, block in back.items()} == {
        "theta1": torch.float32,
        "b1": torch.float64,
    }
    assert torch.equal(P.flatten(back), torch.arange(9.0).double())


def test_a_tensor_of_inference_mode_is_copied_for_autograd_and_no_other_is():
    with torch.inference_mode():
        made = torch.ones(3)
    with pytest.raises(RuntimeError, match="[Ii]nference tensor"):
        made.requires_grad_()
    copied = P.as_ordinary(made).requires_grad_()
    (slope,) = torch.autograd.grad(copied.square().sum(), copied)
    assert torch.equal(slope, 2 * torch.ones(3))
    assert P.as_ordinary(copied) is copied


def test_a_value_comes_without_its_graph_though_it_needs_one_inside():
    def force(x):
        z = x.clone().requires_grad_()
        return {"force": torch.autograd.grad((z**3).sum(), z, create_graph=True)[0], "of": "x³"}

    x = torch.tensor([1.0, 2.0])
    out = P.without_graph(force, x)
    assert torch.equal(out["force"], 3 * x**2) and out["of"] == "x³"
    assert not out["force"].requires_grad
    theta = x.clone().requires_grad_()
    assert not P.without_graph(torch.square, theta).requires_grad


def test_a_vector_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"unflatten needs a vector of shape \(9,\), got \(8,\)"):
        P.unflatten(torch.zeros(8), TWO)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_entry_is_named(bad):
    with pytest.raises(ValueError, match=r"here needs finite parameters, got 3 NaN .* in b1"):
        P.check_finite({**TWO, "b1": torch.full((3,), bad)}, "here")
    P.check_finite(TWO, "here")


def both_ways():
    """One 4-3-2 net with biases, once with our names (in, out) and once as a module (out, in)."""
    ours = init_net([4, 3, 2], bias=True, generator=torch.Generator().manual_seed(3))
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    names = {"theta1": "0.weight", "b1": "0.bias", "theta2": "2.weight", "b2": "2.bias"}
    torchs = {names[k]: block.T if block.ndim == 2 else block for k, block in ours.items()}
    f, _ = functional(module)
    X = torch.randn(30, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    y = torch.randn(30, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return (ours, squared_error(relu_net, X, y)), (torchs, squared_error(f, X, y)), names


MEASURES = {
    "relative flatness": lambda loss, params, weight: relative_flatness(loss, params, weight),
    "path norm": lambda loss, params, weight: path_norm(params),
    "trace of a layer": lambda loss, params, weight: layer_traces(loss, params)[weight],
    "hidden factors": lambda loss, params, weight: float(
        flatten(unit_scaling(params, torch.tensor([1.0, 2.0, 5.0]).double(), **ends(params))).sum()
    ),
}


def ends(params):
    up, down = P.weight_names(params)
    return {"up": up, "down": down}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_measure_is_the_same_whichever_way_round_the_weights_are_stored(measure):
    (ours, here), (torchs, there), names = both_ways()
    for weight in ("theta1", "theta2"):
        one, other = measure(here, ours, weight), measure(there, torchs, names[weight])
        assert one == pytest.approx(other, rel=1e-12)
        assert one != 0


def test_a_convolution_and_layers_that_do_not_follow_are_refused_in_one_sentence():
    convolution = {"0.weight": torch.ones(3, 3, 3, 3), "2.weight": torch.ones(3, 3, 3, 3)}
    with pytest.raises(ValueError, match=r"needs a weight with two axes, got 0.weight of shape"):
        path_norm(convolution)
    with pytest.raises(ValueError, match=r"path_norm needs 2.weight to take the 3 units"):
        path_norm({"0.weight": torch.ones(3, 4), "2.weight": torch.ones(2, 5)})


@pytest.mark.parametrize("params", [torch.nn.Linear(2, 1), [torch.ones(2)], torch.ones(2)])
def test_parameters_without_names_are_refused_with_where_to_get_them(params):
    with pytest.raises(ValueError, match="dict of tensors, got .*functional.module. returns"):
        spectral_norm(lambda p: 0, params)


FORWARD = """
import warnings, torch
warnings.simplefilter("error")
from helpers import flatten
print(torch.func.hessian(lambda t: t**3)(torch.ones(())))
"""


def test_torch_goes_forward_without_a_word_about_itself():
    """Its script compiler warns once a process, in red below a reader's cell from 2.14 on."""
    done = subprocess.run([sys.executable, "-c", FORWARD], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("tensor(6.)\n", "")
