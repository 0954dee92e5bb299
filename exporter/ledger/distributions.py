"""How values spread over buckets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec


class Distribution(msgspec.Struct, frozen=True, gc=False):
    """Values by bucket; `cumulative` has one count per bound (`<=`) and the number of all last."""

    cumulative: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.cumulative[-1]


def ages_at(moments: Sequence[float], at: float, bounds: Sequence[float]) -> Distribution:
    """
    Return how long before *at* the *moments* were, which come in ascending order.

    What lies ahead (clocks differ) has the age 0.
    """
    count = len(moments)
    past = bisect_right(moments, at)
    cumulative = (count - bisect_left(moments, at - bound) for bound in bounds)
    return Distribution((*cumulative, count), past * at - sum(moments[:past]))


def merge(parts: Iterable[Distribution], bounds: Sequence[float]) -> Distribution:
    """Add up distributions over the same *bounds*; of none, the empty one."""
    cumulative = [0] * (len(bounds) + 1)
    total = 0.0
    for part in parts:
        total += part.total
        for place, count in enumerate(part.cumulative):
            cumulative[place] += count
    return Distribution(tuple(cumulative), total)


class Histogram:
    """Observations that only grow, by bucket."""

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
        """Take back what was observed before."""
        self.counts = list(counts)
        self.total = total

    def frozen(self) -> Distribution:
        """Return what was observed so far."""
        running, cumulative = 0, []
        for count in self.counts:
            running += count
            cumulative.append(running)
        return Distribution(tuple(cumulative), self.total)
