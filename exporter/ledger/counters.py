"""
Counters that a monitoring system can take `increase()` of.

`increase()` cannot see the rise of a series that is born high, so each series is shown at its base
for a while before its increments show (design 4.2).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.ledger.distributions import Distribution, Histogram

Labels = TypeVar("Labels", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Held(Generic[Value]):
    """A counter's value, the base that is shown first, and when it was first shown."""

    value: Value
    base: Value
    born: float

    def shown(self, now: float, hold: float) -> Value:
        """Return what to show at *now*, with *hold* seconds between birth and increments."""
        return self.value if now >= self.born + hold else self.base


class CounterFamily(Generic[Labels]):
    """Counters of one family by labels."""

    def __init__(self) -> None:
        self._values: dict[Labels, int] = {}
        self._born: dict[Labels, float] = {}

    def ensure(self, labels: Labels) -> None:
        """Let the series exist, at 0 if it is new."""
        self._values.setdefault(labels, 0)

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Count *amount* more."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def frozen(self, now: float) -> dict[Labels, Held[int]]:
        """Return all series as they are published at *now*; new ones are born by it."""
        return {
            labels: Held(value, 0, self._born.setdefault(labels, now))
            for labels, value in self._values.items()
        }


class HistogramFamily(Generic[Labels]):
    """Histograms of one family by labels."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._empty = Histogram(bounds).frozen()
        self._values: dict[Labels, Histogram] = {}
        self._born: dict[Labels, float] = {}

    def ensure(self, labels: Labels) -> Histogram:
        """Return the series, empty if it is new."""
        histogram = self._values.get(labels)
        if histogram is None:
            histogram = self._values[labels] = Histogram(self._bounds)
        return histogram

    def frozen(self, now: float) -> dict[Labels, Held[Distribution]]:
        """Return all series as they are published at *now*; new ones are born by it."""
        return {
            labels: Held(histogram.frozen(), self._empty, self._born.setdefault(labels, now))
            for labels, histogram in self._values.items()
        }
