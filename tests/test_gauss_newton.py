"""The Gauss–Newton matrix: its blocks, their traces in closed form, and where it is blind.

Oracle: `torch.func.hessian` of the loss, block by block, a Jacobian of the outputs formed in full,
and one by finite differences; none knows that a ReLU net is linear in each layer. The closed form
for one hidden layer is written out from the weights and the data.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import DEVICES, build, cases, law, off, pre_activations

from helpers import (
    alpha_scale,
    cross_entropy,
    dense_hessian,
    fisher_rao_norm,
    flatten,
    functional,
    gauss_newton_operator,
    hs_description_length,
    layer_traces,
    net,
    over_loader,
    relu_net,
    sizes,
    squared_error,
    trace,
    unflatten,
)
from helpers.nets._losses import Loss


def block_traces(loss, params):
    H = torch.func.hessian(lambda theta: loss(unflatten(theta, params)))(flatten(params))
    pieces = H.diagonal().split(list(sizes(params).values()))
    return {name: float(piece.sum()) for name, piece in zip(params, pieces)}


@law(60)
@given(case=cases())
def test_each_block_at_any_point_squared_error(case, ledger):
    ours, truth = layer_traces(case.loss, case.params), block_traces(case.loss, case.params)
    assert list(ours) == list(case.params)
    scale = max(abs(t) for t in truth.values()) or 1.0
    worst = max(abs(ours[name] - truth[name]) for name in truth) / scale
    ledger("gauss-newton-trace", error=worst, tol=1e-11)


@law(60)
@given(case=cases(out=3))
def test_each_block_at_any_point_cross_entropy(case, ledger):
    y = torch.randint(0, case.widths[-1], (len(case.X),), generator=case.generator)
    loss = cross_entropy(relu_net, case.X, y, smoothing=0.1)
    ours, truth = layer_traces(loss, case.params), block_traces(loss, case.params)
    scale = max(abs(t) for t in truth.values())
    if case.widths[-1] > 1:
        worst = max(abs(ours[name] - truth[name]) for name in truth)
        ledger("gauss-newton-trace", error=worst / (scale or 1.0), tol=1e-11)


@law(30)
@given(case=cases(depth=(1, 1), bias=False))
def test_the_jacobian_by_finite_differences(case):
    """mean ‖∂f/∂θ‖² from differences of outputs: f is linear in each entry, so h may be large."""
    theta, h = flatten(case.params), 1e-6
    total = 0.0
    for i in range(len(theta)):
        e = torch.zeros_like(theta)
        e[i] = h
        up, down = (case.f(unflatten(theta + s * e, case.params), case.X) for s in (1, -1))
        total += float(((up - down) / (2 * h)).square().sum(1).mean())
    assert sum(layer_traces(case.loss, case.params).values()) == pytest.approx(total, rel=1e-4)


@law(60)
@given(case=cases(depth=(1, 1), bias=False, out=1))
def test_the_traces_of_one_hidden_layer_in_closed_form(case):
    (z,) = pre_activations(case.params, case.X)
    theta2 = case.params["theta2"][:, 0]
    active = (z > 0).double()
    t1 = (case.X.square().sum(1) * (active @ theta2.square())).mean()
    t2 = z.clamp_min(0).square().sum(1).mean()
    H = dense_hessian(case.loss, case.params).diagonal()
    n1 = case.params["theta1"].numel()
    scale = float(t1 + t2) or 1.0
    assert abs(float(H[:n1].sum() - t1)) / scale <= 1e-12
    assert abs(float(H[n1:].sum() - t2)) / scale <= 1e-12
    ours = list(layer_traces(case.loss, case.params).values())
    assert float((t1.new_tensor(ours) - torch.stack([t1, t2])).abs().max()) / scale <= 1e-12


@law(40)
@given(case=cases(bias=False, width=3), kind=st.sampled_from(["squares", "entropy"]))
def test_diagonal_blocks_of_the_hessian_are_gauss_newton_blocks(case, kind, ledger):
    loss, C = case.loss, torch.eye(case.widths[-1], dtype=torch.float64)[None]
    if kind == "entropy":
        y = torch.randint(0, case.widths[-1], (len(case.X),), generator=case.generator)
        loss = cross_entropy(relu_net, case.X, y)
        p = case.f(case.params, case.X).softmax(1)
        C = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # (N, out, out)
    theta = flatten(case.params)
    J = torch.autograd.functional.jacobian(
        lambda theta: case.f(unflatten(theta, case.params), case.X), theta
    )
    G = torch.einsum("noi,nop,npj->ij", J, C.expand(len(J), -1, -1), J) / len(J)
    H, at = dense_hessian(loss, case.params), 0
    scale = max(float(H.abs().max()), float(G.abs().max())) or 1.0
    for n_k in sizes(case.params).values():
        block = slice(at, at + n_k)
        assert float((H[block, block] - G[block, block]).abs().max()) / scale <= 1e-11
        at += n_k
    error = abs(float(H.trace() - G.trace())) / scale
    ledger("gauss-newton-trace", error=error, tol=1e-11)


@law(40)
@given(case=cases(depth=(1, 3), bias=False, where="off"), data=st.data())
def test_the_metric_of_changed_behaviour_is_singular(case, data, ledger):
    """JᵀJ at any point, not only a minimum: +θ_k and −θ_l together change no output."""
    up, down = data.draw(st.lists(st.sampled_from(list(case.params)), min_size=2, unique=True))[:2]
    sign = {up: 1.0, down: -1.0}
    v = flatten({name: sign.get(name, 0.0) * block for name, block in case.params.items()})
    J = torch.func.jacrev(lambda theta: case.f(unflatten(theta, case.params), case.X))(
        flatten(case.params)
    ).reshape(-1, len(v))
    size = float(J.abs().max() * v.norm()) or 1.0
    ledger("singular-metric", error=float((J @ v).abs().max()) / size, tol=1e-12)
    metric = gauss_newton_operator(case.loss, case.params)
    scale = float(J.square().sum() * v.norm()) or 1.0
    ledger("singular-metric", error=float(metric(v).abs().max()) / scale, tol=1e-12)


def test_the_product_over_batches_is_that_of_the_whole():
    case = build([4, 5, 2], 0, where="off")
    rows = [(case.X[at], case.loss.y[at]) for at in torch.arange(len(case.X)).split(7)]
    v = torch.randn(30, generator=case.generator, dtype=torch.float64)
    batches = over_loader(case.f, rows, case.loss.criterion)
    truth = gauss_newton_operator(case.loss, case.params)(v)
    assert off(gauss_newton_operator(batches, case.params)(v), truth) < 1e-12


def test_twin_one_layer_alone_is_seen_by_the_metric():
    case = build([4, 5, 2], 0, where="off")
    v = flatten({**case.params, "theta2": 0 * case.params["theta2"]})
    assert float(v @ gauss_newton_operator(case.loss, case.params)(v)) > 0.1


def test_twin_with_tanh_the_hessian_has_more_in_it():
    case = build([4, 5, 1], 0, where="off", activation="tanh")
    J = torch.func.jacrev(lambda p: case.f(p, case.X))(case.params)
    gauss_newton = sum(float(block.square().sum()) for block in J.values()) / len(case.X)
    assert abs(trace(case.loss, case.params).value - gauss_newton) > 1e-2


def test_another_function_is_refused():
    case = build([4, 5, 1], 0)
    loss = squared_error(net("tanh"), case.X, case.loss.y)
    with pytest.raises(ValueError, match="layer_traces needs a loss of relu_net, got another"):
        layer_traces(loss, case.params)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_the_trace_on_the_orbit_in_both_precisions(dtype, tol, device):
    case = build([4, 5, 2], 1)
    truth = layer_traces(case.loss, case.params)
    params = {name: block.to(device, dtype) for name, block in case.params.items()}
    X, y = (t.to(device, dtype) for t in (case.loss.X, case.loss.y))
    twin = layer_traces(squared_error(relu_net, X, y), alpha_scale(params, 4.0))
    assert off(twin["theta1"], truth["theta1"] / 16) < tol
    assert off(twin["theta2"], truth["theta2"] * 16) < tol


def test_a_relu_net_written_as_a_module_has_the_same_trace():
    case = build([3, 4, 2], 2, where="off")
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4, bias=False), torch.nn.ReLU(), torch.nn.Linear(4, 2, bias=False)
    ).double()
    module[0].weight.data = case.params["theta1"].T.contiguous()
    module[2].weight.data = case.params["theta2"].T.contiguous()
    f, params = functional(module)
    loss = Loss(f, case.X, case.loss.y, case.loss.criterion)
    ours = sum(layer_traces(case.loss, case.params).values())
    assert trace(loss, params).value == pytest.approx(ours, rel=1e-12)


def test_a_unit_without_incoming_weights_has_no_curvature_to_give():
    """Its input is exactly zero on every example, where the rectifier's slope counts as zero."""
    case = build([3, 4, 2], 0)
    params = {name: block.clone() for name, block in case.params.items()}
    params["theta1"][:, 1] = 0
    found, truth = layer_traces(case.loss, params), block_traces(case.loss, params)
    for name, value in truth.items():
        assert found[name] == pytest.approx(value, rel=1e-11)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        return torch.relu(z)

    @staticmethod
    def backward(ctx, slope):
        return slope  # not that of a rectifier


class Bent(torch.nn.Linear):
    def forward(self, x):
        return StraightThrough.apply(super().forward(x))


@pytest.mark.parametrize("measure", ["fisher_rao_norm", "gauss_newton", "description"])
def test_slopes_of_outputs_that_are_not_their_own_are_refused(measure):
    torch.manual_seed(0)
    X = torch.randn(12, 4, dtype=torch.float64)
    module = torch.nn.Sequential(Bent(4, 6), torch.nn.Linear(6, 2)).double()
    honest = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), module[1]).double()

    def measured(module):
        f, params = functional(module)
        loss = squared_error(f, X, torch.zeros(12, 2, dtype=torch.float64))
        if measure == "fisher_rao_norm":
            return fisher_rao_norm(f, params, X)
        if measure == "description":
            return hs_description_length(loss, params, 0.1)
        return gauss_newton_operator(loss, params)(flatten(params))

    assert measured(honest) is not None
    with pytest.raises(ValueError, match="derivatives that are those of L, got a first"):
        measured(module)
