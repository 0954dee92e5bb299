"""One orchestration instance, as the engine keeps it."""

from collections import Counter
from dataclasses import dataclass, field

from emulator.engine.execution import Run
from emulator.engine.queues import Queues
from emulator.json_text import JsonValue, parsed
from emulator.storage.history import Event
from emulator.storage.rows import Instance, RuntimeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Who waits for the end of an instance, and for which of its actions."""

    instance_id: str
    execution_id: str
    task: int


@dataclass(slots=True, kw_only=True)
class Orchestration:
    """
    A life of an instance: what is stored of it, and the messages that wait for its next turn.

    `runs` counts how often each activity was called, rewinds included. A restart of the id is a new
    life. Where row writes are lost, the row stays as it is while the history goes on.
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
    queues: Queues = field(default_factory=Queues)
    awake: bool = False
    busy_until: float = 0.0
    loses_row_writes: bool = False

    def row(self, updated: float) -> Instance:
        """Return the row that shows the instance as it is now."""
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
