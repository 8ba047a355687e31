"""Modules at the edge of what can be followed: the answer may be smaller there, never wrong.

Oracle: the module itself, with the twin's numbers loaded into it in place, as a reader would load
them. So a weight that forward reaches by another way than its name counts too.
"""

import pytest
import torch
from group_nets.registry import Net, between, linear, weight
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from helpers import find_symmetries, random_twin, rescale


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def double(module):
    """The module in float64, every parameter generic: a bias of 0 would hide a fault."""
    module = module.double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(1), dtype=torch.float64))
    return module


def error(module, x):
    """How far the predictions of a random twin are off, once it is written into the module.

    A copy of the module would not do: it would have untied what shares memory.
    """
    twin = random_twin(module, x, size=1.0, generator=generator(2))
    torch.manual_seed(0)
    ours = module(x).detach().clone()
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(twin[name])
    torch.manual_seed(0)
    theirs = module(x).detach()
    return float((theirs - ours).abs().max() / ours.abs().max())


def kept_in_a_list():
    made = between(torch.relu)
    made.kept = [made.up.weight]
    made.run = lambda m, x: m.down(torch.relu(m.up(x))) + m.kept[0].norm()
    return made


def read_from_a_list_alone():
    made = between(torch.relu)
    made.kept = [made.up.weight, made.up.bias]
    made.run = lambda m, x: m.down(torch.relu(F.linear(x, *m.kept)))
    return made


def two_parameters_in_one_storage():
    made = nn.Sequential(linear(3, 3), nn.ReLU(), linear(3, 3), nn.ReLU(), linear(3, 2))
    made = made.double()  # before they share: a change of dtype would part them
    made[2].weight = nn.Parameter(made[0].weight.data)
    return made


def overlapping_parameters():
    made = Net(lambda m, x: torch.relu(x @ m.a.T) @ m.b)
    whole = torch.randn(20, dtype=torch.float64)
    made.a, made.b = nn.Parameter(whole[:12].view(4, 3)), nn.Parameter(whole[10:18].view(4, 2))
    return made


def through_numpy():
    made = between(torch.relu)
    size = lambda m: float(abs(m.up.weight.detach().numpy()).sum())  # noqa: E731
    made.run = lambda m, x: m.down(torch.relu(m.up(x))) * size(m)
    return made


def through_a_python_list():
    made = between(torch.relu)
    made.run = lambda m, x: m.down(torch.relu(m.up(x))) + m.up.bias.tolist()[0]
    return made


def read_as_data():
    made = between(torch.relu)
    made.run = lambda m, x: m.down(torch.relu(m.up(x))) + m.up.weight.data.norm()
    return made


def counts_its_calls():
    def run(m, x):
        m.calls = getattr(m, "calls", 0) + 1
        return m.down(torch.relu(m.up(x))) * m.calls

    made = between(torch.relu)
    made.run = run
    return made


def slope_inside():
    """An energy's gradient is the prediction: its derivative is taken in forward."""

    def run(m, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            energy = m.down(torch.relu(m.up(x))).sum()
            return torch.autograd.grad(energy, x, create_graph=True)[0]

    made = between(torch.relu)
    made.run = run
    return made


def branch_on_two_weights():
    def run(m, x):
        bigger = bool(m.a.weight.norm() > m.b.weight.norm())
        return m.c(torch.relu((m.a if bigger else m.b)(x)))

    return Net(run, a=nn.Linear(3, 4), b=nn.Linear(3, 4), c=nn.Linear(4, 2))


def sorted_by_weight():
    run = lambda m, x: m.b(torch.relu(m.a(x))[:, m.a.weight[:, 0].argsort()])  # noqa: E731
    return Net(run, a=nn.Linear(3, 4), b=nn.Linear(4, 2))


def wraps_when_large():
    return between(lambda h: torch.remainder(h, 1.0))


def written_as_integers():
    return between(lambda h: torch.relu(h) + torch.relu(h).long())


def seen_as_complex():
    def step(h):
        z = torch.view_as_complex(h.unflatten(-1, (2, 2)).contiguous())
        return torch.view_as_real(z * z).flatten(-2)

    return between(step)


def renormalized_table():
    made = Net(lambda m, x: m.b(m.table(x.abs().long().clamp(max=4)).flatten(1)), b=linear(9, 2))
    made.table = nn.Embedding(5, 3, max_norm=1.0)
    return made


def noise_of_its_own():
    return between(lambda h: torch.relu(h) + torch.randn_like(h))


def computed_again():
    part = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return Net(lambda m, x: checkpoint(m.part, x, use_reentrant=False), part=part)


def low_precision_inside():
    return between(lambda h: torch.relu(h).float().double())


def straight_through():
    """Rounded on the way forward; the slope says it was not."""
    return between(lambda h: h + (h.round() - h).detach())


def own_function():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, h):
            return h * h

    return between(Square.apply)


def gate_that_saturates():
    return between(lambda h: torch.where(h > 1, h, 0.0))


def nan_where_zero():
    return between(lambda h: torch.nan_to_num(h / h.abs()) * h)


def weight_set_in_forward():
    """Forward clamps the weight itself, in place."""

    def run(m, x):
        with torch.no_grad():
            m.up.weight.clamp_(-0.5, 0.5)
        return m.down(torch.relu(m.up(x)))

    made = between(torch.relu)
    made.run = run
    return made


EDGES = [
    *(kept_in_a_list, read_from_a_list_alone, two_parameters_in_one_storage, through_numpy),
    *(overlapping_parameters, through_a_python_list, read_as_data, counts_its_calls, slope_inside),
    *(branch_on_two_weights, sorted_by_weight, wraps_when_large, written_as_integers),
    *(seen_as_complex, renormalized_table, noise_of_its_own, computed_again, low_precision_inside),
    *(straight_through, own_function, gate_that_saturates, nan_where_zero, weight_set_in_forward),
]


@pytest.mark.parametrize("make", EDGES, ids=lambda make: make.__name__.replace("_", " "))
def test_a_twin_that_is_loaded_predicts_the_same_or_is_refused(make):
    torch.manual_seed(0)
    module = double(make())
    x = torch.randn(4, 3, generator=generator(3), dtype=torch.float64)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    try:
        found = find_symmetries(module, x)
    except ValueError as refusal:
        assert "\n" not in str(refusal)
        return
    assert all(torch.equal(before[name], p) for name, p in module.named_parameters())
    if found.dim:
        assert error(module, x) < (1e-6 if make is low_precision_inside else 1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_net_of_low_precision_is_followed_in_high(dtype):
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(dtype)
    x = torch.randn(4, 3).to(dtype)
    assert find_symmetries(module, x).dim == 4
    twin = random_twin(module, x, size=1.0, generator=generator())
    assert {p.dtype for p in twin.values()} == {dtype}


def test_a_module_without_parameters_has_nothing_to_find():
    found = find_symmetries(nn.ReLU(), torch.randn(2, 3))
    assert found.dim == 0 and not found.found and not found.refused


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Linear(3, 2), torch.randn(4, 5)),
        (nn.Linear(3, 2), "a word"),
        (nn.LazyLinear(2), torch.randn(4, 3)),
        (nn.Linear(3, 2, device="meta"), torch.randn(4, 3)),
        (nn.Bilinear(3, 3, 2), torch.randn(4, 3)),
        (nn.Module(), torch.randn(4, 3)),
    ],
    ids=["shape", "word", "lazy", "meta", "arguments", "no forward"],
)
def test_what_does_not_run_is_one_sentence(module, x):
    with pytest.raises(ValueError, match=" needs ") as caught:
        find_symmetries(module, x)
    assert "\n" not in str(caught.value)


def reasons(module, x):
    return {refusal.up: refusal.reason for refusal in find_symmetries(module, x).refused}


def test_what_forward_writes_over_is_said_to_be_so():
    tokens = torch.tensor([[0, 1, 4]])
    made = Net(lambda m, x: m.b(m.table(x).flatten(1)), b=linear(9, 2))
    made.table = nn.Embedding(5, 3, max_norm=1.0)
    assert (
        reasons(made, tokens)["table"]
        == "the forward at table changes it in place, as max_norm does"
    )
    made = weight_set_in_forward()
    assert "changes it in place" in reasons(made, torch.randn(4, 3))["up"]


def test_a_layer_at_two_places_is_left_as_it_was():
    made = Net(lambda m, x: m.b(torch.relu(m.a(x))), a=nn.Linear(3, 3))
    made.b, before = made.a, made.a.weight
    copy = before.detach().clone()
    assert find_symmetries(made, torch.randn(4, 3)).dim == 0
    assert made.a.weight is before and torch.equal(before, copy)


class Told(nn.Module):
    """A distribution comes out, or something that nobody can look into."""

    def __init__(self, box):
        super().__init__()
        self.a, self.mean, self.box = nn.Linear(3, 4), nn.Linear(4, 2), box

    def forward(self, x):
        return self.box(self.mean(torch.relu(self.a(x))))


def test_what_a_distribution_holds_is_a_prediction():
    told = Told(lambda z: torch.distributions.Independent(torch.distributions.Normal(z, 1.0), 1))
    found = find_symmetries(told, torch.randn(5, 3))
    assert found.dim == 4 and [s.up for s in found.found] == ["a"]
    assert [r.reason[:10] for r in found.refused] == ["its factor"]


def test_a_module_that_gives_no_tensor_is_refused():
    with pytest.raises(ValueError, match="got Told: its output is a function, which holds"):
        find_symmetries(Told(lambda z: lambda: z), torch.randn(5, 3))


def test_a_factor_of_complex_weights_is_found():
    made = Net(lambda m, x: m.b((x.to(m.w.dtype) @ m.w).abs()), b=nn.Linear(4, 2))
    made.w = nn.Parameter(torch.randn(3, 4, dtype=torch.complex64))
    assert find_symmetries(made, torch.randn(5, 3)).dim == 4


def test_an_expert_that_no_row_reaches_is_no_obstacle():
    def run(m, x):
        out = torch.zeros(len(x), 2, dtype=x.dtype)
        for expert, rows in zip(m.experts, (x[:, 0] > -9, x[:, 0] < -9)):
            (rows,) = torch.where(rows)
            out.index_add_(0, rows, expert(x[rows]))
        return out

    expert = lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))  # noqa: E731
    made = Net(run, experts=nn.ModuleList([expert(), expert()]))
    found = find_symmetries(made, torch.randn(4, 3))
    assert [s.up for s in found.found] == ["experts.0.0"]
    assert {"experts.1.0", "experts.1.2"} <= {refusal.up for refusal in found.refused}


def neighbours():
    """A graph's layer: a sparse matrix says who is next to whom."""
    made = between(lambda h: torch.relu(torch.sparse.mm(made.next_to, h)))
    made.register_buffer("next_to", torch.eye(4).to_sparse())
    return made


def neighbours_made_inside():
    eye = lambda h: torch.sparse_coo_tensor(torch.arange(4).expand(2, 4), torch.ones(4).to(h))  # noqa: E731
    return between(lambda h: torch.relu(torch.sparse.mm(eye(h), h)))


def sequences_of_two_lengths(layout):
    def run(m, x):
        rows = torch.nested.nested_tensor([x[:1], x[1:]], layout=layout)
        return torch.nested.to_padded_tensor(m.down(torch.relu(m.up(rows))), 0.0)

    made = between(torch.relu)
    made.run = run
    return made


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    ("module", "sort"),
    [
        (neighbours, "sparse"),
        (neighbours_made_inside, "sparse"),
        (lambda: sequences_of_two_lengths(torch.strided), "nested"),
        (lambda: sequences_of_two_lengths(torch.jagged), "meta or jagged"),
    ],
)
def test_tensors_without_an_entry_at_every_place_are_named(module, sort):
    with pytest.raises(ValueError, match=f"all dense, got Net: a {sort} tensor.$"):
        find_symmetries(module(), torch.randn(4, 3))


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="torch before 2.6")
def test_what_was_compiled_is_followed_without_a_warning():
    def never(graph, inputs):
        raise AssertionError("compiled")

    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    found = find_symmetries(torch.compile(module, backend=never), torch.randn(4, 3))
    assert [s.up for s in found.found] == ["_orig_mod.0"] and found.dim == 4


def test_a_call_without_an_input_says_what_is_new():
    with pytest.raises((ValueError, TypeError), match="input"):
        find_symmetries(nn.Linear(3, 2))


def test_a_parameter_of_two_modules_is_answered_once():
    made = Net(lambda m, x: m.b(torch.relu(m.a(x))), a=nn.Linear(3, 3), b=nn.Linear(3, 3))
    made.b.weight, made.alias = made.a.weight, weight(2)
    found = find_symmetries(double(made), torch.randn(4, 3, dtype=torch.float64))
    names = [refusal.up for refusal in found.refused]
    assert sorted(names) == sorted(set(names)) and "alias" in names


# What forward writes as a number is one, however it is written.


def state_from_nought(start):
    """A state that begins with 0, as in a scan written by hand: three units, each with a factor."""
    made = Net(None, gate=nn.Linear(4, 3), up=linear(4, 3), down=nn.Linear(3, 2))

    def run(m, x):
        h = start(x)
        for _ in range(3):
            h = m.gate(x).sigmoid() * h + m.up(x)
        return m.down(h)

    made.run = run
    return made


@pytest.mark.parametrize(
    "start", [lambda x: 0, lambda x: torch.zeros(()), lambda x: torch.zeros(len(x), 3)]
)
def test_a_state_that_begins_with_nought_is_not_joined_with_anything(start):
    module = double(state_from_nought(start))
    x = torch.randn(5, 4, generator=generator(), dtype=torch.float64)
    assert find_symmetries(module, x).dim == 3
    assert error(module, x) < 1e-9


@pytest.mark.parametrize(
    ("step", "dim"),
    [
        (lambda z: torch.max(z, torch.tensor(0.0, dtype=z.dtype)), 6),
        (lambda z: torch.where(z > 0, z, torch.tensor(0.0, dtype=z.dtype)), 6),
        (lambda z: torch.max(z, z.new_tensor(0.0)), 6),
        (lambda z: torch.max(z, torch.tensor(0.1, dtype=z.dtype)), 0),
        (lambda z: torch.relu(z) if not torch.isnan(z).any() else z, 6),
        (lambda z: torch.relu(z).masked_fill(torch.isinf(z), 0.0), 6),
    ],
)
def test_a_rectifier_is_one_however_its_nought_is_written(step, dim):
    module = double(between(step, (4, 6, 3)))
    x = torch.randn(5, 4, generator=generator(), dtype=torch.float64)
    assert find_symmetries(module, x).dim == dim
    assert error(module, x) < 1e-9


# Each symmetry is the plain one: two layers meet in a product, and one factor goes up and down.


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.v = nn.Linear(4, 3), nn.Linear(5, 3)
        self.t = nn.Parameter(torch.tensor(2.0))

    def forward(self, a, b):
        return self.u(a).relu() @ self.v(b).relu().T / self.t


def test_two_towers_trade_a_factor_for_each_unit_and_nothing_else():
    module = double(Towers())
    dice = generator()
    a, b = (torch.randn(6, n, generator=dice, dtype=torch.float64) for n in (4, 5))
    found = find_symmetries(module, (a, b))
    assert found.dim == 4  # one a unit, and one through the temperature
    assert sorted(s.units for s in found.found) == [1, 3]
    units = next(s for s in found.found if s.units == 3)
    assert {units.up, *units.downs} == {"u", "v"}
    twin = rescale(module, {units: 2.0}, (a, b))
    assert torch.equal(twin[f"{units.up}.weight"], 2 * module.get_submodule(units.up).weight)


# A module that is another one at each call has no symmetries to be found.


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down, self.state = nn.Linear(4, 6), nn.Linear(6, 2), 0.0

    def forward(self, x):
        out = self.down(torch.relu(self.up(x))) + self.state
        self.state = out.detach().mean()
        return out


def test_a_module_that_remembers_is_refused_as_such():
    with pytest.raises(ValueError, match="same function at every call, got .* between calls.$"):
        find_symmetries(Remembers(), torch.randn(5, 4, generator=generator()))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_input_that_is_not_finite_is_refused(value):
    x = torch.ones(3, 4)
    x[0, 0] = value
    with pytest.raises(ValueError, match="needs numbers in x, got NaN or infinity"):
        find_symmetries(between(torch.relu), x)


@pytest.mark.parametrize("amounts", [2.0, ["up"]])
def test_amounts_without_names_are_refused(amounts):
    with pytest.raises(ValueError, match="needs a dict from layers to factors, got"):
        rescale(between(torch.relu, (4, 6, 3)), amounts, torch.ones(3, 4))


class Entwined(nn.Module):
    """The last numbers of one parameter are the first of the other."""

    def __init__(self):
        super().__init__()
        memory = torch.randn(32, generator=generator(), dtype=torch.float64)
        self.a = nn.Parameter(memory[:24].view(6, 4))
        self.b = nn.Parameter(memory[20:].view(2, 6))

    def forward(self, x):
        return torch.relu(x @ self.a.T) @ self.b.T


def test_parameters_that_share_memory_in_part_are_refused_as_such():
    found = find_symmetries(Entwined(), torch.randn(5, 4, generator=generator()).double())
    assert found.dim == 0
    assert {r.up: r.reason for r in found.refused}["a"].startswith("it shares its memory with")
