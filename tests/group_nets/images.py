"""Convolutional nets, and every normalization in both modes."""

import torch
from torch import nn
from torch.nn import functional as F

from group_nets.registry import Net, linear, net, weight

# ---- convolutional


def features(*steps, width, out=2):
    return nn.Sequential(*steps, nn.Flatten(), nn.Linear(width, out))


@net((2, 1, 6, 6))
def lenet_with_view():
    def run(m, x):
        x = F.max_pool2d(F.relu(m.a(x)), 2)
        x = F.relu(m.b(x))
        return m.d(F.relu(m.c(x.view(x.size(0), -1))))

    parts = dict(a=nn.Conv2d(1, 2, 3), b=nn.Conv2d(2, 3, 1), c=nn.Linear(12, 3))
    return Net(run, **parts, d=nn.Linear(3, 2))


@net((2, 1, 5, 5))
def reshape_by_shape():
    run = lambda m, x: m.b(torch.relu(m.a(x)).reshape(x.shape[0], -1))  # noqa: E731
    return Net(run, a=nn.Conv2d(1, 2, 3), b=nn.Linear(18, 2))


@net((2, 2, 4, 4))
def flatten_from_two():
    """The layer after it reads places: only one factor for all channels could be undone."""
    return nn.Sequential(
        *(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Flatten(2), nn.Linear(16, 2, bias=False))
    )


@net((2, 2, 4, 4))
def linear_on_the_width():
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


@net((2, 5, 5))
def tokens_as_channels():
    run = lambda m, x: m.b(torch.relu(m.a(x)))  # noqa: E731
    return Net(run, a=nn.Linear(5, 5), b=nn.Conv1d(5, 2, 1))


@net((2, 2, 5, 5))
def groups():
    steps = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 2, groups=2), nn.AvgPool2d(2)
    return features(*steps, width=4)


@net((2, 2, 4, 4))
def depthwise_separable():
    steps = nn.Conv2d(2, 2, 3, groups=2, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 1), nn.ReLU()
    return features(*steps, nn.AdaptiveAvgPool2d(1), width=3)


@net((2, 2, 3, 3))
def transposed():
    steps = nn.ConvTranspose2d(2, 3, 2, stride=2), nn.ReLU()
    return nn.Sequential(*steps, nn.ConvTranspose2d(3, 2, 2), nn.ReLU(), nn.Conv2d(2, 1, 3))


@net((2, 2, 4, 4))
def transposed_in_groups():
    return nn.Sequential(
        nn.ConvTranspose2d(2, 4, 2, groups=2), nn.ReLU(), nn.Conv2d(4, 2, 2, groups=2)
    )


@net((2, 2, 6))
def one_dimension():
    steps = nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(3, 2, 2)
    return nn.Sequential(*steps)


@net((2, 1, 4, 4, 4))
def three_dimensions():
    steps = nn.Conv3d(1, 3, 2), nn.ReLU(), nn.MaxPool3d(3), nn.Flatten(), nn.Linear(3, 2)
    return nn.Sequential(*steps)


@net((2, 2, 4, 4))
def fire():
    def run(m, x):
        x = torch.relu(m.squeeze(x))
        x = torch.cat([torch.relu(m.one(x)), torch.relu(m.three(x))], dim=1)
        return m.head(x).mean((2, 3))

    parts = dict(one=nn.Conv2d(2, 2, 1), three=nn.Conv2d(2, 2, 3, padding=1))
    return Net(run, squeeze=nn.Conv2d(2, 2, 1), **parts, head=nn.Conv2d(4, 2, 1))


@net((2, 2, 4, 4))
def dense_block():
    def run(m, x):
        h = [x]
        for layer, norm in zip(m.layers, m.norms):
            h.append(layer(torch.relu(norm(torch.cat(h, dim=1)))))
        return m.head(torch.cat(h, dim=1).mean((2, 3)))

    layers = nn.ModuleList([nn.Conv2d(2, 2, 1), nn.Conv2d(4, 2, 3, padding=1)])
    norms = nn.ModuleList([nn.BatchNorm2d(2), nn.BatchNorm2d(4)])
    return Net(run, layers=layers, norms=norms, head=nn.Linear(6, 2))


@net((2, 2, 4, 4))
def up_and_down_again():
    """A small U-Net: the skip is laid beside what comes up."""

    def run(m, x):
        a = torch.relu(m.a(x))
        b = F.interpolate(torch.relu(m.b(F.avg_pool2d(a, 2))), scale_factor=2, mode="bilinear")
        return m.head(torch.cat([a, b], dim=1))

    return Net(run, a=nn.Conv2d(2, 2, 1), b=nn.Conv2d(2, 2, 1), head=nn.Conv2d(4, 1, 1))


@net((2, 1, 3, 3))
def pixel_shuffle():
    return nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.PixelShuffle(2), nn.Conv2d(1, 2, 3))


@net((2, 1, 4, 4))
def padded_by_reflection():
    conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), conv)


@net((2, 1, 4, 4))
def padded_by_ones():
    """What stands around the image has no factor, so the channels can have none."""
    run = lambda m, x: m.b(F.pad(torch.relu(m.a(x)), (1, 1, 1, 1), value=1.0))  # noqa: E731
    return Net(run, a=nn.Conv2d(1, 2, 1), b=nn.Conv2d(2, 2, 3))


@net((2, 3, 4, 4))
def squeeze_and_excitation():
    def run(m, x):
        x = torch.relu(m.a(x))
        s = torch.sigmoid(m.d(torch.relu(m.c(x.mean((2, 3))))))
        return m.b((x * s[:, :, None, None]).mean((2, 3)))

    return Net(run, a=nn.Conv2d(3, 4, 1), c=nn.Linear(4, 2), d=nn.Linear(2, 4), b=nn.Linear(4, 2))


@net((2, 2, 4, 4))
def residual_block():
    def run(m, x):
        h = torch.relu(m.norm_a(m.a(x)))
        x = torch.relu(m.norm_b(m.b(h)) + m.norm_d(m.down(x)))
        return m.head(x.mean((2, 3)))

    norms = {f"norm_{k}": nn.BatchNorm2d(3) for k in "abd"}
    convolutions = dict(a=nn.Conv2d(2, 3, 2, bias=False), b=nn.Conv2d(3, 3, 1, bias=False))
    down = nn.Conv2d(2, 3, 2, bias=False)
    return Net(run, **convolutions, **norms, down=down, head=nn.Linear(3, 2))


@net((2, 1, 4, 4))
def patches():
    run = lambda m, x: m.b(torch.relu(m.a(F.unfold(x, 2, stride=2).transpose(1, 2))).mean(1))  # noqa: E731
    return Net(run, a=nn.Linear(4, 3), b=nn.Linear(3, 2))


@net((2, 2, 4, 4))
def shuffled_channels():
    steps = nn.Conv2d(2, 4, 1, groups=2), nn.ReLU(), nn.ChannelShuffle(2)
    return nn.Sequential(*steps, nn.Conv2d(4, 2, 2, groups=2))


@net((2, 2, 4, 4))
def channels_last():
    steps = nn.Conv2d(2, 3, 3, stride=2, padding="valid"), nn.ReLU(), nn.Conv2d(3, 2, 1)
    return nn.Sequential(*steps).to(memory_format=torch.channels_last)


@net((2, 4, 4))
def one_image_round_a_corner():
    conv = nn.Conv2d(3, 2, 3, padding="same", padding_mode="circular", dilation=2)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), conv)


# ---- normalization


def normed(norm, *, out=3):
    def run(m, x):
        return m.b(torch.relu(m.norm(m.a(x))).mean((2, 3)))

    return Net(run, a=nn.Conv2d(2, out, 1), norm=norm, b=nn.Linear(out, 2))


@net((4, 2, 3, 3))
def batch_norm():
    return normed(nn.BatchNorm2d(3, eps=1e-2))


@net((4, 2, 3, 3), training=True, dead=3, why="the mean takes the convolution's 3 biases off")
def batch_norm_in_training():
    return normed(nn.BatchNorm2d(3, eps=1e-2))


@net((4, 2, 3, 3), dead=3, why="the mean takes the convolution's 3 biases off")
def batch_norm_without_memory():
    return normed(nn.BatchNorm2d(3, eps=1e-2, track_running_stats=False))


@net((4, 3, 3))
def batch_norm_of_sequences():
    return Net(lambda m, x: m.b(torch.relu(m.a(x))), a=nn.BatchNorm1d(3), b=nn.Linear(3, 2))


@net((4, 2, 3, 3))
def group_norm():
    return normed(nn.GroupNorm(2, 4, eps=1e-2), out=4)


@net((4, 2, 3, 3), dead=3, why="the mean takes the convolution's 3 biases off")
def instance_norm():
    return normed(nn.InstanceNorm2d(3, eps=1e-2, affine=True))


@net((4, 2, 2, 2))
def image_layer_norm():
    run = lambda m, x: m.b(torch.relu(m.norm(x)))  # noqa: E731
    return Net(run, norm=nn.LayerNorm((2, 2, 2)), b=nn.Conv2d(2, 2, 1))


@net((4, 3))
def layer_norm():
    steps = nn.Linear(3, 4), nn.LayerNorm(4, eps=1e-2), nn.ReLU(), nn.Linear(4, 2)
    return nn.Sequential(*steps)


@net((4, 3))
def layer_norm_with_no_floor():
    steps = nn.Linear(3, 4), nn.LayerNorm(4, eps=0.0), nn.ReLU(), nn.Linear(4, 2)
    return nn.Sequential(*steps)


@net((4, 3))
def layer_norm_without_gain():
    norm = nn.LayerNorm(4, elementwise_affine=False)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), norm, nn.Linear(4, 2))


@net((4, 3))
def rms_norm():
    steps = nn.Linear(3, 4), nn.RMSNorm(4, eps=1e-2), nn.Linear(4, 3), nn.ReLU(), linear(3, 2)
    return nn.Sequential(*steps)


@net((4, 3))
def rms_norm_by_hand():
    def run(m, x):
        h = m.a(x)
        return m.b(m.gain * h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-2))

    return Net(run, a=nn.Linear(3, 4), gain=weight(4), b=nn.Linear(4, 2))


@net((2, 3, 4))
def norm_of_channels_by_hand():
    """ConvNeXt's norm along axis 1, written out."""

    def run(m, x):
        mean, spread = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        h = (x - mean) / torch.sqrt(spread + 1e-2)
        return m.b(torch.relu(m.gain[:, None] * h + m.shift[:, None]))

    return Net(run, gain=weight(3), shift=weight(3), b=nn.Conv1d(3, 2, 1))


@net((4, 3), training=True, dead=4, why="the mean takes the first layer's 4 biases off")
def batch_norm_then_dropout():
    steps = nn.Linear(3, 4), nn.BatchNorm1d(4, eps=1e-2), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*steps, nn.Linear(4, 2))
