"""Finishes within time windows: those of the metrics, and the steps of the charts."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.search import FARTHEST_AHEAD
from exporter.ledger.snapshot import FinishedView, FinishesOverTime
from exporter.ledger.status import Pair, RuntimeStatus

SavedFinishes = list[tuple[str, str, int]]
"""The finishes of a step: label, status, number."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of *length* seconds before now, in steps of *resolution* seconds."""

    name: str
    length: int
    resolution: int


WINDOWS = (Window("1h", 3600, 1), Window("24h", 86_400, 60))
# For charts only.
CHART = Window("6h", 21_600, 300)


class RecentFinishes:
    """
    Finishes within one window, by orchestrator and status.

    A finish belongs to the window while its second is within *length* before now and at most a day
    ahead. Memory holds one number per step and pair, in containers of nothing but numbers, which
    the garbage collector never traverses.
    """

    def __init__(
        self, window: Window, saved: Mapping[tuple[str, int], SavedFinishes] | None = None
    ) -> None:
        self.window = window
        self.totals: dict[Pair, int] = {}
        self._counts: dict[Pair, dict[int, int]] = {}
        self._known: dict[int, None] = {}
        self._ascending = array("q")
        self._expired = 0
        self._steps = (window.length + FARTHEST_AHEAD) // window.resolution
        self._changed: ChangedKeys[tuple[str, int]] = ChangedKeys()
        for (name, step), finishes in (saved or {}).items():
            if name == window.name:
                for label, status, count in finishes:
                    self._count((label, RuntimeStatus(status).value), step, count)

    def add(self, pair: Pair, second: int) -> None:
        """Count a finish of *second*, unless it left the window or is far ahead."""
        step = second // self.window.resolution
        if self._expired <= step <= self._expired + self._steps:
            self._count(pair, step, 1)

    def advance(self, now: float) -> None:
        """Drop what left the window, which never moves back."""
        begin = int(now // 1) - self.window.length
        self._expired = max(self._expired, begin // self.window.resolution)
        first = bisect_left(self._ascending, self._expired)
        left = self._ascending[:first]
        del self._ascending[:first]
        for step in left:
            del self._known[step]
            self._changed.add((self.window.name, step))
        for pair, counts in self._counts.items():
            # After an outage most have left: looking up each of them per pair took a second.
            few = len(left) < len(counts)
            steps = left if few else [step for step in counts if step < self._expired]
            self.totals[pair] -= sum(counts.pop(step, 0) for step in steps)

    def go_back(self, now: float) -> None:
        """Accept finishes as of *now* again, after a clock that was ahead."""
        begin = int(now // 1) - self.window.length
        self._expired = min(self._expired, begin // self.window.resolution)

    def over_time(self, now: float) -> tuple[float, dict[Pair, tuple[int, ...]]]:
        """Return when the first step before *now* begins, and the finishes of each step."""
        number = self.window.length // self.window.resolution
        first = int(now) // self.window.resolution - number + 1
        rows: dict[Pair, list[int]] = {}
        for pair, counts in self._counts.items():
            for step, count in counts.items():
                if first <= step < first + number:
                    rows.setdefault(pair, [0] * number)[step - first] = count
        begin = float(first * self.window.resolution)
        return begin, {pair: tuple(row) for pair, row in rows.items()}

    @property
    def records(self) -> Records[tuple[str, int], SavedFinishes]:
        """The finishes by step."""
        return Records("recent", self._changed, self._keys, self._saved)

    def _keys(self) -> list[tuple[str, int]]:
        return [(self.window.name, step) for step in self._known]

    def _saved(self, key: tuple[str, int]) -> SavedFinishes | None:
        _, step = key
        found = [
            (label, status, counts[step])
            for (label, status), counts in self._counts.items()
            if step in counts
        ]
        return sorted(found) or None

    def _count(self, pair: Pair, step: int, count: int) -> None:
        if step not in self._known:
            self._known[step] = None
            insort(self._ascending, step)
        counts = self._counts.setdefault(pair, {})
        counts[step] = counts.get(step, 0) + count
        self.totals[pair] = self.totals.get(pair, 0) + count
        self._changed.add((self.window.name, step))


def failure_ratios(totals: Mapping[Pair, int]) -> dict[str, float]:
    """Return Failed / (Completed + Failed) per orchestrator; absent where nothing finished."""
    ratios: dict[str, float] = {}
    for label in dict.fromkeys(label for label, _ in totals):
        failed = totals.get((label, RuntimeStatus.FAILED), 0)
        finished = failed + totals.get((label, RuntimeStatus.COMPLETED), 0)
        if finished > 0:
            ratios[label] = failed / finished
    return ratios


class FinishWindows:
    """The finishes within each window, and those of the chart."""

    def __init__(self, saved: Mapping[tuple[str, int], SavedFinishes]) -> None:
        self._recent = [RecentFinishes(window, saved) for window in WINDOWS]
        self._chart = RecentFinishes(CHART, saved)

    def advance(self, now: float) -> None:
        """
        Drop what left its window, and accept nothing older from now on.

        Otherwise each second of the first listed day would pass through the window of an hour.
        """
        for recent in (*self._recent, self._chart):
            recent.advance(now)

    def go_back(self, now: float) -> None:
        """Accept finishes as of *now* again, after a clock that was ahead."""
        for recent in (*self._recent, self._chart):
            recent.go_back(now)

    def add(self, pair: Pair, second: int) -> None:
        """Count a finish of *second* in each window that it has not left."""
        for recent in self._recent:
            recent.add(pair, second)
        self._chart.add(pair, second)

    def view(self, now: float, row_delay: float) -> FinishedView:
        """Return what the windows hold at *now*, which never moves back."""
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

    @property
    def records(self) -> list[Records[tuple[str, int], SavedFinishes]]:
        """All finishes, by window and step."""
        return [recent.records for recent in (*self._recent, self._chart)]
