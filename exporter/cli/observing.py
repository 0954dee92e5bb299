"""A ledger that also learns, from the rows of a census, how long instances take."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from exporter.api.times import TIMES
from exporter.api.wire import BriefRow, entity_class
from exporter.collector.state import NoState
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState
from exporter.ledger.status import RuntimeStatus

# Steps of a little over a tenth: enough for limits.
_STEPS = 8
_MOST_NAMES = 1000
_COMPLETED = RuntimeStatus.COMPLETED.value


class Durations:
    """How long finished instances took, by orchestrator; costs no more for a million of them."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def add(self, rows: Iterable[BriefRow]) -> None:
        """Learn from rows; only what completed counts."""
        counts, times = self._counts, TIMES
        for row in rows:
            if row.runtime_status != _COMPLETED:
                continue
            created, updated = times[row.created_time], times[row.last_updated_time]
            name = row.name or ""
            if created is None or updated is None or entity_class(row) is not None:
                continue
            if name in counts or len(counts) < _MOST_NAMES:
                counts[name][_step(updated - created)] += 1

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
        seen = sum(
            count * min(1.0, _upper(step) / interval)
            for counts in self._counts.values()
            for step, count in counts.items()
        )
        return seen / total


def _step(seconds: float) -> int:
    return int(math.log1p(max(0.0, seconds)) * _STEPS)


def _upper(step: int) -> float:
    return math.expm1((step + 1) / _STEPS)


class ObservingLedger(Ledger):
    """A ledger whose census tells *durations*, too."""

    def __init__(self, rules: LedgerRules, durations: Durations) -> None:
        super().__init__(rules, LedgerState())
        self._durations = durations

    def see_census(
        self,
        rows: Sequence[BriefRow],
        at: float,
        ids: Sequence[str] = (),
        whole: Callable[[], Sequence[BriefRow]] | None = None,
    ) -> None:
        """Apply a page of the census."""
        self._durations.add(rows)
        super().see_census(rows, at, ids, whole)


class Observing(NoState):
    """Keeps nothing, and lets a collector's ledger tell *durations*."""

    def __init__(self, durations: Durations) -> None:
        self._durations = durations

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return a new ledger."""
        return ObservingLedger(rules, self._durations)
