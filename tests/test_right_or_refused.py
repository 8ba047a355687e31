"""Where a number could be silently wrong: it is right, or refused in one sentence.

Oracles: dense Hessians by `torch.autograd.functional`, twins of a module without the step in
question, and plain sums written down here.
"""

import copy
import threading
import time
from itertools import cycle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from helpers import (
    accuracy,
    adaptive_sharpness,
    alpha_scale,
    apply_scaling,
    audit,
    cross_entropy,
    curvature_sweep,
    dense_hessian,
    descend,
    disjoint_alpha,
    eps_sharpness,
    find_symmetries,
    fisher_rao_norm,
    flatten,
    functional,
    hs_description_length,
    hvp,
    init_net,
    keskar_sharpness,
    layer_scaling,
    local_entropy,
    over_loader,
    predictions,
    quadratic_local_entropy,
    relu_net,
    scale_direction,
    scale_units,
    scaled_spectral_norm,
    spectral_norm,
    spectrum_sweep,
    squared_error,
    teacher_student,
    top_eigenvalues,
    trace,
    unflatten,
    visible_volume,
    volume_flatness,
    weight_norm,
)
from helpers._audit import _loaded
from helpers.measures._lanczos import check_fine
from helpers.nets._called import entwined

NAN = float("nan")


@pytest.fixture
def dice():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def classes(dice):
    X = torch.randn(24, 4, generator=dice, dtype=torch.float64)
    return X, torch.randint(0, 3, (24,), generator=dice)


def small(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers).double()


def by_autograd(L, params):
    theta = flatten(params)
    return torch.autograd.functional.hessian(lambda t: L(unflatten(t, params)), theta)


# ---- the order of names, and every layer by its name -------------------------------------------


@pytest.mark.parametrize("name", ["theta1", "theta2", "theta3"])
def test_each_layer_of_a_square_net_can_have_weight_norm(name, dice):
    params = init_net([3, 3, 3, 3], generator=dice)
    data = teacher_student(relu_net, init_net([3, 3, 3, 3], generator=dice), 20, generator=dice)
    L = squared_error(relu_net, data.X, data.y)
    there, normed = weight_norm(L, params, name)
    assert float(there(normed)) == pytest.approx(float(L(params)), rel=1e-12)
    twin = scale_direction(normed, 3.0, name=name)
    assert float(there(twin)) == pytest.approx(float(L(params)), rel=1e-12)
    moved = [k for k in normed if not torch.equal(twin[k], normed[k])]
    assert moved == [f"{name}.v"]


@pytest.fixture
def curved(dice):
    params = init_net([4, 5, 3], generator=dice)
    data = teacher_student(relu_net, init_net([4, 5, 3], generator=dice), 30, generator=dice)
    return squared_error(relu_net, data.X, data.y), params


def test_a_scaling_is_read_by_its_names(curved):
    L, params = curved
    S = layer_scaling(params, {"theta1": 3.0, "theta2": 1 / 3})
    back = dict(reversed(S.items()))
    for turned in (S, back):
        s = flatten(S)
        top = float(torch.linalg.eigvalsh(s[:, None] * dense_hessian(L, params) * s).abs().max())
        assert scaled_spectral_norm(L, params, turned) == pytest.approx(top, rel=1e-5)
        there = torch.linalg.eigvalsh(dense_hessian(L, apply_scaling(params, S)))[-1]
        for values in (
            curvature_sweep(L, params, lambda _, S=turned: S, [1.0], tol=1e-8).values,
            spectrum_sweep(L, params, lambda _, S=turned: S, [1.0]),
        ):
            assert float(values[0, 0]) == pytest.approx(float(there), rel=1e-6)
        assert torch.allclose(apply_scaling(params, turned)["theta2"], params["theta2"] / 3)


def bad_scalings():
    first, number = {"theta1": torch.ones(4, 5)}, {"theta2": torch.ones(2)}
    turned = {"theta1": torch.ones(5, 4), "theta2": torch.ones(3, 5)}
    return {"nothing": {}, "one layer": first, "two numbers": first | number, "turned": turned}


@pytest.mark.parametrize("which", bad_scalings())
def test_a_scaling_of_another_shape_is_refused(curved, which):
    S = bad_scalings()[which]
    for use in (
        lambda L, params: apply_scaling(params, S),
        lambda L, params: scaled_spectral_norm(L, params, S),
        lambda L, params: curvature_sweep(L, params, lambda _: S, [1.0]),
        lambda L, params: spectrum_sweep(L, params, lambda _: S, [1.0]),
    ):
        with pytest.raises(ValueError, match="needs (a number for each entry|at least one block)"):
            use(*curved)


def test_exponents_that_would_change_the_output_are_named(curved):
    with pytest.raises(ValueError, match="needs exponents that add up to 0, got .'theta1': 1"):
        curvature_sweep(*curved, {"theta1": 1}, [2.0])


def test_traces_that_do_not_fit_are_refused(curved):
    with pytest.raises(ValueError, match="block_traces needs one trace for each of theta1, theta2"):
        curvature_sweep(*curved, {"theta1": 1, "theta2": -1}, [2.0], block_traces={})


def test_a_box_is_moved_along_the_layer_that_is_named():
    params = {"theta1": torch.tensor([[3.0]]), "theta2": torch.tensor([[5.0]])}
    assert disjoint_alpha(params, 1.0, up="theta2") == pytest.approx(2 * 6 / 4)
    assert disjoint_alpha(params, 1.0, up="theta1") == pytest.approx(2 * 4 / 2)


def test_units_need_an_activation_that_passes_factors_on(dice):
    params, c = init_net([4, 3, 2], generator=dice), torch.full((3,), 2.0).double()
    twin = scale_units(params, c, activation="leaky_relu")
    assert torch.equal(twin["theta1"], 2 * params["theta1"])
    with pytest.raises(ValueError, match="needs a positively homogeneous activation, got 'tanh'"):
        scale_units(params, c, activation="tanh")


# ---- derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("groups, affine", [(1, False), (2, True), (3, True)])
@pytest.mark.parametrize("rows", [2, 6])
def test_many_vectors_at_once_through_group_norm(groups, affine, rows, dice):
    module = small(nn.Linear(4, 6), nn.GroupNorm(groups, 6, affine=affine), nn.Linear(6, 2))
    f, params = functional(module)
    X = torch.randn(rows, 4, generator=dice, dtype=torch.float64)
    assert torch.allclose(f(params, X), module(X), atol=1e-12)
    L = squared_error(f, X, torch.randn(rows, 2, generator=dice, dtype=torch.float64))
    true = by_autograd(L, params)
    own = torch.autograd.functional.hessian(  # torch's own step, a vector at a time
        lambda t: (
            F.mse_loss(
                torch.func.functional_call(module, unflatten(t, params), X), L.y, reduction="sum"
            )
            / (2 * rows)
        ),
        flatten(params),
    )
    assert torch.allclose(true, own, atol=1e-10)
    assert torch.allclose(dense_hessian(L, params), own, atol=1e-10)
    assert trace(L, params).value == pytest.approx(float(own.trace()), rel=1e-9)


def test_group_norm_of_images_keeps_what_it_gives(dice):
    norm = nn.GroupNorm(2, 4)
    norm.weight.data, norm.bias.data = torch.rand(4, generator=dice), torch.rand(4, generator=dice)
    module = nn.Sequential(nn.Conv2d(1, 4, 2), norm, nn.Flatten())
    X = torch.randn(3, 1, 3, 3, generator=dice)
    f, params = functional(module)
    assert torch.allclose(f(params, X), module(X), atol=1e-5)


def test_one_value_in_each_group_is_refused_as_by_torch():
    module, x = nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(4, 4)), torch.randn(1, 4)
    f, params = functional(module)
    for run in (module, lambda x: f(params, x)):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            run(x)
    assert torch.allclose(f(params, x.expand(2, 4)), module(x.expand(2, 4)), atol=1e-4)


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 2).bfloat16()

    def forward(self, x):
        return self.conv(torch.group_norm(self.norm(x.bfloat16()), num_groups=2))


def test_group_norm_keeps_the_type_and_the_names_of_its_arguments(dice):
    module, x = Norms(), torch.randn(3, 4, 3, 3, generator=dice)
    f, params = functional(module)
    assert f(params, x).dtype == torch.bfloat16
    assert torch.allclose(f(params, x), module(x), atol=0.1)


class Kept(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.i, self.a, self.o, self.run = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3), run

    def forward(self, x):
        return self.o(self.run(lambda z: self.a(z).tanh(), self.i(x)))


def on_cpu(step, z):
    with torch.autograd.graph.save_on_cpu():
        return step(z)


PACKED = {
    "checkpoint": lambda step, z: checkpoint(step, z, use_reentrant=False),
    "reentrant": lambda step, z: checkpoint(step, z, use_reentrant=True),
    "first reentrant": lambda step, z: step(checkpoint(torch.sin, z.detach(), use_reentrant=True)),
    "save_on_cpu": on_cpu,
}


@pytest.mark.parametrize("use", [descend, spectral_norm, lambda L, p: keskar_sharpness(L, p, 0.1)])
@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_step_that_does_not_keep_what_its_slopes_need_is_refused(use, packed, classes):
    module = Kept(PACKED[packed]).double()
    f, params = functional(module)
    with torch.no_grad():
        assert f(params, classes[0]).shape == (24, 3)
    with pytest.raises(ValueError, match="slopes from one forward, got a gradient checkpoint, or"):
        use(cross_entropy(f, *classes), params)
    assert all(p.grad is None for p in module.parameters())
    x = torch.ones(2, requires_grad=True)
    assert checkpoint(torch.exp, x, use_reentrant=True).requires_grad  # all is as it was


@pytest.mark.parametrize("packed", ["checkpoint", "save_on_cpu"])
def test_what_goes_forward_again_around_the_module_is_right(packed, classes):
    X, y = classes
    f, params = functional(Kept(lambda step, z: step(z)).double())
    loss = lambda p: F.cross_entropy(f(p, X), y)  # noqa: E731
    again = lambda p: PACKED[packed](lambda _: loss(p), None)  # noqa: E731
    assert spectral_norm(again, params) == pytest.approx(spectral_norm(loss, params), rel=1e-6)


def test_a_good_loss_does_not_vouch_for_another(classes):
    X, y = classes
    f, params = functional(small(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))

    def focal(p, detached):
        ce = F.cross_entropy(f(p, X), y, reduction="none")
        w = (1 - (-ce).exp()) ** 2
        return ((w.detach() if detached else w) * ce).mean()

    spectral_norm(lambda p: F.cross_entropy(f(p, X), y), params)
    found = spectral_norm(lambda p: focal(p, False), params)
    true = torch.linalg.eigvalsh(by_autograd(lambda p: focal(p, False), params)).abs().max()
    assert found == pytest.approx(float(true), rel=1e-4)
    with pytest.raises(ValueError, match="needs derivatives that are those of L"):
        spectral_norm(lambda p: focal(p, True), params)


def test_a_step_that_is_detached_once_is_of_another_kind(classes):
    X, _ = classes
    f, params = functional(small(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))
    spectral_norm(lambda p: (f(p, X) - f(p, 2 * X)).square().mean(), params)
    with pytest.raises(ValueError, match="needs derivatives that are those of L"):
        spectral_norm(lambda p: (f(p, X) - f(p, 2 * X).detach()).square().mean(), params)


def test_a_direction_with_nan_is_named(curved):
    L, params = curved
    v = torch.full_like(flatten(params), NAN)
    with pytest.raises(ValueError, match="needs a finite v, got 35 NaN"):
        hvp(L, params, v)


# ---- few digits --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_eigenvalues_are_not_read_off_sixteen_bits(dtype, classes):
    X, y = classes
    f, params = functional(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to(dtype))
    L = cross_entropy(f, X.to(dtype), y)
    sweep = {"0.weight": 1, "2.weight": -1}
    for measure in (
        lambda: spectral_norm(L, params),
        lambda: top_eigenvalues(L, params, 2),
        lambda: adaptive_sharpness(L, params),
        lambda: curvature_sweep(L, params, sweep, [1.0]),
        lambda: spectrum_sweep(L, params, sweep, [1.0]),
        lambda: local_entropy(L, params, 1.0),
        lambda: quadratic_local_entropy(L, params, 1.0),
        lambda: eps_sharpness(L, params, 0.1),
        lambda: keskar_sharpness(L, params, 0.1),
    ):
        with pytest.raises(ValueError, match=f"needs? float32 or float64, got {dtype}"):
            measure()


def test_a_small_volume_is_not_lost_in_float32():
    def bowl(dtype):
        params = {"a": torch.zeros(50, dtype=dtype)}
        return visible_volume(lambda p: p["a"].square().sum(), params, 1.0, radius=0.1).value

    assert bowl(torch.float32) == pytest.approx(bowl(torch.float64), rel=1e-4)
    assert bowl(torch.float32) > 0


# ---- symmetries --------------------------------------------------------------------------------


def test_symmetries_are_found_in_inference_mode_too():
    module, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(2, 4)
    with torch.inference_mode():
        assert find_symmetries(module, x).dim == 5
        assert find_symmetries(module, torch.randn(2, 4)).dim == 5


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.k = nn.Linear(4, 3), None

    def forward(self, x):
        k = self.a(x)
        self.k = k if self.k is None else torch.cat([self.k, k])
        return k + self.k.mean(0)


def test_a_module_that_remembers_is_refused_even_without_factors():
    with pytest.raises(ValueError, match="it keeps something between calls"):
        find_symmetries(Remembers(), torch.randn(2, 4))


def test_memory_that_overlaps_is_seen_between_any_two():
    memory = torch.randn(64)
    module = nn.Module()
    module.a = nn.Parameter(memory[:64])
    module.b = nn.Parameter(memory[4:8])
    module.up = nn.Parameter(memory[16:32].reshape(4, 4))
    module.alone = nn.Parameter(torch.randn(3))
    assert entwined(module) == {"a", "b", "up"}
    assert entwined(nn.Linear(3, 3)) == set()


# ---- losses, loaders and what they are asked ---------------------------------------------------


def linear(dice):
    X, y = torch.randn(20, 4, generator=dice), torch.randint(0, 3, (20,), generator=dice)
    return functional(nn.Linear(4, 3))[0], TensorDataset(X, y)


def test_a_batch_sampler_that_drops_examples_is_refused(dice):
    f, data = linear(dice)
    batches = BatchSampler(SequentialSampler(data), 8, drop_last=True)
    with pytest.raises(ValueError, match="needs every example, got drop_last=True, .* out 4"):
        over_loader(f, DataLoader(data, batch_sampler=batches))
    with pytest.raises(ValueError, match="which leaves out 2"):
        over_loader(f, DataLoader(data, 4, sampler=range(10), drop_last=True))
    assert over_loader(f, DataLoader(data, 8, sampler=range(16), drop_last=True)).examples == 16


class Stream(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


class Sized(Stream):
    def __len__(self):
        return len(self.rows)


class Buckets(list):
    drop_last = True


def test_a_loader_of_ones_own_that_drops_examples_is_refused(dice):
    f, data = linear(dice)

    class Own:
        dataset, batch_size, drop_last = data, 8, True

        def __iter__(self):
            return iter([data[:8], data[8:16]])

    with pytest.raises(ValueError, match="drop_last=True, which leaves out 4"):
        over_loader(f, Own())
    Own.dataset = TensorDataset(*data[:16])
    assert over_loader(f, Own()).examples == 16


def test_what_is_left_out_is_counted_in_rows_that_are_asked_for(dice):
    f, data = linear(dice)
    twice = lambda rows: [torch.cat(2 * [t]) for t in default_collate(rows)]  # noqa: E731
    assert over_loader(f, DataLoader(data, 10, drop_last=True, collate_fn=twice)).examples == 40
    with pytest.raises(ValueError, match="which leaves out 4"):
        over_loader(f, DataLoader(data, 8, drop_last=True, collate_fn=twice))
    assert over_loader(f, DataLoader(Sized(list(data)), 10, drop_last=True)).examples == 20


@pytest.mark.parametrize("sort", ["endless", "a sampler", "batches"])
def test_a_length_that_is_not_known_is_not_guessed(sort, dice):
    f, data = linear(dice)
    loader = {
        "endless": lambda: DataLoader(Stream(cycle(data)), 8, drop_last=True),
        "a sampler": lambda: DataLoader(data, 8, sampler=Stream(range(20)), drop_last=True),
        "batches": lambda: DataLoader(data, batch_sampler=Buckets([[0, 1], [2, 3]])),
    }[sort]()
    with pytest.raises(ValueError, match="which leaves out perhaps some"):
        over_loader(f, loader)


def test_a_loss_that_is_no_number_is_refused():
    zero = {"a": torch.zeros(2, dtype=torch.float64)}
    nan = lambda p: p["a"].sum() * NAN  # noqa: E731
    with pytest.raises(ValueError, match="volume_flatness needs a finite loss at θ, got nan"):
        volume_flatness(nan, zero, 0.25, window=1.0)
    with pytest.raises(ValueError, match="visible_volume needs a finite loss at θ, got nan"):
        visible_volume(nan, zero, 0.25, radius=1.0)
    one = {"a": torch.ones(2, dtype=torch.float64)}
    with pytest.raises(ValueError, match="local_entropy needs a loss that is a number around θ"):
        local_entropy(lambda p: -p["a"].log().sum(), one, 1.0)
    with pytest.raises(ValueError, match="descend needs a finite loss, got nan: that is where it"):
        descend(nan, zero)
    with pytest.raises(ValueError, match="descend needs a finite loss, got -inf: that is where"):
        descend(lambda p: p["a"].sum() - float("inf"), zero)


@pytest.mark.parametrize(
    "made", [lambda L: float(L.detach()), lambda L: L.expand(2), lambda L: L.detach()]
)
def test_training_needs_a_loss_with_a_slope(made):
    one = {"a": torch.ones(2, dtype=torch.float64)}
    with pytest.raises(ValueError, match="descend needs a loss that (returns one|can be)"):
        descend(lambda p: made(p["a"].square().sum()), one)


def test_training_goes_on_in_inference_mode():
    one = {"a": torch.ones(2, dtype=torch.float64)}
    with torch.inference_mode():
        assert descend(lambda p: p["a"].square().sum(), one, progress=False).reached


def test_one_number_a_row_is_no_choice_of_a_class():
    y = torch.tensor([0, 1, 1])
    for shape in ((3, 1), (3, 2, 2), (3,)):
        with pytest.raises(ValueError, match="predictions needs a row of two numbers or more"):
            accuracy(lambda p, X, s=shape: torch.zeros(s), {}, None, y)
    assert predictions(lambda p, X: torch.eye(3), {}, None).tolist() == [0, 1, 2]


def test_a_box_belongs_to_one_row(dice):
    X = torch.randn(4, 1, 5, 5, generator=dice, dtype=torch.float64)
    y = torch.randn(4, 2, generator=dice, dtype=torch.float64)
    layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2)
    for module in (small(*layers), small(nn.Flatten(), nn.Linear(25, 3), nn.BatchNorm1d(3))):
        f, params = functional(module.train())
        L = squared_error(f, X, y if module[-1].__class__ is nn.Linear else torch.zeros(4, 3))
        with pytest.raises(ValueError, match="needs a net that takes each row by itself"):
            hs_description_length(L, params, 0.1)
        f, params = functional(copy.deepcopy(module).eval())
        assert hs_description_length(squared_error(f, X, L.y.double()), params, 0.1) > 0


def test_starts_come_in_any_box(curved):
    L, params = curved
    starts = torch.stack([0.1 * torch.ones(35).double(), torch.arange(35).double()])
    found = [eps_sharpness(L, params, 0.1, starts=s).value for s in (list(starts), starts)]
    assert found == 2 * [eps_sharpness(L, params, 0.1, starts=(s for s in starts)).value]
    assert found[0] > 0


def test_small_refusals(curved, dice):
    L, params = curved
    with pytest.raises(ValueError, match="needs n >= 1 and n_test >= 0, got 5 and -3"):
        teacher_student(relu_net, params, 5, n_test=-3, generator=dice)
    with pytest.raises(ValueError, match="trace needs a number of samples >= 2, got 2.5"):
        trace(L, params, samples=2.5)
    with pytest.raises(ValueError, match="eps_sharpness needs starts of shape .* got none"):
        eps_sharpness(L, params, 0.1, starts=[])
    with pytest.raises(ValueError, match="lanczos needs max_products >= 1, got 0"):
        top_eigenvalues(L, params, max_products=0)
    assert torch.equal(alpha_scale(params, 2.0)["theta1"], 2 * params["theta1"])


# ---- what a user hands over --------------------------------------------------------------------


class Locked(nn.Module):
    """A module that nobody can copy."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
        self.lock = threading.Lock()

    def forward(self, x):
        with self.lock:
            return self.net(x)


def test_a_module_that_cannot_be_copied_is_audited_to_the_end(classes):
    torch.manual_seed(0)
    module, (X, y) = Locked().double(), classes
    report = audit(module, (X, y), progress=False)
    before, twin = module(X).detach(), Locked().double()
    twin.load_state_dict(report.twins["sharper"])
    assert torch.allclose(twin(X), before, atol=1e-9)
    assert torch.equal(module(X), before)
    assert not torch.equal(twin.net[0].weight, module.net[0].weight)


def test_a_size_of_two_inputs_is_that_of_both_in_one(dice):
    f = lambda p, x: x["a"] @ p["w"] + x["b"]  # noqa: E731
    X = {name: torch.randn(7, 3, generator=dice).double() for name in "ab"}
    params = {"w": torch.randn(3, 3, generator=dice).double()}
    mean = (X["a"] @ params["w"]).square().sum(1).mean()  # ∂f/∂θ · θ, and b has no part in it
    assert fisher_rao_norm(f, params, X) == pytest.approx(float(mean), rel=1e-12)
    with pytest.raises(
        ValueError, match="the Jacobian needs a net that returns one tensor, got tu"
    ):
        fisher_rao_norm(lambda p, x: (x["a"] @ p["w"],), params, X)
    with pytest.raises(ValueError, match="that returns one tensor, got no numbers"):
        fisher_rao_norm(lambda p, x: x @ p["w"], params, X["a"][:0])


@pytest.mark.parametrize("made", [lambda L: float(L.detach()), lambda L: L.detach()])
def test_a_box_needs_a_loss_with_a_slope(made):
    one = {"a": torch.ones(2, dtype=torch.float64)}
    with pytest.raises(ValueError, match="keskar_sharpness needs a loss that"):
        keskar_sharpness(lambda p: torch.as_tensor(made(p["a"].square().sum())), one, 0.1)


def test_a_subspace_may_have_fewer_digits_than_the_weights(curved):
    L, params = curved
    A = torch.eye(len(flatten(params)))[:, :2]
    found = [keskar_sharpness(L, params, 0.1, subspace=of).value for of in (A, A.double())]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


class Covariance(nn.Module):
    """A module without factors that takes no random weights."""

    def __init__(self):
        super().__init__()
        self.loc, self.cov = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.eye(4))

    def forward(self, x):
        assert bool((x > 0).all())
        return torch.distributions.MultivariateNormal(self.loc, self.cov).log_prob(x)[:, None]


def test_without_factors_a_module_is_tried_with_its_own_weights():
    x = torch.ones(3, 4)
    assert find_symmetries(Covariance(), x).dim == 0
    x[0, 0] = -1
    with pytest.raises(ValueError, match="needs a module that runs on x"):
        find_symmetries(Covariance(), x)


def test_memory_of_many_parameters_is_compared_once_around():
    start = time.process_time()
    module = nn.ParameterList([nn.Parameter(torch.randn(2)) for _ in range(4000)])
    assert entwined(module) == set()
    assert time.process_time() - start < 1


def test_a_scaling_may_be_a_number_for_a_block_or_a_row_of_entries(curved):
    _, params = curved
    twin = {"theta1": 0.1 * params["theta1"], "theta2": 10 * params["theta2"]}
    rows = {name: (twin[name] / block).reshape(-1) for name, block in params.items()}
    for S in ({"theta1": 0.1, "theta2": torch.tensor(10)}, rows):
        found = apply_scaling(params, S)
        assert all(torch.allclose(found[name], twin[name], 1e-14, 0) for name in twin)
    for S in ([1.0], None, rows | {"theta1": "2"}, rows | {"theta1": params["theta1"].T}):
        with pytest.raises(ValueError, match="needs a number for each entry of theta1"):
            apply_scaling(params, S)
    many = {f"theta{k}": torch.ones(2) for k in range(99)}
    with pytest.raises(ValueError, match=r"entry of theta7 \(2,\), got theta7 \(3,\): each"):
        apply_scaling(many, many | {"theta7": torch.ones(3)})
    with pytest.raises(ValueError, match=r"entry of θ alone, got more float: each"):
        apply_scaling(many, many | {"more": 1.0})


class Renamed(nn.Module):
    """A module whose state has names of its own."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 3)

    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        return {name.replace("net.", "backbone."): t for name, t in state.items()}


def test_twins_have_the_names_of_a_state_that_renames():
    module = Renamed()
    there = {name: p.detach() + 1 for name, p in module.named_parameters()}
    state = _loaded(module, there)
    assert torch.equal(state["backbone.weight"], there["net.weight"])
    assert not torch.equal(module.net.weight, there["net.weight"])


def test_a_locked_module_in_half_precision_is_refused(classes):
    X, y = classes
    with pytest.raises(ValueError, match="needs a module in torch.bfloat16 that can be copied"):
        audit(Locked().bfloat16(), (X.float(), y), progress=False)


def test_a_first_row_with_a_small_output_has_a_box():
    shift = torch.tensor([[1e-6], [1.0]], dtype=torch.float32)

    def f(p, x):  # rows alone and in a batch differ by rounding
        return p["w"] * x + (1e-9 if len(x) > 1 else 0)

    L = squared_error(f, shift, torch.zeros(2, 1))
    assert hs_description_length(L, {"w": torch.ones(1)}, 1e-9) > 0
    L = squared_error(lambda p, x: p["w"] * (x - x.mean(0)), shift, torch.zeros(2, 1))
    with pytest.raises(ValueError, match="rows meet: each row has a box of its own"):
        hs_description_length(L, {"w": torch.ones(1)}, 0.1)


def test_a_volume_that_overflows_is_refused():
    L = lambda p: p["a"].square().sum()  # noqa: E731
    one = {"a": torch.zeros(200, dtype=torch.float64)}
    with pytest.raises(ValueError, match="needs a smaller radius, got 1000: R\\^n overflows"):
        visible_volume(L, one, 1e6, radius=1e3, samples=5)
    with pytest.raises(ValueError, match="visible_volume needs whole samples >= 2, got 2.5"):
        visible_volume(L, one, 1.0, radius=1.0, samples=2.5)


def test_exponents_that_add_up_in_double_precision():
    blocks = {f"theta{k}": torch.ones(2, 2, dtype=torch.float64) for k in (1, 2, 3)}
    L = squared_error(relu_net, torch.ones(3, 2).double(), torch.zeros(3, 2).double())
    e = {"theta1": 0.1, "theta2": 0.2, "theta3": -0.3}
    assert bool(curvature_sweep(L, blocks, e, [1.0, 2.0]).values.isfinite().all())


def test_half_precision_needs_data_in_float32_too():
    with pytest.raises(ValueError, match="make parameters and data float32 first"):
        check_fine(torch.ones(2, dtype=torch.bfloat16))


def test_accuracy_of_sequences_asks_for_a_row_for_each_step():
    """Which axis has the classes, (N, T, C) or (N, C, T), cannot be told where T = C."""
    outputs, y = torch.eye(3).expand(4, 3, 3), torch.arange(3).expand(4, 3)
    with pytest.raises(ValueError, match="let f return one row for each step"):
        accuracy(lambda p, X: outputs, {}, None, y)
    assert accuracy(lambda p, X: outputs.flatten(0, 1), {}, None, y.flatten()) == 1
