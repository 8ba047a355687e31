"""Recurrent nets, attention, tables and experts."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from group_nets.registry import Net, Tokens, linear, net, weight

# ---- recurrent


def recurrent(cell, width):
    return Net(lambda m, x: m.head(m.cell(x)[0]), cell=cell, head=nn.Linear(width, 2))


@net((2, 3, 2))
def rnn():
    return recurrent(nn.RNN(2, 3, batch_first=True), 3)


@net((2, 3, 2))
def relu_rnn():
    return recurrent(nn.RNN(2, 3, nonlinearity="relu", batch_first=True), 3)


@net((2, 3, 2))
def relu_rnn_both_ways():
    cell = nn.RNN(2, 2, nonlinearity="relu", batch_first=True, bidirectional=True)
    return recurrent(cell, 4)


@net((2, 3, 2))
def gru():
    return recurrent(nn.GRU(2, 2, batch_first=True), 2)


@net((2, 3, 2))
def lstm():
    return recurrent(nn.LSTM(2, 2, batch_first=True), 2)


@net((2, 3, 2))
def lstm_with_a_projection():
    return recurrent(nn.LSTM(2, 3, batch_first=True, proj_size=2), 2)


@net((2, 3, 2))
def two_layers_of_lstm():
    return recurrent(nn.LSTM(2, 2, num_layers=2, batch_first=True), 2)


@net((2, 3, 2))
def cell_by_hand():
    def run(m, x):
        h = torch.zeros(len(x), 3, dtype=x.dtype)
        for t in range(x.shape[1]):
            h = torch.relu(m.cell(torch.cat([x[:, t], h], dim=-1)))
        return m.head(h)

    return Net(run, cell=nn.Linear(5, 3), head=nn.Linear(3, 2))


@net((2, 3, 2))
def gru_cell():
    def run(m, x):
        h = torch.zeros(len(x), 2, dtype=x.dtype)
        for step in x.unbind(1):
            h = m.cell(step, h)
        return m.head(h)

    return Net(run, cell=nn.GRUCell(2, 2), head=nn.Linear(2, 2))


@net((2, 4, 2))
def relu_rnn_of_two_layers():
    return recurrent(nn.RNN(2, 2, num_layers=2, nonlinearity="relu", batch_first=True), 2)


@net((2, 3, 2))
def relu_rnn_with_a_learned_start():
    def run(m, x):
        h = m.start.expand(len(x), -1)
        for step in x.unbind(1):
            h = torch.relu(m.a(step) + m.b(h))
        return m.head(h)

    parts = dict(a=nn.Linear(2, 3), b=linear(3, 3), start=weight(3), head=nn.Linear(3, 2))
    return Net(run, **parts)


# ---- attention


KEY = "the softmax does not feel what a key's bias adds to all scores: {} biases"


@net((2, 3, 4), dead=4, why=KEY.format(4))
def multi_head_attention():
    run = lambda m, x: m.mha(x, x, x, need_weights=False)[0]  # noqa: E731
    return Net(run, mha=nn.MultiheadAttention(4, 2, batch_first=True))


@net((2, 3, 4), (2, 5, 3), dead=4, why=KEY.format(4))
def cross_attention():
    run = lambda m, x, y: m.mha(x, y, y)[0]  # noqa: E731
    return Net(run, mha=nn.MultiheadAttention(4, 2, kdim=3, vdim=3, batch_first=True))


def encoder_layer(**more):
    return nn.TransformerEncoderLayer(
        4, 2, 3, dropout=0.0, layer_norm_eps=1e-2, batch_first=True, **more
    )


@net((2, 3, 4), dead=4, why=KEY.format(4))
def encoder_post_norm():
    return encoder_layer()


@net((2, 3, 4), dead=4, why=KEY.format(4))
def encoder_pre_norm():
    return encoder_layer(norm_first=True)


def heads(x, n):
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def merged(x):
    return x.transpose(1, 2).flatten(2)


def attention(n, kv=None, turn=lambda x: x, width=4, dim=2, **how):
    """Separate layers for queries, keys and values, through torch's own attention."""
    kv = kv or n

    def run(m, x):
        q, k, v = turn(heads(m.q(x), n)), turn(heads(m.k(x), kv)), heads(m.v(x), kv)
        return m.o(merged(F.scaled_dot_product_attention(q, k, v, **how)))

    parts = dict(q=linear(width, n * dim), k=linear(width, kv * dim), v=linear(width, kv * dim))
    return Net(run, **parts, o=nn.Linear(n * dim, 2))


@net((2, 3, 4))
def scaled_dot_product_attention():
    return attention(2)


@net((2, 3, 4))
def causal_attention():
    return attention(1, dim=3, is_causal=True)


@net((2, 3, 4))
def grouped_queries():
    return attention(4, kv=2, enable_gqa=True)


@net((2, 3, 4))
def grouped_queries_repeated():
    def run(m, x):
        q, k, v = heads(m.q(x), 4), heads(m.k(x), 2), heads(m.v(x), 2)
        k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
        a = torch.softmax(q @ k.transpose(-1, -2) / 2, dim=-1)
        return m.o(merged(a @ v))

    return Net(run, q=linear(4, 8), k=linear(4, 4), v=linear(4, 4), o=linear(8, 2))


def rotate(x):
    """Rotary positions, in halves: coordinate j turns with coordinate j + d/2."""
    half = x.shape[-1] // 2
    frequency = 0.5 ** torch.arange(half, dtype=x.dtype)
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * frequency
    cos, sin = (torch.cat([f(angle)] * 2, dim=-1) for f in (torch.cos, torch.sin))
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin


@net((2, 3, 4))
def rotary_positions():
    return attention(1, dim=4, turn=rotate)


@net((2, 3, 4))
def rotary_and_grouped():
    return attention(2, kv=1, dim=4, turn=rotate, enable_gqa=True)


@net((2, 3, 4), dead=4, why=KEY.format(4))
def packed_attention():
    def run(m, x):
        q, k, v = (heads(part, 2) for part in m.qkv(x).chunk(3, dim=-1))
        return m.o(merged(F.scaled_dot_product_attention(q, k, v)))

    return Net(run, qkv=nn.Linear(4, 12), o=nn.Linear(4, 2))


@net((2, 3, 4))
def packed_by_reshape():
    def run(m, x):
        q, k, v = m.qkv(x).reshape(*x.shape[:2], 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q * 2**-0.5 @ k.transpose(-2, -1)).softmax(dim=-1)
        return m.o((a @ v).transpose(1, 2).reshape(x.shape))

    return Net(run, qkv=linear(4, 12), o=nn.Linear(4, 2))


@net((2, 3, 4))
def normed_queries_and_keys():
    def run(m, x):
        q, k = m.norm_q(m.q(x)), m.norm_k(m.k(x))
        return m.o(F.scaled_dot_product_attention(q, k, m.v(x)))

    norms = dict(norm_q=nn.RMSNorm(3, eps=1e-2), norm_k=nn.RMSNorm(3, eps=1e-2))
    return Net(run, q=linear(4, 3), k=linear(4, 3), v=linear(4, 3), o=linear(3, 2), **norms)


@net((2, 3, 4))
def linear_attention():
    def run(m, x):
        q, k = torch.relu(m.q(x)), torch.relu(m.k(x))
        return m.o(q @ (k.transpose(1, 2) @ m.v(x)) / 7)

    return Net(run, q=linear(4, 3), k=linear(4, 3), v=linear(4, 3), o=linear(3, 2))


@net((2, 3, 4))
def swiglu():
    run = lambda m, x: m.down(F.silu(m.gate(x)) * m.up(x))  # noqa: E731
    return Net(run, gate=linear(4, 3), up=linear(4, 3), down=linear(3, 4))


@net((2, 3, 4))
def swiglu_in_one():
    def run(m, x):
        gate, up = m.both(x).chunk(2, dim=-1)
        return m.down(F.silu(gate) * up)

    return Net(run, both=linear(4, 6), down=linear(3, 2))


@net((2, 3, 4))
def llama_block():
    def run(m, x):
        x = x + m.attend(m.norm_a(x))
        h = m.norm_b(x)
        return x + m.down(F.silu(m.gate(h)) * m.up(h))

    attend = attention(2, kv=1, turn=rotate, enable_gqa=True)
    attend.o = linear(4, 4)
    parts = dict(attend=attend, gate=linear(4, 3), up=linear(4, 3), down=linear(3, 4))
    return Net(run, **parts, norm_a=nn.RMSNorm(4, eps=1e-2), norm_b=nn.RMSNorm(4, eps=1e-2))


@net((2, 3, 4), dead=2, why="the biases of the 2 distances that the mask hides")
def masked_attention():
    """A mask of minus infinities by hand, and a learned bias for each distance."""

    def run(m, x):
        place = torch.arange(x.shape[1])
        scores = m.q(x) @ m.k(x).transpose(1, 2) + m.bias[place[:, None] - place + 2]
        scores = scores.masked_fill(place[:, None] < place, -torch.inf)
        return m.o(torch.softmax(scores, dim=-1) @ m.v(x))

    parts = dict(q=linear(4, 3), k=linear(4, 3), v=linear(4, 3), o=linear(3, 2))
    return Net(run, **parts, bias=weight(3 + 2))


@net((2, 4, 4))
def windows():
    """Shifted windows, as in Swin: rolled, cut, attended, put back."""

    def run(m, x):
        h = torch.roll(m.norm(x), -1, dims=1).reshape(4, 2, 4)
        a = torch.softmax(m.q(h) @ m.k(h).transpose(1, 2), dim=-1)
        return x + torch.roll(m.o(a @ m.v(h)).reshape(2, 4, 4), 1, dims=1)

    parts = dict(q=linear(4, 3), k=linear(4, 3), v=linear(4, 3), o=linear(3, 4))
    return Net(run, norm=nn.LayerNorm(4, eps=1e-2), **parts)


@net((2, 1, 4, 4), dead=4, why=KEY.format(4))
def vision_transformer():
    """Patches, a class token, places, one block, and the class token read out."""

    def run(m, x):
        h = m.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([m.token.expand(len(h), -1, -1), h], dim=1) + m.places
        h = h + m.mha(*[m.norm(h)] * 3, need_weights=False)[0]
        return m.head(m.last(h)[:, 0])

    norms = dict(norm=nn.LayerNorm(4, eps=1e-2), last=nn.LayerNorm(4, eps=1e-2))
    start = dict(patches=nn.Conv2d(1, 4, 2, stride=2), token=weight(1, 1, 4), places=weight(5, 4))
    mha = nn.MultiheadAttention(4, 2, batch_first=True)
    return Net(run, **start, **norms, mha=mha, head=nn.Linear(4, 2))


@net((2, 3, 4), (2, 4, 4), dead=8, why=KEY.format("4 and 4"))
def decoder_layer():
    return nn.TransformerDecoderLayer(4, 2, 3, dropout=0.0, layer_norm_eps=1e-2, batch_first=True)


@net((2, 3, 4))
def attention_with_biases_as_keys():
    run = lambda m, x: m.mha(x, x, x, need_weights=False)[0]  # noqa: E731
    mha = nn.MultiheadAttention(4, 2, bias=False, add_bias_kv=True, batch_first=True)
    return Net(run, mha=mha)


@net((2, 3, 4), dead=4, why=KEY.format(4))
def attention_shown():
    run = lambda m, x: m.mha(x, x, x, need_weights=True)  # noqa: E731
    return Net(run, mha=nn.MultiheadAttention(4, 2, batch_first=True))


@net((2, 3, 4), Tokens(2, (2, 3)), dead=4, why=KEY.format(4))
def padded_attention():
    def run(m, x, mask):
        mask = mask.bool() & (torch.arange(3) > 0)
        return m.mha(x, x, x, key_padding_mask=mask, need_weights=False)[0]

    return Net(run, mha=nn.MultiheadAttention(4, 2, batch_first=True))


# ---- tables and experts


@net(Tokens(5, (3, 4)))
def embedding():
    run = lambda m, x: m.head(torch.relu(m.a(m.table(x))))  # noqa: E731
    return Net(run, table=nn.Embedding(5, 3), a=nn.Linear(3, 4), head=nn.Linear(4, 2))


@net(Tokens(5, (3, 4)), dead=6, why="the last 2 of 6 positions have 3 numbers each, never read")
def embedding_with_positions():
    def run(m, x):
        return m.head(m.table(x) + m.places(torch.arange(x.shape[1])))

    return Net(run, table=nn.Embedding(5, 3), places=nn.Embedding(6, 3), head=nn.Linear(3, 2))


@net(Tokens(5, (3, 4)))
def embedding_tied_to_the_head():
    def run(m, x):
        h = m.table(x)
        return F.linear(h + m.b(torch.relu(m.a(h))), m.table.weight)

    return Net(run, table=nn.Embedding(5, 3), a=nn.Linear(3, 2), b=nn.Linear(2, 3))


@net(Tokens(5, (3, 4)), (3, 2))
def tokens_and_numbers():
    run = lambda m, t, x: m.head(torch.cat([m.table(t).mean(1), m.a(x)], dim=1))  # noqa: E731
    return Net(run, table=nn.Embedding(5, 3), a=nn.Linear(2, 3), head=nn.Linear(6, 2))


@net(Tokens(5, (3, 4)))
def bag_of_words():
    run = lambda m, x: m.head(torch.relu(m.table(x)))  # noqa: E731
    return Net(run, table=nn.EmbeddingBag(5, 3, mode="mean"), head=nn.Linear(3, 2))


@net((4, 3))
def experts_mixed():
    def run(m, x):
        gate = torch.softmax(m.router(x), dim=-1)
        h = torch.stack([expert(x) for expert in m.experts], dim=1)
        return (gate[..., None] * h).sum(1)

    expert = lambda: nn.Sequential(linear(3, 3), nn.ReLU(), linear(3, 2))  # noqa: E731
    return Net(run, router=linear(3, 2), experts=nn.ModuleList([expert(), expert()]))


@net((4, 3))
def experts_in_one_weight():
    def run(m, x):
        h = torch.relu(torch.einsum("ni,eih->neh", x, m.up))
        return torch.einsum("neh,eho,ne->no", h, m.down, torch.softmax(m.router(x), -1))

    return Net(run, up=weight(2, 3, 3), down=weight(2, 3, 2), router=linear(3, 2))


@net((6, 3))
def experts_chosen():
    """Each row goes through the one expert that the router scores highest."""

    def run(m, x):
        gate = torch.softmax(m.router(x), dim=-1)
        chosen = F.one_hot(gate.argmax(-1), 2) * gate
        return sum(chosen[:, k : k + 1] * expert(x) for k, expert in enumerate(m.experts))

    expert = lambda: nn.Sequential(linear(3, 3), nn.ReLU(), linear(3, 2))  # noqa: E731
    return Net(run, router=linear(3, 2), experts=nn.ModuleList([expert(), expert()]))


@net((6, 3))
def experts_routed():
    """Rows are gathered for each expert and put back, as sparse mixtures do."""

    def run(m, x):
        gate = torch.softmax(m.router(x), dim=-1)
        best = gate.argmax(-1)
        out = torch.zeros(len(x), 2, dtype=x.dtype)
        for k, expert in enumerate(m.experts):
            (rows,) = torch.where(best == k)
            out.index_add_(0, rows, expert(x[rows]) * gate[rows, k : k + 1])
        return out

    expert = lambda: nn.Sequential(linear(3, 3), nn.ReLU(), linear(3, 2))  # noqa: E731
    return Net(run, router=linear(3, 2), experts=nn.ModuleList([expert(), expert()]))


@net((2, 3, 4))
def mixer():
    """Layers along the tokens, then along the features."""

    def run(m, x):
        x = x + m.b(torch.relu(m.a(x.transpose(1, 2)))).transpose(1, 2)
        return x + m.d(torch.relu(m.c(x)))

    tokens = dict(a=nn.Linear(3, 2), b=nn.Linear(2, 3))
    return Net(run, **tokens, c=nn.Linear(4, 2), d=nn.Linear(2, 4))


@net((2, 3, 4))
def learned_temperature():
    def run(m, x):
        scores = m.q(x) @ m.k(x).transpose(1, 2) * m.temperature / math.sqrt(3)
        return torch.softmax(scores, dim=-1) @ m.v(x)

    parts = dict(q=linear(4, 3), k=linear(4, 3), v=linear(4, 2))
    return Net(run, **parts, temperature=weight(1))


@net((2, 4, 3))
def last_token_gathered():
    def run(m, x):
        h = torch.relu(m.a(x))
        return m.b(h.gather(1, torch.full((len(x), 1, 4), 3)).squeeze(1))

    return Net(run, a=nn.Linear(3, 4), b=nn.Linear(4, 2))


@net((2, 4, 3))
def messages_scattered():
    """What each node sends is added at its neighbours, as graph networks do."""

    def run(m, x):
        h = torch.relu(m.a(x))
        to = torch.tensor([1, 2, 3, 0])[None, :, None].expand_as(h)
        return m.b(torch.zeros_like(h).scatter_add(1, to, h) + h)

    return Net(run, a=nn.Linear(3, 4), b=nn.Linear(4, 2))


@net((6, 3))
def experts_chosen_by_scatter():
    """The two best scores are kept, by writing them over −∞."""

    def run(m, x):
        best, k = m.gate(torch.relu(m.a(x))).topk(2, -1)
        kept = torch.full((len(x), 3), -torch.inf, dtype=x.dtype).scatter(-1, k, best)
        return m.b(torch.softmax(kept, dim=-1))

    return Net(run, a=linear(3, 3), gate=linear(3, 3), b=linear(3, 2))


@net((4, 3))
def two_branches_blended():
    blend = lambda m, x: torch.lerp(torch.relu(m.a(x)), torch.relu(m.b(x)), 0.3)  # noqa: E731
    return Net(lambda m, x: m.c(blend(m, x)), a=linear(3, 4), b=nn.Linear(3, 4), c=linear(4, 2))


@net((4, 3))
def product_added_in_one_step():
    run = lambda m, x: m.c(torch.addcmul(m.shift, torch.relu(m.a(x)), m.gain))  # noqa: E731
    return Net(run, a=nn.Linear(3, 4), shift=weight(4), gain=weight(4), c=linear(4, 2))


@net((4, 3))
def cut_off_at_another_branch():
    run = lambda m, x: m.c(torch.clamp(m.a(x), max=m.b(x)))  # noqa: E731
    return Net(run, a=linear(3, 4), b=linear(3, 4), c=linear(4, 2))


@net((4, 3))
def noise_of_the_same_shape():
    """A variational encoder: only the shape of the mean says how much noise is drawn."""

    def run(m, x):
        mean, log = m.mean(x), m.log(x)
        return m.out(torch.relu(m.up(mean + torch.randn_like(mean) * log.exp())))

    parts = dict(mean=linear(3, 2), log=linear(3, 2), up=linear(2, 4), out=linear(4, 2))
    return Net(run, **parts)
