"""Every command of the book, on Linux, macOS and Windows: `python book.py serve`.

The standard library is enough for it: it makes the environment in .venv first. `make serve` is the
same command. No line here is newer than Python 2.7, so that an old one gets a sentence.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - this file alone is read by older ones
    found = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        "The book needs Python >= 3.10, got " + found + ": say which with make PYTHON=python3.12."
    )

from tools.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
