"""Samples gathered by family."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.ledger.distributions import Distribution
from exporter.metrics.family import Family, Kind

_DIGITS_BEFORE_EXPONENT = 6

LabelPairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram or distribution over *bounds*; `cumulative` ends with the number of all."""

    bounds: Sequence[float]
    cumulative: Sequence[int]
    total: float


@dataclass(frozen=True, slots=True)
class Series:
    """The labels of a series, in the order of the family, and its value."""

    labels: LabelPairs
    value: float | Spread


class Collection:
    """The samples of one exposition."""

    def __init__(self) -> None:
        self._series: dict[str, list[Series]] = {}

    def add(
        self,
        family: Family,
        values: Sequence[str],
        value: float | Spread,
        *,
        free: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Add one series; *values* are those of the family's labels, *free* further labels."""
        labels = (*zip(family.label_names, values, strict=True), *free)
        self._series.setdefault(family.name, []).append(Series(labels, value))

    def of(self, family: Family) -> Sequence[Series]:
        """Return the series of *family*."""
        return self._series.get(family.name, ())

    def merge(self, other: Collection) -> None:
        """Add everything that *other* holds."""
        for name, series in other._series.items():
            self._series.setdefault(name, []).extend(series)

    def count(self) -> int:
        """Return how many series there are, as a monitoring system counts them."""
        return sum(_samples(series) for family in self._series.values() for series in family)

    def samples(self, family: Family) -> Iterator[tuple[str, LabelPairs, float]]:
        """Return the samples of *family* as they are exposed: name, labels, value."""
        for series in self.of(family):
            if isinstance(series.value, Spread):
                yield from _spread_samples(family, series.labels, series.value)
            else:
                yield family.name, series.labels, series.value


def spread(distribution: Distribution, bounds: Sequence[float]) -> Spread:
    """Return *distribution* with its bounds."""
    return Spread(bounds, distribution.cumulative, distribution.total)


def suffixes(family: Family) -> tuple[str, str]:
    """Return what the names of count and sum of a spread end in."""
    return ("_gcount", "_gsum") if family.kind is Kind.DISTRIBUTION else ("_count", "_sum")


def _samples(series: Series) -> int:
    return len(series.value.cumulative) + 2 if isinstance(series.value, Spread) else 1


def _spread_samples(
    family: Family, labels: LabelPairs, value: Spread
) -> Iterator[tuple[str, LabelPairs, float]]:
    for bound, count in zip((*value.bounds, float("inf")), value.cumulative, strict=True):
        yield f"{family.name}_bucket", (*labels, ("le", spell(bound))), count
    count_suffix, sum_suffix = suffixes(family)
    yield f"{family.name}{count_suffix}", labels, value.cumulative[-1]
    yield f"{family.name}{sum_suffix}", labels, value.total


def spell(number: float) -> str:
    """Write a number as Go does, which is also how `le` is spelled everywhere: 1.0, 1e+06, +Inf."""
    number = float(number)
    if number == math.inf:
        return "+Inf"
    if number == -math.inf:
        return "-Inf"
    if math.isnan(number):
        return "NaN"
    text = repr(number)
    point = text.find(".")
    if number > 0 and point > _DIGITS_BEFORE_EXPONENT:
        mantissa = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{point - 1:02d}"
    return text
