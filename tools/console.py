"""What a reader sees while the book is made: three steps with their times, and a line a chapter.

The rest goes to _build/build.log. Only the standard library is used: this runs outside .venv too.
"""

import re
import subprocess
import time
from contextlib import contextmanager

from tools import ROOT

LOG = "_build/build.log"
WIDTH = 60
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RUNNING = re.compile(r"running \d+ chapters, ")
CHAPTER = re.compile(r"  \S+ .* of \d+$")
STOPPED = re.compile(r"stopped the build: |^The build stopped: ")
WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL): |^\w*Error: ")
MOST_LAST = 12


def open_log():
    """Begin _build/build.log anew."""
    (ROOT / LOG).parent.mkdir(exist_ok=True)
    (ROOT / LOG).write_bytes(b"")


def follow(command, variables, see=lambda line: None):
    """(exit status, lines) of a command, whose lines go to the log and, one by one, to `see`.

    After Ctrl-C, which reaches the command too, it waits until that has tidied up.
    """
    (ROOT / LOG).parent.mkdir(exist_ok=True)
    said = []
    whole = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    with (
        open(ROOT / LOG, "a", encoding="utf-8", newline="\n") as log,
        subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env=variables | whole,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        for line in lines(process, log):
            said.append(line)
            see(line)
    return process.returncode, said


def lines(process, log):
    """Each line of a running process, once it is in the log."""
    try:
        for line in process.stdout:
            line = COLOUR.sub("", line.rstrip())
            print(line, file=log, flush=True)
            yield line
    except KeyboardInterrupt:
        for line in process.stdout:
            print(COLOUR.sub("", line.rstrip()), file=log, flush=True)
        raise


@contextmanager
def step(text):
    """Print `text`, and behind it how long what is done inside took."""
    print(f"{text} ", end="", flush=True)
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(timed(text, begin), flush=True)


def timed(text, begin):
    """The dots and the seconds that fill a line behind `text`."""
    return f"{'.' * max(3, WIDTH - len(text))} {time.monotonic() - begin:.0f} s"


class Progress:
    """Reads a build's lines, and says of them which step it is at, and each chapter."""

    def __init__(self):
        self.begin = time.monotonic()
        self.at = 1  # the first step is the environment
        self.text = ""

    def __call__(self, line):
        if RUNNING.match(line):
            self.at = 2
            print(f"[2/3] {line}", flush=True)
        elif self.at == 2 and CHAPTER.match(line):
            print(line, flush=True)
        elif self.at < 3 and line.startswith("reading sources"):
            self.write()

    def write(self):
        """Close the second step and open the third."""
        if self.at == 2:
            text = "      the chapters"
            print(text, timed(text, self.begin), flush=True)
        else:
            print("[2/3] no chapter has changed", flush=True)
        self.at, self.begin = 3, time.monotonic()
        self.text = "[3/3] writing the pages"
        print(f"{self.text} ", end="", flush=True)

    def end(self, well):
        """Close the last line."""
        if self.at == 3:
            print(timed(self.text, self.begin) if well else "", flush=True)


def last_words(said):
    """The lines of a failed build that say why: sentences of ours, else warnings, else the last."""
    ours = [n for n, line in enumerate(said) if STOPPED.search(line)]
    if ours:
        return said[ours[0] :][-MOST_LAST:]
    warnings = list(dict.fromkeys(line for line in said if WARNING.search(line)))
    return warnings[:MOST_LAST] or [line for line in said if line][-5:]
