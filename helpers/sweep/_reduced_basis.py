"""One small basis that serves every rescaling: its vectors each live inside one group of entries.

Theorem 3 of the paper: Hess L(T_α θ) = D Hess L(θ) D, where D is constant on each group (a layer,
or the weights of one unit). A vector q inside group g has D q = d_g q, so the projection of D H D
on such vectors is Δ (QᵀHQ) Δ with Δ = diag(d_g(q)): one stored HQ, a tiny matrix for every α.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.measures._lanczos import Product, bordered, check_fine, split_off

CHUNK = 256  # values of α at a time, so that memory does not grow with their number


@dataclass(frozen=True)
class Small:
    """What the values and residuals of D H D need of a basis: float64, on the CPU."""

    T: Tensor  # (m, m) QHQᵀ
    grams: Tensor  # (G, m, m) E_g E_gᵀ for each group g
    group: Tensor  # (m,) the group that each basis vector lives in


@dataclass(frozen=True)
class ReducedBasis:
    """Orthonormal rows Q, each zero outside one group, and what of their images sticks out of Q."""

    product: Product  # v ↦ H v, the entries of v sorted by group
    groups: list[slice]  # where each group lies
    Q: Tensor  # (m, n)
    E: Tensor  # (m, n) HQ − T Q, one product for each row
    small: Small


@dataclass(frozen=True)
class Ritz:
    """What a reduced basis says about D H D for each of A diagonals D; float64, on the CPU."""

    values: Tensor  # (A, k) eigenvalues, the wanted ones first
    weights: Tensor  # (A, m, k) eigenvectors Σ_i weights_i q_i
    residuals: Tensor  # (A, k) ‖D H D v − λ v‖₂
    scale: Tensor  # (A,) the largest |λ| seen


def empty_basis(product: Product, sizes: list[int], like: Tensor) -> ReducedBasis:
    """Return the basis without vectors for the map `product` on vectors of the type of `like` (n,).

    The first `sizes[0]` entries are group 0, the next `sizes[1]` group 1, and so on.
    """
    check_fine(like)
    ends = torch.tensor(sizes).cumsum(0).tolist()
    groups = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    T = torch.zeros(0, 0, dtype=torch.float64)
    small = Small(T, T.expand(len(sizes), 0, 0), torch.zeros(0, dtype=torch.long))
    none = like.new_empty(0, len(like))
    return ReducedBasis(product, groups, none, none, small)


def extend(basis: ReducedBasis, parts: Mapping[int, Tensor]) -> ReducedBasis:
    """Return `basis` with one vector more in each group g of `parts`, with the entries parts[g].

    Each is first made orthogonal to the basis; lying in different groups, they are orthogonal to
    each other. If only rounding is left of one, it is not added. Cost: one product for each added.
    """
    V, group = _inside_groups(basis, parts)
    if not len(V):
        return basis
    Q = torch.cat([basis.Q, V])
    E = torch.empty_like(Q)  # filled in place: for a large net it is the largest thing in memory
    E[-len(V) :], C = split_off(torch.stack([basis.product(v) for v in V]), Q)  # (p, n), (p, m)
    along = basis.E @ V.T  # (m, p) the part of the old images that is now inside
    torch.addmm(basis.E, along, V, alpha=-1, out=E[: -len(V)])
    return replace(basis, Q=Q, E=E, small=_grown(basis, E, C, along, group))


def _inside_groups(basis: ReducedBasis, parts: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the parts as unit rows (p, n) orthogonal to the basis, and the group of each."""
    V = basis.Q.new_zeros(len(parts), basis.Q.shape[1])
    for row, (g, part) in zip(V, parts.items(), strict=True):
        row[basis.groups[g]] = part / part.norm()
    V, _ = split_off(V, basis.Q)
    left = V.norm(dim=1, keepdim=True)
    new = (left > 1e-6).flatten()
    return (V / left)[new], torch.tensor(list(parts))[new.cpu()]


def _grown(basis: ReducedBasis, E: Tensor, C: Tensor, along: Tensor, group: Tensor) -> Small:
    """Return what is known of the basis after `extend`; C (p, m) are the new images inside it."""
    old, m, p = basis.small, len(E), len(C)
    grams = old.grams.new_zeros(len(basis.groups), m, m)
    grams[:, :-p, :-p] = old.grams
    for g, a in zip(group, along.T.cpu().double(), strict=True):
        grams[g, :-p, :-p] -= a[:, None] * a
    last = torch.stack([E[-p:, part] @ E[:, part].T for part in basis.groups])  # (G, p, m)
    last = last.cpu().double()
    grams[:, -p:, :], grams[:, :, -p:] = last, last.mT
    return Small(bordered(old.T, C.cpu().double()), grams, torch.cat([old.group, group]))


def extend_along(basis: ReducedBasis, v: Tensor, at_most: int = 8) -> ReducedBasis:
    """Return `basis` with the parts of v (n,) in the emptiest groups added, eight at most."""
    room = torch.tensor([part.stop - part.start for part in basis.groups])
    room = room - torch.bincount(basis.small.group, minlength=len(room))
    emptiest = room.argsort(descending=True, stable=True)[: min(8, at_most)].tolist()
    return extend(basis, {g: v[basis.groups[g]] for g in emptiest})


def ritz_sweep(
    small: Small, factors: Tensor, k: int, by: Callable[[Tensor], Tensor] = lambda values: values
) -> Ritz:
    """Return the k eigenvalues of D H D largest by `by`, for each row d_g of `factors` (A, G).

    These are the eigenvalues of Δ (QHQᵀ) Δ, Rayleigh–Ritz: never above λ_max. The residual of a
    pair (λ, Qᵀw) is D Eᵀ Δ w: everything inside the basis cancels by construction, so no digit is
    lost in subtracting λv from D H D v. Cost: an m × m eigenproblem for each row, and no product.
    """
    pieces = [_ritz(small, d, k, by) for d in factors.split(CHUNK)]
    return Ritz(*(torch.cat(field) for field in zip(*pieces, strict=True)))


def _ritz(small, d, k, by):
    delta = d[:, small.group]  # (A, m)
    values, W = torch.linalg.eigh(delta[:, :, None] * small.T * delta[:, None, :])
    scale = values.abs().amax(1)
    first = by(values).argsort(dim=1, descending=True)[:, :k]
    values = values.gather(1, first)
    W = W.gather(2, first[:, None, :].expand(-1, len(small.T), -1))  # (A, m, k)
    Y = delta[:, :, None] * W
    gram = torch.tensordot(d.square(), small.grams, 1)  # (A, m, m), Σ_g d_g² E_g E_gᵀ
    squares = (Y * (gram @ Y)).sum(1)
    return values, W, squares.clamp_min(0).sqrt(), scale


def ritz_outside(small: Small, d: Tensor, old: int, by) -> tuple[Tensor, Tensor, float]:
    """Return the eigenvalues of D H D as seen by all but the first `old` vectors of the basis.

    With them come the weights (m,) of the best, and the length of its residual outside the basis.
    """
    delta = d[small.group]
    values, W = torch.linalg.eigh(delta[old:, None] * small.T[old:, old:] * delta[old:])
    w = torch.cat([delta.new_zeros(old), W[:, by(values).argmax()]])
    y = delta * w
    return values, w, float((d.square() @ ((small.grams @ y) @ y)).clamp_min(0).sqrt())


def longest_parts(basis: ReducedBasis, d: Tensor, w: Tensor, at_most: int) -> dict[int, Tensor]:
    """Return the parts (n_g,) of the residual D Eᵀ Δ w in the groups g where it is longest.

    These are the longest, and the second if it is at least a third as long: looking again after
    each product would cost more than it saves. `d` (G,) is one diagonal, `w` (m,) the weights of
    one Ritz vector.
    """
    y = d[basis.small.group] * w
    squares = d.square() * ((basis.small.grams @ y) @ y)
    longest = squares.topk(min(2, at_most, len(d)))
    wanted = longest.indices[9 * longest.values >= longest.values[0]].tolist()
    return {g: y.to(basis.E) @ basis.E[:, basis.groups[g]] for g in wanted}


def compress(small: Small, W: Tensor, cutoff: float) -> tuple[Small, Tensor]:
    """Return a smaller basis that holds the vectors Σ_i W_ij q_i up to `cutoff`, and its rows.

    `W` (m, p) are eigenvectors at some α. Their parts inside one group span little, as they turn
    slowly with α. The rows C (m', m) say how the new basis, CQ, is made from the old.
    """
    rows, group = [], []
    for g in small.group.unique():
        inside = small.group == g
        U, size, _ = torch.linalg.svd(W[inside], full_matrices=False)
        U = U[:, size > cutoff].T
        rows.append(U.new_zeros(len(U), len(W)).masked_scatter_(inside, U))
        group.append(g.repeat(len(U)))
    C = torch.cat(rows)
    thin = replace(small, T=C @ small.T @ C.T, group=torch.cat(group))
    grams = C @ (small.grams + _inside(small)) @ C.T - _inside(thin)
    return replace(thin, grams=grams), C


def _inside(small: Small) -> Tensor:
    """Return T_g T_gᵀ (G, m, m): the products of the images' parts in group g inside the basis."""
    groups = torch.arange(len(small.grams))
    T_g = small.T * (small.group == groups[:, None])[:, None, :]  # (G, m, m)
    return T_g @ small.T
