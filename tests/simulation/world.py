"""A task hub whose whole truth is known: what lives in it, when it finished, what its rows show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush

from exporter.api.times import format_shown_time
from exporter.api.wire import InstanceStatus
from exporter.ledger.status import TERMINAL

BEGIN = 1_790_000_000.25
_NEVER_RAN = "0001-01-01T00:00:00Z"
_TERMINAL = frozenset(status.value for status in TERMINAL)


class Order(Enum):
    """In which order a backend lists, and how it pages (reference 2.8)."""

    BY_ID = "by id, as Azure Storage"
    BY_CREATED = "by createdTime with offsets, as MSSQL"


class Row(InstanceStatus, frozen=True, gc=False):
    """A row as it is answered; the serials are hidden from the exporter, not from the observer."""

    life: int = 0
    finish: int = 0


@dataclass(slots=True, eq=False)
class Instance:
    """What is stored of an instance; `since` is when its row last changed, `finish` 0 if active."""

    instance_id: str
    name: str
    status: str
    created: float
    updated: float | None
    life: int
    since: float
    finish: int = 0
    _row: Row | None = None

    @property
    def is_finished(self) -> bool:
        return self.status in _TERMINAL

    @property
    def row(self) -> Row:
        if self._row is None:
            updated = _NEVER_RAN if self.updated is None else format_shown_time(self.updated)
            self._row = Row(
                instance_id=self.instance_id,
                name=self.name,
                runtime_status=self.status,
                created_time=format_shown_time(self.created),
                last_updated_time=updated,
                life=self.life,
                finish=self.finish,
            )
        return self._row

    def forget_row(self) -> None:
        self._row = None


@dataclass(frozen=True, slots=True)
class Finish:
    """One finish: `at` is when the row showed it first, `second` the later of the row's times."""

    serial: int
    instance_id: str
    name: str
    status: str
    at: float
    second: int


@dataclass(slots=True)
class World:
    """
    Rows by id, and what will happen to them.

    Times are the server's clock. What does not fit the state of an instance does nothing; purged
    ids never come back.
    """

    order: Order = Order.BY_ID
    now: float = BEGIN
    rows: dict[str, Instance] = field(default_factory=dict)
    finishes: dict[int, Finish] = field(default_factory=dict)
    purged: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    lives: int = 0
    ids: int = 0
    _coming: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _serial: int = 0

    # -- time ----------------------------------------------------------------------------------

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen in a while."""
        self._serial += 1
        heappush(self._coming, (self.now + seconds, self._serial, event))

    def advance(self, seconds: float) -> None:
        """Let time pass, and happen what is due."""
        until = self.now + seconds
        while self._coming and self._coming[0][0] <= until:
            at, _, event = heappop(self._coming)
            self.now = max(self.now, at)
            event()
        self.now = until

    def rest(self) -> None:
        """Let nothing happen any more."""
        self._coming.clear()

    # -- what happens to an instance -----------------------------------------------------------

    def start(self, instance_id: str, name: str = "Order", *, status: str = "Running") -> None:
        """Start an instance, anew where an earlier life of the id has finished."""
        before = self.rows.get(instance_id)
        if instance_id in self.purged or (before is not None and not before.is_finished):
            return
        never_ran = status == "Pending" and self.order is Order.BY_CREATED
        self._put(instance_id, name, status, self.now, None if never_ran else self.now)

    def appear(
        self, instance_id: str, name: str, *, created: float, updated: float, status: str
    ) -> None:
        """Show the row of an instance for the first time, finished already."""
        if instance_id in self.purged or instance_id in self.rows:
            return
        self._put(instance_id, name, status, created, updated)

    def finish(self, instance_id: str, status: str = "Completed") -> None:
        """Let an active instance finish."""
        row = self._active(instance_id)
        if row is not None:
            self._change(row, status)

    def move(self, instance_id: str, status: str) -> None:
        """Let an active instance take another active status."""
        row = self._active(instance_id)
        if row is not None:
            self._change(row, status)

    def continue_as_new(self, instance_id: str) -> None:
        """Let an active instance begin its next generation."""
        row = self._active(instance_id)
        if row is not None:
            if self.order is Order.BY_ID:
                row.created = self.now
            self._change(row, "Running")

    def rewind(self, instance_id: str) -> None:
        """Let a failed instance go on; its row is Pending with the createdTime that it had."""
        row = self.rows.get(instance_id)
        if row is not None and row.status == "Failed":
            row.finish = 0
            self._change(row, "Pending")

    def restart(self, instance_id: str) -> None:
        """Start a finished instance anew under its id."""
        row = self.rows.get(instance_id)
        if row is not None and row.is_finished:
            self.start(instance_id, row.name, status="Pending")

    def purge(self, instance_id: str) -> None:
        """Remove a finished instance for good."""
        row = self.rows.get(instance_id)
        if row is not None and row.is_finished:
            del self.rows[instance_id]
            self.purged.add(instance_id)
            self._say(instance_id, "purged")

    def show(
        self, instance_id: str, name: str, status: str, *, created: float, updated: float
    ) -> None:
        """Let the row of an instance look like this, whatever it was before."""
        before = self.rows.get(instance_id)
        if before is None or (before.is_finished and before.created != created):
            self._put(instance_id, name, status, created, updated)
        elif (before.status, before.created, before.updated) != (status, created, updated):
            before.created, before.finish = created, 0
            self._change(before, status, updated)

    # -- what is stored ------------------------------------------------------------------------

    def finished_rows(self) -> Iterator[Instance]:
        """Yield the finished instances still stored."""
        return (row for row in self.rows.values() if row.is_finished)

    def listed(self) -> list[Instance]:
        """Return all rows in the order of a listing."""
        if self.order is Order.BY_ID:
            return [self.rows[instance_id] for instance_id in sorted(self.rows)]
        # Ties are in no order that a client could know.
        return sorted(self.rows.values(), key=lambda row: (row.created, row.instance_id[::-1]))

    def _active(self, instance_id: str) -> Instance | None:
        row = self.rows.get(instance_id)
        return None if row is None or row.is_finished else row

    def _put(
        self, instance_id: str, name: str, status: str, created: float, updated: float | None
    ) -> None:
        self.lives += 1
        row = Instance(instance_id, name, status, created, updated, self.lives, self.now)
        self.rows[instance_id] = row
        self._changed(row)

    def _change(self, row: Instance, status: str, updated: float | None = None) -> None:
        row.status, row.since = status, self.now
        row.updated = self.now if updated is None else updated
        row.forget_row()
        self._changed(row)

    def _changed(self, row: Instance) -> None:
        if row.is_finished:
            self._serial += 1
            row.finish = self._serial
            second = int(max(row.created, row.updated or 0.0))
            self.finishes[row.finish] = Finish(
                row.finish, row.instance_id, row.name, row.status, self.now, second
            )
        created = f"created {row.created - BEGIN:.2f}"
        self._say(row.instance_id, f"{row.name} {row.status}, {created}, life {row.life}")

    def _say(self, instance_id: str, what: str) -> None:
        self.events.append(f"{self.now - BEGIN:10.2f}  {instance_id}: {what}")
