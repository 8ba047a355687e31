"""The curvature at every α of a sweep from one Hessian: Theorem 3 of the paper as an algorithm.

The naive sweep rescales the weights and starts again at each α. Here a few Hessian-vector products
at θ serve all α: the cost does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measures._curvature import first_guess
from helpers.measures._lanczos import check_fine
from helpers.measures._products import dense_hessian, hessian_operator
from helpers.nets._params import LossFn, Params, flatten, seeded, sizes
from helpers.sweep._greedy import Goal, serve_repeated
from helpers.sweep._orbit import Scaling, inverse_scaling
from helpers.sweep._reduced_basis import empty_basis, extend_along


@dataclass(frozen=True)
class Sweep:
    """The curvature at T_α θ for A values of α, each eigenvalue with its residual."""

    amounts: Tensor  # (A,) one knob, or (A, J) for J knobs
    values: Tensor  # (A, k) eigenvalues of Hess L(T_α θ), largest first
    residuals: Tensor  # (A, k) ‖Hv − λv‖₂: an eigenvalue lies within this of λ
    traces: Tensor | None  # (A,) tr Hess L(T_α θ) where the traces of the blocks were given
    products: int  # Hessian-vector products spent, all of them at θ
    converged: bool  # every residual <= tol · |λ|, see `relative`, and no repeated one missed
    basis: Tensor  # (m, n) orthonormal rows, each inside one group of entries
    weights: Tensor  # (A, m, k) eigenvectors in that basis

    def vectors(self, i: int) -> Tensor:
        """Return the unit eigenvectors at the i-th α, shape (n, k)."""
        return self.basis.T @ self.weights[i]


def curvature_sweep(
    loss: LossFn,
    params: Params,
    scaling: Scaling,
    amounts: Tensor | Sequence[float],
    *,
    k: int = 1,
    tol: float = 1e-3,
    max_products: int = 200,
    by: Callable[[Tensor], Tensor] = lambda values: values,
    block_traces: Mapping[str, float] | None = None,
    generator: torch.Generator | None = None,
) -> Sweep:
    """Return the k largest eigenvalues of Hess L(T_α θ) for every α in `amounts`, (A, k).

    By Theorem 3 that Hessian is D H D with H = Hess L(θ). A basis whose vectors each live in one
    group of constant D commutes with D, so one basis and its images under H give the eigenvalues
    and their residuals for all α; the worst residual says which vector to add next.

    `scaling` is α ↦ S, such as `lambda a: layer_scaling(params, {"theta1": a, "theta2": 1 / a})`,
    or the exponents e of the layers, α_k = α^e: `{"theta1": 1, "theta2": -1}`; for two knobs
    `{"theta1": (1, 0), "theta2": (-1, 1), "theta3": (0, -1)}` with amounts (A, 2).
    `block_traces`, from `layer_traces`, add the traces; `by=torch.abs` looks at both ends.
    Each eigenvalue comes as often as it is repeated.
    Cost: `products` products, some 15 to 40 (half as many again for k > 1), each about two
    gradients, however many values of α there are.

    Raises:
        ValueError: k outside 1 … n, tol <= 0, max_products < 1, no amounts or amounts <= 0, a
            scaling that is not finite and positive, block traces that do not fit, non-finite θ.
    """
    theta = flatten(params).detach()
    amounts = torch.as_tensor(amounts, dtype=torch.float64).cpu()
    _check("curvature_sweep", len(theta), amounts, k, tol, max_products)
    factors, of = inverse_scaling(params, scaling, amounts)
    goal = Goal(k, tol, min(max_products, len(theta)), by)
    generator = seeded(generator, theta)
    H, order = hessian_operator(loss, params), of.argsort(stable=True)
    back = order.argsort()
    basis = empty_basis(lambda v: H(v[back])[order], of.bincount().tolist(), theta)
    basis = extend_along(basis, first_guess(H.gradient(), generator)[order], goal.max_products)
    basis, ritz, converged = serve_repeated(basis, factors, goal, generator)
    traces = None
    if block_traces is not None:
        traces = _traces(params, factors, of, block_traces).to(theta)
    found = [t.to(theta) for t in (ritz.values, ritz.residuals)]
    end = (len(basis.Q), converged, basis.Q[:, back], ritz.weights.to(theta))
    return Sweep(amounts, *found, traces, *end)


def spectrum_sweep(
    loss: LossFn, params: Params, scaling: Scaling, amounts: Tensor | Sequence[float]
) -> Tensor:
    """Return all n eigenvalues of Hess L(T_α θ) for every α, largest first, shape (A, n).

    One dense Hessian H, then the eigenvalues of D H D. Cost: about 2n gradients once, n³ an α.

    Raises:
        ValueError: as `curvature_sweep`.
    """
    amounts = torch.as_tensor(amounts, dtype=torch.float64).cpu()
    check_fine(flatten(params))
    H = dense_hessian(loss, params)
    _check("spectrum_sweep", len(H), amounts)
    factors, of = inverse_scaling(params, scaling, amounts)
    rows = [factors[i].to(H)[of] for i in range(len(amounts))]
    return torch.stack([torch.linalg.eigvalsh(d[:, None] * H * d).flip(0) for d in rows])


def _traces(params: Params, factors: Tensor, of: Tensor, traces: Mapping[str, float]) -> Tensor:
    """Return tr D H D = Σ_b d_b² tr H_bb over the blocks b of θ, for each row d of `factors`."""
    groups = [block.unique() for block in of.cpu().split(list(sizes(params).values()))]
    if set(traces) != set(params) or any(len(g) > 1 for g in groups):
        raise ValueError(
            f"block_traces needs one trace for each of {', '.join(params)} and a scaling of whole "
            f"layers, got traces for {', '.join(traces)}: tr DHD is a sum over blocks."
        )
    t = torch.tensor([traces[name] for name in params], dtype=torch.float64)
    return factors.square()[:, torch.cat(groups)] @ t


def _check(who: str, n: int, amounts: Tensor, k: int = 1, tol: float = 1.0, most: int = 1) -> None:
    if not 1 <= k <= n or not tol > 0 or most < 1:
        raise ValueError(
            f"{who} needs 1 <= k <= {n}, tol > 0 and max_products >= 1, got k={k}, tol={tol} and "
            f"{most}: there is one eigenvalue for each parameter."
        )
    if amounts.ndim not in (1, 2) or not len(amounts):
        raise ValueError(
            f"{who} needs amounts of shape (A,) or (A, J), got {tuple(amounts.shape)}: "
            "each row is one rescaling."
        )
