"""A process with a limit on what its processors do for it, and with its children.

The clock is no measure of it: on a busy machine right work takes long.
"""

import contextlib
import os
import signal
import subprocess
import time

import psutil

WAITS = 5  # what computes nothing may take so many times its seconds
LATE = "It did not end within {spent}: mark it by hand."


def late(process, given, seconds):
    """Give a process its input and wait for its end; why it is to be stopped, or ""."""
    begin, spent = time.monotonic(), 0
    with contextlib.suppress(OSError), process.stdin:  # one that has ended reads nothing
        process.stdin.write(given)
    while spent <= seconds:
        try:
            process.wait(timeout=0.5)
            return ""
        except subprocess.TimeoutExpired:
            spent = max(spent, _spent(process))
        if time.monotonic() - begin > WAITS * seconds:
            return LATE.format(spent=f"{WAITS * seconds} seconds")
    return LATE.format(spent=f"{seconds} seconds of computing")


def _tree(process):
    """A process that runs, and all that it began: a kernel is in no group of its parent's."""
    try:
        first = psutil.Process(process.pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def _spent(process):
    """The seconds that processors have worked for a process and for all that it began."""
    found = 0
    for one in _tree(process):
        with contextlib.suppress(psutil.Error):
            found += sum(one.cpu_times()[:4])  # its own, and those of children that have ended
    return found


def end(process):
    """End a process with all that it began."""
    for one in _tree(process) if process.poll() is None else ():
        with contextlib.suppress(psutil.Error):
            one.kill()
    if os.name != "nt":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
