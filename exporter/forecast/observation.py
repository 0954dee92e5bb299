"""How long instances take, learnt from rows of which none is kept."""

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
    How long finished instances took, by orchestrator; costs no more for a million of them.

    Only those of certain *statuses* count.
    """

    def __init__(self, statuses: Collection[object] = _COMPLETED) -> None:
        self._statuses = statuses
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._longest: dict[str, list[tuple[float, str]]] = {}

    def add(self, rows: Iterable[InstanceRow]) -> None:
        """Learn from rows."""
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
        """Return how long those took that took longest, and their ids."""
        return sorted(self._longest.get(name, ()), reverse=True)

    def names(self) -> Iterable[str]:
        """Return the orchestrators, in the order of their names."""
        return sorted(self._counts)

    def count(self, name: str) -> int:
        """Return how many of an orchestrator completed."""
        return self._counts[name].total()

    def quantile(self, name: str, share: float) -> float:
        """Return the seconds, rounded up a little, that this share of an orchestrator took."""
        counts = self._counts[name]
        left = share * counts.total()
        for step in sorted(counts):
            left -= counts[step]
            if left <= 0:
                return _upper(step)
        return 0.0

    def share_seen(self, interval: float) -> float:
        """Return the share of all instances that a list every *interval* seconds sees active."""
        total = sum(counts.total() for counts in self._counts.values())
        if not total or interval <= 0:
            return 1.0
        return sum(count for _, count in self._seen(interval)) / total

    def longest_of(self, number: float, interval: float) -> float:
        """Return how long the longest of a *number* takes, as a rule, that such a list has seen."""
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
        """Return how long instances are active in the first *seconds* of theirs, on average."""
        total = sum(counts.total() for counts in self._counts.values())
        spent = sum(
            count * min(seconds, _middle(step))
            for counts in self._counts.values()
            for step, count in counts.items()
        )
        return spent / total if total else 0.0

    def _seen(self, interval: float) -> Iterable[tuple[float, float]]:
        """Yield durations, and how many instances of each are seen active."""
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
    """How long instances took: those `completed` that are stored, and all `lately` ended."""

    completed: Durations = field(default_factory=Durations)
    lately: Durations = field(default_factory=lambda: Durations(_ENDED))


# Their ids and reasons are kept one by one; all are counted.
_MOST_FAILURES = 1000


class _ReadOnce(Book):
    """
    A book for one pass: it holds nothing, however many finishes there are.

    What is listed while `is_news` is taken for unknown, as each row comes once in a list, and what
    comes after it for known.
    """

    is_news = False

    def has(self, second: int, digest: int) -> bool:  # noqa: ARG002 - as a book is asked
        """Tell whether the list that is news has been read."""
        return not self.is_news

    def add(self, second: int, digest: int) -> None:
        """Keep nothing."""


class _DayCounts(Horizon):
    """For it, what the first list shows, of the last day, is news, and nothing else is."""

    def is_after(self, second: int, source: Source, sweep: int) -> bool:  # noqa: ARG002 - as asked
        """Tell whether a finish is one of the last day."""
        return source is Source.BASELINE


class ObservingLedger(Ledger):
    """
    A ledger of one pass over a hub, which tells what it *observed*; for forecasts only.

    It accounts for what has finished within the last day as if that came next: so its counters
    have the series that such a day brings. It holds what is active, and nothing of the rest.
    """

    def __init__(self, rules: LedgerRules, observed: Observed) -> None:
        self._once = _ReadOnce()
        super().__init__(rules, book=self._once, horizon=_DayCounts())
        self._observed = observed
        self.unresolved = Unresolved(rules.failed_lookback, most=_MOST_FAILURES)

    def apply_rows(self, rows: Iterable[InstanceRow], source: Source, at: float) -> None:
        """Apply rows of finished instances; of those of the census only what was active."""
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
