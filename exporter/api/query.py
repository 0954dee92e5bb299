"""What is asked of the API: the parameters of a list, and the checks that its rows must pass."""

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
from exporter.api.wire import EntityRow, InstanceDecoder, InstanceRow, are_checked, bounded_rows

Row = TypeVar("Row")

_ENTITIES = msgspec.json.Decoder(list[EntityRow])

# Without a filter, Azure Storage ignores showInput=false and downloads every input (reference 2.6).
EVER = 946_684_800.0
_LONGEST_LITERAL_PREFIX = 100


@dataclass(frozen=True, slots=True)
class HubAddress:
    """
    Where a task hub answers.

    `base_url` ends in the API's own path, without a slash. Hub and connection are sent as
    configured, never guessed: a wrong hub name creates storage (reference 1.4). `version` is that
    of the Resource Manager's API, where it hands the requests on.
    """

    base_url: str
    task_hub: str | None = None
    connection: str | None = None
    version: str | None = None

    def url(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> httpx.URL:
        """Return the URL of *path* with *parameters* and those that choose the hub."""
        chosen = [
            ("taskHub", self.task_hub),
            ("connection", self.connection),
            ("api-version", self.version),
        ]
        query = [*parameters, *((name, value) for name, value in chosen if value)]
        return httpx.URL(f"{self.base_url}/{path}?{urlencode(query, quote_via=quote)}")

    def target(self, url: httpx.URL) -> str:
        """Return what follows the base URL in one of its URLs: path and query."""
        return url.raw_path[len(httpx.URL(self.base_url).raw_path) + 1 :].decode()


class Decoder(Protocol[Row]):
    """Reads the rows of a page."""

    def decode(self, body: bytes, /) -> list[Row]:
        """Return the rows in *body*; raises what msgspec raises."""


class Query(Protocol[Row]):
    """One list that can be asked for."""

    @property
    def operation(self) -> str:
        """The operation, as it is counted."""

    @property
    def kind(self) -> str:
        """What lists have in common whose rows are about as large."""

    @property
    def path(self) -> str:
        """The path below the base URL."""

    def parameters(self, page_size: int) -> list[tuple[str, str]]:
        """Return the query parameters, the same for every page of a list."""

    def decoder(self) -> Decoder[Row]:
        """Return what decodes the pages of lists of this kind."""

    def violation(self, rows: Sequence[Row]) -> str | None:
        """Say which part of the filter the server dropped, or None where every row passes."""

    def bounded(self, rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return the rows that can be kept, with names that can, and what identifies each."""


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
        """Instances of certain statuses: active ones have no output."""
        return ",".join(self.statuses)

    def parameters(self, page_size: int) -> list[tuple[str, str]]:
        """Return the query parameters, the same for every page of a list."""
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
        """Return what decodes the pages of lists of this kind."""
        return InstanceDecoder(self.statuses)

    def violation(self, rows: Sequence[InstanceRow]) -> str | None:
        """
        Say which part of the filter the server dropped, or None where every row passes.

        The API drops a filter that it cannot read instead of refusing it (reference 2.1). Answers
        cut createdTime to the second while the filter compares the full value, so a row may look
        up to a second older than the bound.
        """
        if self.statuses and not are_checked(rows):
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
        """Return the rows whose ids can be kept, with names that can, and the ids."""
        return bounded_rows(rows)

    def _prefix_is_literal(self) -> bool:
        """Tell whether every backend takes the prefix as it is; MSSQL does not (reference 6.2)."""
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
    """All entities, or those of the class *entity*."""

    entity: str = ""

    operation = LIST_ENTITIES
    kind = LIST_ENTITIES

    @property
    def path(self) -> str:
        """The path below the base URL."""
        return f"entities/{quote(self.entity, safe='')}" if self.entity else "entities"

    def parameters(self, page_size: int) -> list[tuple[str, str]]:
        """Return the query parameters, the same for every page of a list."""
        return [("top", str(page_size))]

    def decoder(self) -> Decoder[EntityRow]:
        """Return what decodes the pages of lists of this kind."""
        return _ENTITIES

    def violation(self, rows: Sequence[EntityRow]) -> str | None:
        """Say that the server dropped the class, or None where every row is of it."""
        wanted = self.entity.lower()
        if wanted and any(row.entity_id.name.lower() != wanted for row in rows):
            return "entityName"
        return None

    def bounded(self, rows: Sequence[EntityRow]) -> tuple[Sequence[EntityRow], Sequence[str]]:
        """Return the rows, of which no key is kept, and the ids that they have as instances."""
        return rows, [f"@{row.entity_id.name}@{row.entity_id.key}" for row in rows]


def encode_id(instance_id: str, *, twice: bool = False) -> str:
    """
    Write an instance id as a path segment.

    Extension 3.x decodes the path twice, so an id with a plus or a percent sign that is not found
    is worth one more try encoded *twice* (reference 1.3).
    """
    encoded = quote(instance_id, safe="")
    return quote(encoded, safe="") if twice else encoded
