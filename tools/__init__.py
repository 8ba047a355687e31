"""What makes the book from its chapters: `make` in the shell, `python -m tools.x` beneath it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
