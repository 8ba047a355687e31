"""A package of npm, of one version and one hash, in `_build/npm`: fetched once, never committed.

Only the tarball is read; nothing of it is run by node, and npm itself need not be there. Another
registry than the public one is named by the variable NPM_CONFIG_REGISTRY.
"""

import base64
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tools import ROOT

REGISTRY = "https://registry.npmjs.org"
HOME = ROOT / "_build" / "npm"
SECONDS = 60  # until a registry that does not answer counts as not there


class NotThere(RuntimeError):
    """The network does not give what is asked for, and it is not on the disk; one sentence."""


def package(name, version, integrity, home=HOME):
    """The folder of the package `name`; `integrity` is npm's own, "sha512-…".

    Raises NotThere without a network, ValueError for a tarball with another hash.
    """
    folder = home / f"{name.replace('/', '+')}-{version}"
    if not folder.exists():
        unpack(checked(fetch(name, version), name, version, integrity), folder)
    return folder


def fetch(name, version):
    """The bytes of a tarball."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY).rstrip("/")
    address = f"{registry}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise NotThere(f"{name} {version} did not come from {registry}: {error}.") from None


def checked(tarball, name, version, integrity):
    """The bytes, if their hash is the one that was written down."""
    kind, _, wanted = integrity.partition("-")
    found = base64.b64encode(hashlib.new(kind, tarball).digest()).decode()
    if found != wanted:
        raise ValueError(f"{name} {version} needs the hash {integrity}, got {kind}-{found}.")
    return tarball


def unpack(tarball, folder):
    """Write the tarball as `folder`: all of it, or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
            # Debian 12's Python has no filters yet; the hash is checked there too
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(place, **safe)
        if not folder.exists():  # another process may have been faster
            shutil.move(Path(place, "package"), folder)
