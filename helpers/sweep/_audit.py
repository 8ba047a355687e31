"""What an audit measures: the curvature here, along the strongest rescaling, and at its ends."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.maps._symmetry import apply_scaling
from helpers.measures._curvature import diagonal, top_eigenvalues
from helpers.measures._flatness import eps_sharpness
from helpers.measures._invariant import fisher_rao_norm, scaled_spectral_norm
from helpers.measures._workers import add_up, pieces
from helpers.nets._losses import Loss
from helpers.nets._params import Params, flatten
from helpers.sweep._sweep import curvature_sweep

BOUND, POSITIONS = 100.0, 41  # c goes from 1/100 to 100, evenly in its logarithm
EXACT, SAMPLES = 1500, 40  # up to so many parameters the trace is exact; else so many samples


def readings(loss: Loss, params: Params, radius: float, dice: torch.Generator, *, k: int = 1):
    """Return each measure at θ by its name, the k largest eigenvalues, diag Hess L, the trace."""
    top = top_eigenvalues(loss, params, k, tol=1e-3, generator=dice)
    v, size = radius * top.vectors[:, 0], {name: p.abs() for name, p in params.items()}
    diag, trace = diagonal(loss, params, None if len(v) <= EXACT else SAMPLES, dice)
    norms = (w * fisher_rao_norm(p.f, params, p.X) for w, p in pieces(loss))
    found = {
        "λ_max": float(top.values[0]),
        "trace": trace.value,
        "ε-sharpness": eps_sharpness(loss, params, radius, starts=[v, -v]).value,
        "loss": float(loss(params)),
        "adaptive sharpness": scaled_spectral_norm(loss, params, size, tol=1e-3),
        "Fisher-Rao norm": float(
            add_up(torch.tensor(sum(norms), dtype=torch.float64, device=v.device))
        ),
    }
    return found, top, diag, trace


def orbit(loss: Loss, params: Params, symmetries, diag: Tensor, dice: torch.Generator):
    """Return fields of a report, for the rescaling that raises the trace most, and the twins."""
    found = symmetries.found  # each S is c to some whole powers, which c = 2 tells
    powers = [{n: S.log2().round() for n, S in symmetries.scaling({s: 2.0}).items()} for s in found]
    reach = [float(_traces(power, diag, [1 / BOUND, BOUND]).max()) for power in powers]
    knob, power = found[reach.index(max(reach))], powers[reach.index(max(reach))]

    def S(c: float) -> Params:
        return {name: c**p for name, p in power.items()}

    c = torch.logspace(-1, 1, POSITIONS, base=BOUND, dtype=torch.float64)
    tops = curvature_sweep(loss, params, S, c, generator=dice).values[:, 0].cpu().double()
    at = {"flattest": float(c[tops.argmin()]), "sharper": float(c[tops.argmax()])}
    twins = {name: apply_scaling(params, S(a)) for name, a in at.items()}
    fields = {"amounts": c, "tops": tops, "traces": _traces(power, diag, c), "at": at}
    return fields | {"knob": knob} | _compared(loss, params, twins, knob), twins


def _traces(power: Params, diag: Tensor, amounts) -> Tensor:
    """Return tr DHD = Σ d_i² H_ii at each amount, (A,): Theorem 3 along the diagonal."""
    values, of = flatten(power).unique(return_inverse=True)
    sums = torch.zeros_like(values).index_add(0, of, diag).cpu().double()
    c = torch.as_tensor(amounts, dtype=torch.float64)
    return c[:, None] ** (-2 * values.cpu().double()) @ sums


@torch.no_grad()
def _compared(loss: Loss, params: Params, twins: dict[str, Params], knob) -> dict:
    """Return the largest change of an output, relative, and how many largest outputs change."""
    far, size, flips, like = 0.0, 0.0, 0, next(iter(params.values()))
    for _, part in pieces(loss):
        X = part.X.to(like.device)
        outputs = part.f(params, X)
        others = torch.stack([part.f(twin, X) for twin in twins.values()])
        far = max(far, float((others - outputs).abs().max()))
        size = max(size, float(outputs.abs().max()))
        flips += int((others.argmax(-1) != outputs.argmax(-1)).any(0).sum())
    if not far <= max(torch.finfo(t.dtype).eps for t in (like, outputs)) ** 0.5 * size:
        raise ValueError(
            f"audit needs a rescaling that keeps every output, got {knob.up}, which moves one by "
            f"{far:.1e}: the module takes another way on these data than on x, or rounds coarsely."
        )
    flips = int(add_up(torch.tensor(flips, device=like.device)))
    return {"moved": far / size if size else 0.0, "flips": flips}
