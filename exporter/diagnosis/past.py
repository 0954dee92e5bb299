"""What a history shows of the past: the longest waits, and why steps failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from exporter.api.times import parse_time
from exporter.api.wire import NOTHING, HistoryEvent
from exporter.diagnosis.history import (
    CHILD_COMPLETED,
    CHILD_FAILED,
    EVENT_RAISED,
    EXECUTION_COMPLETED,
    EXECUTION_RESUMED,
    EXECUTION_STARTED,
    FAILURES,
    TASK_COMPLETED,
    TASK_FAILED,
    TIMER_FIRED,
    Timeline,
    is_answer,
)
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.failure_text import function_label, is_carrier, type_of_name
from exporter.ledger.reasons import FailureReason

_ENDED_BY = {
    TASK_COMPLETED: WaitingOn.ACTIVITY,
    TASK_FAILED: WaitingOn.ACTIVITY,
    CHILD_COMPLETED: WaitingOn.SUB_ORCHESTRATION,
    CHILD_FAILED: WaitingOn.SUB_ORCHESTRATION,
    TIMER_FIRED: WaitingOn.TIMER,
    EVENT_RAISED: WaitingOn.EXTERNAL_EVENT,
    EXECUTION_RESUMED: WaitingOn.SUSPENDED,
}
_DEEPEST = 16
_NESTED = 3
# The framework's texts for unknown.
_SAYS_NOTHING = ("", "(unknown)")


def longest_waits(events: Sequence[HistoryEvent]) -> dict[WaitingOn, float]:
    """
    Return the longest time without an event, in seconds, by what ended it.

    `NOT_STARTED` is the time until a scheduled start. Never raises.
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
    """Return the events in the order in which they happened: answers may be out of it."""
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


class FailureDetails(msgspec.Struct, rename="pascal"):
    """A failure as isolated workers describe it; `inner_failure` is another one, or empty."""

    error_type: str | None = None
    error_message: str | None = None
    inner_failure: msgspec.Raw = NOTHING


_DETAILS = msgspec.json.Decoder(FailureDetails)


def reason_in_history(reason: FailureReason, events: Sequence[HistoryEvent]) -> FailureReason:
    """Return *reason* with the error type in the history of the instance, if there is one."""
    if reason.error_type:
        return reason
    error_type = _type_of(reason.failed_function, events)
    return FailureReason(reason.category, reason.failed_function, error_type)


def _type_of(failed_function: str, events: Sequence[HistoryEvent]) -> str:
    """Return the type of the last failure of a function, or of the orchestrator's own."""
    for event in reversed(events):
        is_failure = event.event_type in FAILURES and failed_function
        name = function_label(event.function_name or "")
        if is_failure and name.lower() == failed_function.lower():
            return _innermost_type(event)
        if event.event_type == EXECUTION_COMPLETED and not failed_function:
            return _innermost_type(event)
    return ""


def _innermost_type(event: HistoryEvent) -> str:
    """Return the type of a failure without those that merely carry it."""
    for details in _chain(event.failure_details):
        if not is_carrier(details.error_type or ""):
            return type_of_name(details.error_type or "")
    return ""


def _chain(raw: msgspec.Raw) -> Iterator[FailureDetails]:
    for _ in range(_DEEPEST):
        try:
            details = _DETAILS.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        yield details
        raw = details.inner_failure


def message_of(event: HistoryEvent) -> str | None:
    """
    Return why a step of a history failed, in the app's own words, None if it did not.

    Isolated workers add details to a reason without content, and may write an object.
    """
    details = next(_chain(event.failure_details), None)
    if details is not None:
        message, name = details.error_message or "", details.error_type or ""
        if name in _SAYS_NOTHING:
            return message or event.reason
        return f"{name}: {message}" if message else name
    return None if not event.reason else as_text(event.reason)


def as_text(text: str) -> str:
    """Return a text that may be JSON, once or nested, in readable form."""
    for _ in range(_NESTED):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, str):
            text = value
        elif isinstance(value, dict):
            return _described(value) or json.dumps(value, indent=2, ensure_ascii=False)
        else:
            return text
    return text


def _described(value: dict[str, object]) -> str:
    """Return message and details of a failure that the host described."""
    parts = (value.get(key) for key in ("message", "details"))
    return "\n".join(part for part in parts if isinstance(part, str) and part)
