"""How many knobs the networks of the page have, and that the Hessian sees none of them.

Oracle of the counts: the null directions of J(θ) diag θ, stacked over several random θ, from
automatic differentiation alone. Oracle of the null directions: finite differences of the gradient
at weights that fit their own outputs.
"""

from functools import cache

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from helpers import find_symmetries, flatten, functional, gradient, squared_error, unflatten
from tools import ROOT, pages

PAGE = pages.read(ROOT / "book" / "after" / "how_many_knobs.ipynb")


@cache
def page():
    """The classes that the page writes down."""
    known, cells = {}, {cell.id: cell.source for cell in PAGE.cells}
    for name in ("imports", "llama", "resnet"):
        exec(cells[name], known)
    return known


def stages(*widths):
    """A convolution, stages of two blocks each, a linear layer: a ResNet with fewer stages."""
    first = [nn.Conv2d(3, widths[0], 3, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    pairs = [*zip((widths[0], *widths), widths)]
    blocks = [page()["Block"](*pair) for a, b in pairs for pair in ((a, b), (b, b))]
    net = nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten())
    net = nn.Sequential(net, nn.Linear(4 * widths[-1], 10))
    net(torch.randn(16, 3, 8, 8))
    return net.double().eval(), torch.randn(40, 3, 8, 8).double()


def llama(d, heads, pairs, size, hidden):
    shape = dict(d=d, heads=heads, pairs=pairs, size=size, hidden=hidden)
    return page()["Llama"](words=d + 3, **shape).double(), torch.randint(d + 3, (20, 5))


NETS = {
    "one stage": (lambda: stages(2), 3 * 2),
    "two stages": (lambda: stages(2, 4), 3 * (2 + 4)),
    "shared keys": (lambda: llama(6, 4, 2, 2, 5), 3 * 6 + 2 * 1 + 2 * 2 + 5),
    "a key each": (lambda: llama(5, 2, 2, 4, 3), 3 * 5 + 2 * 2 + 2 * 4 + 3),
}


def nullity(net, x):
    """How many u have J(θ) diag(θ) u = 0 at four random θ at once."""
    rows = []
    for _ in range(4):
        theta = {n: (p + torch.randn_like(p) / 2).detach() for n, p in net.named_parameters()}
        J = jacrev(lambda p: functional_call(net, p, (x,)).flatten())(theta)
        rows.append(torch.cat([J[n].flatten(1) * theta[n].flatten() for n in theta], dim=1))
    sizes = torch.linalg.svdvals(torch.cat(rows))
    assert len(sizes) == rows[0].shape[1]  # more rows than columns
    return int((sizes < 1e-10 * sizes[0]).sum())


@pytest.mark.parametrize("name", NETS)
def test_a_network_has_as_many_knobs_as_the_page_counts(name, ledger):
    torch.manual_seed(0)
    make, by_hand = NETS[name]
    net, x = make()
    found = find_symmetries(net, x[:2]).dim
    ledger("knobs-count", error=abs(found - by_hand) + abs(nullity(net, x) - by_hand), tol=0)


@pytest.mark.parametrize("name", NETS)
def test_at_a_minimum_the_hessian_is_zero_along_each_knob(name, ledger):
    torch.manual_seed(0)
    net, x = NETS[name][0]()
    f, params = functional(net)
    own = squared_error(f, x, f(params, x).detach())
    theta, group = flatten(params), find_symmetries(net, x[:2])
    slope = lambda v: gradient(own, unflatten(theta + 1e-5 * v, params)).norm() / 1e-5  # noqa: E731
    anywhere = torch.randn_like(theta)
    usual = float(slope(anywhere / anywhere.norm()))
    for symmetry in group.found:
        for unit in torch.eye(symmetry.units, dtype=torch.float64):
            S = group.scaling({symmetry: unit.exp()})
            along = flatten({n: S[n].log() * params[n] for n in params})
            ledger("knobs-null", error=float(slope(along / along.norm())) / usual, tol=1e-3)
