"""Which measure of flatness stays under which map, on networks that the page does not have.

Oracle of the lamps: the theory, a table typed in here, at random weights. Oracle of each formula:
the definition written out with loops, a numerical minimum where there is one, and Hessians made by
`torch.func.hessian`. Oracle of full invariance: the rank of the Jacobian, counted by hand.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from scipy.optimize import minimize
from torch.func import hessian, jacrev

from helpers import (
    alpha_scale,
    flatten,
    init_net,
    relu_net,
    scale_units,
    squared_error,
    unflatten,
)
from tools import ROOT, pages

PAGE = pages.read(ROOT / "book" / "after" / "scoreboard.ipynb")
# s stays, m moves, . has no formula: the maps in the page's order
LAMPS = {
    "largest": "mmmsmmmmmsmm",
    "trace": "mmmsmmmmmsmm",
    "filters": "smmssssmmmmm",
    "layer sizes": "smmssmsmmsmm",
    "weight sizes": "ssssssssmmmm",
    "rows, columns": "ssssssssmmmm",
    "orbit floor": "ssss......mm",
    "relative, first": "ssssssssssmm",
    "relative, last": "smmssssmmssm",
    "geodesic": "ssssssssssmm",
    "path norm": "ssss......mm",
    "Fisher–Rao": "sssssssssssm",
    "Fisher slope": "ssssssssssss",
}


@cache
def page(seed):
    """The maps and rulers of the page, over random data and random networks of other weights."""
    cells, known = {cell.id: cell.source for cell in PAGE.cells}, {}
    dice = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.randn(*shape, generator=dice, dtype=torch.float64)  # noqa: E731
    exec(cells["imports"], known)
    exec(cells["nets"].partition("start = ")[0], known)
    mix = torch.logspace(-0.6, 0.6, 16).double().diag() + rand(16, 16) / 4
    known.update(X=rand(200, 16) @ mix + 0.3, y=torch.randint(3, (200,), generator=dice))
    plain = {"theta1": rand(16, 4), "theta2": rand(4, 3)}
    known.update(plain=plain, normed=plain, directed={**plain, "s": 1 + rand(4).abs()})
    biased = {"theta1": rand(16, 3), "b1": rand(3), "theta2": rand(3, 3), "b2": rand(3)}
    shapes = {"q": (4, 3), "k": (4, 3), "v": (4, 3), "o": (3, 3)}
    known.update(biased=biased, heads={n: rand(*s) / 2 for n, s in shapes.items()})
    for name in ("maps", "rulers"):
        exec(cells[name], known)
    return known


@pytest.mark.parametrize("seed", [1, 2])
def test_the_lamps_are_what_the_theory_says_at_random_weights(seed, ledger):
    known, stays = page(seed), 0.0
    for column, (name, make) in enumerate(known["MAPS"].items()):
        start, there = make(0.0), make(0.8 if name == "turn" else 1.0)
        logits = start.f(start.params, start.X), there.f(there.params, there.X)
        assert float((logits[1] - logits[0]).abs().max() / logits[0].abs().max()) <= 1e-12
        before, after = known["measure"](start), known["measure"](there)
        for ruler, row in LAMPS.items():
            assert (row[column] == ".") == (ruler not in before), (ruler, name)
            shift = abs(after[ruler] / before[ruler] - 1) if ruler in before else None
            if row[column] == "m":
                assert shift > 1e-4, (ruler, name, shift)  # 1e-2 on the page
            if row[column] == "s":
                stays = max(stays, shift if "Fisher" not in ruler else shift / 10)
    ledger("scoreboard-lamps", error=stays, tol=1e-10)


def by_hand(known, world):
    """Return the loss of a world as a function of flat weights, its Hessian and score vectors."""
    f, x, params = world
    theta, N, y = flatten(params), known["N"], known["y"]
    logits = lambda t: f(unflatten(t, params), x[:N])  # noqa: E731

    def loss(t, rows=N):
        log_p = logits(t)[:rows].log_softmax(1)
        return -(0.9 * log_p[torch.arange(rows), y[:rows]] + 0.1 * log_p.mean(1)).mean()

    scores = jacrev(lambda t: logits(t).log_softmax(1))(theta)  # (N, 3, n)
    p = logits(theta).softmax(1)
    F = sum(p[i, c] * torch.outer(scores[i, c], scores[i, c]) for i in range(N) for c in range(3))
    return theta, loss, hessian(loss)(theta), F / N


def test_each_ruler_is_its_definition():
    known = page(3)
    world = known["World"](relu_net, known["X"], known["plain"])
    found, W, V = known["measure"](world), world.params["theta1"], world.params["theta2"]
    theta, loss, H, F = by_hand(known, world)
    kappa = sum(
        float(W[:, s] @ W[:, t]) * sum(float(H[4 * i + s, 4 * i + t]) for i in range(16))
        for s in range(4)
        for t in range(4)
    )
    slices = [(W[:, j], [4 * i + j for i in range(16)]) for j in range(4)]
    slices += [(V[:, c], [64 + 3 * j + c for j in range(4)]) for c in range(3)]
    filters = sum(float(w @ w) / len(w) * float(H[at, at].sum()) for w, at in slices)
    norms = torch.cat([W.norm().expand(64), V.norm().expand(12)])
    units = (theta**2, norms**2)  # ruler: the largest λ with H v = λ U⁻¹ v
    weight, layer = (eigh(H.numpy(), np.diag(1 / u.numpy()), eigvals_only=True)[-1] for u in units)
    g = jacrev(lambda t: loss(t, 20))(theta)
    exact = {
        "largest": float(torch.linalg.eigvalsh(H)[-1]),
        "trace": float(H.trace()),
        "filters": filters,
        "layer sizes": layer,
        "weight sizes": weight,
        "relative, first": kappa,
        "Fisher–Rao": float(theta @ F @ theta),
        "Fisher slope": float((g @ torch.linalg.pinv(F, rtol=1e-12) @ g).sqrt()),
        "tr F⁺H": float((torch.linalg.pinv(F, rtol=1e-12) @ H).trace()),
    }
    for ruler, value in exact.items():
        assert found[ruler] == pytest.approx(value, rel=1e-7), ruler


def test_the_two_rulers_that_choose_find_the_least():
    known = page(4)
    world = known["World"](relu_net, known["X"], known["plain"])
    found = known["measure"](world)
    F = by_hand(known, world)[-1]
    C = unflatten(F.diagonal(), world.params)
    t1, t2 = C["theta1"].sum(0).numpy(), C["theta2"].sum(1).numpy()
    at = minimize(lambda s: (t1 * np.exp(-2 * s) + t2 * np.exp(2 * s)).sum(), np.zeros(4))
    assert found["orbit floor"] == pytest.approx(at.fun, rel=1e-6)
    assert found["orbit floor"] < found["trace"]
    total = 0.0
    for name, W in world.params.items():
        c, w = C[name].numpy(), W.numpy() ** 2
        rows = len(w)

        def cost(s, c=c, w=w, rows=rows):
            scale = np.exp(s[:rows, None] + s[rows:])
            return (c * scale + w / scale).sum()

        total += minimize(cost, np.zeros(sum(w.shape)), options={"gtol": 1e-9}).fun
    assert found["rows, columns"] == pytest.approx(total, rel=1e-6)


def test_the_geodesic_ruler_is_the_pencil_of_its_metric():
    known = page(5)
    world = known["World"](known["attention"], known["X"], known["heads"])
    found, (_, _, H, _) = known["measure"](world), by_hand(known, world)
    blocks = [
        np.kron(np.eye(len(w)), np.linalg.inv((w.T @ w).numpy())) for w in world.params.values()
    ]
    M = np.zeros((45, 45))
    at = 0
    for block in blocks:
        M[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    assert found["geodesic"] == pytest.approx(eigh(H.numpy(), M, eigvals_only=True)[-1], rel=1e-8)
    part = np.linalg.solve(M, H.numpy())[:12, :12]  # the queries
    assert found["relative, first"] == pytest.approx(np.trace(part), rel=1e-8)


def bilinear(seed, n=8, k=3):
    """L(G, K) = ‖G Kᵀ − B‖²/2 at its exact minimum, as a function of flat weights."""
    dice = torch.Generator().manual_seed(seed)
    G, K = (torch.randn(n, k, generator=dice, dtype=torch.float64) for _ in range(2))
    B = G @ K.T
    half = n * k

    def loss(t):
        return ((t[:half].view(n, k) @ t[half:].view(n, k).T - B) ** 2).sum() / 2

    return loss, G, K


UNITS = {  # name: U from (G, K), and the maps that carry it along
    "ones": (lambda G, K: torch.eye(2 * G.numel()).double(), {"turn"}),
    "weights": (
        lambda G, K: torch.cat([G.flatten(), K.flatten()]).square().diag(),
        {"scalar", "diagonal"},
    ),
    "layers": (
        lambda G, K: torch.cat([w.norm().square().expand(w.numel()) for w in (G, K)]).diag(),
        {"scalar", "turn"},
    ),
    "columns": (
        lambda G, K: torch.block_diag(*[G.T @ G] * len(G), *[K.T @ K] * len(K)),
        {"scalar", "diagonal", "shear", "turn", "any"},
    ),
}


def mixings(seed):
    dice, one = torch.Generator().manual_seed(seed), torch.eye(3, dtype=torch.float64)
    A = torch.randn(3, 3, generator=dice, dtype=torch.float64)
    shear = one.clone()
    shear[0, 1] = 5
    turn = torch.matrix_exp((A - A.T) / 2)
    diagonal = torch.tensor([5, 1, 0.2]).double().diag()
    return {"scalar": 5 * one, "diagonal": diagonal, "shear": shear, "turn": turn, "any": A}


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("units", UNITS)
def test_a_ruler_survives_the_mixings_that_carry_its_units_along(units, seed, ledger):
    loss, G, K = bilinear(seed)
    make, survives = UNITS[units]

    def ruler(G, K):
        H = hessian(loss)(torch.cat([G.flatten(), K.flatten()]))
        return float(torch.linalg.eigvals(make(G, K) @ H).real.max())

    start = ruler(G, K)
    for name, A in mixings(seed).items():
        shift = abs(ruler(G @ A, K @ A.inverse().T) / start - 1)
        if name in survives:
            ledger("ruler-survives", error=shift, tol=1e-10)
        else:
            assert shift > 1e-2, name


@pytest.mark.parametrize("widths", [(4, 3, 2), (5, 4, 3)])
def test_at_an_exact_fit_the_fisher_trace_is_the_rank_at_every_twin(widths, ledger):
    dice = torch.Generator().manual_seed(sum(widths))
    teacher = init_net(list(widths), generator=dice)
    X = torch.randn(120, widths[0], generator=dice, dtype=torch.float64)
    loss = squared_error(relu_net, X, relu_net(teacher, X))
    c = torch.logspace(-0.7, 0.7, widths[1], dtype=torch.float64)
    twins = (alpha_scale(teacher, 0.2), alpha_scale(teacher, 5.0), scale_units(teacher, c))
    by_count = len(flatten(teacher)) - widths[1]  # one knob for each hidden unit
    largest = []
    for params in (teacher, *twins):
        theta = flatten(params)
        J = jacrev(lambda t, p=params: relu_net(unflatten(t, p), X).flatten())(theta)
        H = hessian(lambda t, p=params: loss(unflatten(t, p)))(theta)
        P = torch.linalg.pinv(J / len(X) ** 0.5, rtol=1e-9)
        values = torch.linalg.eigvalsh(P.T @ H @ P)[-by_count:]
        ledger("full-invariance", error=float((values - 1).abs().max()), tol=1e-9)
        assert float((P.T @ H @ P).trace()) == pytest.approx(by_count, abs=1e-8)
        largest.append(float(torch.linalg.eigvalsh(H)[-1]))
    assert max(largest) > 5 * min(largest)
