"""What finished lately: the windows of the metrics, and the steps of the charts."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.ledger.snapshot import FinishedView, FinishesOverTime
from exporter.ledger.windows import (
    CHART,
    WINDOWS,
    Pair,
    RecentFinishes,
    SavedFinishes,
    failure_ratios,
)


class Windows:
    """The finishes within each of the windows, and those of the chart."""

    def __init__(self, saved: Mapping[str, SavedFinishes]) -> None:
        self._recent = [RecentFinishes(window, saved.get(window.name, ())) for window in WINDOWS]
        self._chart = RecentFinishes(CHART, saved.get(CHART.name, ()))

    def advance(self, now: float) -> None:
        """
        Drop what has left its window, and let nothing in any more that is older.

        Else each second of the day that is listed first would enter the window of five minutes.
        """
        for recent in (*self._recent, self._chart):
            recent.advance(now)

    def go_back(self, now: float) -> None:
        """Let finishes in again as of *now*, where a clock was ahead."""
        for recent in (*self._recent, self._chart):
            recent.go_back(now)

    def add(self, pair: Pair, second: int) -> None:
        """Count a finish of *second* in each window that it has not left."""
        for recent in self._recent:
            recent.add(pair, second)
        self._chart.add(pair, second)

    def view(self, now: float, row_delay: float) -> FinishedView:
        """Return what the windows hold at *now*, which never goes back."""
        totals: dict[tuple[str, str, str], int] = {}
        ratios: dict[tuple[str, str], float] = {}
        self.advance(now)
        for recent in self._recent:
            name = recent.window.name
            for (label, status), count in recent.totals.items():
                totals[label, status, name] = count
            for label, ratio in failure_ratios(recent.totals).items():
                ratios[label, name] = ratio
        begin, counts = self._chart.over_time(now)
        over_time = FinishesOverTime(begin, float(CHART.resolution), counts)
        return FinishedView(totals, ratios, row_delay, over_time)

    def saved(self) -> dict[str, SavedFinishes]:
        """Return all finishes by the name of their window."""
        return {recent.window.name: recent.saved() for recent in (*self._recent, self._chart)}
