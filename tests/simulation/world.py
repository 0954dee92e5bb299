"""A task hub whose truth is known: its rows, and every finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.clock import EventQueue
from emulator.storage import rows
from emulator.storage.rows import NEVER, RuntimeStatus
from emulator.storage.table import Table
from emulator.times import whole_seconds
from exporter.api.wire import InstanceStatus

BEGIN = 1_790_000_000.25
AZURE_STORAGE, SQL = AzureStorage(), MSSQL()


class Row(InstanceStatus, frozen=True, gc=False):
    """A row of an answer; only the observer sees its serials."""

    life: int = 0
    finish: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance(rows.Instance):
    """A stored instance; `since` is when its row last changed, `finish` 0 if active."""

    life: int
    since: float
    finish: int = 0
    shown: Row = field(init=False)

    def __post_init__(self) -> None:
        shown = Row(
            instance_id=self.instance_id,
            name=self.name,
            runtime_status=self.status,
            created_time=whole_seconds(self.created),
            last_updated_time=whole_seconds(self.updated),
            life=self.life,
            finish=self.finish,
        )
        object.__setattr__(self, "shown", shown)


@dataclass(frozen=True, slots=True)
class Finish:
    """A finish: `at` is when the row first showed it, `second` the later of the row's times."""

    serial: int
    instance_id: str
    name: str
    status: str
    at: float
    second: int


@dataclass(slots=True)
class World:
    """
    The rows of a hub with a *backend*, and its coming events.

    Times are the server's clock. Events that do not fit the state of an instance do nothing; purged
    ids never return.
    """

    backend: Backend = AZURE_STORAGE
    now: float = BEGIN
    table: Table = field(default_factory=Table)
    finishes: dict[int, Finish] = field(default_factory=dict)
    purged: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    lives: int = 0
    ids: int = 0
    _coming: EventQueue = field(default_factory=EventQueue)

    # -- time ----------------------------------------------------------------------------------

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Plan an event in *seconds*."""

        def happen(at: float) -> None:
            self.now = max(self.now, at)
            event()

        self._coming.add(self.now + seconds, happen)

    def advance(self, seconds: float) -> None:
        """Move the clock, and run what is due."""
        until = self.now + seconds
        self._coming.advance(until)
        self.now = until

    def rest(self) -> None:
        """Drop all coming events."""
        self._coming = EventQueue()

    # -- events of an instance -----------------------------------------------------------------

    def start(self, instance_id: str, name: str = "Order", *, status: str = "Running") -> None:
        """Start an instance, unless one of the id is active."""
        before = self.get(instance_id)
        if instance_id in self.purged or (before is not None and not before.finish):
            return
        never_ran = status == "Pending" and self.backend.traits.never_updated
        self._put(instance_id, name, status, self.now, NEVER if never_ran else self.now)

    def appear(
        self, instance_id: str, name: str, *, created: float, updated: float, status: str
    ) -> None:
        """Show the first row of an instance that has finished."""
        if instance_id not in self.purged and self.get(instance_id) is None:
            self._put(instance_id, name, status, created, updated)

    def finish(self, instance_id: str, status: str = "Completed") -> None:
        """Finish an active instance."""
        self.move(instance_id, status)

    def move(self, instance_id: str, status: str) -> None:
        """Change the status of an active instance."""
        row = self.get(instance_id)
        if row is not None and not row.finish:
            self._change(row, status, row.created, self.now)

    def continue_as_new(self, instance_id: str) -> None:
        """Continue an active instance as new."""
        row = self.get(instance_id)
        if row is not None and not row.finish:
            keeps_created = self.backend.traits.continued_keeps_created
            self._change(row, "Running", row.created if keeps_created else self.now, self.now)

    def rewind(self, instance_id: str) -> None:
        """Rewind a failed instance; its row is Pending with its old createdTime."""
        row = self.get(instance_id)
        if row is not None and row.status is RuntimeStatus.FAILED:
            self._change(row, "Pending", row.created, self.now)

    def restart(self, instance_id: str) -> None:
        """Restart a finished instance under its id."""
        row = self.get(instance_id)
        if row is not None and row.finish:
            self.start(instance_id, row.name, status="Pending")

    def purge(self, instance_id: str) -> None:
        """Purge a finished instance."""
        row = self.get(instance_id)
        if row is not None and row.finish:
            self.table.remove(instance_id)
            self.purged.add(instance_id)
            self._say(instance_id, "purged")

    def show(
        self, instance_id: str, name: str, status: str, *, created: float, updated: float
    ) -> None:
        """Show a row of an instance, whatever was before."""
        before = self.get(instance_id)
        if before is None or (before.finish and before.created != created):
            self._put(instance_id, name, status, created, updated)
        elif (before.status, before.created, before.updated) != (status, created, updated):
            self._change(before, status, created, updated)

    # -- rows ----------------------------------------------------------------------------------

    def get(self, instance_id: str) -> Instance | None:
        """Return a stored instance."""
        row = self.table.get(instance_id)
        return row if isinstance(row, Instance) else None

    def finished_rows(self) -> Iterator[Instance]:
        """Yield the stored finished instances."""
        return (row for row in self.table if isinstance(row, Instance) and row.finish)

    def ids_stored(self) -> list[str]:
        """Return the ids of all rows, in order."""
        return [row.instance_id for row in self.table]

    def _put(
        self, instance_id: str, name: str, status: str, created: float, updated: float
    ) -> None:
        self.lives += 1
        self._store(instance_id, name, status, created, updated, life=self.lives)

    def _change(self, row: Instance, status: str, created: float, updated: float) -> None:
        self._store(row.instance_id, row.name, status, created, updated, life=row.life)

    def _store(
        self, instance_id: str, name: str, state: str, created: float, updated: float, *, life: int
    ) -> None:
        status = RuntimeStatus(state)
        row = Instance(
            instance_id=instance_id,
            name=name,
            status=status,
            created=created,
            updated=updated,
            life=life,
            since=self.now,
            finish=len(self.finishes) + 1 if status.terminal else 0,
        )
        self.table.put(row)
        if row.finish:
            second = int(max(created, updated))
            self.finishes[row.finish] = Finish(
                row.finish, instance_id, name, status, self.now, second
            )
        self._say(instance_id, f"{name} {status}, created {created - BEGIN:.2f}, life {life}")

    def _say(self, instance_id: str, what: str) -> None:
        self.events.append(f"{self.now - BEGIN:10.2f}  {instance_id}: {what}")
