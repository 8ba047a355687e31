"""Equations between log-factors, and the group that solves them.

Oracle: the same equations as the rows of one matrix, whose rank is numpy's; small systems are
solved by hand.
"""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import law

from helpers.maps._group import ZERO, Equations, Group, Part

NONE = torch.tensor(0)


def one(label):
    return torch.tensor([label])


def entry(label, minus=0):
    """A parameter with one entry, which takes this label (over another)."""
    return [Part((1,), (1,), 0, one(label), one(minus))]


def solved(equations, names):
    """The group in which each of these labels is seen on a parameter of its own."""
    return Group(equations, {str(k): entry(k) for k in names})


def factors(group, z, names):
    """The log-factors of the labels under z; those that do not move are 0."""
    params = {str(k): torch.ones(1) for k in names}
    logs = group.logs(torch.as_tensor(z, dtype=torch.float64), params)
    found = [float(logs.get(str(k), torch.zeros(1))) for k in names]
    return torch.tensor(found, dtype=torch.float64)


@st.composite
def systems(draw):
    """Some unknowns, what is asked of them, and the same as the rows of a matrix."""
    equations, n = Equations(), draw(st.integers(2, 7))
    names, rows = equations.fresh(n).tolist(), []
    coefficients = st.sampled_from([1, -1, 2, Fraction(1, 2)])
    for _ in range(draw(st.integers(0, 6))):
        a, b = draw(st.sampled_from([0, *names])), draw(st.sampled_from(names))
        if draw(st.booleans()):
            equations.equal(one(a), one(b))
            rows.append({a: 1, b: -1} if a != b else {})
        else:
            c, d = draw(coefficients), draw(coefficients)
            out = int(equations.combined(c, one(a), d, one(b)))
            row = dict.fromkeys((a, b, out), 0)
            for k, x in ((a, c), (b, d), (out, -1)):
                row[k] += x
            rows.append(row)
            names += [out] * (out not in [0, *names])
    return equations, names, rows


@law(60)
@given(system=systems(), seed=st.integers(0, 10**6))
def test_the_group_is_the_kernel_of_the_equations(system, seed):
    equations, names, rows = system
    M = np.array([[float(row.get(k, 0)) for k in names] for row in rows]).reshape(-1, len(names))
    group = solved(equations, names)
    assert group.dim == len(names) - (np.linalg.matrix_rank(M) if rows else 0)
    z = np.random.default_rng(seed).normal(size=group.dim)
    u = factors(group, z, names)
    assert np.abs(M @ u.numpy()).max(initial=0) < 1e-12
    units = np.stack([factors(group, e, names).numpy() for e in np.eye(group.dim)] or [u * 0])
    assert np.linalg.matrix_rank(units) == group.dim
    assert np.abs(z @ units - u.numpy()).max() < 1e-12 if group.dim else not u.any()


@law(40)
@given(system=systems())
def test_each_factor_comes_to_whole_powers_without_a_common_divisor_the_largest_positive(system):
    equations, names, _ = system
    group = solved(equations, names)
    assert sorted(i for kind in group.kinds for i in kind.units) == list(range(group.dim))
    for kind in group.kinds:
        powers = [p for ps in kind.powers.values() for p in ps]
        assert all(p.denominator == 1 for p in powers)
        assert np.gcd.reduce([int(p) for p in powers]) == 1 and max(powers) > 0
        for i in kind.units:
            u = factors(group, np.eye(group.dim)[i], names)
            moved = {str(k): float(x) for k, x in zip(names, u) if x}
            assert moved == {name: float(p) for name, (p,) in kind.powers.items()}


def test_labels_are_new_each_time_and_the_first_is_one():
    equations = Equations()
    assert equations.fresh(2, 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert equations.fresh(2).tolist() == [7, 8]


def test_what_is_zero_fits_any_factor():
    equations = Equations()
    a, b = equations.fresh(2).tolist()
    u = torch.tensor([a, ZERO, a, ZERO])
    assert equations.join(u, torch.tensor([b, b, ZERO, ZERO])).tolist() == [a, b, a, ZERO]
    assert equations.alike(torch.tensor([[ZERO, a], [ZERO, ZERO]]), 1).tolist() == [a, ZERO]
    assert equations.combined(1, u, 1, torch.tensor([b, b, b, 0])).tolist()[1:] == [ZERO, 3, ZERO]
    group = solved(equations, (a, b))
    assert group.dim == 1  # a = b is asked for where both are there, and nothing else is


def test_a_sum_of_labels_is_an_old_one_where_it_can_be():
    equations = Equations()
    a, b = equations.fresh(2)
    for c, d, u, v, wanted in (
        (1, 1, a, NONE, a),
        (1, 1, NONE, b, b),
        (1, -1, a, a, 0),
        (2, -2, a, a, 0),
        (3, 5, NONE, NONE, 0),
    ):
        assert equations.combined(c, u[None], d, v[None]).tolist() == [int(wanted)]
    assert not equations.lines
    twice, difference = (
        int(equations.combined(*x)) for x in ((2, a[None]), (1, a[None], -1, b[None]))
    )
    assert len({int(a), int(b), twice, difference}) == 4
    group = solved(equations, [int(a), int(b), twice, difference])
    u = factors(group, [0.3, 0.7], [int(a), int(b), twice, difference])
    assert u[2] == pytest.approx(2 * u[0]) and u[3] == pytest.approx(u[0] - u[1])


def test_one_label_along_an_axis_and_everywhere():
    equations = Equations()
    u = equations.fresh(2, 3)
    assert equations.alike(u, 1, True).shape == (2, 1)
    assert equations.alike(u, 0).shape == (3,)
    assert equations.alike(u[0, 0]) is not None and equations.alike(u).ndim == 0
    assert equations.alike(torch.zeros(2, 0, dtype=torch.long), 1).tolist() == [ZERO, ZERO]
    assert solved(equations, u.flatten().tolist()).dim == 1


def test_a_factor_stands_over_another_and_cancels_where_both_are_one():
    equations = Equations()
    a, b = equations.fresh(2).tolist()
    group = Group(equations, {"up": entry(a), "ratio": entry(b, a), "same": entry(a, a)})
    assert [dict(kind.powers) for kind in group.kinds] == [
        {"up": (1,), "ratio": (-1,)},
        {"ratio": (1,)},
    ]
    logs = group.logs(torch.tensor([0.5, 2.0]), {k: torch.ones(1) for k in ("up", "ratio", "same")})
    assert {name: float(u) for name, u in logs.items()} == {"up": 0.5, "ratio": 1.5, "same": 0}
    assert logs["up"].dtype == torch.float64


def test_factors_come_in_the_order_of_the_entries_that_they_multiply_first():
    equations = Equations()
    rows, columns = equations.fresh(3), equations.fresh(2)
    turned = Part((3, 2), (1, 3), 0, rows.flip(0)[:, None], NONE.expand(1, 1))
    group = Group(equations, {"w": [turned], "v": [Part((2,), (1,), 1, columns, NONE.expand(1))]})
    assert [(kind.powers, kind.units) for kind in group.kinds] == [
        ({"w": (1,)}, [0, 1, 2]),
        ({"v": (1,)}, [3, 4]),
    ]
    params = {"w": torch.ones(2, 3), "v": torch.ones(3)}
    logs = group.logs(torch.tensor([1.0, 2, 3, 4, 5]), params)
    assert logs["w"].tolist() == [[1, 2, 3], [1, 2, 3]]
    assert logs["v"].tolist() == [0, 4, 5]
    still = group.logs(torch.tensor([0.0, 0, 0, 4, 0]), params)
    assert list(still) == ["v"]  # what does not move is not named


def test_a_label_without_a_factor_says_which_step_left_it_none():
    equations = Equations()
    a, b, c, d = equations.fresh(4).tolist()
    equations.why = ("tanh", "1")
    equations.equal(one(a), NONE)
    equations.why = ("add", "2")
    equations.equal(one(b), one(a))
    equations.why = ("mul", "3")
    double = int(equations.combined(2, one(c)))
    equations.why = ("sub", "4")
    equations.equal(one(double), NONE)
    group = solved(equations, (a, b, c, d))
    causes = group.causes()
    assert {k: causes[k] for k in (a, b, c)} == {
        a: ("tanh", "1"),
        b: ("add", "2"),
        c: ("sub", "4"),
    }
    assert d not in causes and group.dim == 1


def test_a_product_that_contradicts_itself_is_named():
    """2 u = u has one solution, and the step that asks for it is the cause."""
    equations = Equations()
    (a,) = equations.fresh(1).tolist()
    equations.why = ("mul", "5")
    equations.equal(equations.combined(2, one(a)), one(a))
    group = solved(equations, (a,))
    assert group.dim == 0 and not group.kinds
    assert group.causes()[a] == ("mul", "5")


def test_what_is_solved_is_put_into_what_was_solved_before():
    """With o = 2p + 3q, and then p = 2q, there is one factor left, and o = 7q."""
    equations = Equations()
    p, q = equations.fresh(2).tolist()
    o = int(equations.combined(2, one(p), 3, one(q)))
    equations.equal(one(p), equations.combined(2, one(q)))
    group = solved(equations, (p, q, o))
    assert group.dim == 1
    u = factors(group, [0.1], (p, q, o))
    assert (u / u[1]).tolist() == pytest.approx([2, 1, 7])
