"""Random nets for the laws: widths, depths, seeds and scalings drawn by hypothesis.

A `Case` is a net with a loss. At the "minimum" the targets are the net's own outputs, so L = 0 and
θ is a minimum to the last bit; "off" it, the targets are noise and the gradient is not zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers import init_net, net, relu_net, squared_error, teacher_student, weight_names
from helpers.nets._losses import Loss
from helpers.nets._params import Params, bias_name

DEVICES = ["cpu"]
if torch.cuda.is_available():
    import pytest

    DEVICES.append(pytest.param("cuda", marks=pytest.mark.gpu))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def law(count=50):
    """How a law is tried: always the same `count` cases, however long the first one takes."""
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=quiet,
    )


@dataclass(frozen=True)
class Case:
    f: Callable[[Params, Tensor], Tensor]
    params: Params
    loss: Loss
    widths: tuple[int, ...]
    generator: torch.Generator

    @property
    def X(self):
        return self.loss.X


def build(widths, seed, *, n=20, bias=False, where="minimum", activation="relu", device="cpu"):
    """A net of these widths with He weights, and n standard normal inputs."""
    generator = torch.Generator().manual_seed(seed)
    params = init_net(widths, bias=bias, generator=generator, device=device)
    f = relu_net if activation == "relu" else net(activation)
    data = teacher_student(f, params, n, generator=generator, n_test=5)
    noise = torch.randn(data.y.shape, generator=generator, dtype=data.y.dtype).to(data.y)
    y = data.y if where == "minimum" else noise
    return Case(f, params, squared_error(f, data.X, y), tuple(widths), generator)


@st.composite
def cases(draw, *, depth=(1, 3), bias=None, where=None, out=3, width=4, device="cpu"):
    """Nets with `depth` hidden layers of 1 to `width` units, away from every kink."""
    hidden = draw(st.lists(st.integers(1, width), min_size=depth[0], max_size=depth[1]))
    widths = [draw(st.integers(1, width)), *hidden, draw(st.integers(1, out))]
    case = build(
        widths,
        draw(st.integers(0, 2**31)),
        n=draw(st.integers(1, 20)),
        bias=draw(st.booleans()) if bias is None else bias,
        where=draw(st.sampled_from(["minimum", "off"])) if where is None else where,
        device=device,
    )
    assume(margin(case) > 1e-6)
    return case


def log_uniform(low=1e-3, high=1e3):
    """Factors spread evenly over the powers of ten."""
    import math

    return st.floats(math.log10(low), math.log10(high)).map(lambda t: 10**t)


@st.composite
def alphas_for(draw, params, *, low=1e-2, high=1e2):
    """One factor for each weight, with product one."""
    names = weight_names(params)
    free = [draw(log_uniform(low, high)) for _ in names[1:]]
    first = 1.0
    for alpha in free:
        first /= alpha
    return dict(zip(names, [first, *free]))


def pre_activations(params, X):
    """Every hidden layer's z, by hand."""
    z, layers = X, []
    for k, weight in enumerate(weight_names(params)):
        z = (z if k == 0 else z.clamp_min(0)) @ params[weight] + params.get(bias_name(weight), 0)
        layers.append(z)
    return layers[:-1]


def margin(case):
    """The smallest |z| in any hidden unit at any input: the distance to a kink."""
    return min(float(z.abs().min()) for z in pre_activations(case.params, case.X))


def off(a, b):
    """max |a − b| / max |b|: the relative error of a, on the scale of b (absolute where b = 0)."""
    a, b = (torch.as_tensor(x, dtype=torch.float64).detach().cpu() for x in (a, b))
    scale = float(b.abs().max()) if b.numel() else 0.0
    return float((a - b).abs().max()) / (scale or 1.0) if b.numel() else 0.0
