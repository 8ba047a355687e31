"""Rescale a network without changing a prediction, and measure what that does to flatness.

This is the one front door: `from helpers import alpha_scale, spectral_norm, explore`. Behind it are
five wings, each importing only from those before it: `nets`, `maps`, `measures`, `sweep`; `live`
imports from none of them. `GROUPS` lists every public name in that order; `import helpers` alone
loads nothing.
"""

from importlib import import_module

GROUPS = {
    # weights as plain data, data sets, nets, losses, training
    "nets._params": (
        *("Params", "LossFn", "Net", "flatten", "unflatten", "sizes", "perturb"),
        *("weight_names", "bias_name"),
    ),
    "nets._data": ("Data", "teacher_student", "two_moons", "digits", "mnist1d"),
    "nets._files": ("mnist", "cifar10", "mnist_on_disk", "cifar10_on_disk"),
    "nets._nets": ("net", "relu_net", "init_net", "ACTIVATIONS", "is_positively_homogeneous"),
    "nets._called": (),
    "nets._modules": ("functional",),
    "nets._losses": ("squared_error", "cross_entropy", "accuracy", "predictions"),
    "nets._loader": ("LoaderLoss", "over_loader"),
    "nets._train": ("Trained", "descend", "bar"),
    "nets._many": ("Many", "train_many"),
    # maps that keep the function, and maps that change the coordinates
    "maps._symmetry": (
        *("alpha_scale", "scale_layers", "scale_units"),
        *("layer_scaling", "unit_scaling", "apply_scaling"),
    ),
    "maps._group": (),
    "maps._labels": (),
    "maps._rules": (),
    "maps._trial": (),
    "maps._words": (),
    "maps._find": (
        *("find_symmetries", "symmetry_scaling", "rescale", "random_twin"),
        *("Symmetries", "Symmetry", "Refusal"),
    ),
    "maps._reparam": (
        *("Bijection", "compose", "pull_back", "jacobian", "pulled_gradient", "pulled_hessian"),
        *("weight_norm", "scale_direction"),
    ),
    "maps._radial": ("psi", "radial_power", "radial_map"),
    "maps._inputs": ("with_inputs", "scale_inputs", "whiten_inputs", "warp_inputs"),
    # curvature, the measures of flatness, and those made so that rescaling does not change them
    "measures._lanczos": ("Eigen", "lanczos"),
    "measures._workers": (),
    "measures._graph": (),
    "measures._derivatives": (),
    "measures._products": ("gradient", "hvp", "hessian_operator", "dense_hessian"),
    "measures._each": (),
    "measures._curvature": ("top_eigenvalues", "spectral_norm", "trace", "Estimate"),
    "measures._gauss_newton": ("layer_traces", "gauss_newton_operator"),
    "measures._spectrum": ("Density", "spectral_density", "trace_plus"),
    "measures._flatness": ("Sharpness", "eps_sharpness", "predicted_eps_sharpness"),
    "measures._description": ("hs_description_length", "hs_box"),
    "measures._volume": ("Volume", "volume_flatness", "visible_volume", "disjoint_alpha"),
    "measures._keskar": ("BoxSharpness", "keskar_sharpness", "box_half_sides"),
    "measures._entropy": ("LocalEntropy", "local_entropy", "quadratic_local_entropy"),
    "measures._invariant": (
        *("scaled_spectral_norm", "rangamani_sharpness", "adaptive_sharpness", "adaptive_step"),
        *("relative_flatness", "fisher_rao_norm", "path_norm"),
    ),
    # many rescalings at once, from one Hessian
    "sweep._orbit": (),
    "sweep._reduced_basis": (),
    "sweep._greedy": (),
    "sweep._sweep": ("Sweep", "curvature_sweep", "spectrum_sweep"),
    "sweep._asked": (),
    "sweep._audit": (),
    # figures, knobs, exercises, in every host; no torch from here on
    "live._settings": (),
    "live._numbers": ("number", "power_of_ten", "log_axes", "log_ticks"),
    "live._figures": (
        *("panels", "label", "mark", "contours", "digit_images"),
        *("THETA", "TWIN", "ORBIT", "ACCENT", "INK", "FAINT", "PALETTE"),
        *("THETA_MARK", "TWIN_MARK"),
    ),
    "live._letters": (),
    "live._knobs": ("log_knob", "linear_knob", "choice"),
    "live._axis_memo": (),
    "live._snapshot": (),
    "live._svg_frames": (),
    "live._record": (),
    "live._pictures": (),
    "live._host_site": (),
    "live._veil": (),
    "live._host_kernel": (),
    "live._explore": ("explore", "still", "say"),
    "live._audit_panels": (),
    "live._wording": (),
    "live._answers": (),
    "live._exercise_faults": (),
    "live._exercises": ("Exercise", "exercise", "seal", "unseal"),
    # the front door itself, where what computes meets what draws
    "_audit": ("audit", "Report"),
    "__main__": (),
}
_HOME = {name: module for module, names in GROUPS.items() for name in names}
__all__ = ["GROUPS", *_HOME]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f"helpers.{_HOME[name]}"), name)
    raise AttributeError(f"helpers has no {name!r}: it has {', '.join(_HOME)}.")


def __dir__():
    return sorted([*globals(), *_HOME])
