"""The series that a dashboard is about."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.metrics import catalogue as c
from exporter.metrics.family import Family
from exporter.metrics.promql import equal, one_of, selector, without

REPLICAS = "$replicas"
"""The labels in which replicas differ: a constant of every dashboard, to be edited there."""

TARGET = ("cluster", "namespace", "job")
"""The labels that distinguish exporters: one hub name in two exporters means two hubs."""

HUB = ("task_hub", *TARGET)
PROCESS = (*TARGET, "instance")

RATE_WINDOW = "$__rate_interval"
STEP = "$__interval"
"""The time of a bar or a cell: windows of this length neither overlap nor leave gaps."""

RANGE = "$__range"


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The series that a dashboard is about, as label matchers.

    Every replica shows the same hub, so series are folded over replicas before they are summed: by
    maximum, since a replica that started later has counted less, or by minimum for oldest times.
    `of_name` is a matcher of orchestrators or entities; a scope `of_many` is about all chosen hubs
    and exporters.
    """

    of_name: str = ""
    of_many: bool = False

    @property
    def exporters(self) -> tuple[str, ...]:
        """The matchers of target labels."""
        return tuple(self._chosen(label) for label in TARGET)

    def values(self, family: Family, label: str) -> str:
        """Return the query of a variable: the values of a label in the chosen hubs."""
        matchers = (self._chosen("task_hub"), *self.exporters)
        return f"label_values({selector(family, *matchers)}, {label})"

    def _chosen(self, label: str) -> str:
        return (one_of if self.of_many else equal)(label, f"${label}")

    def series(self, family: Family, *matchers: str, suffix: str = "") -> str:
        """Return a selector of the series of *family* in this scope."""
        mine = [self._chosen("task_hub")] if family.per_hub else []
        mine += self.exporters
        if self.of_name and self.of_name.partition("=")[0] in family.label_names:
            mine.append(self.of_name)
        return selector(family, *mine, *matchers, suffix=suffix)

    def latest(self, family: Family, *matchers: str) -> str:
        """Return current values: per series, the maximum of all replicas."""
        return self._folded(self.series(family, *matchers))

    def earliest(self, family: Family, *matchers: str) -> str:
        """Return oldest times: per series, the minimum of all replicas."""
        return self._folded(self.series(family, *matchers), by="min")

    def known_within(self, family: Family, window: str) -> str:
        """Return the last values of series within *window*, even if they have ended."""
        known = f"last_over_time({self.series(family)}[{window}])"
        return without(REPLICAS, self._of_team(known, within=window))

    def increase(self, family: Family, *matchers: str, over: str = STEP) -> str:
        """Return the increase of counters, folded afterwards, as a replica may restart."""
        return self._folded(f"increase({self.series(family, *matchers)}[{over}])")

    def per_minute(self, family: Family, *matchers: str, offset: str = "") -> str:
        """Return the rate of counters, per minute."""
        moved = f" offset {offset}" if offset else ""
        rate = f"rate({self.series(family, *matchers)}[{RATE_WINDOW}]{moved})"
        return f"60 * {self._folded(rate)}"

    def buckets(self, family: Family, *matchers: str) -> str:
        """Return the buckets of a current distribution."""
        return self._folded(self.series(family, *matchers, suffix="_bucket"))

    def grown_buckets(self, family: Family, over: str, *, offset: str = "") -> str:
        """Return the increase of a histogram's buckets."""
        moved = f" offset {offset}" if offset else ""
        return self._folded(f"increase({self.series(family, suffix='_bucket')}[{over}]{moved})")

    def spent(self, family: Family, *, suffix: str = "", over: str = RATE_WINDOW) -> str:
        """
        Return the rate of the exporter's own work, per second.

        Not folded: each replica makes its own requests, so their cost adds up.
        """
        return self._of_team(f"rate({self.series(family, suffix=suffix)}[{over}])")

    def _folded(self, expr: str, *, by: str = "max") -> str:
        return without(REPLICAS, self._of_team(expr), by=by)

    def _of_team(self, expr: str, *, within: str = "") -> str:
        """Leave out hubs of other teams; without any team all hubs remain."""
        if not self.of_many:
            return expr
        others = selector(c.HUB_INFO, 'team!~"$team"')
        if within:
            others = f"last_over_time({others}[{within}])"
        return f"{expr} unless on ({', '.join(HUB)}) {others}"


def of_exporters(family: str, scope: Scope, over: str = "") -> str:
    """
    Select a family of the client library, of exporters only, as every Python program has these.

    With *over*, return a counter's rate per second over that window.
    """
    chosen = ", ".join(scope.exporters)
    mine = f"rate({family}{{{chosen}}}[{over}])" if over else f"{family}{{{chosen}}}"
    return f"{mine} and on ({', '.join(PROCESS)}) {c.BUILD_INFO.name}{{{chosen}}}"
