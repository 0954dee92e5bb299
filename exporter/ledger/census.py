"""Finished instances that are still stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from exporter.api.times import format_shown_time, parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.places import Places
from exporter.ledger.snapshot import RetainedView
from exporter.ledger.status import RuntimeStatus, known_status
from exporter.ledger.windows import Pair

_AFTER_ALL_TIMES = "~"
_FAILED = RuntimeStatus.FAILED.value


@dataclass(slots=True)
class Tally:
    """Rows of one orchestrator and status; times are texts, which sort like times."""

    count: int = 0
    oldest_created: str = _AFTER_ALL_TIMES
    newest_created: str = ""
    newest_updated: str = ""


class CensusFold:
    """
    One pass over all finished instances.

    Most rows are older than anything that is still counted; they cost no more than a few
    comparisons of texts.
    """

    def __init__(self, floor: float, failed_floor: float) -> None:
        self._floor = format_shown_time(floor)
        self._failed_floor = format_shown_time(failed_floor)
        self._tallies: dict[tuple[str, str | int | None], Tally] = {}

    def add(
        self, rows: Sequence[InstanceRow], active: Container[str], failed: Container[str]
    ) -> Iterator[InstanceRow]:
        """
        Add a page; yields the rows that may be news.

        Those are recent, failed within the longer time for which failures are followed, or have
        the id of one that is known as *active* or *failed*.
        """
        floor, failed_floor, tallies = self._floor, self._failed_floor, self._tallies
        for row in rows:
            if row.instance_id[:1] == "@" and entity_class(row) is not None:
                continue
            created, updated = row.created_time or "", row.last_updated_time or ""
            key = (row.name or "", row.runtime_status)
            tally = tallies.get(key)
            if tally is None:
                tally = tallies[key] = Tally()
            tally.count += 1
            if created < tally.oldest_created and created[:4] != "0001":
                tally.oldest_created = created
            if created > tally.newest_created:  # noqa: PLR1730 - faster than max, a million times
                tally.newest_created = created
            if updated > tally.newest_updated:  # noqa: PLR1730 - faster than max
                tally.newest_updated = updated
            if (
                updated >= floor
                or created >= floor
                or (row.runtime_status == _FAILED and updated >= failed_floor)
                or row.instance_id in active
                or row.instance_id in failed
            ):
                yield row

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
