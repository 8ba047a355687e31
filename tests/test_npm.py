"""A package of npm comes once, whole, and only with the hash that was written down.

Oracle: a tarball made here, and its hash as hashlib gives it.
"""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from tools import npm


@pytest.fixture
def registry(monkeypatch):
    """(the hash of a tarball, how often it was asked for), in place of the network."""
    buffer, asked = io.BytesIO(), []
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/it.js")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    tarball = buffer.getvalue()
    monkeypatch.setattr(npm, "fetch", lambda *what: asked.append(what) or tarball)
    return "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode(), asked


def test_a_package_is_fetched_once(tmp_path, registry):
    integrity, asked = registry
    for _ in range(2):
        folder = npm.package("@some/thing", "1.2.3", integrity, home=tmp_path)
        assert (folder / "dist" / "it.js").read_text() == "hello"
    assert asked == [("@some/thing", "1.2.3")]
    assert [path.name for path in tmp_path.iterdir()] == ["@some+thing-1.2.3"]


def test_a_python_whose_tarfile_has_no_filters_unpacks_it_too(tmp_path, registry, monkeypatch):
    """That of Debian 12 is 3.11.2; filters came with 3.11.4 and 3.10.12."""

    def extractall(archive, path):  # as it was called then
        for entry in archive:
            (target := Path(path, entry.name)).parent.mkdir(parents=True)
            target.write_bytes(archive.extractfile(entry).read())

    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    folder = npm.package("thing", "1.2.3", registry[0], home=tmp_path)
    assert (folder / "dist" / "it.js").read_text() == "hello"


def test_another_hash_is_refused_and_nothing_is_left(tmp_path, registry):
    with pytest.raises(ValueError, match=r"thing 1\.2\.3 needs the hash sha512-x, got sha512-"):
        npm.package("thing", "1.2.3", "sha512-x", home=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_one_sentence(monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    with pytest.raises(
        npm.NotThere, match=r"^axe-core 1\.0 did not come from http://127\.0\.0\.1:9: "
    ):
        npm.fetch("axe-core", "1.0")
