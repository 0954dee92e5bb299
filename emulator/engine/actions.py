"""What orchestrators ask for; each gets the next number of its generation."""

from dataclasses import dataclass

from emulator.json_text import JsonValue
from emulator.storage.history import EventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CallActivity:
    """Run an activity; the input is handed over as it is."""

    number: int
    name: str
    argument: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSubOrchestrator:
    """Start an instance whose end the caller is told of."""

    number: int
    name: str
    instance_id: str
    input_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Wake the instance up; seconds since the epoch."""

    number: int
    fire_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToEntity:
    """Send a message to an entity: `event` is its kind, `request` its content."""

    number: int
    target: str
    event: str
    request: "EntityRequest"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRequest:
    """
    A message to an entity.

    It is a request for a lock if `lockset` has entities, else an operation; `operation` is `None`
    for locks and their release. `parent` and `execution` are the sender and its run; a client has
    neither. `sent` is the label that orders the messages between two instances, `previous` the one
    before it.
    """

    request_id: str
    operation: str | None = None
    signal: bool = False
    input_text: str | None = None
    parent: str | None = None
    execution: str | None = None
    sent: float | None = None
    previous: float | None = None
    lockset: tuple[str, ...] = ()
    position: int = 0
    requested: float | None = None


Action = CallActivity | CallSubOrchestrator | SetTimer | SendToEntity

_EVENTS: dict[type[Action], EventKind] = {
    CallActivity: EventKind.TASK_SCHEDULED,
    CallSubOrchestrator: EventKind.SUB_ORCHESTRATION_CREATED,
    SetTimer: EventKind.TIMER_CREATED,
    SendToEntity: EventKind.EVENT_SENT,
}


def recorded_as(action: Action) -> EventKind:
    """Return the kind of event that a history has for an action."""
    return _EVENTS[type(action)]
