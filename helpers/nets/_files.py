"""MNIST and CIFAR-10 from the files that a reader has: whole in memory, or left on the disk."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset

from helpers.nets._data import Data

RECORD = 1 + 3 * 32 * 32  # bytes of one image of CIFAR-10: its label, then red, green, blue


@dataclass(frozen=True, eq=False)
class OnDisk(Dataset):
    """Images that stay in their file: item i is (x, y), x of shape (C, H, W) with values in [0, 1].

    A `DataLoader` reads them batch by batch, and `over_loader` takes the `DataLoader`.
    """

    images: np.ndarray  # (N, C, H, W) bytes, mapped from the file
    labels: np.ndarray  # (N,) bytes
    dtype: torch.dtype

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.images[i].copy()).to(self.dtype) / 255, int(self.labels[i])


def mnist(
    folder: Path | str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Data:
    """Return MNIST in memory, X of shape (60000, 1, 28, 28), grey levels in [0, 1].

    `folder` holds the four unzipped files, `train-images-idx3-ubyte` and so on. Nothing is
    downloaded. In float32 the images take 190 MB.

    Raises:
        ValueError: a file that is missing, cut short or not of this format, or a label above 9.
    """
    return _in_memory(*mnist_on_disk(folder, dtype=dtype), device, "MNIST")


def cifar10(
    folder: Path | str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Data:
    """Return CIFAR-10 in memory, X of shape (50000, 3, 32, 32), colours in [0, 1].

    `folder` holds the binary version, `data_batch_1.bin` to `data_batch_5.bin` and
    `test_batch.bin`. Nothing is downloaded. In float32 the training images take 610 MB.

    Raises:
        ValueError: a file that is missing or cut short, or a label above 9.
    """
    return _in_memory(*cifar10_on_disk(folder, dtype=dtype), device, "CIFAR-10")


def mnist_on_disk(
    folder: Path | str, *, dtype: torch.dtype = torch.float32
) -> tuple[Dataset, Dataset]:
    """Return MNIST's training and test set, read from the disk one image at a time.

    Raises:
        ValueError: as `mnist`.
    """
    return _digits(folder, "train", dtype), _digits(folder, "t10k", dtype)


def cifar10_on_disk(
    folder: Path | str, *, dtype: torch.dtype = torch.float32
) -> tuple[Dataset, Dataset]:
    """Return CIFAR-10's training and test set, read from the disk one image at a time.

    Raises:
        ValueError: as `cifar10`.
    """
    names = [f"data_batch_{k}.bin" for k in range(1, 6)]
    train = ConcatDataset([_records(_found(folder, name), dtype) for name in names])
    return train, _records(_found(folder, "test_batch.bin"), dtype)


def _in_memory(train: Dataset, test: Dataset, device: torch.device | str, name: str) -> Data:
    X, y = _whole(getattr(train, "datasets", [train]), device)
    return Data(X, y, *_whole([test], device), name)


def _whole(parts: Iterable[OnDisk], device: torch.device | str) -> tuple[Tensor, Tensor]:
    images = [torch.from_numpy(np.array(part.images)).to(part.dtype).div_(255) for part in parts]
    labels = [torch.from_numpy(np.array(part.labels)).long() for part in parts]
    return torch.cat(images).to(device), torch.cat(labels).to(device)


def _digits(folder: Path | str, part: str, dtype: torch.dtype) -> OnDisk:
    images = _idx(_found(folder, f"{part}-images-idx3-ubyte"), axes=3)
    path = _found(folder, f"{part}-labels-idx1-ubyte")
    labels = _labels(_idx(path, axes=1), path)
    if len(images) != len(labels):
        raise ValueError(
            f"mnist needs one label for each image, got {len(images)} images and {len(labels)} "
            f"labels in {path.name}: the files do not belong together."
        )
    return OnDisk(images[:, None], labels, dtype)


def _records(path: Path, dtype: torch.dtype) -> OnDisk:
    size = path.stat().st_size
    if not size or size % RECORD:
        raise ValueError(
            f"cifar10 needs records of {RECORD} bytes, got {size} bytes in {path.name}: "
            "the file is cut short, or not of the binary version."
        )
    records = np.memmap(path, np.uint8, "r").reshape(-1, RECORD)
    return OnDisk(records[:, 1:].reshape(-1, 3, 32, 32), _labels(records[:, 0], path), dtype)


def _idx(path: Path, axes: int) -> np.ndarray:
    """Return the bytes of an idx file: two zeros, the type, the number of axes, sizes, values."""
    start = 4 + 4 * axes
    with path.open("rb") as file:
        header = file.read(start)
    if header[:4] != bytes([0, 0, 8, axes]) or len(header) < start:
        raise ValueError(
            f"mnist needs a file that begins with 00 00 08 {axes:02}, got "
            f"{header[:4].hex(' ') or 'nothing'} in {path.name}: that is no idx file of bytes; "
            "unzip it if it is a .gz."
        )
    shape = struct.unpack(f">{axes}I", header[4:])
    wanted, size = start + int(np.prod(shape)), path.stat().st_size
    if size != wanted or not shape[0]:
        raise ValueError(
            f"mnist needs {wanted} bytes for the sizes {shape}, got {size} bytes in {path.name}: "
            "the file is cut short."
        )
    return np.memmap(path, np.uint8, "r", offset=start, shape=shape)


def _labels(labels: np.ndarray, path: Path) -> np.ndarray:
    if int(labels.max()) > 9:
        raise ValueError(
            f"labels need to be 0 to 9, got {int(labels.max())} in {path.name}: "
            "there are ten classes."
        )
    return labels


def _found(folder: Path | str, name: str) -> Path:
    path = Path(folder) / name
    if not path.is_file():
        raise ValueError(
            f"{name} needs to be in {folder}, got no such file: nothing is downloaded or unzipped "
            "here."
        )
    return path
