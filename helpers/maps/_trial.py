"""One ordinary forward of a module on copies of its weights, and the trial of what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import is_dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map

from helpers.maps._group import Group
from helpers.maps._labels import Labels
from helpers.maps._rules import RULES
from helpers.nets._params import Params


class Trial:
    """A module and an input on the CPU, all floats of one dtype; the module is left as it is."""

    def __init__(self, module: nn.Module, x, dtype: torch.dtype | None):
        call = (
            ((), dict(x)) if isinstance(x, Mapping) else (x if isinstance(x, tuple) else (x,), {})
        )
        self.module, self.x = module, tree_map(lambda t: _copy(t, dtype), call)
        self.params = {name: _copy(p, dtype) for name, p in module.named_parameters()}
        self.buffers = {name: _copy(b, dtype) for name, b in module.named_buffers()}

    def run(self, params: Params, x, labels: Labels | None = None) -> list[Tensor]:
        """Return the tensors that the module gives, with these weights and always one seed."""
        state = {**params, **{name: b.clone() for name, b in self.buffers.items()}}
        args, kwargs = tree_map(_copy, x)
        with torch.random.fork_rng(devices=[]), _plain_kernels():
            torch.default_generator.manual_seed(0)
            with labels.following(self.module, (args, kwargs)) if labels else nullcontext():
                return [*_outputs(functional_call(self.module, state, args, kwargs))]

    def labels(self) -> Labels:
        """Return the labels after one forward; what the module gives is not to be multiplied."""
        labels = Labels(RULES, self.params, dict(self.module.named_parameters()))
        for t in self.run(self.params, self.x, labels):
            labels.pin(t, "output")
        return labels

    def faults(self, group: Group, tol: float) -> dict[int, str]:
        """Return the kinds of `group` not to be believed, with the reason.

        All weights and buffers are made generic: zeros hide a wrong label. Then each kind must be
        felt: its weights multiplied entry by entry at random have to move the outputs, in one draw
        of four; and all factors at once, here and on another input, must keep them to `tol`.
        """
        generator = torch.Generator().manual_seed(0)
        z = torch.rand(group.dim, generator=generator, dtype=torch.float64) * 2 - 1
        unfelt = {*range(len(group.kinds))}
        for _ in range(4 if unfelt else 0):
            self._shake(generator)
            unfelt -= {k for k in unfelt if self._far(group, z, [k], generator) > tol**0.5}
        felt = {*range(len(group.kinds))} - unfelt
        wrong, off = set(), self._far(group, z, felt)
        if not off <= tol:
            wrong = {k for k in felt if not self._far(group, z, [k]) <= tol}
            wrong = wrong if self._far(group, z, felt - wrong) <= tol else felt
        said = f"with the factor found the outputs move by {off:.0e}: forward reads it unseen"
        return dict.fromkeys(unfelt, "the outputs do not feel it on this x") | dict.fromkeys(
            wrong, said
        )

    def _shake(self, generator):
        self.params = {name: _generic(p, generator) for name, p in self.params.items()}
        self.buffers = {name: _shaken(b, generator) for name, b in self.buffers.items()}
        self.xs = [self.x, tree_map(lambda t: _other(t, generator), self.x)]
        self.base = [self.run(self.params, x) for x in self.xs]

    def _far(self, group, z, kinds, rough=None) -> float:
        """Return the largest relative change of an output under the factors of these kinds."""
        units = [i for k in kinds for i in group.kinds[k].units]
        if not units:
            return 0.0
        logs = group.logs(
            z * torch.zeros_like(z).index_fill(0, torch.tensor(units), 1), self.params
        )
        if rough:
            logs = {n: u * torch.rand(u.shape, generator=rough) for n, u in logs.items()}
        twin = {n: (p.double() * logs[n].exp()).to(p.dtype) for n, p in self.params.items()}
        ends = [zip(before, self.run(twin, x)) for before, x in zip(self.base, self.xs)]
        return max(_distance(a, b) for pairs in ends for a, b in pairs)


def _copy(t, dtype=None):
    if not isinstance(t, Tensor):
        return t
    t = t.detach().to("cpu", dtype if t.is_floating_point() else None)
    return t.clone(memory_format=torch.contiguous_format)


def _outputs(out) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif is_dataclass(out) and not isinstance(out, Mapping):
        out = vars(out)
    if isinstance(out, (tuple, list, Mapping)):
        for part in out.values() if isinstance(out, Mapping) else out:
            yield from _outputs(part)


def _distance(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape or not torch.equal(a.isfinite(), b.isfinite()):
        return float("inf")
    if not a.is_floating_point():
        return float("inf") if not torch.equal(a, b) else 0.0
    a, b = (t[t.isfinite()].double() for t in (a, b))
    return float((a - b).norm() / a.norm().clamp(min=1e-300))


def _generic(t: Tensor, generator: torch.Generator) -> Tensor:
    """Return a weight with noise on it; positive ones stay positive, zeros do not stay zeros."""
    if not t.is_floating_point() or not t.numel():
        return t
    noise = 0.3 * torch.randn(t.shape, generator=generator, dtype=torch.float64)
    fan_in = t[0].numel() if t.ndim > 1 else 1
    size = max(float(t.double().square().mean().sqrt()), fan_in**-0.5)
    return (t * noise.exp() if bool((t > 0).all()) else t + size * noise).to(t.dtype)


def _shaken(t: Tensor, generator: torch.Generator) -> Tensor:
    if not t.is_floating_point():
        return t
    noise = 0.1 * torch.randn(t.shape, generator=generator, dtype=torch.float64)
    return torch.where(t == 0, noise.abs(), t * noise.exp()).to(t.dtype)


def _other(t, generator: torch.Generator):
    """Return another input: numbers in another order and of another size, tokens moved on."""
    if not isinstance(t, Tensor) or not t.ndim:
        return t
    if not t.is_floating_point():
        return t.roll(1, -1)
    order = torch.randperm(t.numel(), generator=generator)
    size = 0.5 + torch.rand(t.shape, generator=generator, dtype=torch.float64)
    return (t.flatten()[order].reshape(t.shape) * size).to(t.dtype)


@contextmanager
def _plain_kernels():
    """Run attention and layers as the plain operations that have rules and derivatives."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
