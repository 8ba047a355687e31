"""What each operation of torch does to factors: the labels that come out, and what it asks of them.

A rule takes the labels s, where s[t] are those of a tensor or number, and the operation's own
arguments; it returns the labels of what comes out. An operation that is not here (softmax, GELU,
exp, …) asks that nothing it reads is multiplied, and so does one with an argument that its rule
does not name. Names are those of ATen, without the underscore of the in-place forms.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from helpers.maps._group import ZERO
from helpers.maps._labels import NONE, Labels


def _power(s: Labels, x, p):
    power = Fraction(p).limit_denominator(64) if isinstance(p, (int, float)) else 0
    plain = isinstance(x, Tensor) and power and float(power) == p
    return s.combined(power, s[x]) if plain else NotImplemented


def _clamped(s: Labels, x, low=None, high=None, **bounds):
    bounds = [b for b in (low, high, *bounds.values()) if b is not None]
    plain = all(isinstance(b, (int, float)) and b in (0, math.inf, -math.inf) for b in bounds)
    return s[x] if plain else NotImplemented


def _cast(s: Labels, x, to: torch.dtype | None):
    if to is None or to.is_floating_point:
        s.eps = max(s.eps, torch.finfo(to or x.dtype).eps)
        return s[x]
    return NONE if to is torch.bool else NotImplemented


def _places(spatial):
    """Return the rule of pooling and resizing: channels keep their labels, places are alike."""
    return lambda s, x, *_, **__: (s.alike(s[x], range(x.ndim - spatial, x.ndim), True), NONE)


def _picked(s: Labels, x, index):
    """Label x[index]; what weights or input choose from is alike."""
    chosen = [i is not None and s.depends(i) for i in index]
    if any(c and i.dtype == torch.bool for c, i in zip(chosen, index)):
        chosen = [True] * x.ndim
    dims = [d for d, c in enumerate(chosen) if c]
    u = s.alike(s[x], dims, True).expand(x.shape) if dims else s[x]
    return torch.ops.aten.index(u, index)


def _looked_up(s: Labels, table, *others):
    """Label rows of a table: all alike, or a token that x does not hold would be free."""
    if s.unread(table):
        s.record(table, s.fresh(table.shape[1]), NONE)
    for t in others:
        if isinstance(t, Tensor):
            s.pin(t)
    return s.alike(s[table], 0)


def _matrices(s: Labels, a, b):
    if s.is_parameter(a) and not s.is_parameter(b):
        return _contracted(s, s[b].T, a.T).T
    return _contracted(s, s[a], b)


def _contracted(s: Labels, u, b):
    """Return the labels (m, n) of a product, from those u (m, k) of its left side, and b (k, n)."""
    rows, back = _distinct(u)
    if s.unread(b) and bool((u == ZERO).all()):
        return torch.full((len(u), b.shape[1]), ZERO)
    if s.unread(b):
        x = rows.amax(0)
        x = torch.where(x == ZERO, s.fresh(len(x)), x)  # weights that no signal has met yet
        s.record(b, s.fresh(1, b.shape[1]), x[:, None])
    if weight := _as_weight(s, b):
        shifts = [s.alike(s.combined(1, row, -1, weight[1])) for row in rows]
        return s.combined(1, weight[0], 1, torch.stack(shifts)[:, None])[back]
    columns, at = _distinct(s[b].T)
    return s.alike(s.combined(1, rows[:, None, :], 1, columns[None]), 2)[back][:, at]


def _as_weight(s: Labels, b):
    """Return (y (n,), x (k,)) if entry (k, n) of a parameter is known to be multiplied by y/x."""
    if (part := s.part(b)) is None:
        return None
    plus, minus = part
    if plus.shape[0] == minus.shape[1] == 1:
        return plus[0].expand(b.shape[1]), minus[:, 0].expand(b.shape[0])
    if plus.shape[1] == minus.shape[0] == 1:
        y, x = s.combined(-1, minus[0]), s.combined(-1, plus[:, 0])
        return y.expand(b.shape[1]), x.expand(b.shape[0])
    return None


def _distinct(u):
    """Return the distinct rows of u, and which of them each row is."""
    if bool((u == u[:1]).all()):
        return u[:1], torch.zeros(len(u), dtype=torch.long)
    return torch.unique(u, dim=0, return_inverse=True)


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
    unit, read = (2, 1) if transposed else (1, 2)
    minus = _along(u, g, read, w.ndim)
    if s.unread(w):
        s.record(w, _along(s.fresh(g * w.shape[unit]), g, unit, w.ndim), minus)
    plus, before = s.part(w) or (s[w], NONE)
    y = s.combined(1, plus, 1, s.combined(1, minus, -1, before))
    y = s.alike(y, [d for d in range(1, w.ndim) if d != unit]).flatten()
    return (y if b is None else s.join(y, s[b])).reshape(-1, *[1] * (x.ndim - y.ndim - 1))


def _along(u, g, axis, ndim):
    return u.reshape([g, *(-1 if k == axis else 1 for k in range(1, ndim))])


def _trilinear(s: Labels, a, b, c, *new_and_summed):
    us = [s[a], s[b], s[c]]
    for k, new in enumerate(new_and_summed[:3]):
        for dim in sorted(new):
            us[k] = us[k].unsqueeze(dim)
    product = s.combined(1, s.combined(1, us[0], 1, us[1]), 1, us[2])
    return s.alike(product, new_and_summed[3])


def _affine(s: Labels, w, b, shape):
    """Label what a normalization gives: its gain and its bias are a layer of their own."""
    y = NONE if w is None else s[w].reshape(shape)
    return (y if b is None else s.join(y, s[b].reshape(shape))), NONE, NONE


def _channelwise(s: Labels, x, w, b, *args):
    training = args[2] if len(args) > 4 else len(args) < 4  # after mean and variance, if any
    stored = "batch" in s.name and not training
    s.pin(x, "stored mean" if stored else None)
    return _affine(s, w, b, [-1] + [1] * (x.ndim - 2))


def _layer_norm(s: Labels, x, shape, w, *bias_and_eps):
    *bias, eps = bias_and_eps
    if eps == 0:  # then nothing tells the size of what is normalized
        s.alike(s[x], range(x.ndim - len(shape), x.ndim))
    else:
        s.pin(x)
    return _affine(s, w, *bias or [None], shape)


def _weight_norm(s: Labels, v, g, dim=0):
    return s[g].expand(v.shape), s.alike(s[v], [d for d in range(v.ndim) if d != dim], True)


_TABLE = {
    "relu leaky_relu neg abs clone alias lift_fresh positive tril triu": lambda s, x, *_, **__: s[
        x
    ],
    "native_dropout": lambda s, x, *_: (s[x], NONE),
    "repeat flip roll channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle im2col": (
        lambda s, x, *a: s.func(s[x].double() + 1, *a).long() - 1  # new places hold 0
    ),
    "constant_pad_nd": lambda s, x, pad, v=0: s.func(s[x], pad, int(s[v])),
    "cat stack": lambda s, ts, dim=0: s.func([s[t] for t in ts], dim),
    "zero zeros_like new_zeros": lambda s, *_, **__: torch.tensor(ZERO),
    "ones_like full_like empty_like new_ones new_full new_empty rand_like randn_like sign isnan": (
        lambda s, *_, **__: NONE
    ),
    "_to_copy": lambda s, x, dtype=None, **_: _cast(s, x, dtype),
    "copy": lambda s, x, v, *_: _cast(s, v, x.dtype),
    "fill": lambda s, x, v: s[v],
    "add sub rsub maximum minimum": lambda s, a, b, **_: s.join(s[a], s[b]),
    "gt ge lt le eq ne": lambda s, a, b: 0 * s.join(s[a], s[b]),
    "where": lambda s, _, a, b: s.join(s[a], s[b]),
    "masked_fill": lambda s, x, _, v: s.join(s[x], s[v]),
    "lerp": lambda s, a, b, w: NotImplemented if isinstance(w, Tensor) else s.join(s[a], s[b]),
    "mul": lambda s, a, b: s.combined(1, s[a], 1, s[b]),
    "div": lambda s, a, b: s.combined(1, s[a], -1, s[b]),
    "addcmul": lambda s, x, a, b, **_: s.join(s[x], s.combined(1, s[a], 1, s[b])),
    "square": lambda s, x: s.combined(2, s[x]),
    "sqrt": lambda s, x: s.combined(Fraction(1, 2), s[x]),
    "rsqrt": lambda s, x: s.combined(Fraction(-1, 2), s[x]),
    "reciprocal": lambda s, x: s.combined(-1, s[x]),
    "pow": _power,
    "sum mean amax amin nansum": lambda s, x, dim=None, keep=False, **_: s.alike(s[x], dim, keep),
    "norm linalg_vector_norm": lambda s, x, p=2, dim=None, keep=False, **_: (
        s.alike(s[x], dim, keep) if p else NotImplemented
    ),
    "std": lambda s, x, dim=None, *, keepdim=False, **_: s.alike(s[x], dim, keepdim),
    "var": lambda s, x, dim=None, *, keepdim=False, **_: s.combined(2, s.alike(s[x], dim, keepdim)),
    "max min median": lambda s, x, dim=None, keep=False: (s.alike(s[x], dim, keep), NONE),
    "argmax argmin": lambda s, x, dim=None, keep=False: 0 * s.alike(s[x], dim, keep),
    "cumsum sort": lambda s, x, dim=-1, *_, **__: s.alike(s[x], dim, True).expand(x.shape),
    "topk": lambda s, x, k, dim=-1, *_: s.alike(s[x], dim, True),
    "clamp clamp_min clamp_max hardtanh threshold": _clamped,
    "prelu _prelu_kernel": lambda s, x, slope: s.pin(slope) or s[x],
    "glu": lambda s, x, dim=-1: s.pin(x.chunk(2, dim)[1]) or s[x.chunk(2, dim)[0]],
    "avg_pool1d max_pool1d adaptive_avg_pool1d reflection_pad1d replication_pad1d": _places(1),
    "upsample_nearest1d upsample_linear1d max_pool1d_with_indices": _places(1),
    "avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d max_pool2d_with_indices": _places(2),
    "reflection_pad2d replication_pad2d upsample_nearest2d upsample_bilinear2d": _places(2),
    "upsample_bicubic2d _upsample_nearest_exact2d": _places(2),
    "avg_pool3d _adaptive_avg_pool3d adaptive_max_pool3d max_pool3d_with_indices": _places(3),
    "reflection_pad3d replication_pad3d upsample_nearest3d upsample_trilinear3d": _places(3),
    "index": _picked,
    "index_select": lambda s, x, dim, i: _picked(s, x, [None] * (dim % x.ndim) + [i]),
    "index_add": lambda s, x, dim, _, v, **__: s.join(
        s.alike(s[x], dim, True), s.alike(s[v], dim, True)
    ),
    "embedding _embedding_bag_forward_only _embedding_bag": _looked_up,
    "mm": _matrices,
    "bmm": _batched,
    "mv": lambda s, a, b: _matrices(s, a, b[:, None])[:, 0],
    "dot vdot": lambda s, a, b: _matrices(s, a[None], b[:, None])[0, 0],
    "addmm": lambda s, c, a, b, **_: s.join(_matrices(s, a, b), s[c]),
    "baddbmm": lambda s, c, a, b, beta=1, **_: s.join(_batched(s, a, b), s[c if beta else 0]),
    "convolution": _convolved,
    "_trilinear": _trilinear,
    "native_batch_norm _native_batch_norm_legit": _channelwise,
    "_native_batch_norm_legit_no_training native_group_norm": _channelwise,
    "native_layer_norm _fused_rms_norm": _layer_norm,
    "_weight_norm_interface": _weight_norm,
}
RULES = {name: rule for names, rule in _TABLE.items() for name in names.split()}
