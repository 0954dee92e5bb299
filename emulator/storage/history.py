"""
Histories: events as stored, and as the API shows them.

Stored events have task numbers, by which the API merges a result with its scheduling event; it
shows neither the numbers nor the merged event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from emulator.json_text import JsonValue
from emulator.times import precise, precise_with_offset


class EventKind(StrEnum):
    """Kinds of events; the API shows all but the first."""

    ORCHESTRATOR_STARTED = "OrchestratorStarted"
    EXECUTION_STARTED = "ExecutionStarted"
    EXECUTION_COMPLETED = "ExecutionCompleted"
    EXECUTION_SUSPENDED = "ExecutionSuspended"
    EXECUTION_RESUMED = "ExecutionResumed"
    EXECUTION_TERMINATED = "ExecutionTerminated"
    TASK_SCHEDULED = "TaskScheduled"
    TASK_COMPLETED = "TaskCompleted"
    TASK_FAILED = "TaskFailed"
    SUB_ORCHESTRATION_CREATED = "SubOrchestrationInstanceCreated"
    SUB_ORCHESTRATION_COMPLETED = "SubOrchestrationInstanceCompleted"
    SUB_ORCHESTRATION_FAILED = "SubOrchestrationInstanceFailed"
    TIMER_CREATED = "TimerCreated"
    TIMER_FIRED = "TimerFired"
    EVENT_SENT = "EventSent"
    EVENT_RAISED = "EventRaised"
    GENERIC_EVENT = "GenericEvent"


_SCHEDULING = frozenset((EventKind.TASK_SCHEDULED, EventKind.SUB_ORCHESTRATION_CREATED))
_HIDDEN = frozenset((EventKind.ORCHESTRATOR_STARTED,))
_ANSWERS: Mapping[EventKind, EventKind] = {
    EventKind.TASK_COMPLETED: EventKind.TASK_SCHEDULED,
    EventKind.TASK_FAILED: EventKind.TASK_SCHEDULED,
    EventKind.SUB_ORCHESTRATION_COMPLETED: EventKind.SUB_ORCHESTRATION_CREATED,
    EventKind.SUB_ORCHESTRATION_FAILED: EventKind.SUB_ORCHESTRATION_CREATED,
}


class HistoryRefused(Exception):
    """The API cannot show a history in which a callee was renamed while the instance ran."""

    def __init__(self, kind: EventKind, task: int) -> None:
        super().__init__(f"An item with the same key has already been added. Key: {kind}_{task}")


@dataclass(frozen=True, slots=True)
class Event:
    """
    A stored event.

    `task` is the number of a scheduled task in its scheduling event and result, else `None`.
    `fields` are those of the API, in its order; it shows `Input` and `Result` on request.
    """

    kind: EventKind
    timestamp: float
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    task: int | None = None


def orchestrator_started(at: float) -> Event:
    """Begin a turn, at the time that the orchestrator sees."""
    return Event(EventKind.ORCHESTRATOR_STARTED, at)


def execution_started(
    at: float, name: str, input_text: str | None, *, generation: int | None = 0
) -> Event:
    """Start a generation; only the first has a number."""
    fields: dict[str, JsonValue] = {
        "Input": input_text,
        "Correlation": None,
        "ParentTraceContext": None,
        "ScheduledStartTime": None,
        "Generation": generation,
        "GenerateNewTrace": False,
        "FunctionName": name,
    }
    return Event(EventKind.EXECUTION_STARTED, at, fields)


def execution_completed(
    at: float, status: str, result: JsonValue, failure_details: JsonValue = None
) -> Event:
    """End an instance with a status of the API."""
    fields = {"OrchestrationStatus": status, "Result": result, "FailureDetails": failure_details}
    return Event(EventKind.EXECUTION_COMPLETED, at, fields)


def execution_suspended(at: float, reason: str | None) -> Event:
    """Suspend an instance."""
    return Event(EventKind.EXECUTION_SUSPENDED, at, {"Reason": reason})


def execution_resumed(at: float, reason: str | None) -> Event:
    """Resume an instance."""
    return Event(EventKind.EXECUTION_RESUMED, at, {"Reason": reason})


def execution_terminated(at: float, reason: str | None) -> Event:
    """Terminate an instance; the reason is the input."""
    return Event(EventKind.EXECUTION_TERMINATED, at, {"Input": reason})


def task_scheduled(at: float, task: int, name: str, tags: JsonValue = None) -> Event:
    """Schedule an activity; its input is not stored."""
    fields = {"Name": name, "Input": None, "ParentTraceContext": None, "Tags": tags}
    return Event(EventKind.TASK_SCHEDULED, at, fields, task)


def task_completed(at: float, task: int, result: JsonValue) -> Event:
    """Complete an activity."""
    return Event(EventKind.TASK_COMPLETED, at, {"Result": result}, task)


def task_failed(
    at: float,
    task: int,
    reason: str,
    details: str | None = None,
    failure_details: JsonValue = None,
) -> Event:
    """Fail an activity; *details* is the exception as JSON text."""
    return Event(EventKind.TASK_FAILED, at, _failure(reason, details, failure_details), task)


def sub_orchestration_created(
    at: float,
    task: int,
    name: str,
    instance_id: str,
    input_text: str | None = None,
    *,
    span_id: str | None = None,
    tags: JsonValue = None,
) -> Event:
    """Schedule a sub-orchestration."""
    fields = {
        "Name": name,
        "InstanceId": instance_id,
        "Input": input_text,
        "ClientSpanId": span_id,
        "Tags": tags,
    }
    return Event(EventKind.SUB_ORCHESTRATION_CREATED, at, fields, task)


def sub_orchestration_completed(at: float, task: int, result: JsonValue) -> Event:
    """Complete a sub-orchestration."""
    return Event(EventKind.SUB_ORCHESTRATION_COMPLETED, at, {"Result": result}, task)


def sub_orchestration_failed(
    at: float, task: int, reason: str, details: str | None, failure_details: JsonValue = None
) -> Event:
    """Fail a sub-orchestration."""
    fields = _failure(reason, details, failure_details)
    return Event(EventKind.SUB_ORCHESTRATION_FAILED, at, fields, task)


def timer_created(at: float, fire_at: float, task: int | None = None) -> Event:
    """Set a timer."""
    return Event(EventKind.TIMER_CREATED, at, {"FireAt": precise(fire_at)}, task)


def timer_fired(created: float, fire_at: float, task: int | None = None) -> Event:
    """Fire a timer, with the time of its creation as timestamp, as the real one does."""
    return Event(EventKind.TIMER_FIRED, created, {"FireAt": precise(fire_at)}, task)


def event_raised(at: float, name: str, input_text: str | None) -> Event:
    """Deliver an external event, or the response of an entity."""
    fields = {"Name": name, "Input": input_text, "ParentTraceContext": None}
    return Event(EventKind.EVENT_RAISED, at, fields)


def event_sent(at: float, target: str, name: str, message: str, task: int | None = None) -> Event:
    """Send a message to an entity."""
    fields = {"InstanceId": target, "Name": name, "Input": message}
    return Event(EventKind.EVENT_SENT, at, fields, task)


def generic_event(at: float, data: str | None) -> Event:
    """Add the placeholder that a rewind leaves for a removed event."""
    return Event(EventKind.GENERIC_EVENT, at, {"Data": data})


def _failure(reason: str, details: str | None, failure_details: JsonValue) -> dict[str, JsonValue]:
    return {"Reason": reason, "Details": details, "FailureDetails": failure_details}


def shown(events: Sequence[Event], *, inputs: bool, results: bool) -> list[dict[str, JsonValue]]:
    """
    Return the events as the API shows them: results merged with their scheduling events.

    Raises `HistoryRefused` if two were scheduled under one number.
    """
    scheduled: dict[tuple[EventKind, int | None], Event] = {}
    for event in events:
        if event.kind in _SCHEDULING and event.task is not None:
            if (event.kind, event.task) in scheduled:
                raise HistoryRefused(event.kind, event.task)
            scheduled[event.kind, event.task] = event
    answered = {_cause_key(event) for event in events if event.kind in _ANSWERS}
    causes = (scheduled.get(_cause_key(e)) if e.kind in _ANSWERS else None for e in events)
    return [
        dict(_fields(event, cause, inputs=inputs, results=results))
        for event, cause in zip(events, causes, strict=True)
        if event.kind not in _HIDDEN and (event.kind, event.task) not in answered
    ]


def _cause_key(event: Event) -> tuple[EventKind, int | None]:
    return _ANSWERS.get(event.kind, event.kind), event.task


def _fields(
    event: Event, cause: Event | None, *, inputs: bool, results: bool
) -> Iterator[tuple[str, JsonValue]]:
    hidden = {"FunctionName", "Data"}
    hidden |= set() if inputs else {"Input"}
    hidden |= set() if results else {"Result"}
    if "Data" in event.fields:  # comes before the type
        yield "Data", event.fields["Data"]
    yield "EventType", event.kind.value
    yield from ((name, value) for name, value in event.fields.items() if name not in hidden)
    yield "Timestamp", precise(event.timestamp)
    if "FunctionName" in event.fields:
        yield "FunctionName", event.fields["FunctionName"]
    if cause is not None:
        yield from _cause(cause, inputs=inputs)


def _cause(cause: Event, *, inputs: bool) -> Iterator[tuple[str, JsonValue]]:
    yield "ScheduledTime", precise_with_offset(cause.timestamp)
    yield "FunctionName", cause.fields["Name"]
    if "InstanceId" in cause.fields:
        yield "InstanceId", cause.fields["InstanceId"]
    if inputs:
        yield "Input", cause.fields["Input"]
