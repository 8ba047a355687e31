"""Nets of plain layers, and arithmetic between two of them."""

import torch
from torch import nn
from torch.nn import functional as F

from group_nets.registry import Net, between, linear, net, weight

# ---- plain


@net((4, 3))
def one_layer():
    return nn.Linear(3, 2)


@net((4, 3))
def without_biases():
    return nn.Sequential(linear(3, 4), nn.ReLU(), linear(4, 2))


@net((4, 3))
def three_layers():
    steps = nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3), nn.LeakyReLU(), nn.Linear(3, 2)
    return nn.Sequential(*steps)


@net((4, 3))
def deep_linear():
    return nn.Sequential(linear(3, 3), linear(3, 2), linear(2, 2))


@net((4, 3))
def gelu():
    return between(F.gelu)


@net((4, 3))
def capped():
    return between(lambda h: F.hardtanh(h, 0.0, 0.5))


@net((4, 3))
def capped_by_default():
    """The bounds −1 and 1 are not written down where torch calls its kernel."""
    return between(lambda h: F.hardtanh(2 * h))


@net((4, 3))
def absolute():
    return between(torch.abs)


@net((4, 3))
def after_a_tanh():
    steps = nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)
    return nn.Sequential(*steps)


@net((4, 3))
def a_slope_for_each_unit():
    return nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Linear(4, 2))


@net((4, 3))
def maxout():
    best = lambda m, x: m.down(m.up(x).unflatten(-1, (3, 2)).amax(-1))  # noqa: E731
    return Net(best, up=nn.Linear(3, 6), down=nn.Linear(3, 2))


@net((4, 3), training=True)
def dropout_in_training():
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Dropout(0.3), nn.Linear(5, 2))


@net((4, 4))
def residual():
    def run(m, x):
        x = x + m.b(torch.relu(m.a(x)))
        return m.head(x + m.d(torch.relu(m.c(x))))

    parts = dict(a=nn.Linear(4, 3), b=nn.Linear(3, 4), c=nn.Linear(4, 2), d=nn.Linear(2, 4))
    return Net(run, **parts, head=nn.Linear(4, 2))


@net((4, 3))
def stream_of_its_own():
    """No input is added in: the whole residual stream may be multiplied at once."""

    def run(m, x):
        h = m.embed(x)
        return m.head(h + m.b(torch.relu(m.a(h))))

    return Net(run, embed=linear(3, 4), a=linear(4, 3), b=linear(3, 4), head=nn.Linear(4, 2))


@net((4, 3))
def gains_along_the_way():
    def run(m, x):
        return m.down(m.second * torch.relu(m.first * m.up(x * m.inputs)))

    gains = dict(inputs=weight(3), first=weight(4), second=weight(4))
    return Net(run, up=linear(3, 4), down=linear(4, 2), **gains)


@net((4, 3))
def rectified_in_place():
    steps = nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Linear(4, 2)
    return nn.Sequential(*steps)


@net((4, 3))
def highway():
    def run(m, x):
        t = torch.sigmoid(m.t(x))
        return m.out(t * torch.relu(m.h(x)) + (1 - t) * m.skip(x))

    parts = dict(t=nn.Linear(3, 3), h=nn.Linear(3, 3), skip=linear(3, 3))
    return Net(run, **parts, out=nn.Linear(3, 2))


@net((4, 5, 3))
def deep_sets():
    run = lambda m, x: m.b(torch.relu(m.a(x)).amax(1) + m.a(x).sum(1))  # noqa: E731
    return Net(run, a=nn.Linear(3, 4), b=nn.Linear(4, 2))


@net((4, 3))
def log_softmax_on_top():
    made = between(torch.relu)
    made.run = lambda m, x: F.log_softmax(m.down(torch.relu(m.up(x))), dim=-1)
    return made


@net((5, 3))
def messages_on_a_graph():
    def run(m, x):
        source, target = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])
        h = torch.relu(m.a(x))
        got = torch.zeros_like(h).index_add(0, target, m.message(h)[source])
        return m.b(torch.relu(h + got))

    return Net(run, a=nn.Linear(3, 3), message=linear(3, 3), b=nn.Linear(3, 2))


# ---- arithmetic


@net((4, 3))
def squared_relu():
    return between(lambda h: torch.relu(h) * torch.relu(h))


@net((4, 3))
def squared_by_power():
    return between(lambda h: torch.relu(h) ** 2)


@net((4, 3))
def numbers_on_the_left():
    return between(lambda h: 2 * torch.relu(-3 * h) / 5)


@net((4, 3))
def number_added():
    return between(lambda h: 1 + torch.relu(h))


@net((4, 3))
def keywords():
    return between(lambda h: torch.mul(input=torch.relu(h), other=2.0))


@net((4, 3))
def rounded():
    return between(lambda h: torch.div(h, 0.5, rounding_mode="floor") + 0.1 * h)


@net((4, 3))
def root_of_a_square():
    return between(lambda h: torch.sqrt(h * h))


@net((4, 3))
def divided_by_itself():
    return between(lambda h: h / (1 + h.abs()))


@net((4, 3))
def divided_by_its_mean():
    return between(lambda h: torch.relu(h) / h.abs().mean(-1, keepdim=True))


@net((4, 3))
def in_place():
    return between(lambda h: torch.relu_(h.mul_(0.5)))


@net((4, 3))
def glu():
    return Net(lambda m, x: m.down(F.glu(m.up(x))), up=nn.Linear(3, 8), down=nn.Linear(4, 2))


@net((4, 3))
def sine():
    return between(torch.sin)


@net((4, 3))
def largest_of_the_units():
    return between(lambda h: h.relu() / h.relu().max(-1, keepdim=True).values.add(0.1))


@net((4, 3))
def sorted_units():
    """Which unit stands where hangs on the input: one factor for all at the most."""
    return between(lambda h: h.sort(-1).values)


@net((4, 3))
def running_sum():
    return between(lambda h: torch.relu(h).cumsum(-1))


@net((4, 3))
def product_of_units():
    return between(lambda h: torch.cat([h[:, :2] * h[:, 2:], h], dim=-1)[:, [0, 1, 0, 1]])


@net((4, 3))
def masked_units():
    mask = torch.tensor([True, False, True, False])
    return between(lambda h: h.masked_fill(mask, 0.0) + torch.where(mask, h.abs(), 0.0))


@net((4, 3), (4, 2))
def bilinear():
    parts = dict(a=linear(3, 3), b=linear(2, 3), meet=nn.Bilinear(3, 3, 3), down=nn.Linear(3, 2))
    return Net(lambda m, x, y: m.down(torch.relu(m.meet(m.a(x), torch.relu(m.b(y))))), **parts)


@net((4, 3), (4, 2))
def twin_towers():
    run = lambda m, x, y: m.left(x) @ m.right(y).T  # noqa: E731
    tower = lambda n: nn.Sequential(nn.Linear(n, 3), nn.ReLU(), nn.Linear(3, 3))  # noqa: E731
    return Net(run, left=tower(3), right=tower(2))


@net((4, 3), exception="F.normalize divides by the length or by 1e-12, whichever is more")
def normalized_towers():
    return between(lambda h: F.normalize(h, dim=-1))


@net((4, 3), exception="a number is read off the signal: which branch runs may hang on it")
def branch_on_the_signal():
    def step(h):
        return torch.relu(h) if float(h.detach().abs().sum()) >= 0 else h

    return between(step)


@net((4, 3))
def branch_on_the_shape():
    return between(lambda h: torch.relu(h) if h.shape[0] > 1 else torch.tanh(h))


@net((4, 5))
def slices_in_place():
    def run(m, x):
        h = torch.zeros(len(x), 5, dtype=x.dtype)
        h[:, :3] = torch.relu(m.a(x))
        h[:, 3:] = torch.relu(m.b(x))
        return m.down(h)

    return Net(run, a=nn.Linear(5, 3), b=nn.Linear(5, 2), down=nn.Linear(5, 2))


@net((4, 4))
def branches_side_by_side():
    def run(m, x):
        a, b = torch.relu(m.a(x)), m.b(x).abs()
        return m.down(torch.cat([a, x, b, a], dim=-1))

    return Net(run, a=nn.Linear(4, 2), b=nn.Linear(4, 2), down=nn.Linear(10, 2))


@net((4, 3))
def rolled_and_flipped():
    return between(lambda h: torch.relu(h.flip(-1)).roll(1, -1)[..., [3, 0, 2, 1]])


@net((4, 3))
def several_outputs():
    def run(m, x):
        h = torch.relu(m.up(x))
        return {"logits": m.down(h), "pair": (m.other(h), x.sum())}

    return Net(run, up=nn.Linear(3, 4), down=nn.Linear(4, 2), other=nn.Linear(4, 1))


@net((4, 3))
def hidden_layer_shown():
    def run(m, x):
        h = torch.relu(m.up(x))
        return m.down(h), h[:, :1]

    return Net(run, up=nn.Linear(3, 4), down=nn.Linear(4, 2))
