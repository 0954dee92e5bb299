"""The series that a dashboard is about."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.metrics.family import Family
from exporter.metrics.promql import selector, without

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
        """Return a selector of the series of *family* in this scope."""
        mine = [self.hub] if "task_hub" in family.label_names else []
        if self.of_name and self.of_name.partition("=")[0] in family.label_names:
            mine.append(self.of_name)
        return selector(family, *mine, *matchers, suffix=suffix)

    def latest(self, family: Family, *matchers: str) -> str:
        """Return what is true now: of each series the highest that a replica shows."""
        return without(REPLICAS, self.series(family, *matchers))

    def earliest(self, family: Family, *matchers: str) -> str:
        """Return points in time that are oldest ones: of each series the earliest of all."""
        return without(REPLICAS, self.series(family, *matchers), by="min")

    def increase(self, family: Family, *matchers: str, over: str = RATE_WINDOW) -> str:
        """Return by how much counters have grown, folded afterwards: a replica may begin anew."""
        return without(REPLICAS, f"increase({self.series(family, *matchers)}[{over}])")

    def per_minute(self, family: Family, *matchers: str, offset: str = "") -> str:
        """Return how fast counters grow, in events a minute."""
        moved = f" offset {offset}" if offset else ""
        rate = f"rate({self.series(family, *matchers)}[{RATE_WINDOW}]{moved})"
        return f"60 * {without(REPLICAS, rate)}"

    def buckets(self, family: Family, *matchers: str, offset: str = "", grown: bool = False) -> str:
        """Return buckets: as they are for a distribution of now, by their growth for events."""
        selector = self.series(family, *matchers, suffix="_bucket")
        if grown:
            moved = f" offset {offset}" if offset else ""
            selector = f"increase({selector}[{RATE_WINDOW}]{moved})"
        return without(REPLICAS, selector)

    def spent(self, family: Family, *matchers: str, suffix: str = "") -> str:
        """
        Return how fast the exporter's own work grows, a second.

        Not folded: each replica makes its own requests, so what they cost adds up.
        """
        return f"rate({self.series(family, *matchers, suffix=suffix)}[{RATE_WINDOW}])"
