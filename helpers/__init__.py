"""Rescale a network without changing a prediction, and measure what that does to flatness.

Each module imports only from those before it in `GROUPS`. `from helpers import alpha_scale` and
`from helpers.symmetry import alpha_scale` are the same; `import helpers` alone loads nothing.
The function `explore` has its module's name, so it comes as `from helpers.explore import explore`.
"""

from importlib import import_module

GROUPS = {
    # weights as plain data
    "params": ("flatten", "unflatten", "sizes", "perturb", "weight_names"),
    "data": ("Data", "teacher_student", "two_moons", "digits", "mnist1d"),
    "files": ("mnist", "cifar10", "mnist_on_disk", "cifar10_on_disk"),
    "nets": ("net", "relu_net", "init_net", "functional", "is_positively_homogeneous"),
    # maps that keep the function
    "symmetry": (
        *("alpha_scale", "scale_layers", "scale_units"),
        *("layer_scaling", "unit_scaling", "apply_scaling"),
    ),
    "orbit": (),
    "lets_through": (),
    "find": ("find_symmetries", "symmetry_scaling", "rescale", "Symmetry"),
    # maps that change the coordinates
    "reparam": (
        *("Bijection", "compose", "pull_back", "jacobian", "pulled_gradient", "pulled_hessian"),
        *("weight_norm", "scale_direction"),
    ),
    "radial": ("radial_power", "radial_map"),
    "inputs": ("with_inputs", "scale_inputs", "whiten_inputs", "warp_inputs"),
    # a loss, and a minimum of it
    "losses": ("squared_error", "cross_entropy", "accuracy", "predictions"),
    "loader": ("LoaderLoss", "over_loader"),
    "train": ("Trained", "descend", "bar"),
    # measures of sharpness
    "lanczos": ("Eigen",),
    "reduced_basis": (),
    "greedy": (),
    "workers": (),
    "products": ("gradient", "hvp", "hessian_operator", "dense_hessian"),
    "curvature": ("top_eigenvalues", "spectral_norm", "trace", "Estimate"),
    "gauss_newton": ("layer_traces", "gauss_newton_operator"),
    "spectrum": ("Density", "spectral_density", "trace_plus"),
    "flatness": (
        *("Sharpness", "eps_sharpness", "predicted_eps_sharpness"),
        *("hs_description_length", "hs_box"),
    ),
    "volume": ("Volume", "volume_flatness", "visible_volume", "disjoint_alpha"),
    "keskar": ("BoxSharpness", "keskar_sharpness", "box_half_sides"),
    "entropy": ("LocalEntropy", "local_entropy", "quadratic_local_entropy"),
    # measures made so that rescaling does not change them
    "invariant": (
        *("scaled_spectral_norm", "rangamani_sharpness", "adaptive_sharpness", "adaptive_step"),
        *("relative_flatness", "fisher_rao_norm", "path_norm"),
    ),
    # many rescalings at once
    "sweep": ("Sweep", "curvature_sweep", "spectrum_sweep"),
    # pictures, still and live; no torch from here on
    "figures": ("panels", "label", "log_axes", "log_ticks", "contours", "digit_images", "number"),
    "knobs": ("log_knob", "linear_knob", "choice"),
    "svg_frames": (),
    "host_site": (),
    "host_kernel": (),
    "explore": ("still", "say"),
    "exercises": ("check",),
}
_HOME = {name: module for module, names in GROUPS.items() for name in names}
__all__ = ["GROUPS", *_HOME]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f"helpers.{_HOME[name]}"), name)
    raise AttributeError(f"helpers has no {name!r}: it has {', '.join(_HOME)}.")


def __dir__():
    return sorted([*globals(), *_HOME])
