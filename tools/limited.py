"""A process with a limit on what its processors do for it and on its memory, and with its children.

The clock is no measure of its work: on a busy machine right work takes long. Memory is looked at
twice a second, so that what grows is stopped before the machine has none left; a single demand for
more than there is fails by itself.

What a submission leaves behind is ended with it. On Linux that holds for all that it began, also
where the child's parent has ended: such an orphan comes to the process that called `adopt`. On
other systems an orphan stays, and on Linux what another program begins for it, or what
begins new processes faster than they are ended. It runs as the user, so it may also end or
rewrite what is the user's: only a container holds that.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

import psutil

WAITS = 5  # what computes nothing may take so many times its seconds
LATE = "It did not end within {spent}: mark it by hand."
MOST = 4 * 2**30  # bytes of memory; a notebook of the book's takes an eighth of it
LARGE = f"It took more than {MOST // 2**30} GiB of memory: mark it by hand."

ADOPTS = 36  # PR_SET_CHILD_SUBREAPER of Linux
TRIES = 100  # each ends what the one before has left


def adopt():
    """Let the orphans of what this process begins come to it; the children that it has now."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(ADOPTS, 1, 0, 0, 0)
    return set(psutil.Process().children())


def clear(own):
    """End all children of this process but its `own`, and what they began."""
    for _ in range(TRIES):
        left = set(psutil.Process().children()) - own
        if not left:
            return
        for one in left:
            with contextlib.suppress(psutil.Error):
                for each in [one, *one.children(recursive=True)]:
                    each.kill()
        psutil.wait_procs(left, timeout=1)


def stopped(process, given, seconds):
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
        if _held(process) > MOST:
            return LARGE
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


def _held(process):
    """The bytes of memory that are a process's own, or of what it began."""
    found = 0
    for one in _tree(process):
        with contextlib.suppress(psutil.Error):
            found += one.memory_full_info().uss  # what forks share is counted for none of them
    return found


def end(process, own):
    """End a process with all that it began; `own` is what `adopt` said before that."""
    for one in _tree(process) if process.poll() is None else ():
        with contextlib.suppress(psutil.Error):
            one.kill()
    if os.name != "nt":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    clear(own)
