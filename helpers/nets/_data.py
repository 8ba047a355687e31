"""Small data sets with explicit splits and seeds: a teacher, two moons, digits, signals."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import train_test_split
from torch import Tensor

from helpers.nets._params import Net, Params, axes, weight_names


@dataclass(frozen=True)
class Data:
    """A training set and a test set."""

    X: Tensor  # (N, d) training inputs, one row an example; (N, C, H, W) from image files
    y: Tensor  # (N, out) real targets, or (N,) class numbers
    X_test: Tensor  # (N_test, d), or (N_test, C, H, W)
    y_test: Tensor  # (N_test, out) or (N_test,)
    name: str


def teacher_student(
    f: Net, params: Params, n: int, *, generator: torch.Generator, n_test: int = 200
) -> Data:
    """Return inputs x ~ N(0, I) with targets y = f(θ, x): θ itself is then an exact minimum.

    The student has the teacher's architecture, so L(θ) = 0 without any training: the hypotheses
    "critical point" and "minimum" of the paper's theorems hold to the last bit.

    Raises:
        ValueError: `n` is not positive, or `n_test` is negative.
    """
    if n < 1 or n_test < 0:
        got = f"{n} and {n_test}: a mean needs an example"
        raise ValueError(f"teacher_student needs n >= 1 and n_test >= 0, got {got}.")
    weight = weight_names(params)[0]
    first = params[weight]
    d = first.shape[axes(weight)[1]]
    X = torch.randn(
        n + n_test, d, generator=generator, dtype=first.dtype, device=generator.device
    ).to(first.device)
    y = f(params, X).detach()
    return Data(X[:n], y[:n], X[n:], y[n:], "teacher = student")


def two_moons(
    n: int = 400,
    *,
    noise: float = 0.15,
    test: int = 200,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Data:
    """Return two interleaved half circles in the plane: n points to train on, `test` to test."""
    X, y = make_moons(n + test, noise=noise, random_state=seed)
    return _split(X, y, test, seed, dtype, device, "two moons")


def digits(
    *,
    test: int = 360,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Data:
    """Return scikit-learn's 1,797 real 8×8 images of handwritten digits, grey levels in [0, 1].

    `test` images are held out, in the proportions of the ten classes.
    """
    X, y = load_digits(return_X_y=True)
    return _split(X / 16.0, y, test, seed, dtype, device, "digits")


def mnist1d(
    n: int = 4000,
    *,
    test: int = 1000,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Data:
    """Return MNIST-1D (Greydanus & Kobak 2024): n signals of 40 points in ten classes, X (n, 40).

    Each is one of ten short curves, stretched, shifted, sheared and put into noise, so a linear
    map does poorly on them. The authors' package makes them offline, 5,000 in about a second.
    All signals together have mean 0 and variance 1. The package's own seed is 42.

    Raises:
        ValueError: fewer than 10 signals in a part: each part has ten classes.
    """
    if min(n, test) < 10:
        raise ValueError(
            f"mnist1d needs n >= 10 and test >= 10, got {n} and {test}: there are ten classes."
        )
    X, y = _signals(-(-(n + test) // 10) * 10, seed)
    return _split(X, y, test, seed, dtype, device, "MNIST-1D", n)


def _signals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from mnist1d.data import get_dataset_args, make_dataset  # takes a second: only when asked for

    args = get_dataset_args()
    args.num_samples, args.train_split, args.seed = count, 1.0, seed
    states = random.getstate(), np.random.get_state()  # noqa: NPY002, the package sets the seeds
    try:
        made = make_dataset(args)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
    return made["x"], made["y"]


def _split(X, y, test, seed, dtype, device, name, train=None) -> Data:
    if not 0 < test < len(X):
        raise ValueError(
            f"{name} needs 0 < test < {len(X)}, got {test}: both parts need an example."
        )
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=test, train_size=train, random_state=seed, stratify=y
    )
    inputs = [torch.as_tensor(a, dtype=dtype, device=device) for a in (X, X_test)]
    labels = [torch.as_tensor(a, dtype=torch.int64, device=device) for a in (y, y_test)]
    return Data(inputs[0], labels[0], inputs[1], labels[1], name)
