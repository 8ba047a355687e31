"""One plain training loop that says how close to a critical point it came."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor
from tqdm.auto import tqdm

from helpers.nets._losses import check_value
from helpers.nets._params import Params, check_finite, flatten


@dataclass(frozen=True)
class Trained:
    """Where training ended, and whether it is the critical point that was asked for."""

    params: Params
    loss: float  # L(θ) at the end
    grad_norm: float  # ‖∇L(θ)‖₂ at the end
    steps: int  # parameter updates made
    reached: bool  # grad_norm <= tol
    history: list[float]  # L before each step, length steps


def bar(items: Iterable, doing: str, *, show: bool = True) -> Iterable:
    """Return `items`, with a progress bar that says `doing` while they are used up.

    The site is built without the bar: it would be on the page as a widget, under a random name.
    """
    hidden = not show or os.environ.get("HELPERS_HOST") == "site"
    return tqdm(items, desc=doing, disable=hidden, leave=False)


@torch.inference_mode(False)
def descend(
    loss: Callable[[Params], Tensor],
    params: Params,
    *,
    steps: int = 500,
    tol: float = 1e-6,
    method: str = "lbfgs",
    lr: float = 1.0,
    progress: bool = True,
) -> Trained:
    """Return the parameters after full-batch descent from `params`, which stay as they are.

    Stops when ‖∇L(θ)‖₂ <= tol or after `steps` updates; `reached` says which. Full-batch ReLU nets
    often end on a kink, where the gradient jumps and no step makes it small: believe `grad_norm`.
    A line search cannot see L fall by less than rounding: "lbfgs" rarely gets below 1e-8 · √L.
    Cost: one gradient a step ("gd", "adam"), a line search of a few a step ("lbfgs").

    Raises:
        ValueError: an unknown method, lr or tol not positive, or a loss that became non-finite.
    """
    _check(method, lr, tol)
    check_finite(params, "descend")
    leaves = {name: block.detach().clone().requires_grad_() for name, block in params.items()}
    optimizer = METHODS[method](list(leaves.values()), lr)
    closure = _closure(loss, leaves)
    history: list[float] = []
    for _ in bar(range(steps), "training", show=progress):
        value, norm = closure().item(), _grad_norm(leaves)
        _check_progress(value, len(history), method, lr)
        if norm <= tol:
            break
        history.append(value)
        optimizer.step(closure)
    value, norm = closure().item(), _grad_norm(leaves)
    _check_progress(value, len(history), method, lr)
    end = {name: block.detach() for name, block in leaves.items()}
    return Trained(end, value, norm, len(history), norm <= tol, history)


METHODS: dict[str, Callable[[list[Tensor], float], torch.optim.Optimizer]] = {
    "gd": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "lbfgs": lambda p, lr: torch.optim.LBFGS(
        p,
        lr=lr,
        max_iter=1,
        max_eval=25,  # of the line search, which by default gets one
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,  # its own stops would come before `tol`, silently
        tolerance_change=0,
    ),
}


def _closure(loss: Callable[[Params], Tensor], leaves: Params) -> Callable[[], Tensor]:
    @torch.enable_grad()
    def closure() -> Tensor:
        for leaf in leaves.values():
            leaf.grad = torch.zeros_like(leaf)  # and stays so where L does not use the block
        value = loss(leaves)
        check_value("descend", value)
        value.backward()
        return value

    return closure


def _grad_norm(leaves: Params) -> float:
    return float(flatten({name: p.grad for name, p in leaves.items()}).norm())


def _check(method: str, lr: float, tol: float) -> None:
    if method not in METHODS:
        raise ValueError(
            f"descend needs one of {', '.join(METHODS)}, got {method!r}: "
            "no other method is defined here."
        )
    if not (lr > 0 and tol > 0):
        raise ValueError(
            f"descend needs lr > 0 and tol > 0, got {lr} and {tol}: "
            "a step must move, and no gradient is ever shorter than 0."
        )


def _check_progress(value: float, steps: int, method: str, lr: float) -> None:
    if not isfinite(value):
        diverged = f"{method} with lr={lr} diverged, try a smaller step"
        why = diverged if steps else "that is where it starts"
        raise ValueError(f"descend needs a finite loss, got {value}: {why}.")
