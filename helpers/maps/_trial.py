"""One forward of a module on copies of its weights, and the trial of the group that it shows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules import module as everywhere
from torch.utils._pytree import tree_map

from helpers.maps._group import Group
from helpers.maps._labels import Labels
from helpers.maps._rules import RULES
from helpers.nets._called import called, dense, entwined, tensors

MOVED = (
    "its factor would move the outputs by {off:.0e}: forward reads it unseen, or takes another "
    "path with other weights"
)
NOT_TRIED = "not tried: nothing on this x reaches the outputs through it; give more rows"


@torch.inference_mode(False)  # in which steps come whole, and have no rule
def believed(module: nn.Module, example) -> tuple[Group, dict[int, str]]:
    """Return the group of a module, and which of its kinds may not be believed, with the reason.

    Raises:
        ValueError: a module that does not run on x with copies of its parameters.
    """
    for dtype in (torch.float64, None):  # its own where it insists on it
        try:
            trial = Trial(module, example, dtype)
            x = tree_map(_copy, trial.x)
            labels = Labels(RULES, trial.params, dict(module.named_parameters()), x)
            for t in trial.run(trial.params, x, labels):
                labels.pin(t, "output")
            for name in entwined(module):
                labels.pin(trial.params[name], "shared memory")
            group = Group(labels, labels.named_parts())
            return group, trial.faults(group, max(1e-9, 1e3 * labels.eps))
        except Exception as error:  # whatever a module raises on an x that it does not take
            failure = error
    said = (str(failure).strip() or type(failure).__name__).splitlines()[0].rstrip(".")
    if " needs " not in said:
        rule = "a module that runs on x with copies of its parameters, all dense"
        said = f"a search for symmetries needs {rule}, got {type(module).__name__}: {said}"
    raise ValueError(f"{said}.") from failure


class Trial:
    """A module and an input on the CPU, all floats of one dtype; the module is left as it is."""

    def __init__(self, module, x, dtype=torch.float64):
        self.module, self.random = module, torch.Generator().manual_seed(0)
        self.x = tree_map(lambda t: _copy(t, dtype), dict(x) if isinstance(x, Mapping) else x)
        self.params = {name: _copy(p, dtype) for name, p in module.named_parameters()}
        self.buffers = self.own = {name: _copy(b, dtype) for name, b in module.named_buffers()}
        if any(bool((t.isnan() | (t == math.inf)).any()) for t in tensors(self.x)):
            said = "a search for symmetries needs numbers in x, got NaN or infinity: it never moves"
            raise ValueError(said)

    def run(self, params, x, labels=None) -> list[Tensor]:
        """Return the tensors that the module gives: always one seed, attention in plain steps."""
        state, fast = {**params, **tree_map(_copy, self.buffers)}, torch.backends.mha
        x = tree_map(_copy, x) if labels is None else x
        with ExitStack() as stack:
            stack.callback(fast.set_fastpath_enabled, fast.get_fastpath_enabled())
            fast.set_fastpath_enabled(False)
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.default_generator.manual_seed(0)
            stack.enter_context(warnings.catch_warnings())
            if labels is not None:
                warnings.filterwarnings("ignore", "Using .torch.compile")  # it sees our hooks
                self._follow(labels, stack)
            outputs = called(self.module, state, x)
        if not any(t.numel() for t in tensors(outputs)):
            raise ValueError(f"its output is a {type(outputs).__name__}, which holds no number")
        return tensors(outputs)

    def _follow(self, labels, stack):
        """Label all that happens, and keep the name of the layer in which it does."""
        names = {layer: name for name, layer in self.module.named_modules()}
        enter = lambda m, _: labels.layers.append(names.get(m, labels.layers[-1]))  # noqa: E731
        leave = lambda *_: labels.layers.__delitem__(-1)  # noqa: E731
        stack.callback(everywhere.register_module_forward_pre_hook(enter).remove)
        stack.callback(everywhere.register_module_forward_hook(leave, always_call=True).remove)
        stack.enter_context(labels)

    def faults(self, group, tol) -> dict[int, str]:
        """Return the kinds of `group` not to be believed, with the reason.

        Four times all weights and buffers are made random: zeros hide a wrong label, and so does a
        unit that is dead. Each kind must be felt in one of these draws, on one of two inputs: to
        multiply its weights at random, entry by entry, has to move the outputs. All factors at once
        must keep the outputs, in every draw, on both inputs: to `tol`, or to 100 times rounding.
        """
        if not group.kinds:
            self.look()
            self._check_still()
            return {}
        kinds, felt, faults, asked = {*range(len(group.kinds))}, set(), {}, tol
        for n in range(4):
            self.draw()
            if not n:
                self._check_still()
            tol = max(asked, 100 * self.rounding())
            enough = min(1e3 * tol, tol**0.5)
            w = 6.0 if tol < 1e-3 else 1.0  # so wide that signs and ways change, if that is seen
            felt |= {k for k in kinds - felt if self.far(group, [k], w, n % 2) > enough}
            left = felt - faults.keys()
            if not (off := self.far(group, left)) <= tol:
                wrong = {k for k in left if not self.far(group, [k]) <= tol} or left
                faults |= dict.fromkeys(wrong, MOVED.format(off=off))
        return faults | dict.fromkeys(kinds - felt, NOT_TRIED)

    def draw(self) -> None:
        """Make all weights and buffers random, and look."""
        self.params = {name: _random(p, self.random) for name, p in self.params.items()}
        self.buffers = {name: _shaken(b, self.random) for name, b in self.own.items()}
        self.look()

    def look(self) -> None:
        """Note what comes out of x, and of other numbers in its place."""
        self.xs = [self.x, tree_map(lambda t: _other(t, self.random), self.x)]
        self.base = [self.run(self.params, x) for x in self.xs]

    def _check_still(self) -> None:
        both = zip(self.base, self.xs)
        pairs = (pair for base, x in both for pair in zip(base, self.run(self.params, x)))
        if any(_distance(a, b) > 1e-6 for a, b in pairs):
            got = "gives two outputs for one input: it keeps something between calls"
            raise ValueError(f"a search needs the same function at every call, got one that {got}")

    def far(self, group, kinds, w=0.0, at=0) -> float:
        """Return the largest relative change of an output under random factors of these kinds.

        With w > 0 each entry takes up to w times its logarithm, on one of the two inputs.
        """
        units = [i for k in kinds for i in group.kinds[k].units]
        z = torch.zeros(group.dim, dtype=torch.float64)
        z[units] = 2 * torch.rand(len(units), generator=self.random, dtype=z.dtype) - 1
        logs = group.logs(z, self.params) if units else {}
        if w:
            logs = {n: w * u * torch.rand(u.shape, generator=self.random) for n, u in logs.items()}
        return self._moved({n: u.exp() for n, u in logs.items()}, [at] if w else [0, 1])

    def rounding(self) -> float:
        """Return the largest relative change of an output when each weight's last digit changes."""
        floats = {n: p for n, p in self.params.items() if p.is_floating_point()}
        last = {n: torch.rand(p.shape, generator=self.random) for n, p in floats.items()}
        S = {n: 1 + 2 * torch.finfo(p.dtype).eps * last[n].double() for n, p in floats.items()}
        return self._moved(S, [0, 1])

    def _moved(self, S, places) -> float:
        twin = self.params | {n: (self.params[n] * s).to(self.params[n]) for n, s in S.items()}
        ends = [zip(self.base[i], self.run(twin, self.xs[i])) for i in places if S]
        return max((_distance(a, b) for pairs in ends for a, b in pairs), default=0.0)


def _copy(t, dtype=None):
    if not isinstance(t, Tensor):
        return t
    t = dense(t).detach().to("cpu", dtype if t.is_floating_point() else None)
    return t.clone(memory_format=torch.contiguous_format)


def _distance(a: Tensor, b: Tensor) -> float:
    fine = a.isfinite()
    if a.shape != b.shape or not torch.equal(fine, b.isfinite()):
        return float("inf")
    a, b = a[fine].to(torch.complex128), b[fine].to(torch.complex128)
    return float((a - b).norm() / a.norm().clamp(min=1e-300))


def _random(t: Tensor, generator) -> Tensor:
    """Return a weight of the usual size, none near 0; gains and biases positive."""
    if t.is_complex():
        return torch.view_as_complex(_random(torch.view_as_real(t), generator))
    if not t.is_floating_point() or not t.numel():
        return t
    sign = 1 - 2 * torch.randint(2, t.shape, generator=generator) if t.ndim > 1 else 1
    size = sign * torch.full(t.shape, math.prod(t.shape[1:]) ** -0.5, dtype=torch.float64)
    return _shaken(size, generator).to(t.dtype)


def _shaken(t: Tensor, generator) -> Tensor:
    """Return numbers with noise on them; what is 0, such as a mean, is small and positive."""
    noise = 0.5 + torch.rand(t.shape, generator=generator, dtype=torch.float64)
    return torch.where(t == 0, 0.1 * noise, t * noise).to(t.dtype) if t.is_floating_point() else t


def _other(t, generator):
    """Return another input: numbers in another order and of other sizes, tokens moved on."""
    return _shaken(t.roll(1, -1), generator) if isinstance(t, Tensor) and t.ndim else t
