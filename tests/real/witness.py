"""A witness: it hears every answer that an exporter gets, and forgets nothing by itself."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from emulator import RuntimeStatus
from tests.real.counted import Labels

Row = dict[str, Any]  # what any JSON is before it is looked at

_TIMES = ("createdTime", "lastUpdatedTime")


@dataclass(slots=True)
class Memory:
    """
    What was heard: who was last active, and every finish.

    It knows neither time nor limits: a row is a new finish if nothing equal was heard before, or if
    its id was active since.
    """

    active: set[str] = field(default_factory=set)
    finishes: set[tuple[str, ...]] = field(default_factory=set)
    counts: Counter[Labels] = field(default_factory=Counter)

    def hear(self, row: Row) -> None:
        """Remember a row."""
        instance_id = str(row["instanceId"])
        if not RuntimeStatus(row["runtimeStatus"]).terminal:
            self.active.add(instance_id)
            return
        pair = (str(row["name"]), str(row["runtimeStatus"]))
        finish = (instance_id, *pair, *(str(row[time]) for time in _TIMES))
        if instance_id in self.active or finish not in self.finishes:
            self.counts[pair] += 1
        self.active.discard(instance_id)
        self.finishes.add(finish)


class Witness(httpx.AsyncBaseTransport):
    """
    Carries requests, and remembers the rows of the answers that came whole.

    What it heard since the last `keep` it forgets with `forget`, as a killed exporter does.
    """

    def __init__(self) -> None:
        self.memory = Memory()
        self._kept = Memory()
        self._transport = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        body = await answer.aread()
        await answer.aclose()
        for row in rows_in(answer.status_code, body):
            self.memory.hear(row)
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def keep(self) -> None:
        """Keep for ever what was heard so far."""
        self._kept = copy.deepcopy(self.memory)

    def forget(self) -> None:
        """Go back to what was kept."""
        self.memory = copy.deepcopy(self._kept)


def rows_in(status: int, body: bytes) -> list[Row]:
    """Return the rows of an answer: of a list only if it is one, of an instance also with 500."""
    try:
        content = json.loads(body)
    except ValueError:
        return []
    if isinstance(content, list):
        return content if status == HTTPStatus.OK else []
    return [content] if "instanceId" in content else []
