"""
Counters that a monitoring system can take `increase()` of.

`increase()` cannot see the rise of a series that is born high, so each series is shown at its base
for a while before its increments show (design 4.2). The base is 0, or what was shown before a
restart: to a monitoring system a restarted exporter may be a new one.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from exporter.ledger.distributions import Distribution, Histogram

Value = TypeVar("Value")

Labels = tuple[str, ...]


class SavedCounter(msgspec.Struct, frozen=True, array_like=True):
    """A counter: its value, and what is shown of it."""

    labels: Labels
    value: int
    shown: int


class SavedHistogram(msgspec.Struct, frozen=True, array_like=True):
    """A histogram: the number in each bucket and the sum, and what is shown of it."""

    labels: Labels
    counts: list[int]
    total: float
    shown: tuple[int, ...]
    shown_total: float


class SavedHistograms(msgspec.Struct, frozen=True):
    """The histograms of a family, and the bounds that they have in common."""

    bounds: tuple[float, ...] = ()
    series: list[SavedHistogram] = []


class _Shown(msgspec.Struct, Generic[Value], gc=False):
    """What is shown of each series; times are those of a clock that never jumps."""

    base: Value
    values: dict[Labels, Value] = {}
    born: dict[Labels, float] = {}
    next_release_time: float = math.inf

    def update(
        self, current: Mapping[Labels, Value], now: float, hold: float
    ) -> dict[Labels, Value]:
        """Show at *now* what was born *hold* seconds ago; the rest stays as it was shown."""
        self.next_release_time = math.inf
        for labels, value in current.items():
            release = self.born.setdefault(labels, now) + hold
            if now >= release:
                self.values[labels] = value
            elif self.values.setdefault(labels, self.base) != value:
                self.next_release_time = min(self.next_release_time, release)
        return dict(self.values)

    def withdraw(self, published: Container[Labels]) -> None:
        """Let series be born anew that were not *published* after all."""
        for labels in [labels for labels in self.born if labels not in published]:
            del self.born[labels]


class _Family(Generic[Value]):
    """What counters and histograms have in common: that their increments are held back."""

    def __init__(self, base: Value) -> None:
        self._shown = _Shown(base)

    def withdraw(self, published: Container[Labels]) -> None:
        """Take back the birth of what was to be shown, but was not *published*."""
        self._shown.withdraw(published)

    @property
    def next_release_time(self) -> float:
        """When the first increment that is held back may be shown; infinite where none is."""
        return self._shown.next_release_time


class CounterFamily(_Family[int]):
    """Counters of one family by their labels."""

    def __init__(self, saved: Iterable[SavedCounter] = ()) -> None:
        super().__init__(0)
        self._values: dict[Labels, int] = {}
        for series in saved:
            self._values[series.labels] = series.value
            self._shown.values[series.labels] = series.shown

    def __contains__(self, labels: Labels) -> bool:
        return labels in self._values

    def __len__(self) -> int:
        return len(self._values)

    def ensure(self, labels: Labels) -> None:
        """Let the series exist, at 0 if it is new."""
        self._values.setdefault(labels, 0)

    def add(self, labels: Labels) -> None:
        """Count one more."""
        self._values[labels] = self._values.get(labels, 0) + 1

    def show(self, now: float, hold: float) -> dict[Labels, int]:
        """Return all series as they are shown from *now* on; new ones are born by it."""
        return self._shown.update(self._values, now, hold)

    def shows_all(self, labels: Labels) -> bool:
        """Tell whether no increment of the series is held back."""
        return self._shown.values.get(labels) == self._values.get(labels)

    def saved(self) -> list[SavedCounter]:
        """Return all series, to be restored."""
        shown = self._shown.values
        return [
            SavedCounter(labels, value, shown.get(labels, 0))
            for labels, value in self._values.items()
        ]


class HistogramFamily(_Family[Distribution]):
    """Histograms of one family by their labels; other bounds than those saved start anew."""

    def __init__(self, bounds: Sequence[float], saved: SavedHistograms | None = None) -> None:
        super().__init__(Histogram(bounds).frozen())
        self._bounds = tuple(bounds)
        self._values: dict[Labels, Histogram] = {}
        if saved is not None and saved.bounds == self._bounds:
            for series in saved.series:
                self.ensure(series.labels).restore(series.counts, series.total)
                shown = Distribution(series.shown, series.shown_total)
                self._shown.values[series.labels] = shown

    def ensure(self, labels: Labels) -> Histogram:
        """Return the series, empty if it is new."""
        histogram = self._values.get(labels)
        if histogram is None:
            histogram = self._values[labels] = Histogram(self._bounds)
        return histogram

    def show(self, now: float, hold: float) -> dict[Labels, Distribution]:
        """Return all series as they are shown from *now* on; new ones are born by it."""
        current = {labels: histogram.frozen() for labels, histogram in self._values.items()}
        return self._shown.update(current, now, hold)

    def saved(self) -> SavedHistograms:
        """Return all series, to be restored."""
        empty = Histogram(self._bounds).frozen()
        series = []
        for labels, histogram in self._values.items():
            shown = self._shown.values.get(labels, empty)
            series.append(
                SavedHistogram(
                    labels, list(histogram.counts), histogram.total, shown.cumulative, shown.total
                )
            )
        return SavedHistograms(self._bounds, series)
