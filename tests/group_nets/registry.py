"""What a net of this folder is, how it is registered, and what its parts share.

Nothing here knows how a rescaling is found. A net says what its inputs are, in which mode it runs,
how many entries of its parameters no output can feel (`dead`, with the reason), and, where the
group that is found may be smaller than the true one, why (`exception`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Spec:
    make: Callable[[], nn.Module]
    inputs: tuple | dict  # shapes; a `Tokens` for whole numbers; a dict for inputs by name
    training: bool = False
    dead: int = 0
    why: str = ""
    exception: str = ""


@dataclass(frozen=True)
class Tokens:
    vocabulary: int
    shape: tuple[int, ...]


NETS: dict[str, Spec] = {}


def net(*shapes, named=None, **more):
    """Register the function below as a net with these inputs: one tensor, a tuple, or a dict."""

    def register(make):
        name = make.__name__.replace("_", " ").strip()
        assert name not in NETS
        NETS[name] = Spec(make, shapes if named is None else named, **more)
        return make

    return register


def drawn(shape, generator):
    if isinstance(shape, Tokens):
        return torch.randint(shape.vocabulary, shape.shape, generator=generator)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def inputs(spec, generator):
    """Fresh inputs as a caller would pass them: a tensor, a tuple, or a dict."""
    if isinstance(spec.inputs, dict):
        return {name: drawn(shape, generator) for name, shape in spec.inputs.items()}
    xs = tuple(drawn(shape, generator) for shape in spec.inputs)
    return xs[0] if len(xs) == 1 else xs


class Net(nn.Module):
    """Parts by name, and a forward written as a function of them."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *xs, **named):
        return self.run(self, *xs, **named)


def weight(*shape):
    return nn.Parameter(torch.randn(shape))


def linear(fan_in, fan_out):
    return nn.Linear(fan_in, fan_out, bias=False)


def between(phi, widths=(3, 4, 2)):
    """Two layers with a step of one's own between them."""
    up, down = (nn.Linear(*pair) for pair in zip(widths, widths[1:], strict=False))
    return Net(lambda m, x: m.down(phi(m.up(x))), up=up, down=down)
