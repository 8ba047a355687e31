"""MNIST and CIFAR-10 from files, in memory and from the disk.

Oracle: small files of the same formats, packed here byte by byte from known pixels and labels, and
the loss on those pixels as one tensor.
"""

import struct

import numpy as np
import pytest
import torch
from random_nets import DEVICES
from torch import nn
from torch.utils.data import DataLoader

from helpers import (
    cifar10,
    cifar10_on_disk,
    cross_entropy,
    flatten,
    functional,
    hvp,
    mnist,
    mnist_on_disk,
    over_loader,
)

RANDOM = np.random.default_rng(0)


def images(n, *shape):
    return RANDOM.integers(0, 256, (n, *shape), np.uint8), RANDOM.integers(0, 10, n, np.uint8)


def write_mnist(folder):
    """Files of MNIST's format, with 7 and 4 images; returns what they hold."""
    held = {}
    for part, n in (("train", 7), ("t10k", 4)):
        pixels, labels = held[part] = images(n, 28, 28)
        rows = b"".join(bytes(int(p) for p in image.flat) for image in pixels)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            bytes.fromhex("00000803") + struct.pack(">III", n, 28, 28) + rows
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes.fromhex("00000801") + struct.pack(">I", n) + bytes(int(c) for c in labels)
        )
    return held["train"], held["t10k"]


def write_cifar10(folder):
    """Files of CIFAR-10's binary version, with 3 images a batch and 4 to test."""
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    held = [images(4 if name.startswith("test") else 3, 3, 32, 32) for name in names]
    for name, (pixels, labels) in zip(names, held):
        with (folder / name).open("wb") as file:
            for image, c in zip(pixels, labels):
                file.write(bytes([int(c)]))
                for colour in image:  # red, then green, then blue, each row by row
                    file.write(bytes(int(p) for p in colour.flat))
    train = tuple(np.concatenate(parts) for parts in zip(*held[:5]))
    return train, held[5]


SETS = {
    "mnist": (write_mnist, mnist, mnist_on_disk),
    "cifar10": (write_cifar10, cifar10, cifar10_on_disk),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", DEVICES)
def test_what_is_written_is_read_back(name, dtype, device, tmp_path):
    write, read, _ = SETS[name]
    (X, y), (X_test, y_test) = write(tmp_path)
    data = read(tmp_path, dtype=dtype, device=device)
    channels = 3 if name == "cifar10" else 1
    assert data.name == {"mnist": "MNIST", "cifar10": "CIFAR-10"}[name]
    for ours, theirs in ((data.X, X), (data.X_test, X_test)):
        assert ours.dtype == dtype
        assert ours.device.type == device
        assert ours.shape == (len(theirs), channels, *theirs.shape[-2:])
        assert np.array_equal((255 * ours).round().cpu().numpy().reshape(theirs.shape), theirs)
    assert data.y.dtype == torch.int64
    assert data.y.tolist() == y.tolist()
    assert data.y_test.tolist() == y_test.tolist()
    assert float(data.X.max()) <= 1


@pytest.mark.parametrize("name", SETS)
def test_an_item_from_the_disk_is_a_row_in_memory(name, tmp_path):
    write, read, on_disk = SETS[name]
    write(tmp_path)
    data, (train, test) = read(tmp_path), on_disk(tmp_path)
    assert len(train) == len(data.X)
    assert len(test) == len(data.X_test)
    for x, y, part in ((data.X, data.y, train), (data.X_test, data.y_test, test)):
        assert all(torch.equal(part[i][0], x[i]) for i in range(len(x)))
        assert [part[i][1] for i in range(len(x))] == y.tolist()


@pytest.mark.parametrize("name", SETS)
def test_nothing_can_be_written_into_a_readers_file(name, tmp_path):
    write, _, on_disk = SETS[name]
    write(tmp_path)
    for part in on_disk(tmp_path):
        for images in (one.images for one in getattr(part, "datasets", [part])):
            with pytest.raises(ValueError, match="read-only"):
                images[0] = 0


def test_curvature_from_the_disk_is_curvature_in_memory(tmp_path):
    write_cifar10(tmp_path)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 2, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))
    f, params = functional(module.double())
    data = cifar10(tmp_path, dtype=torch.float64)
    train, _ = cifar10_on_disk(tmp_path, dtype=torch.float64)
    v = torch.randn(len(flatten(params)), dtype=torch.float64)
    theirs = hvp(cross_entropy(f, data.X, data.y), params, v)
    batches = DataLoader(train, batch_size=4)  # across the ends of the files
    assert torch.allclose(hvp(over_loader(f, batches), params, v), theirs, rtol=1e-11)


# Bad files.


def refused(name, folder, sentence):
    _, read, on_disk = SETS[name]
    for attempt in (read, on_disk):
        with pytest.raises(ValueError, match=sentence) as error:
            attempt(folder)
        assert "\n" not in str(error.value)


def test_a_missing_folder_or_file_is_named(tmp_path):
    refused("mnist", tmp_path / "nowhere", "train-images-idx3-ubyte needs to be in .*nowhere")
    refused("cifar10", tmp_path, "data_batch_1.bin needs to be in .* got no such file")
    write_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    refused("cifar10", tmp_path, "test_batch.bin needs to be in")


@pytest.mark.parametrize(
    ("name", "file", "sentence"),
    [
        (
            "mnist",
            "train-images-idx3-ubyte",
            r"needs 5504 bytes for the sizes \(7, 28, 28\), got 5",
        ),
        ("mnist", "t10k-labels-idx1-ubyte", r"needs 12 bytes for the sizes \(4,\), got 11 bytes"),
        ("cifar10", "data_batch_3.bin", "records of 3073 bytes, got 9218 bytes in data_batch_3"),
    ],
)
def test_a_file_cut_short_is_refused(name, file, sentence, tmp_path):
    SETS[name][0](tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1])
    refused(name, tmp_path, sentence)


@pytest.mark.parametrize("name", SETS)
def test_an_empty_file_is_refused(name, tmp_path):
    SETS[name][0](tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    refused(name, tmp_path, "got nothing in train-images|got 0 bytes in data_batch_1.bin")


@pytest.mark.parametrize(
    ("name", "file", "at"),
    [("mnist", "train-labels-idx1-ubyte", 8), ("cifar10", "data_batch_5.bin", 2 * 3073)],
)
def test_a_label_above_nine_is_refused(name, file, at, tmp_path):
    SETS[name][0](tmp_path)
    path = tmp_path / file
    raw = bytearray(path.read_bytes())
    raw[at] = 10
    path.write_bytes(raw)
    refused(name, tmp_path, f"labels need to be 0 to 9, got 10 in {file}: there are ten")


def test_a_file_of_another_kind_is_refused(tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    path.write_bytes(bytes.fromhex("1f8b0800") + whole)  # how a .gz begins
    refused("mnist", tmp_path, "begins with 00 00 08 03, got 1f 8b 08 00 in train-images.*unzip")
    path.write_bytes(whole[:10])
    refused("mnist", tmp_path, "no idx file of bytes")


def test_images_and_labels_of_two_sets_are_refused(tmp_path):
    write_mnist(tmp_path)
    other = (tmp_path / "t10k-labels-idx1-ubyte").read_bytes()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(other)
    refused("mnist", tmp_path, "one label for each image, got 7 images and 4 labels")
