"""An audit of networks as others have them: many parameters, sequences, images, half precision.

Oracle: dense Hessians by `torch.func.hessian`, in float64; answers counted by hand; each sentence
names what it was given.
"""

import copy
import io
import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, TensorDataset

import helpers.__main__
import helpers.sweep._asked
import helpers.sweep._audit
from helpers import (
    audit,
    find_symmetries,
    fisher_rao_norm,
    flatten,
    functional,
    number,
    unflatten,
)
from helpers.nets._losses import Loss
from helpers.sweep._asked import answers, asked


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.randn(60, 5, generator=dice(1), dtype=torch.float64)
y = torch.randint(0, 3, (60,), generator=dice(2))


def made(*widths, seed=0):
    torch.manual_seed(seed)
    pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in zip(widths, widths[1:])]
    return nn.Sequential(*[layer for pair in pairs for layer in pair][:-1]).double()


def dense(module, loss, X, y):
    """The Hessian of the loss at the module's own weights, in float64."""
    params = {name: p.detach().double() for name, p in module.named_parameters()}
    module = copy.deepcopy(module).double()

    def value(theta):
        return loss(functional_call(module, unflatten(theta, params), (X,)), y)

    return hessian(value)(flatten(params))


# Every trace is of the same products, and says how well it is known.


@pytest.fixture(scope="module")
def sampled():
    """Reports with traces from random signs, three seeds, and the diagonal that they estimate."""
    module = made(5, 6, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(helpers.sweep._audit, "EXACT", 0)
        reports = [audit(module, (X, y), generator=dice(k), progress=False) for k in range(3)]
    return reports, dense(module, F.cross_entropy, X, y).diagonal()


def test_a_long_vector_s_strongest_rescaling_is_chosen_from_random_signs(monkeypatch):
    asked_for, diagonal = [], helpers.sweep._audit.diagonal

    def watched(loss, params, samples, dice):
        asked_for.append(samples)
        return diagonal(loss, params, samples, dice)

    monkeypatch.setattr(helpers.sweep._audit, "diagonal", watched)
    module = made(5, 6, 6, 3)
    audit(module, (X, y), progress=False)
    monkeypatch.setattr(helpers.sweep._audit, "EXACT", 0)
    audit(module, (X, y), progress=False)
    assert asked_for == [None, helpers.sweep._audit.SAMPLES]


def test_a_sampled_trace_at_a_twin_is_as_right_as_its_standard_error_says(sampled):
    reports, diagonal = sampled
    for report in reports:
        for place, error in report.errors.items():
            c = report.at.get(place, 1.0)
            S = flatten(report.symmetries.scaling({report.knob: c}))
            off = abs(report.readings[place]["trace"] - float((diagonal / S.square()).sum()))
            assert 0 < error < float((diagonal / S.square()).sum())
            assert off < 4 * error


def test_the_trace_at_c_1_is_the_trace_here_to_the_last_digit(sampled):
    for report in sampled[0]:
        middle = len(report.amounts) // 2
        assert float(report.amounts[middle]) == pytest.approx(1)
        assert float(report.traces[middle]) == pytest.approx(report.trace.value, rel=1e-12)


def test_the_table_has_a_standard_error_below_each_sampled_trace(sampled):
    report = sampled[0][0]
    row = re.search(r"^  standard error +(\S+) +(\S+) +(\S+)$", str(report), re.M)
    assert list(row.groups()) == [number(error, 2) for error in report.errors.values()]
    exact = audit(made(5, 6, 3), (X, y), progress=False)
    assert "standard error " not in str(exact).replace(exact.words, "")


# An answer is one prediction: of a sequence each token, of an image each pixel.

ANSWERS = {
    "classes": ((4, 3), (4,), 1),
    "classes, with soft labels": ((4, 3), (4, 3), 1),
    "sequences, as torch's cross-entropy takes them": ((4, 3, 7), (4, 7), 1),
    "sequences, for a loss that flattens them": ((4, 7, 3), (4, 7), 2),
    "images": ((4, 3, 5, 6), (4, 5, 6), 1),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_the_largest_output_along_the_classes(kind):
    shape, targets, axis = ANSWERS[kind]
    outputs = torch.randn(shape, generator=dice())
    found = answers(outputs, torch.zeros(targets))
    truth = torch.tensor(np.argmax(outputs.numpy(), axis))
    assert torch.equal(found, truth)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 5, 6)])
def test_the_answer_of_a_single_output_is_its_sign(shape):
    outputs = torch.randn(shape, generator=dice())
    found = answers(outputs, torch.zeros(shape))
    assert torch.equal(found.flatten(), outputs.flatten() > 0)


def test_the_report_counts_changed_answers_among_all_of_them():
    """Five tokens a row; every answer is a tie that rounding decides."""

    def f(params, x):
        return torch.stack([x * params["w"], x * params["u"]], -1)

    rows = torch.rand(4, 5, generator=dice(), dtype=torch.float64)
    here = {"w": torch.ones(5).double(), "u": torch.ones(5).double()}
    moved = here | {"u": 1 + torch.tensor([0, 1e-12, 0, 1e-12, 1e-12]).double()}
    loss = Loss(f, rows, torch.zeros(4, 5).long(), lambda z, y: z.mean())
    twins = {"one": moved, "other": here | {"u": here["u"] + 1e-13 * torch.eye(5)[0]}}
    found = helpers.sweep._audit._compared(loss, here, twins, None)
    assert (found["flips"], found["answers"]) == (4 * 4, 4 * 5)


@pytest.fixture(scope="module")
def tokens():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 7)).double()
    return module, torch.randint(0, 7, (2, 4, 6), generator=dice())


def flattened(outputs, y):
    return F.cross_entropy(outputs.flatten(0, 1), y.flatten())


def test_an_audit_of_sequences_counts_tokens_and_says_of_how_many(tokens):
    module, (X, y) = tokens
    report = audit(module, (X, y), loss=flattened, progress=False)
    assert (report.examples, report.answers) == (4, 24)
    assert "while 0 of 24 answers change" in report.words


def test_a_loss_that_sequences_need_is_asked_for_in_one_sentence(tokens):
    module, data = tokens
    sentence = r"size \[4, 7\], got \[4, 6\]; this was cross_entropy, since no loss= was given, of"
    with pytest.raises(ValueError, match=sentence):
        audit(module, tuple(data), progress=False)


@pytest.mark.parametrize("shape", [(7, 4), (7, 6, 4), (7, 2, 3, 4)])
def test_the_fisher_rao_norm_is_a_mean_over_rows_of_all_their_outputs(shape):
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)]
    f, params = functional(nn.Sequential(*layers).double())
    rows = torch.randn(shape, generator=dice(), dtype=torch.float64)
    euler = 4 * f(params, rows).square().flatten(1).sum(1).mean()
    assert fisher_rao_norm(f, params, rows) == pytest.approx(float(euler), rel=1e-12)
    one = fisher_rao_norm(lambda p, x: f(p, x).flatten(1)[:, 0], params, rows)
    first = 4 * f(params, rows).flatten(1)[:, 0].square().mean()
    assert one == pytest.approx(float(first), rel=1e-12)


# Half precision is measured in single, and no eigenvalue is said to be surer than its rounding.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_as_its_weights_are(dtype):
    module, inputs = made(5, 8, 3).to(dtype), X.to(dtype)
    before = copy.deepcopy(module.state_dict())
    report = audit(module, (inputs, y), progress=False)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    for place, state in ({"here": before} | report.twins).items():
        module = made(5, 8, 3)
        module.load_state_dict(state)
        top = torch.linalg.eigvalsh(dense(module, F.cross_entropy, inputs.double(), y))[-1]
        assert report.readings[place]["λ_max"] == pytest.approx(float(top), rel=2e-3)
    assert f"{dtype} measured as float32" in str(report)
    assert "± 0)" not in str(report)


def test_half_precision_over_a_loader_and_for_real_targets_is_taken_too():
    module = made(5, 8, 1).bfloat16()
    inputs, targets = X.bfloat16(), torch.rand(60, 1, generator=dice()).bfloat16()
    usual = audit(module, (inputs, targets), progress=False)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=25)

    def strict(z, y):
        if z.dtype != y.dtype:
            raise TypeError(f"{z.dtype} and {y.dtype}")
        return F.mse_loss(z, y) / 2

    batches = audit(module, loader, loss=strict, progress=False)
    here = usual.readings["here"]
    assert batches.readings["here"] == pytest.approx(here, rel=5e-3)


def test_an_eigenvalue_is_no_surer_than_the_rounding_in_it(sampled):
    report = replace(sampled[0][0], residuals=torch.zeros(5), top=torch.full((5,), 1e6))
    assert f"(± {number(1e6 * torch.finfo(torch.float32).eps, 1)})" in str(report)


# What was measured is said.


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.r = nn.Linear(5, 3), nn.Linear(4, 3)

    def forward(self, u, v):
        return self.l(u) @ self.r(v).T


class Gated(Towers):
    def forward(self, u, v):
        return self.l(u) * self.r(v)


@pytest.mark.parametrize(
    "box", [lambda u, v: (u, v), lambda u, v: [u, v], lambda u, v: dict(u=u, v=v)]
)
def test_several_inputs_come_as_one_X_and_are_measured_as_one(box):
    torch.manual_seed(0)
    module, v = Towers().double(), torch.randn(60, 4, generator=dice(4), dtype=torch.float64)
    pairs = torch.arange(60)
    report = audit(module, (box(X, v), pairs), progress=False)
    params = {name: p.detach() for name, p in module.named_parameters()}

    def value(theta):
        return F.cross_entropy(functional_call(module, unflatten(theta, params), (X, v)), pairs)

    H = hessian(value)(flatten(params))
    assert report.trace.value == pytest.approx(float(H.trace()), rel=1e-9)
    assert report.symmetries.dim == 3
    rows = torch.tensor([7, 3])  # as a worker's share has them
    _, _, L, *_ = asked(module, (box(X, v), pairs), None, None)
    assert torch.equal(L.f(params, rows), module(X[rows], v[rows]))


def test_several_inputs_over_a_loader_give_the_same_report():
    torch.manual_seed(0)
    module, v = Gated().double(), torch.randn(60, 4, generator=dice(4), dtype=torch.float64)
    whole = audit(module, (dict(u=X, v=v), y), progress=False)
    rows = [(dict(u=a, v=b), c) for a, b, c in zip(X, v, y)]
    loader = audit(module, DataLoader(rows, batch_size=25), progress=False)
    assert loader.symmetries.dim == whole.symmetries.dim == 3
    assert (loader.examples, loader.answers, loader.flips) == (60, 60, 0)
    for place, at in whole.readings.items():
        assert loader.readings[place] == pytest.approx(at, rel=2e-3)


SEVERAL = [
    (
        (X, X, y),
        "tensors, got Tensor, Tensor, Tensor: a pair .X, y., with several inputs as a tuple",
    ),
    (((X, X[:5]), y), "got 5 inputs and 60 targets"),
    (({"u": X / 0, "v": X}, y), "needs finite data"),
    ({"X": X, "y": y}, "tensors, got dict: a pair"),
    (({"a": X, "b": 0}, y), "got int, Tensor: a pair"),
    (DataLoader([(a, a, b) for a, b in zip(X, y)]), "got Tensor, Tensor, Tensor: a pair"),
    (DataLoader([]), "tensors, got : a pair"),
]


@pytest.mark.parametrize(("data", "sentence"), SEVERAL, ids=[s[1][:20] for s in SEVERAL])
def test_data_that_are_no_pair_are_one_sentence(data, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        audit(made(5, 6, 3), data, progress=False)
    assert str(refused.value).startswith(("audit needs", "functional needs"))
    assert str(refused.value).count(". ") == 0


def test_weights_that_are_not_finite_are_refused_by_the_audit():
    module = made(5, 6, 3)
    nn.init.constant_(module[0].bias, float("nan"))
    with pytest.raises(ValueError, match="^audit needs finite"):
        audit(module, (X, y), progress=False)


class Experts(nn.Module):
    """Each row goes to one of four experts, after a hidden layer of eight units."""

    def __init__(self):
        super().__init__()
        self.stem, self.gate = nn.Linear(5, 8), nn.Linear(5, 4)
        self.experts = nn.ModuleList([made(8, 3, 3) for _ in range(4)])

    def forward(self, x):
        h, best = self.stem(x).relu(), self.gate(x).argmax(1)
        outputs = h.new_zeros(len(x), 3)
        for k, expert in enumerate(self.experts):
            outputs[best == k] = expert(h[best == k])
        return outputs


class Graph(nn.Module):
    """One graph is one input: features (N, F) and who is beside whom (N, N)."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x, A):
        return A @ self.two((A @ self.one(x)).relu())


def seen_rows(monkeypatch, module, data, x=None):
    """The symmetries that an audit finds, and of how many rows each search was."""
    rows = []

    def watched(module, x):
        rows.append(len(tree_leaves(x)[0]))
        return find_symmetries(module, x)

    monkeypatch.setattr(helpers.sweep._asked, "find_symmetries", watched)
    return asked(module, data, x, None)[4], rows


def test_symmetries_are_looked_for_on_two_rows_where_these_reach_each_layer(monkeypatch):
    found, rows = seen_rows(monkeypatch, made(5, 6, 3), (X, y))
    assert (found.dim, rows) == (6, [2])
    assert seen_rows(monkeypatch, made(5, 6, 3), (X, y), 7)[1] == [7]
    assert seen_rows(monkeypatch, made(5, 6, 3), (X, y), X[:5])[1] == [5]
    with pytest.raises(ValueError, match=r"^audit needs a finite number of rows > 0, got -3: resc"):
        asked(made(5, 6, 3), (X, y), -3, None)


def test_experts_that_two_rows_miss_are_looked_for_on_more(monkeypatch):
    torch.manual_seed(0)
    module = Experts().double()
    found, rows = seen_rows(monkeypatch, module, (X, y))
    assert rows == [2, 32]
    assert found.dim == 8 + 4 * 3 + 1 == find_symmetries(module, X).dim  # 1: the gate
    few = find_symmetries(module, X[:2])
    assert few.dim < 21 and not all(refusal.tried for refusal in few.refused)


def test_a_graph_is_given_whole(monkeypatch):
    torch.manual_seed(0)
    A = (torch.rand(60, 60, generator=dice(3)) > 0.8).double()
    found, rows = seen_rows(monkeypatch, Graph().double(), ((X, A), y))
    assert (found.dim, rows) == (4, [2, 60])
    monkeypatch.setattr(helpers.sweep._asked, "SMALL", 100)
    with pytest.raises(ValueError, match="cannot be multiplied .*; this was on rows of X, and ano"):
        asked(Graph().double(), ((X, A), y), None, None)


# A loss may differentiate by the inputs, be negative, or have no answers to count.


class Forces(nn.Module):
    """Minus the slope of a potential by the inputs, as where atoms are moved."""

    def __init__(self, allows):
        super().__init__()
        self.potential = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))
        self.allows = allows

    def forward(self, x):
        with torch.set_grad_enabled(self.allows or torch.is_grad_enabled()):
            z = x.detach().clone().requires_grad_()
            return -torch.autograd.grad(self.potential(z).sum(), z, create_graph=True)[0]


@pytest.mark.parametrize("allows", [False, True])
def test_a_network_that_differentiates_by_its_inputs_has_a_report(allows):
    torch.manual_seed(0)
    module, forces = Forces(allows).double(), torch.randn(60, 5, generator=dice(3)).double()
    report = audit(module, (X, forces), progress=False)
    params = {name: p.detach() for name, p in module.named_parameters()}
    theta = flatten(params).requires_grad_()
    z = functional_call(module, unflatten(theta, params), (X,))
    value = (z - forces).square().sum(1).mean() / 2
    (slope,) = torch.autograd.grad(value, theta, create_graph=True)
    rows = [torch.autograd.grad(s, theta, retain_graph=True)[0] for s in slope]
    top = float(torch.linalg.eigvalsh(torch.stack(rows))[-1])
    assert report.readings["here"]["λ_max"] == pytest.approx(top, rel=2e-3)
    assert report.readings["here"]["ε-sharpness"] > 0
    assert report.readings["here"]["loss"] == pytest.approx(float(value.detach()))


def test_a_loss_below_zero_lacks_one_row_and_the_report_says_which():
    module, shift = made(5, 6, 3), 10.0
    above = audit(module, (X, y), loss=F.cross_entropy, progress=False)
    below = audit(module, (X, y), loss=lambda z, y: F.cross_entropy(z, y) - shift, progress=False)
    for place, at in below.readings.items():
        there = {**above.readings[place], "loss": above.readings[place]["loss"] - shift}
        assert there.keys() - at.keys() == {"ε-sharpness"}
        assert at == pytest.approx({name: there[name] for name in at}, rel=2e-3)
    assert "no ε-sharpness, which divides by 1 + L, as L is negative" in str(below)
    assert f"leaves loss {number(below.readings['here']['loss'])}, adaptive" in below.words


@pytest.mark.parametrize("left", [0, 0.5])
def test_a_loss_that_is_not_below_zero_lacks_no_row(left):
    module = made(5, 6, 3)
    with torch.no_grad():
        down = F.cross_entropy(module(X), y) - left
    report = audit(module, (X, y), loss=lambda z, y: F.cross_entropy(z, y) - down, progress=False)
    assert report.readings["here"]["loss"] == left
    assert "ε-sharpness" in report.readings["here"]
    assert "no ε-sharpness" not in str(report)


NO_ANSWERS = {
    "real targets": ((4, 5), torch.rand(4, 5)),
    "one real target": ((4, 1), torch.rand(4, 1)),
    "more outputs than targets": ((4, 8), torch.zeros(4, 5)),
    "pairs": ((8, 3), torch.zeros(4)),
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_outputs_that_are_no_classes_have_no_answers(kind):
    shape, targets = NO_ANSWERS[kind]
    assert answers(torch.randn(shape, generator=dice()), targets).shape == (0,)


def test_where_there_are_no_answers_the_paragraph_speaks_of_outputs():
    report = audit(made(5, 6, 3), (X, torch.rand(60, 3, generator=dice()).double()), progress=False)
    assert (report.flips, report.answers) == (0, 0)
    assert "while no output changes by more than" in report.words


@pytest.mark.parametrize(
    ("module", "rows", "sentence"),
    [
        (
            made(5, 6, 3),
            X.float(),
            "a module that runs on X, got: mat1 and mat2 must have the same",
        ),
        (
            made(4, 6, 3),
            X,
            r"a module that runs on X, got: .* cannot be multiplied \([x\d and]*\)\.$",
        ),
        (
            made(5, 6, 1),
            X,
            "a loss of .outputs, y. that runs, got: Target . is out of bounds; this",
        ),
    ],
)
def test_a_fault_is_the_modules_or_the_losss(module, rows, sentence):
    with pytest.raises(ValueError, match=f"^audit needs {sentence}"):
        audit(module, (rows, y), progress=False)


def test_a_trace_that_is_exactly_zero_has_no_error():
    trace, error = helpers.sweep._audit.traces(
        {"w": torch.zeros(2)}, torch.zeros(1, 1).double(), [1, 2]
    )
    assert trace.tolist() == error.tolist() == [0, 0]


def test_each_trace_has_the_error_of_its_own_sums():
    power = {"a": torch.tensor([0.0, 1.0]), "b": torch.tensor([1.0])}
    sums = torch.randn(7, 2, generator=dice(), dtype=torch.float64)
    trace, error = helpers.sweep._audit.traces(power, sums, [0.5, 2.0])
    for c, mean, standard in zip([0.5, 2.0], trace, error):
        each = sums.numpy() @ [1, c**-2]  # a trace for each random sample
        assert float(mean) == pytest.approx(each.mean())
        assert float(standard) == pytest.approx(each.std(ddof=1) / 7**0.5)


def test_the_ball_is_searched_from_its_rim_along_the_sharpest_direction(monkeypatch):
    started, search = [], helpers.sweep._audit.eps_sharpness

    def watched(loss, params, radius, *, starts):
        started.append((radius, starts))
        return search(loss, params, radius, starts=starts)

    monkeypatch.setattr(helpers.sweep._audit, "eps_sharpness", watched)
    module = made(5, 6, 3)
    audit(module, (X, y), progress=False)
    radius, (one, other) = started[0]  # here; the twins follow
    H = dense(module, F.cross_entropy, X, y)
    assert float(one.norm()) == pytest.approx(radius) and torch.equal(other, -one)
    v = one / radius
    assert float(v @ H @ v) == pytest.approx(float(torch.linalg.eigvalsh(H)[-1]), rel=2e-3)


def test_a_single_output_answers_by_its_sign_and_zero_is_not_above_zero():
    assert answers(torch.tensor([[0.0], [1.0], [-1.0]]), y[:3]).flatten().tolist() == [0, 1, 0]


def test_the_report_says_which_loss_was_measured_and_in_which_mode():
    module = made(5, 6, 3)
    usual = str(audit(module, (X, y), progress=False))
    assert "loss: cross_entropy; module in training mode" in usual
    summed = audit(module.eval(), (X, y), loss=nn.CrossEntropyLoss(reduction="sum"), progress=False)
    said = "loss: CrossEntropyLoss, as it is, on all rows at once; module in evaluation mode"
    assert said in str(summed)
    loader = audit(module, DataLoader(TensorDataset(X, y), batch_size=30), progress=False)
    assert "at once" not in str(loader)
    top = torch.linalg.eigvalsh(dense(module, nn.CrossEntropyLoss(reduction="sum"), X, y))[-1]
    assert summed.readings["here"]["λ_max"] == pytest.approx(float(top), rel=2e-3)


def ends_in_a_full_stop(z, y):
    raise RuntimeError("no such X.")


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (
            nn.CrossEntropyLoss,
            "that runs, got: Boolean value .*; this was the class CrossEntropyLoss, of shapes .60",
        ),
        (
            nn.CrossEntropyLoss(reduction="none"),
            "one real number as a tensor, got Tensor torch.float64 of shape .60,.: ",
        ),
        (F.binary_cross_entropy_with_logits, "must be the same as input size"),
        (
            lambda z, y: z.nothing,
            "that runs, got: .* no attribute 'nothing'; this was <lambda>, of .* .60, 3. and .60",
        ),
        (ends_in_a_full_stop, "got: no such X; this was ends_in_a_full_stop"),
    ],
)
def test_a_loss_that_does_not_fit_is_one_sentence(loss, sentence):
    with pytest.raises(ValueError, match=sentence):
        audit(made(5, 6, 3), (X, y), loss=loss, progress=False)


@pytest.mark.parametrize("module", [lambda z: z, [made(5, 3)]])
def test_what_is_no_module_is_one_sentence(module):
    with pytest.raises(ValueError, match=r"needs a module of torch, got (function|list)"):
        audit(module, (X, y), progress=False)


def test_over_a_loader_class_weights_are_refused_and_no_other_loss_is_called_the_same():
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 1.0]).double())
    loader = DataLoader(TensorDataset(X, y), batch_size=20)
    with pytest.raises(ValueError, match="with weights, torch's mean divides by their sum"):
        audit(made(5, 6, 3), loader, loss=weighted, progress=False)


# The command says what is wrong with a file or a name.

NETS = """
from torch import nn
import torch
X, y = torch.ones(9, 5), torch.zeros(9).long()
def build(): return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
three = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "kept.py").write_text(NETS, encoding="utf-8")
    module = made(5, 4, 3).float()
    saved = {
        "data.pt": (X.float(), y),
        "numpy.pt": (X.numpy(), y.numpy()),
        "dict.pt": {"X": X, "y": y},
        "whole.pt": module,
        "epoch.pt": {"model": module.state_dict(), "epoch": 3},
        "parallel.pt": {f"module.{name}": p for name, p in module.state_dict().items()},
        "good.pt": module.state_dict(),
    }
    for name, what in saved.items():
        torch.save(what, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return module


def command(monkeypatch, *asked):
    monkeypatch.setattr("sys.argv", ["helpers", "audit", *asked])
    helpers.__main__.main()


ASKED = [
    ("kept", "data.pt", None, "^build needs module:name, got 'kept'.$"),
    ("kept.py:build", "data.pt", None, "^build needs .* got 'kept.py:build': write kept:build.$"),
    ("kept:three", "data.pt", None, "^build needs a network or a function that makes one, got int"),
    ("kept:build", "data.npz", None, "^--data needs a .pt file or module:name, got 'data.npz'.$"),
    ("kept:build", "numpy.pt", None, r"^numpy.pt needs torch tensors .X, y., got numpy\S+.$"),
    ("kept:build", "dict.pt", None, "tensors, got dict: a pair .X, y., with several .* a dict X.$"),
    ("kept:build", "data.pt", "whole.pt", "^whole.pt needs the network's state_dict, got torch.nn"),
    ("kept:build", "data.pt", "epoch.pt", "state_dict, got 'model' in place of '0.weight'.$"),
    ("kept:build", "data.pt", "parallel.pt", "got 'module.0.weight' in place of '0.weight'.$"),
]


@pytest.mark.parametrize(("build", "data", "weights", "sentence"), ASKED)
def test_the_command_names_what_does_not_fit(folder, monkeypatch, build, data, weights, sentence):
    more = ("--weights", weights) if weights else ()
    with pytest.raises(SystemExit) as stopped:
        command(monkeypatch, build, "--data", data, *more)
    assert re.search(sentence, stopped.value.code)
    assert len(stopped.value.code) < 200


def test_the_command_takes_weights_and_names_that_fit(folder, monkeypatch, capsys):
    command(monkeypatch, "kept:build", "--data", "data.pt", "--weights", "good.pt")
    given = str(audit(folder.eval(), (X.float(), y), progress=False))
    assert capsys.readouterr().out.strip() == given.strip()


def test_the_help_says_where_modules_are_looked_for_and_in_which_mode(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command(monkeypatch, "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "in evaluation mode; modules are looked for in this folder" in said
    assert "a loader, or a function that makes one" in said


def test_a_report_that_is_saved_leaves_the_settings_of_a_script(tmp_path):
    own = {key: value for key, value in dict.items(matplotlib.rcParams) if key != "backend"}
    audit(made(5, 6, 3), (X, y), progress=False).save(tmp_path)
    assert own == {key: dict.__getitem__(matplotlib.rcParams, key) for key in own}


def test_a_console_without_our_letters_gets_the_report_and_the_folder_too(folder, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", console)
    command(monkeypatch, "kept:build", "--data", "data.pt", "--out", "out")
    console.flush()
    assert "parameters, 60 examples" in console.buffer.getvalue().decode("cp1252")
    assert "↔" in Path("out/report.txt").read_text(encoding="utf-8")


def test_the_largest_eigenvalue_has_its_sign_where_the_lowest_is_a_million_times_as_far():
    """Oracle: Sylvester's law. A rescaling moves eigenvalues, and none past zero."""
    H = torch.diag(torch.tensor([8e-3, 1e-3, -7e3, -1.0, -2.0, -50.0], dtype=torch.float64))
    Q = torch.linalg.qr(torch.randn(6, 6, generator=dice(), dtype=torch.float64))[0]
    params = {"a": torch.ones(6, dtype=torch.float64)}

    def loss(p):
        v = p["a"] - 1
        return 9 + v @ Q @ H @ Q.T @ v / 2

    top = helpers.sweep._audit.readings(
        Loss(lambda p, x: loss(p).expand(len(x), 1), X, y, lambda z, _: z.mean()),
        params,
        1e-3,
        dice(),
        0.0,
    )[1]
    assert float(top.values[0]) == pytest.approx(8e-3, rel=0.03)


def test_a_network_of_noughts_is_refused_before_anything_is_computed():
    module = made(5, 6, 3)
    for p in module.parameters():
        nn.init.zeros_(p)
    with pytest.raises(
        ValueError, match="^audit needs a finite length of the weights > 0, got 0.0"
    ):
        audit(module, (X, y), progress=False)
