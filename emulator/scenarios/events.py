"""Events of scenarios; each kind reads its fields and returns its action."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from emulator.emulator import Emulator
from emulator.engine.context import EntityId, OrchestrationContext
from emulator.engine.engine import Engine
from emulator.engine.functions import Disturbance, Functions, Steps
from emulator.engine.pace import Crash
from emulator.faults import read_fault
from emulator.json_text import JsonValue, compact
from emulator.scenarios.fields import FieldProblem, Fields
from emulator.task_hub import TaskHub

leak_functions = Functions()
"""The orchestrator of `leak_lock`."""

Action = Callable[[Emulator, TaskHub, float], None]
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    An event of a hub, by default the first.

    `at` is in seconds since the begin; every `every` seconds above 0 it is repeated. `where` names
    it in messages. `other` is a second hub of the event.
    """

    at: float
    every: float
    hub: str | None
    where: str
    action: Action
    other: str | None = None


def _start(fields: Fields) -> Action:
    name = fields.text("orchestrator")
    instance_id = fields.text("id", "")
    count = int(fields.number("count", 1, least=1))
    version = fields.text("version", "") or None
    later = fields.seconds("in", 0.0)
    text = _json_text(fields.json("input"))

    def act(_emulator: Emulator, hub: TaskHub, at: float) -> None:
        for number in range(count):
            suffix = f"-{number}" if count > 1 else ""
            made = f"{instance_id}{suffix}" if instance_id else hub.engine.new_instance_id()
            hub.engine.start(name, made, text, at, version=version, begin=at + later)

    return act


def _signal(fields: Fields) -> Action:
    class_name, key = _entity(fields)
    operation = fields.text("operation")
    count = int(fields.number("count", 1, least=1))
    text = _json_text(fields.json("input"))

    def act(_emulator: Emulator, hub: TaskHub, at: float) -> None:
        for _ in range(count):
            hub.engine.signal(class_name, key, operation, text, at)

    return act


def _raise_event(fields: Fields) -> Action:
    instance_id, name = fields.text("id"), fields.text("event")
    text = compact(fields.json("input"))
    return lambda _, hub, at: hub.engine.raise_event(instance_id, name, text, at)


def _intervention(
    intervene: Callable[[Engine, str, str | None, float], None], fields: Fields
) -> Action:
    instance_id, reason = fields.text("id"), fields.text("reason", "") or None
    return lambda _, hub, at: intervene(hub.engine, instance_id, reason, at)


def _lose_messages(fields: Fields) -> Action:
    instance_id = fields.text("id")
    return lambda _emulator, hub, _at: hub.engine.lose_messages(instance_id)


def _purge(fields: Fields) -> Action:
    age = fields.seconds("older_than", 0.0)
    return lambda _, hub, at: hub.purge_finished(before=at - age)


def _fail(fields: Fields) -> Action:
    error = fields.text("error", "The service answered 503")
    return _disturb(fields, error)


def _stall(fields: Fields) -> Action:
    return _disturb(fields, None)


def _disturb(fields: Fields, error: str | None) -> Action:
    activity = fields.text("activity")
    share = fields.number("share", 1.0)
    lasting = fields.seconds("for", 0.0)
    if not 0 < share <= 1:
        raise FieldProblem(f"{fields.where}: share must be above 0 and at most 1")
    disturbance = Disturbance(share=share, error=error)

    def act(_emulator: Emulator, hub: TaskHub, at: float) -> None:
        hub.engine.disturbances.begin(activity, disturbance)
        if lasting:
            hub.engine.at(at + lasting, lambda _: hub.engine.disturbances.end(activity))

    return act


def _crash(fields: Fields, *, answers: bool) -> Action:
    down = fields.seconds("for", _MINUTE)
    return lambda _, hub, at: hub.engine.host.crash(Crash(at=at, down=down, answers=answers))


def _hold_lock(context: OrchestrationContext) -> Steps:
    """Lock the entity of the input, then wait for an event that is never sent."""
    _, class_name, key = str(context.get_input()).split("@", 2)
    yield context.lock_entities(EntityId(class_name, key))
    yield context.wait_for_external_event("GiveItBack")
    return None


leak_functions.orchestrator(_hold_lock, name="LeakedLock")


def _leak_lock(fields: Fields) -> Action:
    class_name, key = _entity(fields)
    instance_id = fields.text("by", "lock-leak")
    text = compact(f"@{class_name}@{key}")
    return lambda _, hub, at: hub.engine.start("LeakedLock", instance_id, text, at)


def _fault(fields: Fields) -> Action:
    lasting = fields.seconds("for", 0.0)
    try:
        fault = read_fault(fields.rest())
    except ValueError as error:
        raise FieldProblem(f"{fields.where}: {error}") from error

    def act(_emulator: Emulator, hub: TaskHub, at: float) -> None:
        hub.faults.add(fault)
        if lasting:
            hub.engine.at(at + lasting, lambda _: hub.faults.remove(fault))

    return act


def _rotate_key(fields: Fields) -> Action:
    key = fields.text("key")
    return lambda emulator, _hub, _at: emulator.rotate_key(key)


def _own_hub(_fields: Fields) -> Action:
    return lambda emulator, hub, _at: emulator.set_own_hub(hub)


def _swap(fields: Fields) -> Action:
    other = fields.text("with")

    def act(emulator: Emulator, hub: TaskHub, _at: float) -> None:
        emulator.swap(hub, emulator.hubs[other.lower()])

    return act


EVENTS: Mapping[str, Callable[[Fields], Action]] = {
    "start": _start,
    "signal": _signal,
    "raise_event": _raise_event,
    "terminate": partial(_intervention, Engine.terminate),
    "suspend": partial(_intervention, Engine.suspend),
    "resume": partial(_intervention, Engine.resume),
    "rewind": partial(_intervention, Engine.rewind),
    "lose_messages": _lose_messages,
    "purge": _purge,
    "fail": _fail,
    "stall": _stall,
    "crash": partial(_crash, answers=False),
    "stop_worker": partial(_crash, answers=True),
    "leak_lock": _leak_lock,
    "fault": _fault,
    "rotate_key": _rotate_key,
    "own_hub": _own_hub,
    "swap": _swap,
}
"""The kinds of events by their name in `do`."""


def _entity(fields: Fields) -> tuple[str, str]:
    text = fields.text("entity")
    class_name, at, key = text.partition("@")
    if not at or not class_name:
        raise FieldProblem(f"{fields.where}: entity is {text!r}, which is not like counter@key")
    return class_name, key


def _json_text(value: JsonValue) -> str | None:
    return None if value is None else compact(value)
