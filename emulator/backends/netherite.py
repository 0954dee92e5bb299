"""Netherite: partitions that page side by side."""

import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from zlib import crc32

from emulator.api import ArgumentInvalid, ExtensionVersion
from emulator.backends.backend import Backend, Listing, Traits
from emulator.json_text import compact
from emulator.storage.rows import Row
from emulator.storage.table import Query, Table

PARTITIONS = 12


class Netherite(Backend):
    """
    The provider that keeps its hubs in event logs.

    A page has up to `top` rows of each partition. `scan_rows` limits the rows that a partition
    scans per page; `None` is no limit. Without `ids_in_memory` there is no paging.
    """

    name = "netherite"
    traits = Traits(rewinds=False, reasons_in_output=False)
    hub_name = re.compile(r"[A-Za-z][A-Za-z0-9-]{2,44}")
    hub_name_rule = "3 to 45 letters, digits and hyphens, a letter first"
    waits_without_interval = True

    def __init__(
        self,
        *,
        partitions: int = PARTITIONS,
        scan_rows: int | None = None,
        ids_in_memory: bool = True,
    ) -> None:
        if not 1 <= partitions <= 32:  # noqa: PLR2004 - the provider's own limit
            raise ValueError(f"partitions must be between 1 and 32, not {partitions}")
        self.partitions = partitions
        self.scan_rows = scan_rows
        self._paging = ids_in_memory

    def page(
        self, table: Table, query: Query, token: str, _version: ExtensionVersion
    ) -> Listing[Row]:
        """Return a page of all partitions, one row of each in turn."""
        top, prefix = query.top, query.id_prefix or ""
        if top < 1:
            raise ArgumentInvalid(f"The page size must be positive, not {top}.")
        parts: list[list[Row]] = [[] for _ in range(self.partitions)]
        for row in table:
            if row.instance_id.startswith(prefix):
                parts[crc32(row.instance_id.encode()) % self.partitions].append(row)
        limit = top if self._paging else max(map(len, parts), default=0)
        answers = [
            self._answer(rows, query, place, limit)
            for rows, place in zip(parts, self._places(token), strict=True)
        ]
        interleaved = [
            row for turn in zip_longest(*(found for found, _, _ in answers)) for row in turn
        ]
        places = [place for _, place, _ in answers]
        return Listing(
            [row for row in interleaved if row is not None],
            _token(places) if any(place is not None for place in places) else "",
            sum(scanned for _, _, scanned in answers),
        )

    def endless_token(self, number: int, _version: ExtensionVersion) -> str:
        """Return places behind the last row of every partition."""
        return compact([f"~{number}"] * self.partitions)

    def _answer(
        self,
        rows: Sequence[Row],
        query: Query,
        place: str | None,
        limit: int,
    ) -> tuple[list[Row], str | None, int]:
        """Return the found rows, the id to continue at, and the number of scanned rows."""
        if place is None:
            return [], None, 0
        found: list[Row] = []
        left = [row for row in rows if row.instance_id >= place]
        for scanned, row in enumerate(left):
            if len(found) == limit or scanned == self.scan_rows:
                return found, row.instance_id, scanned
            if query.matches(row):
                found.append(row)
        return found, None, len(left)

    def _places(self, token: str) -> list[str | None]:
        """Return the id at which each partition continues, `None` for a finished one."""
        if not token.strip():
            return [""] * self.partitions
        try:
            places = json.loads(token)
        except ValueError:
            places = None
        if not isinstance(places, list) or len(places) != self.partitions:
            raise ArgumentInvalid("The continuation token does not fit the number of partitions.")
        return [place if isinstance(place, str) else None for place in places]


def _token(places: Sequence[str | None]) -> str:
    # A token is a header, so an id that is not ASCII is escaped in it.
    return json.dumps(places, separators=(",", ":"))
