"""What each operation of torch does to factors: the labels that come out, and what it asks of them.

A rule takes the labels s, where s[t] are those of a tensor or a number, and the arguments; it
returns the labels of what comes out. An operation that is not here (softmax, GELU, …), or has an
argument that its rule does not name, asks that nothing it reads is multiplied. Names are ATen's.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import torch
from torch import Tensor

from helpers.maps._group import ZERO
from helpers.maps._labels import NONE, Labels


def _cast(s: Labels, x, to: torch.dtype | None):
    if to is not None and not to.is_floating_point:
        return NONE if to is torch.bool else NotImplemented
    s.eps = max(s.eps, torch.finfo(to or x.dtype).eps)
    return s[x]


def _axes(at) -> dict[int, Tensor]:
    """Return the index that x[at] uses on each axis, if it has one: a mask uses several axes."""
    each = [i for i in at for _ in range(i.ndim if i is not None and i.dtype == torch.bool else 1)]
    return {d: i for d, i in enumerate(each) if i is not None}


def _picked(s: Labels, x, index):
    """Label x[index]; what weights or input choose from is alike."""
    dims = [d for d, i in _axes(index).items() if s.depends(i)]
    u = s.alike(s[x], dims, True).expand(x.shape) if dims else s[x]
    return torch.ops.aten.index(u, index)


def _put(s: Labels, x, index, v, add=False):
    """Label x where v is written or added at x[index]: alike along all axes up to the last one."""
    v = s[v] if v.ndim or s.depends(v) else s[v.item()]  # a number that Python wrote comes unseen
    if not any(map(s.depends, (axes := _axes(index)).values())) and not add:
        return torch.ops.aten.index_put(s[x], index, v)
    u, rest = v.expand(torch.ops.aten.index(x, index).shape)[None], x.ndim - 1 - max(axes)
    return s.join(s[x], s.alike(u, range(u.ndim - rest)))


def _looked_up(s: Labels, table, *others):
    """Label rows of a table: all alike, or else a token that is not in x would be free."""
    if s.unread(table):
        s.record(table, s.fresh(table.shape[1]), NONE)
    scaled = any(s.touched(t) for t in others if isinstance(t, Tensor))
    return NotImplemented if scaled else s.alike(s[table], 0)


def _read(s: Labels, w, u, dims):
    """Return the labels of Σ w · signal over `dims`, where the signal has labels u."""
    plus, minus = s.part(w) or (s[w], NONE)
    u = s.combined(1, u, -1, minus)
    if all(plus.shape[d] == 1 for d in dims):
        u = s.alike(u, dims, True)
    return s.alike(s.combined(1, plus, 1, u), dims)


def _matrices(s: Labels, a, b):
    if s.is_parameter(a) and not s.is_parameter(b):
        return _contracted(s, s[b].T, a.T).T
    return _contracted(s, s[a], b)


def _contracted(s: Labels, u, b):
    """Return the labels (m, n) of a product, from those u (m, k) of its left side, and b (k, n)."""
    rows, back = u[:1], torch.zeros(len(u), dtype=torch.long)
    if not bool((u == rows).all()):
        rows, back = torch.unique(u, dim=0, return_inverse=True)
    if not len(u) or (s.unread(b) and bool((u == ZERO).all())):
        return torch.full((len(u), b.shape[1]), ZERO)
    if s.unread(b):
        x = rows.amax(0)
        x = torch.where(x == ZERO, s.fresh(len(x)), x)  # weights that no signal has met yet
        s.record(b, s.fresh(1, b.shape[1]), x[:, None])
    return torch.stack([_read(s, b, row[:, None], [0]).expand(b.shape[1]) for row in rows])[back]


def _batched(s: Labels, a, b):
    if a.stride(0) == 0 and s.is_parameter(a):  # one matrix for all, as einsum repeats it
        return _batched(s, b.transpose(1, 2), a.transpose(1, 2)).transpose(1, 2)
    if b.stride(0) == 0 and s.is_parameter(b):
        return _contracted(s, s[a].flatten(0, 1), b[0]).reshape(*a.shape[:2], -1)
    done, out = {}, []
    for i, (x, y) in enumerate(zip(a, b)):
        new = s.unread(x) or s.unread(y)
        key = i if new else (s[x].numpy().tobytes(), s[y].numpy().tobytes())
        done[key] = done[key] if key in done else _matrices(s, x, y)
        out.append(done[key])
    return torch.stack(out)


def _convolved(s: Labels, x, w, b, stride, padding, dilation, transposed, output_pad, g):
    u = s.alike(s[x], [d for d in range(x.ndim) if d != x.ndim - w.ndim + 1])
    w = w.unflatten(0, (g, -1))  # group, units, inputs, places; or group, inputs, units, places
    (unit, read), one = (2, 1) if transposed else (1, 2), [1] * (w.ndim - 2)
    u = u.reshape(g, -1, *one).movedim(1, read)
    if s.unread(w):
        s.record(w, s.fresh(g, w.shape[unit], *one).movedim(1, unit), u)
    y = _read(s, w, u, [d for d in range(1, w.ndim) if d != unit]).flatten()
    return (y if b is None else s.join(y, s[b], True)).reshape(-1, *one[1:])


def _trilinear(s: Labels, *args):
    u, v, w = (reduce(Tensor.unsqueeze, sorted(new), s[t]) for t, new in zip(args, args[3:6]))
    return s.alike(s.combined(1, s.combined(1, u, 1, v), 1, w), args[6])


def _normed(s: Labels, u, tiny, w, b, shape, stored=False):
    """Label a gain and bias, a layer of their own; u has a factor only without eps."""
    y = NONE if w is None else s[w].reshape(shape)
    y = y if b is None else s.join(y, s[b].reshape(shape), True)
    one = NONE if tiny or stored else s.alike(u, range(u.ndim - len(shape), u.ndim), True)
    s.why = (f"{s.name}: {'stored mean' if stored else f'eps = {tiny:g}'}", s.layers[-1])
    s.equal(u, one)
    return y


def _batch_norm(s: Labels, x, w, b, *args):
    stored = not args[2] if len(args) > 4 else len(args) > 3  # after mean and variance, if any
    s.name = s.name if len(x) > 1 else "normalization"  # of one row: so instance norm comes, too
    return _normed(s, s[x].transpose(0, 1), args[-1], w, b, [-1] + [1] * (x.ndim - 2), stored)


_TABLE = {
    "relu leaky_relu neg abs clone alias tril triu native_dropout": lambda s, x, *_, **__: s[x],
    "repeat flip roll pixel_shuffle pixel_unshuffle channel_shuffle im2col": lambda s, x, *a: (
        s.func(s[x].double() + 1, *a).long() - 1  # new places hold 0
    ),
    "constant_pad_nd": lambda s, x, pad, v=0: s.func(s[x], pad, int(s[v])),
    "cat stack": lambda s, ts, dim=0: s.func([s[t] for t in ts], dim),
    "sign isnan isinf": lambda s, x: NONE,
    "_to_copy": lambda s, x, dtype=None, **_: _cast(s, x, dtype),
    "copy": lambda s, x, v, *_: _cast(s, v, x.dtype),
    "fill zero": lambda s, x, v=0: s[v],
    "add sub rsub maximum minimum": lambda s, a, b, **_: s.join(s[a], s[b]),
    "gt ge lt le eq ne": lambda s, a, b: 0 * s.join(s[a], s[b]),
    "where": lambda s, _, a, b: s.join(s[a], s[b]),
    "masked_fill": lambda s, x, _, v: s.join(s[x], s[v]),
    "mul": lambda s, a, b: s.combined(1, s[a], 1, s[b]),
    "div": lambda s, a, b: s.combined(1, s[a], -1, s[b]),
    "sqrt": lambda s, x: s.combined(Fraction(1, 2), s[x]),
    "rsqrt": lambda s, x: s.combined(Fraction(-1, 2), s[x]),
    "reciprocal": lambda s, x: s.combined(-1, s[x]),
    "pow": lambda s, x, p: s.combined(Fraction(p), s[x]) if p and not 2 * p % 1 else NotImplemented,
    "sum mean amax amin max min": lambda s, x, dim=None, keep=False, **_: s.alike(s[x], dim, keep),
    "norm linalg_vector_norm": lambda s, x, p=2, d=None, k=0, **_: bool(p) * s.alike(s[x], d, k),
    "std": lambda s, x, dim=None, *, keepdim=False, **_: s.alike(s[x], dim, keepdim),
    "var": lambda s, x, dim=None, *, keepdim=False, **_: s.combined(2, s.alike(s[x], dim, keepdim)),
    "argmax argmin": lambda s, x, dim=None, keep=False: 0 * s.alike(s[x], dim, keep),
    "cumsum sort": lambda s, x, dim=-1, *_, **__: s.alike(s[x], dim, True).expand(x.shape),
    "topk": lambda s, x, k, dim=-1, *_: s.alike(s[x], dim, True),
    "clamp clamp_min clamp_max hardtanh threshold": lambda s, x, *bounds, **named: reduce(
        s.join, [s[b] for b in (x, *bounds, *named.values()) if b is not None]
    ),
    "prelu _prelu_kernel": lambda s, x, slope: s.pin(slope) or s[x],
    "glu": lambda s, x, dim=-1: s.pin(x.chunk(2, dim)[1]) or s[x.chunk(2, dim)[0]],
    "avg_pool{0} adaptive_avg_pool{0} _adaptive_avg_pool{0} adaptive_max_pool{0} max_pool{0} "
    "max_pool{0}_with_indices reflection_pad{0} replication_pad{0} upsample_nearest{0} "
    "_upsample_nearest_exact{0} upsample_linear{0} upsample_bilinear{0} upsample_bicubic{0} "
    "upsample_trilinear{0}": lambda s, x, *_, **__: (  # along as many axes as its name says
        s.alike(s[x], range(x.ndim - int(min(s.name)), x.ndim), True)
    ),
    "addcmul": lambda s, c, a, b, **_: s.join(s[c], s.combined(1, s[a], 1, s[b])),
    "lerp": lambda s, a, b, w: s.equal(s[w], NONE) or s.join(s[a], s[b]),
    "gather": lambda s, x, dim, i, **_: s.func(s.alike(s[x], dim, True).expand(x.shape), dim, i),
    "index": _picked,
    "index_put": _put,
    "index_select": lambda s, x, dim, i: _picked(s, x, [None] * (dim % x.ndim) + [i]),
    "index_add": lambda s, x, dim, _, v, alpha=1: s.join(s[x], s.alike(s[v], dim, True)),
    "scatter scatter_add": lambda s, x, dim, _, v: s.join(s[x], s.alike(s[v], dim, True)),
    "embedding _embedding_bag_forward_only _embedding_bag": _looked_up,
    "mm": _matrices,
    "bmm": _batched,
    "mv": lambda s, a, b: _matrices(s, a, b[:, None])[:, 0],
    "dot vdot": lambda s, a, b: _matrices(s, a[None], b[:, None])[0, 0],
    "addmm": lambda s, c, a, b, **_: s.join(_matrices(s, a, b), s[c], True),
    "baddbmm": lambda s, c, a, b, beta=1, **_: s.join(_batched(s, a, b), s[c if beta else 0], True),
    "convolution": _convolved,
    "_trilinear": _trilinear,
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training": _batch_norm,
    "native_group_norm": lambda s, x, w, b, n, c, places, g, tiny: _normed(
        s, s[x].unflatten(1, (g, -1)), tiny, w, b, [-1] + [1] * (x.ndim - 2)
    ),
    "native_layer_norm": lambda s, x, shape, w, b, tiny: _normed(s, s[x], tiny, w, b, shape),
    "_fused_rms_norm": lambda s, x, shape, w, tiny: _normed(s, s[x], tiny, w, None, shape),
    "_weight_norm_interface": lambda s, v, g, dim=0: (
        (s[g].expand(v.shape), s.alike(s[v], [d for d in range(v.ndim) if d != dim], True))
    ),
}
RULES = {}
for names, rule in _TABLE.items():
    RULES |= {name.format(d): rule for name in names.split() for d in ("1d", "2d", "3d")}
