"""What tests of the engine do to a hub: start, wait, and look at what came of it."""

from emulator import EntityId, Instance, TaskHub
from emulator.json_text import JsonValue, compact
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import Entity
from tests.emulator.moving import instance_of, move

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
