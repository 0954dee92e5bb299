"""The trouble that each alert about a hub reports, and similar ones that it must not report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.alerts.model import Alert
from exporter.alerts.table import DEFAULTS
from exporter.metrics import catalogue as c
from exporter.metrics.family import Family
from exporter.settings.durations import parse_duration
from tests.alerts.cases import BY_NAME, MINUTE
from tests.alerts.world import (
    HUB,
    ORCHESTRATOR,
    OWNERS,
    TARGET,
    Series,
    Values,
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
        """The alert that reports it."""
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
        """Return all labels of the alert, with *changes*; empty ones are removed."""
        owners = OWNERS if owned else {}
        whole = {"task_hub": HUB, **TARGET, **owners, **self.labels, **changes}
        return {name: value for name, value in whole.items() if value}


def limit_of(
    limit: str, value: float = 600.0, *, own: bool = True, family: Family = c.LIMIT
) -> Series:
    """Return a limit of the hub, or an orchestrator's own."""
    return shown(family.name, value, limit=limit, orchestrator=ORCHESTRATOR if own else "")


def over(limit: str, number: float | Values, *, own: bool = True) -> list[Series]:
    """Return instances over *limit*, and none over other limits."""
    others = [other for other in ("pending", "idle", "age", "suspended") if other != limit]
    return [
        of_orchestrator(c.OVER_LIMIT.name, number, limit=limit),
        *(of_orchestrator(c.OVER_LIMIT.name, 0.0, limit=other) for other in others),
        limit_of(limit, own=own),
        *(limit_of(other, own=not own) for other in others),
    ]


def in_other(series: Sequence[Series]) -> list[Series]:
    """Return *series* with `_other` as the name; series of the hub are unchanged."""
    return [
        replace(one, labels={name: _other(name, value) for name, value in one.labels.items()})
        for one in series
    ]


def _other(name: str, value: str) -> str:
    return "_other" if value and name in ("orchestrator", "entity") else value
