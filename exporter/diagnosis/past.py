"""What an instance has waited on in the past, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent
from exporter.diagnosis.messages import is_answer
from exporter.diagnosis.timeline import (
    CHILD_COMPLETED,
    CHILD_FAILED,
    EVENT_RAISED,
    EXECUTION_RESUMED,
    EXECUTION_STARTED,
    TASK_COMPLETED,
    TASK_FAILED,
    TIMER_FIRED,
    Timeline,
)
from exporter.diagnosis.waits import WaitingOn

_ENDED_BY = {
    TASK_COMPLETED: WaitingOn.ACTIVITY,
    TASK_FAILED: WaitingOn.ACTIVITY,
    CHILD_COMPLETED: WaitingOn.SUB_ORCHESTRATION,
    CHILD_FAILED: WaitingOn.SUB_ORCHESTRATION,
    TIMER_FIRED: WaitingOn.TIMER,
    EVENT_RAISED: WaitingOn.EXTERNAL_EVENT,
    EXECUTION_RESUMED: WaitingOn.SUSPENDED,
}


def longest_waits(events: Sequence[HistoryEvent]) -> dict[WaitingOn, float]:
    """
    Return the longest time that nothing happened, in seconds, by what ended it.

    `NOT_STARTED` is the time until a start that was scheduled for later. Never raises.
    """
    longest: dict[WaitingOn, float] = {}
    for waiting_on, seconds in _waits(Timeline(events)):
        longest[waiting_on] = max(seconds, longest.get(waiting_on, 0.0))
    return longest


def _waits(timeline: Timeline) -> Iterator[tuple[WaitingOn, float]]:
    before: float | None = None
    for moment, event in _in_time(timeline):
        at = moment
        if event.event_type == EXECUTION_STARTED:
            at = max(moment, parse_time(event.scheduled_start_time) or moment)
            if at > moment:
                yield WaitingOn.NOT_STARTED, at - moment
        elif before is not None and moment > before:
            yield _what_ended(event), moment - before
        before = at if before is None else max(before, at)


def _in_time(timeline: Timeline) -> list[tuple[float, HistoryEvent]]:
    """Return the events in the order in which they happened: answers are not always in it."""
    known = [
        (moment, event)
        for moment, event in zip(timeline.moments, timeline.events, strict=True)
        if moment is not None
    ]
    return sorted(known, key=lambda item: item[0])


def _what_ended(event: HistoryEvent) -> WaitingOn:
    if event.event_type == EVENT_RAISED and is_answer(event):
        return WaitingOn.ENTITY
    return _ENDED_BY.get(event.event_type, WaitingOn.UNKNOWN)
