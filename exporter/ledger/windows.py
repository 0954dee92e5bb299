"""How many instances finished lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from exporter.ledger.status import RuntimeStatus

Pair = tuple[str, RuntimeStatus]
SavedFinishes = list[tuple[int, str, str, int]]
"""Step, label, status, number."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of *length* seconds before now, cut to whole steps of *resolution* seconds."""

    name: str
    length: int
    resolution: int


WINDOWS = (Window("5m", 300, 1), Window("1h", 3600, 1), Window("24h", 86_400, 60))
# What charts show; no window of a metric.
CHART = Window("6h", 21_600, 300)


class RecentFinishes:
    """
    Finishes within one window, by orchestrator and status.

    A finish belongs to the window while its second is no older than now less the length; in
    memory stands one number per step and pair, in dictionaries of nothing but numbers: Python's
    garbage collector looks through those never.
    """

    def __init__(self, window: Window, saved: Iterable[tuple[int, str, str, int]] = ()) -> None:
        self.window = window
        self.totals: Counter[Pair] = Counter()
        self._counts: dict[Pair, dict[int, int]] = {}
        self._steps: set[int] = set()
        self._oldest: list[int] = []
        self._expired = 0
        for step, label, status, count in saved:
            self._count((label, RuntimeStatus(status)), step, count)

    def add(self, pair: Pair, second: int) -> None:
        """Count a finish of *second*, unless it already left the window."""
        step = second // self.window.resolution
        if step >= self._expired:
            self._count(pair, step, 1)

    def advance(self, now: float) -> None:
        """Drop what left the window; *now* never takes it back."""
        begin = int(now // 1) - self.window.length
        self._expired = max(self._expired, begin // self.window.resolution)
        left = []
        while self._oldest and self._oldest[0] < self._expired:
            left.append(heappop(self._oldest))
        self._steps.difference_update(left)
        for pair, counts in self._counts.items():
            # After an outage most have left: to ask each pair for each of those took a second.
            few = len(left) < len(counts)
            steps = left if few else [step for step in counts if step < self._expired]
            self.totals[pair] -= sum(counts.pop(step, 0) for step in steps)

    def over_time(self, now: float) -> tuple[float, dict[Pair, tuple[int, ...]]]:
        """Return when the first of the steps up to *now* begins, and the finishes in each."""
        number = self.window.length // self.window.resolution
        first = int(now) // self.window.resolution - number + 1
        rows: dict[Pair, list[int]] = {}
        for pair, counts in self._counts.items():
            for step, count in counts.items():
                if first <= step < first + number:
                    rows.setdefault(pair, [0] * number)[step - first] = count
        begin = float(first * self.window.resolution)
        return begin, {pair: tuple(row) for pair, row in rows.items()}

    def saved(self) -> SavedFinishes:
        """Return the finishes within the window."""
        return [
            (step, label, status, count)
            for (label, status), counts in self._counts.items()
            for step, count in counts.items()
        ]

    def _count(self, pair: Pair, step: int, count: int) -> None:
        if step not in self._steps:
            self._steps.add(step)
            heappush(self._oldest, step)
        counts = self._counts.setdefault(pair, {})
        counts[step] = counts.get(step, 0) + count
        self.totals[pair] += count


def failure_ratios(totals: Counter[Pair]) -> dict[str, float]:
    """Return Failed / (Completed + Failed) per orchestrator; absent where nothing finished."""
    ratios: dict[str, float] = {}
    for label in dict.fromkeys(label for label, _ in totals):
        failed = totals[label, RuntimeStatus.FAILED]
        finished = failed + totals[label, RuntimeStatus.COMPLETED]
        if finished > 0:
            ratios[label] = failed / finished
    return ratios
