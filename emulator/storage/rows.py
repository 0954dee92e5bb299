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
        """Whether nothing more happens to an instance by itself."""
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
    """What a listing of instances shows; times are full precision seconds since the epoch."""

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
        """The version that it was started with, `None` for most."""
        ...

    @property
    def parent_id(self) -> str | None:
        """The instance that started it as a sub-orchestration, `None` for all others."""
        ...

    @property
    def status(self) -> RuntimeStatus:
        """The runtime status."""
        ...

    @property
    def input(self) -> JsonValue:
        """What it was started with."""
        ...

    @property
    def custom_status(self) -> JsonValue:
        """What it says about itself."""
        ...

    @property
    def output(self) -> JsonValue:
        """The result, the failure, or the reason of whoever intervened."""
        ...

    @property
    def created(self) -> float:
        """When this generation was scheduled."""
        ...

    @property
    def updated(self) -> float:
        """When it last wrote a checkpoint."""
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
    An entity: the class in lower case, its key, and its state while it exists.

    `queue` and `sorter` are internals of its scheduler, as the row shows them. `updated` is the
    last operation, unless somebody suspended or terminated it; then `output` is the reason. `made`
    is when its row was made, where the provider keeps that as its createdTime. `shows_exists`: the
    scheduler's state says so.
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
        """The id of the orchestration that runs the entity."""
        return f"@{self.class_name}@{self.key}"

    @property
    def name(self) -> str:
        """The whole id: on Azure Storage an entity has no other name in the instance table."""
        return self.instance_id

    @property
    def version(self) -> None:
        """Nothing: entities have no versions."""
        return

    @property
    def parent_id(self) -> None:
        """Nothing: nobody starts an entity."""
        return

    @property
    def created(self) -> float:
        """The last batch of operations, each of which starts a new generation, or its first row."""
        return self.last_operation if self.made is None else self.made

    @property
    def updated(self) -> float:
        """The last batch of operations, or when somebody intervened."""
        return self.last_operation if self.intervened is None else self.intervened

    @property
    def custom_status(self) -> JsonValue:
        """What differs from the default: existence, backlog and lock."""
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
        """The scheduler's own state, in which the entity's state is JSON text."""
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
        """The start of the current generation and nothing else."""
        state = compact(self.input)
        return (execution_started(self.last_operation, self.name, state, generation=None),)
