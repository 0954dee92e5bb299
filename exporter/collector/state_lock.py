"""Exclusive use of a hub's state: its lock, and the threads that write under it."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
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
    A lock that the system releases when its process ends, however that happens.

    A volume mounted without locks between machines (`nobrl` of SMB, `local_lock` of NFS) grants it
    to a process on each. So the holder writes a token into the file: the last process to take the
    lock holds it, and the previous one notices.
    """

    def __init__(self, path: Path, wait: float) -> None:
        """*wait* is for how many seconds to wait at most."""
        self._path = path
        self._wait = wait
        self._file: int | None = None
        self._token = b""

    @property
    def is_held(self) -> bool:
        """Whether this process took it, and did not release it."""
        return self._file is not None

    def keep(self) -> bool:
        """
        Return whether this process still holds it exclusively; release it if not.

        If the file was removed, a new one is locked. Raises `OSError`.
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
        """Wait for the lock; False if it stays taken, `OSError` if locking is impossible."""
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
        """Take the lock if it is free; raises `OSError`."""
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
        """Release the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


# Linux counts here what a thread wrote.
_THREAD_IO = Path("/proc/thread-self/io")


class StateWriter:
    """
    Writes the file on threads that the end of the process does not wait for.

    Writes do not overtake each other, and keep the lock to their end: no other process may write
    meanwhile. An abandoned write is waited for, a hanging one is not. `bytes` counts what was
    written, None where the system does not.
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
        """Run *work* and raise what it raises. If cancelled, the work continues."""
        while self._is_writing:
            if self._hangs:
                raise OSError("the previous write has not ended")
            await self._ended.wait()
        with self._guard:
            self._is_writing = True
        ended = self._ended = anyio.Event()
        failures: list[Exception] = []
        token = anyio.lowlevel.current_token()

        def run() -> None:
            before = _bytes_written()
            try:
                work()
            except (OSError, RuntimeError, TypeError, ValueError) as error:
                failures.append(error)
            self._count(before)
            self._end()
            # The loop may have ended.
            with suppress(RuntimeError, anyio.RunFinishedError):
                anyio.from_thread.run_sync(ended.set, token=token)

        try:
            threading.Thread(target=run, name="state", daemon=True).start()
        except RuntimeError:
            self._end()
            raise
        await ended.wait()
        if failures:
            raise failures[0]

    def _count(self, before: int | None) -> None:
        after = _bytes_written()
        if before is not None and after is not None:
            self.bytes = (self.bytes or 0) + after - before

    def has_hung(self) -> None:
        """Stop waiting for the write under way, if any."""
        with self._guard:
            self._hangs = self._is_writing

    def close(self) -> None:
        """Release the lock, now or when the write under way ends."""
        with self._guard:
            self._is_closed = True
            if not self._is_writing:
                self._file_lock.release()

    def _end(self) -> None:
        with self._guard:
            self._is_writing = self._hangs = False
            if self._is_closed:
                self._file_lock.release()


def _bytes_written() -> int | None:
    """Return how much this thread wrote so far; None where the system does not count."""
    try:
        lines = _THREAD_IO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), None)
