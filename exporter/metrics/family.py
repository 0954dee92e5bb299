"""What a metric family is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from exporter.collector.snapshot import Sweep


class Kind(StrEnum):
    """
    The kind of a family.

    A distribution is of values *now*, not of events: three untyped families `_bucket`, `_gcount`
    and `_gsum`, since real servers refuse or swallow a gauge histogram (design 5).
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"
    DISTRIBUTION = "distribution"


_UNITS = frozenset({"seconds", "bytes", "ratio"})

# What the names of the samples of a histogram or distribution end in: buckets, count, sum.
SPREAD_SUFFIXES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.DISTRIBUTION: ("_bucket", "_gcount", "_gsum"),
}


class Stability(StrEnum):
    """What a user may rely on: a stable family keeps its name, labels and meaning."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"


@dataclass(frozen=True, slots=True)
class Family:
    """
    One metric family.

    `name` is as users query it, but for the suffixes that histograms and distributions add.
    `labels` come besides `task_hub`, which every family of a hub has. `sweep` is the one whose
    age withdraws it, None where it stays.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    sweep: Sweep | None = None
    per_hub: bool = True
    stability: Stability = Stability.STABLE
    free_labels: bool = False

    @property
    def label_names(self) -> tuple[str, ...]:
        """All labels, but for `le` and those that are configured."""
        return ("task_hub", *self.labels) if self.per_hub else self.labels

    @property
    def unit(self) -> str:
        """The base unit that the name ends in, for OpenMetrics; empty where it ends in none."""
        if self.kind in (Kind.INFO, Kind.DISTRIBUTION):
            return ""
        _, underscore, word = self.name.removesuffix("_total").rpartition("_")
        return word if underscore and word in _UNITS else ""


def exposed_names(family: Family) -> tuple[str, ...]:
    """Return the names under which *family* is exposed: three for a distribution, else its own."""
    if family.kind is Kind.DISTRIBUTION:
        return tuple(f"{family.name}{suffix}" for suffix in SPREAD_SUFFIXES[family.kind])
    return (family.name,)
