"""Actions of orchestrators, numbered per generation, and the check of a replay against them."""

from dataclasses import dataclass

from emulator.json_text import JsonValue
from emulator.storage.history import Event, EventKind

_QUESTION = (
    "Was a change made to the orchestrator code after this instance had already started running?"
)
_NOT_YET = "but the current replay execution hasn't (yet?) scheduled this task."
_INSTEAD = "but the current orchestration replay instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallActivity:
    """Run an activity."""

    number: int
    name: str
    argument: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSubOrchestrator:
    """Start an instance that reports its end to the caller."""

    number: int
    name: str
    instance_id: str
    input_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Wake the instance at a time in seconds since the epoch."""

    number: int
    fire_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToEntity:
    """Send a message to an entity: `event` is its kind, `request` its content."""

    number: int
    target: str
    event: str
    request: "EntityRequest"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRequest:
    """
    A message to an entity.

    It requests a lock if `lockset` has entities, else an operation; `operation` is `None` for locks
    and their release. `parent` and `execution` are the sender's, `None` for a client. `sent` labels
    the message for ordering, `previous` is the label before it from the same sender.
    """

    request_id: str
    operation: str | None = None
    signal: bool = False
    input_text: str | None = None
    parent: str | None = None
    execution: str | None = None
    sent: float | None = None
    previous: float | None = None
    lockset: tuple[str, ...] = ()
    position: int = 0
    requested: float | None = None


Action = CallActivity | CallSubOrchestrator | SetTimer | SendToEntity

_EVENTS: dict[type[Action], EventKind] = {
    CallActivity: EventKind.TASK_SCHEDULED,
    CallSubOrchestrator: EventKind.SUB_ORCHESTRATION_CREATED,
    SetTimer: EventKind.TIMER_CREATED,
    SendToEntity: EventKind.EVENT_SENT,
}


_PRODUCED: dict[type[Action], str] = {
    CallActivity: "ScheduleTaskOrchestratorAction",
    CallSubOrchestrator: "CreateSubOrchestrationAction",
    SetTimer: "CreateTimerOrchestratorAction",
    SendToEntity: "SendEventOrchestratorAction",
}


def is_same(event: Event, action: Action) -> bool:
    """Return whether an event records an action; names match in any letter case."""
    name = str(event.fields.get("Name", ""))
    return _EVENTS[type(action)] is event.kind and _name(action).casefold() == name.casefold()


def mismatch(event: Event, action: Action | None) -> str:
    """Return the error of DurableTask.Core where a replay has *action* in place of an event."""
    number, name, target = event.task, event.fields.get("Name"), event.fields.get("InstanceId")
    match event.kind:
        case EventKind.TASK_SCHEDULED:
            what = _activity(number, name, action)
        case EventKind.TIMER_CREATED:
            what = _timer(number, action)
        case EventKind.SUB_ORCHESTRATION_CREATED:
            child = f"(version '', instance ID '{target}')"
            what = _sub_orchestration(f"{number} and name '{name}' {child}", action)
        case _:
            what = _event(number, name, target, action)
    before = "Non-Deterministic workflow detected: A previous execution of this orchestration"
    return f"{before} scheduled {what} {_QUESTION}"


def _activity(number: int | None, name: object, action: Action | None) -> str:
    task, here = "an activity task", "with this sequence number."
    if action is None:
        return f"{task} with sequence ID {number} and name '{name}' (version ''), {_NOT_YET}"
    scheduled = f"{task} with sequence number {number} named '{name}', {_INSTEAD}"
    if isinstance(action, CallActivity):
        # The original ends in two blanks.
        return f"{scheduled} scheduled {task} named '{action.name}' {here} "
    return f"{scheduled} produced a {_PRODUCED[type(action)]} action {here}"


def _timer(number: int | None, action: Action | None) -> str:
    timer = f"a timer task with sequence number {number}"
    if action is None:
        return f"{timer} {_NOT_YET}"
    produced = f"produced a {_PRODUCED[type(action)]} action with this sequence number."
    return f"{timer} named {_INSTEAD} {produced}"


def _sub_orchestration(which: str, action: Action | None) -> str:
    task, here = "a sub-orchestration task", "at this sequence number."
    child = f"{task} with sequence ID {which},"
    if action is None:
        return f"{child} {_NOT_YET}"
    if isinstance(action, CallSubOrchestrator):
        return f"{child} {_INSTEAD} scheduled {task} with name {action.name} {here}"
    return f"{child} {_INSTEAD} produced a {_PRODUCED[type(action)]} action {here}"


def _event(number: int | None, name: object, target: object, action: Action | None) -> str:
    comma = "" if action is None else ","
    sent = (
        f"a send event task with sequence ID {number}, type 'EventSent'{comma} name '{name}',"
        f" instance ID '{target}',"
    )
    if action is None:
        return f"{sent} {_NOT_YET}"
    return f"{sent} {_INSTEAD} scheduled a {_PRODUCED[type(action)]} task at this sequence number."


def _name(action: Action) -> str:
    if isinstance(action, CallActivity | CallSubOrchestrator):
        return action.name
    return action.event if isinstance(action, SendToEntity) else ""
