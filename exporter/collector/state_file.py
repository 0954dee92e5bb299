"""
The state of a hub as a file.

It is written as a whole beside the old one, made durable, and put in its place, so that a process
that dies at any moment leaves either. What cannot be used is moved aside, once, and reported: the
hub then begins anew.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from struct import Struct

import anyio
import anyio.to_thread
import msgspec
import structlog

from exporter.collector.snapshot import StateUse
from exporter.collector.state import StateNotWritten, StateProblem
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState

STATE_RESTORED = "state restored"
STATE_AWAITED = "waiting for the process that holds the state"
STATE_LOCKED = "state is held by another process"
STATE_UNUSABLE = "state cannot be used"
STATE_OF_OTHER_HUB = "state of a hub that is not polled here is moved aside"
STATE_NOT_WRITTEN = "state not written"
STATE_WRITTEN_AGAIN = "state is written again"

VERSION = 2
# The version before is read too: what it lacks has a default.
_READABLE_VERSIONS = (VERSION - 1, VERSION)
_MAGIC = b"durable-functions-exporter state\n"
_HEADER = Struct("<HQ16s")
_LOCK_WAIT_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.1
_WRITE_SECONDS = 30.0
_STEM_LENGTH = 40
_PRIVATE = 0o600

log = structlog.get_logger()


class Owner(msgspec.Struct, frozen=True):
    """Which hub a state belongs to: under the same name another one may be configured later."""

    name: str
    url: str
    task_hub: str
    connection: str


class _Content(msgspec.Struct, frozen=True):
    owner: Owner
    written: float
    ledger: LedgerState


class _Unusable(Exception):
    """A file cannot be used; says why."""

    def __init__(self, problem: StateProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


def stem_of(name: str) -> str:
    """Return what the files of a hub are called; the end tells names apart that look the same."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_STEM_LENGTH]
    return f"{readable}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


class StateFile:
    """
    The state of the hub *owner* in *folder*.

    A file older than *max_age* seconds is not used. *wall* is the exporter's clock. Only one
    process at a time holds the file; another waits half a minute, then does without.
    """

    def __init__(
        self,
        folder: Path,
        owner: Owner,
        *,
        max_age: float,
        wall: Callable[[], float],
        lock_wait: float = _LOCK_WAIT_SECONDS,
    ) -> None:
        stem = stem_of(owner.name)
        self.path = folder / f"{stem}.state"
        self._owner = owner
        self._max_age = max_age
        self._wall = wall
        self._lock = _FileLock(folder / f"{stem}.lock", lock_wait)
        self._writing = threading.Lock()
        # Of its own: a disk that hangs must not use up the threads that scrapes need.
        self._threads = anyio.CapacityLimiter(1)
        self._errors: Counter[str] = Counter()
        self._last_write: float | None = None
        self._fails = False
        self._log = log.bind(hub=owner.name, path=str(self.path))

    @property
    def use(self) -> StateUse:
        """How keeping went so far."""
        errors = {problem.value: self._errors[problem.value] for problem in StateProblem}
        return StateUse(errors, self._last_write)

    async def open(self, rules: LedgerRules) -> Ledger:
        """Take hold of the file, and return the ledger in it, or a new one."""
        try:
            has_lock = await self._lock.take()
        except OSError as error:
            self._report(STATE_UNUSABLE, StateProblem.WRITE, error.strerror or str(error))
            return Ledger(rules)
        if not has_lock:
            reason = "another process holds it: its finishes are not this one's"
            self._report(STATE_LOCKED, StateProblem.LOCKED, reason)
            return Ledger(rules)
        return await anyio.to_thread.run_sync(self._read, rules, limiter=self._threads)

    async def commit(self, ledger: Ledger) -> None:
        """
        Make the ledger durable; does nothing where another process holds the file.

        Raises:
            StateNotWritten: it could not be written, or not in time.
        """
        if not self._lock.is_held:
            return
        now = self._wall()
        content = await anyio.to_thread.run_sync(self._encode, ledger, now, limiter=self._threads)
        try:
            with anyio.fail_after(_WRITE_SECONDS):
                await anyio.to_thread.run_sync(
                    self._write, content, abandon_on_cancel=True, limiter=self._threads
                )
        except TimeoutError:
            self._failed(f"not written within {_WRITE_SECONDS:g} s")
        except OSError as error:
            self._failed(error.strerror or str(error))
        self._last_write = now
        if self._fails:
            self._fails = False
            self._log.info(STATE_WRITTEN_AGAIN)

    def close(self) -> None:
        """Let go of the file."""
        self._lock.release()

    def _failed(self, reason: str) -> None:
        self._errors[StateProblem.WRITE.value] += 1
        if not self._fails:
            self._fails = True
            self._log.error(STATE_NOT_WRITTEN, error=reason)
        raise StateNotWritten(reason)

    def _report(self, event: str, problem: StateProblem, reason: str) -> None:
        self._errors[problem.value] += 1
        self._log.warning(event, reason=problem.value, error=reason)

    def _read(self, rules: LedgerRules) -> Ledger:
        try:
            content = self._decode(self.path.read_bytes())
            ledger = Ledger(rules, content.ledger)
        except FileNotFoundError:
            return Ledger(rules)
        except _Unusable as error:
            self._set_aside(error.problem, str(error))
        except OSError as error:
            self._set_aside(StateProblem.UNREADABLE, error.strerror or str(error))
        except (msgspec.DecodeError, ValueError) as error:
            self._set_aside(StateProblem.UNREADABLE, str(error))
        else:
            self._last_write = content.written
            self._log.info(STATE_RESTORED, age=round(self._wall() - content.written, 3))
            return ledger
        return Ledger(rules)

    def _set_aside(self, problem: StateProblem, reason: str) -> None:
        self._report(STATE_UNUSABLE, problem, reason)
        try:
            self.path.replace(self.path.with_suffix(".aside"))
        except OSError as error:
            self._log.warning(STATE_UNUSABLE, reason=problem.value, error=error.strerror)

    def _encode(self, ledger: Ledger, now: float) -> bytes:
        body = msgspec.msgpack.encode(_Content(self._owner, now, ledger.saved()))
        return _MAGIC + _HEADER.pack(VERSION, len(body), _checksum(body)) + body

    def _decode(self, content: bytes) -> _Content:
        start = len(_MAGIC) + _HEADER.size
        if not content.startswith(_MAGIC) or len(content) < start:
            raise _Unusable(StateProblem.UNREADABLE, "it is no state file")
        version, length, checksum = _HEADER.unpack_from(content, len(_MAGIC))
        if version not in _READABLE_VERSIONS:
            raise _Unusable(
                StateProblem.VERSION, f"it has the version {version}; {VERSION} is what is read"
            )
        body = memoryview(content)[start:]
        if len(body) != length or _checksum(body) != checksum:
            raise _Unusable(StateProblem.UNREADABLE, "it is damaged")
        found = msgspec.msgpack.decode(body, type=_Content)
        if found.owner != self._owner:
            raise _Unusable(StateProblem.FOREIGN, f"it belongs to another hub: {found.owner.url}")
        age = self._wall() - found.written
        if age > self._max_age:
            raise _Unusable(StateProblem.TOO_OLD, f"it is {age:.0f} s old")
        return found

    def _write(self, content: bytes) -> None:
        """Replace the file; a write that hangs is not overtaken by the next one."""
        if not self._writing.acquire(blocking=False):
            raise OSError("the write before has not ended")
        try:
            _replace_durably(self.path, content)
        finally:
            self._writing.release()


def _replace_durably(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        view = memoryview(content)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    temporary.replace(path)
    with _opened(path.parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.fsync(folder)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, _PRIVATE)
    try:
        yield file
    finally:
        os.close(file)


def _checksum(body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=16).digest()


def set_aside_others(folder: Path, names: Iterable[str]) -> None:
    """
    Move aside what hubs other than *names* left in *folder*, unless a process holds it.

    Whoever polled such a hub meanwhile has counted what this state does not know: should the hub
    come back, it begins anew.
    """
    own = {stem_of(name) for name in names}
    for path in folder.glob("*.state"):
        if path.stem in own:
            continue
        lock = _FileLock(path.with_suffix(".lock"), 0.0)
        try:
            if lock.try_once():
                log.warning(STATE_OF_OTHER_HUB, path=str(path))
                path.replace(path.with_suffix(".aside"))
        except OSError as error:
            log.warning(STATE_UNUSABLE, path=str(path), error=error.strerror)
        finally:
            lock.release()


class _FileLock:
    """A lock that the system gives back when its process ends, however that happens."""

    def __init__(self, path: Path, wait: float) -> None:
        self._path = path
        self._wait = wait
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        return self._file is not None

    async def take(self) -> bool:
        """Wait for the lock; False if another process keeps it, `OSError` if there can be none."""
        if self.try_once():
            return True
        log.info(STATE_AWAITED, path=str(self._path), seconds=self._wait)
        deadline = anyio.current_time() + self._wait
        while anyio.current_time() < deadline:
            await anyio.sleep(_LOCK_POLL_SECONDS)
            if self.try_once():
                return True
        return False

    def try_once(self) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError:
            os.close(file)
            raise
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
