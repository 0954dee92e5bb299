"""Timers of a history: which of them an instance may wait for, and their purpose."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent
from exporter.diagnosis.history import (
    EVENT_RAISED,
    EVENT_SENT,
    FAILURES,
    RESULTS,
    TASK_COMPLETED,
    TIMER_CREATED,
    TIMER_FIRED,
    WAKING,
    Timeline,
    is_answer,
    is_request,
)
from exporter.diagnosis.waits import Wait, WaitingOn

HTTP_ACTIVITY = "BuiltIn::HttpActivity"

# On Azure Storage a long timer is set in pieces (reference 3.5).
_PIECE = 259_200.0
_TOLERANCE = 60.0


@dataclass(frozen=True, slots=True)
class Timer:
    """
    A timer at its place in the history; times in seconds since the epoch, None if unreadable.

    `reason` is the place of the failure, or of the answer to an HTTP call, that it follows.
    """

    place: int
    created: float | None
    fire_at: float | None
    reason: int | None


class Timers:
    """
    The timers of a history: `fired` and `open`, matched by time as a multiset.

    A timer that lost a race stays open (reference 3.5), so an open one may be a leftover.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.open: list[Timer] = []
        self.fired: list[Timer] = []
        reasons = _reasons(timeline)
        fired = Counter(_key(event) for _, event, _ in timeline.of_type(TIMER_FIRED))
        for place, event, created in timeline.of_type(TIMER_CREATED):
            key = _key(event)
            timer = Timer(place, created, parse_time(event.fire_at), reasons.get(place))
            if fired[key] > 0:
                fired[key] -= 1
                self.fired.append(timer)
            else:
                self.open.append(timer)

    def awaited(self) -> list[Timer]:
        """Return the open timers that are not leftovers, the next one first."""
        races = _Races(self._timeline)
        return sorted((each for each in self.open if not races.are_over_for(each)), key=_due)

    def leftover(self) -> float | None:
        """Return when the last open timer fires, None without any."""
        return max((each.fire_at for each in self.open if each.fire_at is not None), default=None)

    def wait_for(self, timer: Timer) -> Wait:
        """Return the wait for a timer: a poll, a retry, or just time."""
        if timer.reason is None:
            since = self._first_piece(timer).created
            is_piece = _is_piece(timer)
            return Wait(WaitingOn.TIMER, since=since, fire_at=timer.fire_at, is_piece=is_piece)
        event = self._timeline.events[timer.reason]
        name = event.function_name or ""
        if event.event_type in FAILURES:
            failed = self._timeline.moments[timer.reason]
            return Wait(WaitingOn.RETRY_BACKOFF, name, failed, fire_at=timer.fire_at)
        began = poll_began(self._timeline, timer.place)
        return Wait(WaitingOn.HTTP_POLL, name, began, fire_at=timer.fire_at)

    def _first_piece(self, timer: Timer) -> Timer:
        """Return the first piece of a long timer."""
        for fired in reversed(self.fired):
            if _is_piece(fired) and _is_near(fired.fire_at, timer.created):
                timer = fired
        return timer


class _Races:
    """Decides whether the rival of an open timer has come."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._last_event = self._last_answer = -1
        for place, event, _ in timeline.of_type(EVENT_RAISED):
            if is_answer(event):
                self._last_answer = place
            else:
                self._last_event = place
        results = timeline.of_type(*RESULTS)
        self._scheduled = _sorted(parse_time(event.scheduled_time) for _, event, _ in results)
        sent = timeline.of_type(EVENT_SENT)
        self._sent = _sorted(moment for _, event, moment in sent if is_request(event))

    def are_over_for(self, timer: Timer) -> bool:
        """
        Return whether a timer is a leftover.

        An event raised since may be unrelated, and the timer still awaited; but usually the timer
        was its deadline. A timer set after a failure races nothing.
        """
        if timer.reason is not None:
            return False
        if timer.place < self._last_event:
            return True
        if self._timeline.has_one_of_turn(timer.created, self._scheduled):
            return True
        answered = timer.place < self._last_answer
        return answered and self._timeline.has_one_of_turn(timer.created, self._sent)


def is_poll(event: HistoryEvent) -> bool:
    """Return whether an event answers a durable HTTP call, perhaps with a 202."""
    return event.event_type == TASK_COMPLETED and event.function_name == HTTP_ACTIVITY


def poll_began(timeline: Timeline, place: int) -> float | None:
    """Return when the durable HTTP call began whose timer or next poll is at a place."""
    began = timeline.moments[place]
    after_timer = timeline.events[place].event_type == TIMER_CREATED
    for earlier in range(place - 1, -1, -1):
        event = timeline.events[earlier]
        if event.event_type in (TIMER_CREATED, TIMER_FIRED):
            after_timer = True
        elif is_poll(event) and after_timer:
            began = parse_time(event.scheduled_time) or began
            after_timer = False
        else:
            break
    return began


def _reasons(timeline: Timeline) -> Mapping[int, int]:
    """
    Map the places of timers to those of the failures and polls that they follow.

    What a turn writes follows what woke the instance for it. Failures of one turn set their timers
    in the order in which they came.
    """
    reasons: dict[int, int] = {}
    woken: deque[int] = deque()
    candidates: list[int] = []
    rank, is_writing = 0, False
    for place, event in enumerate(timeline.events):
        if event.event_type in WAKING:
            if is_writing:
                woken.clear()
            is_writing = False
            _wake(timeline, woken, place)
        elif not is_writing:
            is_writing, rank = True, 0
            candidates = _candidates(timeline, woken)
        if event.event_type == TIMER_CREATED:
            if candidates:
                reasons[place] = candidates[min(rank, len(candidates) - 1)]
            rank += 1
    return reasons


def _wake(timeline: Timeline, woken: deque[int], place: int) -> None:
    """
    Add an event to those that woke the instance for the same turn.

    A history omits scheduling events that have a result, so what came before they were written
    belongs to an earlier turn.
    """
    scheduled = parse_time(timeline.events[place].scheduled_time)
    while woken and scheduled is not None and (timeline.moments[woken[0]] or 0.0) < scheduled:
        woken.popleft()
    woken.append(place)


def _candidates(timeline: Timeline, woken: Iterable[int]) -> list[int]:
    places = tuple(woken)
    failures = [place for place in places if timeline.events[place].event_type in FAILURES]
    return failures or [place for place in places if is_poll(timeline.events[place])][-1:]


def _key(event: HistoryEvent) -> float | str | None:
    return parse_time(event.fire_at) or event.fire_at


def _due(timer: Timer) -> float:
    return float("inf") if timer.fire_at is None else timer.fire_at


def _is_piece(timer: Timer) -> bool:
    length = (timer.fire_at or 0.0) - (timer.created or 0.0)
    return abs(length - _PIECE) <= _TOLERANCE


def _is_near(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= _TOLERANCE


def _sorted(moments: Iterable[float | None]) -> list[float]:
    return sorted(moment for moment in moments if moment is not None)
