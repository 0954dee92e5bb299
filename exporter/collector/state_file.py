"""
The state of a hub in a file, used by one process.

An unusable file is moved aside once and reported: the hub then gets a new baseline.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from hashlib import blake2b
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from exporter.collector import state_0_1
from exporter.collector.snapshot import StateUse
from exporter.collector.state import (
    Kept,
    LearnedFacts,
    Owner,
    StateNotWritten,
    StateProblem,
    StateUnusable,
)
from exporter.collector.state_database import StateDatabase, journal_of
from exporter.collector.state_lock import FileLock, StateWriter
from exporter.ledger.ledger import Ledger
from exporter.ledger.records import Unsaved
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState, healed

STATE_RESTORED = "state restored"
STATE_HEALED = "state was ahead of the clock and is reset to it"
STATE_LOCKED = "state is held by another process"
STATE_UNUSABLE = "state cannot be used"
STATE_OF_OTHER_HUB = "state of an unpolled hub moved aside"
STATE_NOT_WRITTEN = "state not written"
STATE_WRITTEN_AGAIN = "state is written again"

_LOCK_WAIT_SECONDS = 30.0
_WRITE_SECONDS = 30.0
_STEM_LENGTH = 40
_HINTS = {
    StateProblem.LOCKED: "give each exporter its own state_dir, or stop the other process",
    StateProblem.UNREADABLE: "check the disk under state_dir; the hub gets a new baseline",
    StateProblem.VERSION: "nothing to do after a downgrade; the hub gets a new baseline",
    StateProblem.FOREIGN: "nothing to do if the hub has moved; it gets a new baseline",
    StateProblem.TOO_OLD: "raise state_max_age to bridge longer stops; the hub gets a new baseline",
    StateProblem.WRITE: "free space in state_dir, or make it writable for the exporter",
}

log = structlog.get_logger()


def stem_of(name: str) -> str:
    """Return the name of a hub's files; its end distinguishes names that look the same."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_STEM_LENGTH]
    return f"{readable}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


class StateFile:
    """
    The state of the hub *owner* in *folder*.

    A file older than *max_age* seconds is not used. *wall* is the exporter's clock. Only one
    process at a time holds the file; another waits half a minute, then runs without it.
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
        self.learned = LearnedFacts()
        self._max_age = max_age
        self._wall = wall
        self._lock = FileLock(folder / f"{stem}.lock", lock_wait)
        self._database = StateDatabase(self.path)
        self._writer = StateWriter(self._lock)
        self._written: Ledger | None = None
        self._errors: Counter[str] = Counter()
        self._last_write: float | None = None
        self._fails = False
        self._log = log.bind(hub=owner.name, path=str(self.path))

    @property
    def use(self) -> StateUse:
        """How keeping went so far."""
        errors = {problem.value: self._errors[problem.value] for problem in StateProblem}
        return StateUse(errors, self._last_write, self._writer.bytes)

    async def open(self, rules: LedgerRules) -> Ledger:
        """Lock the file, and return the ledger in it, or a new one."""
        try:
            has_lock = await self._lock.take()
        except OSError as error:
            self._report(STATE_UNUSABLE, StateProblem.WRITE, error.strerror or str(error))
            return Ledger(rules)
        if not has_lock:
            self._report_locked()
            return Ledger(rules)
        return await anyio.to_thread.run_sync(self._read, rules)

    async def commit(self, ledger: Ledger) -> None:
        """
        Make the ledger durable; does nothing while another process holds the file.

        Writes what changed, or all of a ledger that was not written before: the file may hold
        another one.

        Raises:
            StateNotWritten: it could not be written, or not in time.
        """
        if not self._lock.is_held:
            return
        now = self._wall()
        is_known = ledger is self._written and self._database.is_current
        unsaved = Unsaved.take(ledger.records, whole=not is_known)
        try:
            await self._write(unsaved, now)
        except TimeoutError:
            self._writer.has_hung()
            self._failed(f"not written within {_WRITE_SECONDS:g} s")
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            if self._lock.is_held:
                self._failed(getattr(error, "strerror", None) or str(error))
            self._report_locked()
            return
        self._written = ledger
        self._last_write = now
        if self._fails:
            self._fails = False
            self._log.info(STATE_WRITTEN_AGAIN)

    def close(self) -> None:
        """Release the file once no write is under way."""
        self._writer.close()

    async def _write(self, unsaved: Unsaved, now: float) -> None:
        """Write what is unsaved; it stays unsaved unless that succeeds in time."""
        with ExitStack() as failing:
            failing.callback(unsaved.put_back)
            learned = self.learned
            records = await anyio.to_thread.run_sync(unsaved.encoded)

            def write() -> None:
                if not self._lock.keep():
                    raise OSError("another process holds the state")
                if unsaved.is_whole:
                    self._database.write(records, now, learned, self.owner)
                else:
                    self._database.append(records, now, learned)

            with anyio.fail_after(_WRITE_SECONDS):
                await self._writer.write(write)
            failing.pop_all()
        unsaved.written()

    def _failed(self, reason: str) -> None:
        self._errors[StateProblem.WRITE.value] += 1
        if not self._fails:
            self._fails = True
            self._log.error(STATE_NOT_WRITTEN, error=reason, hint=_HINTS[StateProblem.WRITE])
        raise StateNotWritten(reason)

    def _report_locked(self) -> None:
        reason = "another process holds it: its finishes are not this one's"
        self._report(STATE_LOCKED, StateProblem.LOCKED, reason)

    def _report(self, event: str, problem: StateProblem, reason: str) -> None:
        self._errors[problem.value] += 1
        self._log.warning(event, reason=problem.value, error=reason, hint=_HINTS[problem])

    def _read(self, rules: LedgerRules) -> Ledger:
        for left_behind in self.path.parent.glob(f"{self.path.stem}.*.tmp*"):
            left_behind.unlink(missing_ok=True)
        try:
            kept = self._usable(self._kept())
            ledger = Ledger(rules, self._healed(kept))
        except FileNotFoundError:
            pass
        except StateUnusable as error:
            self._set_aside(error.problem, str(error))
        except OSError as error:
            # The file may be intact: it is neither moved nor overwritten.
            self._report(STATE_UNUSABLE, StateProblem.UNREADABLE, error.strerror or str(error))
            self._lock.release()
        else:
            self.learned = kept.learned
            self._last_write = kept.written
            self._log.info(STATE_RESTORED, age=round(self._wall() - kept.written, 3))
            return ledger
        return Ledger(rules)

    def _kept(self) -> Kept:
        if self.path.is_fifo():
            # Opening one waits for a writer.
            raise StateUnusable(StateProblem.UNREADABLE, "not a file")
        with self.path.open("rb") as file:
            if file.read(len(state_0_1.MAGIC)) == state_0_1.MAGIC:
                return state_0_1.read(self.path.read_bytes())
        return self._database.read()

    def _usable(self, kept: Kept) -> Kept:
        if kept.owner != self.owner:
            message = f"it belongs to another hub: {kept.owner.url}"
            raise StateUnusable(StateProblem.FOREIGN, message)
        age = self._wall() - kept.written
        if age > self._max_age:
            raise StateUnusable(StateProblem.TOO_OLD, f"it is {age:.0f} s old")
        return kept

    def _healed(self, kept: Kept) -> LedgerState:
        """Return the ledger of a file without times ahead of when it was written."""
        sane = healed(kept.ledger, max(kept.written, self._wall()))
        ahead = kept.ledger.header.horizon - sane.header.horizon
        if ahead > 0:
            self._log.warning(STATE_HEALED, seconds=ahead)
        return sane

    def _set_aside(self, problem: StateProblem, reason: str) -> None:
        self._report(STATE_UNUSABLE, problem, reason)
        try:
            move_aside(self.path)
        except OSError as error:
            self._log.warning(STATE_UNUSABLE, reason=problem.value, error=error.strerror)


def move_aside(path: Path) -> None:
    """Move a state aside, with its journal; raises `OSError`."""
    aside = path.with_suffix(".aside")
    journal_of(aside).unlink(missing_ok=True)
    path.replace(aside)
    with suppress(FileNotFoundError):
        journal_of(path).replace(journal_of(aside))


def set_aside_others(folder: Path, names: Iterable[str]) -> bool:
    """
    Move aside the state of hubs other than *names* in *folder*; False if a process holds any.

    Another process that polled such a hub meanwhile has counted what this state lacks: if the hub
    comes back, it gets a new baseline.
    """
    own = {stem_of(name) for name in names}
    is_done = True
    for path in folder.glob("*.state"):
        if path.stem in own:
            continue
        lock = FileLock(path.with_suffix(".lock"), 0.0)
        try:
            if lock.try_once():
                log.warning(STATE_OF_OTHER_HUB, path=str(path))
                move_aside(path)
            else:
                is_done = False
        except OSError as error:
            log.warning(STATE_UNUSABLE, path=str(path), error=error.strerror)
        finally:
            lock.release()
    return is_done
