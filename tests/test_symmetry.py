"""The rescalings T_α: layers, K layers, single units, biases, convolutions, any module.

Oracle: the function itself, on fresh inputs that the loss has never seen; weights multiplied by
hand; and `nn.Module`s that torch evaluates. Twins drop a hypothesis each and must break.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, alphas_for, build, cases, law, log_uniform, off
from torch import nn

from helpers import (
    alpha_scale,
    apply_scaling,
    flatten,
    functional,
    init_net,
    layer_scaling,
    net,
    perturb,
    relu_net,
    scale_layers,
    scale_units,
    squared_error,
    unit_scaling,
    weight_names,
)


def fresh(case, n=50):
    return torch.randn(n, case.widths[0], generator=case.generator, dtype=torch.float64)


@law(100)
@given(case=cases(depth=(1, 1)), alpha=log_uniform())
def test_definition_5_multiplies_one_layer_and_divides_the_next(case, alpha, ledger):
    twin = alpha_scale(case.params, alpha)
    assert torch.equal(twin["theta1"], alpha * case.params["theta1"])
    assert off(twin["theta2"], case.params["theta2"] / alpha) < 1e-15
    x = fresh(case)
    statement = "appendix-b" if "b1" in case.params else "definition-5"
    ledger(statement, error=off(case.f(twin, x), case.f(case.params, x)), tol=1e-12)
    if "b1" in case.params:
        assert torch.equal(twin["b1"], alpha * case.params["b1"])
        assert torch.equal(twin["b2"], case.params["b2"])


@law(100)
@given(case=cases(depth=(1, 3)), data=st.data())
def test_appendix_b_any_depth_any_biases(case, data, ledger):
    alphas = data.draw(alphas_for(case.params))
    twin = scale_layers(case.params, alphas)
    x = fresh(case)
    ledger("appendix-b-deep", error=off(case.f(twin, x), case.f(case.params, x)), tol=1e-10)
    so_far = 1.0
    for k, name in enumerate(weight_names(case.params), start=1):
        so_far *= alphas[name]
        if f"b{k}" in case.params:  # the product up to here; the last product is one
            assert off(twin[f"b{k}"], so_far * case.params[f"b{k}"]) < 1e-8
    if "b1" in case.params:
        last = f"b{len(weight_names(case.params))}"
        assert torch.equal(twin[last], case.params[last])


@law(100)
@given(case=cases(depth=(2, 3)), data=st.data())
def test_one_factor_for_each_unit_keeps_the_function(case, data):
    h = case.widths[2]
    c = torch.tensor(data.draw(st.lists(log_uniform(), min_size=h, max_size=h))).double()
    twin = scale_units(case.params, c, up="theta2", down="theta3")
    x = fresh(case)
    assert off(case.f(twin, x), case.f(case.params, x)) < 1e-11
    assert off(twin["theta2"], case.params["theta2"] * c[None, :]) < 1e-15
    assert off(twin["theta3"], case.params["theta3"] / c[:, None]) < 1e-15
    even = scale_units(case.params, 0 * c + 7.0, up="theta2", down="theta3")
    layer = alpha_scale(case.params, 7.0, up="theta2", down="theta3")
    assert off(flatten(even), flatten(layer)) < 1e-15


@law(50)
@given(case=cases(), a=log_uniform(), b=log_uniform(), data=st.data())
def test_rescalings_are_a_group(case, a, b, data, ledger):
    down = data.draw(st.sampled_from(weight_names(case.params)[1:]))
    scale = lambda params, alpha: alpha_scale(params, alpha, down=down)  # noqa: E731
    theta = flatten(case.params)
    twice = flatten(scale(scale(case.params, a), b))
    ledger("group", error=off(twice, flatten(scale(case.params, a * b))), tol=1e-14)
    assert off(flatten(scale(scale(case.params, a), 1 / a)), theta) < 1e-14
    assert torch.equal(flatten(scale(case.params, 1.0)), theta)


@law(50)
@given(case=cases(), k=st.integers(-30, 30), data=st.data())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_powers_of_two_keep_every_bit(dtype, case, k, data, ledger):
    down = data.draw(st.sampled_from(weight_names(case.params)[1:]))
    params = {name: block.to(dtype) for name, block in case.params.items()}
    x = fresh(case).to(dtype)
    y, twin = case.f(params, x), case.f(alpha_scale(params, 2.0**k, down=down), x)
    ledger("bit-identity", error=int((y != twin).sum()), tol=0)


def test_other_factors_do_not_keep_every_bit():
    case = build([8, 8, 4], 0)
    x = fresh(case, 500)
    assert not torch.equal(case.f(alpha_scale(case.params, 0.3), x), case.f(case.params, x))


@law(30)
@given(case=cases(depth=(1, 1), where="minimum"))
def test_two_points_of_one_orbit_are_observationally_equivalent(case, ledger):
    c = 0.1 + torch.rand(case.widths[1], generator=case.generator, dtype=torch.float64)
    twin = scale_units(case.params, c)
    x = 100 * fresh(case, 200)  # far outside the training inputs
    ledger(
        "observational-equivalence", error=off(case.f(twin, x), case.f(case.params, x)), tol=1e-12
    )


@law(30)
@given(case=cases(depth=(1, 1), bias=False), silent=st.sampled_from([None, "theta1", "theta2"]))
def test_an_orbit_has_as_many_points_as_factors(case, silent, ledger):
    """Also where one of the layers is zero; the pairs stand at factors that grow by a tenth."""
    params = {name: block * (name != silent) for name, block in case.params.items()}
    if not float(flatten(params).norm()) > 1e-6:
        return
    x, theta = fresh(case), flatten(params)
    points = [alpha_scale(params, 1.1**k) for k in range(-20, 21)]
    worst = max(off(case.f(point, x), case.f(params, x)) for point in points)
    ledger("non-identifiability", error=worst, tol=1e-12)
    apart = torch.pdist(torch.stack([flatten(point) for point in points])).min()
    least = 0.0999 * float(theta.norm()) / 1.1**20  # two neighbours, where the orbit is slowest
    ledger("non-identifiability", error=max(0.0, least - float(apart)), tol=0)


@law(40)
@given(c=st.floats(0.3, 3), alpha=log_uniform(0.05, 20), share=st.floats(1e-5, 1e-4))
def test_contours_crowd_together_along_a_curve_of_one_function(c, alpha, share, ledger):
    """Figure 2. From θ₁θ₂ = c straight across to the next contour it is s/‖θ‖, by bisection."""
    one = lambda value: torch.full((1, 1), value, dtype=torch.float64)  # noqa: E731
    loss = squared_error(relu_net, one(1.0), one(c))
    twin = alpha_scale({"theta1": one(c**0.5), "theta2": one(c**0.5)}, alpha)
    t1, t2 = (float(block) for block in twin.values())
    x = torch.linspace(-2, 2, 9).double()[:, None]
    error = off(relu_net(twin, x), c * x.clamp_min(0))
    ledger("figure-2", error=error, tol=1e-12)
    across = torch.tensor([t2, t1], dtype=torch.float64) / math.hypot(t1, t2)
    low, high, s = 0.0, c, share * c
    while high - low > 1e-15:
        middle = (low + high) / 2
        inside = float(loss(perturb(twin, across, middle))) < s**2 / 2
        low, high = (middle, high) if inside else (low, middle)
    ledger("figure-2", error=abs(low * math.hypot(t1, t2) / s - 1), tol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_dtype_and_device_are_kept(dtype, tol, device):
    generator = torch.Generator().manual_seed(0)
    params = init_net([5, 7, 3], bias=True, generator=generator, dtype=dtype, device=device)
    x = torch.randn(40, 5, generator=generator).to(device, dtype)
    twin = alpha_scale(params, 0.37)
    assert all(b.dtype == dtype and b.device.type == device for b in twin.values())
    assert off(relu_net(twin, x), relu_net(params, x)) < tol


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, padding=1),
        nn.LeakyReLU(),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * 16, 5),
    ).double()


@pytest.mark.parametrize(("up", "down"), [("0", "3"), ("3", "7"), ("0", "7")])
def test_convolutions_flatten_and_pooling(up, down, ledger):
    module = convolutional().eval()
    f, params = functional(module)
    x = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    twin = alpha_scale(params, 12.3, up=f"{up}.weight", down=f"{down}.weight")
    ledger("convolution", error=off(f(twin, x), f(params, x)), tol=1e-12)
    assert not torch.equal(twin[f"{up}.bias"], params[f"{up}.bias"])
    assert off(twin[f"{up}.weight"], 12.3 * params[f"{up}.weight"]) < 1e-15
    assert off(twin[f"{down}.weight"], params[f"{down}.weight"] / 12.3) < 1e-15


@pytest.mark.parametrize(("up", "down", "channels"), [("0", "3", 3), ("3", "7", 4)])
def test_channels_are_units(up, down, channels, ledger):
    module = convolutional().eval()
    f, params = functional(module)
    x = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    c = torch.linspace(0.1, 9, channels, dtype=torch.float64)
    twin = scale_units(params, c, up=f"{up}.weight", down=f"{down}.weight")
    ledger("convolution", error=off(f(twin, x), f(params, x)), tol=1e-12)


def test_scalings_are_one_outside_the_layers_they_name():
    params = init_net([2, 3, 4, 1], bias=True, generator=torch.Generator().manual_seed(0))
    S = layer_scaling(params, {"theta1": 2.0, "theta2": 0.5})
    assert {name: set(block.flatten().tolist()) for name, block in S.items()} == {
        "theta1": {2.0},
        "b1": {2.0},
        "theta2": {0.5},
        "b2": {1.0},
        "theta3": {1.0},
        "b3": {1.0},
    }
    assert torch.equal(apply_scaling(params, S)["theta1"], 2 * params["theta1"])
    S = layer_scaling(params, {"theta1": 2.0, "theta3": 0.5})
    assert set(S["b2"].tolist()) == {2.0}  # the biases between carry the factor on
    S = unit_scaling(params, torch.tensor([2.0, 4, 8]), up="theta1", down="theta2")
    assert set(S["b2"].tolist()) == set(S["theta3"].flatten().tolist()) == {1.0}
    assert S["b1"].tolist() == S["theta1"][0].tolist() == [2.0, 4.0, 8.0]


# Twins: each drops a hypothesis.


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
def test_twin_another_activation_changes_the_function(activation):
    case = build([4, 5, 2], 0, activation=activation)
    by_hand = {"theta1": 3 * case.params["theta1"], "theta2": case.params["theta2"] / 3}
    x = fresh(case)
    assert off(case.f(by_hand, x), case.f(case.params, x)) > 1e-2
    with pytest.raises(ValueError, match=f"positively homogeneous activation, got '{activation}'"):
        alpha_scale(case.params, 3.0, activation=activation)


def test_twin_a_forgotten_bias_changes_the_function():
    case = build([4, 5, 2], 0, bias=True)
    right = alpha_scale(case.params, 3.0)
    x = fresh(case)
    assert off(case.f({**right, "b1": case.params["b1"]}, x), case.f(case.params, x)) > 1e-2
    assert off(case.f({**right, "b2": 3 * right["b2"]}, x), case.f(case.params, x)) > 1e-2


def test_twin_a_negative_factor_changes_the_function():
    case = build([4, 5, 2], 0)
    by_hand = {"theta1": -case.params["theta1"], "theta2": -case.params["theta2"]}
    x = fresh(case)
    assert off(case.f(by_hand, x), case.f(case.params, x)) > 1e-2
    linear = net("linear")
    assert off(linear(by_hand, x), linear(case.params, x)) < 1e-12  # a linear net would not mind


def test_twin_a_product_that_is_not_one_multiplies_the_output():
    case = build([4, 5, 2], 0)
    doubled = {"theta1": 2 * case.params["theta1"], "theta2": case.params["theta2"]}
    x = fresh(case)
    assert off(case.f(doubled, x), 2 * case.f(case.params, x)) < 1e-14


# Bad input.


@pytest.mark.parametrize("alpha", [0, -1, math.nan, math.inf])
def test_alpha_must_be_positive_and_finite(alpha):
    params = build([2, 2, 1], 0).params
    with pytest.raises(ValueError, match=f"alpha_scale needs a finite alpha > 0, got {alpha}"):
        alpha_scale(params, alpha)
    with pytest.raises(ValueError, match=r"needs a finite alpha for theta1 > 0, got .*: relu\("):
        scale_layers(params, {"theta1": alpha})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"up": "theta9"}, "needs layers among theta1, theta2, got 'theta9'"),
        ({"down": "b1"}, "needs layers among theta1, theta2, got 'b1'"),
        ({"up": "theta2", "down": "theta1"}, "needs `down` to be a later layer than `up`"),
        ({"down": "theta1"}, "needs `down` to be a later layer than `up`"),
    ],
)
def test_layers_must_exist_and_follow_each_other(change, sentence):
    params = build([2, 2, 1], 0, bias=True).params
    with pytest.raises(ValueError, match=sentence):
        alpha_scale(params, 2.0, **change)


def test_the_product_must_be_one():
    params = build([2, 2, 2, 1], 0).params
    with pytest.raises(ValueError, match=r"factors with product 1, got 6: the output would"):
        scale_layers(params, {"theta1": 2.0, "theta3": 3.0})
    with pytest.raises(ValueError, match="needs"):  # a little off is off: f would be a little off
        scale_layers(params, {"theta1": 2.0, "theta3": 0.5 * (1 + 1e-6)})
    with pytest.raises(ValueError, match="needs layers among theta1, theta2, theta3, got 'b1'"):
        scale_layers(params, {"b1": 1.0})


@pytest.mark.parametrize("c", [[1.0], [1.0, -1.0], [0.0, 1.0], [1.0, math.inf], [1.0, math.nan]])
def test_unit_factors_must_be_positive_one_for_each_unit(c):
    params = build([2, 2, 2, 1], 0).params
    with pytest.raises(ValueError, match="unit_scaling needs 2 finite factors c > 0, got"):
        scale_units(params, torch.tensor(c))


def test_unit_layers_must_be_neighbours():
    params = build([2, 2, 2, 1], 0).params
    with pytest.raises(ValueError, match="the layer just after `up`, got up='theta1', down='thet"):
        scale_units(params, torch.ones(2), down="theta3")


def test_non_finite_weights_are_refused():
    params = build([2, 2, 1], 0).params
    broken = {**params, "theta2": params["theta2"] * math.nan}
    for who, scale in (
        ("scale_layers", lambda p: alpha_scale(p, 2.0)),
        ("scale_units", lambda p: scale_units(p, torch.ones(2))),
        ("scale_layers", lambda p: scale_layers(p, {})),
    ):
        with pytest.raises(ValueError, match=rf"{who} needs finite parameters, got 2 .* in theta2"):
            scale(broken)


def test_factors_whose_product_is_not_one_are_refused_by_whoever_was_called():
    params = init_net([3, 4, 2], generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="^a rescaling of layers needs factors with product 1"):
        layer_scaling(params, {"theta1": 2.0, "theta2": 0.75})


def test_factors_take_the_precision_of_the_weights():
    params = init_net([3, 4, 4, 2], generator=torch.Generator().manual_seed(0))
    single = {name: block.float() for name, block in params.items()}
    twin = scale_units(single, torch.full((4,), 2.0, dtype=torch.float64))
    assert {block.dtype for block in twin.values()} == {torch.float32}


def test_units_that_the_next_layer_cannot_have_are_refused():
    params = {"theta1": torch.ones(3, 4), "theta2": torch.ones(6, 2)}
    with pytest.raises(ValueError, match="needs a theta2 that reads the 4 units .* 6 inputs"):
        unit_scaling(params, torch.ones(4), up="theta1", down="theta2")
