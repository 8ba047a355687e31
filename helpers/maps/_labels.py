"""Labels that follow memory through one ordinary forward: what each number would be multiplied by.

Beside every storage lies a label for each entry, so a view (reshape, transpose, slice) needs no
rule. An operation that makes new memory has a rule in `_rules`; if it has none, what it reads may
not be multiplied at all: a missing rule makes the group smaller, never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.maps._group import ZERO, Equations, Part
from helpers.nets._called import dense, tensors
from helpers.nets._params import Params

SHAPED = re.compile("^new_|_like$")  # reads only a tensor's shape
NONE = torch.tensor(0)


class Labels(Equations, TorchDispatchMode):
    """The labels of all memory, `labels[t]`, and the equations that the operations ask of them."""

    def __init__(self, rules: Mapping[str, Callable], params: Params, originals: Params, x):
        super().__init__()
        self.rules, self.params, self.layers = rules, params, [""]
        self.parts: dict[int, list[Part]] = {_key(p): [] for p in params.values()}
        self.cells: dict[int, Tensor] = {}  # of other storages, and of parameters once written out
        self.widths = {_key(p): p.element_size() for p in params.values()}
        self.kept, self.made, self.owned = [], set(), {*self.parts}  # all memory; constants; θ's
        self.varies = self.owned | {_key(t) for t in tensors(x)}  # with the weights or the input
        self.originals = {_key(p): name for name, p in originals.items()}
        dtypes = {p.dtype for p in params.values() if p.is_floating_point() or p.is_complex()}
        self.eps = max((torch.finfo(t).eps for t in dtypes), default=0.0)  # grows with casts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation, then label what it gave."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if torch.Tag.inplace_view in func.tags:  # transpose_: only the strides change
            return out
        self.func, self.name = func, func.overloadpacket.__name__.removesuffix("_")
        read = [] if SHAPED.search(self.name) else tensors((args, kwargs))
        self.why = (self.name + ": number" * (sum(map(self.depends, read)) < 2), self.layers[-1])
        given, written = tensors(out), _written(func, args, kwargs)
        self.kept += map(dense, read + given)
        self.varies |= {_key(t) for t in given + written if any(map(self.depends, read))}
        for t in read:
            self._know(t)
        if written or not given or not all(_key(t) in self.widths for t in given):
            self._label(read, given, written, args, {k: kwargs[k] for k in kwargs if k != "out"})
        for t in given:
            if not self._fits(t):  # memory read as numbers of another size is not multiplied
                self._write_out(t)
                self.equal(self.cells[_key(t)], NONE)
        return out

    def _label(self, read, given, written, args, kwargs):
        random = torch.Tag.nondeterministic_seeded in self.func.tags
        nought = self.name == "mul" and 0 in [a for a in args if not isinstance(a, Tensor)]
        constant = nought or (not random and all(_key(t) in self.made for t in read))
        extra = [t for t in written if all(t is not o for o in given)]
        over = self.owned & {*map(_key, written)}  # a weight that forward itself changes
        labels = NotImplemented
        if not any(self.touched(t, constant * ZERO) for t in read) and "pad" not in self.name:
            labels = tuple(_constant(t) if constant else NONE for t in given)
        elif self.name in self.rules and not over and (not extra or "norm" in self.name):
            with suppress(TypeError, RuntimeError):  # arguments that the rule does not fit
                labels = self.rules[self.name](self, *args, **kwargs)
        if labels is NotImplemented:
            for t in read:
                self.pin(t, "written over" if _key(t) in over else None)
            labels = ()
        labels = [labels] if isinstance(labels, Tensor) else [*labels]
        for t, u in zip(given + extra, labels + [NONE] * len(given + extra)):
            if _key(t) not in over:
                self._put(t, u)
            (self.made.add if constant else self.made.discard)(_key(t))

    def __getitem__(self, t) -> Tensor:
        """Return the labels of a tensor's entries, or of a number."""
        if not isinstance(t, Tensor):
            return torch.tensor(ZERO if t == 0 or abs(t) == float("inf") else 0)
        if self.unread(t):
            self.record(t, self.fresh(*t.shape), NONE)
        if part := self.part(t):
            return self.combined(1, part[0], -1, part[1]).expand(t.shape)
        self._write_out(t)
        if not self._fits(t) or not t.numel():
            return torch.zeros(t.shape, dtype=torch.long)
        return _view(self.cells[_key(t)], t).clone()

    def pin(self, t: Tensor, op: str | None = None) -> None:
        """Ask that a tensor is not multiplied, because of this step, or of what `op` says."""
        before, self.why = self.why, (op or self.why[0], self.layers[-1])
        self.equal(self[t], NONE)
        self.why = before

    def is_parameter(self, t: Tensor) -> bool:
        """Return whether this is a parameter's memory, not yet written out entry by entry."""
        return _key(t) in self.parts

    def depends(self, t: Tensor) -> bool:
        """Return whether the values depend on the weights or on the input."""
        return _key(t) in self.varies

    def unread(self, t: Tensor) -> bool:
        """Return whether these are entries of a parameter that nothing has read yet."""
        if not self.is_parameter(t) or 0 in t.stride():  # 0: repeated by expand
            return False
        views = [(t.shape, t.stride(), t.storage_offset()), *(p[:3] for p in self.parts[_key(t)])]
        ends = [at + sum((n - 1) * d for n, d in zip(shape, by)) for shape, by, at in views]
        return all(ends[0] < p[2] or e < views[0][2] for p, e in zip(views[1:], ends[1:]))

    def record(self, t: Tensor, plus: Tensor, minus: Tensor) -> None:
        """Label unread entries of a parameter: each is multiplied by plus/minus."""
        plus, minus = (u.reshape([1] * (t.ndim - u.ndim) + [*u.shape]) for u in (plus, minus))
        part = Part(tuple(t.shape), t.stride(), t.storage_offset(), plus, minus)
        self.parts[_key(t)].append(part)

    def part(self, t: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return (plus, minus) of entries recorded before, in whatever order of axes."""
        mine, here = _by_stride(t.shape, t.stride())
        for shape, stride, at, plus, minus in self.parts.get(_key(t), ()):
            theirs, there = _by_stride(shape, stride)
            if at == t.storage_offset() and theirs == mine:
                order = [axis for _, axis in sorted(zip(here, there))]
                return plus.permute(order), minus.permute(order)
        return None

    def named_parts(self) -> dict[str, list[Part]]:
        """Return the labelled parts of each parameter, by name."""
        whole = {_key(p): p for p in self.params.values() if not self.is_parameter(p)}
        parts = {k: [Part(p.shape, p.stride(), 0, self[p], NONE)] for k, p in whole.items()}
        return {name: (self.parts | parts)[_key(p)] for name, p in self.params.items()}

    def _write_out(self, t):
        """Give each entry of a parameter's storage a label of its own."""
        if self.is_parameter(t):
            cells = self.fresh(t.untyped_storage().nbytes() // self.widths[_key(t)])
            for shape, stride, at, plus, minus in self.parts.pop(_key(t)):
                cells.as_strided(shape, stride, at).copy_(self.combined(1, plus, -1, minus))
            self.cells[_key(t)] = cells

    def _know(self, t):
        if _key(t) not in self.widths:
            self.widths[_key(t)], n = t.element_size(), t.untyped_storage().nbytes()
            self.cells[_key(t)] = torch.zeros(n // t.element_size(), dtype=torch.long)
            if self.name == "lift_fresh":  # what Python wrote, as torch.tensor(0.0)
                self._put(t, _constant(t))
                self.made.add(_key(t))
            if name := self.originals.get(_key(t)):
                self.pin(self.params[name], "another way")

    def _put(self, t, u):
        self._write_out(t)
        self._know(t)
        if self._fits(t) and t.numel():
            _view(self.cells[_key(t)], t).copy_(u.expand(t.shape))
        else:
            self.equal(u, NONE)

    def touched(self, t, zero=ZERO) -> bool:
        """Return whether an entry may be multiplied."""
        if self.is_parameter(t):
            return True
        seen = _view(self.cells[_key(t)], t) if self._fits(t) else self.cells[_key(t)]
        return bool(((seen != 0) & (seen != zero)).any())

    def _fits(self, t) -> bool:
        return self.widths.get(_key(t), t.element_size()) == t.element_size()


def _key(t: Tensor) -> int:
    return t.untyped_storage()._cdata


def _view(cells: Tensor, t: Tensor) -> Tensor:
    return cells.as_strided(t.size(), t.stride(), t.storage_offset())


def _by_stride(shape, stride) -> tuple[list, list]:
    axes = sorted((step, n, axis) for axis, (n, step) in enumerate(zip(shape, stride)))
    return [axis[:2] for axis in axes], [axis[2] for axis in axes]


def _written(func, args, kwargs) -> list[Tensor]:
    """Return the tensors whose memory the operation changes, as its schema says."""
    arguments = enumerate(func._schema.arguments)
    writes = [(i, a.name) for i, a in arguments if a.alias_info and a.alias_info.is_write]
    return tensors([args[i] if i < len(args) else kwargs.get(name) for i, name in writes])


def _constant(t: Tensor) -> Tensor:
    return torch.where((t == 0) | t.isinf(), ZERO, 0)
