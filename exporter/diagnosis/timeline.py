"""The events of a history in order, and which of them belong to one turn."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent

EXECUTION_STARTED = "ExecutionStarted"
EXECUTION_COMPLETED = "ExecutionCompleted"
EXECUTION_SUSPENDED = "ExecutionSuspended"
EXECUTION_RESUMED = "ExecutionResumed"
EXECUTION_TERMINATED = "ExecutionTerminated"
EXECUTION_REWOUND = "ExecutionRewound"
CONTINUE_AS_NEW = "ContinueAsNew"
TASK_SCHEDULED = "TaskScheduled"
TASK_COMPLETED = "TaskCompleted"
TASK_FAILED = "TaskFailed"
CHILD_CREATED = "SubOrchestrationInstanceCreated"
CHILD_COMPLETED = "SubOrchestrationInstanceCompleted"
CHILD_FAILED = "SubOrchestrationInstanceFailed"
TIMER_CREATED = "TimerCreated"
TIMER_FIRED = "TimerFired"
EVENT_SENT = "EventSent"
EVENT_RAISED = "EventRaised"
GENERIC_EVENT = "GenericEvent"

FAILURES = frozenset((TASK_FAILED, CHILD_FAILED))
RESULTS = frozenset((TASK_COMPLETED, CHILD_COMPLETED)) | FAILURES
# Events that wake an orchestrator. Suspending and resuming answer none of its waits.
WAKING = RESULTS | frozenset((EXECUTION_STARTED, TIMER_FIRED, EVENT_RAISED, EXECUTION_REWOUND))

# Of a longer history the last events decide, unless the awaited one is older.
MOST_EVENTS = 100_000
# The events that one turn writes are microseconds apart.
_LONGEST_TURN = 5.0


class Timeline:
    """
    The last 100,000 events of a history, in the order of the answer; `left_out` counts the others.

    `moments` are their times. That of `TimerFired` is its `FireAt`: its timestamp is when the timer
    was created (reference 3.4).
    """

    def __init__(self, events: Sequence[HistoryEvent]) -> None:
        self.events = tuple(events[-MOST_EVENTS:])
        self.left_out = len(events) - len(self.events)
        self.moments = tuple(_moment(event) for event in self.events)
        self._wakings = sorted(
            moment
            for event, moment in zip(self.events, self.moments, strict=True)
            if event.event_type in WAKING and moment is not None
        )

    def of_type(self, *event_types: str) -> Iterable[tuple[int, HistoryEvent, float | None]]:
        """Yield place, event and time of the events of some types."""
        for place, event in enumerate(self.events):
            if event.event_type in event_types:
                yield place, event, self.moments[place]

    def are_of_one_turn(self, one: float | None, other: float | None) -> bool:
        """Return whether two things were scheduled together, with no wake-up between."""
        if one is None or other is None or abs(one - other) > _LONGEST_TURN:
            return False
        earlier, later = min(one, other), max(one, other)
        return bisect_right(self._wakings, earlier) >= bisect_left(self._wakings, later)

    def has_one_of_turn(self, moment: float | None, ascending: Sequence[float]) -> bool:
        """Return whether any of the sorted moments is of one turn with a moment."""
        if moment is None:
            return False
        place = bisect_left(ascending, moment)
        nearest = ascending[max(0, place - 1) : place + 1]
        return any(self.are_of_one_turn(moment, near) for near in nearest)

    def last_progress(self) -> float | None:
        """Return when the orchestrator was last woken or did something."""
        known = [
            moment
            for event, moment in zip(self.events, self.moments, strict=True)
            if moment is not None
            and event.event_type not in (EXECUTION_SUSPENDED, EXECUTION_RESUMED)
        ]
        return max(known, default=None)


def _moment(event: HistoryEvent) -> float | None:
    if event.event_type == TIMER_FIRED:
        return parse_time(event.fire_at) or parse_time(event.timestamp)
    return parse_time(event.timestamp)
