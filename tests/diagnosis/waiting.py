"""Instances that wait, as answers of the API, and the reads of them given from memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent, InstanceStatus
from exporter.diagnosis.nodes import Absence, Answer, Read
from exporter.ledger.status import ACTIVE, known_status
from exporter.ledger.tracked import TrackedInstance
from tests.ledger.world import shown

Result = TypeVar("Result")
SWEEP = 7


def guid(number: int) -> str:
    return f"{number:08x}-1b90-5f77-bfcb-bc6951e3cdb4"


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def instance(
    instance_id: str,
    *events: HistoryEvent,
    at: float,
    name: str = "Order",
    status: str = "Running",
    created: float | None = None,
) -> InstanceStatus:
    """Return an instance last updated at *at*; times are seconds from `NOW`."""
    started = HistoryEvent("ExecutionStarted", timestamp=shown(at), function_name=name)
    return InstanceStatus(
        instance_id=instance_id,
        name=name,
        runtime_status=status,
        created_time=shown(at if created is None else created),
        last_updated_time=shown(at),
        history_events=None if status == "Pending" else [started, *events],
    )


def on_activity(
    instance_id: str, at: float, *, activity: str = "Ship", **row: str
) -> InstanceStatus:
    scheduled = HistoryEvent("TaskScheduled", timestamp=shown(at), name=activity)
    return instance(instance_id, scheduled, at=at, **row)  # type: ignore[arg-type] # name, status


def on_event(instance_id: str, at: float, *, name: str = "Order") -> InstanceStatus:
    return instance(instance_id, at=at, name=name)


def on_child(instance_id: str, *children: str, at: float, name: str = "Parent") -> InstanceStatus:
    created = [
        HistoryEvent(
            "SubOrchestrationInstanceCreated",
            timestamp=shown(at + n),
            name="Child",
            instance_id=child,
        )
        for n, child in enumerate(children)
    ]
    return instance(instance_id, *created, at=at, name=name)


def on_entity(
    instance_id: str, *entity_ids: str, at: float, lock: bool = False, name: str = "Caller"
) -> InstanceStatus:
    """Return an instance that waits for an entity's answer, or for the locks of several."""
    request: dict[str, object] = {"op": None if lock else "get", "id": guid(hash_of(instance_id))}
    if lock:
        ids = (entity_id.split("@", 2) for entity_id in entity_ids)
        request["lockset"] = [{"name": class_name, "key": key} for _, class_name, key in ids]
    sent = HistoryEvent(
        "EventSent",
        timestamp=shown(at),
        name="op",
        instance_id=entity_ids[0],
        input=raw(msgspec.json.encode(request).decode()),
    )
    return instance(instance_id, sent, at=at, name=name)


def hash_of(text: str) -> int:
    return sum(ord(letter) * place for place, letter in enumerate(text, 1))


def entity(
    entity_id: str,
    *senders: str,
    at: float = 0.0,
    locked_by: str | None = None,
    lock: bool = False,
    status: str = "Running",
) -> InstanceStatus:
    """Return an entity in whose queue stand messages of *senders*, sent at *at*."""
    queue = [
        {
            "op": None if lock else "get",
            "id": guid(hash_of(sender)),
            "parent": sender,
            "requestTime": shown(at),
            **({"lockset": [{"name": "counter", "key": "x"}]} if lock else {}),
        }
        for sender in senders
    ]
    scheduler = {"exists": True, "queue": queue}
    custom: dict[str, object] = {"entityExists": True, "queueSize": len(queue)}
    if locked_by is not None:
        scheduler["lockedBy"] = custom["lockedBy"] = locked_by
    return InstanceStatus(
        instance_id=entity_id,
        name=entity_id,
        runtime_status=status,
        created_time=shown(at),
        last_updated_time=shown(at),
        custom_status=raw(custom),
        input=raw(scheduler),
    )


@dataclass(slots=True)
class World:
    """Instances by id; counts the reads of each, and fails where one is `broken` or `too_large`."""

    rows: dict[str, InstanceStatus] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    broken: set[str] = field(default_factory=set)
    too_large: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)

    def put(self, *rows: InstanceStatus) -> None:
        self.rows.update((row.instance_id, row) for row in rows)

    def tracked(self) -> dict[str, TrackedInstance]:
        """Return those that a sweep would show as active."""
        return {
            row.instance_id: TrackedInstance(
                row.name or "",
                known_status(row.runtime_status),
                parse_time(row.created_time),
                parse_time(row.last_updated_time),
                SWEEP,
            )
            for row in self.rows.values()
            if row.runtime_status in ACTIVE and not row.instance_id.startswith("@")
        }

    def answer(self, read: Read) -> Answer:
        self.reads[read.instance_id] += 1
        self.order.append(read.instance_id)
        row = self.rows.get(read.instance_id)
        if read.instance_id in self.broken or (read.inputs and read.instance_id in self.too_large):
            return Absence.UNREADABLE
        if row is None:
            return Absence.MISSING
        if not read.history:
            return row if read.inputs else msgspec.structs.replace(row, input=raw(None))
        if read.inputs or row.history_events is None:
            return row
        without = [msgspec.structs.replace(e, input=raw(None)) for e in row.history_events]
        return msgspec.structs.replace(row, history_events=without)

    def run(
        self,
        wanted: Generator[Read, Answer, Result],
        until: Callable[[int], bool] = lambda _: False,
    ) -> Result | None:
        """Give *wanted* what it asks for; stop once so many reads are enough."""
        made = 0
        try:
            read = next(wanted)
            while not until(made):
                made += 1
                read = wanted.send(self.answer(read))
        except StopIteration as done:
            result: Result = done.value
            return result
        wanted.close()
        return None
