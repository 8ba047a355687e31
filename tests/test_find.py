"""What a search says of a module: layers and reasons as known by hand, and its borders.

Oracle: pairs and reasons written down by hand, and the module itself, run with the rescaled
parameters. A layer that is refused is multiplied all the same, to see that the prediction changes.
That the group is whole is the subject of test_group.
"""

import re

import pytest
import torch
from group_nets.registry import between
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from helpers import alpha_scale, find_symmetries, flatten, random_twin, rescale, symmetry_scaling
from helpers.maps._group import Kind
from helpers.maps._words import BENT, words


class Encoder(nn.Module):
    """One block of a small transformer in plain layers."""

    def __init__(self, activation=F.relu):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(6, 6) for _ in range(4))
        self.up, self.down, self.norm = nn.Linear(6, 11), nn.Linear(11, 6), nn.LayerNorm(6)
        self.head, self.activation = nn.Linear(6, 3), activation

    def forward(self, x):
        attention = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 6**0.5, dim=-1)
        x = x + self.o(attention @ self.v(x))
        x = x + self.down(self.activation(self.up(self.norm(x))))
        return self.head(x.mean(1))


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        z = self.a(x)
        return self.c(torch.relu(self.b(torch.relu(z) + z)) + x)


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 6, 3, padding=1), nn.LeakyReLU(), nn.Dropout(0.5), nn.Flatten()),
        *(nn.Linear(96, 12), nn.GELU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)),
    )


def grouped():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 2),
    )  # fmt: skip


NETS = {
    "convolutional": (convolutional, (5, 1, 8, 8), {"1": 4, "4": 6, "10": 8}),
    "encoder": (Encoder, (5, 7, 6), {"q": 6, "v": 6, "norm": 6, "up": 11}),
    "skip": (Skip, (5, 4), {"a": 4}),
    "grouped": (grouped, (5, 1, 8, 8), {"0": 4, "2": 4}),
}


def built(name):
    torch.manual_seed(0)
    module, shape, units = NETS[name]
    return module().double().eval(), torch.randn(shape, dtype=torch.float64), units


def through(step):
    """Return two linear layers with a step of one's own between them, and an input."""
    torch.manual_seed(0)
    net = between(lambda h: step(net, h), (4, 6, 3)).double()
    return net, torch.randn(5, 4, dtype=torch.float64)


def refused(module, x):
    return {refusal.up: refusal.reason for refusal in find_symmetries(module, x).refused}


def off(module, params, x):
    return float((functional_call(module, params, (x,)) - module(x)).detach().abs().max())


@pytest.mark.parametrize("name", NETS)
def test_the_pairs_found_are_the_ones_known_by_hand(name):
    module, x, units = built(name)
    found = find_symmetries(module, x)
    assert {s.up: s.units for s in found.found} == units
    assert found.dim == sum(units.values())


@pytest.mark.parametrize("name", NETS)
def test_each_symmetry_keeps_the_function(name):
    module, x, units = built(name)
    for up, h in units.items():
        for c in (3.0, 0.25, torch.rand(h) + 0.3):
            twin = rescale(module, {up: c}, x)
            assert not torch.equal(flatten(twin), flatten(dict(module.named_parameters())))
            assert off(module, twin, x) < 1e-13


def test_a_factor_of_each_unit_multiplies_its_row():
    module, x, _ = built("convolutional")
    c = torch.rand(6, dtype=torch.float64) + 0.5
    S = symmetry_scaling(module, {"4": c}, x)
    assert torch.allclose(S["4.weight"], c[:, None, None, None].expand(6, 4, 3, 3), rtol=1e-14)
    assert torch.allclose(S["4.bias"], c, rtol=1e-14)
    flat = (1 / c).repeat_interleave(16).expand(12, 96)
    assert torch.allclose(S["8.weight"], flat, rtol=1e-14)
    assert all(bool((S[name] == 1).all()) for name in S if name[0] not in "48" or name == "8.bias")


@pytest.mark.parametrize(("up", "down"), [("4", "8"), ("10", "12")])
def test_a_chain_of_layers_is_rescaled_as_the_paper_does(up, down):
    module, x, _ = built("convolutional")
    params = {name: p.detach() for name, p in module.named_parameters()}
    theirs = alpha_scale(params, 3.7, up=f"{up}.weight", down=f"{down}.weight")
    ours = rescale(module, {up: 3.7}, x)
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-14, atol=0) for name in params)


INEXACT = "divides a factor out, but not exactly: its eps = 1e-05 is not multiplied"
NUMBER = "joins it with a number (such as an eps) that is not multiplied"
BRANCH = "joins it with a branch that is not multiplied"


@pytest.mark.parametrize(
    ("name", "up", "reason"),
    [
        ("convolutional", "0", "batch norm at 1 subtracts a stored mean"),
        ("convolutional", "8", "gelu at 9 bends a factor"),
        ("convolutional", "12", "its factor would reach the prediction"),
        ("encoder", "o", "add joins it with a branch"),
        ("encoder", "head", "its factor would reach the prediction"),
        ("skip", "b", "add joins it with a branch"),
    ],
)
def test_a_refusal_says_what_is_in_the_way_and_is_right(name, up, reason):
    module, x, _ = built(name)
    assert reason in refused(module, x)[up]
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    for key in (f"{up}.weight", f"{up}.bias"):
        params[key] = 3 * params[key]
    assert off(module, params, x) > 1e-3
    with pytest.raises(ValueError, match=f"rescale needs one of the layers .* got '{up}': "):
        rescale(module, {up: 2.0}, x)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda m, h: h + 1, f"add {NUMBER}"),
        (lambda m, h: h + torch.ones(6), f"add {NUMBER}"),
        (lambda m, h: 1 - h, f"rsub {NUMBER}"),
        (lambda m, h: h + (h > 0), f"add {BRANCH}"),
        (lambda m, h: h / (h.norm(dim=1, keepdim=True) + 1e-8), f"add {NUMBER}"),
        (lambda m, h: F.rms_norm(h, (6,), eps=1e-6), f"add {NUMBER}"),
        (lambda m, h: F.normalize(h), "clamp_min bounds it by a value that is not multiplied, as"),
        (lambda m, h: h.clamp_min(1), "clamp_min bounds it by a value that is not multiplied, as"),
        (lambda m, h: torch.softmax(h, 1), "softmax bends a factor"),
        (lambda m, h: F.scaled_dot_product_attention(h, h, h), "softmax bends a factor"),
        (lambda m, h: h.clamp(min=0.1), "clamp bends a factor"),
        (lambda m, h: h.sign() * h.cummin(1).values, "cummin has no rule here"),
        (lambda m, h: h * float(h.sum()), "local_scalar_dense has no rule here"),
        (lambda m, h: h - 1, f"sub {NUMBER}"),
        (lambda m, h: F.layer_norm(h, (6,)), f"layer norm {INEXACT}"),
        (lambda m, h: F.group_norm(h, 2), f"group norm {INEXACT}"),
        (lambda m, h: F.batch_norm(h, None, None, None, None, True), f"batch norm {INEXACT}"),
        (lambda m, h: F.instance_norm(h[None])[0], f"normalization {INEXACT}"),
        (lambda m, h: torch.where(h > 0.5, h, 0 * h), "gt ties it to a value that is not multi"),
    ],
)
def test_each_reason_is_that_of_the_step_in_the_way(step, reason):
    module, x = through(step)
    assert reason in refused(module, x)["up"]


BENDING = {  # by the name of torch's own step
    "softmax": lambda z: z.softmax(-1),
    "log_softmax": lambda z: z.log_softmax(-1),
    "log_sigmoid_forward": F.logsigmoid,
    "div": lambda z: torch.div(z, 2, rounding_mode="floor"),
    "clamp": lambda z: z.clamp(-1, 1),
    "clamp_max": lambda z: z.clamp_max(1),
    "pow": lambda z: z.pow(0.3),
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "elu": F.elu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": F.hardtanh,
    **{step: getattr(torch, step) for step in ("tanh", "sigmoid", "exp", "log", "erf")},
    **{step: getattr(torch, step) for step in ("sin", "cos")},
}


@pytest.mark.parametrize("name", sorted(BENT))
def test_a_step_that_bends_a_factor_bends_it_and_says_so(name):
    step, z = BENDING[name], torch.linspace(-3, 3, 6)
    assert not torch.allclose(step(2 * z), 2 * step(z), equal_nan=True)
    module, x = through(lambda _, h: step(h))
    assert refused(module, x)["up"] == f"{name} bends a factor: phi(cz) is not c phi(z)"


def test_the_reason_of_a_bias_is_that_of_the_sum_with_it():
    for module, x in ((nn.Linear(2, 2), torch.ones(3, 2)), (nn.Conv1d(1, 2, 2), torch.ones(1, 4))):
        said = refused(module, x)
        assert said["bias"] == said["weight"]
        assert said["bias"].startswith("its factor would reach the prediction")


class Shift(nn.Module):
    def forward(self, h):
        return h + 1


def test_a_reason_names_the_layer_in_which_the_step_stands():
    module = nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.ReLU(), Shift()), nn.Linear(6, 3))
    said = refused(module, torch.randn(5, 4))["0"]
    assert said == f"add at 1.1 {NUMBER}"


class Stream(nn.Module):
    """A residual stream with two branches, each of them behind a normalization of its own."""

    def __init__(self, norm):
        super().__init__()
        branch = lambda: nn.Sequential(norm(), nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 4))  # noqa: E731
        self.e, self.a, self.b, self.n, self.o = nn.Linear(3, 4), branch(), branch(), norm(), None

    def forward(self, x):
        h = self.e(x)
        h = h + self.a(h)
        h = h + self.b(h)
        return self.n(h)


@pytest.mark.parametrize("norm", [lambda: nn.LayerNorm(4), lambda: nn.RMSNorm(4, eps=1e-6)])
def test_a_reason_names_no_place_that_the_factor_does_not_reach(norm):
    said = refused(Stream(norm), torch.randn(2, 3))
    assert said["a.3"] == said["b.3"] == f"add {BRANCH}"
    assert " at a.0 " in said["e"]


def test_a_sum_over_layers_does_not_hand_on_what_was_asked_of_one_before():
    def run(m, x):
        a, b = m.up(x), m.other(x)
        return b.tanh(), torch.cat([a, b], 1).sum(1)

    module, x = through(torch.relu)
    module.other, module.forward = nn.Linear(4, 6).double(), lambda x: run(module, x)
    said = refused(module, x)
    assert said["other"].startswith("tanh bends a factor")
    assert said["up"] == "sum ties it to a value that is not multiplied"


def test_what_batch_norm_divides_out_in_training_mode():
    module, x, _ = built("convolutional")
    assert refused(module.train(), x)["0"] == f"batch norm at 1 {INEXACT}"


def test_an_instance_norm_is_not_called_a_batch_norm():
    norm = nn.InstanceNorm2d(2, track_running_stats=True)
    module, x = nn.Sequential(nn.Conv2d(1, 2, 3), norm, nn.ReLU()), torch.randn(2, 1, 5, 5)
    assert refused(module, x)["0"] == f"normalization at 1 {INEXACT}"
    assert refused(module.eval(), x)["0"].startswith("normalization at 1 subtracts a stored mean")


class Experts(nn.Module):
    """One expert for some rows and none for the others, written down in three ways."""

    def __init__(self, write):
        super().__init__()
        self.e, self.o, self.write = nn.Linear(3, 4), nn.Linear(4, 2), write

    def forward(self, x):
        out, rows = torch.zeros(len(x), 4, dtype=x.dtype), x[:, 0] > 0
        return self.o(self.write(out, rows, self.e(x[rows])))


def put(out, rows, z):
    out[rows] = z
    return out


def add_to(out, rows, z):
    out[rows] += z
    return out


@pytest.mark.parametrize(
    "write", [put, add_to, lambda out, rows, z: out.index_add(0, rows.nonzero()[:, 0], z)]
)
def test_an_expert_that_is_written_through_a_mask_is_rescalable(write):
    module = Experts(write).double()
    x = torch.tensor([[1.0, 2, 3], [-1, 2, 3], [2, 0, 1], [0.5, 1, -1]], dtype=torch.float64)
    (symmetry,) = find_symmetries(module, x).found
    assert (symmetry.up, symmetry.downs, symmetry.units) == ("e", ("o",), 4)
    assert off(module, rescale(module, {"e": torch.rand(4) + 0.5}, x), x) < 1e-13


def test_a_layer_that_is_only_divided_says_by_whose_factor():
    module, x, _ = built("encoder")
    assert refused(module, x)["k"] == "it is only divided, by the factor of q"


def test_what_nothing_reads_and_what_no_output_feels_is_refused():
    module, x = through(lambda m, h: torch.relu(h) + 0 * m.idle(h))
    module.idle, module.spare = nn.Linear(6, 6).double(), nn.Linear(2, 2).double()
    said = refused(module, x)
    assert said["spare"] == "not tried: nothing reads it on this x; other rows may"
    assert said["idle"] == UNTRIED


UNTRIED = "not tried: nothing on this x reaches the outputs through it; give more rows"


@pytest.mark.parametrize("seed", range(10))
def test_three_rows_will_do_where_only_the_sign_of_a_unit_is_read(seed):
    torch.manual_seed(seed)
    step = lambda z: z.sign()  # noqa: E731
    module, X = between(step, (3, 4, 2)), torch.randn(3, 3)
    module.up.bias = None
    found = find_symmetries(module, X)
    assert [(s.up, s.downs, s.units) for s in found.found] == [("up", (), 4)]


def test_what_was_not_tried_is_not_said_to_be_refused():
    module, x = through(lambda m, h: torch.relu(h) + 0 * m.idle(h))
    module.idle = nn.Linear(6, 6).double()
    lines = str(find_symmetries(module, x)).splitlines()
    assert f"idle: {UNTRIED}." in lines
    assert [line for line in lines if "not rescalable, not tried" in line] == []


def test_the_list_reads_as_sentences():
    module, x, _ = built("convolutional")
    lines = str(find_symmetries(module, x)).splitlines()
    assert lines[0] == "18 factors that change no prediction"
    assert lines[1] == (
        "1 ↔ 4: multiply 1.weight, 1.bias by c and divide 4.weight by c, "
        "with its own c for each of 4 units."
    )
    assert len(lines) == 7


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.c(torch.relu(self.a(x) + self.b(x)))


def test_layers_that_go_up_together_are_named_together_and_not_refused():
    found = find_symmetries(Sum(), torch.randn(5, 4))
    said, *refused = str(found).splitlines()[1:]
    assert said.startswith(
        "a, b ↔ c: multiply a.weight, a.bias, b.weight, b.bias by c and divide c.weight by c, "
    )
    assert [line.split(":")[0] for line in refused] == ["c"]


def test_a_trial_of_a_search_has_its_module_and_its_input():
    module, x, _ = built("convolutional")
    trial = find_symmetries(module, x)._trial(module, x)
    assert trial.module is module
    assert torch.equal(trial.x, x.double())


def test_random_factors_are_spread_evenly_in_their_logarithm():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 400), nn.ReLU(), nn.Linear(400, 1)).double()
    x, dice = torch.randn(5, 2).double(), torch.Generator().manual_seed(0)
    twin = random_twin(module, x, size=1.5, generator=dice)
    logs = (twin["0.bias"] / module[0].bias).log().detach()
    assert -1.5 < float(logs.min()) < -1.4 and 1.4 < float(logs.max()) < 1.5
    assert abs(float(logs.mean())) < 0.15


def test_what_is_found_is_shown_without_its_weights():
    module, x, _ = built("skip")
    assert "tensor" not in repr(find_symmetries(module, x))


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ([[1, 1, 1], [1, 1, 1]], "w"),
        ([[0, 0, 0], [1, 1, 1]], "w[1:2]"),
        ([[0, 1, 1], [0, 1, 1]], "w[:, 1:3]"),
        ([[1, 0, 1], [1, 0, 1]], "part of w"),
        ([1, 1, 0, 0], "w[0:2]"),
    ],
)
def test_rows_and_columns_are_named_where_not_all_are_moved(moved, said):
    logs = {"w": torch.tensor(moved, dtype=torch.float64)}
    assert words(Kind({"w": (1,)}, [0]), logs) == f"multiply {said} by c"
    down = words(Kind({"w": (-2,)}, [0, 1]), {"w": -logs["w"]})
    assert down == f"divide {said} by c^2, with its own c for each of 2 units"


def test_a_squared_rectifier_is_divided_by_the_square():
    module, x = through(lambda m, h: torch.relu(h) ** 2)
    (symmetry,) = find_symmetries(module, x).found
    assert "divide down.weight by c^2" in symmetry.words
    assert off(module, rescale(module, {"up": 3.0}, x), x) < 1e-13


# ---- its borders


@pytest.mark.parametrize(
    ("c", "got"),
    [
        *((-1.0, "-1.0"), (0.0, "0.0"), (float("inf"), "inf"), (float("nan"), "nan"), ("2", "'2'")),
        *((torch.ones(3), r"\[1.0, 1.0, 1.0\]"), (torch.ones(1, 4), r"\[\[1.0, .*\]\]")),
        *((None, "None"), ([1, 2, 3], r"\[1.0, 2.0, 3.0\]"), ([1, 2, 3, 0], r"\[1.0, .* 0.0\]")),
    ],
)
def test_bad_factors_are_one_sentence(c, got):
    module, x, _ = built("convolutional")
    found = find_symmetries(module, x)
    for up in ("1", found.found[0]):
        sentence = f"^rescaling '1' needs a finite factor > 0, or 4 of them, got {got}: each unit"
        with pytest.raises(ValueError, match=sentence):
            found.scaling({up: c})


def test_a_call_without_an_input_says_what_is_new():
    module, _, _ = built("skip")
    generator = torch.Generator()
    for call in (
        lambda: find_symmetries(module),
        lambda: rescale(module, {"a": 2.0}),
        lambda: symmetry_scaling(module, {"a": 2.0}),
        lambda: random_twin(module, size=1.0, generator=generator),
    ):
        with pytest.raises(ValueError, match=r"needs an input, as in find_symmetries\(module, x\)"):
            call()


def test_an_input_that_does_not_fit_is_one_sentence():
    module, _, _ = built("skip")
    with pytest.raises(
        ValueError, match="needs a module that runs on x .* got Skip: mat1 and mat2"
    ):
        find_symmetries(module, torch.ones(3, 5, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"got Sequential: index out of range in self\.$"):
        find_symmetries(nn.Sequential(nn.Embedding(5, 4)), torch.tensor([[1, 9]]))
    with pytest.raises(
        ValueError, match=r"got Linear: its output is a Tensor, which holds no number\.$"
    ):
        find_symmetries(nn.Linear(3, 2), torch.ones(0, 3))
    for x in (torch.tensor([[1.0, 2.0, torch.nan]]), (torch.tensor([[torch.nan, 1.0, 1.0]]),)):
        with pytest.raises(
            ValueError, match="^a search for symmetries needs numbers in x, got NaN"
        ):
            find_symmetries(nn.Linear(3, 2), x)
    with pytest.raises(ValueError, match="there is no such layer"):
        rescale(module, {"99": 2.0}, torch.ones(3, 4, dtype=torch.float64))


@pytest.mark.parametrize("thing", [torch.relu, [nn.Linear(3, 2)], None])
def test_what_is_no_module_is_one_sentence(thing):
    sort = type(thing).__name__
    for call in (find_symmetries, lambda m, x: rescale(m, {"0": 2.0}, x)):
        with pytest.raises(
            ValueError, match=rf"needs a torch module, got {sort}: only a module has"
        ):
            call(thing, torch.ones(2, 3))


def test_a_module_that_stops_without_a_word_is_one_sentence():
    def stops(m, h):
        raise AssertionError

    module, x = through(torch.relu)
    module.forward = lambda x: stops(module, x)
    with pytest.raises(ValueError, match="all dense, got Net: AssertionError.$"):
        find_symmetries(module, x)


def test_a_rule_that_has_its_own_sentence_comes_alone():
    wrapped = nn.DataParallel(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="^functional needs a module .* got DataParallel: [^:]+$"):
        find_symmetries(wrapped, torch.ones(2, 3))


def test_a_layer_that_is_tied_says_with_which():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.a = nn.Embedding(5, 4), nn.Linear(4, 4)
            self.head = nn.Linear(4, 5, bias=False)
            self.head.weight = self.table.weight

        def forward(self, i):
            return self.head(torch.tanh(self.a(self.table(i))))

    with pytest.raises(ValueError, match="got 'head': it shares its parameters with table.$"):
        rescale(Words(), {"head": 2.0}, torch.tensor([[1, 2, 3]]))


def test_complex_weights_are_rescaled_as_they_are_found():
    class Size(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.b = (nn.Parameter(torch.zeros(n, dtype=torch.cdouble)) for n in (12, 4))
            self.o = nn.Linear(4, 2).double()

        def forward(self, x):
            return self.o((x.to(self.w.dtype) @ self.w.view(3, 4) + self.b).abs())

    torch.manual_seed(0)
    module, x = Size(), torch.randn(5, 3, dtype=torch.float64)
    for p in (module.w, module.b):
        p.data = torch.randn_like(p)
    for twin in (
        rescale(module, {"w": 3.0}, x),
        random_twin(module, x, size=1.0, generator=torch.Generator().manual_seed(0)),
    ):
        assert twin["w"].dtype == torch.cdouble and not torch.isclose(twin["w"], module.w).any()
        assert off(module, twin, x) < 1e-13
    module.w.data[0] = complex(0, torch.nan)
    with pytest.raises(ValueError, match="rescale needs finite parameters, got 1 .* in w"):
        rescale(module, {"w": 3.0}, x)


@pytest.mark.parametrize(("c", "lost"), [(1e6, "infinite or 0"), (1e-6, "infinite or 0")])
def test_factors_that_the_dtype_cannot_hold_are_refused(c, lost):
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).half()
    with pytest.raises(ValueError, match=f"needs factors that torch.float16 can hold, .*{lost}"):
        rescale(module, {"0": c}, torch.randn(2, 3).half())


def test_single_precision_stays_single_and_keeps_the_function():
    module, x, _ = built("encoder")
    module, x = module.float(), x.float()
    twin = rescale(module, {"q": 4.0, "up": torch.rand(11) + 0.5}, x)
    assert {block.dtype for block in twin.values()} == {torch.float32}
    assert off(module, twin, x) < 1e-5


def test_inputs_may_be_a_tuple_or_a_dict():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 2)

        def forward(self, x, *, shift=None):
            return self.b(torch.relu(self.a(x if shift is None else x + shift)))

    x = torch.randn(3, 4)
    for given in (x, (x,), {"x": x}, {"x": x, "shift": x}):
        assert find_symmetries(Two(), given).dim == 5


def test_a_forward_that_reads_its_weights_unseen_is_found_out():
    """Numbers that leave torch carry no label, but the outputs move when they should not."""

    def step(module, h):
        return torch.relu(h) * float(sum(module.up.weight.detach().abs().sum(1).tolist()))

    module, x = through(step)
    assert "the outputs by" in refused(module, x)["up"]
    assert find_symmetries(module, x).dim == 0


@pytest.mark.parametrize(("unseen", "dim"), [(False, 6), (True, 0)])
def test_rounding_that_a_net_makes_large_is_no_wrong_factor_and_hides_none(unseen, dim):
    def chaos(module, h):
        """Each round doubles an error: rounding grows to 1e-7, a wrong factor to anything."""
        z = torch.sigmoid(module.down(torch.relu(h)))
        for _ in range(30):
            z = 4 * z * (1 - z)
        size = float(module.up.weight.detach().abs().sum(1).tolist()[0])
        return z * size if unseen else z

    module, x = through(chaos)
    module.forward = lambda x: chaos(module, module.up(x))
    assert find_symmetries(module, x).dim == dim


def test_what_is_written_to_memory_of_ones_own_keeps_its_factor():
    module, x = through(lambda m, h: torch.clamp_min(h, 0, out=torch.ones_like(h)))
    (symmetry,) = find_symmetries(module, x).found
    assert (symmetry.up, symmetry.downs, symmetry.units) == ("up", ("down",), 6)


def test_a_weight_that_is_also_kept_elsewhere_is_refused():
    module, x = through(lambda m, h: torch.relu(h) @ m.kept[0] @ m.kept[0].T)
    module.kept = [module.up.weight]
    assert "a way other" in refused(module, x)["up"]


def test_a_view_as_complex_numbers_is_not_multiplied():
    def step(module, h):
        return torch.view_as_real(torch.view_as_complex(h.reshape(5, 3, 2)) * 1j).reshape(5, 6)

    module, x = through(step)
    assert refused(module, x)["up"] == "view_as_complex has no rule here"
    assert find_symmetries(module, x).dim == 0


def test_numbers_that_are_written_to_in_halves_are_not_multiplied():
    def step(module, h):
        h = torch.relu(h)
        h.view(torch.int32)[:, ::2] = 0  # the last digits
        return h

    module, x = through(step)
    assert refused(module, x)["up"] == "view has no rule here"


def test_two_searches_are_equal_and_their_repr_shows_the_answers_alone():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(2, 3)
    found = find_symmetries(net, x)
    assert found == find_symmetries(net, x)
    assert not re.search(r"\b_(group|kinds|params|reasons)=", repr(found))


def test_a_parameter_s_name_stands_for_its_layer_where_it_is_multiplied():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(2, 3)
    by_layer, by_name = (rescale(net, {up: 2.0}, x) for up in ("0", "0.weight"))
    assert all(torch.equal(by_layer[name], by_name[name]) for name in by_layer)
    assert torch.equal(by_layer["0.weight"], 2 * net[0].weight)
