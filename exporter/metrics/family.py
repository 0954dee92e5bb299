"""Metric families, and how their values are read from snapshots."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from exporter.collector.snapshot import HubSnapshot, ProcessView, Sweep

# The values of a family's labels, in the order of its labels.
Values = tuple[str, ...]
Value_co = TypeVar("Value_co", covariant=True)
Samples = Collection[tuple[Values, Value_co]]


class Kind(StrEnum):
    """
    The type of a family.

    A distribution is of values *now*, not of events: a gauge histogram in OpenMetrics, untyped in
    the classic format, where real servers refuse that type or take it for a histogram.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"
    DISTRIBUTION = "distribution"


_UNITS = frozenset({"seconds", "bytes", "ratio"})

# Suffixes of sample names.
SPREAD_SUFFIXES: Mapping[Kind, tuple[str, ...]] = {
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.DISTRIBUTION: ("_bucket",),
}


class Stability(StrEnum):
    """Stability of a family: a stable one keeps its name, labels and meaning."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram or distribution over `bounds`; `cumulative` ends with the total count."""

    bounds: Sequence[float]
    cumulative: Sequence[int]
    total: float

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Yield upper bounds, the last one infinite, with their cumulative counts."""
        return zip((*self.bounds, math.inf), self.cumulative, strict=True)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One event behind a value; `at` in seconds since the epoch."""

    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value_co]):
    """How values are read from a snapshot, and the sweep whose age removes them, None if none."""

    sweep: Sweep | None
    read: Callable[[HubSnapshot], Samples[Value_co]]


@dataclass(frozen=True, slots=True)
class Family:
    """
    One metric family and the source of its values.

    `name` is as in queries, without the suffixes of histograms and distributions. `labels` are
    those besides `task_hub`, which every family of a hub has. Histograms and distributions have
    `spreads`, families of the process `of_process`, all others `numbers`. With `free_labels`, the
    hub's configured labels follow.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    numbers: tuple[Reading[float], ...] = ()
    spreads: tuple[Reading[Spread], ...] = ()
    exemplars: Callable[[HubSnapshot], Mapping[Values, Exemplar]] | None = None
    of_process: Callable[[ProcessView | None], Samples[float]] | None = None
    stability: Stability = Stability.STABLE
    free_labels: bool = False

    @property
    def per_hub(self) -> bool:
        """Whether it is of hubs rather than of the process."""
        return self.of_process is None

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """The sweeps whose age removes it."""
        readings = (*self.numbers, *self.spreads)
        return tuple(reading.sweep for reading in readings if reading.sweep is not None)

    @property
    def label_names(self) -> tuple[str, ...]:
        """All labels but `le` and configured ones."""
        return ("task_hub", *self.labels) if self.per_hub else self.labels

    @property
    def unit(self) -> str:
        """The base unit at the end of the name, for OpenMetrics; empty if none."""
        if self.kind is Kind.INFO:
            return ""
        _, underscore, word = self.name.removesuffix("_total").rpartition("_")
        return word if underscore and word in _UNITS else ""


@dataclass(slots=True)
class Series:
    """The series of one family by label values, and exemplars of some."""

    family: Family
    numbers: Samples[float] = ()
    spreads: Samples[Spread] = ()
    exemplars: Mapping[Values, Exemplar] = field(default_factory=dict)


def sample_names(family: Family) -> tuple[str, ...]:
    """Return the names of a family's samples."""
    return tuple(f"{family.name}{suffix}" for suffix in SPREAD_SUFFIXES.get(family.kind, ("",)))


def classic_name(family: Family) -> str:
    """Return a family's name in the classic format: a distribution's is that of its samples."""
    return sample_names(family)[0] if family.kind is Kind.DISTRIBUTION else family.name


def gauge(
    name: str,
    text: str,
    *numbers: Reading[float],
    labels: tuple[str, ...] = (),
    stability: Stability = Stability.STABLE,
) -> Family:
    """Declare a gauge of each hub."""
    return Family(name, Kind.GAUGE, text, labels, numbers, stability=stability)


def counter(
    name: str,
    text: str,
    number: Reading[float],
    *,
    labels: tuple[str, ...] = (),
    exemplars: Callable[[HubSnapshot], Mapping[Values, Exemplar]] | None = None,
    stability: Stability = Stability.STABLE,
) -> Family:
    """Declare a counter of each hub."""
    return Family(
        name, Kind.COUNTER, text, labels, (number,), exemplars=exemplars, stability=stability
    )


def spread(
    kind: Kind, name: str, text: str, labels: tuple[str, ...], reading: Reading[Spread]
) -> Family:
    """Declare a histogram or a distribution of each hub."""
    return Family(name, kind, text, labels, spreads=(reading,))
