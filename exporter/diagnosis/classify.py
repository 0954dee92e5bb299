"""What an instance waits on, by its row and history (reference 3.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest

import msgspec

from exporter.api.times import later, parse_time
from exporter.api.wire import HistoryEvent, InstanceStatus
from exporter.diagnosis.history import (
    CHILD_CREATED,
    CONTINUE_AS_NEW,
    EVENT_RAISED,
    EXECUTION_COMPLETED,
    EXECUTION_RESUMED,
    EXECUTION_STARTED,
    EXECUTION_SUSPENDED,
    EXECUTION_TERMINATED,
    TASK_SCHEDULED,
    Messages,
    Timeline,
    is_answer,
)
from exporter.diagnosis.timers import HTTP_ACTIVITY, Timers, poll_began
from exporter.diagnosis.waits import Wait, WaitingOn, bounded_wait, unknown
from exporter.ledger.status import TERMINAL, RuntimeStatus, known_status

# Of a large fan-out the oldest few waits of each kind suffice.
_MOST_CHILDREN = 4
_MOST_OTHERS = 2
# Before an instance starts, its row is written once, within seconds of its createdTime.
_REWOUND_AFTER = 60.0
_CONTINUED = RuntimeStatus.CONTINUED_AS_NEW.value
# The events of a history in which nothing has happened yet.
_BEGINNINGS = frozenset((EXECUTION_STARTED, EXECUTION_SUSPENDED, EXECUTION_RESUMED))


class Reading(msgspec.Struct, frozen=True, gc=False):
    """
    What the row and history of an instance show.

    `waits` are what it may wait on, those that lead to others first; none if it is finished.
    `older` was scheduled before and has no result: usually leftovers of a race. `timer` is the wait
    for the next timer, whatever else it waits on. `needs_inputs`: only the history with inputs
    decides. `is_partial`: only rows of others show the waits. `has_no_step`: nothing happened since
    the start. `gets_events`: an external event came.
    """

    waits: tuple[Wait, ...]
    timer: Wait | None = None
    needs_inputs: bool = False
    older: tuple[Wait, ...] = ()
    is_partial: bool = False
    has_no_step: bool = False
    gets_events: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the instance has ended."""
        return not self.waits


def classify(status: InstanceStatus, *, inputs: bool = False) -> Reading:
    """
    Return what an instance waits on; *inputs*: its history was read with inputs.

    `Wait.as_of` decides whether a timer is overdue. Never raises.
    """
    known = known_status(status.runtime_status)
    if known in TERMINAL:
        return Reading(())
    updated = last_touched(status)
    if known is RuntimeStatus.PENDING:
        kind = waiting_on_by_status(
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


def waiting_on_by_status(
    status: RuntimeStatus, created: float | None, updated: float | None
) -> WaitingOn | None:
    """
    Return what the row alone shows an instance to wait on, None if its history must be read.

    A rewound instance is shown as Pending with its old createdTime, even while it runs, and Pending
    instances have no history: its wait is unknown.
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
    """Return the wait of an instance whose history has ended, but not its row."""
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


def refused(status: InstanceStatus) -> Reading:
    """Return what an instance waits on whose history the server permanently refuses."""
    known = known_status(status.runtime_status)
    if known in TERMINAL:
        return Reading(())
    updated = last_touched(status)
    if known is RuntimeStatus.SUSPENDED:
        return Reading((Wait(WaitingOn.SUSPENDED, since=updated),))
    return Reading((Wait(WaitingOn.HISTORY_REFUSED, since=updated),))


def gets_events(events: Sequence[HistoryEvent]) -> bool:
    """Return whether an external event came to an instance with that history."""
    return any(event.event_type == EVENT_RAISED and not is_answer(event) for event in events)


def _open_waits(timeline: Timeline, updated: float | None, *, inputs: bool) -> Reading:
    """
    Return all that a running instance may wait on.

    Of what was scheduled, the latest turn is awaited; the rest usually lost a race. What the
    framework sets by itself, between two attempts or polls, belongs to no turn of the code.
    """
    timers, messages = Timers(timeline), Messages(timeline, inputs=inputs)
    awaited = timers.awaited()
    by_turn = [*_scheduled(timeline), *messages.waits]
    by_turn += [(timers.wait_for(each), each.created) for each in awaited if each.reason is None]
    latest = max((at for _, at in by_turn if at is not None), default=None)
    now: list[Wait] = []
    older: list[Wait] = []
    for wait, scheduled in by_turn:
        is_now = scheduled is None or timeline.are_of_one_turn(scheduled, latest)
        (now if is_now else older).append(wait)
    now += [timers.wait_for(each) for each in awaited if each.reason is not None]
    waits = _foremost(now)
    if not waits:
        may_wait = messages.may_wait or timeline.left_out
        kind = WaitingOn.UNKNOWN if may_wait else WaitingOn.EXTERNAL_EVENT
        since = timeline.last_progress() or updated
        waits = [Wait(kind, since=since, leftover=timers.leftover())]
    events = timeline.events
    return Reading(
        tuple(map(bounded_wait, waits)),
        bounded_wait(timers.wait_for(awaited[0])) if awaited else None,
        messages.may_wait and not inputs,
        older=tuple(map(bounded_wait, _foremost(older))),
        has_no_step=all(event.event_type in _BEGINNINGS for event in events),
        gets_events=gets_events(events),
    )


def _foremost(waits: Iterable[Wait]) -> list[Wait]:
    """Return the oldest few of every kind: first those that lead to others, timers last."""
    kinds: dict[int, list[Wait]] = defaultdict(list)
    for wait in waits:
        kinds[_rank(wait)].append(wait)
    return [
        wait
        for rank in sorted(kinds)
        for wait in nsmallest(_MOST_OTHERS if rank else _MOST_CHILDREN, kinds[rank], key=_age)
    ]


def _rank(wait: Wait) -> int:
    if wait.child_id is not None or wait.waiting_on is WaitingOn.SUB_ORCHESTRATION:
        return 0
    if wait.entity_ids:
        return 1
    return 2 if wait.fire_at is None else 3


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
    return wait.began if wait.fire_at is None else wait.fire_at
