"""Labels that follow memory through one ordinary forward: what each number would be multiplied by.

Beside every storage that the forward touches lies one label an entry, so a view of it (reshape,
transpose, slice) needs no rule: it sees the same labels. An operation that makes new memory has a
rule in `_rules`, or else what it reads may not be multiplied at all. A missing rule thus makes the
group smaller, never wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules import module as everywhere
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers.maps._group import ZERO, Equations, Part
from helpers.nets._params import Params

UNREAD = -2  # the label of a parameter's entry that nothing has read yet
ALWAYS = {"constant_pad_nd", "zeros_like", "new_zeros", "cat", "stack", "copy"}  # may bring ZERO
NONE = torch.tensor(0)


class Labels(Equations, TorchDispatchMode):
    """The labels of all memory, `labels[t]`, and the equations that the operations ask of them."""

    def __init__(self, rules: Mapping[str, Callable], params: Params, originals: Params):
        super().__init__()
        self.rules, self.params, self.layers = rules, params, [""]
        self.parts: dict[int, list[Part]] = {_key(p): [] for p in params.values()}
        self.cells: dict[int, Tensor] = {}  # of other storages, and of parameters once written out
        self.widths = {_key(p): p.element_size() for p in params.values()}
        self.kept: list[Tensor] = []  # or a new storage could come to an old one's address
        self.made: set[int] = set()  # constants that the forward itself makes
        self.varies = {*self.parts}  # what depends on weights or input
        self.originals = {_key(p): name for name, p in originals.items()}
        floats = [t.dtype for t in params.values() if t.is_floating_point()]
        self.eps = max(torch.finfo(t).eps for t in [torch.float64, *floats])  # grows with casts

    @contextmanager
    def following(self, module: nn.Module, x):
        """Label all that happens inside, and know the name of the layer in which it does."""
        names = {layer: name for name, layer in module.named_modules()}
        enter = lambda m, _: self.layers.append(names.get(m, self.layers[-1]))  # noqa: E731
        leave = lambda *_: self.layers.__delitem__(-1)  # noqa: E731
        self.varies |= {_key(t) for t in _tensors(x)}
        hooks = [everywhere.register_module_forward_pre_hook(enter)]
        hooks += [everywhere.register_module_forward_hook(leave, always_call=True)]
        try:
            with self:
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation, then label what it gave."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if torch.Tag.inplace_view in func.tags:  # transpose_: only the strides change
            return out
        self.func, name = func, func.overloadpacket.__name__
        self.name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        self.why = (self.name, self.layers[-1])
        read, given = _tensors((args, kwargs)), _tensors(out)
        written = _written(func, args, kwargs)
        self.kept += given + written
        if any(_key(t) in self.varies for t in read):
            self.varies |= {_key(t) for t in given + written}
        for known in {self.originals[_key(t)] for t in read if _key(t) in self.originals}:
            self.pin(self.params[known], "another way")
        if written or not all(_key(t) in self.widths for t in given):
            self._label(read, given, written, args, kwargs)
        for t in given:
            if not self._fits(t):
                self._give_up(t)
        return out

    def _label(self, read, given, written, args, kwargs):
        random = torch.Tag.nondeterministic_seeded in self.func.tags
        constant = not random and all(_key(t) in self.made for t in read)
        extra = [t for t in written if all(t is not o for o in given)]
        spoiled = any(self.is_parameter(t) for t in written) or (extra and "norm" not in self.name)
        labels = NotImplemented
        if self.name not in ALWAYS and not any(self._touched(t) for t in read):
            labels = tuple(_constant(t) if constant else NONE for t in given)
        elif self.name in self.rules and not spoiled:
            labels = self._by_rule(args, kwargs)
        if labels is NotImplemented:
            for t in read:
                self.pin(t)
            labels = ()
        for t, u in zip(given + extra, [*labels, *[NONE] * len(given + extra)]):
            self._put(t, u)
            (self.made.add if constant else self.made.discard)(_key(t))

    def _by_rule(self, args, kwargs):
        kwargs = {name: value for name, value in kwargs.items() if name != "out"}
        try:
            labels = self.rules[self.name](self, *args, **kwargs)
        except TypeError:  # an argument that the rule does not know
            return NotImplemented
        return (labels,) if isinstance(labels, Tensor) else labels

    def __getitem__(self, t) -> Tensor:
        """Return the labels of a tensor's entries, or of a number."""
        if not isinstance(t, Tensor):
            return torch.tensor(ZERO if t == 0 or abs(t) == float("inf") else 0)
        if self.unread(t):
            self.record(t, self.fresh(*t.shape), NONE)
        if part := self.part(t):
            return self.combined(1, part[0], -1, part[1]).expand(t.shape)
        self._write_out(t)
        if _key(t) not in self.cells or not self._fits(t) or not t.numel():
            return torch.zeros(t.shape, dtype=torch.long)
        cells = self.cells[_key(t)]
        seen = _view(cells, t)
        if bool((seen == UNREAD).any()):
            at = _view(torch.arange(len(cells)), t)[seen == UNREAD].unique()
            cells[at] = self.fresh(len(at))
        return _view(cells, t).clone()

    def pin(self, t: Tensor, op: str | None = None) -> None:
        """Ask that a tensor is not multiplied, because of this step, or of what `op` says."""
        self.why = (op or self.why[0], self.layers[-1])
        self.equal(self[t], NONE)

    def is_parameter(self, t: Tensor) -> bool:
        """Return whether this is a parameter's memory, not yet written out entry by entry."""
        return _key(t) in self.parts

    def depends(self, t: Tensor) -> bool:
        """Return whether the values depend on the weights or on the input."""
        return _key(t) in self.varies

    def unread(self, t: Tensor) -> bool:
        """Return whether these are entries of a parameter that nothing has read yet."""
        repeated = any(n > 1 and step == 0 for n, step in zip(t.shape, t.stride()))
        if not self.is_parameter(t) or repeated or not t.numel() or not self._fits(t):
            return False
        low, high = _span(t.shape, t.stride(), t.storage_offset())
        spans = [_span(*part[:3]) for part in self.parts[_key(t)]]
        return all(end <= low or high <= start for start, end in spans)

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
        out = {}
        for name, p in self.params.items():
            whole = [_view(c, p).clamp(min=0) for c in [self.cells.get(_key(p))] if c is not None]
            one = [Part(p.shape, p.stride(), 0, plus, NONE) for plus in whole]
            out[name] = self.parts.get(_key(p), one)
        return out

    def _write_out(self, t):
        """Give each entry of a parameter's storage a label of its own, read or unread."""
        if self.is_parameter(t):
            cells = torch.full((t.untyped_storage().nbytes() // self.widths[_key(t)],), UNREAD)
            for shape, stride, at, plus, minus in self.parts.pop(_key(t)):
                cells.as_strided(shape, stride, at).copy_(self.combined(1, plus, -1, minus))
            self.cells[_key(t)] = cells

    def _put(self, t, u):
        self._write_out(t)
        if _key(t) not in self.cells:
            self.widths[_key(t)] = t.element_size()
            n = t.untyped_storage().nbytes() // t.element_size()
            self.cells[_key(t)] = torch.zeros(n, dtype=torch.long)
        if not self._fits(t):
            self.equal(u, NONE)
        elif t.numel():
            _view(self.cells[_key(t)], t).copy_(u.expand(t.shape))

    def _give_up(self, t):
        """Ask that memory read as numbers of another size is not multiplied."""
        self._write_out(t)
        cells = self.cells[_key(t)]
        cells[cells == UNREAD] = 0
        self.equal(cells, NONE)

    def _touched(self, t) -> bool:
        if self.is_parameter(t) or _key(t) not in self.cells:
            return self.is_parameter(t)
        seen = _view(self.cells[_key(t)], t) if self._fits(t) else self.cells[_key(t)]
        return bool(((seen != 0) & (seen != ZERO)).any())

    def _fits(self, t) -> bool:
        return self.widths.get(_key(t), t.element_size()) == t.element_size()


def _key(t: Tensor) -> int:
    return t.untyped_storage()._cdata


def _view(cells: Tensor, t: Tensor) -> Tensor:
    return cells.as_strided(t.size(), t.stride(), t.storage_offset())


def _span(shape, stride, at) -> tuple[int, int]:
    return at, at + sum((n - 1) * step for n, step in zip(shape, stride)) + 1


def _by_stride(shape, stride) -> tuple[list, list]:
    axes = sorted((step, n, axis) for axis, (n, step) in enumerate(zip(shape, stride)))
    return [axis[:2] for axis in axes], [axis[2] for axis in axes]


def _tensors(tree) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _written(func, args, kwargs) -> list[Tensor]:
    """Return the tensors whose memory the operation changes, as its schema says."""
    written = [a.alias_info and a.alias_info.is_write for a in func._schema.arguments]
    given = [*args, *(kwargs.get(a.name) for a in func._schema.arguments[len(args) :])]
    return _tensors([value for value, is_written in zip(given, written) if is_written])


def _constant(t: Tensor) -> Tensor:
    zero = (t == 0) | (t.abs() == float("inf")) if t.is_floating_point() else t != t
    return torch.where(zero, ZERO, 0)
