"""A hub whose answers are changed at random: values, types, sizes, times, the JSON itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import msgspec

from exporter.api.errors import ErrorKind, ProtocolError
from exporter.api.query import InstanceQuery, Query
from exporter.api.times import format_shown_time
from exporter.api.wire import EntityRow, InstanceRow, InstanceStatus, bounded_row
from tests.api.paged import ClientOfPages, MadePage

Answered = TypeVar("Answered")
Json = Any  # a JSON value

DAY = 86_400.0
TIMES = (
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "soon", "",
    "2026-11-23", "20261123T100000Z", "2026-11-23T10:00:00" + "0" * 2000,
)  # fmt: skip
TEXTS = (
    "", "@", "@@", "@cart@", "@cart@k", "@" * 50, "a/b?c#d%2F+", "\x1b[31m\x00\u202e\n\r", "_other",
    "_unnamed", "N" * 257, "i" * 1025, "é" * 1024, "🚀", "{}", "[", "null",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**53, 2**63, -(2**70), 10**400, 1e308, -1e-308, 0.1)
OTHERS: tuple[Json, ...] = (None, True, [], {}, [[]], {"a": {"b": []}}, [None] * 50)
EVENTS = (
    "ExecutionStarted", "TaskScheduled", "TaskCompleted", "TaskFailed", "TimerCreated",
    "TimerFired", "EventSent", "EventRaised", "SubOrchestrationInstanceCreated",
    "ExecutionSuspended", "Odd", "",
)  # fmt: skip
STATUSES = (
    "Pending", "Running", "Suspended", "ContinuedAsNew", "Completed", "Failed", "Terminated",
    "Canceled",
)  # fmt: skip


@dataclass(slots=True)
class Mutator:
    """Changes JSON documents, the same ones for the same *random*."""

    random: Random
    now: Callable[[], float]

    def changed(self, document: Json) -> bytes:
        """Return a document as a body, hardly ever as it was."""
        for _ in range(self.random.choice((0, 1, 1, 2, 5))):
            document = self._with_a_change(document)
        body = json.dumps(document).encode()
        return self._damaged(body) if self.random.random() < 0.05 else body

    def value(self) -> Json:
        """Return something odd."""
        kind = self.random.randrange(5)
        if kind == 0:
            return self.time()
        return self.random.choice((TEXTS, NUMBERS, OTHERS, STATUSES)[kind - 1])

    def time(self) -> Json:
        """Return a time: of lately, of another year, or none at all."""
        if self.random.random() < 0.3:
            return self.random.choice(TIMES)
        far = self.random.choice((60.0, 3600.0, DAY, 400 * DAY, 40_000 * DAY))
        return format_shown_time(max(0.0, self.now() + self.random.uniform(-far, far / 2)))

    def date(self) -> float | None:
        """Return what the server's clock shows: mostly the time."""
        off = self.random.choice(
            (0.0,) * 12 + (-1.0, 3600.0, -3600.0, 3 * 365 * DAY, -50 * 365 * DAY)
        )
        return None if self.random.random() < 0.05 else self.now() + off

    def _with_a_change(self, document: Json) -> Json:
        if isinstance(document, list) and document and self.random.random() < 0.95:
            place = self.random.randrange(len(document))
            if self.random.random() < 0.1:
                return [*document, document[place]]
            return [*document[:place], self._with_a_change(document[place]), *document[place + 1 :]]
        if isinstance(document, dict) and document and self.random.random() < 0.95:
            key = self.random.choice(list(document))
            if self.random.random() < 0.1:
                return {name: value for name, value in document.items() if name != key}
            return {**document, key: self._with_a_change(document[key])}
        return self.value()

    def _damaged(self, body: bytes) -> bytes:
        place = self.random.randrange(len(body) + 1)
        if self.random.random() < 0.5:
            return body[:place]
        return body[:place] + self.random.randbytes(3) + body[place + 1 :]


class MutatedHub(ClientOfPages):
    """Answers with a handful of instances and entities, changed; `answers` counts them."""

    def __init__(self, mutator: Mutator) -> None:
        super().__init__("mutated")
        self.answers = 0
        self._mutator = mutator
        self._random = mutator.random

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        if isinstance(query, InstanceQuery):
            decoded: Sequence[Any] = self._instances(query)
        else:
            decoded = self._decoded(
                [
                    {
                        "entityId": {"name": f"cart{self._random.randrange(9)}", "key": "k"},
                        "lastOperationTime": self._mutator.time(),
                    }
                    for _ in range(self._random.randrange(9))
                ],
                list[EntityRow],
            )
        return MadePage(decoded, date=self._mutator.date(), seconds=0.01)

    def _instances(self, query: InstanceQuery) -> Sequence[InstanceRow]:
        rows = [self._row(query.statuses or STATUSES) for _ in range(self._random.randrange(9))]
        for row in rows:
            # Else hardly any page would fit what was asked for.
            since = max(query.created_from, self._mutator.now() - DAY)
            row["createdTime"] = format_shown_time(self._random.uniform(since, since + 7200.0))
        decoded = self._decoded(rows, list[InstanceRow])
        if query.violation(decoded):
            raise self._not_what_was_asked_for()
        return decoded

    async def read_instance(
        self, instance_id: str, *, history: bool = False, inputs: bool = False
    ) -> InstanceStatus | None:
        if self._random.random() < 0.2:
            return None
        row = self._row(STATUSES) | {"instanceId": instance_id}
        if history:
            row["historyEvents"] = [self._event() for _ in range(self._random.randrange(12))]
        if inputs:
            queue = [{"parent": f"i{n}", "id": "1", "op": "get"} for n in range(3)]
            row["input"] = {"lockedBy": "i1", "queue": queue}
        status = self._decoded(row, InstanceStatus)
        if status.instance_id != instance_id:
            raise self._not_what_was_asked_for()
        return bounded_row(status)

    def _row(self, statuses: Sequence[str]) -> dict[str, Json]:
        number = self._random.randrange(40)
        is_entity = number > 36
        name = f"@cart@{number}" if is_entity else f"Order{number % 7}"
        output: Json = "The activity function 'Ship' failed: \"no\""
        return {
            "instanceId": name if is_entity else f"i{number}",
            "name": name,
            "runtimeStatus": str(self._random.choice(statuses)),
            "createdTime": self._mutator.time(),
            "lastUpdatedTime": self._mutator.time(),
            "customStatus": {"queueSize": 3, "lockedBy": "i1"} if is_entity else None,
            "output": output,
        }

    def _event(self) -> dict[str, Json]:
        return {
            "EventType": self._random.choice(EVENTS),
            "Timestamp": self._mutator.time(),
            "ScheduledTime": self._mutator.time(),
            "FireAt": self._mutator.time(),
            "Name": self._random.choice(("Ship", "op", "BuiltIn::HttpActivity", None)),
            "FunctionName": self._random.choice(("Ship", "BuiltIn::HttpActivity", None)),
            "InstanceId": self._random.choice((None, "i1", "i2", "@cart@38")),
            "Input": {"id": "1", "op": "get", "lockset": [{"name": "cart", "key": "38"}]},
        }

    def _decoded(self, document: Json, kind: type[Answered]) -> Answered:
        """Decode as the client does; what cannot be is an error of the protocol."""
        self.answers += 1
        try:
            return msgspec.json.decode(self._mutator.changed(document), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._not_what_was_asked_for() from None

    def _not_what_was_asked_for(self) -> ProtocolError:
        return ProtocolError(
            "not what was asked for",
            hub=self.hub,
            operation="list",
            kind=ErrorKind.PROTOCOL,
            hint="",
        )
