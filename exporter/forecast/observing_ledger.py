"""A ledger that learns how long instances take, and keeps none of what has finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.api.wire import InstanceRow
from exporter.forecast.durations import Observed
from exporter.ledger.book import Book
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.search import Horizon, Source
from exporter.ledger.unresolved import Unresolved

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
