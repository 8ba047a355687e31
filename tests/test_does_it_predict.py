"""What the page measures on its networks holds on others, and its formulas are those of autograd.

Oracle: dense Hessians by automatic differentiation for the traces, scipy for τ, and a population
of its own (another split, other widths, batches and steps) for the signs.
"""

import ast
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from helpers import (
    accuracy,
    cross_entropy,
    dense_hessian,
    digits,
    flatten,
    layer_traces,
    mnist1d,
    predictions,
    relu_net,
    sizes,
)
from tools import ROOT, pages

PAGE = pages.read(ROOT / "book" / "after" / "does_it_predict.ipynb")
PLAIN = {"Group", "AXES", "RULERS", "MOVABLE", "spread_knob"}
GRIDS = {
    "digits": dict(
        depth=(2,), width=(20, 120), batch=(12, 75), step=(0.02, 0.04, 0.06), decay=(0, 5e-4)
    ),
    "MNIST-1D": dict(
        depth=(2, 3), width=(56, 88), batch=(30, 120), step=(0.005, 0.014), decay=(0, 1e-3)
    ),
}


@cache
def page():
    """The functions of the page, and the names they need, with a population of our own."""
    known, trees = {}, [ast.parse(cell.source) for _, cell in PAGE.code()[1:]]
    for node in (node for tree in trees for node in tree.body):
        names = {n.id for n in getattr(node, "targets", []) if isinstance(n, ast.Name)}
        wanted = isinstance(node, (ast.Import, ast.ImportFrom)) or names & PLAIN
        if wanted or (isinstance(node, ast.FunctionDef) and node.name != "draw"):
            exec(compile(ast.Module([node], []), "page", "exec"), known)
    data = {
        "digits": digits(test=1447, seed=11, dtype=torch.float32),
        "MNIST-1D": mnist1d(900, test=2000, seed=11, dtype=torch.float32),
    }
    target = {"digits": 0.03, "MNIST-1D": 0.2}
    nets = {name: known["population"](data[name], target[name], **GRIDS[name]) for name in data}
    known |= {"DATA": data, "nets": nets}
    known["results"] = {name: known["measure"](nets[name], data[name]) for name in data}
    known["gap"] = {name: result[0] for name, result in known["results"].items()}
    known["settings"] = {name: [s for g in nets[name] for s in g.settings] for name in data}
    return known


def trained(name):
    return dict(page()["results"][name][2][0])


@pytest.mark.parametrize("widths", [(6, 5, 10), (5, 6, 4, 10)])
def test_the_closed_forms_are_those_of_the_hessian(widths):
    dice = torch.Generator().manual_seed(0)
    X, y = torch.randn(30, widths[0], generator=dice).double(), torch.arange(30) % 10
    pairs = [*zip(widths, widths[1:])]
    many = {
        f"theta{k}": torch.randn(3, *shape, generator=dice).double()
        for k, shape in enumerate(pairs, 1)
    }
    traces, weighted = page()["curvature"](many, X)
    for i in range(3):
        one = {name: w[i] for name, w in many.items()}
        diagonal = dense_hessian(cross_entropy(relu_net, X, y), one).diagonal()
        blocks = [part.sum() for part in diagonal.split([*sizes(one).values()])]
        assert torch.allclose(traces[:, i], torch.stack(blocks), rtol=1e-9)
        assert float(weighted[i]) == pytest.approx(float(flatten(one).square() @ diagonal), 1e-9)


@pytest.mark.parametrize("name", GRIDS)
def test_a_rescaling_moves_the_trace_and_none_of_the_rulers_that_the_page_calls_fixed(name):
    dice, X = torch.Generator().manual_seed(2), page()["DATA"][name].X.double()
    group = page()["nets"][name][-1]
    xi = torch.randn(len(group.params) - 1, len(group.settings), generator=dice)
    twin, _ = page()["spread_out"](group, 2.0, xi)
    noise = [{k: torch.randn(w.shape, generator=dice) for k, w in twin.items()}]
    read = []
    for params in (group.params, twin):
        traces, weighted = page()["curvature"](params, X)
        values = page()["fixed"](params, traces, weighted, page()["DATA"][name], noise)
        read.append((traces.sum(0), values))
    assert set(read[0][1]) | set(page()["MOVABLE"]) == set(list(page()["RULERS"])[:9])
    for ruler, value in read[0][1].items():
        tol = 1e-2 if ruler == "fragility by weight" else 1e-9
        assert float((read[1][1][ruler] / value - 1).abs().max()) < tol, ruler
    assert float((read[1][0] / read[0][0] - 1).abs().min()) > 1e-3
    outputs = [relu_net(params, X) for params in (group.params, twin)]
    assert float((outputs[0] - outputs[1]).abs().max() / outputs[0].abs().max()) < 1e-12


@pytest.mark.parametrize("wished", ["by the gap", "against the gap", "shuffled"])
@pytest.mark.parametrize("name", GRIDS)
def test_any_order_above_the_largest_floor_can_be_had_and_no_prediction_moves(name, wished, ledger):
    known = dict(page())
    g, data = known["gap"][name], known["DATA"][name]
    if wished == "shuffled":  # an order that nobody trained for
        g = np.random.default_rng(4).permutation(len(g)).astype(float)
    own = dict(known) | {"gap": {name: g}}  # the page's functions, with these gaps
    functions = {k: _with(own, known[k]) for k in ("targets", "twins")}
    own |= functions
    dial = -1 if wished == "against the gap" else 1
    loss = cross_entropy(relu_net, data.X.double(), data.y)
    found, X = [], data.X_test[:300].double()
    for group, there in functions["twins"](dial, name):
        for i in range(len(group.settings)):
            before, after = ({k: w[i] for k, w in p.items()} for p in (group.params, there))
            found.append(sum(layer_traces(loss, after).values()))
            assert torch.equal(predictions(relu_net, before, X), predictions(relu_net, after, X))
    asked = functions["targets"](dial, name)
    assert np.allclose(found, asked, rtol=1e-9)
    order = kendalltau(np.round(np.log(found), 6), g).statistic  # τ-b: ties are left out
    ledger("order-at-will", error=abs(order - dial), tol=1e-12)
    assert abs(known["tau"](asked, g)) >= 0.97


def _with(known, function):
    """A function of the page that looks its names up in `known`."""
    return type(function)(function.__code__, known, function.__name__, function.__defaults__)


def test_no_ruler_is_safe_in_its_worst_environment(ledger):
    for ruler in page()["RULERS"]:
        errors = [
            page()["sign_error"](trained(name)[ruler], page()["gap"][name], pairs)
            for name in GRIDS
            for _, pairs in page()["environments"](name)
        ]
        ledger("sign-error", error=max(0.0, 0.5 - max(errors)), tol=0)


def test_an_environment_differs_in_one_setting_and_by_more_than_noise():
    for name in GRIDS:
        rows, g = page()["settings"][name], page()["gap"][name]
        for words, pairs in page()["environments"](name):
            assert pairs.shape[1] >= 4
            for i, j in pairs.T:
                (k,) = [k for k in range(5) if rows[i][k] != rows[j][k]]
                assert words == f"{page()['AXES'][k]} {rows[i][k]:g}, {rows[j][k]:g}"
                assert abs(g[i] - g[j]) > 0.01


def test_the_signs_that_the_page_puts_into_words():
    by = {
        name: {r: page()["tau"](x, page()["gap"][name]) for r, x in trained(name).items()}
        for name in GRIDS
    }
    assert min(by["digits"][ruler] for ruler in ("path norm", "weighted trace")) > 0.2
    assert min(by["MNIST-1D"][ruler] for ruler in ("trace", "small steps")) > 0.2
    for ruler in ("distance walked", "fragility"):
        assert by["digits"][ruler] * by["MNIST-1D"][ruler] < -0.04
    for name in GRIDS:
        assert abs(by[name]["random numbers"]) < 3 * page()["null_sd"](len(page()["gap"][name]))


def test_tau_and_its_null_are_scipys():
    dice = np.random.default_rng(0)
    for n in (5, 40):
        pairs = [dice.standard_normal((2, n)) for _ in range(400)]
        values = [page()["tau"](*pair) for pair in pairs]
        assert values[0] == pytest.approx(kendalltau(*pairs[0]).statistic, abs=1e-12)
        assert np.std(values) == pytest.approx(page()["null_sd"](n), rel=0.1)


def test_the_granulated_correlation_compares_within_one_setting():
    known = dict(page()) | {"settings": {"toy": [(2, w, b, 1, 0) for w in (8, 9) for b in (1, 2)]}}
    known["gap"] = {"toy": np.array([0.1, 0.2, 0.3, 0.4])}  # grows with width, and with batch
    granulated = _with(known, page()["granulated"])
    assert (
        granulated(np.array([1.0, 0.0, 3.0, 2.0]), "toy") == 0.0
    )  # right on width, wrong on batch
    assert granulated(np.array([1.0, 2.0, 3.0, 4.0]), "toy") == 1.0


def test_gap_is_test_error_minus_training_error():
    data, group = page()["DATA"]["digits"], page()["nets"]["digits"][2]
    net = {name: w[1].float() for name, w in group.params.items()}
    train, test = (
        accuracy(relu_net, net, *xy) for xy in ((data.X, data.y), (data.X_test, data.y_test))
    )
    assert float(page()["gaps"](group, data)[1]) == pytest.approx(train - test, abs=1e-6)
