"""Writes a state on threads, so that a disk that hangs holds up nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.lowlevel

from exporter.collector.state_lock import FileLock

# What a thread has handed to the system to be written, as Linux counts it.
_THREAD_IO = Path("/proc/thread-self/io")


class StateWriter:
    """
    Writes the file on threads that the end of the process does not wait for.

    A write is not overtaken by the next one, and keeps the lock until it ends: another process must
    not write meanwhile. One that was only abandoned is waited for, one that hangs is not. `bytes`
    counts what was written, and is None where the system does not tell.
    """

    def __init__(self, lock: FileLock) -> None:
        self.bytes: int | None = None
        self._file_lock = lock
        self._guard = threading.Lock()
        self._is_writing = False
        self._is_closed = False
        self._hangs = False
        self._ended = anyio.Event()

    async def write(self, work: Callable[[], None]) -> None:
        """Let *work* write, and raise what it raises. Abandoned, it goes on by itself."""
        while self._is_writing:
            if self._hangs:
                raise OSError("the previous write has not ended")
            await self._ended.wait()
        with self._guard:
            self._is_writing = True
        ended, outcome = anyio.Event(), _Outcome()
        self._ended = ended
        token = anyio.lowlevel.current_token()

        def run() -> None:
            before = _bytes_written()
            try:
                work()
            except (OSError, RuntimeError, TypeError, ValueError) as error:
                outcome.error = error
            self._count(before)
            self._end()
            # Where nobody waits any more, the loop is gone.
            with suppress(RuntimeError, anyio.RunFinishedError):
                anyio.from_thread.run_sync(ended.set, token=token)

        try:
            threading.Thread(target=run, name="state", daemon=True).start()
        except RuntimeError:
            self._end()
            raise
        await ended.wait()
        if outcome.error is not None:
            raise outcome.error

    def _count(self, before: int | None) -> None:
        after = _bytes_written()
        if before is not None and after is not None:
            self.bytes = (self.bytes or 0) + after - before

    def has_hung(self) -> None:
        """Stop waiting for the write under way, if there is one."""
        with self._guard:
            self._hangs = self._is_writing

    def close(self) -> None:
        """Give the lock back, now or when the write under way has ended."""
        with self._guard:
            self._is_closed = True
            if not self._is_writing:
                self._file_lock.release()

    def _end(self) -> None:
        with self._guard:
            self._is_writing = self._hangs = False
            if self._is_closed:
                self._file_lock.release()


@dataclass(slots=True)
class _Outcome:
    error: Exception | None = None


def _bytes_written() -> int | None:
    """Return how much this thread has written so far; None where the system does not tell."""
    try:
        lines = _THREAD_IO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), None)
