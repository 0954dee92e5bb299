"""Counts of the finished instances that are still stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from exporter.api.times import TIMES, format_shown_time, parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.label_values import OTHER, LabelValues
from exporter.ledger.missing_rows import fell_suspiciously
from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.snapshot import RetainedView
from exporter.ledger.status import Pair, RuntimeStatus, known_status

_AFTER_ALL_TIMES = "~"
# Labels are far fewer; further names share one tally.
_MOST_TALLIES = 20_000
_MOST_UNCOVERED = 200_000
_COMPLETED = RuntimeStatus.COMPLETED.value
_FAILED = RuntimeStatus.FAILED.value

Group = tuple[str, str | int | None]
"""Name, and status as the row spells it."""
Latest = Callable[[str], tuple[float | None, float | None]]
"""Returns when the latest known instances of a name were created and completed."""


@dataclass(slots=True)
class Tally:
    """Rows of one orchestrator and status; times are texts, which sort like times."""

    count: int = 0
    newest_created: str = ""
    newest_updated: str = ""


class CensusFold:
    """
    One pass over all finished instances.

    Most rows are completed and within the known times of their name: they are only counted, page by
    page, and the others examined one by one. So tallies hold times only where they exceed what
    *latest* returns, or nothing is known.
    """

    def __init__(self, floor: float, failed_floor: float, latest: Latest) -> None:
        self._floor = _begin_of(floor)
        self._failed_floor = min(self._floor, _begin_of(failed_floor))
        self._latest = latest
        self._tallies: dict[Group, Tally] = {}
        self._oldest: dict[str | int | None, str] = {}
        self._limits: dict[str, str] = {}

    def add(
        self, rows: Sequence[InstanceRow], ids: Sequence[str], followed: set[str]
    ) -> Sequence[InstanceRow]:
        """
        Add a page, in which each of *ids* occurs once; return the rows that may be news, in order.

        Those are recent, failed within the longer time for which failures are followed, or have the
        id of one that is *followed*.
        """
        if "@" in "".join(ids):
            rows = [row for row in rows if entity_class(row) is None]
        names = Counter([row.name for row in rows])
        recent = [row for row in self._notable(rows, names) if self._add_notable(row, names)]
        for name, count in names.items():
            if count:
                self._tally((name or "", _COMPLETED)).count += count
        if not followed:
            return recent
        news = followed.union(row.instance_id for row in recent)
        return [row for row in rows if row.instance_id in news]

    def _notable(
        self, rows: Sequence[InstanceRow], names: Iterable[str | None]
    ) -> Sequence[InstanceRow]:
        """Return the rows of a page that need more than counting."""
        limits = {name: self._limit(name) for name in names}
        oldest = self._oldest.get(_COMPLETED, _AFTER_ALL_TIMES)
        try:
            return _outside(rows, oldest, limits)
        except TypeError:
            # Few rows lack a time: checking for it first would take a fifth of the whole pass.
            return rows

    def _limit(self, name: str | None) -> str:
        """Return the time before which a completed instance of *name* only counts."""
        name = name or ""
        limit = self._limits.get(name)
        if limit is None:
            if len(self._limits) >= _MOST_TALLIES:
                self._limits.clear()
            created, updated = self._latest(name)
            known = min(created or 0.0, updated or 0.0)
            limit = self._limits[name] = min(_begin_of(known), self._floor)
        return limit

    def _add_notable(self, row: InstanceRow, plain: Counter[str | None]) -> bool:
        """Move a row from the *plain* counts to its tally; return whether it is recent."""
        plain[row.name] -= 1
        name, status = row.name or "", row.runtime_status
        created, updated = _known(row.created_time), _known(row.last_updated_time)
        tally = self._tally((name, status))
        tally.count += 1
        is_newer = created > tally.newest_created
        if is_newer:
            tally.newest_created = created
        if updated > tally.newest_updated:
            tally.newest_updated = updated
            is_newer = True
        if is_newer and status == _COMPLETED:
            limit = min(tally.newest_created, tally.newest_updated, self._floor)
            self._limits[name] = max(limit, self._limit(name))
        if created and created < self._oldest.get(status, _AFTER_ALL_TIMES):
            self._oldest[status] = created
        updated_floor = self._failed_floor if status == _FAILED else self._floor
        return updated >= updated_floor or created >= self._floor

    def _tally(self, key: Group) -> Tally:
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= _MOST_TALLIES:
                key = (OTHER, key[1])
            tally = self._tallies.setdefault(key, Tally())
        return tally

    def tallies(self) -> Iterator[tuple[str, RuntimeStatus, Tally]]:
        """Yield the tallies by name and status."""
        for (name, status), tally in self._tallies.items():
            yield name, known_status(status), tally

    def oldest(self) -> dict[RuntimeStatus, str]:
        """Return the creation time of the oldest instance of each status."""
        oldest: dict[RuntimeStatus, str] = {}
        for spelling, moment in self._oldest.items():
            status = known_status(spelling)
            oldest[status] = min(moment, oldest.get(status, _AFTER_ALL_TIMES))
        return oldest


def _known(text: str | None) -> str:
    """Return a time as written, empty where it is unknown."""
    return text if text and TIMES[text] is not None else ""


def _begin_of(second: float) -> str:
    """Return a text that sorts before all times of a *second*, and after all earlier ones."""
    return format_shown_time(second).removesuffix("Z")


def _outside(
    rows: Sequence[InstanceRow], oldest: str, limits: Mapping[str | None, str]
) -> Sequence[InstanceRow]:
    """Return the rows that are not completed between *oldest* and the limit of their name."""
    return [
        row
        for row in rows
        if row.runtime_status != _COMPLETED
        or not oldest <= row.created_time < limits[row.name]  # type: ignore[operator] # None is caught
        or row.last_updated_time >= limits[row.name]  # type: ignore[operator] # the same
    ]


class SavedCensus(msgspec.Struct, frozen=True):
    """The result of the last complete census: numbers by label and status."""

    counts: list[tuple[str, str, int]]
    oldest: dict[str, float]
    completed: float


class Retained:
    """
    Counts of stored finished instances: of the last complete census, plus the finishes since.

    `completed` is when it ended. While one runs, finishes that it has not met yet are remembered,
    up to 200,000: only those are added to its result.
    """

    def __init__(
        self, census: SavedCensus | None = None, since: Mapping[Pair, int] | None = None
    ) -> None:
        """Restore a saved *census* and the finishes *since*."""
        found = census.counts if census else ()
        self.base = Counter({_pair(label, status): count for label, status, count in found})
        self.since = Counter({_pair(*pair): count for pair, count in (since or {}).items()})
        self.oldest = dict(census.oldest) if census else {}
        self.completed = census.completed if census else None
        self._running: CensusFold | None = None
        self._uncovered: dict[int, Pair] = {}
        self._census_changed: ChangedKeys[str] = ChangedKeys()
        self._since_changed: ChangedKeys[Pair] = ChangedKeys()

    @property
    def records(self) -> tuple[Records[str, SavedCensus], Records[Pair, int]]:
        """Everything but a running census."""
        return (
            Records("census", self._census_changed, lambda: ("",), self._saved_census),
            Records("finished_since", self._since_changed, self.since.keys, self.since.get),
        )

    @property
    def running(self) -> CensusFold:
        """The running census."""
        if self._running is None:
            raise RuntimeError("no census was begun")
        return self._running

    def begin(self, census: CensusFold) -> None:
        """Start a census."""
        self._running, self._uncovered = census, {}

    def abandon(self) -> None:
        """Drop a census that will not end."""
        self._running, self._uncovered = None, {}

    def fell(self) -> bool:
        """Return whether the running census found so few that a second one must agree."""
        found = sum(tally.count for _, _, tally in self.running.tallies())
        return fell_suspiciously(found, self.base.total())

    def finished(self, pair: Pair, digest: int, *, by_census: bool) -> None:
        """Add a finish that was counted."""
        self.since[pair] += 1
        self._since_changed.add(pair)
        if self._running is None or by_census:
            return
        if len(self._uncovered) < _MOST_UNCOVERED:
            self._uncovered[digest] = pair

    def covered(self, digest: int) -> None:
        """Note that the running census met a finish."""
        self._uncovered.pop(digest, None)

    def complete(self, label_values: LabelValues, at: float) -> None:
        """Replace the counts by those of the running census, read to its end at *at*."""
        fold = self.running
        self.base = Counter()
        for name, status, tally in fold.tallies():
            self.base[label_values.label(name), status.value] += tally.count
        self.oldest = {
            status.value: moment
            for status, text in fold.oldest().items()
            if (moment := parse_time(text)) is not None
        }
        for pair in self.since:
            self._since_changed.add(pair)
        self.since.clear()
        for pair in self._uncovered.values():
            self.since[pair] += 1
            self._since_changed.add(pair)
        self._census_changed.add("")
        self.abandon()
        self.completed = at

    def view(self) -> RetainedView | None:
        """Return the counts, None before the first complete census."""
        if self.completed is None:
            return None
        return RetainedView(
            instances=dict(self.base + self.since), oldest_created=dict(self.oldest)
        )

    def _saved_census(self, _key: str) -> SavedCensus | None:
        if self.completed is None:
            return None
        counts = [(label, status, count) for (label, status), count in self.base.items()]
        return SavedCensus(counts, self.oldest, self.completed)


def _pair(label: str, status: str) -> Pair:
    return label, RuntimeStatus(status).value
