"""Queries of the API: parameters of listings, and checks of their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from exporter.api.telemetry import LIST_ENTITIES, LIST_INSTANCES
from exporter.api.times import format_filter_time, format_shown_time, parse_time
from exporter.api.wire import (
    LONGEST_NAME,
    LONGEST_TEXT,
    CheckedRow,
    EntityRow,
    InstanceDecoder,
    InstanceRow,
    bounded_row,
)

Row = TypeVar("Row")

_ENTITIES = msgspec.json.Decoder(list[EntityRow])

# Without a filter, Azure Storage ignores showInput=false and downloads every input (reference 2.6).
EVER = 946_684_800.0
_LONGEST_LITERAL_PREFIX = 100


@dataclass(frozen=True, slots=True)
class HubAddress:
    """
    Address of a task hub.

    `base_url` ends in the API's own path, without a slash. Hub and connection are sent as
    configured, never guessed: a wrong hub name creates storage (reference 1.4). `version` is that
    of the Resource Manager's API, for requests through it.
    """

    base_url: str
    task_hub: str | None = None
    connection: str | None = None
    version: str | None = None

    def url(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> httpx.URL:
        """Return the URL of *path* with *parameters* and those that select the hub."""
        chosen = [
            ("taskHub", self.task_hub),
            ("connection", self.connection),
            ("api-version", self.version),
        ]
        query = [*parameters, *((name, value) for name, value in chosen if value)]
        return httpx.URL(f"{self.base_url}/{path}?{urlencode(query, quote_via=quote)}")

    def target(self, url: httpx.URL) -> str:
        """Return path and query of a URL below the base URL."""
        return url.raw_path[len(httpx.URL(self.base_url).raw_path) + 1 :].decode()


class Decoder(Protocol[Row]):
    """Decodes the rows of a page."""

    def decode(self, body: bytes, /) -> list[Row]:
        """Return the rows in *body*; raises msgspec's errors."""


class Query(Protocol[Row]):
    """A listing to request."""

    @property
    def operation(self) -> str:
        """The operation, for counters."""

    @property
    def kind(self) -> str:
        """A key shared by listings whose rows are about as large."""

    @property
    def path(self) -> str:
        """The path below the base URL."""

    def parameters(self, page_size: int) -> list[tuple[str, str]]:
        """Return the query parameters, the same for every page of a listing."""

    def decoder(self) -> Decoder[Row]:
        """Return a decoder for listings of this kind."""

    def violation(self, rows: Sequence[Row]) -> str | None:
        """Return the filter that the server dropped, None if every row passes."""

    def bounded(self, rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return the rows with ids and names of a bounded length, and their ids."""


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """
    A filter on instances; *statuses* are exact names, *created_from* is inclusive.

    Times are seconds since the epoch. An empty prefix is none. Entities are among the rows.
    """

    statuses: tuple[str, ...] = ()
    created_from: float = EVER
    id_prefix: str = ""

    operation = LIST_INSTANCES
    path = "instances"

    @property
    def kind(self) -> str:
        """The statuses: active instances have no output."""
        return ",".join(self.statuses)

    def parameters(self, page_size: int) -> list[tuple[str, str]]:
        """Return the query parameters, the same for every page of a listing."""
        parameters = [
            ("createdTimeFrom", format_filter_time(self.created_from)),
            ("showInput", "false"),
            ("top", str(page_size)),
        ]
        if self.statuses:
            parameters.append(("runtimeStatus", ",".join(self.statuses)))
        if self.id_prefix:
            parameters.append(("instanceIdPrefix", self.id_prefix))
        return parameters

    def decoder(self) -> Decoder[InstanceRow]:
        """Return a decoder for listings of this kind."""
        return InstanceDecoder(self.statuses)

    def violation(self, rows: Sequence[InstanceRow]) -> str | None:
        """
        Return the filter that the server dropped, None if every row passes.

        The API drops a filter that it cannot read, without an error (reference 2.1). Answers cut
        createdTime to the second while the filter compares the full value: a row may look up to a
        second older than the bound.
        """
        if self.statuses and rows and not isinstance(rows[0], CheckedRow):
            shown = {row.runtime_status for row in rows}
            if not shown.issubset(self.statuses):
                return "runtimeStatus"
        if self.created_from > EVER and self._has_too_old(rows):
            return "createdTimeFrom"
        if (
            self.id_prefix
            and self._prefix_is_literal()
            and not all(row.instance_id.startswith(self.id_prefix) for row in rows)
        ):
            return "instanceIdPrefix"
        return None

    def bounded(self, rows: Sequence[InstanceRow]) -> tuple[Sequence[InstanceRow], Sequence[str]]:
        """Return the rows with ids and names of a bounded length, and their ids."""
        ids = [row.instance_id for row in rows]
        if not rows or isinstance(rows[0], CheckedRow):
            return rows, ids
        longest_name = max(len(name or "") for name in {row.name for row in rows})
        if longest_name <= LONGEST_NAME and max(map(len, ids)) <= LONGEST_TEXT:
            return rows, ids
        kept = [bounded_row(row) for row in rows if len(row.instance_id) <= LONGEST_TEXT]
        return kept, [row.instance_id for row in kept]

    def _prefix_is_literal(self) -> bool:
        """Return whether no backend reads the prefix as a pattern, as MSSQL can (reference 6.2)."""
        return 0 < len(self.id_prefix) <= _LONGEST_LITERAL_PREFIX and not any(
            sign in self.id_prefix for sign in "%_["
        )

    def _has_too_old(self, rows: Sequence[InstanceRow]) -> bool:
        bound = math.floor(self.created_from)
        shown_bound = format_shown_time(bound)
        suspects = (row.created_time for row in rows if (row.created_time or "~") < shown_bound)
        return any((parse_time(created) or bound) < bound for created in suspects)


@dataclass(frozen=True, slots=True)
class EntityQuery:
    """All entities, or those of class *entity*."""

    entity: str = ""

    operation = LIST_ENTITIES
    kind = LIST_ENTITIES

    @property
    def path(self) -> str:
        """The path below the base URL."""
        return f"entities/{quote(self.entity, safe='')}" if self.entity else "entities"

    def parameters(self, page_size: int) -> list[tuple[str, str]]:
        """Return the query parameters, the same for every page of a listing."""
        return [("top", str(page_size))]

    def decoder(self) -> Decoder[EntityRow]:
        """Return a decoder for listings of this kind."""
        return _ENTITIES

    def violation(self, rows: Sequence[EntityRow]) -> str | None:
        """Return the filter that the server dropped, None if every row passes."""
        wanted = self.entity.lower()
        if wanted and any(row.entity_id.name.lower() != wanted for row in rows):
            return "entityName"
        return None

    def bounded(self, rows: Sequence[EntityRow]) -> tuple[Sequence[EntityRow], Sequence[str]]:
        """Return the rows, whose keys are not kept, and their ids as instances."""
        return rows, [f"@{row.entity_id.name}@{row.entity_id.key}" for row in rows]


def encode_id(instance_id: str, *, twice: bool = False) -> str:
    """
    Return an instance id as a path segment.

    Extension 3.x decodes the path twice: an id with a plus or percent sign that is not found may be
    found if encoded *twice* (reference 1.3).
    """
    encoded = quote(instance_id, safe="")
    return quote(encoded, safe="") if twice else encoded
