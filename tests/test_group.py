"""The whole group of rescalings of a module: as large as it is, and each of its twins agrees.

Oracle: rows of J(θ)·diag(θ), each at a θ, an input and an output direction of its own, by plain
autograd. Log-factors u keep the function for every θ if and only if all rows are orthogonal to u;
entries of θ that no output feels are counted apart. It knows no rule, no layer and no name, and
no architecture: the nets of `group_nets` are only handed to it.
"""

import copy
from functools import cache

import pytest
import torch
from group_nets import NETS, inputs
from torch.func import functional_call

from benchmarks.architectures import LeftOut
from helpers import find_symmetries, random_twin, rescale, symmetry_scaling
from helpers.maps._rules import RULES
from helpers.maps._trial import Trial


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Nets of a dozen numbers: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


MOVING = {"running_mean", "running_var"}  # buffers that a random value does not turn into nonsense


def draw(like, generator):
    """Numbers of either sign, none near 0: no unit is dead, no floor is touched."""
    size = 0.3 + 1.2 * torch.rand(like.shape, generator=generator, dtype=torch.float64)
    return size * torch.randint(2, like.shape, generator=generator).mul(2).sub(1)


def built(name, seed=1):
    """A net with generic parameters and statistics: a fresh one has zeros, which hide a fault."""
    torch.manual_seed(0)
    module = NETS[name].make().double().train(NETS[name].training)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(draw(p, generator))
        for key, b in module.named_buffers():
            if key.rpartition(".")[2] in MOVING:
                b.copy_(draw(b, generator).abs())
    return module


def fresh(name, seed=2):
    return inputs(NETS[name], torch.Generator().manual_seed(seed))


@cache
def case(name):
    """A net, an input, and what was found: for tests that change none of them."""
    module, x = built(name), fresh(name)
    return module, x, find_symmetries(module, x)


def leaves(output):
    """Every tensor of numbers in an output, whatever box it comes in."""
    if isinstance(output, torch.Tensor):
        return [output] if output.is_floating_point() else []
    if isinstance(output, dict):
        output = list(output.values())
    boxes = output if isinstance(output, (list, tuple)) else []
    return [tensor for box in boxes for tensor in leaves(box)]


def run(module, params, x):
    """All outputs in one vector; the module, its buffers and the random state stay as they are."""
    args, named = ((), x) if isinstance(x, dict) else (x if isinstance(x, tuple) else (x,), {})
    buffers = {key: b.clone() for key, b in module.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        output = functional_call(module, {**params, **buffers}, args, named)
    return torch.cat([tensor.reshape(-1) for tensor in leaves(output)])


def values(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def off(a, b):
    return float((a - b).detach().abs().max() / b.detach().abs().max())


# ---- the oracle


def row(module, spec, generator):
    """One row of J(θ)·diag(θ): the gradient of a random output direction, times θ, of length 1."""
    theta = {name: draw(p, generator).requires_grad_() for name, p in module.named_parameters()}
    y = run(module, theta, inputs(spec, generator))
    direction = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    slopes = torch.autograd.grad(y @ direction, list(theta.values()), allow_unused=True)
    parts = [torch.zeros_like(t) if g is None else g * t for g, t in zip(slopes, theta.values())]
    whole = torch.cat([part.detach().reshape(-1) for part in parts])
    return whole / whole.norm().clamp_min(1e-300)


def by_oracle(module, spec):
    """The group's dimension on the entries that matter, and how many do not."""
    generator = torch.Generator().manual_seed(0)
    n = sum(p.numel() for p in module.parameters())
    rows = torch.stack([row(module, spec, generator) for _ in range(n + 10)])
    dead = rows.abs().amax(0) < 1e-12
    spectrum = torch.linalg.svdvals(rows[:, ~dead])
    null = spectrum < 1e-10 * spectrum[0]
    gap = spectrum[~null].min() / spectrum[null].max() if null.any() else 1 / spectrum[0]
    assert gap > 1e-2 if not null.any() else gap > 1e6, "the oracle itself is undecided"
    return int(null.sum()), int(dead.sum())


def test_there_are_nets_of_every_family():
    assert len(NETS) >= 140
    assert len({spec.make.__module__ for spec in NETS.values()}) == 4


def test_only_two_exceptions_are_known():
    assert [name for name, spec in NETS.items() if spec.exception] == [
        "normalized towers",
        "branch on the signal",
    ]


@pytest.mark.parametrize("name", NETS)
def test_the_group_is_as_large_as_the_oracle_says(name):
    module, _, found = case(name)
    true, dead = by_oracle(module, NETS[name])
    assert dead == NETS[name].dead, NETS[name].why
    if NETS[name].exception:
        assert found.dim < true
    else:
        assert found.dim == true


# ---- the function is kept, and the module is left alone


def seen(module):
    """Everything about a module that a look at it must not change."""
    hooks = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks"
    parts = [(name, m.training, m.__class__) for name, m in module.named_modules()]
    hung = [len(getattr(m, hook)) for m in module.modules() for hook in hooks]
    tensors = [*module.named_parameters(), *module.named_buffers()]
    held = [(name, t.detach().clone(), id(t), t.requires_grad, t.grad) for name, t in tensors]
    return parts, hung, held, torch.get_rng_state()


def surroundings():
    """What a tracer may be tempted to switch, for the whole process."""
    from torch.nn.modules import module as everywhere

    return (
        *(torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled),
        *(torch.is_grad_enabled(), torch.get_default_dtype()),
        *(torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled()),
        *(len(everywhere._global_forward_hooks), len(everywhere._global_forward_pre_hooks)),
    )


def same(a, b):
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("name", NETS)
def test_a_random_twin_predicts_the_same_and_the_module_is_left_as_it_was(name):
    module, x = built(name), fresh(name)
    before, outside = seen(module), surroundings()
    twin = random_twin(module, x, size=1.0, generator=torch.Generator().manual_seed(3))
    assert same(seen(module), before)
    assert surroundings() == outside
    theta = values(module)
    assert list(twin) == list(theta)
    moved = max(float((twin[key] / theta[key]).log().abs().max()) for key in theta)
    assert moved > 0.1 if case(name)[2].dim else moved == 0
    for other in (x, fresh(name, 7)):
        assert off(run(module, twin, other), run(module, theta, other)) < 1e-9


def random_amounts(found, seed=4):
    """A factor for each unit of each symmetry, within e of 1."""
    generator = torch.Generator().manual_seed(seed)
    log = lambda n: torch.rand(n, generator=generator, dtype=torch.float64) * 2 - 1  # noqa: E731
    return {symmetry: log(symmetry.units).exp() for symmetry in found.found}


@pytest.mark.parametrize("name", NETS)
def test_random_amounts_keep_the_function_and_half_of_them_do_not(name):
    module, x, found = case(name)
    theta, amounts = values(module), random_amounts(found)
    assert sum(symmetry.units for symmetry in found.found) == found.dim
    twin = rescale(module, amounts, x)
    for other in (x, fresh(name, 7)):
        assert off(run(module, twin, other), run(module, theta, other)) < 1e-9
    for symmetry, c in amounts.items():
        if symmetry.downs:
            half = found.scaling({symmetry: c.clamp_min(1.5)})
            assert moves(name, {key: block.clamp_min(1) for key, block in half.items()}) > 1e-3


def moves(name, S):
    """How far S moves the outputs, at the best of a few θ: at one of them a unit may be dead."""
    thetas = [values(built(name, seed)) for seed in range(1, 6)]
    module, x = case(name)[:2]
    twins = [{key: S[key] * p for key, p in theta.items()} for theta in thetas]
    return max(off(run(module, b, x), run(module, a, x)) for a, b in zip(thetas, twins))


def owners(module):
    """Every layer with parameters; a parametrized one counts as one, a bare parameter as itself."""
    for name, _ in module.named_parameters():
        layer, _, parametrized = name.partition(".parametrizations.")
        yield layer if parametrized else layer.rpartition(".")[0] or name


def ups(symmetry):
    return (symmetry.up,) if isinstance(symmetry.up, str) else symmetry.up


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_found_or_refused_exactly_once(name):
    module, _, found = case(name)
    multiplied = {up for symmetry in found.found for up in ups(symmetry)}
    refused = [refusal.up for refusal in found.refused]
    assert len(set(refused)) == len(refused)
    assert not multiplied & set(refused)
    assert multiplied | set(refused) == set(owners(module))
    assert all(refusal.reason.strip() for refusal in found.refused)


# ---- laws of a group


LAWS = [
    *("three layers", "squared relu", "gains along the way", "fire", "batch norm in training"),
    *("relu rnn", "rotary and grouped", "llama block", "weight norm on both", "vision transformer"),
]


def at(module, params):
    """A copy of the module with these parameters."""
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for name, p in copied.named_parameters():
            p.copy_(params[name])
    return copied


def near(a, b, tol=1e-12):
    return list(a) == list(b) and all(off(a[key], b[key]) < tol for key in a)


@pytest.mark.parametrize("name", LAWS)
def test_one_rescaling_after_another_is_their_product(name):
    module, x, found = case(name)
    a, b = random_amounts(found, 1), random_amounts(found, 2)
    both = rescale(module, {up: a[up] * b[up] for up in a}, x)
    assert near(rescale(at(module, rescale(module, a, x)), b, x), both)


@pytest.mark.parametrize("name", LAWS)
def test_amounts_of_one_are_the_identity(name):
    module, x, found = case(name)
    theta, ones = (
        values(module),
        {up: torch.ones_like(c) for up, c in random_amounts(found).items()},
    )
    for amounts in ({}, ones, dict.fromkeys(ones, 1.0)):
        twin = rescale(module, amounts, x)
        assert all(torch.equal(twin[key], theta[key]) for key in theta)


@pytest.mark.parametrize("name", LAWS)
def test_a_rescaling_is_its_scaling_times_the_parameters(name):
    module, x, found = case(name)
    theta, amounts = values(module), random_amounts(found)
    S = symmetry_scaling(module, amounts, x)
    assert near(rescale(module, amounts, x), {key: S[key] * theta[key] for key in theta}, 1e-14)


@pytest.mark.parametrize("name", [*LAWS, "packed attention", "normed queries and keys"])
def test_a_layers_name_means_all_that_it_multiplies(name):
    module, x, found = case(name)
    for up in {up for symmetry in found.found for up in ups(symmetry)}:
        its = [symmetry for symmetry in found.found if up in ups(symmetry)]
        each = torch.full((sum(symmetry.units for symmetry in its),), 1.7, dtype=torch.float64)
        one = rescale(module, {up: 1.7}, x)
        assert near(rescale(module, {up: each}, x), one, 1e-14)
        assert near(rescale(module, dict.fromkeys(its, 1.7), x), one, 1e-14)
        assert off(run(module, one, x), run(module, values(module), x)) < 1e-9


@pytest.mark.parametrize("name", LAWS)
def test_a_random_twin_depends_on_its_generator_alone(name):
    module, x, _ = case(name)
    twins = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(twins))
        generator = torch.Generator().manual_seed(seed)
        twins.append(random_twin(module, x, size=0.5, generator=generator))
    assert all(torch.equal(twins[0][key], twins[1][key]) for key in twins[0])
    assert any(off(twins[0][key], twins[2][key]) > 1e-2 for key in twins[0])


# ---- a fault of our own makes the group smaller, never wrong


def answer(name):
    """What is found now, how far its twin's predictions are off, and the refusals."""
    module, x = built(name), fresh(name)
    found = find_symmetries(module, x)
    twin = random_twin(module, x, size=1.0, generator=torch.Generator().manual_seed(3))
    other = fresh(name, 7)
    return found, off(run(module, twin, other), run(module, values(module), other))


def passes(s, x, *_, **__):
    return s[x]


def passes_first(s, x, *_, **__):
    return (s[x],)  # what comes out besides has no labels


BATCH_NORM = "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training"
WRONG = {
    "gelu": ("gelu", passes),
    "sine": ("sin", passes),
    "highway": ("sigmoid", passes),
    "rounded": ("div", passes),
    "number added": ("add", passes),
    "squared relu": ("mul", passes),
    "squared by power": ("pow", passes),
    "capped": ("hardtanh", passes),
    "sorted units": ("sort", passes_first),
    "layer norm": ("native_layer_norm", passes_first),
    "batch norm": (BATCH_NORM, passes_first),
    "scaled dot product attention": ("_safe_softmax", passes),
    "linear attention": ("bmm", lambda s, a, b: s[a][:, :, :1].expand(-1, -1, b.shape[2])),
    "into a buffer": ("mm", lambda s, a, b: s[a][:, :1].expand(-1, b.shape[1])),
    "padded by ones": ("constant_pad_nd", lambda s, x, *_: s[x][:, :, :1, :1]),
    "tied layers": ("addmm", lambda s, c, a, b, **_: s[c]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_caught(name, monkeypatch):
    ops, rule = WRONG[name]
    right = case(name)[2]
    for op in ops.split():  # torch's releases differ in which of them they call
        monkeypatch.setitem(RULES, op, rule)
    found, error = answer(name)
    assert found.refused != right.refused, "the wrong rule made no difference: it proves nothing"
    assert found.dim <= right.dim
    assert error < 1e-9


MISSING = {
    "three layers": ("relu", "leaky_relu", "addmm"),
    "lenet with view": ("convolution", "max_pool2d_with_indices"),
    "fire": ("cat", "relu"),
    "gains along the way": ("mul", "mm"),
    "llama block": ("bmm", "mul", "add"),
    "embedding": ("embedding",),
    "batch norm": (BATCH_NORM,),
    "layer norm": ("native_layer_norm",),
    "weight norm": ("_weight_norm_interface",),
}


@pytest.mark.parametrize(("name", "ops"), [(name, op) for name in MISSING for op in MISSING[name]])
def test_a_missing_rule_makes_the_group_smaller_never_wrong(name, ops, monkeypatch):
    right = case(name)[2]
    for op in ops.split():
        monkeypatch.delitem(RULES, op)
    found, error = answer(name)
    assert found.dim < right.dim
    assert error < 1e-9


@pytest.mark.parametrize("name", NETS)
def test_a_symmetry_that_forgets_one_layer_is_refused(name):
    module, x, found = case(name)
    for symmetry, kind in found._kinds.items():
        for down in symmetry.downs:
            faults = Trial(module, x).faults(LeftOut(found._group, kind, down), 1e-9)
            assert "would move the outputs" in faults[0]


def test_what_torch_does_not_see_is_caught(monkeypatch):
    """forward leaves torch for numpy: no operation says that the weight's size matters."""
    module, x = built("without biases"), fresh("without biases")
    forward = module.forward
    module.forward = lambda x: forward(x) * float(abs(module[0].weight.detach().numpy()).sum())
    assert find_symmetries(module, x).dim == 0
