"""The rows of the recorded hubs, gathered from all that the answers show of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from exporter.emulator import Entity, Instance, RuntimeStatus
from exporter.emulator.json_text import JsonValue
from exporter.emulator.storage.history import Event, EventKind
from exporter.emulator.times import parse
from tests.emulator.recordings import Exchange

Json = dict[str, Any]

_RESULTS = {
    "TaskCompleted": EventKind.TASK_SCHEDULED,
    "TaskFailed": EventKind.TASK_SCHEDULED,
    "SubOrchestrationInstanceCompleted": EventKind.SUB_ORCHESTRATION_CREATED,
    "SubOrchestrationInstanceFailed": EventKind.SUB_ORCHESTRATION_CREATED,
}
# What the engine writes whatever the version, so that leaving it out is the server's work.
_ONLY_IN_V3: Mapping[str, Json] = {
    "ExecutionStarted": {"GenerateNewTrace": False},
    "TaskScheduled": {"Tags": None},
    "SubOrchestrationInstanceCreated": {"Tags": None},
}
_NOT_FIELDS = {"EventType", "Timestamp", "ScheduledTime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEntity(Entity):
    """An entity whose row is shown as it was recorded, internals of the real scheduler included."""

    row: Json

    @property
    def status(self) -> RuntimeStatus:
        return RuntimeStatus(self.row["runtimeStatus"])

    @property
    def updated(self) -> float:
        return seconds(self.row["lastUpdatedTime"])

    @property
    def output(self) -> JsonValue:
        return cast("JsonValue", self.row["output"])

    @property
    def input(self) -> JsonValue:
        return cast("JsonValue", self.row["input"])


@dataclass(slots=True)
class Known:
    """What is known of the rows of a hub: by id, as the API shows them."""

    rows: dict[str, Json] = field(default_factory=dict)
    operated: dict[str, str] = field(default_factory=dict)
    states: dict[str, JsonValue] = field(default_factory=dict)

    def learn(self, exchanges: Iterable[Exchange]) -> "Known":
        """Take in what answers show; what they leave out stays as it was known."""
        for exchange in exchanges:
            if exchange.body and exchange.response["status"] < 400:
                shown = exchange.json()
                for item in shown if isinstance(shown, list) else [shown]:
                    if isinstance(item, dict):
                        self._learn(item)
        return self

    def to_rows(self) -> Iterator[Instance | Entity]:
        """Yield the rows to put into a hub."""
        for row in self.rows.values():
            is_entity = row["instanceId"].startswith("@") and row["name"] == row["instanceId"]
            yield self._entity(row) if is_entity else _instance(row)
        for instance_id in self.operated.keys() - self.rows.keys():
            yield Entity(**self._identity(instance_id))

    def _learn(self, item: Json) -> None:
        if "instanceId" in item:
            known = self.rows.setdefault(item["instanceId"], {"input": None, "historyEvents": []})
            histories = [known["historyEvents"], item.get("historyEvents", [])]
            kept = {"input": known["input"]} if item["input"] is None else {}
            known |= item | kept | {"historyEvents": max(histories, key=_size)}
        elif "entityId" in item:
            instance_id = f"@{item['entityId']['name']}@{item['entityId']['key']}"
            self.operated[instance_id] = item["lastOperationTime"]
            if item["state"] is not None:
                self.states[instance_id] = item["state"]

    def _identity(self, instance_id: str) -> Json:
        _, class_name, key = instance_id.split("@", 2)
        return {
            "class_name": class_name,
            "key": key,
            "last_operation": seconds(self.operated[instance_id]),
            "state": self.states.get(instance_id),
        }

    def _entity(self, row: Json) -> RecordedEntity:
        instance_id = row["instanceId"]
        self.operated.setdefault(instance_id, _start(row) or row["createdTime"])
        if "state" in (row["input"] or {}):
            self.states.setdefault(instance_id, json.loads(row["input"]["state"]))
        custom = row["customStatus"]
        return RecordedEntity(
            **self._identity(instance_id),
            exists="entityExists" in custom,
            locked_by=custom.get("lockedBy"),
            queue=(cast("Any", None),) * custom.get("queueSize", 0),
            row=row,
        )


def seconds(text: str) -> float:
    """Read a time of an answer."""
    return cast("float", parse(text, 0))


def _instance(row: Json) -> Instance:
    return Instance(
        instance_id=row["instanceId"],
        name=row["name"],
        status=RuntimeStatus(row["runtimeStatus"]),
        created=_created(row),
        updated=seconds(row["lastUpdatedTime"]),
        input=row["input"],
        custom_status=row["customStatus"],
        output=row["output"],
        history=tuple(_raw(row["historyEvents"])),
        version=row.get("version"),
    )


def _created(row: Json) -> float:
    """Return the full time that only the history shows, where it is the one that was cut."""
    cut, start = seconds(row["createdTime"]), _start(row)
    return seconds(start) if start and seconds(start) // 1 == cut else cut


def _start(row: Json) -> str | None:
    events = row["historyEvents"]
    return next((e["Timestamp"] for e in events if e["EventType"] == "ExecutionStarted"), None)


def _size(events: list[Json]) -> int:
    return sum(map(len, events))


def _raw(events: list[Json]) -> Iterator[Event]:
    """Take results apart into what was scheduled and what came of it."""
    numbers = count()
    for event in events:
        kind, at = event["EventType"], seconds(event["Timestamp"])
        fields = {k: v for k, v in event.items() if k not in _NOT_FIELDS}
        if kind in _RESULTS:
            number = next(numbers)
            cause = {
                "Name": fields.pop("FunctionName"),
                "InstanceId": fields.pop("InstanceId", "left out by v2"),
                "Input": fields.pop("Input", None),
            }
            if _RESULTS[kind] is EventKind.TASK_SCHEDULED:
                del cause["InstanceId"]
            yield Event(_RESULTS[kind], seconds(event["ScheduledTime"]), cause, number)
            yield Event(EventKind(kind), at, fields, number)
        else:
            yield Event(EventKind(kind), at, fields | _missing(kind, fields))


def _missing(kind: str, fields: Json) -> Json:
    return {k: v for k, v in _ONLY_IN_V3.get(kind, {}).items() if k not in fields}
