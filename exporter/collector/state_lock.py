"""The lock that lets one process alone use the state of a hub."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.lowlevel
import structlog

STATE_AWAITED = "waiting for the process that holds the state"

PRIVATE = 0o600
_POLL_SECONDS = 0.1
_TOKEN_BYTES = 16
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}

log = structlog.get_logger()


class FileLock:
    """
    A lock that the system gives back when its process ends, however that happens.

    A volume that is mounted without locks between machines (`nobrl` of SMB, `local_lock` of NFS)
    gives it to a process on each of them. So whoever has it writes a token into the file: the
    process that took it last holds it, which the one before finds out.
    """

    def __init__(self, path: Path, wait: float) -> None:
        """Wait for it so many seconds at most."""
        self._path = path
        self._wait = wait
        self._file: int | None = None
        self._token = b""

    @property
    def is_held(self) -> bool:
        """Whether this process took it, and did not give it back."""
        return self._file is not None

    def keep(self) -> bool:
        """
        Tell whether this process alone has it still; where it does not, it gives it back.

        Where somebody has removed the file, a new one is taken. Raises `OSError`.
        """
        held = self._file
        if held is None:
            return False
        is_own = os.pread(held, _TOKEN_BYTES, 0) == self._token
        if is_own and os.fstat(held).st_nlink > 0:
            return True
        if not is_own or not self.try_once():
            self.release()
            return False
        os.close(held)
        return True

    async def take(self) -> bool:
        """Wait for the lock; False if another process keeps it, `OSError` if there can be none."""
        if self.is_held or self.try_once():
            return True
        log.info(STATE_AWAITED, path=str(self._path), seconds=self._wait)
        deadline = anyio.current_time() + self._wait
        while anyio.current_time() < deadline:
            await anyio.sleep(_POLL_SECONDS)
            if self.try_once():
                return True
        return False

    def try_once(self) -> bool:
        """Take the lock if nobody holds it; raises `OSError`."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            token = secrets.token_bytes(_TOKEN_BYTES)
            os.pwrite(file, token, 0)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            os.close(file)
            if error.errno in _WITHOUT_LOCKS:
                message = "the file system has no locks (flock): use a volume that has"
                raise OSError(error.errno, message) from error
            raise
        self._file, self._token = file, token
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


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
