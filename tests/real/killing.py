"""
Kill a process in the moment in which a file changes.

It runs as a program of its own, `killing.py PID FILE`, which does nothing but look: only so is it
faster than what the process does next. It ends with 0 once it has killed, with 1 if nothing
changed in time.
"""

import os
import signal
import sys
import time

PATIENCE_SECONDS = 60.0

Mark = tuple[int, int, int]


def mark(path: str) -> Mark | None:
    """Return what tells a file from its successor, None while there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib takes longer than the file lives
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def kill_on_change(pid: int, path: str) -> int:
    """Wait for the file to appear or to change, and kill at once; returns the exit code."""
    before = mark(path)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while mark(path) in (before, None):
        if time.monotonic() > deadline:
            return 1
    os.kill(pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(kill_on_change(int(sys.argv[1]), sys.argv[2]))
