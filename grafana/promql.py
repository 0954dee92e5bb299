"""PromQL from the families of the catalogue, so that a query cannot name what is not served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.metrics.family import SPREAD_SUFFIXES, Family

REPLICAS = "$replicas"
"""The labels in which replicas differ: a constant of every dashboard, to be changed there."""

RATE_WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The series that a dashboard is about, as matchers of labels.

    Every replica shows the same hub. So gauges and counters are folded over the replicas before
    anything is summed: the most of them, since one that began later has counted less, or the
    earliest of the oldest.
    """

    hub: str
    of_name: str = ""

    def series(self, family: Family, *matchers: str, suffix: str = "") -> str:
        """
        Return a selector of the series of *family* in this scope.

        Raises:
            ValueError: the family has no such samples.
        """
        if suffix and suffix not in SPREAD_SUFFIXES.get(family.kind, ()):
            raise ValueError(f"{family.name} has no {suffix}")
        mine = [self.hub] if "task_hub" in family.label_names else []
        if self.of_name and self.of_name.partition("=")[0] in family.label_names:
            mine.append(self.of_name)
        return f"{family.name}{suffix}{{{', '.join([*mine, *matchers])}}}"

    def latest(self, family: Family, *matchers: str) -> str:
        """Return what is true now: of each series the highest that a replica shows."""
        return f"max without ({REPLICAS}) ({self.series(family, *matchers)})"

    def earliest(self, family: Family, *matchers: str) -> str:
        """Return points in time that are oldest ones: of each series the earliest of all."""
        return f"min without ({REPLICAS}) ({self.series(family, *matchers)})"

    def increase(self, family: Family, *matchers: str, over: str = RATE_WINDOW) -> str:
        """Return by how much counters have grown, folded afterwards: a replica may begin anew."""
        return f"max without ({REPLICAS}) (increase({self.series(family, *matchers)}[{over}]))"

    def per_minute(self, family: Family, *matchers: str, offset: str = "") -> str:
        """Return how fast counters grow, in events a minute."""
        moved = f" offset {offset}" if offset else ""
        rate = f"rate({self.series(family, *matchers)}[{RATE_WINDOW}]{moved})"
        return f"60 * max without ({REPLICAS}) ({rate})"

    def buckets(self, family: Family, *matchers: str, offset: str = "", grown: bool = False) -> str:
        """Return buckets: as they are for a distribution of now, by their growth for events."""
        selector = self.series(family, *matchers, suffix="_bucket")
        if grown:
            moved = f" offset {offset}" if offset else ""
            selector = f"increase({selector}[{RATE_WINDOW}]{moved})"
        return f"max without ({REPLICAS}) ({selector})"

    def spent(self, family: Family, *matchers: str, suffix: str = "") -> str:
        """
        Return how fast the exporter's own work grows, a second.

        Not folded: each replica makes its own requests, so what they cost adds up.
        """
        return f"rate({self.series(family, *matchers, suffix=suffix)}[{RATE_WINDOW}])"


def total(expr: str, *by: str) -> str:
    """Sum, by labels."""
    return _aggregated("sum", expr, by)


def highest(expr: str, *by: str) -> str:
    """Take the highest, by labels."""
    return _aggregated("max", expr, by)


def lowest(expr: str, *by: str) -> str:
    """Take the lowest, by labels."""
    return _aggregated("min", expr, by)


def age(moment: str) -> str:
    """Return how long ago something was."""
    return f"time() - {moment}"


def quantile(share: float, buckets: str, *by: str) -> str:
    """Return a quantile from buckets; nothing where they are empty."""
    return f"histogram_quantile({share}, {total(buckets, 'le', *by)}) >= 0"


def ratio(part: str, whole: str) -> str:
    """Return a ratio; nothing, rather than 0, where there is nothing to compare with."""
    return f"{part} / ({whole} > 0)"


def known_or_zero(found: str, known: str) -> str:
    """Return *found*, or 0 where *known* shows that somebody looked and found nothing."""
    return f"({found}) or (0 * {known})"


def _aggregated(operation: str, expr: str, by: Iterable[str]) -> str:
    labels = ", ".join(by)
    return f"{operation} by ({labels}) ({expr})" if labels else f"{operation}({expr})"
