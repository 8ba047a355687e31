"""What an audit measures: the curvature here, along the strongest rescaling, and at its ends."""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.maps._find import Symmetries, Symmetry
from helpers.maps._symmetry import apply_scaling
from helpers.measures._curvature import diagonal, group_forms, top_eigenvalues
from helpers.measures._flatness import eps_sharpness
from helpers.measures._invariant import fisher_rao_norm, scaled_spectral_norm
from helpers.measures._workers import add_up, pieces
from helpers.nets._losses import Loss
from helpers.nets._params import Params, finest, flatten, without_graph
from helpers.sweep._asked import answers
from helpers.sweep._sweep import curvature_sweep

BOUND, POSITIONS = 100.0, 41  # c goes from 1/100 to 100, evenly in its logarithm
CURVE = 0.03  # residual over λ on the way; λ errs by its square, and the ends are measured anew
TOLS = 1e-3, 1e-5, 1e-7  # of an eigenvalue, over itself or a hundredth of the largest
EXACT, SAMPLES = 1500, 40  # up to so many parameters the trace is exact; else so many samples


def strongest(loss: Loss, params: Params, symmetries: Symmetries, dice: torch.Generator):
    """Return the rescaling that raises the trace most, its powers of c, and what `traces` needs.

    For a long θ random signs decide which; the sums are then estimated afresh for that one.
    """
    theta, found = flatten(params), symmetries.found or [None]
    few = len(theta) <= EXACT
    diag = diagonal(loss, params, None if few else SAMPLES, dice) if few or found[1:] else theta
    best = (-torch.inf,)
    for knob in found:  # its S is made of whole powers of c, which c = 2 shows
        S = symmetries.scaling({knob: 2.0} if knob else {})
        power = {name: S[name].log2().round() for name in params}
        values, of = flatten(power).unique(return_inverse=True)
        sums = torch.zeros_like(values).index_add(0, of, diag)[None].cpu().double()
        reach = float(traces(power, sums, [1 / BOUND, BOUND])[0].max())
        best = max(best, (reach, knob, power, sums, of), key=lambda known: known[0])
    _, knob, power, sums, of = best
    sums = sums if few else group_forms(loss, params, of, SAMPLES, dice).cpu().double()
    return knob, power, sums


def traces(power: Params, sums: Tensor, amounts) -> tuple[Tensor, Tensor]:
    """Return tr DHD = Σ d_i² H_ii at each c, and its standard error, both (A,): Theorem 3.

    `sums` (m, G) are Σ H_ii over the entries of each power, of m random samples, or one, exact.
    """
    c, values = torch.as_tensor(amounts, dtype=torch.float64), flatten(power).unique()
    found = c[:, None] ** (-2 * values.cpu().double()) @ sums.T  # (A, m)
    m = len(sums)
    return found.mean(1), found.std(1) / m**0.5 if m > 1 else 0 * found[:, 0]


def readings(loss: Loss, params: Params, radius: float, dice: torch.Generator, trace, *, k=1):
    """Return each measure at θ by its name, the trace as it is given, and the top eigenvalues."""
    for tol in TOLS:  # the sign of a λ_max far below |λ_min| needs more
        top = top_eigenvalues(loss, params, k, tol=tol, generator=dice)
        if float(top.residuals[0]) <= CURVE * abs(float(top.values[0])):
            break
    v, size = radius * top.vectors[:, 0], {name: p.abs() for name, p in params.items()}
    norms = (w * fisher_rao_norm(p.f, params, p.X) for w, p in pieces(loss))
    found = {"λ_max": float(top.values[0]), "trace": float(trace)}
    if (value := float(without_graph(loss, params))) >= 0:
        found["ε-sharpness"] = eps_sharpness(loss, params, radius, starts=[v, -v]).value
    found |= {
        "loss": value,
        "adaptive sharpness": scaled_spectral_norm(loss, params, size, tol=1e-3),
        "Fisher-Rao norm": float(add_up(sum(norms, finest(v.new_zeros(()))))),
    }
    return found, top


def orbit(loss: Loss, params: Params, knob: Symmetry, power: Params, sums, dice):
    """Return fields of a report along this rescaling, and the twins at its ends."""

    def S(c: float) -> Params:
        return {name: c**p for name, p in power.items()}

    c = torch.logspace(-1, 1, POSITIONS, base=BOUND, dtype=torch.float64)
    way = curvature_sweep(loss, params, S, c, tol=CURVE, generator=dice)
    tops = way.values[:, 0].cpu().double()
    at = {"flattest": float(c[tops.argmin()]), "sharper": float(c[tops.argmax()])}
    twins = {name: apply_scaling(params, S(a)) for name, a in at.items()}
    along = traces(power, sums, c)[0]
    fields = {"amounts": c, "tops": tops, "traces": along, "at": at, "knob": knob}
    return fields | _compared(loss, params, twins, knob), twins


def _compared(loss: Loss, params: Params, twins: dict[str, Params], knob) -> dict:
    """Return the largest change of an output, relative, and how many of the answers change."""
    far, size, counts, like = 0.0, 0.0, [0, 0], next(iter(params.values()))
    for _, part in pieces(loss):
        X, y = part.X.to(like.device), part.y.to(like.device)
        outputs, *others = [without_graph(part.f, p, X) for p in (params, *twins.values())]
        far = max(far, *(float((other - outputs).abs().max()) for other in others))
        size = max(size, float(outputs.abs().max()))
        here = answers(outputs, y)
        changed = torch.stack([answers(other, y) != here for other in others]).any(0)
        counts = [counts[0] + int(changed.sum()), counts[1] + here.numel()]
    if not far <= max(torch.finfo(t.dtype).eps for t in (like, outputs)) ** 0.5 * size:
        raise ValueError(
            f"audit needs a rescaling that keeps every output, got {knob.up}, which moves one by "
            f"{far:.1e}: the module takes another path on these data than on x, or rounds coarsely."
        )
    flips, total = add_up(torch.tensor(counts, device=like.device)).tolist()
    return {"moved": far / size if size else 0.0, "flips": flips, "answers": total}
