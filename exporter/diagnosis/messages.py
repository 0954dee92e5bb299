"""Messages between orchestrations and entities, in histories and in entities' queues."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from exporter.api.wire import HistoryEvent
from exporter.diagnosis.timeline import EVENT_RAISED, EVENT_SENT, Timeline
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.entities import decode_nested

# Orchestrations name requests by UUIDs of version 5.
_REQUEST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_CALL = "op"


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
