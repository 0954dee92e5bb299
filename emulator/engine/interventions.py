"""What somebody does to an instance from outside: suspend, resume, terminate."""

from collections.abc import Collection, Sequence

from emulator.json_text import JsonValue, parsed
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import RuntimeStatus

# The status that follows, and the field with the reason.
_INTERVENTIONS = {
    EventKind.EXECUTION_SUSPENDED: (RuntimeStatus.SUSPENDED, "Reason"),
    EventKind.EXECUTION_RESUMED: (RuntimeStatus.RUNNING, "Reason"),
    EventKind.EXECUTION_TERMINATED: (RuntimeStatus.TERMINATED, "Input"),
}
INTERVENTIONS = frozenset(_INTERVENTIONS)


def reason_of(intervention: Event) -> str | None:
    """Return why somebody intervened."""
    reason = intervention.fields[_INTERVENTIONS[intervention.kind][1]]
    return reason if isinstance(reason, str) else None


def status_after(status: RuntimeStatus, news: Sequence[Event]) -> RuntimeStatus:
    """Return the status after the messages of a turn; only some of them say anything about it."""
    for event in news:
        if event.kind is EventKind.EXECUTION_STARTED:
            status = RuntimeStatus.RUNNING
        elif event.kind in INTERVENTIONS:
            status, _ = _INTERVENTIONS[event.kind]
    return status


def last_reason(news: Sequence[Event], kinds: Collection[EventKind]) -> JsonValue:
    """Return what the column of the output gets of the messages of a turn."""
    reasons = [reason_of(event) for event in news if event.kind in kinds]
    return parsed(reasons[-1]) if reasons else None
