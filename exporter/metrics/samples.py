"""Samples before they are text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.ledger.distributions import Distribution
from exporter.metrics.family import Family

# The values of a family's labels, in the order of its labels.
Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram or distribution over *bounds*; `cumulative` ends with the number of all."""

    bounds: Sequence[float]
    cumulative: Sequence[int]
    total: float

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Yield upper bounds, the last one infinite, and how many values are not above them."""
        return zip((*self.bounds, math.inf), self.cumulative, strict=True)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One event behind a value; `at` in seconds since the epoch."""

    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(slots=True)
class Series:
    """The series of one family, by the values of their labels, and exemplars of some."""

    family: Family
    numbers: list[tuple[Values, float]] = field(default_factory=list)
    spreads: list[tuple[Values, Spread]] = field(default_factory=list)
    exemplars: Mapping[Values, Exemplar] = field(default_factory=dict)


class Samples:
    """Series by family, those of a hub without the label that names it."""

    def __init__(self) -> None:
        self._families: dict[str, Series] = {}

    def __iter__(self) -> Iterator[Series]:
        return iter(self._families.values())

    def add(self, family: Family, values: Values, number: float) -> None:
        """Add one number."""
        self._of(family).numbers.append((values, number))

    def extend(self, family: Family, numbers: Iterable[tuple[Values, float]]) -> None:
        """Add numbers."""
        self._of(family).numbers.extend(numbers)

    def extend_by_name(self, family: Family, numbers: Mapping[str, float]) -> None:
        """Add numbers of a family with one label, by its value."""
        self.extend(family, [((name,), number) for name, number in numbers.items()])

    def extend_spreads(
        self,
        family: Family,
        distributions: Iterable[tuple[Values, Distribution]],
        bounds: Sequence[float],
    ) -> None:
        """Add histograms or distributions over *bounds*."""
        self._of(family).spreads.extend(
            (values, Spread(bounds, one.cumulative, one.total)) for values, one in distributions
        )

    def exemplify(self, family: Family, exemplars: Mapping[Values, Exemplar]) -> None:
        """Add exemplars of numbers of *family*."""
        self._of(family).exemplars = exemplars

    def _of(self, family: Family) -> Series:
        series = self._families.get(family.name)
        if series is None:
            series = self._families[family.name] = Series(family)
        return series
