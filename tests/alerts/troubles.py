"""What each alert about one hub is for: a trouble that it tells of, and what is near to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.alerts.model import Alert
from exporter.alerts.table import DEFAULTS
from exporter.metrics import catalogue as c
from exporter.settings.durations import parse_duration
from tests.alerts.cases import BY_NAME, MINUTE
from tests.alerts.world import (
    HUB,
    ORCHESTRATOR,
    OWNERS,
    TARGET,
    Series,
    of_orchestrator,
    shown,
)

NOTHING: Mapping[str, str] = {}
ORDERS = {"orchestrator": ORCHESTRATOR}


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    A trouble, from `since` on (in seconds), and courses of events that are none.

    `labels` are those that the alert has beside the hub's and the target's. `value` is the number
    that it tells of, once it fires. `also` are others that it tells of, with labels that differ.
    """

    name: str
    series: Sequence[Series]
    labels: Mapping[str, str]
    value: float
    silent: Mapping[str, Sequence[Series]]
    since: float = 0.0
    step: float = MINUTE
    also: Mapping[str, tuple[Sequence[Series], Mapping[str, str]]] = field(default_factory=dict)

    @property
    def alert(self) -> Alert:
        """The alert that tells of it."""
        return BY_NAME[self.name]

    @property
    def wait(self) -> float:
        """How long it must last, in seconds."""
        return parse_duration(DEFAULTS[self.alert.wait.name])

    @property
    def fires_at(self) -> float:
        """The second at which it must fire."""
        ticks = -(-self.wait // self.step)
        return self.since + ticks * self.step

    def firing(self, changes: Mapping[str, str] = NOTHING, *, owned: bool = True) -> dict[str, str]:
        """Return all labels of the alert, with *changes*; one that is empty is none."""
        owners = OWNERS if owned else {}
        whole = {"task_hub": HUB, **TARGET, **owners, **self.labels, **changes}
        return {name: value for name, value in whole.items() if value}


def limit_of(limit: str, source: str, seconds: float = 600.0) -> Series:
    """Return a *limit*: the orchestrator's own where it is `configured`, else that of the hub."""
    name = ORCHESTRATOR if source == "configured" else ""
    return shown(c.LIMIT.name, seconds, limit=limit, orchestrator=name)


def over(limit: str, number: float, source: str = "configured") -> list[Series]:
    """Return instances over *limit*, and none over other limits, which have another source."""
    others = [other for other in ("pending", "idle", "age") if other != limit]
    opposite = "default" if source == "configured" else "configured"
    return [
        of_orchestrator(c.OVER_LIMIT.name, number, limit=limit),
        *(of_orchestrator(c.OVER_LIMIT.name, 0.0, limit=other) for other in others),
        limit_of(limit, source),
        *(limit_of(other, opposite) for other in others),
    ]


def in_other(series: Sequence[Series]) -> list[Series]:
    """Return *series* with the label that names share which share nothing else."""
    return [
        Series(one.name, {**one.labels, label: "_other"}, one.at)
        for one in series
        for label in ("orchestrator", "entity")
        if label in one.labels
    ]
