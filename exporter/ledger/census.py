"""Finished instances that are still stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from exporter.api.times import format_shown_time, parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.places import Places
from exporter.ledger.snapshot import RetainedView
from exporter.ledger.status import RuntimeStatus, known_status
from exporter.ledger.windows import Pair

_AFTER_ALL_TIMES = "~"


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

    def __init__(self, floor: float) -> None:
        self._floor = format_shown_time(floor)
        self._tallies: dict[tuple[str, str | int | None], Tally] = {}

    def add(self, rows: Sequence[InstanceRow], followed: Container[str]) -> Iterator[InstanceRow]:
        """Add a page; yields the rows that may be news: recent, or with a *followed* id."""
        floor, tallies = self._floor, self._tallies
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
            if updated >= floor or created >= floor or row.instance_id in followed:
                yield row

    def tallies(self) -> Iterator[tuple[str, RuntimeStatus, Tally]]:
        """Return the tallies by name and status."""
        for (name, status), tally in self._tallies.items():
            yield name, known_status(status), tally


@dataclass(slots=True)
class Retained:
    """
    Counts of finished instances: those of the last complete census, and the finishes since.

    While a census runs, finishes that it has not come across yet are remembered one by one: only
    those are added to its result.
    """

    base: Counter[Pair] = field(default_factory=Counter)
    since: Counter[Pair] = field(default_factory=Counter)
    oldest: dict[str, float] = field(default_factory=dict)
    counted: bool = False
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

    def complete(self, fold: CensusFold, places: Places) -> None:
        """Replace the counts by those of a complete census."""
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
        self.counted = True

    def view(self) -> RetainedView | None:
        """Return the counts, None before the first complete census."""
        if not self.counted:
            return None
        return RetainedView(instances=self.base + self.since, oldest_created=dict(self.oldest))
