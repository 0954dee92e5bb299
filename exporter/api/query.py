"""What is asked of the API: the parameters of a list, and the checks that its rows must pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from exporter.api.times import format_filter_time, format_shown_time, parse_time
from exporter.api.wire import BriefRow

# Without a filter, Azure Storage ignores showInput=false and downloads every input (reference 2.6).
EVER = 946_684_800.0
_LONGEST_LITERAL_PREFIX = 100


@dataclass(frozen=True, slots=True)
class HubAddress:
    """
    Where a task hub answers.

    `base_url` ends in the API's own path, without a slash. Hub and connection are sent as
    configured, never guessed: a wrong hub name creates storage (reference 1.4).
    """

    base_url: str
    task_hub: str | None = None
    connection: str | None = None

    def target(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> str:
        """Return what follows the base: *path*, *parameters* and those that choose the hub."""
        chosen = [("taskHub", self.task_hub), ("connection", self.connection)]
        query = [*parameters, *((name, value) for name, value in chosen if value)]
        return f"/{path}?{urlencode(query, quote_via=quote)}"


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """
    A filter on instances; *statuses* are exact names, *created_from* is inclusive.

    Times are seconds since the epoch. An empty prefix is none.
    """

    statuses: tuple[str, ...] = ()
    created_from: float = EVER
    id_prefix: str = ""

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

    def violation(self, rows: Sequence[BriefRow], *, statuses_fit: bool = False) -> str | None:
        """
        Say which part of the filter the server dropped, or None where every row passes.

        The API drops a filter that it cannot read instead of refusing it (reference 2.1). Answers
        cut createdTime to the second while the filter compares the full value, so a row may look
        up to a second older than the bound. *statuses_fit* tells that those are checked already.
        """
        if not statuses_fit and self._has_other_statuses(rows):
            return "runtimeStatus"
        if self.created_from > EVER and self._has_too_old(rows):
            return "createdTimeFrom"
        if self._prefix_is_literal() and not all(
            row.instance_id.startswith(self.id_prefix) for row in rows
        ):
            return "instanceIdPrefix"
        return None

    def _has_other_statuses(self, rows: Sequence[BriefRow]) -> bool:
        return bool(self.statuses) and not {row.runtime_status for row in rows}.issubset(
            self.statuses
        )

    def _prefix_is_literal(self) -> bool:
        """Tell whether every backend takes the prefix as it is; MSSQL does not (reference 6.2)."""
        return 0 < len(self.id_prefix) <= _LONGEST_LITERAL_PREFIX and not any(
            sign in self.id_prefix for sign in "%_["
        )

    def _has_too_old(self, rows: Sequence[BriefRow]) -> bool:
        bound = math.floor(self.created_from)
        shown_bound = format_shown_time(bound)
        suspects = (row.created_time for row in rows if (row.created_time or "~") < shown_bound)
        return any((parse_time(created) or bound) < bound for created in suspects)


def encode_id(instance_id: str, *, twice: bool = False) -> str:
    """
    Write an instance id as a path segment.

    Extension 3.x decodes the path twice, so an id with a plus or a percent sign that is not found
    is worth one more try encoded *twice* (reference 1.3).
    """
    encoded = quote(instance_id, safe="")
    return quote(encoded, safe="") if twice else encoded
