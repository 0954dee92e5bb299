"""The events of a history: their order, their turns, and messages to and from entities."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.entities import decode_nested

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
_CALL = "op"


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


# Orchestrations name requests by UUIDs of version 5.
_REQUEST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class EntityName(msgspec.Struct):
    """The id of an entity, in two parts."""

    name: str
    key: str = ""


class Request(msgspec.Struct, rename="camel"):
    """A message to an entity (reference 3.4): a call, a signal, or a request for a lock."""

    id: str | None = None
    op: str | None = None
    signal: bool | None = None
    lockset: list[EntityName | str] | None = None
    is_lock_request: bool | None = msgspec.field(default=None, name="IsLockRequest")
    parent: str | None = None
    request_time: str | None = None
    timestamp: str | None = msgspec.field(default=None, name="Timestamp")

    @property
    def wants_lock(self) -> bool:
        """Whether the sender waits until it holds a lock."""
        return bool(self.lockset or self.is_lock_request)

    def entity_ids(self, target: str) -> tuple[str, ...]:
        """Return the entities that the sender waits for, in the order of locking."""
        locked = tuple(_entity_id(entity) for entity in self.lockset or ())
        return locked if target in locked else (target, *locked)


_REQUEST = msgspec.json.Decoder(Request)


def is_request(event: HistoryEvent) -> bool:
    """
    Return whether a sent message may be one that an entity answers.

    Signals look the same without their input; scheduled ones and releases have other names.
    """
    return (event.instance_id or "")[:1] == "@" and event.name == _CALL


def is_answer(event: HistoryEvent) -> bool:
    """Return whether a raised event looks, by its name, like an entity's answer."""
    return _REQUEST_ID.fullmatch(event.name or "") is not None


def class_of(entity_id: str) -> str:
    """Return the class of an entity by its id, in lower case."""
    return entity_id[1:].partition("@")[0].lower()


def decode_request(raw: msgspec.Raw) -> Request | None:
    """Decode a message to an entity; None if it is not one."""
    return decode_nested(_REQUEST, bytes(raw))


class Messages:
    """
    The messages of an instance to entities.

    Without inputs, `may_wait` is whether fewer answers came than requests were sent. With inputs,
    `waits` are those without an answer, and `may_wait` is whether one cannot be read.
    """

    def __init__(self, timeline: Timeline, *, inputs: bool) -> None:
        self.waits: list[tuple[Wait, float | None]] = []
        if not inputs:
            self.may_wait = _are_unanswered(timeline)
            return
        self.may_wait = False
        answers = Counter(event.name for _, event, _ in timeline.of_type(EVENT_RAISED))
        for _, event, sent in timeline.of_type(EVENT_SENT):
            if not is_request(event):
                continue
            request = decode_request(event.input)
            if request is None or request.id is None:
                self.may_wait = True
            elif not request.signal and not answers[request.id]:
                self.waits.append((wait_of(request, event.instance_id or "", sent), sent))


def wait_of(request: Request, entity_id: str, since: float | None) -> Wait:
    """Return what the sender of a message to an entity waits on."""
    kind = WaitingOn.ENTITY_LOCK if request.wants_lock else WaitingOn.ENTITY
    entity_ids = request.entity_ids(entity_id) if request.wants_lock else (entity_id,)
    return Wait(kind, class_of(entity_id), since, entity_ids=entity_ids, request_id=request.id)


def _are_unanswered(timeline: Timeline) -> bool:
    waiting = 0
    for _, event, _ in timeline.of_type(EVENT_SENT, EVENT_RAISED):
        if event.event_type == EVENT_SENT:
            waiting += is_request(event)
        elif waiting and is_answer(event):
            waiting -= 1
    return waiting > 0


def _entity_id(entity: EntityName | str) -> str:
    if isinstance(entity, str):
        return entity
    return f"@{entity.name.lower()}@{entity.key}"
