"""Finished instances that are still stored."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from itertools import compress

import msgspec

from exporter.api.times import format_shown_time, parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.places import Places
from exporter.ledger.snapshot import RetainedView
from exporter.ledger.status import RuntimeStatus, known_status
from exporter.ledger.windows import Pair

_AFTER_ALL_TIMES = "~"
_NEVER = "0001"
_FAILED = RuntimeStatus.FAILED.value


@dataclass(slots=True)
class Tally:
    """Rows of one orchestrator and status; times are texts, which sort like times."""

    count: int = 0
    oldest_created: str = _AFTER_ALL_TIMES
    newest_created: str = ""
    newest_updated: str = ""

    def add_times(self, created: Sequence[str], newest: str, last: str) -> None:
        """Add times of creation, whose *newest* is known, and the *last* of the updates."""
        oldest = min(created)
        if oldest.startswith(_NEVER):
            known = (moment for moment in created if not moment.startswith(_NEVER))
            oldest = min(known, default=_AFTER_ALL_TIMES)
        self.oldest_created = min(oldest, self.oldest_created)
        self.newest_created = max(newest, self.newest_created)
        self.newest_updated = max(last, self.newest_updated)


class CensusFold:
    """
    One pass over all finished instances.

    Most rows are older than anything that is still counted. They are only put into their groups,
    whose times are compared as texts, a group at a time: that is a third of the cost of doing so
    row by row.
    """

    def __init__(self, floor: float, failed_floor: float) -> None:
        self._floor = format_shown_time(floor)
        self._failed_floor = min(self._floor, format_shown_time(failed_floor))
        self._tallies: dict[tuple[str, str | int | None], Tally] = {}

    def add(
        self, rows: Sequence[InstanceRow], active: KeysView[str], failed: KeysView[str]
    ) -> Sequence[InstanceRow]:
        """
        Add a page, in which no id comes twice; returns the rows that may be news, in their order.

        Those are recent, failed within the longer time for which failures are followed, or have
        the id of one that is known as *active* or *failed*.
        """
        ids = [row.instance_id for row in rows]
        if "@" in "".join(ids):
            rows = [row for row in rows if entity_class(row) is None]
            ids = [row.instance_id for row in rows]
        groups: defaultdict[tuple[str | None, str | int | None], list[InstanceRow]]
        groups = defaultdict(list)
        for row in rows:
            groups[row.name, row.runtime_status].append(row)
        news = active & ids
        if failed:
            news |= failed & ids
        for (name, status), group in groups.items():
            news.update(self._add_group((name or "", status), group))
        return list(compress(rows, map(news.__contains__, ids))) if news else ()

    def _add_group(
        self, key: tuple[str, str | int | None], group: Sequence[InstanceRow]
    ) -> Iterable[str]:
        """Add rows of one name and status; returns the ids of those that are recent."""
        created = [row.created_time or "" for row in group]
        updated = [row.last_updated_time or "" for row in group]
        newest, last = max(created), max(updated)
        tally = self._tallies.get(key) or self._tallies.setdefault(key, Tally())
        tally.count += len(group)
        tally.add_times(created, newest, last)
        floor = self._floor
        updated_floor = self._failed_floor if key[1] == _FAILED else floor
        if newest < floor and last < updated_floor:
            return ()
        return [
            row.instance_id
            for row, begin, end in zip(group, created, updated, strict=True)
            if end >= updated_floor or begin >= floor
        ]

    def tallies(self) -> Iterator[tuple[str, RuntimeStatus, Tally]]:
        """Return the tallies by name and status."""
        for (name, status), tally in self._tallies.items():
            yield name, known_status(status), tally


class SavedRetained(msgspec.Struct, frozen=True):
    """What `Retained` holds: numbers by label and status."""

    base: list[tuple[str, str, int]]
    since: list[tuple[str, str, int]]
    oldest: dict[str, float]
    completed: float


@dataclass(slots=True)
class Retained:
    """
    Counts of finished instances: those of the last complete census, and the finishes since.

    `completed` is when that census ended. While one runs, finishes that it has not come across yet
    are remembered one by one: only those are added to its result.
    """

    base: Counter[Pair] = field(default_factory=Counter)
    since: Counter[Pair] = field(default_factory=Counter)
    oldest: dict[str, float] = field(default_factory=dict)
    completed: float | None = None
    _uncovered: dict[int, Pair] | None = None

    def begin(self) -> None:
        """Start a census."""
        self._uncovered = {}

    def abandon(self) -> None:
        """Give up a census that did not end."""
        self._uncovered = None

    def finished(self, pair: Pair, digest: int, *, by_census: bool) -> None:
        """Add a finish that was counted."""
        self.since[pair] += 1
        if self._uncovered is not None and not by_census:
            self._uncovered[digest] = pair

    def covered(self, digest: int) -> None:
        """Note that the running census came across a finish."""
        if self._uncovered is not None:
            self._uncovered.pop(digest, None)

    def complete(self, fold: CensusFold, places: Places, at: float) -> None:
        """Replace the counts by those of a census that was complete at *at*."""
        self.base = Counter()
        oldest: dict[str, str] = {}
        for name, status, tally in fold.tallies():
            self.base[places.label(name), status] += tally.count
            oldest[status] = min(oldest.get(status, _AFTER_ALL_TIMES), tally.oldest_created)
        self.oldest = {
            status: moment
            for status, text in oldest.items()
            if (moment := parse_time(text)) is not None
        }
        self.since = Counter((self._uncovered or {}).values())
        self._uncovered = None
        self.completed = at

    def view(self) -> RetainedView | None:
        """Return the counts, None before the first complete census."""
        if self.completed is None:
            return None
        return RetainedView(instances=self.base + self.since, oldest_created=dict(self.oldest))

    def saved(self) -> SavedRetained | None:
        """Return the counts, to be restored; a running census is not."""
        if self.completed is None:
            return None
        return SavedRetained(_rows(self.base), _rows(self.since), self.oldest, self.completed)

    @classmethod
    def restored(cls, saved: SavedRetained | None) -> Retained:
        """Return what was saved, or nothing counted yet."""
        if saved is None:
            return cls()
        return cls(_pairs(saved.base), _pairs(saved.since), dict(saved.oldest), saved.completed)


def _rows(counts: Counter[Pair]) -> list[tuple[str, str, int]]:
    return [(label, status, count) for (label, status), count in counts.items()]


def _pairs(rows: Sequence[tuple[str, str, int]]) -> Counter[Pair]:
    return Counter({(label, RuntimeStatus(status)): count for label, status, count in rows})
