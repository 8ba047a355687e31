"""What a positive factor c passes through on its way forward: φ(cz) = cφ(z), and what stops it."""

from __future__ import annotations

import operator

import torch
from torch import fx, nn
from torch.nn import functional as F

from helpers.nets._nets import PASSING

FORMS = {form for forms in PASSING.values() for form in forms}
RECTIFIERS = tuple(form for form in FORMS if isinstance(form, type))
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d)
POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
)
SHAPES = (nn.Flatten, nn.Unflatten)
FUNCTIONS = {
    *(form for form in FORMS if not isinstance(form, (str, type))),
    *(F.dropout, F.max_pool1d, F.max_pool2d, F.avg_pool1d, F.avg_pool2d, torch.avg_pool1d),
    *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, torch.flatten, torch.reshape, torch.mean),
    *(torch.transpose, torch.permute, torch.sum, torch.amax, torch.squeeze, torch.unsqueeze),
}
METHODS = {
    *(form for form in FORMS if isinstance(form, str)),
    *("flatten", "view", "reshape", "contiguous", "transpose", "permute", "squeeze"),
    *("unsqueeze", "mean", "sum", "amax"),
}
ELEMENTWISE = {*FORMS - {F.prelu}, F.dropout, "contiguous"}  # prelu has a slope a unit
SPATIAL = {F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.max_pool1d, F.avg_pool1d}
BILINEAR = {torch.matmul, torch.bmm, operator.matmul, operator.mul, torch.mul, "matmul", "bmm"}
SCALARS = {operator.mul, operator.truediv, torch.mul, torch.div, "mul", "div"}
SUMS = {operator.add, operator.sub, torch.add, torch.sub, torch.cat, "add", "sub"}


def lets_through(node: fx.Node, layer: nn.Module | None, carried: int) -> bool:
    """Return whether φ(cz) = cφ(z) for this step, of whose inputs `carried` are multiplied by c."""
    if layer is not None:
        return isinstance(layer, (*RECTIFIERS, *DROPOUTS, *POOLS, *SHAPES))
    if len(node.all_input_nodes) == 1:
        return node.target in FUNCTIONS | METHODS or _by_a_number(node)
    if node.target in SUMS:
        return carried == len(_terms(node)) and all(isinstance(t, fx.Node) for t in _terms(node))
    return node.target in BILINEAR and carried == 1


def _by_a_number(node: fx.Node) -> bool:
    """Return whether the step is z · number or z / number (number / z divides c instead)."""
    first, *rest = node.args
    number = isinstance(first, fx.Node) and not any(isinstance(arg, fx.Node) for arg in rest)
    return node.target in SCALARS and number and not node.kwargs  # a rounded quotient is none


def _terms(node: fx.Node) -> tuple:
    return tuple(node.args[0]) if node.target is torch.cat else node.args


def mixes_units(node: fx.Node, layer: nn.Module | None, up: nn.Module) -> bool:
    """Return whether units could lose their own column: only a convolution's survive pooling."""
    spatial = (*POOLS, *SHAPES)
    if layer is not None:
        return isinstance(layer, spatial) and isinstance(up, (nn.Linear, nn.LayerNorm))
    if node.target in ELEMENTWISE | SUMS - {torch.cat} or _by_a_number(node):
        return False
    kept = node.target in SPATIAL or _flattens_all(node)
    return not kept or isinstance(up, (nn.Linear, nn.LayerNorm))


def _flattens_all(node: fx.Node) -> bool:
    return node.target in (torch.flatten, "flatten") and node.args[1:] in ((1,), (1, -1))


def name_of(node: fx.Node, layer: nn.Module | None) -> str:
    """Return what to call this step in a sentence."""
    if layer is not None:
        return type(layer).__name__
    return node.target if isinstance(node.target, str) else node.target.__name__


def why_not(node: fx.Node, layer: nn.Module | None, carried: int) -> str:
    """Return why a factor stops at this step of the graph."""
    if node.op == "output":
        return "its output is the prediction, which would be multiplied"
    if node.target in SUMS:
        return f"{name_of(node, layer)} joins it with a branch that is not multiplied"
    if node.target in BILINEAR and (carried > 1 or len(node.all_input_nodes) == 1):
        return f"{name_of(node, layer)} multiplies it with itself, which squares the factor"
    at = f"{name_of(node, layer)}" + (f" at {node.target}" if layer is not None else "")
    if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) and not layer.training:
        return f"{at} subtracts a stored mean, which is not multiplied"
    if isinstance(layer, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)):
        return f"{at} divides every factor out again, so nothing later can undo it"
    return f"phi(cz) = c phi(z) fails or is not known for {at}"
