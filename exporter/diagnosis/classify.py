"""What an instance waits on, by its row and its history (reference 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest

import msgspec

from exporter.api.times import later, parse_time
from exporter.api.wire import InstanceStatus
from exporter.diagnosis.messages import Messages
from exporter.diagnosis.timeline import (
    CHILD_CREATED,
    CONTINUE_AS_NEW,
    EXECUTION_COMPLETED,
    EXECUTION_RESUMED,
    EXECUTION_SUSPENDED,
    EXECUTION_TERMINATED,
    TASK_SCHEDULED,
    Timeline,
)
from exporter.diagnosis.timers import HTTP_ACTIVITY, Timers, poll_began
from exporter.diagnosis.waits import Wait, WaitingOn, bounded_wait, unknown
from exporter.ledger.status import TERMINAL, RuntimeStatus, known_status

# Of a large fan-out the oldest few waits tell enough.
_MOST_WAITS = 8
# Until an instance starts, its row is written once, within seconds of its createdTime.
_REWOUND_AFTER = 60.0
_CONTINUED = RuntimeStatus.CONTINUED_AS_NEW.value


class Reading(msgspec.Struct, frozen=True, gc=False):
    """
    What the row and the history of an instance tell.

    `waits` are what it may wait on, the likeliest first, and none if it is finished. `timer` is the
    wait for the timer that comes first, whatever else it waits on. `needs_inputs` tells that only
    the history with inputs decides.
    """

    waits: tuple[Wait, ...]
    timer: Wait | None = None
    needs_inputs: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the instance has ended."""
        return not self.waits


def classify(status: InstanceStatus, *, inputs: bool = False) -> Reading:
    """
    Say what an instance waits on; *inputs* tells whether its history was read with inputs.

    Whether a timer is overdue is for `Wait.as_of` to say. Never raises.
    """
    known = known_status(status.runtime_status)
    if known in TERMINAL:
        return Reading(())
    updated = last_touched(status)
    if known is RuntimeStatus.PENDING:
        kind = told_by_status(
            known, parse_time(status.created_time), parse_time(status.last_updated_time)
        )
        return Reading((Wait(kind or WaitingOn.UNKNOWN, since=updated),))
    if not status.history_events:
        return Reading((_without_history(known, updated),))
    timeline = Timeline(status.history_events)
    end = _end(timeline)
    if end is not None:
        return Reading((end,))
    suspended = _suspended(timeline, known, updated)
    if suspended is not None:
        return Reading((suspended,))
    return _open_waits(timeline, updated, inputs=inputs)


def told_by_status(
    status: RuntimeStatus, created: float | None, updated: float | None
) -> WaitingOn | None:
    """
    Return what the row alone tells of what an instance waits on, None if its history is to be read.

    A rewound instance is shown as Pending with its old createdTime, also while it runs, and of what
    is Pending no history is shown: nobody can say what it waits on.
    """
    if status is RuntimeStatus.PENDING:
        is_rewound = (updated or 0.0) - (created or float("inf")) > _REWOUND_AFTER
        return WaitingOn.UNKNOWN if is_rewound else WaitingOn.NOT_STARTED
    return WaitingOn.SUSPENDED if status is RuntimeStatus.SUSPENDED else None


def last_touched(status: InstanceStatus) -> float | None:
    """Return the later of createdTime and lastUpdatedTime: a rewound row keeps the former."""
    return later(parse_time(status.created_time), parse_time(status.last_updated_time))


def _without_history(known: RuntimeStatus, updated: float | None) -> Wait:
    if known is RuntimeStatus.SUSPENDED:
        return Wait(WaitingOn.SUSPENDED, since=updated)
    return unknown(updated)


def _end(timeline: Timeline) -> Wait | None:
    """Return the wait of an instance whose history has ended, though its row has not."""
    ends = list(timeline.of_type(EXECUTION_COMPLETED, EXECUTION_TERMINATED, CONTINUE_AS_NEW))
    if not ends:
        return None
    _, event, ended = ends[-1]
    is_continued = event.event_type == CONTINUE_AS_NEW or event.orchestration_status == _CONTINUED
    kind = WaitingOn.NOT_STARTED if is_continued else WaitingOn.FINISHED_IN_HISTORY
    return Wait(kind, since=ended)


def _suspended(timeline: Timeline, known: RuntimeStatus, updated: float | None) -> Wait | None:
    """Return the wait of a suspended instance: its history is ahead of its row (reference 2.8)."""
    said = list(timeline.of_type(EXECUTION_SUSPENDED, EXECUTION_RESUMED))
    if not said:
        is_suspended = known is RuntimeStatus.SUSPENDED
        return Wait(WaitingOn.SUSPENDED, since=updated) if is_suspended else None
    _, event, since = said[-1]
    if event.event_type == EXECUTION_RESUMED:
        return None
    return Wait(WaitingOn.SUSPENDED, since=since)


def _open_waits(timeline: Timeline, updated: float | None, *, inputs: bool) -> Reading:
    """
    Return all that a running instance may wait on.

    What was scheduled together with a timer that has fired lost the race, as a rule, so it comes
    last; of the rest, what was scheduled first.
    """
    timers = Timers(timeline)
    messages = Messages(timeline, inputs=inputs)
    lost = timers.deadlines_passed()
    firm: list[Wait] = []
    overtaken: list[Wait] = []
    for wait, scheduled in (*_scheduled(timeline), *messages.waits):
        has_lost = bool(lost) and timeline.has_one_of_turn(scheduled, lost)
        (overtaken if has_lost else firm).append(wait)
    timer = timers.awaited()
    timer_wait = None if timer is None else timers.wait_for(timer)
    waits = [*nsmallest(_MOST_WAITS, firm, key=_age), *([timer_wait] if timer_wait else ())]
    waits += nsmallest(_MOST_WAITS, overtaken, key=_age)
    if not waits:
        may_wait = messages.may_wait or timeline.left_out
        kind = WaitingOn.UNKNOWN if may_wait else WaitingOn.EXTERNAL_EVENT
        waits = [Wait(kind, since=timeline.last_progress() or updated)]
    bounded = tuple(map(bounded_wait, waits[:_MOST_WAITS]))
    timer_wait = timer_wait and bounded_wait(timer_wait)
    return Reading(bounded, timer_wait, messages.may_wait and not inputs)


def _scheduled(timeline: Timeline) -> Iterator[tuple[Wait, float | None]]:
    """Yield what was scheduled and has no result, and when it was scheduled."""
    for place, event, scheduled in timeline.of_type(TASK_SCHEDULED, CHILD_CREATED):
        name = event.name or ""
        if event.event_type == CHILD_CREATED:
            child = event.instance_id or None
            yield Wait(WaitingOn.SUB_ORCHESTRATION, name, scheduled, child_id=child), scheduled
        elif name == HTTP_ACTIVITY:
            began = poll_began(timeline, place)
            yield Wait(WaitingOn.HTTP_POLL, name, began), scheduled
        else:
            yield Wait(WaitingOn.ACTIVITY, name, scheduled), scheduled


def _age(wait: Wait) -> float:
    return float("inf") if wait.since is None else wait.since
