"""
Counters and histograms that a monitoring system can take `increase()` of.

`increase()` misses the rise of a series that is born high, so a new series shows its base for a
while before its increments (design 4.2). The base is 0, or what was shown before a restart: to a
monitoring system a restarted exporter may be a new one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from exporter.ledger.records import ChangedKeys, Records


class Distribution(msgspec.Struct, frozen=True, gc=False):
    """Values by bucket: `cumulative` has a count per bound (`<=`), and the number of all last."""

    cumulative: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """The number of values."""
        return self.cumulative[-1]


class Histogram:
    """Observations by bucket."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def restore(self, counts: Sequence[int], total: float) -> None:
        """Restore earlier observations."""
        self.counts = list(counts)
        self.total = total

    def frozen(self) -> Distribution:
        """Return the observations so far."""
        running, cumulative = 0, []
        for count in self.counts:
            running += count
            cumulative.append(running)
        return Distribution(tuple(cumulative), self.total)


Value = TypeVar("Value")

Labels = tuple[str, ...]


class SavedCounter(msgspec.Struct, frozen=True, array_like=True):
    """The value of a counter, and what is shown of it."""

    value: int
    shown: int


class SavedHistogram(msgspec.Struct, frozen=True, array_like=True):
    """A histogram: the number in each bucket, the sum, and what is shown of both."""

    counts: list[int]
    total: float
    shown: tuple[int, ...]
    shown_total: float


class _Family(Generic[Value]):
    """Series whose increments are on hold at first; times are those of a monotonic clock."""

    def __init__(self, base: Value) -> None:
        self._base = base
        self._shown: dict[Labels, Value] = {}
        self._born: dict[Labels, float] = {}
        self.next_release_time = math.inf
        """When the next increment on hold may be shown; infinite where none is."""

    def _show(self, current: Mapping[Labels, Value], now: float, hold: float) -> list[Labels]:
        """Show at *now* what was born *hold* seconds ago; return the series that changed."""
        self.next_release_time = math.inf
        changed = []
        for labels, value in current.items():
            release = self._born.setdefault(labels, now) + hold
            shown = self._shown.setdefault(labels, self._base)
            if shown == value:
                continue
            if now >= release:
                self._shown[labels] = value
                changed.append(labels)
            else:
                self.next_release_time = min(self.next_release_time, release)
        return changed

    def withdraw(self, published: Container[Labels]) -> None:
        """Forget the birth of series that were not *published* after all."""
        for labels in [labels for labels in self._born if labels not in published]:
            del self._born[labels]


class CounterFamily(_Family[int]):
    """Counters of one family by their labels; *changed* notes which, under the family's *name*."""

    def __init__(self, name: str, changed: ChangedKeys[Labels]) -> None:
        super().__init__(0)
        self._name = name
        self._values: dict[Labels, int] = {}
        self._changed = changed

    def restore(self, labels: Labels, saved: SavedCounter) -> None:
        """Continue a series that was saved."""
        self._values[labels], self._shown[labels] = saved.value, saved.shown

    def __contains__(self, labels: Labels) -> bool:
        return labels in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Labels]:
        return iter(self._values)

    def ensure(self, labels: Labels) -> None:
        """Create the series at 0 if it does not exist."""
        if labels not in self._values:
            self._values[labels] = 0
            self._changed.add((self._name, *labels))

    def add(self, labels: Labels) -> None:
        """Count one more."""
        self._values[labels] = self._values.get(labels, 0) + 1
        self._changed.add((self._name, *labels))

    def show(self, now: float, hold: float) -> dict[Labels, int]:
        """Return all series as shown at *now*; new ones are born by it."""
        for labels in self._show(self._values, now, hold):
            self._changed.add((self._name, *labels))
        return dict(self._shown)

    def shows_all(self, labels: Labels) -> bool:
        """Return whether no increment of the series is on hold."""
        return self._shown.get(labels) == self._values.get(labels)

    def saved(self, labels: Labels) -> SavedCounter | None:
        """Return a series as it is to be saved, None where there is none."""
        value = self._values.get(labels)
        return None if value is None else SavedCounter(value, self._shown.get(labels, 0))


class Counters(dict[str, CounterFamily]):
    """All counters of a hub by the name of their family, which exists once it is used."""

    def __init__(self, saved: Mapping[Labels, SavedCounter]) -> None:
        """Continue the series that were *saved*, by family and labels."""
        super().__init__()
        self._changed: ChangedKeys[Labels] = ChangedKeys()
        for (family, *labels), series in saved.items():
            self[family].restore(tuple(labels), series)

    def __missing__(self, family: str) -> CounterFamily:
        self[family] = CounterFamily(family, self._changed)
        return self[family]

    def show(self, now: float, hold: float) -> dict[str, dict[Labels, int]]:
        """Return all series by family, as shown at *now*."""
        return {name: family.show(now, hold) for name, family in self.items()}

    def withdraw(self, published: Mapping[str, Container[Labels]]) -> None:
        """Forget the birth of series that were not *published* after all."""
        for name, family in self.items():
            family.withdraw(published.get(name, ()))

    @property
    def next_release_time(self) -> float:
        """When the next increment on hold may be shown; infinite where none is."""
        return min((each.next_release_time for each in self.values()), default=math.inf)

    @property
    def records(self) -> Records[Labels, SavedCounter]:
        """All series, by family and labels."""
        return Records("counters", self._changed, self._keys, self._saved)

    def _keys(self) -> list[Labels]:
        return [(name, *labels) for name, family in self.items() for labels in family]

    def _saved(self, key: Labels) -> SavedCounter | None:
        return self[key[0]].saved(key[1:])


class HistogramFamily(_Family[Distribution]):
    """Histograms of one family, by their labels."""

    def __init__(
        self, bounds: Sequence[float], saved: Mapping[Labels, SavedHistogram] | None = None
    ) -> None:
        """Restore what was *saved* over the same bounds."""
        super().__init__(Histogram(bounds).frozen())
        self._bounds = tuple(bounds)
        self._values: dict[Labels, Histogram] = {}
        self._changed: ChangedKeys[Labels] = ChangedKeys()
        for labels, series in (saved or {}).items():
            histogram = self._values[labels] = Histogram(bounds)
            histogram.restore(series.counts, series.total)
            self._shown[labels] = Distribution(series.shown, series.shown_total)

    def observe(self, labels: Labels, value: float) -> None:
        """Count one observation."""
        histogram = self._values.get(labels)
        if histogram is None:
            histogram = self._values[labels] = Histogram(self._bounds)
        histogram.observe(value)
        self._changed.add(labels)

    def show(self, now: float, hold: float) -> dict[Labels, Distribution]:
        """Return all series as shown at *now*; new ones are born by it."""
        current = {labels: histogram.frozen() for labels, histogram in self._values.items()}
        for labels in self._show(current, now, hold):
            self._changed.add(labels)
        return dict(self._shown)

    @property
    def records(self) -> Records[Labels, SavedHistogram]:
        """All series."""
        return Records("durations", self._changed, self._values.keys, self._saved)

    def _saved(self, labels: Labels) -> SavedHistogram | None:
        histogram = self._values.get(labels)
        if histogram is None:
            return None
        shown = self._shown.get(labels, self._base)
        return SavedHistogram(
            list(histogram.counts), histogram.total, shown.cumulative, shown.total
        )
