"""An audit's numbers, twins and words, and its command.

Oracle: dense Hessians by `torch.func.hessian` over `functional_call`, which shares nothing with our
products; rescaled weights written down by hand; for the words, the numbers of the report.
"""

import copy
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jvp
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import helpers._audit
import helpers.sweep._audit
from helpers import audit, flatten, number, over_loader, squared_error, unflatten
from helpers.live._audit_panels import audit_panels
from helpers.sweep._audit import _compared


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.randn(60, 5, generator=dice(1), dtype=torch.float64)
y = torch.randint(0, 3, (60,), generator=dice(2))


def made(*widths, activation=nn.ReLU, seed=0):
    torch.manual_seed(seed)
    pairs = [(nn.Linear(a, b), activation()) for a, b in zip(widths, widths[1:])]
    return nn.Sequential(*[layer for pair in pairs for layer in pair][:-1]).double()


def dense(module, state=None):
    """The eigenvalues of the Hessian of the mean cross-entropy, smallest first."""
    params = {name: p.detach() for name, p in (state or dict(module.named_parameters())).items()}

    def loss(theta):
        return cross_entropy(functional_call(module, unflatten(theta, params), (X,)), y)

    return torch.linalg.eigvalsh(hessian(loss)(flatten(params)))


def by_hand(module, up, down, c):
    """The weights with layer `up` times c and the next one divided by it."""
    state = {name: p.detach().clone() for name, p in module.named_parameters()}
    for name, power in ((f"{up}.weight", 1), (f"{up}.bias", 1), (f"{down}.weight", -1)):
        state[name] *= c**power
    return state


@pytest.fixture(scope="module")
def module():
    return made(5, 6, 3)


@pytest.fixture(scope="module")
def report(module):
    return audit(module, (X, y), generator=dice(), progress=False)


def test_the_numbers_here_are_those_of_the_dense_hessian(module, report):
    values = dense(module)
    assert torch.allclose(report.top, values.flip(0)[:5], rtol=1e-3)
    assert report.trace.value == pytest.approx(float(values.sum()), rel=1e-9)
    assert report.trace.standard_error == 0
    share = float((values > 0.01).double().mean())
    assert report.density.share_above(0.01) == pytest.approx(share, abs=0.2)
    assert float(report.density.shares.sum()) == pytest.approx(1)
    assert report.parameters == len(values) == 5 * 6 + 6 + 6 * 3 + 3
    assert report.examples == 60


def test_the_numbers_in_units_of_the_weights_are_those_of_their_formulas(module, report):
    params = {name: p.detach() for name, p in module.named_parameters()}

    def outputs(theta):
        return functional_call(module, unflatten(theta, params), (X,))

    def loss(theta):
        return cross_entropy(outputs(theta), y)

    theta, here = flatten(params), report.readings["here"]
    adaptive = torch.linalg.eigvalsh(theta.abs()[:, None] * hessian(loss)(theta) * theta.abs())
    assert here["adaptive sharpness"] == pytest.approx(float(adaptive.abs().max()), rel=2e-3)
    _, along = jvp(outputs, (theta,), (theta,))
    norm = float(along.square().sum(1).mean())
    assert here["Fisher-Rao norm"] == pytest.approx(norm, rel=1e-9)
    assert here["loss"] == pytest.approx(float(loss(theta)), rel=1e-12)


def test_curvature_along_the_rescaling_is_that_of_weights_rescaled_by_hand(module, report):
    assert (report.knob.up, report.knob.downs) == ("0", ("2",))
    assert float(report.amounts[0]) == pytest.approx(0.01)
    assert float(report.amounts[-1]) == pytest.approx(100)
    for i in (0, 13, 20, 40):
        values = dense(module, by_hand(module, "0", "2", float(report.amounts[i])))
        assert float(report.tops[i]) == pytest.approx(float(values[-1]), rel=2e-3)
        assert float(report.traces[i]) == pytest.approx(float(values.sum()), rel=1e-9)


def test_a_twin_loads_into_the_module_and_is_what_the_report_says(module, report):
    for name in ("flattest", "sharper"):
        twin = copy.deepcopy(module)
        twin.load_state_dict(report.twins[name])
        assert torch.allclose(twin(X), module(X), rtol=0, atol=1e-12)
        values = dense(twin)
        assert report.readings[name]["λ_max"] == pytest.approx(float(values[-1]), rel=2e-3)
        assert report.readings[name]["trace"] == pytest.approx(float(values.sum()), rel=1e-9)
    tops = report.tops.tolist()
    assert report.at["flattest"] == report.amounts[tops.index(min(tops))]
    assert report.at["sharper"] == report.amounts[tops.index(max(tops))]
    assert report.moved < 1e-13
    assert report.flips == 0


def test_what_cannot_move_stays_and_what_can_moves(report):
    here, there = report.readings["here"], report.readings["sharper"]
    for name in ("loss", "adaptive sharpness", "Fisher-Rao norm"):
        assert there[name] == pytest.approx(here[name], rel=2e-3)
    for name in ("λ_max", "trace", "ε-sharpness"):
        assert there[name] > 10 * here[name]


def test_the_sharpness_is_a_rise_that_the_ball_really_holds(module, report):
    theta = flatten({name: p.detach() for name, p in module.named_parameters()})
    assert report.radius == pytest.approx(float(theta.norm()) / 100)
    loss = cross_entropy(module(X), y)
    slope = torch.autograd.grad(loss, list(module.parameters()))
    slope = float(torch.cat([g.flatten() for g in slope]).norm())
    assert report.slope == pytest.approx(slope)
    rise = report.readings["here"]["ε-sharpness"] * (1 + float(loss.detach()))
    highest = slope * report.radius + float(dense(module)[-1]) * report.radius**2 / 2
    assert 0.9 * highest < rise < 1.01 * highest


def compared(scale, moved):
    """Two examples, the first all but a tie; one twin of two moves its first output."""
    rows = scale * torch.tensor([[1.0, 1 - 1e-12], [2.0, 1.0]], dtype=torch.float64)
    loss = squared_error(lambda p, x: x * p["w"], rows, torch.eye(2, dtype=torch.float64))
    here = {"w": torch.ones(2, dtype=torch.float64)}
    twins = {"same": here, "other": {"w": torch.tensor([1 + moved, 1], dtype=torch.float64)}}
    return _compared(loss, here, twins, SimpleNamespace(up="w"))


def test_a_largest_output_that_changes_is_counted_once_for_each_example():
    found = compared(1.0, -4e-12)
    assert found["flips"] == 1
    assert found["moved"] == pytest.approx(4e-12, rel=1e-3)  # in units of the largest output


def test_the_largest_change_is_that_of_all_batches():
    """Of two batches the first moves, or the second."""
    f = lambda params, x: x * params["w"]  # noqa: E731
    here = {"w": torch.ones(2, dtype=torch.float64)}
    twin = {"w": torch.tensor([1 - 4e-12, 1], dtype=torch.float64)}
    rows = torch.tensor([[3.0, 0], [0, 3.0]], dtype=torch.float64)
    for order in ([0, 1], [1, 0]):
        data = DataLoader(TensorDataset(rows[order], torch.zeros_like(rows)), batch_size=1)
        loss = over_loader(f, data, lambda z, y: (z - y).square().mean())
        found = _compared(loss, here, {"twin": twin}, SimpleNamespace(up="w"))
        assert found["moved"] == pytest.approx(4e-12, rel=1e-3)


def test_small_outputs_are_held_to_the_same_share_of_their_size():
    with pytest.raises(ValueError, match="audit needs a rescaling that keeps every output, got w"):
        compared(1e-6, 0.1)


def test_the_knob_is_the_one_that_takes_the_trace_farthest():
    module = made(5, 4, 4, 3)
    with torch.no_grad():
        module[4].weight.mul_(0.01)
    knob = audit(module, (X, y), progress=False).knob
    reach = {
        up: max(float(dense(module, by_hand(module, up, down, c)).sum()) for c in (0.01, 100.0))
        for up, down in (("0", "2"), ("2", "4"))
    }
    assert knob.up == max(reach, key=reach.get)
    assert max(reach.values()) > 1.1 * min(reach.values())


def test_many_parameters_get_an_estimate_with_its_error(module, report, monkeypatch):
    monkeypatch.setattr(helpers.sweep._audit, "EXACT", 0)
    rough = audit(module, (X, y), generator=dice(), progress=False)
    off = abs(rough.trace.value - report.trace.value)
    assert 0 < off < 4 * rough.trace.standard_error < 2 * report.trace.value
    assert rough.knob == report.knob


def test_a_loader_gives_what_its_tensors_give(module, report):
    loader = DataLoader(TensorDataset(X, y), batch_size=25)
    batches = audit(module, loader, generator=dice(), progress=False)
    assert batches.examples == 60
    for place, measures in report.readings.items():
        assert batches.readings[place] == pytest.approx(measures, rel=5e-3)


def test_real_targets_and_a_loss_of_ones_own_are_taken(module):
    targets = torch.randn(60, 3, generator=dice(), dtype=torch.float64)
    usual = audit(module, (X, targets), progress=False)
    own = audit(module, (X, targets), loss=nn.MSELoss(), progress=False)
    assert own.readings["here"]["loss"] == pytest.approx(
        float(nn.MSELoss()(module(X), targets).detach())
    )
    assert usual.readings["here"]["trace"] == pytest.approx(1.5 * own.readings["here"]["trace"])


class Tied(nn.Module):
    """One weight under two names, and a buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.out = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.again.weight = self.first.weight
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, x):
        return self.out(self.again(self.first(x - self.mean).relu()).relu())


def test_tied_weights_and_buffers_come_back_tied_and_whole():
    torch.manual_seed(0)
    module = Tied().double()
    report = audit(module, (X, y), progress=False)
    state = report.twins["sharper"]
    assert set(state) == set(module.state_dict())
    assert torch.equal(state["first.weight"], state["again.weight"])
    assert not torch.equal(state["out.weight"], module.out.weight)
    twin = Tied().double()
    twin.load_state_dict(state)
    assert torch.allclose(twin(X), module(X), rtol=0, atol=1e-12)


def test_without_a_rescaling_the_report_says_so_and_claims_nothing(tmp_path):
    report = audit(made(5, 4, 3, activation=nn.Tanh), (X, y), progress=False)
    assert (report.knob, report.twins, list(report.readings)) == (None, {}, ["here"])
    assert "No positive rescaling" in report.words
    assert "no proof" in report.words
    report.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figure-1.svg", "report.txt"]


def test_the_paragraph_says_the_numbers_of_the_report(report):
    here, low, high = (report.readings[at] for at in ("here", "flattest", "sharper"))
    said = [here["λ_max"], here["trace"], low["λ_max"], high["λ_max"], here["Fisher-Rao norm"]]
    assert not [value for value in said if number(value) not in report.words]
    assert "while 0 of 60 answers change" in report.words
    assert "layer 0 by" in report.words
    assert f"{report.symmetries.dim} factors are free" in report.words
    assert report.symmetries.dim == 6
    text = str(report)
    assert " ".join(text.split()).endswith(report.words)  # filled to lines
    assert "2: not rescalable" in text
    row = re.search(r"^λ_max +(\S+) +(\S+) +(\S+)$", text, re.M)
    assert list(row.groups()) == [number(m["λ_max"]) for m in (here, low, high)]


def test_what_is_saved_can_be_read_back(module, report, tmp_path):
    report.save(tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert (folder / "report.txt").read_text(encoding="utf-8") == f"{report}\n"
    for name in ("flattest", "sharper"):
        state = torch.load(folder / f"{name}.pt", weights_only=True)
        assert all(torch.equal(state[key], value) for key, value in report.twins[name].items())
    drawn = [(folder / f"figure-{k}.svg").read_text(encoding="utf-8") for k in (1, 2, 3)]
    assert all(text.rstrip().endswith("</svg>") for text in drawn)


def test_the_figure_is_shown_as_the_book_shows_its_own(report, monkeypatch):
    shown = []
    monkeypatch.setattr(helpers._audit, "still", lambda figs, **words: shown.append((figs, words)))
    report.figure()
    ((figs, words),) = shown
    orbit, moved = figs[1].axes[0], figs[2].axes[0]
    curve = next(line for line in orbit.lines if len(line.get_xdata()) == 41)
    assert list(curve.get_ydata()) == report.tops.tolist()
    dots = [float(line.get_xdata()[0]) for line in moved.lines if line.get_marker() == "D"]
    here, there = report.readings["here"], report.readings["sharper"]
    assert dots == pytest.approx([there[name] / here[name] for name in here])
    assert words["name"] == "audit"


def test_a_measure_that_falls_stays_in_the_picture():
    nodes, c = [0.1, 1.0], [0.01, 1.0, 100.0]
    curves = [c, [9.0, 1.0, 9.0], [9.0, 1.0, 9.0], 100.0]
    figs = audit_panels(nodes, [0.5, 0.5], curves, [("falls", 1e-3), ("rises", 1e4), ("stays", 1)])
    low, high = figs[2].axes[0].get_xlim()
    assert low < 1e-3 and high > 1e4


def test_the_report_is_frozen_and_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).double()
    before = copy.deepcopy(module.state_dict())
    report = audit(module, (X, y), progress=False)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert module.training
    with pytest.raises(FrozenInstanceError):
        report.slope = 0.0


def test_float32_and_the_same_dice_give_the_same_report():
    module = made(5, 6, 3).float()
    data = (X.float(), y)
    one, two = (audit(module, data, generator=dice(3), progress=False) for _ in range(2))
    assert str(one) == str(two)
    assert one.moved < 1e-5
    assert one.readings["sharper"]["trace"] == pytest.approx(
        float(dense(module.double(), by_hand(module, "0", "2", one.at["sharper"])).sum()), rel=1e-3
    )


def test_a_bar_shows_how_far_it_is(module, capsys):
    audit(module, (X, y))
    assert "audit" in capsys.readouterr().err
    audit(module, (X, y), progress=False)
    assert not capsys.readouterr().err


class Moody(nn.Module):
    """Takes another way where inputs are large, which two rows may not show."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        z = self.a(x)
        return self.b(torch.tanh(z) if float(x.abs().max()) > 2 else z.relu())


def test_a_way_that_x_did_not_show_is_noticed():
    small = X.clamp(-1, 1)
    assert audit(Moody().double(), (small, y), progress=False).twins
    with pytest.raises(ValueError, match="keeps every output, got .* takes another path"):
        audit(Moody().double(), (X, y), small[:2], progress=False)


WRONG = [
    (made(5, 6, 3), X, "tensors, got Tensor: a pair"),
    (made(5, 6, 3), None, "tensors, got NoneType: a pair"),
    (made(5, 6, 3), (X, y[:7]), "60 inputs and 7 targets"),
    (made(5, 6, 3), (X / 0, y), "needs finite data"),
    (made(4, 6, 3), (X, y), "module that runs on X, got: mat1 and mat2"),
    (
        made(5, 6, 2),
        (X, y),
        "loss of .outputs, y. that runs, got: Target 2 is out of bounds; this was cross_entropy",
    ),
    (made(5, 6, 3), (X.float(), y), "module that runs on X, got: .*dtype"),
    (nn.Sequential(nn.Linear(5, 3), nn.Dropout()).double(), (X, y), "call module.eval"),
    (made(5, 6, 3), DataLoader(TensorDataset(X, y), shuffle=True), "shuffle=True"),
]


@pytest.mark.parametrize(("module", "data", "sentence"), WRONG, ids=[w[2][:20] for w in WRONG])
def test_bad_input_is_one_sentence_before_the_long_computation(module, data, sentence, monkeypatch):
    monkeypatch.setattr(helpers._audit, "readings", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(ValueError, match=sentence) as refused:
        audit(module, data, progress=False)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=f"^audit needs a finite loss, got {value}: no curvature"):
        audit(made(5, 6, 3), (X, y), loss=lambda z, y: z.sum() * 0 + value, progress=False)


NETS = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    torch.save((X, y), tmp_path / "data.pt")
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, "-m", "helpers", "audit", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_prints_the_same_report_and_keeps_it(folder, module):
    torch.save(made(5, 6, 3, seed=4).state_dict(), folder / "weights.pt")
    asked = ("nets:small", "--data", "data.pt", "--weights", "weights.pt", "--out", "kept")
    done = run(folder, *asked)
    assert done.returncode == 0, done.stderr
    same = str(audit(made(5, 6, 3, seed=4).eval(), (X, y), progress=False))
    assert done.stdout.strip() == same.strip()
    assert (folder / "kept" / "report.txt").read_text(encoding="utf-8").strip() == same.strip()
    assert torch.load(folder / "kept" / "sharper.pt")["0.weight"].shape == (6, 5)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("nets:large", "--data", "data.pt"), "has no attribute 'large'"),
        (("nowhere:small", "--data", "data.pt"), "No module named 'nowhere'"),
        (("nets:small", "--data", "none.pt"), "No such file"),
        (("nets:small", "--data", "nets:small"), "tensors, got"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(folder, asked, sentence):
    done = run(folder, *asked)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert sentence in line
