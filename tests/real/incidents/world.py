"""
Task hubs in which each alert's cause can begin and end, and what goes on beside that.

Rows are put as they are: nobody works here, so nothing happens but what is told. What an alert's
text calls long is an hour or more in the rows, whose times nobody has to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import anyio

from emulator import (
    Emulator,
    Entity,
    Fault,
    FaultKind,
    Instance,
    Operation,
    RealClock,
    RuntimeStatus,
    TaskHub,
)
from emulator.json_text import JsonValue
from emulator.storage.history import (
    Event,
    execution_completed,
    execution_started,
    task_scheduled,
    timer_created,
)

HOUR = 3600.0
DAY = 24 * HOUR
BEAT_SECONDS = 1.0
_BACKLOG_STEP = 15
_LONGEST_BACKLOG = 600

WORK = "Work"
DYING = "Dying"
CALM = "Calm"
GONE = "Gone"
LOCKED_OUT = "LockedOut"
STOPPED = "Stopped"
HALFWAY = "Halfway"
EMPTY = "Empty"
STANDSTILL = "Standstill"
SLOW = "Slow"
THROTTLED = "Throttled"
REPLACED = "Replaced"
HUBS = (
    WORK, DYING, CALM, GONE, LOCKED_OUT, STOPPED, HALFWAY, EMPTY, STANDSTILL, SLOW, THROTTLED,
    REPLACED,
)  # fmt: skip
SHARED_HUBS = ("Frugal", "Folded", "Sparse")
"""Those of two shards: the last is the second one's, the others are the first one's."""

_FAULTS = {
    GONE: Fault(kind=FaultKind.UNAVAILABLE),
    LOCKED_OUT: Fault(kind=FaultKind.UNAUTHORIZED),
    STOPPED: Fault(kind=FaultKind.STOPPED),
    HALFWAY: Fault(kind=FaultKind.ERROR, operations=(Operation.LIST_ENTITIES,)),
    SLOW: Fault(kind=FaultKind.SLOW, seconds=0.8),
    THROTTLED: Fault(kind=FaultKind.THROTTLED, rate=0.5),
}
_NON_DETERMINISM = (
    "Orchestrator function 'Changed' failed: Non-Deterministic workflow detected: A previous"
    " execution of this orchestration scheduled an activity task with sequence ID 0"
)
_MISSING = (
    "Orchestrator function 'Renamed' failed: The function 'Gone' doesn't exist, is disabled, or is"
    " not an activity function. Additional info: No activity functions are currently registered!"
)
_DECLINED = (
    "Orchestrator function 'Broken' failed: The activity function 'ChargeCard' failed: \"Declined\""
)


@dataclass
class World:
    """The hubs, what beats in them, and the causes of alerts."""

    clock: RealClock = field(default_factory=RealClock)
    beating: bool = True
    _backlog: int = 0
    _ids: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.hubs = {name: TaskHub(name, self.clock) for name in (*HUBS, *SHARED_HUBS)}
        self.emulator = Emulator(*self.hubs.values(), clock=self.clock)
        for name in self.hubs.keys() - {EMPTY}:
            self.ended(name, "Steady", ago=2 * HOUR)
        # A hub that loses all that it has was replaced.
        self.put(WORK, "Resting", RuntimeStatus.RUNNING, created=60.0, updated=0.0)
        for orchestrator in ("Backlog", "Usual", "Report"):
            self.ended(WORK, orchestrator, ago=2 * HOUR)
        for name in SHARED_HUBS:
            self.ended(name, "Second", ago=2 * HOUR)
        self._many(
            6,
            lambda: self.put(
                REPLACED, "InFlight", RuntimeStatus.RUNNING, created=60.0, updated=0.0
            ),
        )

    def put(
        self,
        hub: str,
        orchestrator: str,
        status: RuntimeStatus,
        *,
        created: float,
        updated: float | None = None,
        history: Sequence[Event] = (),
        output: JsonValue = None,
        instance_id: str | None = None,
        parent_id: str | None = None,
    ) -> str:
        """Put a row that was created and updated so many seconds ago; returns its id."""
        now = self.clock.now()
        row = Instance(
            instance_id=instance_id or f"{orchestrator.lower()}-{next(self._ids)}",
            name=orchestrator,
            status=status,
            created=now - created,
            updated=now - (created if updated is None else updated),
            output=output,
            history=(execution_started(now - created, orchestrator, None), *history),
            parent_id=parent_id,
        )
        self.hubs[hub].put(row)
        return row.instance_id

    def ended(self, hub: str, orchestrator: str, *, ago: float = 0.0, took: float = 1.0) -> str:
        """Let an instance have completed."""
        return self.put(hub, orchestrator, RuntimeStatus.COMPLETED, created=ago + took, updated=ago)

    def failed(self, hub: str, orchestrator: str, output: str = _DECLINED, ago: float = 0.0) -> str:
        """Let an instance have failed."""
        return self.put(
            hub, orchestrator, RuntimeStatus.FAILED, created=ago + 1, updated=ago, output=output
        )

    def remove(self, hub: str, *orchestrators: str) -> None:
        """Purge all instances of orchestrators."""
        found = [row.instance_id for row in self.hubs[hub].instances() if row.name in orchestrators]
        for instance_id in found:
            self.hubs[hub].purge(instance_id)

    def stalled(self, hub: str, orchestrator: str) -> None:
        """Let an instance wait on an activity that does not return."""
        now = self.clock.now()
        scheduled = task_scheduled(now - 2 * HOUR, 0, "ChargeCard")
        self.put(hub, orchestrator, RuntimeStatus.RUNNING, created=2 * HOUR, history=[scheduled])

    async def beat(self) -> None:
        """Go on with what always goes on, until cancelled."""
        while True:
            for name in (WORK, DYING, CALM, GONE, LOCKED_OUT, STOPPED, HALFWAY, SLOW, THROTTLED):
                self.ended(name, "Steady")
            if self.beating:
                self.ended(WORK, "Nightly")
                self.ended(WORK, "Usual")
            else:
                self._backlog_grows()
            await anyio.sleep(BEAT_SECONDS)

    def trouble_begins(self) -> None:
        """Let every cause begin."""
        self.beating = False
        for name, fault in _FAULTS.items():
            self.hubs[name].faults.set(fault)
        self.remove(REPLACED, "InFlight")
        for begin in (self._waiting_begins, self._failing_begins, self._storage_begins):
            begin()

    def trouble_ends(self) -> None:
        """Let every cause be gone."""
        self.beating = True
        for name in _FAULTS:
            self.hubs[name].faults.clear()
        self.remove(STANDSTILL, "Waiting")
        self.ended(EMPTY, "Steady")
        self.remove(
            WORK, "Stuck", "Backlog", "Slowpoke", "Checkout", "Sleeper", "Undead", "Forgotten",
            "Cancelled", "Orphan", "Old", "Broken", "Neglected", "Changed", "Renamed", "Flaky",
        )  # fmt: skip
        # Not all that finished within a day has failed then, and a small share within an hour.
        for name in ("Broken", "Neglected", "Changed", "Renamed"):
            self.ended(WORK, name)
        self._many(400, lambda: self.ended(WORK, "Flaky"))
        self._many(400, lambda: self.ended(WORK, "Report"))
        for name in ("ledger", "queue"):
            self.hubs[WORK].remove(f"@{name}@1")

    def _backlog_grows(self) -> None:
        if self._backlog < _LONGEST_BACKLOG:
            self._backlog += _BACKLOG_STEP
            self._many(
                _BACKLOG_STEP,
                lambda: self.put(WORK, "Backlog", RuntimeStatus.PENDING, created=0.0),
            )

    def _waiting_begins(self) -> None:
        now = self.clock.now()
        ago = 2 * HOUR
        running = RuntimeStatus.RUNNING
        self.put(STANDSTILL, "Waiting", RuntimeStatus.PENDING, created=3 * HOUR)
        self.put(WORK, "Stuck", RuntimeStatus.PENDING, created=HOUR)
        self.put(WORK, "Slowpoke", running, created=ago, updated=60.0)
        self.stalled(WORK, "Checkout")
        self.stalled(DYING, "Checkout")
        overdue = timer_created(now - ago, now - HOUR)
        self.put(WORK, "Sleeper", running, created=ago, history=[overdue])
        ended = execution_completed(now - ago, "Completed", None)
        self.put(WORK, "Undead", running, created=ago, history=[ended])
        self.put(WORK, "Forgotten", RuntimeStatus.SUSPENDED, created=ago)
        cancelled = self.put(WORK, "Cancelled", RuntimeStatus.TERMINATED, created=120.0)
        self.put(WORK, "Orphan", running, created=100.0, parent_id=cancelled)
        self._many(40, lambda: self.ended(WORK, "Report", took=60.0))

    def _failing_begins(self) -> None:
        self.failed(WORK, "Broken")
        self.failed(WORK, "Neglected", ago=5 * HOUR)
        self.failed(WORK, "Changed", _NON_DETERMINISM)
        self.failed(WORK, "Renamed", _MISSING)
        self._many(20, lambda: self.failed(WORK, "Flaky"))
        self._many(20, lambda: self.ended(WORK, "Flaky"))

    def _storage_begins(self) -> None:
        now = self.clock.now()
        self.ended(WORK, "Old", ago=3 * DAY)
        locked = Entity(
            class_name="ledger", key="1", last_operation=now, state=1, locked_by="nobody"
        )
        waiting: list[JsonValue] = [{"op": "add", "id": str(number)} for number in range(150)]
        crowded = Entity(class_name="queue", key="1", last_operation=now, state=1, queue=waiting)
        for entity in (locked, crowded):
            self.hubs[WORK].put(entity)

    def _many(self, times: int, put: Callable[[], object]) -> None:
        for _ in range(times):
            put()
