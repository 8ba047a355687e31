"""Many nets trained at once are each what they would be alone.

Oracle: torch's own SGD with momentum and weight decay on a single net, fed the same batches.
"""

import pytest
import torch
from random_nets import DEVICES, off

from helpers import cross_entropy, init_net, relu_net, train_many, two_moons

DATA = two_moons(60)
WIDTHS = [2, 7, 5, 2]


def train(lr, decay, *, seed=0, **options):
    options = {"batch": 16, "target": 0.3, "epochs": 60} | options
    dice = torch.Generator().manual_seed(seed)
    own = (torch.tensor(values, dtype=torch.float64) for values in (lr, decay))
    own = dict(zip(("lr", "decay"), own))
    return train_many(DATA.X, DATA.y, WIDTHS, **own, **options, generator=dice)


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_a_net_is_trained_as_by_torchs_own_sgd(decay):
    nets = train([0.05], [decay], target=0.3)
    dice = torch.Generator().manual_seed(0)
    alone = {k: w.clone().requires_grad_() for k, w in init_net(WIDTHS, generator=dice).items()}
    sgd = torch.optim.SGD([*alone.values()], lr=0.05, momentum=0.9, weight_decay=decay)
    whole = cross_entropy(relu_net, DATA.X, DATA.y)
    epochs = 0
    while epochs < 60 and whole(alone) >= 0.3:
        epochs += 1
        for rows in torch.rand(1, len(DATA.X), generator=dice).argsort(1)[0].split(16):
            sgd.zero_grad()
            cross_entropy(relu_net, DATA.X[rows], DATA.y[rows])(alone).backward()
            sgd.step()
    assert 1 < epochs < 60  # it stops on its way, where the other one does
    assert max(off(nets.params[k][0], w.detach()) for k, w in alone.items()) < 1e-12
    assert abs(float(nets.loss[0] - whole(alone).detach())) < 1e-12


def test_each_net_of_a_group_ends_below_the_target_or_says_that_it_did_not():
    nets = train([0.05, 1e-6, 0.1, 1e9], [0.0, 0.0, 1e-3, 0.0])
    whole = cross_entropy(relu_net, DATA.X, DATA.y)
    assert nets.loss.isfinite().tolist() == [True, False, True, False]
    for i in (0, 2):
        assert float(whole({k: w[i] for k, w in nets.params.items()})) == pytest.approx(
            float(nets.loss[i])
        )
        assert float(nets.loss[i]) < 0.3
    for i in (1, 3):  # one too slow, one that blew up
        assert all(torch.equal(nets.params[k][i], w[i]) for k, w in nets.start.items())
    assert not torch.equal(nets.start["theta1"][0], nets.start["theta1"][2])


def test_a_decay_is_missing_or_a_batch_too_large():
    for lr, decay, batch in (([0.1, 0.2], [0.0], 4), ([0.1], [0.0], 61), ([0.1], [0.0], 0)):
        with pytest.raises(ValueError, match="train_many needs a decay for each lr and a batch"):
            train(lr, decay, batch=batch)


@pytest.mark.parametrize("device", DEVICES)
def test_nets_are_trained_where_their_data_are(device):
    own = {"lr": torch.tensor([0.05, 0.1]).double(), "decay": torch.zeros(2).double()}
    options = {"batch": 16, "target": 0.3, "epochs": 60}
    found = []
    for place in ("cpu", device):
        there = {name: value.to(place) for name, value in own.items()}
        dice, data = torch.Generator().manual_seed(3), (DATA.X.to(place), DATA.y.to(place))
        found.append(train_many(*data, WIDTHS, **there, **options, generator=dice))
    here, there = found
    assert there.loss.device.type == there.params["theta1"].device.type == torch.device(device).type
    assert off(there.loss.cpu(), here.loss) < 1e-9


def test_step_sizes_take_the_precision_of_the_data():
    data = two_moons(40)
    lr = torch.tensor([0.1, 0.2], dtype=torch.float64)
    many = train_many(
        data.X.float(),
        data.y,
        [2, 4, 2],
        lr=lr,
        decay=0 * lr,
        batch=20,
        target=0.6,
        epochs=3,
        generator=torch.Generator().manual_seed(0),
    )
    assert {block.dtype for block in many.params.values()} == {torch.float32}
