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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import msgspec
import structlog

from exporter.collector.snapshot import StateUse
from exporter.collector.state import StateNotWritten, StateProblem
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState, healed

STATE_RESTORED = "state restored"
STATE_HEALED = "state lay ahead of the clock and is pulled back"
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
_HINTS = {
    StateProblem.LOCKED: "give each exporter a state_dir of its own, or end the other process",
    StateProblem.UNREADABLE: "check the disk under state_dir; the hub gets a new baseline",
    StateProblem.VERSION: "nothing to do after a downgrade; the hub gets a new baseline",
    StateProblem.FOREIGN: "nothing to do if the hub has moved; it gets a new baseline",
    StateProblem.TOO_OLD: "raise state_max_age to bridge longer stops; the hub gets a new baseline",
    StateProblem.WRITE: "free space in state_dir, or make it writable for the exporter",
}

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
        self.owner = owner
        self._max_age = max_age
        self._wall = wall
        self._lock = _FileLock(folder / f"{stem}.lock", lock_wait)
        self._writer = _Writer(self.path, self._lock)
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
        return await anyio.to_thread.run_sync(self._read, rules)

    async def commit(self, ledger: Ledger) -> None:
        """
        Make the ledger durable; does nothing where another process holds the file.

        Raises:
            StateNotWritten: it could not be written, or not in time.
        """
        if not self._lock.is_held:
            return
        now = self._wall()
        try:
            content = await anyio.to_thread.run_sync(self._encode, ledger, now)
            with anyio.fail_after(_WRITE_SECONDS):
                await self._writer.write(content)
        except TimeoutError:
            self._writer.has_hung()
            self._failed(f"not written within {_WRITE_SECONDS:g} s")
        except OSError as error:
            self._failed(error.strerror or str(error))
        except (RuntimeError, TypeError, ValueError) as error:
            self._failed(str(error))
        self._last_write = now
        if self._fails:
            self._fails = False
            self._log.info(STATE_WRITTEN_AGAIN)

    def close(self) -> None:
        """Let go of the file, as soon as nothing is written any more."""
        self._writer.close()

    def _failed(self, reason: str) -> None:
        self._errors[StateProblem.WRITE.value] += 1
        if not self._fails:
            self._fails = True
            self._log.error(STATE_NOT_WRITTEN, error=reason, hint=_HINTS[StateProblem.WRITE])
        raise StateNotWritten(reason)

    def _report(self, event: str, problem: StateProblem, reason: str) -> None:
        self._errors[problem.value] += 1
        self._log.warning(event, reason=problem.value, error=reason, hint=_HINTS[problem])

    def _read_bytes(self) -> bytes:
        if self.path.is_fifo():
            # Whoever opens one waits for somebody to write to it.
            raise _Unusable(StateProblem.UNREADABLE, "it is no file")
        return self.path.read_bytes()

    def _read(self, rules: LedgerRules) -> Ledger:
        for left_behind in self.path.parent.glob(f"{self.path.stem}.*.tmp"):
            left_behind.unlink(missing_ok=True)
        try:
            content = self._decode(self._read_bytes())
            ledger = Ledger(rules, self._healed(content))
        except FileNotFoundError:
            pass
        except _Unusable as error:
            self._set_aside(error.problem, str(error))
        except OSError as error:
            # What cannot be read now may be whole: it is left alone, and not written over.
            self._report(STATE_UNUSABLE, StateProblem.UNREADABLE, error.strerror or str(error))
            self._lock.release()
        except (msgspec.DecodeError, ValueError) as error:
            self._set_aside(StateProblem.UNREADABLE, str(error))
        else:
            self._last_write = content.written
            self._log.info(STATE_RESTORED, age=round(self._wall() - content.written, 3))
            return ledger
        return Ledger(rules)

    def _healed(self, content: _Content) -> LedgerState:
        """Return the ledger of a file without times that were still to come when it was written."""
        now = max(content.written, self._wall())
        state = content.ledger
        sane = healed(state, now)
        if sane.horizon < state.horizon:
            self._log.warning(STATE_HEALED, seconds=state.horizon - sane.horizon)
        return sane

    def _set_aside(self, problem: StateProblem, reason: str) -> None:
        self._report(STATE_UNUSABLE, problem, reason)
        try:
            self.path.replace(self.path.with_suffix(".aside"))
        except OSError as error:
            self._log.warning(STATE_UNUSABLE, reason=problem.value, error=error.strerror)

    def _encode(self, ledger: Ledger, now: float) -> bytes:
        body = msgspec.msgpack.encode(_Content(self.owner, now, ledger.saved()))
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
        if found.owner != self.owner:
            raise _Unusable(StateProblem.FOREIGN, f"it belongs to another hub: {found.owner.url}")
        age = self._wall() - found.written
        if age > self._max_age:
            raise _Unusable(StateProblem.TOO_OLD, f"it is {age:.0f} s old")
        return found


class _Writer:
    """
    Writes the file on threads that the end of the process does not wait for.

    A write is not overtaken by the next one, and keeps the lock until it ends: another process must
    not write meanwhile. One that was only abandoned is waited for, one that hangs is not.
    """

    def __init__(self, path: Path, lock: _FileLock) -> None:
        self._path = path
        self._file_lock = lock
        self._guard = threading.Lock()
        self._is_writing = False
        self._is_closed = False
        self._hangs = False
        self._ended = anyio.Event()

    async def write(self, content: bytes) -> None:
        """Replace the file; raises `OSError`. Abandoned, it goes on by itself."""
        while self._is_writing:
            if self._hangs:
                raise OSError("the write before has not ended")
            await self._ended.wait()
        with self._guard:
            self._is_writing = True
        ended, outcome = anyio.Event(), _Outcome()
        self._ended = ended
        token = anyio.lowlevel.current_token()

        def work() -> None:
            try:
                _replace_durably(self._path, content)
            except OSError as error:
                outcome.error = error
            self._end()
            # Where nobody waits any more, the loop is gone.
            with suppress(RuntimeError, anyio.RunFinishedError):
                anyio.from_thread.run_sync(ended.set, token=token)

        try:
            threading.Thread(target=work, name="state", daemon=True).start()
        except RuntimeError:
            self._end()
            raise
        await ended.wait()
        if outcome.error is not None:
            raise outcome.error

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
    error: OSError | None = None


def _replace_durably(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
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


def set_aside_others(folder: Path, names: Iterable[str]) -> bool:
    """
    Move aside what hubs other than *names* left in *folder*; False if a process holds any of it.

    Whoever polled such a hub meanwhile has counted what this state does not know: should the hub
    come back, it begins anew.
    """
    own = {stem_of(name) for name in names}
    is_done = True
    for path in folder.glob("*.state"):
        if path.stem in own:
            continue
        lock = _FileLock(path.with_suffix(".lock"), 0.0)
        try:
            if lock.try_once():
                log.warning(STATE_OF_OTHER_HUB, path=str(path))
                path.replace(path.with_suffix(".aside"))
            else:
                is_done = False
        except OSError as error:
            log.warning(STATE_UNUSABLE, path=str(path), error=error.strerror)
        finally:
            lock.release()
    return is_done


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
        if self.is_held or self.try_once():
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
