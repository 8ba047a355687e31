"""The nets and data that every contender gets, and the true answers."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from helpers import alpha_scale, cross_entropy, digits, functional, relu_net, top_eigenvalues

CRITERION = nn.CrossEntropyLoss()
ERROR = 1e-3  # the relative error that an answer may have
SETTINGS = {
    "mlp 1k": [64, 16, 10],
    "mlp 9k": [64, 64, 64, 10],
    "mlp 300k": [64, 512, 512, 10],
    "mlp 10M": [64, 3000, 3000, 265, 10],  # for a GPU
}


@dataclass
class Problem:
    name: str
    module: nn.Module
    X: torch.Tensor
    y: torch.Tensor

    @cached_property
    def params(self):
        return functional(self.module)[1]

    @cached_property
    def loss(self):
        return cross_entropy(functional(self.module)[0], self.X, self.y)

    @cached_property
    def weights(self):
        return [name for name, block in self.params.items() if block.ndim > 1]

    @property
    def ends(self):
        """The first and the last weight: what a sweep rescales."""
        return self.weights[0], self.weights[-1]

    @property
    def size(self):
        return sum(block.numel() for block in self.params.values())

    def as_rows(self):
        """The same net in the book's letters (row vectors), for the closed form of the trace."""
        blocks = self.params.values()
        params = {f"theta{k}": block.T.contiguous() for k, block in enumerate(blocks, 1)}
        return cross_entropy(relu_net, self.X, self.y), params

    def twin(self, alpha):
        """The same net, rescaled: for contenders that start again at each α."""
        up, down = self.ends
        moved = alpha_scale(self.params, alpha, up=up, down=down)
        return Problem(self.name, _with(self.module, moved), self.X, self.y)

    def top(self, k=1, tol=1e-6):
        """The true k largest eigenvalues: Lanczos in float64, to a residual of `tol`."""
        params = {name: block.double() for name, block in self.params.items()}
        loss = cross_entropy(functional(self.module)[0], self.X.double(), self.y)
        eigen = top_eigenvalues(loss, params, k=k, tol=tol, max_products=400)
        assert eigen.converged
        return eigen.values


def _with(module, params):
    import copy

    module = copy.deepcopy(module)
    for name, value in module.named_parameters():
        value.data.copy_(params[name])
    return module


def mlp(name):
    torch.manual_seed(0)
    layers = []
    for fan_in, fan_out in zip(SETTINGS[name], SETTINGS[name][1:], strict=False):
        layers += [nn.Linear(fan_in, fan_out, bias=False), nn.ReLU()]
    return _trained(name, nn.Sequential(*layers[:-1]), digits(dtype=torch.float32).X)


def cnn():
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)),
    )
    return _trained("small cnn", module, digits(dtype=torch.float32).X.reshape(-1, 1, 8, 8))


def _trained(name, module, X):
    """A few steps of training: curvature as a reader would measure it."""
    y = digits(dtype=torch.float32).y
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        CRITERION(module(X), y).backward()
        optimizer.step()
    return Problem(name, module.eval(), X, y)
