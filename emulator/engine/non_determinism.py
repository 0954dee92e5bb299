"""Whether a replay asks for what its history says, and DurableTask.Core's sentence if not."""

from emulator.engine.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    SendToEntity,
    SetTimer,
    recorded_as,
)
from emulator.storage.history import Event, EventKind

_PRODUCED: dict[type[Action], str] = {
    CallActivity: "ScheduleTaskOrchestratorAction",
    CallSubOrchestrator: "CreateSubOrchestrationAction",
    SetTimer: "CreateTimerOrchestratorAction",
    SendToEntity: "SendEventOrchestratorAction",
}
_QUESTION = (
    "Was a change made to the orchestrator code after this instance had already started running?"
)
_NOT_YET = "but the current replay execution hasn't (yet?) scheduled this task."
_INSTEAD = "but the current orchestration replay instead"


def is_same(event: Event, action: Action) -> bool:
    """Tell whether an event is that of an action; names are compared ignoring case."""
    name = str(event.fields.get("Name", ""))
    return recorded_as(action) is event.kind and _name(action).casefold() == name.casefold()


def mismatch(event: Event, action: Action | None) -> str:
    """Return the sentence for an event of which the replay asked *action* instead, or nothing."""
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
        # Two blanks follow, as in the original.
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
