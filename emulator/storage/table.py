"""The table of a task hub: keys, queries, pages."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from emulator.storage.rows import Row

# Above every key in valid UTF-8.
BEYOND_THE_END = chr(0x10FFFF)

_ESCAPES = {ord("^"): "^^", ord("/"): "^0", ord("\\"): "^1", ord("#"): "^2", ord("?"): "^3"} | {
    code: "^" + chr(code + ord("À")) for code in (*range(0x20), *range(0x7F, 0xA0))
}

DEFAULT_TOP = 100


def partition_key(instance_id: str) -> str:
    """Return the key of an instance's row: the id with invalid characters escaped."""
    return instance_id.translate(_ESCAPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """The filters of `GET instances`; `None` is no filter."""

    created_from: float | None = None
    created_to: float | None = None
    statuses: frozenset[str] | None = None
    id_prefix: str | None = None
    top: int = DEFAULT_TOP
    show_input: bool = True

    def matches(self, row: Row) -> bool:
        """Return whether a row matches statuses and times."""
        return (
            (self.statuses is None or row.status in self.statuses)
            and (self.created_from is None or row.created >= self.created_from)
            and (self.created_to is None or row.created <= self.created_to)
        )

    @property
    def filtered(self) -> bool:
        """Whether any filter is set, also an empty id prefix."""
        return self.scanning or self.id_prefix is not None

    @property
    def scanning(self) -> bool:
        """Whether rows are scanned; an id prefix alone is a range of keys."""
        return (self.created_from, self.created_to, self.statuses) != (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityQuery:
    """The filters of `GET entities`; `class_name` is lower case, `None` for every class."""

    class_name: str | None = None
    operated_from: float | None = None
    operated_to: float | None = None
    top: int = DEFAULT_TOP
    fetch_state: bool = False

    @property
    def id_prefix(self) -> str:
        """The id prefix of rows that can match."""
        return "@" if self.class_name is None else f"@{self.class_name}@"

    @property
    def scanning(self) -> bool:
        """Whether rows are scanned."""
        return (self.operated_from, self.operated_to) != (None, None)

    def matches(self, row: Row) -> bool:
        """Return whether the creation of a row matches."""
        return (self.operated_from is None or row.created >= self.operated_from) and (
            self.operated_to is None or row.created <= self.operated_to
        )


Query: TypeAlias = InstanceQuery | EntityQuery


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the key of the next one, `None` at the end, and the number of scanned rows."""

    rows: list[Row]
    next_key: str | None
    scanned: int


class Table:
    """Rows in the ordinal order of their keys."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._rows: dict[str, Row] = {}

    def __iter__(self) -> Iterator[Row]:
        return (self._rows[key] for key in self._keys)

    def get(self, instance_id: str) -> Row | None:
        """Return the row of an instance."""
        return self._rows.get(partition_key(instance_id))

    def put(self, row: Row) -> None:
        """Insert or replace a row."""
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
    ) -> Page:
        """
        Return at most `top` matching rows, from a key on.

        The next page begins at the next match, or at the first row beyond `scan_rows`: so a page
        that is not the last may be short or empty.
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
