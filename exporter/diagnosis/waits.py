"""What an instance can wait on."""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from exporter.api.wire import LONGEST_TEXT, bounded_name, bounded_text

# Timers fire late without harm: queues are polled, turns wait for their worker.
OVERDUE_GRACE = 60.0
# Of more entities in one lock, the first are followed.
_MOST_ENTITIES = 100


class WaitingOn(StrEnum):
    """The classes of waits, as label values."""

    NOT_STARTED = "not_started"
    ACTIVITY = "activity"
    HTTP_POLL = "http_poll"
    SUB_ORCHESTRATION = "sub_orchestration"
    TIMER = "timer"
    TIMER_OVERDUE = "timer_overdue"
    RETRY_BACKOFF = "retry_backoff"
    ENTITY = "entity"
    ENTITY_LOCK = "entity_lock"
    EXTERNAL_EVENT = "external_event"
    SUSPENDED = "suspended"
    FINISHED_IN_HISTORY = "finished_in_history"
    NO_STEP = "no_step"
    HISTORY_REFUSED = "history_refused"
    UNKNOWN = "unknown"

    @property
    def means_trouble(self) -> bool:
        """Whether such a wait over a limit means stalled; the others are expected."""
        return self in _TROUBLE


_TROUBLE = frozenset(
    (
        WaitingOn.NOT_STARTED,
        WaitingOn.ACTIVITY,
        WaitingOn.HTTP_POLL,
        WaitingOn.SUB_ORCHESTRATION,
        WaitingOn.TIMER_OVERDUE,
        WaitingOn.ENTITY,
        WaitingOn.ENTITY_LOCK,
        WaitingOn.FINISHED_IN_HISTORY,
        WaitingOn.NO_STEP,
        WaitingOn.HISTORY_REFUSED,
        WaitingOn.UNKNOWN,
    )
)


class Wait(msgspec.Struct, frozen=True, gc=False):
    """
    One thing that an instance waits on.

    `target` is the activity, orchestrator or entity class, empty if there is none; `since` when the
    wait began, in seconds since the epoch, None where unknown. What to follow: `child_id` of a
    sub-orchestration; `entity_ids` of a call (one) or a lock (in the order of locking), with the
    `request_id`; `fire_at` of a timer. Where the storage cuts long timers, only the next piece is
    known (reference 3.5): `is_piece` marks a possible one. `leftover` is when a timer fires that is
    probably not awaited: nothing shows that it is not, and an orchestration whose code has ended
    stays active until then.
    """

    waiting_on: WaitingOn
    target: str = ""
    since: float | None = None
    child_id: str | None = None
    entity_ids: tuple[str, ...] = ()
    request_id: str | None = None
    fire_at: float | None = None
    is_piece: bool = False
    leftover: float | None = None

    @property
    def began(self) -> float:
        """When the wait began, infinite where unknown, which sorts last."""
        return math.inf if self.since is None else self.since

    def as_of(self, at: float) -> Wait:
        """Return the wait at a moment: a timer is overdue once it should have fired."""
        if self.fire_at is None or at - self.fire_at < OVERDUE_GRACE:
            return self
        return replace(self, waiting_on=WaitingOn.TIMER_OVERDUE, since=self.fire_at)


def bounded_wait(wait: Wait) -> Wait:
    """Return a wait whose texts may be kept: names are cut, ids that are too long dropped."""
    child, request = wait.child_id, wait.request_id
    return replace(
        wait,
        target=bounded_name(wait.target),
        child_id=child if child is None or len(child) <= LONGEST_TEXT else None,
        entity_ids=tuple(map(bounded_text, wait.entity_ids[:_MOST_ENTITIES])),
        request_id=None if request is None else bounded_text(request),
    )


def unknown(since: float | None = None) -> Wait:
    """Return the wait of an instance that cannot be diagnosed."""
    return Wait(WaitingOn.UNKNOWN, since=since)
