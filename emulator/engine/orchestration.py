"""Orchestration instances in the engine: ids, state, interventions, rewinds, checkpoints."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Protocol
from uuid import UUID, uuid5

from emulator.api import ExtensionVersion
from emulator.clock import EventQueue
from emulator.engine.entities import DeliveryOrder
from emulator.engine.execution import Run
from emulator.engine.pace import INVISIBLE_SECONDS, Host
from emulator.json_text import JsonValue, parsed
from emulator.storage.history import Event, EventKind, generic_event
from emulator.storage.rows import Instance, Row, RuntimeStatus

# The resulting status, and the field with the reason.
_INTERVENTIONS = {
    EventKind.EXECUTION_SUSPENDED: (RuntimeStatus.SUSPENDED, "Reason"),
    EventKind.EXECUTION_RESUMED: (RuntimeStatus.RUNNING, "Reason"),
    EventKind.EXECUTION_TERMINATED: (RuntimeStatus.TERMINATED, "Input"),
}
INTERVENTIONS = frozenset(_INTERVENTIONS)


class Identities:
    """Generates the ids of a hub from a seed."""

    def __init__(self, seed: int | str, version: ExtensionVersion) -> None:
        self._random = Random(f"identities/{seed}")
        self._version = version

    def instance_id(self) -> str:
        """Return a new instance id."""
        return self._guid().hex

    def execution_id(self, _instance_id: str) -> str:
        """Return a new execution id, in the form of the version."""
        guid = self._guid()
        return guid.hex if self._version is ExtensionVersion.V2 else str(guid)

    def child_id(self, parent: Run, number: int, _name: str, *, plain: bool) -> str:
        """Return the id of an unnamed sub-orchestration, the same in every replay."""
        if plain:
            return uuid5(UUID(parent.execution_id), f"child {number}").hex
        return f"{parent.execution_id}:{number}"

    def request_id(self) -> str:
        """Return a new id for a message to an entity."""
        return str(self._guid())

    def span_id(self) -> str | None:
        """Return a span id, which only sub-orchestrations of v2 have."""
        if self._version is not ExtensionVersion.V2:
            return None
        return f"{self._random.getrandbits(64):016x}"

    def _guid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)


def reason_of(intervention: Event) -> str | None:
    """Return the reason of an intervention."""
    reason = intervention.fields[_INTERVENTIONS[intervention.kind][1]]
    return reason if isinstance(reason, str) else None


def status_after(status: RuntimeStatus, news: Sequence[Event]) -> RuntimeStatus:
    """Return the status after the messages of a turn."""
    for event in news:
        if event.kind is EventKind.EXECUTION_STARTED:
            status = RuntimeStatus.RUNNING
        elif event.kind in INTERVENTIONS:
            status, _ = _INTERVENTIONS[event.kind]
    return status


def last_reason(news: Sequence[Event], kinds: Collection[EventKind]) -> JsonValue:
    """Return the output that the interventions of a turn leave."""
    reasons = [reason_of(event) for event in news if event.kind in kinds]
    return parsed(reasons[-1]) if reasons else None


@dataclass(frozen=True, slots=True)
class Rewound:
    """A history without its failures, and the sub-orchestrations to rewind first."""

    history: Sequence[Event]
    failed_children: Sequence[str]


def rewound(history: Sequence[Event]) -> Rewound:
    """
    Remove the failures from a history.

    A failed activity goes with its scheduling, so that it is scheduled again; of a failed
    sub-orchestration only the failure goes, as it will report again. A removed event leaves an
    empty one with its timestamp (recorded).
    """
    failed_tasks = {event.task for event in history if event.kind is EventKind.TASK_FAILED}
    failed_children = {
        event.task for event in history if event.kind is EventKind.SUB_ORCHESTRATION_FAILED
    }
    return Rewound(
        history=[
            generic_event(event.timestamp, None) if _taken(event, failed_tasks) else replace(event)
            for event in history
        ],
        failed_children=[
            str(event.fields["InstanceId"])
            for event in history
            if event.kind is EventKind.SUB_ORCHESTRATION_CREATED and event.task in failed_children
        ],
    )


def _taken(event: Event, failed_tasks: set[int | None]) -> bool:
    if event.kind is EventKind.TASK_SCHEDULED:
        return event.task in failed_tasks
    return event.kind in (
        EventKind.TASK_FAILED,
        EventKind.SUB_ORCHESTRATION_FAILED,
        EventKind.EXECUTION_COMPLETED,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The parent of an instance, and the action that waits for it."""

    instance_id: str
    execution_id: str
    task: int


@dataclass(slots=True, kw_only=True)
class Orchestration:
    """
    The state of an instance, from its start to a restart of its id, and its inbox.

    `runs` counts the calls of each activity, across rewinds. With `loses_row_writes` only the
    history is written.
    """

    run: Run
    created: float
    status: RuntimeStatus = RuntimeStatus.PENDING
    version: str | None = None
    parent: Parent | None = None
    history: list[Event] = field(default_factory=list)
    custom_status: JsonValue = None
    output: JsonValue = None
    inbox: list[Event] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    rewinds: int = 0
    delivery: DeliveryOrder = field(default_factory=DeliveryOrder)
    awake: bool = False
    busy_until: float = 0.0
    loses_row_writes: bool = False

    def row(self, updated: float) -> Instance:
        """Return the current row."""
        return Instance(
            instance_id=self.run.instance_id,
            name=self.run.name,
            status=self.status,
            created=self.created,
            updated=updated,
            input=parsed(self.run.input_text),
            custom_status=self.custom_status,
            output=self.output,
            history=tuple(self.history),
            version=self.version,
            parent_id=self.run.parent_id,
        )


class Rows(Protocol):
    """The rows of a hub, as the engine writes them."""

    def get(self, instance_id: str) -> Row | None:
        """Return the row of an instance."""
        ...

    def put(self, row: Row, *, at: float | None = None) -> None:
        """Insert or replace a row."""
        ...

    def remove(self, instance_id: str) -> None:
        """Delete a row."""
        ...


class Checkpoints:
    """Writes rows when turns end, or late if the host dies between history and row."""

    def __init__(
        self,
        rows: Rows,
        events: EventQueue,
        host: Host,
        is_current: Callable[[Orchestration], bool],
    ) -> None:
        self._rows = rows
        self._events = events
        self._host = host
        self._is_current = is_current

    def write(self, instance: Orchestration, begin: float, end: float) -> None:
        """Write the result of a turn that lasted from *begin* to *end*."""
        row = instance.row(end)
        if not instance.loses_row_writes and not self._host.cut_off(begin, end):
            self._events.add(end, partial(self._show, instance, row))
            return
        self._events.add(end, partial(self._show_history, instance, row))
        if not instance.loses_row_writes:
            self._events.add(end + INVISIBLE_SECONDS, partial(self._show_late, instance, row))

    def _show_history(self, instance: Orchestration, row: Instance, at: float) -> None:
        shown = self._rows.get(row.instance_id)
        if isinstance(shown, Instance) and shown.created == row.created:
            self._show(instance, replace(shown, history=row.history), at)

    def _show_late(self, instance: Orchestration, row: Row, at: float) -> None:
        shown = self._rows.get(row.instance_id)
        if shown is None or shown.updated < row.updated:  # else a later turn was written first
            self._show(instance, row, at)

    def _show(self, instance: Orchestration, row: Row, at: float) -> None:
        if self._is_current(instance):
            self._rows.put(row, at=at)
