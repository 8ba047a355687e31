"""Derivatives that are not those of the loss are found out, and true ones are believed.

Oracles: functions whose derivatives are known by hand, and steps that lie about theirs on purpose.
"""

from dataclasses import dataclass

import pytest
import torch
from random_nets import normal, off
from torch import nn
from torch.nn import functional as F

from helpers import (
    cross_entropy,
    dense_hessian,
    flatten,
    functional,
    gradient,
    hvp,
    relu_net,
    spectral_norm,
    squared_error,
    top_eigenvalues,
)
from helpers.measures import _derivatives


class After(nn.Module):
    """What `step` makes of a linear layer."""

    def __init__(self, step):
        super().__init__()
        self.a, self.step = nn.Linear(3, 2).double(), step

    def forward(self, x):
        return self.step(self.a(x))


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z**3

    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0].detach() ** 2 * g  # right once, constant for the second


class Right(Wrong):
    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g


@dataclass
class Answer:
    logits: torch.Tensor


class Quantized(nn.Module):
    """Single precision only, and rounded: its slope is 0, and it says otherwise."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 1)

    def forward(self, x):
        w = self.a.weight
        if w.dtype != torch.float32:
            raise RuntimeError("float32 only")
        return F.linear(x, w + ((w * 8).round() / 8 - w).detach(), self.a.bias)


def test_a_rounded_weight_is_found_out_in_single_precision_too():
    torch.manual_seed(0)
    f, params = functional(Quantized())
    loss = squared_error(f, normal(30, 3).float(), normal(30, 1, seed=1).float())
    with pytest.raises(ValueError, match="got a first derivative that differences contradict"):
        top_eigenvalues(loss, {"a.weight": params["a.weight"]})


@pytest.mark.parametrize("box", [Answer, lambda z: torch.distributions.Normal(z, 1.0)])
def test_a_box_hides_no_wrong_derivative(box):
    f, params = functional(After(lambda z: box(Wrong.apply(z))))
    inner = lambda out: out.logits if isinstance(out, Answer) else out.loc  # noqa: E731
    loss = squared_error(lambda p, x: inner(f(p, x)), normal(5, 3), normal(5, 2))
    with pytest.raises(ValueError, match="got a second derivative that differences contradict"):
        dense_hessian(loss, params)


LIES = {
    "a constant second derivative": Wrong.apply,
    "a part cut off": lambda z: z * z.detach(),
    "a straight-through step": lambda z: z + (z.sign() - z).detach(),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_module_whose_derivatives_are_not_its_values_is_refused_in_any_precision(lie, dtype):
    module = After(lambda z: LIES[lie](z).sum(-1, keepdim=True)).to(dtype)
    f, params = functional(module)
    loss = squared_error(f, normal(30, 3).to(dtype), normal(30, 1, seed=1).to(dtype))
    for measure in (dense_hessian, top_eigenvalues, gradient):
        with pytest.raises(ValueError, match="needs derivatives that are those of L, got a"):
            measure(loss, params)


def test_the_same_in_a_plain_function_of_the_parameters():
    params = {"w": normal(4)}
    with pytest.raises(ValueError, match="got a second derivative that differences contradict"):
        hvp(lambda p: Wrong.apply(p["w"]).sum(), params, normal(4))
    truth = torch.diag(6 * params["w"])
    assert torch.allclose(dense_hessian(lambda p: Right.apply(p["w"]).sum(), params), truth)


PLAIN_LIES = {
    "a constant second derivative under a square": lambda w: Wrong.apply(w).square().sum(),
    "a part cut off": lambda w: (w * w.detach()).sum(),
}


@pytest.mark.parametrize("lie", PLAIN_LIES)
def test_a_plain_function_is_tried_for_a_step_of_its_own_and_for_a_slope_that_stands_still(lie):
    with pytest.raises(ValueError, match="needs derivatives that are those of L, got a"):
        gradient(lambda p: PLAIN_LIES[lie](p["w"]), {"w": normal(4)})


def test_a_lie_in_a_flat_block_is_found_beside_a_steep_one():
    both = lambda p: 1000 * p["steep"].square().sum() + Wrong.apply(p["flat"]).sum()  # noqa: E731
    with pytest.raises(ValueError, match="got a second derivative that differences contradict"):
        gradient(both, {"steep": normal(4), "flat": normal(4, seed=1)})


class Askew(torch.autograd.Function):
    """z₁ z₂², with the right slope; but the slope along z₂ says that z₁ stands still."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z[:, 0] * z[:, 1] ** 2

    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        return torch.stack([z[:, 1] ** 2 * g, 2 * z[:, 0].detach() * z[:, 1] * g], 1)


def test_a_hessian_that_is_not_symmetric_is_found_out_in_single_precision_too():
    def single(z):
        if z.dtype != torch.float32:
            raise RuntimeError("float32 only")
        return Askew.apply(z)[:, None]

    f, params = functional(After(single).float())
    loss = squared_error(f, normal(30, 3).float(), normal(30, 1, seed=1).float())
    with pytest.raises(ValueError, match="got a second derivative that differences contradict"):
        hvp(loss, params, torch.ones(8))


@pytest.mark.parametrize("share", [0, 1])
def test_a_true_step_is_believed_beside_a_large_constant_and_where_it_counts_for_nothing(share):
    params = {"w": normal(4)}
    loss = lambda p: share * (Right.apply(p["w"]).sum() + 1e10)  # noqa: E731
    assert torch.allclose(gradient(loss, params), share * 3 * params["w"] ** 2)


def test_a_loss_linear_in_theta_is_believed():
    assert gradient(lambda p: 2 * p["w"].sum(), {"w": normal(4)}).tolist() == [2, 2, 2, 2]


def test_a_loss_linear_in_several_blocks_has_no_curvature():
    params = {"a": normal(3), "b": normal(2, seed=1)}
    assert not dense_hessian(lambda p: p["a"].sum() - p["b"].sum(), params).any()


def test_a_block_without_effect_or_without_curvature_is_believed_when_it_is_true():
    params = {"a": normal(3), "b": normal(2, seed=1), "c": normal(2, seed=2)}
    H = dense_hessian(lambda p: p["a"].pow(2).sum() + p["b"].sum(), params)
    assert H.diag().tolist() == [2, 2, 2, 0, 0, 0, 0]
    kinks = dense_hessian(lambda p: p["a"].abs().sum() + p["b"].relu().sum(), params)
    assert not kinks.any()


def sure(step, size, dtype):
    """A classifier whose softmax is sure of every answer, and 20 examples that it answers so."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), step, nn.Linear(8, 3)).to(dtype)
    X = normal(20, 6).to(dtype)
    y = module(X).argmax(1)
    with torch.no_grad():
        module[-1].weight *= size
        module[-1].bias *= size
    f, params = functional(module)
    return cross_entropy(f, X, y), params


@pytest.mark.parametrize("alone", [False, True], ids=["a loss", "a plain function"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [30, 300, 10_000])
def test_a_net_that_is_sure_of_every_answer_is_believed(size, dtype, alone):
    """Its slopes are shorter than the rounding in them: one minus a probability is 0 there."""
    loss, params = sure(nn.Tanh(), size, dtype)
    assert float(loss(params)) < 0.1
    assert torch.isfinite(gradient((lambda p: loss(p)) if alone else loss, params)).all()


class Single(nn.Module):
    def forward(self, z):
        if z.dtype != torch.float32:
            raise RuntimeError("float32 only")
        return z + (z.sign() - z).detach()


def test_a_lie_is_found_out_in_a_net_that_is_sure_and_knows_one_precision_only():
    loss, params = sure(Single(), 300, torch.float32)
    with pytest.raises(ValueError, match="got a first derivative that differences contradict"):
        gradient(loss, params)


class Lies(nn.Module):
    def forward(self, z):
        return Wrong.apply(z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_lie_is_found_out_in_a_net_that_is_sure_of_every_answer_too(dtype):
    loss, params = sure(Lies(), 10_000, dtype)
    with pytest.raises(ValueError, match="got a second derivative that differences contradict"):
        gradient(loss, params)


def test_kinks_are_no_lies_not_even_exactly_at_them():
    module = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, 1)).double()
    nn.init.zeros_(module[0].bias)
    X = normal(300, 3)
    X[:100] = 0  # 4000 units lie on their kink
    f, params = functional(module)
    assert spectral_norm(squared_error(f, X, normal(300, 1)), params) > 0


class Same(torch.autograd.Function):
    """A step of one's own: a loss with it is tried."""

    @staticmethod
    def forward(ctx, z):
        return z.clone()

    @staticmethod
    def backward(ctx, g):
        return g


def kinked(cut):
    """A slope of 1, and beside the place where it is tried a kink, whose slope may be cut off."""
    params = {"w": normal(4).float()}
    near = _derivatives._near(params)
    v = flatten(_derivatives._directions(near, 2))

    def loss(p):
        along = Same.apply((p["w"] - near["w"]) @ v / (v @ v))
        bent = torch.relu(along - 1e-5)
        return along + (bent.detach() if cut else bent)

    return loss, params, v


def test_a_true_slope_beside_a_kink_is_believed_in_single_precision_and_a_lie_is_not():
    loss, params, v = kinked(cut=False)
    assert torch.allclose(gradient(loss, {"w": params["w"] + v}), 2 * v / (v @ v))
    assert gradient(loss, params).isfinite().all()
    with pytest.raises(ValueError, match="got a first derivative that differences contradict"):
        gradient(*kinked(cut=True)[:2])


class Even(nn.Module):
    """Two logits that are equal but for rounding: the loss is flat, its derivatives are noise."""

    def __init__(self):
        super().__init__()
        self.a, self.w = nn.Linear(5, 16), nn.Parameter(torch.randn(16))

    def forward(self, x):
        h = torch.tanh(self.a(x))
        return torch.stack([(h * self.w).sum(-1), h @ self.w], -1)


@pytest.mark.parametrize("seed", range(4))
def test_derivatives_that_are_rounding_alone_are_believed(seed):
    torch.manual_seed(seed)
    f, params = functional(Even().double())
    X, y = normal(30, 5), torch.randint(0, 2, (30,))
    slope = gradient(lambda p: F.cross_entropy(f(p, X), y), params)
    assert float(slope.norm()) < 1e-14


def test_a_module_that_computes_in_less_precision_inside_is_no_liar():
    class Normed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.a, self.inner = nn.Linear(3, 2).double(), inner

        def forward(self, x):
            z = self.a(x).to(self.inner)
            return (z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 0.1)).double()

    f, params = functional(Normed(torch.float32))
    exact, _ = functional(Normed(torch.float64))
    X, y = normal(20, 3), normal(20, 2, seed=1)
    truth = dense_hessian(squared_error(exact, X, y), params)
    assert off(dense_hessian(squared_error(f, X, y), params), truth) < 1e-5


def test_a_module_is_tried_once_and_the_books_own_nets_never(monkeypatch):
    tried, check = [], _derivatives._check
    monkeypatch.setattr(_derivatives, "_check", lambda *a: tried.append(1) or check(*a))
    f, params = functional(nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double())
    for seed in range(3):
        gradient(squared_error(f, normal(6, 3), normal(6, 2, seed=seed)), params)
    assert tried == [1]
    own = {"theta1": normal(3, 2), "theta2": normal(2, 1)}
    dense_hessian(squared_error(relu_net, normal(6, 3), normal(6, 1)), own)
    assert tried == [1]


def test_a_module_is_tried_on_a_few_examples():
    sizes, X = [], normal(50, 3)
    f, params = functional(After(lambda z: sizes.append(len(z)) or z.tanh()))
    loss = squared_error(f, X, normal(50, 2, seed=1))
    f(params, X)  # its first call is another trial
    sizes.clear()
    gradient(loss, params)
    assert sizes.count(50) == 1 and 0 < min(sizes) < 10


def test_a_step_without_a_second_derivative_is_named_in_one_sentence():
    f, params = functional(nn.Linear(2, 2).double())
    grid = lambda p: f(p, normal(4, 2)).reshape(1, 2, 2, 2).clamp(-1, 1)  # noqa: E731
    loss = lambda p: F.ctc_loss(  # noqa: E731
        grid(p).reshape(4, 1, 2).log_softmax(-1), torch.tensor([[1]]), (4,), (1,)
    )
    with pytest.raises(ValueError, match="got one that lacks them: derivative for aten") as error:
        top_eigenvalues(loss, params)
    assert "\n" not in str(error.value) and ".;" not in str(error.value)


def test_a_second_derivative_that_is_not_there_is_said_and_no_nan_leaves():
    params = {"w": torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)}
    root = lambda p: p["w"].abs().pow(1.5).sum()  # noqa: E731
    with pytest.raises(ValueError, match="needs second derivatives at θ, got 1 NaN or infinite"):
        hvp(root, params, torch.ones(3, dtype=torch.float64))
    with pytest.raises(ValueError, match="needs second derivatives at θ"):
        spectral_norm(root, params)


@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (lambda p: p["w"].square().sum().item(), "got float:"),
        (lambda p: (p["w"].sum(), 1), "got tuple:"),
        (lambda p: p["w"].square(), r"of shape \(3,\)"),
        (lambda p: p["w"].square().sum()[None], r"of shape \(1,\)"),
        (lambda p: p["w"].sum().long(), "int64"),
    ],
)
def test_a_loss_is_one_real_number(loss, got):
    with pytest.raises(ValueError, match=f"returns one real number as a tensor, .*{got}"):
        gradient(loss, {"w": normal(3)})


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex128])
def test_parameters_are_real_numbers_and_there_is_one(dtype):
    with pytest.raises(ValueError, match=f"needs real floating-point parameters, got w of {dtype}"):
        gradient(lambda p: p["w"].abs().sum(), {"w": torch.ones(2, dtype=dtype)})
    with pytest.raises(ValueError, match="needs at least one block, got no parameters"):
        gradient(lambda p: torch.ones(()), {})


def test_finite_entries_whose_sum_overflows_are_finite_all_the_same():
    steep = lambda p: 1.5e38 * p["w"].square().sum()  # noqa: E731
    Hv = hvp(steep, {"w": torch.zeros(3)}, torch.ones(3))
    assert Hv.isfinite().all() and not Hv.sum().isfinite()


def test_a_product_that_is_asked_for_in_inference_mode_is_right():
    with torch.inference_mode():
        Hv = hvp(lambda p: p["w"].pow(3).sum(), {"w": normal(3)}, torch.ones(3).double())
    assert torch.allclose(Hv, 6 * normal(3))
