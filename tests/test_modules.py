"""Any module as a function: it changes nothing, it is a function, and its curvature is L's.

Oracles: second differences of the loss itself, which need no derivative; the module's own state
before and after, bit by bit; the same step written in plain operations.
"""

import copy
import random
from dataclasses import dataclass

import pytest
import torch
from random_nets import DEVICES, normal
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as old_weight_norm
from torch.overrides import TorchFunctionMode

from helpers import (
    accuracy,
    cross_entropy,
    dense_hessian,
    fisher_rao_norm,
    flatten,
    functional,
    gauss_newton_operator,
    gradient,
    hs_box,
    keskar_sharpness,
    random_twin,
    spectral_norm,
    squared_error,
    top_eigenvalues,
    unflatten,
)
from helpers.nets._called import tensors
from helpers.sweep._audit import readings


def differences(loss, params, along=None, h=1e-4):
    """The Hessian by second differences of L, or along some rows: no derivative takes part."""
    theta = flatten(params)
    steps = h * (torch.eye(len(theta), dtype=theta.dtype) if along is None else along)
    L = lambda v: float(loss(unflatten(theta + v, params)).detach())  # noqa: E731
    rows = [[L(a + b) - L(a - b) - L(b - a) + L(-a - b) for b in steps] for a in steps]
    return torch.tensor(rows, dtype=torch.float64) / (4 * h * h)


def made(module, seed=0):
    torch.manual_seed(seed)
    module = module().double()
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    return module


class Head(nn.Module):
    """What comes out of `inner`, averaged over the middle axis and mapped to one number."""

    def __init__(self, inner, width):
        super().__init__()
        self.inner, self.out = inner, nn.Linear(width, 1)

    def forward(self, x):
        z = self.inner(x)
        z = z[0] if isinstance(z, tuple) else z
        return self.out(z.mean(1) if z.ndim == 3 else z)


class Attention(nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.qkv, self.causal = nn.Linear(3, 9), causal

    def forward(self, x):
        q, k, v = self.qkv(x)[:, None].chunk(3, dim=-1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)[:, 0]


class Bag(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.table = nn.Embedding(5, 3, **options)

    def forward(self, x):
        return self.table(x.round().long().clamp(0, 4))


class Towers(nn.Module):
    """One layer at two places, and a weight of it at a third: twins that agree."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2))
        self.b, self.back = self.a, nn.Linear(2, 2)
        self.back.weight = self.a[2].weight

    def forward(self, x):
        u, v = self.a(x[:, 0]), self.back(self.b(x[:, 1]))
        return F.cosine_similarity(u, v)[:, None]


def looked_up(**options):
    return nn.Sequential(Bag(**options), nn.Flatten(), nn.Tanh(), nn.Linear(27, 1))


STEPS = {
    "weight norm of a convolution": lambda: nn.Sequential(
        parametrizations.weight_norm(nn.Conv1d(3, 3, 2)), nn.Tanh(), Head(nn.Identity(), 2)
    ),
    "weight norm over inputs": lambda: Head(
        nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4), dim=1), nn.SiLU()), 4
    ),
    "attention in a layer": lambda: Head(
        nn.TransformerEncoderLayer(3, 1, 2, dropout=0.0, activation="gelu", batch_first=True), 3
    ),
    "attention by hand": lambda: Head(Attention(True), 3),
    "padding row": lambda: looked_up(padding_idx=2),
    "slopes by frequency": lambda: looked_up(scale_grad_by_freq=True),
    "sparse slopes": lambda: looked_up(sparse=True),
    "one layer at two places": Towers,
    "hard sigmoid": lambda: Head(nn.Sequential(nn.Linear(3, 3), nn.Hardsigmoid()), 3),
    "recurrent": lambda: Head(nn.GRU(3, 2, batch_first=True), 2),
    "batch norm at work": lambda: nn.Sequential(
        nn.Conv1d(3, 2, 2), nn.BatchNorm1d(2), nn.Tanh(), nn.Flatten(), nn.Linear(4, 1)
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_the_hessian_of_any_step_is_that_of_its_values(step):
    f, params = functional(made(STEPS[step]))
    loss = squared_error(f, normal(5, 3, 3), normal(5, 1, seed=1))
    n = len(flatten(params))
    V = torch.eye(n).double() if n < 16 else normal(16, n, seed=2) / n**0.5  # random rows will do
    truth = differences(loss, params, V)
    error = (V @ dense_hessian(loss, params) @ V.T - truth).abs().max()
    assert float(error) < 1e-5 * float(truth.abs().max())


@pytest.mark.parametrize("step", STEPS)
def test_the_values_of_any_step_are_the_modules_own(step):
    module = made(STEPS[step])
    f, params = functional(module)
    ours = f(params, normal(5, 3, 3))
    assert torch.allclose(ours, copy.deepcopy(module)(normal(5, 3, 3)), rtol=1e-12, atol=1e-14)


def test_old_weight_norm_is_that_of_plain_operations():
    with pytest.warns(FutureWarning):
        f, params = functional(old_weight_norm(nn.Linear(3, 2)).double())
    X, y = normal(6, 3), normal(6, 2, seed=1)

    def plain(p, x):
        v = p["weight_v"]
        return torch.tanh(x @ (p["weight_g"] * v / v.norm(dim=1, keepdim=True)).T + p["bias"])

    theirs = squared_error(lambda p, x: torch.tanh(f(p, x)), X, y)
    assert torch.allclose(
        dense_hessian(theirs, params), dense_hessian(squared_error(plain, X, y), params), atol=1e-12
    )


def test_forward_derivatives_of_attention_and_recurrence_are_those_of_differences():
    for step in ("attention in a layer", "recurrent"):
        f, params = functional(made(STEPS[step]))
        X, h = normal(5, 3, 3), 1e-6
        up, down = (f({k: s * b for k, b in params.items()}, X) for s in (1 + h, 1 - h))
        along = ((up - down) / (2 * h)).square().sum(-1).mean()
        assert fisher_rao_norm(f, params, X) == pytest.approx(float(along), rel=1e-6)
        v = torch.ones_like(flatten(params))
        gauss = gauss_newton_operator(squared_error(f, X, normal(5, 1)), params)
        assert bool(gauss(v).isfinite().all()) and bool(gauss(v).any())


# It is a function.


class Drawing(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.a, self.draw = nn.Linear(3, 2).double(), draw

    def forward(self, x):
        return self.draw(self.a(x), self)


def counting(z, module):
    module.calls = getattr(module, "calls", 0) + 1
    return z * module.calls


def growing(z, module):
    module.calls = getattr(module, "calls", 0) + 1
    return [z] * module.calls


def shrinking(z, module):
    module.calls = getattr(module, "calls", 0) + 1
    return z[module.calls :]


UNSTEADY = {
    "more outputs each time": growing,
    "fewer rows each time": shrinking,
    "torch's dice": lambda z, m: z + 0 * torch.rand(()),
    "Python's dice": lambda z, m: z * (1 if random.random() < 2 else 0),
    "a rare drop": lambda z, m: F.dropout(z, 1e-6, m.training),
    "a rectifier with noise": lambda z, m: F.rrelu(z, training=m.training),
    "a counter": counting,
}


@pytest.mark.parametrize("draw", UNSTEADY)
def test_what_draws_or_keeps_something_is_refused_at_its_first_call(draw):
    f, params = functional(Drawing(UNSTEADY[draw]))
    with pytest.raises(ValueError, match="functional needs the same function at every call, got"):
        f(params, normal(4, 3))


def test_a_layer_put_into_training_mode_later_is_tried_again():
    module = Drawing(lambda z, m: F.dropout(z, 0.5, m.training)).eval()
    f, params = functional(module)
    f(params, normal(4, 3))
    module.train()
    with pytest.raises(ValueError, match="draws random numbers"):
        f(params, normal(4, 3))


def test_what_is_not_a_number_is_the_same_at_every_call_all_the_same():
    f, params = functional(Drawing(lambda z, m: (-z.square()).sqrt()))
    assert f(params, normal(4, 3)).isnan().all()


def test_dropout_that_drops_nothing_is_a_function():
    for layer in (nn.Dropout(0.0), nn.Dropout(0.5).eval()):
        module = nn.Sequential(nn.Linear(3, 2).double(), layer)
        f, params = functional(module)
        assert torch.equal(f(params, normal(4, 3)), module[0](normal(4, 3)))


def test_a_name_that_is_missing_stands_for_the_modules_own_value():
    module = nn.Linear(3, 2).double()
    f, params = functional(module)
    assert torch.equal(f({}, normal(4, 3)), module(normal(4, 3)))
    twice = f({"weight": 2 * params["weight"]}, normal(4, 3))
    assert torch.allclose(twice, 2 * module(normal(4, 3)) - module.bias)


@pytest.mark.parametrize(
    "dropout", [nn.LSTM(3, 2, 2, dropout=0.5), nn.MultiheadAttention(3, 1, 0.5)]
)
def test_dropout_inside_a_layer_is_refused(dropout):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = dropout.double()

        def forward(self, x):
            return self.inner(*[x] * (3 if hasattr(self.inner, "in_proj_bias") else 1))[0]

    f, params = functional(Net())
    with pytest.raises(ValueError, match="draws random numbers"):
        f(params, normal(4, 5, 3))


# It changes nothing.


CHANGING = {
    "instance norm": lambda: nn.Sequential(
        nn.InstanceNorm1d(3, affine=True, track_running_stats=True)
    ),
    "batch norm": lambda: nn.Sequential(nn.Conv1d(3, 3, 1), nn.BatchNorm1d(3)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    "one layer at two places": Towers,
}


@pytest.mark.parametrize("layer", CHANGING)
def test_module_buffers_and_params_are_bit_for_bit_what_they_were(layer):
    module = made(CHANGING[layer])
    f, params = functional(module)
    state = {name: t.clone() for name, t in module.state_dict().items()}
    given = {name: t.clone() for name, t in params.items()}
    x = normal(4, 3, 3)
    assert torch.equal(f(params, x), f(params, x))
    assert torch.equal(x, normal(4, 3, 3))
    assert all(torch.equal(t, state[name]) for name, t in module.state_dict().items())
    assert all(torch.equal(t, given[name]) for name, t in params.items())
    assert all(type(p) is nn.Parameter for p in module.parameters())
    assert len(state) > len(given)  # there are buffers, or a parameter with two names


def test_arguments_and_keywords_reach_the_module_as_a_search_hands_them_over():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 2).double()

        def forward(self, u, v):
            return self.a(u) @ self.a(2 * v).T

    f, params = functional(module := Pair())
    u, v = normal(4, 3), normal(5, 3, seed=1)
    assert torch.equal(f(params, (u, v)), module(u, v))
    assert torch.equal(f(params, {"v": v, "u": u}), module(u, v))


def test_a_name_that_would_be_passed_over_is_refused():
    f, params = functional(made(Towers))
    for name in ("b.0.weight", "back.weight", "c"):
        with pytest.raises(ValueError, match=f"needs the names that it gave, got {name}"):
            f({**params, name: params["a.2.weight"]}, normal(4, 2, 3))


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.jit.script])
def test_a_wrapping_that_hides_the_weights_is_refused_with_a_way_out(wrap):
    f, params = functional(wrap(nn.Linear(3, 2)))
    with pytest.raises(ValueError, match="can be exchanged, got .*: give it the one that was wra"):
        f(params, torch.randn(4, 3))


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="torch before 2.6")
def test_what_was_compiled_is_measured_and_not_compiled_again():
    def never(graph, inputs):
        raise AssertionError("compiled")

    plain = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    X, y = normal(5, 3), normal(5, 1, seed=1)
    f, params = functional(torch.compile(plain, backend=never))
    tops = [
        top_eigenvalues(squared_error(g, X, y), p, 2).values
        for g, p in ((f, params), functional(plain))
    ]
    assert torch.equal(*tops)


def test_a_step_that_changes_what_it_is_given_is_refused_by_name():
    f, params = functional(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 1)).double())
    x = normal(4, 3)
    with pytest.raises(ValueError, match="got one that changes its input in place"):
        f(params, x)
    assert torch.equal(x, normal(4, 3))
    f, params = functional(Drawing(lambda z, m: z * m.a.weight.detach().mul_(0.5).sum()))
    with pytest.raises(ValueError, match="got one that changes a.weight in place"):
        f(params, x)
    assert torch.equal(params["a.weight"], functional(f.module)[1]["a.weight"])
    f, params = functional(Drawing(lambda z, m: z * m.a.bias.detach().mul_(1 + 1e-12).sum()))
    with pytest.raises(ValueError, match="got one that changes a.bias in place"):
        f(params, x)  # by a hair


def test_frozen_parameters_are_measured_unless_the_reader_leaves_them_out():
    module = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    module[0].requires_grad_(False)
    f, params = functional(module)
    free = {name: b for name, b in params.items() if module.get_parameter(name).requires_grad}
    loss = squared_error(f, normal(6, 3), normal(6, 1, seed=1))
    assert len(flatten(params)) == 11 and len(flatten(free)) == 3
    assert float(loss(free)) == float(loss(params))
    assert torch.allclose(dense_hessian(loss, free), dense_hessian(loss, params)[-3:, -3:])


def test_buffers_come_in_the_precision_of_the_parameters():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    f, params = functional(module)
    y = f({name: b.double() for name, b in params.items()}, normal(4, 3))
    assert y.dtype == torch.float64
    assert torch.allclose(y.float(), module(normal(4, 3).float()), atol=1e-6)


def test_what_has_no_parameters_or_no_values_yet_is_refused():
    with pytest.raises(ValueError, match="functional needs a module with parameters, got Tanh"):
        functional(nn.Tanh())
    with pytest.raises(ValueError, match=r"got 0\.weight not initialized"):
        functional(nn.Sequential(nn.LazyLinear(2)))


# What comes out.


@dataclass
class Plain:
    logits: torch.Tensor
    note: str = "no tensor"


@dataclass
class Both(dict):
    """Fields and a mapping at once, as many outputs of libraries are: its items count."""

    logits: torch.Tensor


def test_every_tensor_in_a_box_is_found_and_nothing_else():
    a, b = torch.ones(2), torch.zeros(3)
    both = Both(a)
    both["hidden"] = b
    normal = torch.distributions.Normal(a, 2 * a)
    for box, held in (
        (a, [a]),
        ((a, [b, None], 3.0, "text"), [a, b]),
        ({"a": a, "more": {"b": (b,)}}, [a, b]),
        (Plain(a), [a]),
        (both, [b]),
        (normal, [normal.loc, normal.scale]),
        (None, []),
    ):
        found = tensors(box)
        assert len(found) == len(held) and all(s is t for s, t in zip(found, held))


# At the border.


def test_outputs_in_a_box_are_refused_with_a_way_out_and_the_way_works():
    class Boxed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 2).double()

        def forward(self, x):
            return (self.a(x), {"extra": x})

    f, params = functional(Boxed())
    X, y = normal(5, 3), normal(5, 2, seed=1)
    with pytest.raises(ValueError, match="a loss needs a net that returns one tensor, got tuple"):
        gradient(squared_error(f, X, y), params)
    picked = squared_error(lambda p, x: f(p, x)[0], X, y)
    assert torch.allclose(dense_hessian(picked, params), differences(picked, params), atol=1e-6)


def test_each_block_keeps_its_own_precision_in_every_measure():
    from helpers import eps_sharpness, hs_description_length, local_entropy

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 2).float(), nn.Linear(2, 1).double()

        def forward(self, x):
            return self.b(torch.tanh(self.a(x.float())).double())

    f, params = functional(Mixed())
    loss = squared_error(f, normal(6, 3), normal(6, 1, seed=1))
    assert eps_sharpness(loss, params, 0.1, steps=3).rise > 0
    assert local_entropy(loss, params, 1.0, samples=30).effective_samples > 1
    assert abs(hs_description_length(loss, params, 0.1)) < 1e3
    assert gauss_newton_operator(loss, params)(torch.ones(11, dtype=torch.float64)).any()


def test_what_is_made_or_measured_in_inference_mode_is_measured_all_the_same():
    def measured():
        torch.manual_seed(0)
        f, params = functional(nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double())
        return spectral_norm(squared_error(f, normal(6, 3), normal(6, 2, seed=1)), params)

    with torch.inference_mode():
        inside = measured()
    assert inside == measured()


class Watched(torch.autograd.Function):
    """x ↦ x, which notes with what precision its two derivatives are taken."""

    seen: list = []  # noqa: RUF012
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        Watched.seen.append(precision())
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        Watched.seen.append(precision())
        return Watched.apply(g)


def precision():
    backends = torch.backends
    return [
        place.fp32_precision
        for place in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    ]


@pytest.mark.parametrize("wish", ["tf32", "none"])
def test_every_step_runs_in_full_precision_and_the_readers_wish_is_kept(wish, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", list)

    class Net(nn.Linear):
        def forward(self, x):
            return Watched.apply(super().forward(x).square())

    before = precision()
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cuda.matmul.fp32_precision = wish
    asked, (f, params) = precision(), functional(Net(3, 2))
    X = torch.randn(5, 3)
    loss = cross_entropy(f, X, torch.arange(5) % 2)
    measures = (
        lambda: top_eigenvalues(loss, params),
        lambda: gauss_newton_operator(loss, params)(flatten(params)),
        lambda: keskar_sharpness(loss, params, 1e-3),
        lambda: hs_box(f, params, X[0], 0.1),
    )
    try:
        for measure in measures:
            Watched.seen.clear()
            measure()
            assert len(Watched.seen) > 1
            assert {*map(tuple, Watched.seen)} == {("ieee", "ieee", "ieee")}
            assert precision() == asked
        with pytest.raises(ValueError, match="finite"):
            gradient(lambda p: f(p, X).sum() / 0, params)
        assert precision() == asked
    finally:
        backends = torch.backends
        backends.cudnn.conv.fp32_precision, _, backends.cuda.matmul.fp32_precision = before


@pytest.mark.parametrize("device", DEVICES)
def test_a_twin_of_a_convolutional_net_gives_its_outputs_on_every_device(device):
    # By default a GPU's convolutions keep ten bits of float32: twins were 2e-2 apart.
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten()]
    module, X = nn.Sequential(*layers, nn.Linear(2304, 10)).to(device), torch.randn(64, 3, 16, 16)
    (f, params), X = functional(module), X.to(device)
    twin = random_twin(module, X[:2], size=3.0, generator=torch.Generator().manual_seed(0))
    before, after = f(params, X), f(twin, X)
    assert float((after - before).abs().max()) < 1e-5 * float(before.abs().max())


class Single(torch.Tensor):
    """A tensor on the CPU that stands for one on Apple's MPS: it refuses float64 as that does."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name, target = getattr(func, "__name__", ""), args[1] if len(args) > 1 else None
        leaves = str(target) == "cpu" or type(target) is torch.Tensor
        if name == "cpu" or (name == "to" and leaves):
            return plainly(func, *args, **(kwargs or {})).as_subclass(torch.Tensor)
        out = super().__torch_function__(func, types, args, kwargs)
        if any(isinstance(t, cls) and t.dtype == torch.float64 for t in tensors(out)):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as it has none.")
        return out


def plainly(func, *args, **kwargs):
    with torch._C.DisableTorchFunctionSubclass():
        return func(*args, **kwargs)


class DrawnThere(TorchFunctionMode):
    """While it lasts, what is made anew lies on that device, as by a generator of its own."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        drawn = func in (torch.rand, torch.empty) and "device" in kwargs
        return out.as_subclass(Single).clone() if drawn else out  # the copy asks for its precision


def test_a_device_without_float64_gives_what_float32_gives_elsewhere():
    torch.manual_seed(0)
    module, X = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(10, 2)
    there, y = copy.deepcopy(module), torch.randint(0, 2, (10,))
    for layer in (there[0], there[2]):
        for name, p in list(layer.named_parameters()):
            setattr(layer, name, nn.Parameter(p.detach().as_subclass(Single)))
    found = []
    for net, *data in ((module, X, y), (there, X.as_subclass(Single), y.as_subclass(Single))):
        (f, params), dice = functional(net), torch.Generator().manual_seed(0)
        made, own = cross_entropy(f, *data), lambda p: f(p, data[0]).square().mean()  # noqa: B023
        numbers = [spectral_norm(made, params), spectral_norm(own, params)]
        numbers += [accuracy(f, params, *data), *readings(made, params, 0.1, dice, 1.0)[0].values()]
        found.append(numbers)
    assert found[1] == pytest.approx(found[0], rel=1e-3)
    assert type(params["0.weight"]) is Single
    with DrawnThere():
        keskar_sharpness(made, params, 1e-3, starts=2, generator=dice)
        twin = random_twin(there, data[0], size=1.0, generator=dice)
    assert torch.allclose(f(twin, data[0]), f(params, data[0]), atol=1e-5)
