"""Netherite: partitions that answer side by side, each from where it stopped."""

import json
from collections.abc import Sequence
from itertools import zip_longest
from zlib import crc32

from emulator.api import ArgumentInvalid, ExtensionVersion
from emulator.backends.backend import EVENT_HUBS, Listing, Payload, Traits, existing
from emulator.json_text import compact
from emulator.storage.rows import Entity, Row
from emulator.storage.table import EntityQuery, InstanceQuery, Table

PARTITIONS = 12


class Netherite:
    """
    The provider that keeps its hubs in event logs.

    A page has up to `top` rows of each of the `partitions`. `scan_rows` is how many rows a
    partition looks at in the time that it has; `None` for all. Without `ids_in_memory` there is
    no paging.
    """

    name = "netherite"
    traits = Traits(rewinds=False, reasons_in_output=False)
    hub_names = EVENT_HUBS
    one_hub = False
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

    def list_instances(
        self, table: Table, query: InstanceQuery, token: str, _version: ExtensionVersion
    ) -> Listing[Row]:
        """Return a page of all partitions, one row of each in turn."""
        return self._page(table, query.id_prefix or "", query, query.top, token)

    def list_entities(
        self, table: Table, query: EntityQuery, token: str, _version: ExtensionVersion
    ) -> Listing[Entity]:
        """Return a page of the entities of all partitions."""
        page = self._page(table, query.id_prefix, query, query.top, token)
        return Listing(existing(page.rows), page.token, page.scanned)

    def shows_inputs(self, query: InstanceQuery) -> bool:
        """Tell whether inputs come: as asked for."""
        return query.show_input

    def listed(self, _row: Row, payload: Payload) -> Payload:
        """Return the payload as it is."""
        return payload

    def endless_token(self, number: int, _version: ExtensionVersion) -> str:
        """Return places behind the last row of every partition."""
        return compact([f"~{number}"] * self.partitions)

    def _page(
        self,
        table: Table,
        prefix: str,
        query: InstanceQuery | EntityQuery,
        top: int,
        token: str,
    ) -> Listing[Row]:
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

    def _answer(
        self,
        rows: Sequence[Row],
        query: InstanceQuery | EntityQuery,
        place: str | None,
        limit: int,
    ) -> tuple[list[Row], str | None, int]:
        """Return what a partition finds, the id with which it goes on, and what it looked at."""
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
        """Read a token: where each partition goes on, `None` for one that is done."""
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
