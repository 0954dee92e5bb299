"""What a history tells of failures that the row of an instance does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from exporter.api.wire import NOTHING, HistoryEvent
from exporter.diagnosis.timeline import EXECUTION_COMPLETED, FAILURES
from exporter.ledger.failure_patterns import function_label, is_carrier, type_of_name
from exporter.ledger.reasons import FailureReason

_DEEPEST = 16
_NESTED = 3
# What the framework writes where it knows nothing.
_SAYS_NOTHING = ("", "(unknown)")


class FailureDetails(msgspec.Struct, rename="pascal"):
    """A failure as isolated workers describe it; `inner_failure` is another one, or nothing."""

    error_type: str | None = None
    error_message: str | None = None
    inner_failure: msgspec.Raw = NOTHING


_DETAILS = msgspec.json.Decoder(FailureDetails)


def reason_in_history(reason: FailureReason, events: Sequence[HistoryEvent]) -> FailureReason:
    """Return *reason* with the error type that the history of the instance tells, if it does."""
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
    Return why a step of a history failed, in the app's own words, None where it did not.

    Isolated workers describe failures beside a reason that says nothing, and may write an object.
    """
    details = next(_chain(event.failure_details), None)
    if details is not None:
        message, name = details.error_message or "", details.error_type or ""
        if name in _SAYS_NOTHING:
            return message or event.reason
        return f"{name}: {message}" if message else name
    return None if not event.reason else as_text(event.reason)


def as_text(text: str) -> str:
    """Return a text that may be JSON, once or more, as people read it."""
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
