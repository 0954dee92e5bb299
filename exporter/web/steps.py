"""The history of one instance as readable steps; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent
from exporter.diagnosis.history import (
    CHILD_COMPLETED,
    CHILD_CREATED,
    CHILD_FAILED,
    TASK_COMPLETED,
    TASK_FAILED,
    TASK_SCHEDULED,
    TIMER_CREATED,
    TIMER_FIRED,
)
from exporter.diagnosis.past import message_of
from exporter.web.formatting import rfc3339

_WORDS = {
    "ExecutionStarted": "started",
    "ExecutionCompleted": "ended",
    "ExecutionTerminated": "terminated",
    "ExecutionSuspended": "suspended",
    "ExecutionResumed": "resumed",
    "ExecutionRewound": "rewound",
    "ContinueAsNew": "continued as new",
    "EventRaised": "event received",
    "EventSent": "message sent",
    TASK_SCHEDULED: "activity, no result yet",
    TASK_COMPLETED: "activity",
    TASK_FAILED: "activity failed",
    CHILD_CREATED: "sub-orchestration, no result yet",
    CHILD_COMPLETED: "sub-orchestration",
    CHILD_FAILED: "sub-orchestration failed",
    TIMER_CREATED: "timer, not fired yet",
    TIMER_FIRED: "timer",
}
_ENDED = frozenset((TASK_COMPLETED, TASK_FAILED, CHILD_COMPLETED, CHILD_FAILED))
_OPEN = frozenset((TASK_SCHEDULED, CHILD_CREATED))


class Step(msgspec.Struct, frozen=True):
    """
    One event of a history.

    `seconds` is its duration, so far if `is_open`. `reason` is the app's message of a failure.
    """

    time: str | None
    event: str
    what: str
    name: str
    seconds: float | None
    is_open: bool
    instance_id: str | None
    fire_time: str | None
    reason: str | None


def steps_of(events: Sequence[HistoryEvent], at: float) -> Iterator[Step]:
    """
    Yield the steps of a history as of *at*, by the server's clock.

    A call with a result is at the time of its result: the API omits its own event.
    """
    fired = {event.fire_at for event in events if event.event_type == TIMER_FIRED}
    for event in events:
        kind = event.event_type
        if kind == TIMER_CREATED and event.fire_at in fired:
            continue
        is_open = kind in _OPEN or kind == TIMER_CREATED
        moment = parse_time(event.fire_at if kind == TIMER_FIRED else event.timestamp)
        yield Step(
            time=rfc3339(moment),
            event=kind,
            what=_WORDS.get(kind, kind),
            name=event.name or event.function_name or "",
            seconds=_seconds(event, at),
            is_open=is_open,
            instance_id=event.instance_id,
            fire_time=rfc3339(parse_time(event.fire_at)),
            reason=message_of(event),
        )


def _seconds(event: HistoryEvent, at: float) -> float | None:
    """Return how long a step took, or has taken so far."""
    began: str | None = event.timestamp
    ended: float | None = at
    if event.event_type in _ENDED:
        began, ended = event.scheduled_time, parse_time(event.timestamp)
    elif event.event_type == TIMER_FIRED:
        ended = parse_time(event.fire_at)
    elif event.event_type not in _OPEN and event.event_type != TIMER_CREATED:
        return None
    start = parse_time(began)
    return None if start is None or ended is None else round(max(0.0, ended - start), 3)
