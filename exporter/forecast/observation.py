"""Durations of instances, observed in one pass over a hub that keeps no finished rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from exporter.api.times import TIMES
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.book import Book
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.search import Horizon, Source
from exporter.ledger.status import TERMINAL, RuntimeStatus
from exporter.ledger.unresolved import Unresolved

# Steps of a little over a tenth: enough for limits.
_STEPS = 8
_MOST_NAMES = 1000
_LONGEST_KEPT = 3
_COMPLETED = frozenset((RuntimeStatus.COMPLETED.value,))
_ENDED = frozenset(status.value for status in TERMINAL)


class Durations:
    """
    Histograms of how long finished instances of *statuses* took, by orchestrator.

    Its size does not depend on the number of instances.
    """

    def __init__(self, statuses: Collection[object] = _COMPLETED) -> None:
        self._statuses = statuses
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._longest: dict[str, list[tuple[float, str]]] = {}

    def add(self, rows: Iterable[InstanceRow]) -> None:
        """Add rows."""
        counts, times, statuses = self._counts, TIMES, self._statuses
        for row in rows:
            if row.runtime_status not in statuses:
                continue
            created, updated = times[row.created_time], times[row.last_updated_time]
            name = row.name or ""
            if created is None or updated is None or entity_class(row) is not None:
                continue
            if name in counts or len(counts) < _MOST_NAMES:
                seconds = updated - created
                counts[name][_step(seconds)] += 1
                longest = self._longest.get(name)
                if longest is None or seconds > longest[0][0] or len(longest) < _LONGEST_KEPT:
                    self._note(name, seconds, row.instance_id)

    def _note(self, name: str, seconds: float, instance_id: str) -> None:
        longest = self._longest.setdefault(name, [])
        heappush(longest, (seconds, instance_id))
        if len(longest) > _LONGEST_KEPT:
            heappop(longest)

    def longest(self, name: str) -> Sequence[tuple[float, str]]:
        """Return the longest durations with the instances' ids, longest first."""
        return sorted(self._longest.get(name, ()), reverse=True)

    def names(self) -> Iterable[str]:
        """Return the orchestrators, sorted."""
        return sorted(self._counts)

    def count(self, name: str) -> int:
        """Return the number of instances of an orchestrator."""
        return self._counts[name].total()

    def quantile(self, name: str, share: float) -> float:
        """Return the quantile *share* of an orchestrator in seconds, slightly rounded up."""
        counts = self._counts[name]
        left = share * counts.total()
        for step in sorted(counts):
            left -= counts[step]
            if left <= 0:
                return _upper(step)
        return 0.0

    def share_seen(self, interval: float) -> float:
        """Return the share of instances that a listing every *interval* seconds sees active."""
        total = sum(counts.total() for counts in self._counts.values())
        if not total or interval <= 0:
            return 1.0
        return sum(count for _, count in self._seen(interval)) / total

    def longest_of(self, number: float, interval: float) -> float:
        """Return the expected longest duration of *number* instances that such a listing sees."""
        seen = sorted(self._seen(interval))
        total = sum(count for _, count in seen)
        below, before, longest = 0.0, 0.0, 0.0
        for seconds, count in seen:
            below += count
            at_most = (below / total) ** number
            longest += seconds * (at_most - before)
            before = at_most
        return longest

    def mean_within(self, seconds: float) -> float:
        """Return the mean time that instances are active within their first *seconds*."""
        total = sum(counts.total() for counts in self._counts.values())
        spent = sum(
            count * min(seconds, _middle(step))
            for counts in self._counts.values()
            for step, count in counts.items()
        )
        return spent / total if total else 0.0

    def _seen(self, interval: float) -> Iterable[tuple[float, float]]:
        """Yield durations, each with the number of instances seen active."""
        for counts in self._counts.values():
            for step, count in counts.items():
                yield _middle(step), count * min(1.0, _middle(step) / interval)


def _step(seconds: float) -> int:
    return int(math.log1p(max(0.0, seconds)) * _STEPS)


def _middle(step: int) -> float:
    return math.expm1((step + 0.5) / _STEPS)


def _upper(step: int) -> float:
    return math.expm1((step + 1) / _STEPS)


@dataclass(frozen=True, slots=True)
class Observed:
    """Durations of stored `completed` instances, and of all that ended `lately`, within a day."""

    completed: Durations = field(default_factory=Durations)
    lately: Durations = field(default_factory=lambda: Durations(_ENDED))


# Failures kept with ids and reasons; all are counted.
_MOST_FAILURES = 1000


class _ReadOnce(Book):
    """
    A book for one pass that keeps nothing.

    Rows listed while `is_news` count as unknown, as a listing has each row once; later ones as
    known.
    """

    is_news = False

    def has(self, second: int, digest: int) -> bool:  # noqa: ARG002 - as a book is asked
        """Return whether finishes count as known."""
        return not self.is_news

    def add(self, second: int, digest: int) -> None:
        """Keep nothing."""


class _DayCounts(Horizon):
    """A horizon with only the first listing, of the last day, after it."""

    def is_after(self, second: int, source: Source, sweep: int) -> bool:  # noqa: ARG002 - as asked
        """Return whether a finish is from the first listing."""
        return source is Source.BASELINE


class ObservingLedger(Ledger):
    """
    A ledger for one pass over a hub that fills *observed*; for forecasts only.

    It counts finishes of the last day as new, so that its counters have the series of such a day.
    It tracks active instances only.
    """

    def __init__(self, rules: LedgerRules, observed: Observed) -> None:
        self._once = _ReadOnce()
        super().__init__(rules, book=self._once, horizon=_DayCounts())
        self._observed = observed
        self.unresolved = Unresolved(rules.failed_lookback, most=_MOST_FAILURES)

    def apply_rows(self, rows: Iterable[InstanceRow], source: Source, at: float) -> None:
        """Apply rows of finished instances; of the census only those that were active."""
        if source is Source.CENSUS:
            rows = [row for row in rows if row.instance_id in self.tracked]
        elif source is Source.BASELINE:
            rows = list(rows)
            self._observed.lately.add(rows)
        self._once.is_news = source is Source.BASELINE
        super().apply_rows(rows, source, at)
        self._once.is_news = False

    def apply_census_page(
        self,
        rows: Sequence[InstanceRow],
        at: float,
        ids: Sequence[str] = (),
    ) -> None:
        """Apply a page of the census."""
        self._observed.completed.add(rows)
        super().apply_census_page(rows, at, ids)
