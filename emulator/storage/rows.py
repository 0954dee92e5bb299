"""The rows of a task hub: orchestration instances, and entities as the same table shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from emulator.json_text import JsonValue, compact
from emulator.storage.history import Event, execution_started

NEVER = -62_135_596_800.0
"""The beginning of the year 1: when something was updated that never was."""


class RuntimeStatus(StrEnum):
    """The state of an instance, by the names that the API uses."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    CONTINUED_AS_NEW = "ContinuedAsNew"
    FAILED = "Failed"
    CANCELED = "Canceled"
    TERMINATED = "Terminated"
    PENDING = "Pending"
    SUSPENDED = "Suspended"

    @property
    def terminal(self) -> bool:
        """Whether an instance has ended."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    (
        RuntimeStatus.COMPLETED,
        RuntimeStatus.FAILED,
        RuntimeStatus.CANCELED,
        RuntimeStatus.TERMINATED,
    )
)


class Row(Protocol):
    """A row of the instance table; times are in seconds since the epoch."""

    @property
    def instance_id(self) -> str:
        """The id, unique within the hub."""
        ...

    @property
    def name(self) -> str:
        """The orchestrator, or the id of an entity."""
        ...

    @property
    def version(self) -> str | None:
        """The version that it was started with, usually `None`."""
        ...

    @property
    def parent_id(self) -> str | None:
        """The parent of a sub-orchestration."""
        ...

    @property
    def status(self) -> RuntimeStatus:
        """The runtime status."""
        ...

    @property
    def input(self) -> JsonValue:
        """The input."""
        ...

    @property
    def custom_status(self) -> JsonValue:
        """The custom status."""
        ...

    @property
    def output(self) -> JsonValue:
        """The result, the failure, or the reason of an intervention."""
        ...

    @property
    def created(self) -> float:
        """When this generation was scheduled."""
        ...

    @property
    def updated(self) -> float:
        """When the last checkpoint was written."""
        ...

    @property
    def history(self) -> Sequence[Event]:
        """The raw events of this generation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An orchestration instance as of its last checkpoint."""

    instance_id: str
    name: str
    status: RuntimeStatus
    created: float
    updated: float
    input: JsonValue = None
    custom_status: JsonValue = None
    output: JsonValue = None
    history: tuple[Event, ...] = ()
    version: str | None = None
    parent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """
    An entity; the class is in lower case, the state that of an existing one.

    `queue` and `sorter` are internals of its scheduler, as JSON. `intervened` is when it was
    suspended or terminated, with the reason as `output`. `made` is its createdTime, where the
    provider keeps the one of its row. `shows_exists`: the scheduler's state includes `exists`.
    """

    class_name: str
    key: str
    last_operation: float
    state: JsonValue = None
    exists: bool = True
    locked_by: str | None = None
    queue: Sequence[JsonValue] = ()
    sorter: JsonValue = field(default_factory=dict)
    status: RuntimeStatus = RuntimeStatus.RUNNING
    output: JsonValue = None
    intervened: float | None = None
    made: float | None = None
    shows_exists: bool = True

    @property
    def instance_id(self) -> str:
        """The instance id of the entity."""
        return f"@{self.class_name}@{self.key}"

    @property
    def name(self) -> str:
        """The instance id, as in the instance table of Azure Storage."""
        return self.instance_id

    @property
    def version(self) -> None:
        """Always `None`."""
        return

    @property
    def parent_id(self) -> None:
        """Always `None`."""
        return

    @property
    def created(self) -> float:
        """The last batch of operations, which is a new generation, or `made`."""
        return self.last_operation if self.made is None else self.made

    @property
    def updated(self) -> float:
        """The last batch of operations or intervention."""
        return self.last_operation if self.intervened is None else self.intervened

    @property
    def custom_status(self) -> JsonValue:
        """Existence, backlog and lock, where not the default."""
        status: dict[str, JsonValue] = {}
        if self.exists:
            status["entityExists"] = True
        if self.queue:
            status["queueSize"] = len(self.queue)
        if self.locked_by is not None:
            status["lockedBy"] = self.locked_by
        return status

    @property
    def input(self) -> JsonValue:
        """The scheduler's state, with the entity's state as JSON text."""
        scheduler: dict[str, JsonValue] = {}
        if self.exists:
            scheduler |= {"exists": True} if self.shows_exists else {}
            scheduler["state"] = compact(self.state)
        if self.queue:
            scheduler["queue"] = list(self.queue)
        if self.locked_by is not None:
            scheduler["lockedBy"] = self.locked_by
        scheduler["sorter"] = self.sorter
        return scheduler

    @property
    def history(self) -> tuple[Event, ...]:
        """The start of the current generation."""
        state = compact(self.input)
        return (execution_started(self.last_operation, self.name, state, generation=None),)
