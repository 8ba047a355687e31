"""Any `torch.nn.Module` as a function of its parameters: nothing drawn, moved or kept.

Where torch's own kernel for a step has no second derivative, or a wrong one, the step is run by
plain operations that have the right one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import CheckpointFunction

from helpers.nets._called import called, same, tensors
from helpers.nets._params import Net, Params, along, as_ordinary, without_graph


def functional(module: nn.Module) -> tuple[Net, Params]:
    """Return (f, params) for any module: f(params, x) is the module run with those parameters.

    The parameters are copies; module, buffers and params are never changed: a layer that updates
    its buffers, such as batch norm in training mode, updates a copy. f keeps the module, so its
    mode and buffers are those it has when f is called. Frozen parameters are among `params` and
    are measured like all others; to hold some fixed, leave them out of the dictionary: for a name
    that is missing f takes the module's own value. x is a tensor, a tuple of arguments or a dict
    of keywords.

    Raises:
        ValueError: no module, no parameters, uninitialized ones, dropout in training mode; at the
            first call of f, a module that draws random numbers or changes what it is given.
    """
    _check_still(module)
    return ModuleNet(module), {
        name: as_ordinary(p.detach()).clone() for name, p in module.named_parameters()
    }


@dataclass(eq=False)
class ModuleNet:
    """f(params, x), what the module returns with these parameters: the same at every call."""

    module: nn.Module
    probed: list[bool] | None = None  # which layers were in training mode when last tried twice
    checked: set = field(default_factory=set)  # the kinds of graph compared with differences

    def __call__(self, params: Params, x: Tensor) -> Any:
        """Return the module's outputs; each says in the metadata of its graph that it is ours."""
        training = [layer.training for layer in self.module.modules()]
        if self.probed != training and not any(map(is_functorch_wrapped_tensor, params.values())):
            without_graph(self._try_twice, params, x)
            self.probed = training
        outputs = self._run(params, x)
        for y in tensors(outputs):
            if y.grad_fn is not None:
                y.grad_fn.metadata["net"] = self
        return outputs

    def _run(self, params: Params, x: Tensor) -> Any:
        """Run the module on copies of its buffers, each step by what has two right derivatives."""
        own = {name: p.detach() for name, p in self.module.named_parameters()}
        dtype, given = next(iter(own.values())).dtype, {**own, **params}
        like = next(iter(params.values()), next(iter(own.values())))
        buffers = {  # copies, in the params' precision and place
            name: b.to(like.device, like.dtype if b.dtype == dtype else b.dtype, copy=True)
            for name, b in self.module.named_buffers()
        }
        watched = torch.is_grad_enabled() and any(t.requires_grad for t in tensors((given, x)))
        with full_precision(), sdpa_kernel(SDPBackend.MATH), _TwiceDifferentiable(), _once(watched):
            return called(self.module, {**buffers, **given}, x)

    def _try_twice(self, params: Params, x: Tensor) -> None:
        """Run the module twice on copies: it must change none, draw nothing, and repeat itself."""
        before = {**params, "its input": x}
        copies = tree_map(lambda t: t.clone() if isinstance(t, Tensor) else t, before)
        dice, outputs = _dice(), []
        for _ in range(2):
            outputs.append(self._run({name: copies[name] for name in params}, copies["its input"]))
        got = None
        if changed := [name for name in before if not same(before[name], copies[name], 0.0)]:
            got = f"one that changes {changed[0]} in place"
        elif _dice() != dice:
            got = "one that draws random numbers: call module.eval(), or hand it its noise with x"
        elif not same(*outputs, 1e-6):
            got = "one that gives two outputs for one input: it keeps something between calls"
        if got:
            raise ValueError(f"functional needs the same function at every call, got {got}.")


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, float32 is float32 on a GPU too, where convolutions by default keep only ten bits."""
    cudnn, name, full = torch.backends.cudnn, "allow_tf32", False
    places = [cudnn, torch.backends.cuda.matmul] if torch.cuda.is_initialized() else []
    if places and hasattr(cudnn, "conv"):  # from torch 2.9 on
        places, name, full = [cudnn.conv, cudnn.rnn, places[1]], "fp32_precision", "ieee"
    before = [getattr(place, name) for place in places]
    try:
        for place in places:
            setattr(place, name, full)
        yield
    finally:
        for place, value in zip(places, before):
            setattr(place, name, value)


@contextmanager
def _once(watched: bool) -> Iterator[None]:
    """Refuse what goes forward again on the way back: by then a module has its own weights."""
    got = "a gradient checkpoint, or hooks on what a step keeps, as of save_on_cpu"
    again = f"functional needs slopes from one forward, got {got}: turn it off."

    def refuse(*_):
        raise RuntimeError(again)

    off = torch.autograd.graph.disable_saved_tensors_hooks(again)
    try:
        with ExitStack() as stack:
            if watched:
                stack.enter_context(patch.object(CheckpointFunction, "apply", refuse))
                with suppress(RuntimeError):  # the caller's own hooks are on, around all of f
                    stack.enter_context(off)
            yield
    except RuntimeError as error:
        if again in str(error):
            raise ValueError(again) from error
        raise


def _check_still(module: nn.Module) -> None:
    if not isinstance(module, nn.Module):
        raise ValueError(f"functional needs a module of torch, got {type(module).__name__}.")
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.training and layer.p > 0:
            raise ValueError(
                f"functional needs the same function at every call, got {type(layer).__name__} at "
                f"{name} in training mode: call module.eval() first."
            )
    lazy = [name for name, p in module.named_parameters() if is_lazy(p)]
    if lazy or not any(True for _ in module.parameters()):
        got = f"{lazy[0]} not initialized" if lazy else f"{type(module).__name__} without any"
        raise ValueError(f"functional needs a module with parameters, got {got}: they are θ.")


def _dice() -> tuple:
    """Return the state of every generator that a module may draw from unasked."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = [state.numpy().tobytes() for state in (torch.get_rng_state(), *gpus)]
    _, key, at, *_ = np.random.get_state()  # noqa: NPY002
    return random.getstate(), key.tobytes(), at, states


class _TwiceDifferentiable(TorchFunctionMode):
    """While it lasts, the steps in `_STEPS` are run by what has a right second derivative."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        step = _STEPS.get(getattr(func, "__name__", ""))
        return step(func, *args, **(kwargs or {})) if step else func(*args, **(kwargs or {}))


def _embedding(func, i, weight, padding_idx=None, max_norm=None, norm_type=2.0, *_, **__) -> Tensor:
    """Look rows up, with the plain dense slope: of padding, too, and not divided by frequency."""
    return func(i, weight, None, max_norm, norm_type)


def _group_norm(func, input, num_groups, weight=None, bias=None, *how, **named) -> Tensor:
    """Normalize each group as a layer: torch's own step is wrong for many vectors at once."""
    if input.numel() == num_groups:  # one value in each: torch's own sentence
        return func(input, num_groups, weight, bias, *how, **named)
    small = named.get("eps", how[0] if how else 1e-5)
    u = input.unflatten(1, (num_groups, -1)).flatten(2)
    u = nn.functional.layer_norm(u, u.shape[-1:], eps=small).reshape(input.shape)
    y = u * (1 if weight is None else along(weight, 1, u.ndim))
    return (y + (0 if bias is None else along(bias, 1, u.ndim))).to(u.dtype)


def _recurrent(func, *args, **kwargs) -> Any:
    with torch.backends.cudnn.flags(enabled=False):  # its kernels go backward once only
        return func(*args, **kwargs)


_STEPS = {
    "_weight_norm": lambda _, v, g, dim=0: v * (g / torch.norm_except_dim(v, 2, dim)),
    "hardsigmoid": lambda _, z, inplace=False: (z / 6 + 0.5).clamp(0, 1),
    "embedding": _embedding,
    "group_norm": _group_norm,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
}
