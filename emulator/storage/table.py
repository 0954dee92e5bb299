"""The table of a task hub: rows in the order of their keys, of which any range is quick to find."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from emulator.storage.partition import BEYOND_THE_END, partition_key
from emulator.storage.rows import Row

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Some rows, the key of the next page, `None` at the end, and how many rows were looked at."""

    rows: list[RowT]
    next_key: str | None
    scanned: int


class Table:
    """Rows by the ordinal order of their escaped ids."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._rows: dict[str, Row] = {}

    def __iter__(self) -> Iterator[Row]:
        return (self._rows[key] for key in self._keys)

    def get(self, instance_id: str) -> Row | None:
        """Return the row of an instance."""
        return self._rows.get(partition_key(instance_id))

    def put(self, row: Row) -> None:
        """Insert a row, or replace the one of the same id."""
        key = partition_key(row.instance_id)
        if key not in self._rows:
            insort(self._keys, key)
        self._rows[key] = row

    def remove(self, instance_id: str) -> Row | None:
        """Delete the row of an instance and return it."""
        key = partition_key(instance_id)
        row = self._rows.pop(key, None)
        if row is not None:
            del self._keys[bisect_left(self._keys, key)]
        return row

    def page(
        self,
        matches: Callable[[Row], bool],
        *,
        top: int,
        prefix: str = "",
        begin: str | None = None,
        scan_rows: int | None = None,
    ) -> Page[Row]:
        """
        Return at most `top` rows that match, from a key on.

        The next page begins at the next row that matches, or, once `scan_rows` rows were looked at,
        at the first one that was not: so a page may be short, or empty, and not be the last.
        """
        low, high = self._range(partition_key(prefix), begin)
        seen = high if scan_rows is None else min(high, low + scan_rows)
        found: list[Row] = []
        for index in range(low, seen):
            row = self._rows[self._keys[index]]
            if not matches(row):
                continue
            if len(found) == top:
                return Page(found, self._keys[index], index - low)
            found.append(row)
        return Page(found, self._keys[seen] if seen < high else None, seen - low)

    def _range(self, prefix: str, begin: str | None) -> tuple[int, int]:
        low = bisect_left(self._keys, max(prefix, begin or ""))
        return low, max(low, bisect_left(self._keys, prefix + BEYOND_THE_END))
