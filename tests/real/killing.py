"""
Kill a process in the moment in which a file changes.

It runs as a program of its own, `killing.py PID FILE [emptied]`, which does nothing but look: only
so is it faster than what the process does next. It waits until the file has any content, or until
it has none again, and ends with 0 once it has killed, with 1 if that did not come in time.
"""

import os
import signal
import sys
import time

PATIENCE_SECONDS = 60.0


def size(path: str) -> int:
    """Return how much is in a file, 0 while there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - pathlib takes longer than the file lives
    except FileNotFoundError:
        return 0


def kill_when(pid: int, path: str, *, emptied: bool) -> int:
    """Wait for the file to be filled, and *emptied* again, and kill; returns the exit code."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for is_filled in (True, False)[: 1 + emptied]:
        while (size(path) > 0) is not is_filled:
            if time.monotonic() > deadline:
                return 1
    os.kill(pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(kill_when(int(sys.argv[1]), sys.argv[2], emptied=sys.argv[3:] == ["emptied"]))
