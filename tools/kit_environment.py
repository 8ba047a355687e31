"""The environment of the kit, _build/kit-env: otter and text2qti, which the book does not need.

It sees the packages of the environment that makes it and this checkout's helpers, so that torch is
not installed twice: a submission is run by what the book was run by.
"""

import hashlib
import os
import site
import subprocess
import sys

from tools import ROOT, environment
from tools.places import Fault

HOME = ROOT / "_build" / "kit-env"
PYTHON = HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
READY = HOME / ".ready"
NAMES = ROOT / "requirements-kit.txt"


def sight():
    """The line of a .pth file that lets another Python see this one's packages, and the book.

    In ASCII: up to 3.12 such a file is read in the locale's encoding, from 3.13 on in UTF-8.
    """
    return f"import sys; sys.path += {[*site.getsitepackages(), str(ROOT)]!a}\n"


def stamp():
    """A hash of what the environment depends on."""
    parts = (NAMES.read_text(encoding="utf-8"), sys.version, sys.prefix, sight())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_ready():
    return READY.exists() and READY.read_text(encoding="utf-8") == stamp() and PYTHON.exists()


def python():
    """The path of the kit's Python; its environment is made first if it is not there, or old."""
    if not is_ready():
        HOME.parent.mkdir(exist_ok=True)
        _call(sys.executable, "-m", "venv", "--clear", HOME)
        (packages := _packages()).joinpath("book.pth").write_text(sight(), encoding="ascii")
        _call(PYTHON, "-m", "pip", "install", "-q", "--no-input", "-r", NAMES)
        assert packages.joinpath("otter").exists(), "pip put otter elsewhere"
        READY.write_text(stamp(), encoding="utf-8")
    return PYTHON


def _packages():
    """The site-packages of the new environment."""
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=True)
    return HOME.__class__(done.stdout.strip())


def _call(*command):
    command = list(map(str, command))
    env = environment.variables()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "WARNING" not in line]
    if done.returncode and environment.UNREACHED.search(done.stderr):
        raise Fault("The kit needs the network once, to install otter, and it does not answer.")
    if done.returncode:
        raise Fault(f"The kit's environment was not made: {(said or ['pip failed'])[-1]}")


if __name__ == "__main__":  # python -m tools.kit_environment tools.grade
    try:
        command = [python(), "-m", *sys.argv[1:]]
    except Fault as fault:
        sys.exit(str(fault))
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
