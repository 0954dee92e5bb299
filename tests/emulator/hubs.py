"""What tests do to a hub: fill it, move its clock, start, wait, look at what came of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint

from emulator import EntityId, Instance, ManualClock, RuntimeStatus, TaskHub
from emulator.json_text import JsonValue, compact
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import Entity, Row
from tests.emulator.conftest import NOW


def instance(
    instance_id: str,
    status: RuntimeStatus = RuntimeStatus.RUNNING,
    *,
    name: str = "ProcessOrder",
    created: float = NOW - 60,
    updated: float = NOW - 30,
    argument: JsonValue = None,
    output: JsonValue = None,
) -> Instance:
    return Instance(
        instance_id=instance_id,
        name=name,
        status=status,
        created=created,
        updated=updated,
        input=argument,
        output=output,
    )


def set_clock(hub: TaskHub, now: float) -> None:
    assert isinstance(hub.clock, ManualClock)
    hub.clock.set(now)
    hub.advance()


def move(hub: TaskHub, seconds: float) -> None:
    set_clock(hub, hub.clock.now() + seconds)


def rows(hub: TaskHub) -> list[Row]:
    return [*hub.instances(), *hub.entities()]


def instance_of(hub: TaskHub, instance_id: str) -> Instance:
    row = hub.get(instance_id)
    assert isinstance(row, Instance)
    return row


def status_of(hub: TaskHub, instance_id: str) -> RuntimeStatus:
    return instance_of(hub, instance_id).status


_TICK_SECONDS = 0.1


@asynccontextmanager
async def passing(clock: ManualClock) -> AsyncIterator[None]:
    """Move a clock on and on while the context lasts."""

    async def tick() -> None:
        while True:
            await checkpoint()
            clock.advance(_TICK_SECONDS)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


# Long enough for anything that does not wait on purpose.
SETTLING_SECONDS = 5.0


def start(hub: TaskHub, name: str, argument: JsonValue = None, instance_id: str = "it") -> None:
    text = None if argument is None else compact(argument)
    hub.engine.start(name, instance_id, text, hub.clock.now())


def run(
    hub: TaskHub,
    name: str,
    argument: JsonValue = None,
    *,
    instance_id: str = "it",
    seconds: float = SETTLING_SECONDS,
) -> Instance:
    start(hub, name, argument, instance_id)
    move(hub, seconds)
    return instance_of(hub, instance_id)


def tell(hub: TaskHub, event: str, value: JsonValue = None, instance_id: str = "it") -> Instance:
    hub.engine.raise_event(instance_id, event, compact(value), hub.clock.now())
    move(hub, SETTLING_SECONDS)
    return instance_of(hub, instance_id)


def signal(hub: TaskHub, entity: EntityId, operation: str, value: JsonValue = None) -> Entity:
    hub.engine.signal(entity.name, entity.key, operation, compact(value), hub.clock.now())
    move(hub, SETTLING_SECONDS)
    return entity_of(hub, entity)


def entity_of(hub: TaskHub, entity: EntityId) -> Entity:
    row = hub.get(str(entity))
    assert isinstance(row, Entity)
    return row


def events(row: Instance, kind: EventKind) -> list[Event]:
    return [event for event in row.history if event.kind is kind]


def kinds(row: Instance) -> list[EventKind]:
    """Return the kinds of all events but those that begin a turn."""
    return [e.kind for e in row.history if e.kind is not EventKind.ORCHESTRATOR_STARTED]
