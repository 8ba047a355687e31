"""What each operation does to factors: one step at a time, between two parameters.

Oracle: the dimension of the group is the nullity of J·diag θ, as in test_group, where J comes from
autograd at random weights and inputs and knows no rule.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import find_symmetries

I = torch.tensor([2, 0, 1])  # noqa: E741, where rows are taken from
FILTER = (2, 2, 2)  # two units that read two channels at two places


def zero_at_the_left(x):
    x = x.clone()
    x[:, :1] = torch.zeros(2, 1)
    return x


def written(x, index, v):
    x = x.clone()
    x[index] = v
    return x


def raised(x, index, v):
    x = x.clone()
    x[index] += v
    return x


STEPS = {  # by name: a step of the parameters a, b and the input x, and their shapes
    "relu": (lambda a, b, x: torch.relu(a) + 0 * b, (2, 3), (2, 3), (1,)),
    "leaky relu of a product": (lambda a, b, x: F.leaky_relu(x @ a) @ b, (3, 2), (2, 3), (4, 3)),
    "minus": (lambda a, b, x: -a * b, (2, 3), (2, 3), (1,)),
    "absolute": (lambda a, b, x: a.abs() + b, (2, 3), (2, 3), (1,)),
    "triangle": (lambda a, b, x: torch.tril(a) @ b, (3, 3), (3, 2), (1,)),
    "repeated": (lambda a, b, x: a.repeat(2, 1) + b, (2, 3), (4, 3), (1,)),
    "flipped": (lambda a, b, x: a.flip(1) + b, (2, 3), (2, 3), (1,)),
    "rolled": (lambda a, b, x: a.roll(1, 0) + b, (2, 3), (2, 3), (1,)),
    "padded": (lambda a, b, x: F.pad(a, (1, 1)) + b, (2, 1), (2, 3), (1,)),
    "padded by twos": (lambda a, b, x: F.pad(a, (1, 1), value=2.0) * b, (2, 1), (2, 3), (1,)),
    "joined": (lambda a, b, x: torch.cat([a, b]), (2, 3), (1, 3), (1,)),
    "stacked": (lambda a, b, x: torch.stack([a, b], 1), (2, 3), (2, 3), (1,)),
    "a copy": (lambda a, b, x: a.to(torch.float64, copy=True) + b, (2, 3), (2, 3), (1,)),
    "true where not zero": (lambda a, b, x: a.bool() * b, (2, 3), (2, 3), (1,)),
    "kept where not zero": (
        lambda a, b, x: (h := torch.relu(x @ a)) * h.bool() @ b,
        (3, 2),
        (2, 3),
        (4, 3),
    ),
    "sorted along the last axis": (lambda a, b, x: a.sort().values + b, (2, 3), (2, 1), (1,)),
    "added up into columns": (
        lambda a, b, x: x.new_zeros(2, 3).index_add(1, I, a) + b,
        (2, 3),
        (2, 1),
        (1,),
    ),
    "bilinear in its second": (
        lambda a, b, x: F.bilinear(x, torch.relu(x @ a), b.reshape(2, 3, 2)),
        (3, 2),
        (2, 6),
        (4, 3),
    ),
    "root mean square norm": (
        lambda a, b, x: F.rms_norm(x, (3,), a, 1e-6) @ b,
        (3,),
        (3, 2),
        (4, 3),
    ),
    "added": (lambda a, b, x: a + b, (2, 3), (3,), (1,)),
    "taken away": (lambda a, b, x: a - b, (2, 3), (3,), (1,)),
    "larger of two": (lambda a, b, x: torch.maximum(a, b), (2, 3), (2, 3), (1,)),
    "where": (lambda a, b, x: torch.where(x > 0, a, b), (2, 3), (2, 3), (2, 3)),
    "filled": (lambda a, b, x: a.masked_fill(x > 0, 0.0) + 0 * b, (2, 3), (1,), (2, 3)),
    "filled with ones": (lambda a, b, x: a.masked_fill(x > 0, 1.0) * b, (2, 3), (2, 3), (2, 3)),
    "compared": (lambda a, b, x: (a > b) * b, (2, 3), (2, 3), (1,)),
    "times": (lambda a, b, x: a * b, (2, 3), (3,), (1,)),
    "over": (lambda a, b, x: a / b, (2, 3), (3,), (1,)),
    "a square beside": (lambda a, b, x: a.square() + b, (2, 3), (2, 3), (1,)),
    "a root beside": (lambda a, b, x: a.abs().sqrt() + b, (2, 3), (2, 3), (1,)),
    "one over a root": (lambda a, b, x: a.abs().rsqrt() + b, (2, 3), (2, 3), (1,)),
    "one over": (lambda a, b, x: a.reciprocal() + b, (2, 3), (2, 3), (1,)),
    "a cube beside": (lambda a, b, x: a.pow(3) + b, (2, 3), (2, 3), (1,)),
    "zeros to the power of nought": (
        lambda a, b, x: ((0 * x) ** 0 + a) * b, (2, 3), (3,), (2, 3),
    ),
    "to three halves": (lambda a, b, x: a.abs().pow(1.5) + b, (2, 3), (2, 3), (1,)),
    "summed": (lambda a, b, x: a.sum(0) + b, (2, 3), (3,), (1,)),
    "mean kept": (lambda a, b, x: a.mean(1, keepdim=True) + b, (2, 3), (2, 1), (1,)),
    "largest": (lambda a, b, x: a.amax(0) + b, (2, 3), (3,), (1,)),
    "largest and where": (lambda a, b, x: a.max(0).values + b, (2, 3), (3,), (1,)),
    "place of the largest, kept": (
        lambda a, b, x: a.argmax(1, keepdim=True) * b, (2, 3), (2, 1), (1,),
    ),
    "normed": (lambda a, b, x: a.norm(dim=1) + b, (2, 3), (2,), (1,)),
    "spread": (lambda a, b, x: a.std(1) + b, (2, 3), (2,), (1,)),
    "variance": (lambda a, b, x: a.var(1) + b, (2, 3), (2,), (1,)),
    "cumulated": (lambda a, b, x: a.cumsum(1) + b, (2, 3), (2, 3), (1,)),
    "sorted": (lambda a, b, x: a.sort(dim=1).values + b, (2, 3), (2, 3), (1,)),
    "largest two": (lambda a, b, x: a.topk(2, dim=1).values + b, (2, 3), (2, 2), (1,)),
    "bounded by another": (lambda a, b, x: torch.clamp(a, max=b), (2, 3), (2, 3), (1,)),
    "bounded below by zero": (lambda a, b, x: a.clamp(min=0) + b, (2, 3), (2, 3), (1,)),
    "a slope of its own": (lambda a, b, x: F.prelu(x @ a, b.abs()[:1]), (3, 2), (2,), (4, 3)),
    "gated": (lambda a, b, x: F.glu(x @ a, 1) * b, (3, 4), (2,), (4, 3)),
    "pooled": (lambda a, b, x: F.max_pool1d(a, 2) + b, (1, 2, 4), (1, 2, 2), (1,)),
    "averaged in the plane": (
        lambda a, b, x: F.avg_pool2d(a, 2) + b, (1, 2, 2, 4), (1, 2, 1, 2), (1,),
    ),
    "stretched": (lambda a, b, x: F.interpolate(a, scale_factor=2) + b, (1, 2, 2), (1, 2, 4), (1,)),
    "added product": (lambda a, b, x: torch.addcmul(b, a, a), (2, 3), (2, 3), (1,)),
    "between two": (lambda a, b, x: torch.lerp(a, b, 0.3), (2, 3), (2, 3), (1,)),
    "gathered": (lambda a, b, x: a.gather(0, I[None]) + b, (3, 3), (1, 3), (1,)),
    "chosen rows": (lambda a, b, x: a[I] + b, (3, 2), (3, 2), (1,)),
    "chosen by the input": (lambda a, b, x: a[(x > 0).long()] + b, (2, 3), (3,), (4,)),
    "masked by the input": (lambda a, b, x: a[x > 0].sum() * b, (2, 3), (2,), (2, 3)),
    "selected": (lambda a, b, x: a.index_select(1, I) + b, (2, 3), (2, 3), (1,)),
    "added at places": (lambda a, b, x: a.index_add(0, I, b), (3, 2), (3, 2), (1,)),
    "scattered": (lambda a, b, x: a.scatter_add(0, I[None], b), (3, 3), (1, 3), (1,)),
    "rows masked by the input": (lambda a, b, x: a[x > 0].sum(0) + b, (4, 2), (2,), (4,)),
    "columns masked by the input": (lambda a, b, x: a[:, x > 0].sum(1) + b, (2, 4), (2,), (4,)),
    "written at places": (lambda a, b, x: written(a, I, b), (4, 2), (3, 2), (1,)),
    "written at places with a gap between": (
        lambda a, b, x: written(a, (I, slice(None), I), b), (3, 2, 3), (3, 2), (1,),
    ),
    "written at rows of the input's choice": (
        lambda a, b, x: written(a, x > 0, b), (4, 2), (2,), (4,),
    ),
    "written at columns of the input's choice": (
        lambda a, b, x: written(a, (slice(None), x > 0), b), (2, 4), (2, 1), (4,),
    ),
    "written at entries of the input's choice": (
        lambda a, b, x: written(a, x > 0, b), (2, 3), (1,), (2, 3),
    ),
    "zeroed where the input says": (
        lambda a, b, x: written(a, x > 0, 0.0) * b, (2, 3), (3,), (2,),
    ),
    "one where the input says": (
        lambda a, b, x: written(a, x > 0, 1.0) * b, (2, 3), (3,), (2,),
    ),
    "zeroed at places": (lambda a, b, x: written(a, I[:2], 0.0) * b, (3, 2), (2,), (1,)),
    "put into zeros where the input says": (
        lambda a, b, x: written(torch.zeros(4, 2).to(x), m := x[:, 0] > 0, x[m] @ a + b),
        (3, 2), (2,), (4, 3),
    ),
    "added to zeros where the input says": (
        lambda a, b, x: raised(torch.zeros(4, 2).to(x), m := x[:, 0] > 0, x[m] @ a + b),
        (3, 2), (2,), (4, 3),
    ),
    "added twice at one place": (
        lambda a, b, x: torch.index_put(a, (0 * I,), b, accumulate=True), (2, 2), (3, 2), (1,),
    ),
    "zeros added last at one place": (
        lambda a, b, x: torch.index_put(
            a, (0 * I,), torch.cat([b, torch.zeros(1, 2)]), accumulate=True
        ), (1, 2), (2, 2), (1,),
    ),
    "looked up": (lambda a, b, x: F.embedding((x > 0).long(), a) + b, (2, 3), (3,), (4,)),
    "a matrix and a vector": (lambda a, b, x: a @ b, (2, 3), (3,), (1,)),
    "two matrices": (lambda a, b, x: x @ a @ b, (3, 2), (2, 2), (4, 3)),
    "a matrix before": (lambda a, b, x: b @ (a @ x), (2, 3), (2, 2), (3, 4)),
    "a dot product": (lambda a, b, x: torch.dot(a, b)[None], (3,), (3,), (1,)),
    "stacks of matrices": (lambda a, b, x: a @ b, (2, 2, 3), (2, 3, 2), (1,)),
    "one matrix for a stack": (lambda a, b, x: x @ a @ b, (3, 2), (2, 2), (2, 4, 3)),
    "one matrix repeated": (
        lambda a, b, x: torch.bmm(x, a.expand(2, -1, -1)) @ b, (3, 2), (2, 2), (2, 4, 3),
    ),
    "one matrix repeated before": (
        lambda a, b, x: b @ torch.bmm(a.expand(2, -1, -1), x), (2, 3), (2, 2), (2, 3, 4),
    ),
    "a matrix and a bias": (lambda a, b, x: torch.addmm(b, x, a), (3, 2), (2,), (4, 3)),
    "a stack and a bias": (lambda a, b, x: torch.baddbmm(b, x, a), (2, 3, 2), (2, 4, 2), (2, 4, 3)),
    "a stack and no bias": (
        lambda a, b, x: torch.baddbmm(b, x, a, beta=0), (2, 3, 2), (2, 4, 2), (2, 4, 3),
    ),
    "a filter": (lambda a, b, x: F.conv1d(x, a, b), FILTER, (2,), (1, 2, 5)),
    "two filters": (lambda a, b, x: F.conv1d(F.conv1d(x, a), b), FILTER, FILTER, (1, 2, 5)),
    "grouped filters": (
        lambda a, b, x: F.conv1d(F.conv1d(x, a), b, groups=2), FILTER, (2, 1, 2), (1, 2, 5),
    ),
    "a filter turned round": (
        lambda a, b, x: F.conv_transpose1d(F.conv1d(x, a), b), FILTER, (2, 3, 2), (1, 2, 5),
    ),
    "a bilinear form": (lambda a, b, x: F.bilinear(x, x, a, b), (2, 3, 3), (2,), (4, 3)),
    "a gain and a bias": (lambda a, b, x: F.layer_norm(x, (3,), a, b), (3,), (3,), (4, 3)),
    "a normalized factor": (
        lambda a, b, x: F.layer_norm(x @ a, (3,), eps=0) + b, (3, 3), (3,), (4, 3),
    ),
    "a normalized factor of each group": (
        lambda a, b, x: F.group_norm(x @ a, 2, eps=0.0) + b, (3, 6), (6,), (5, 3),
    ),
    "a normalized factor of each channel": (
        lambda a, b, x: F.instance_norm((x @ a).mT[None], eps=0.0)[0].mT + b,
        (3, 3), (3,), (5, 3),
    ),
    "groups with a gain": (lambda a, b, x: F.group_norm(x, 1, a, b), (3,), (3,), (4, 3, 2)),
    "a batch with a gain": (
        lambda a, b, x: F.batch_norm(x, None, None, a, b, True), (3,), (3,), (4, 3),
    ),
    "a matrix read entry by entry, too": (
        lambda a, b, x: (h := x @ a) @ b + (h[:, :, None] * b).sum(1), (3, 2), (2, 2), (4, 3),
    ),
    "a matrix read row by row, too": (
        lambda a, b, x: (h := x @ a) @ b + h[:, :1] * b[:1] + h[:, 1:] * b[1:],
        (3, 2), (2, 2), (4, 3),
    ),
    "rows by themselves, then together": (
        lambda a, b, x: torch.cat([a[:1], a[2:], a[1:]]) * b, (3, 2), (2,), (1,),
    ),
    "entries by themselves, then together": (
        lambda a, b, x: torch.cat([a[:1], a[2:], a[1:], b[2:], b[:1], b[:2]]), (3,), (3,), (1,),
    ),
    "the input padded": (lambda a, b, x: (F.pad(x, (1, 1)) + a) * b, (2, 5), (5,), (2, 3)),
    "the input joined to zeros": (
        lambda a, b, x: (torch.cat([x, torch.zeros(2, 3)]) + a) * b, (4, 3), (3,), (2, 3),
    ),
    "the input stacked on zeros": (
        lambda a, b, x: (torch.stack([x, torch.zeros(2, 3)], 1) + a) * b, (2, 2, 3), (3,), (2, 3),
    ),
    "zeros copied into the input": (
        lambda a, b, x: (zero_at_the_left(x) + a) * b, (2, 3), (3,), (2, 3),
    ),
    "zeros and ones that were tossed": (
        lambda a, b, x: (torch.bernoulli(torch.full((2, 3), 0.5)) + a) * b, (2, 3), (3,), (1,),
    ),
    "whole numbers added": (lambda a, b, x: (torch.arange(3) + a) * b, (2, 3), (3,), (1,)),
    "larger than minus infinity": (
        lambda a, b, x: torch.maximum(a, torch.full((3,), -torch.inf)) * b, (2, 3), (3,), (1,),
    ),
    "zeros of the input's shape": (
        lambda a, b, x: (torch.zeros_like(x) + a) * b, (2, 3), (3,), (2, 3),
    ),
    "new zeros of the input's kind": (
        lambda a, b, x: (x.new_zeros(2, 3) + a) * b, (2, 3), (3,), (2, 4),
    ),
    "ones among zeros, turned round": (
        lambda a, b, x: (torch.eye(3).flip(0) + a) * b, (3, 3), (3,), (1,),
    ),
    "a batch with a gain and a memory": (  # by the name that some releases of torch call
        lambda a, b, x: torch.ops.aten._native_batch_norm_legit(
            x, a, b, torch.zeros(3).to(x), torch.ones(3).to(x), True, 0.1, 1e-5
        )[0], (3,), (3,), (4, 3),
    ),
    "a length and a direction": (
        lambda a, b, x: x @ torch._weight_norm(a, b, 0).T, (2, 3), (2, 1), (4, 3),
    ),
}  # fmt: skip


ALIKE = {  # channels, or rows, keep a factor each, but their places are asked to be alike
    "pooled": 2,
    "averaged in the plane": 2,
    "stretched": 2,
    "added at places": 2,
    "scattered": 3,
    "added twice at one place": 2,
    "written at columns of the input's choice": 1,
}


NO_SLOPE = {"place of the largest, kept": 2}  # rows that are only compared: no slope tells of them


class Step(nn.Module):
    """One step, and a parameter for each of its outputs that can undo what reaches it."""

    def __init__(self, step, a, b, x):
        super().__init__()
        self.a, self.b, self.step = nn.Parameter(torch.ones(a)), nn.Parameter(torch.ones(b)), step
        out = step(torch.rand(a), torch.rand(b), torch.rand(x))
        self.undo = nn.Parameter(torch.ones(out.shape[1:] if x[0] == out.shape[0] else out.shape))

    def forward(self, x):
        return self.step(self.a, self.b, x) * self.undo


def drawn(shape, dice):
    """Numbers of both signs, none near 0."""
    sign = 1 - 2 * torch.randint(2, shape, generator=dice)
    return sign * (0.5 + torch.rand(shape, generator=dice, dtype=torch.float64))


def nullity(module, shape):
    """The dimension of the kernel of J·diag θ, on the entries that matter at some θ."""
    dice, names = torch.Generator().manual_seed(1), [name for name, _ in module.named_parameters()]
    n, rows = sum(p.numel() for p in module.parameters()), []
    for _ in range(n + 10):
        theta = {
            name: drawn(p.shape, dice).requires_grad_() for name, p in module.named_parameters()
        }
        y = torch.func.functional_call(module, theta, drawn(shape, dice))
        direction = torch.randn(y.shape, generator=dice, dtype=torch.float64)
        slopes = torch.autograd.grad(
            (y * direction).sum(), [theta[name] for name in names], materialize_grads=True
        )
        rows.append(torch.cat([(g * theta[name]).reshape(-1) for g, name in zip(slopes, names)]))
    rows = torch.stack(rows).detach()
    sizes = torch.linalg.svdvals(rows[:, rows.abs().amax(0) > 1e-12])
    return int((sizes < 1e-10 * sizes[0]).sum())


@pytest.mark.parametrize("name", STEPS)
def test_a_step_leaves_as_many_factors_as_its_slopes_say(name):
    step, *shapes = STEPS[name]
    torch.manual_seed(0)
    module = Step(step, *shapes).double()
    for p in module.parameters():
        p.data = drawn(p.shape, torch.Generator().manual_seed(0))
    x = drawn(shapes[-1], torch.Generator().manual_seed(2))
    found, true = find_symmetries(module, x).dim, nullity(module, shapes[-1])
    true += NO_SLOPE.get(name, 0)
    assert found == ALIKE.get(name, true) <= true
