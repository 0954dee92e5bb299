"""The nodes of a chain: what a single read shows of an orchestration or an entity."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import msgspec

from exporter.api.times import parse_time
from exporter.api.wire import (
    InstanceStatus,
    bounded_name,
    bounded_text,
    entity_class,
)
from exporter.diagnosis.classify import Reading, classify, last_touched, refused
from exporter.diagnosis.history import Request, decode_request, wait_of
from exporter.diagnosis.waits import Wait, bounded_wait
from exporter.ledger.entities import decode_nested
from exporter.ledger.status import RuntimeStatus, known_status

# Of a longer queue only the front is read.
_MOST_QUEUED = 2000
_LONGEST_QUEUE = 1 << 19


@dataclass(frozen=True, slots=True)
class Read:
    """A requested read of one instance: with history, inputs, or both."""

    instance_id: str
    history: bool = True
    inputs: bool = False


class Absence(Enum):
    """Why a read returned nothing."""

    MISSING = "the server says that there is no such instance"
    UNREADABLE = "the read failed"
    REFUSED = "the server refuses the history, not the instance"


Answer: TypeAlias = InstanceStatus | Absence


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """The part of a row that changes whenever its instance moves; None where unknown."""

    created: float | None
    updated: float | None
    status: RuntimeStatus


class Orchestration(msgspec.Struct, frozen=True, gc=False):
    """An orchestration as it was read, or as an entity's queue shows it."""

    instance_id: str
    name: str
    stamp: Stamp
    reading: Reading


class Queued(msgspec.Struct, frozen=True, gc=False):
    """A message in the queue of an entity whose sender waits for the answer."""

    sender: str
    wait: Wait


class Entity(msgspec.Struct, frozen=True, gc=False):
    """An entity: the holder of its lock, who waits in its queue, since when it is suspended."""

    entity_id: str
    class_name: str
    locked_by: str | None
    queue: tuple[Queued, ...]
    suspended_since: float | None = None


Node: TypeAlias = Orchestration | Entity | Absence


def text_of(node: Node) -> int:
    """Return how many characters of the app's texts a node keeps."""
    if isinstance(node, Orchestration):
        reading = node.reading
        return len(node.name) + sum(map(_text_of_wait, (*reading.waits, *reading.older)))
    if isinstance(node, Entity):
        return sum(len(each.sender) + _text_of_wait(each.wait) for each in node.queue)
    return 0


def _text_of_wait(wait: Wait) -> int:
    ids = sum(map(len, wait.entity_ids))
    return len(wait.target) + len(wait.child_id or "") + len(wait.request_id or "") + ids


class _Scheduler(msgspec.Struct, rename="camel"):
    """The input of an entity's row (reference 2.7)."""

    locked_by: str | None = None
    queue: list[msgspec.Raw] | None = None


_SCHEDULER = msgspec.json.Decoder(_Scheduler)


def examine(instance_id: str) -> Generator[Read, Answer, Node]:
    """
    Request what describes an instance, and return it.

    Inputs are requested only of entities, and where a history without them is ambiguous. An id in
    the form of an entity's may be an orchestration's on extension 3.x.
    """
    if instance_id.count("@") > 1 and instance_id[:1] == "@":
        answer = yield Read(instance_id, history=False, inputs=True)
        if answer is Absence.UNREADABLE:
            # The state can be too large; the custom status names the holder of the lock, too.
            answer = yield Read(instance_id, history=False)
        if isinstance(answer, Absence):
            return answer
        class_name = entity_class(answer)
        if class_name is not None:
            return entity_of(answer, class_name)
    return (yield from examine_orchestration(instance_id))


def examine_orchestration(instance_id: str) -> Generator[Read, Answer, Orchestration | Absence]:
    """Request the history of an orchestration, and return what it shows."""
    answer = yield Read(instance_id)
    if answer is Absence.REFUSED:
        answer = yield Read(instance_id, history=False)
        if isinstance(answer, Absence):
            return answer
        return _orchestration(answer, refused(answer))
    if isinstance(answer, Absence):
        return answer
    reading = classify(answer)
    if reading.needs_inputs:
        with_inputs = yield Read(instance_id, inputs=True)
        if isinstance(with_inputs, InstanceStatus):
            answer, reading = with_inputs, classify(with_inputs, inputs=True)
    return _orchestration(answer, reading)


def _orchestration(status: InstanceStatus, reading: Reading) -> Orchestration:
    name = bounded_name(status.name or "")
    return Orchestration(status.instance_id, name, stamp_of(status), reading)


def stamp_of(status: InstanceStatus) -> Stamp:
    """Return the stamp of a row."""
    return Stamp(
        parse_time(status.created_time),
        parse_time(status.last_updated_time),
        known_status(status.runtime_status),
    )


def entity_of(status: InstanceStatus, class_name: str) -> Entity:
    """Return the entity of a row that was read with its input."""
    scheduler = decode_nested(_SCHEDULER, bytes(status.input)) or _Scheduler()
    shown = decode_nested(_SCHEDULER, bytes(status.custom_status)) or _Scheduler()
    suspended = known_status(status.runtime_status) is RuntimeStatus.SUSPENDED
    return Entity(
        status.instance_id,
        bounded_name(class_name),
        bounded_text(scheduler.locked_by or shown.locked_by or "") or None,
        tuple(_queued(status.instance_id, scheduler.queue or ())),
        last_touched(status) if suspended else None,
    )


def _queued(entity_id: str, queue: Sequence[msgspec.Raw]) -> Iterator[Queued]:
    """Yield the first in a queue that wait for an answer, as far as there is room for them."""
    room = _LONGEST_QUEUE
    for request in map(decode_request, queue[:_MOST_QUEUED]):
        if request is None or not request.parent or request.signal:
            continue
        wait = bounded_wait(wait_of(request, entity_id, _sent(request)))
        room -= len(request.parent) + _text_of_wait(wait)
        if room < 0:
            return
        yield Queued(request.parent, wait)


def _sent(request: Request) -> float | None:
    return parse_time(request.request_time) or parse_time(request.timestamp)
