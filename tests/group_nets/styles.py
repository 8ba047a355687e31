"""Ways to write a net: functional, with arguments and hooks, frozen, tied, normed weights."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import weight_norm as old_weight_norm

from group_nets.registry import Net, between, linear, net, weight

# ---- functional style, arguments, hooks, frozen


@net((4, 3))
def functional_style():
    def run(m, x):
        h = F.relu(F.linear(x, m.w[0], m.w[1]))
        return torch.addmm(m.last["b"], h, m.last["w"])

    last = nn.ParameterDict({"w": weight(4, 2), "b": weight(2)})
    return Net(run, w=nn.ParameterList([weight(4, 3), weight(4)]), last=last)


@net((4, 3))
def bare_parameters():
    run = lambda m, x: torch.relu(x @ m.a + m.b) @ m.c  # noqa: E731
    return Net(run, a=weight(3, 4), b=weight(4), c=weight(4, 2))


@net((2, 5, 3))
def einsum():
    def run(m, x):
        h = torch.einsum("nti,ihd->nthd", x, m.a)
        return torch.einsum("nthd,hdo->nto", torch.relu(h), m.b)

    return Net(run, a=weight(3, 2, 3), b=weight(2, 3, 2))


def gated(m, x, gate=None):
    h = torch.relu(m.up(x))
    return m.down(h if gate is None else h + m.gate(gate))


def gate():
    return Net(gated, up=nn.Linear(3, 4), gate=nn.Linear(2, 4), down=nn.Linear(4, 2))


@net((4, 3), dead=12, why="the gate is never run: its 8 weights and 4 biases")
def optional_argument_left_out():
    return gate()


@net((4, 3), (4, 2))
def optional_argument_given():
    return gate()


@net(named={"gate": (4, 2), "x": (4, 3)})
def arguments_by_name():
    return gate()


@net((4, 3))
def a_hook_that_adds():
    made = between(torch.relu)
    made.up.register_forward_hook(lambda module, args, output: output + 1)
    return made


@net((4, 3))
def a_hook_that_doubles():
    made = between(torch.relu)
    made.up.register_forward_hook(lambda module, args, output: 2 * output)
    made.down.register_forward_pre_hook(lambda module, args: (args[0] / 3,))
    return made


@net((4, 3))
def frozen_first_layer():
    made = between(torch.relu)
    made.up.requires_grad_(False)
    return made


@net((4, 3))
def lora():
    def run(m, x):
        h = torch.relu(m.base(x) + 0.5 * m.b(m.a(x)))
        return m.down(h)

    parts = dict(base=nn.Linear(3, 4), a=linear(3, 2), b=linear(2, 4), down=nn.Linear(4, 2))
    made = Net(run, **parts)
    made.base.requires_grad_(False)
    return made


@net((4, 3))
def into_a_buffer():
    made = Net(lambda m, x: m.head(torch.relu(m.up(x)) @ m.table), up=nn.Linear(3, 4))
    made.register_buffer("table", torch.randn(4, 3))
    made.head = nn.Linear(3, 2)
    return made


@net((4, 3))
def scaled_by_a_layer_of_gains():
    """Layer scale, as in ConvNeXt: the branch's output may be moved into its gain."""

    def run(m, x):
        return m.head(x + m.gamma * m.b(F.gelu(m.a(x))))

    parts = dict(a=nn.Linear(3, 4), b=nn.Linear(4, 3), gamma=weight(3))
    return Net(run, **parts, head=nn.Linear(3, 2))


@net((4, 3))
def nested():
    inner = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Linear(4, 3))
    return nn.Sequential(inner, nn.ReLU(), nn.ModuleDict({"last": nn.Linear(3, 2)})["last"])


@net((3,))
def one_example_alone():
    return between(torch.relu)


@net((4, 3))
def one_flat_parameter():
    """All weights in one vector, cut and shaped in forward."""

    def run(m, x):
        up, b, down = m.flat.split((12, 4, 8))
        return torch.relu(x @ up.view(3, 4) + b) @ down.view(4, 2)

    return Net(run, flat=weight(24))


@net((4, 3))
def ensemble():
    """Two nets in one weight, as torch.func stacks them."""

    def run(m, x):
        one = lambda a, b: torch.relu(x @ a) @ b  # noqa: E731
        return torch.func.vmap(one)(m.a, m.b)

    return Net(run, a=weight(2, 3, 3), b=weight(2, 3, 2))


# ---- tied, normed, pruned weights


@net((4, 3))
def one_layer_run_twice():
    run = lambda m, x: m.b(torch.relu(m.a(torch.relu(m.a(x)))))  # noqa: E731
    return Net(run, a=nn.Linear(3, 3), b=nn.Linear(3, 2))


@net((4, 3))
def tied_layers():
    made = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    made[2].weight = made[0].weight
    return made


@net((4, 3))
def tied_branches():
    """One layer reads both branches: it divides for both, and both are multiplied alike."""

    def run(m, x):
        return m.c(torch.relu(m.a(x))) + m.c(torch.relu(m.b(x)))

    return Net(run, a=nn.Linear(3, 4), b=nn.Linear(3, 4), c=nn.Linear(4, 2))


@net((4, 3))
def tied_autoencoder():
    def run(m, x):
        return F.linear(torch.relu(m.enc(x)), m.enc.weight.t(), m.b)

    return Net(run, enc=nn.Linear(3, 4), b=weight(3))


@net((4, 3))
def read_after_all():
    made = between(torch.relu)
    made.run = lambda m, x: m.down(torch.relu(m.up(x))) + m.up.weight.norm()
    return made


@net((4, 3))
def weight_norm():
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    parametrizations.weight_norm(made[0])
    return made


@net((4, 3))
def weight_norm_on_both():
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    for layer in (made[0], made[2]):
        parametrizations.weight_norm(layer)
    return made


@net((4, 3))
def weight_norm_of_old():
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        old_weight_norm(made[0])
    return made


@net((4, 3))
def spectral_norm():
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    parametrizations.spectral_norm(made[0])
    return made.eval()


@net((4, 3), dead=6, why="half of the 12 weights are masked")
def pruned():
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    mask = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 0, 1], [0, 1, 0]])
    prune.custom_from_mask(made[0], "weight", mask)
    return made


@net((4, 3))
def factored_weight():
    """The weight is a product of two, made before any signal comes."""
    run = lambda m, x: m.down(torch.relu(F.linear(x, m.a @ m.b)))  # noqa: E731
    return Net(run, a=weight(4, 2), b=weight(2, 3), down=nn.Linear(4, 2))


@net((4, 3))
def merged_lora():
    def run(m, x):
        return m.down(torch.relu(F.linear(x, m.base.weight + 0.5 * m.b @ m.a, m.base.bias)))

    parts = dict(base=nn.Linear(3, 4), a=weight(2, 3), b=weight(4, 2))
    return Net(run, **parts, down=nn.Linear(4, 2))


@net((4, 3))
def symmetric_weight():
    run = lambda m, x: m.c(torch.relu(m.b(torch.relu(x @ (m.a + m.a.T)))))  # noqa: E731
    return Net(run, a=weight(3, 3), b=nn.Linear(3, 3), c=nn.Linear(3, 2))


@net((4, 3))
def gains_on_the_weight():
    def run(m, x):
        return m.down(torch.relu(F.linear(x, m.rows[:, None] * m.w * m.columns)))

    return Net(run, rows=weight(4), w=weight(4, 3), columns=weight(3), down=nn.Linear(4, 2))


class Squared(nn.Module):
    def forward(self, raw):
        return raw**2


@net((4, 3))
def weight_is_a_square():
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    torch.nn.utils.parametrize.register_parametrization(made[0], "weight", Squared())
    return made


@net((4, 3))
def tied_biases():
    made = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    made[2].bias = made[0].bias
    return made


@net((2, 2, 4, 4))
def weight_standardization():
    """The kernel is shifted and divided by its own spread: its length does not matter."""

    def run(m, x):
        w = m.a.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)
        return m.b(torch.relu(F.conv2d(x, w * m.gain[:, None, None, None], m.a.bias)).mean((2, 3)))

    return Net(run, a=nn.Conv2d(2, 3, 2), gain=weight(3), b=nn.Linear(3, 2))
