"""Small nets of every family, with what their architectures ask of a search for rescalings."""

from group_nets import images, plain, sequences, styles  # each registers its nets
from group_nets.registry import NETS, Spec, inputs

__all__ = ["NETS", "Spec", "images", "inputs", "plain", "sequences", "styles"]
