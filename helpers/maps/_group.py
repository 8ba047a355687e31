"""Linear equations between log-factors, u_a = u_b and Σ c u = 0, and the group that solves them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components
from torch import Tensor

from helpers.nets._params import Params

ZERO = -1  # the label of an entry that is 0 or infinite whatever the weights are: any factor fits


class Part(NamedTuple):
    """Entries of a parameter, as `as_strided` names them; they are multiplied by plus/minus."""

    shape: Sequence[int]
    stride: Sequence[int]
    at: int
    plus: Tensor  # labels that broadcast to the shape, of what the entries give
    minus: Tensor  # and of what they read


class Kind(NamedTuple):
    """Factors that move the same parameters to the same powers."""

    powers: dict[str, tuple[Fraction, ...]]  # by parameter, smallest first
    units: list[int]  # which of the group's factors, in the order of the first that is multiplied


class Equations:
    """Unknowns u_1, u_2, … (u_0 = 0) and what is asked of them, with the step that asks it."""

    def __init__(self):
        super().__init__()
        self.n, self.pairs, self.lines, self.why = 1, [], [], ("", "")

    def fresh(self, *shape: int) -> Tensor:
        """Return new labels of this shape."""
        self.n += math.prod(shape)
        return torch.arange(self.n - math.prod(shape), self.n).reshape(shape)

    def equal(self, a: Tensor, b: Tensor, on=False) -> None:
        """Ask for u_a = u_b, entry by entry; `on`: what comes of a goes on under the name of b."""
        a, b = torch.broadcast_tensors(a, b)
        differ = (a != b) & (a != ZERO) & (b != ZERO)
        if bool(differ.any()):
            code = torch.unique(a[differ] * 2**31 + b[differ])
            self.pairs.append((code // 2**31, code % 2**31, self.why, on))

    def join(self, a: Tensor, b: Tensor, on=False) -> Tensor:
        """Return the one label that both have, entry by entry, and ask for it; `on`: as above."""
        self.equal(b, a, on)
        return torch.where(a == ZERO, b, a)

    def alike(self, u: Tensor, dims: int | Sequence[int] | None = None, keepdim=False) -> Tensor:
        """Return the one label along `dims` (None or []: everywhere), and ask for it."""
        dims = [dims] if isinstance(dims, int) else list(dims or range(u.ndim))
        one = u.amax(dims, keepdim=True) if u.numel() else u.sum(dims, keepdim=True) + ZERO
        self.equal(u, one, True)
        return one if keepdim else one.squeeze(dims)

    def combined(self, c, u: Tensor, d=0, v: Tensor | int = 0) -> Tensor:
        """Return the label of c u + d v, entry by entry: a new one where no old one fits."""
        u, v = torch.broadcast_tensors(u, torch.as_tensor(v))
        if c == 1 and not bool(v.any()):
            return u
        code, back = torch.unique((u + 1) * 2**31 + v + 1, return_inverse=True)
        a, b = code // 2**31 - 1, code % 2**31 - 1
        out = torch.where((a == 0) & (b == 0) | (a == b) & (c + d == 0), 0, -2)
        out = torch.where(a == 0, b, out) if d == 1 else out
        out = torch.where(b == 0, a, out) if c == 1 else out
        out = torch.where((a == ZERO) | (b == ZERO), ZERO, out)
        if bool((new := out == -2).any()):
            out[new] = self.fresh(int(new.sum()))
            self.lines.append(((c, d, -1), torch.stack([a, b, out])[:, new], self.why))
        return out[back].reshape(u.shape)


class Group:
    """The solutions of `equations`, seen on the parameters: `dim` factors, sorted into `kinds`."""

    def __init__(self, equations: Equations, parts: Mapping[str, list[Part]]):
        self.parts, self._equations = parts, equations
        ends = [np.concatenate([[0], *(pair[k] for pair in equations.pairs)]) for k in (0, 1)]
        _, part = connected_components(coo_matrix((np.ones(len(ends[0])), ends), [equations.n] * 2))
        self._root = torch.as_tensor(np.unique(part, return_index=True)[1][part])  # 0: no factor
        self._dependent, self._tied = _eliminate([*self._rows()])
        self._dependent[0], self.kinds, self._scales = {}, [], {}
        for powers, scales in _sorted({name: self._moved(ps) for name, ps in parts.items()}):
            units = range(len(self._scales), len(self._scales) + len(scales))
            self.kinds.append(Kind(dict(powers), list(units)))
            self._scales |= scales
        self.dim, unit = len(self._scales), {i: n for n, i in enumerate(self._scales)}
        values = ((k, self._value(k).items()) for k in self._root.unique().tolist())
        terms = [(k, unit[i], c * self._scales[i]) for k, v in values for i, c in v if i in unit]
        self._terms = torch.tensor(terms, dtype=torch.float64).reshape(-1, 3).T

    def logs(self, z: Tensor, params: Params) -> Params:
        """Return the log-factors of the entries of each parameter that z (dim,) moves."""
        root, unit, power = self._terms
        u, out = torch.zeros(len(self._root), dtype=torch.float64), {}
        u = u.index_add(0, root.long(), power * z.double()[unit.long()])[self._root]
        for name, block in params.items():
            if moved := [p for p in self.parts[name] if u[p.plus].any() or u[p.minus].any()]:
                flat = torch.zeros(block.numel(), dtype=torch.float64)
                for shape, stride, at, plus, minus in moved:
                    flat.as_strided(shape, stride, at).copy_(u[plus] - u[minus])
                out[name] = flat.reshape(block.shape)
        return out

    def causes(self) -> dict[int, tuple[str, str]]:
        """Return, for each label whose factor is 1, the step that makes it so; nearest first."""
        edges, causes, time = {(0, 0): None}, {}, {}
        for t, (a, b, *how) in reversed([*enumerate(self._equations.pairs)]):
            edges |= dict.fromkeys(zip(a.tolist(), b.tolist()), (t, *how))
        for k in {k for _, names, _ in self._equations.lines for k in names.flatten().tolist()}:
            if why := self._tied.get(int(self._root[k])):
                edges[0, k] = math.inf, why, False
        graph = coo_matrix((np.ones(len(edges)), np.array([*edges]).T), [len(self._root)] * 2)
        order, before = breadth_first_order(graph, 0, directed=False)
        for k, b in zip(order[1:].tolist(), before[order[1:]].tolist()):
            time[k], why, on = edges.get((k, b)) or (*edges[b, k][:2], False)
            causes[k] = causes[b] if on and b and time[b] > time[k] else why
        return {k: causes.get(why, why) for k, why in causes.items()}

    def _value(self, k: int, minus: int = 0) -> dict[int, Fraction]:
        """Return u_k − u_minus (roots) in terms of the free unknowns: {unknown: coefficient}."""
        return _put_in({k: 1, minus: -1} if k != minus else {}, self._dependent)

    def _rows(self) -> Iterable[tuple[dict, tuple]]:
        for powers, names, why in self._equations.lines:
            last = names.flip(0).flatten()
            fixed = last[(last > 0) & (self._root[last] == 0)][:1].tolist()
            for column in self._root[names].unique(dim=1).T.tolist():
                row = {k: sum(c for c, j in zip(powers, column) if j == k) for k in column if k}
                yield row, (fixed or [why])[0]

    def _moved(self, parts: list[Part]) -> dict[int, tuple[set[Fraction], int, int]]:
        """Return for each free unknown its powers here, where it comes first, and under which u."""
        out: dict[int, tuple[set, int, int]] = {}
        for part in parts:
            plus, at = (t.tolist() for t in np.unique(self._root[part.plus], return_index=True))
            minus = self._root[part.minus].unique().tolist()
            pairs = [*((k, 0, n) for n, k in sorted(zip(at, plus))), *((0, k, 0) for k in minus)]
            if len(plus) == len(minus) == 1:  # one factor for all, which may cancel
                pairs = [(plus[0], minus[0], 0)]
            for k, m, n in pairs:
                for i, c in self._value(k, m).items():
                    out.setdefault(i, (set(), part.at + n, k))[0].add(c)
        return out


def _sorted(moved: dict[str, dict]) -> list[tuple[tuple, dict[int, Fraction]]]:
    """Return (powers by parameter, {unknown: scale}), so scaled that the powers are integers."""
    kinds: dict[tuple, list] = {}
    for i in sorted({i for at in moved.values() for i in at}):
        touched = {name: at[i] for name, at in moved.items() if i in at}
        powers = [c for cs, *_ in touched.values() for c in cs]
        first = min(touched.values(), key=lambda at: at[2] or math.inf)  # it is multiplied
        scale = Fraction(math.lcm(*(c.denominator for c in powers)))
        scale /= math.gcd(*(int(scale * c) for c in powers)) * (1 if max(first[0]) > 0 else -1)
        key = tuple((n, tuple(sorted(scale * c for c in cs))) for n, (cs, *_) in touched.items())
        up = next(n for n, cs in key if cs[-1] > 0)
        kinds.setdefault(key, []).append((list(moved).index(up), touched[up][1], i, scale))
    order = sorted(kinds.items(), key=lambda kind: min(kind[1]))
    return [(key, {i: scale for *_, i, scale in sorted(members)}) for key, members in order]


def _eliminate(rows: list[tuple[dict, tuple]]) -> tuple[dict[int, dict], dict[int, tuple]]:
    """Return what Σ c u = 0 makes dependent, {unknown: {free: c}}, and who asks where it is 0."""
    solved, uses, zero, often = {}, {}, {}, Counter(i for row, _ in rows for i in row)
    for row, why in rows:
        if rest := _put_in(row, solved):  # what many rows share stays free
            pivot = max(rest, key=lambda i: (abs(rest[i]) == 1, -often[i], i))
            solution = {pivot: {i: -x / rest[pivot] for i, x in rest.items() if i != pivot}}
            for other in [pivot, *uses.pop(pivot, ())]:  # and every solution that it stands in
                solved[other] = _put_in(solved.get(other, {pivot: 1}), solution)
                for i in solved[other]:
                    uses.setdefault(i, set()).add(other)
                zero |= {} if solved[other] else {other: why}
    return solved, zero


def _put_in(row: dict[int, Fraction], solved: dict[int, dict]) -> dict[int, Fraction]:
    out: dict[int, Fraction] = {}
    for i, c in row.items():
        for j, x in solved.get(i, {i: 1}).items():
            out[j] = out.get(j, 0) + Fraction(c) * x
    return {i: c for i, c in out.items() if c}
