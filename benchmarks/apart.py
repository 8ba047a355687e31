"""An environment of its own for what a benchmark needs and the book does not."""

import os
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def ready(name):
    """The Python of `_build/<name>`, made, or brought up to its pins; nothing where it fits."""
    home, pins = ROOT / "_build" / name, Path(__file__).with_name(f"requirements-{name}.txt")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = home / ".ready", pins.read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", pins], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python
