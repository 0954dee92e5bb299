"""What an alert is, before it is written for Prometheus or Grafana."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.collector.snapshot import Sweep

PREFIX = "DurableFunctions"
_PLACE = re.compile(r"\$\(([a-z0-9_:]+)\)")


class Severity(StrEnum):
    """
    Whom an alert is for: critical pages, warning is looked at in the day, info is a fact.

    `BY_LIMIT` is critical where the limit behind the alert was configured, else a warning: nobody
    is woken up by a limit that nobody chose.
    """

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    BY_LIMIT = "by limit"


class Kind(StrEnum):
    """What the value of a parameter looks like."""

    NUMBER = "number"
    DURATION = "duration"
    LABELS = "labels"
    SOME_LABELS = "labels, at least one"
    URL = "URL"
    SEVERITY = "severity"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that users may change; *reason* says why the default is what it is."""

    name: str
    kind: Kind
    default: str
    reason: str

    def __str__(self) -> str:
        """Return the place that its value takes in an expression or a text."""
        return f"$({self.name})"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule; *reason* says what it is good for."""

    name: str
    expression: str
    reason: str

    def __str__(self) -> str:
        """Return the place that it takes in an expression."""
        return f"$({self.name})"


class Board(StrEnum):
    """The dashboard on which an alert is looked at, by the end of its uid."""

    FLEET = "fleet"
    HUB = "hub"
    ORCHESTRATOR = "orchestrator"
    ENTITIES = "entities"
    EXPORTER = "exporter"


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One alert.

    `name` comes without the prefix that all share. `expression` is PromQL with the places of
    parameters; `wait` is how long it must hold before it fires, `when` is the same in words, for
    the reference. `of_hub` tells whether its series carry `task_hub`. `sweep` is the one without
    which nothing is known of its cause: while that is not fresh, an alert that fires goes on. It is
    None where the cause lies with the exporter, or with reading itself. One that
    `holds_back` others to the end goes on for a while, too.
    """

    name: str
    group: str
    when: str
    expression: str
    wait: Parameter
    severity: Severity
    summary: str
    description: str
    board: Board
    parameters: tuple[Parameter, ...] = field(default=())
    of_hub: bool = True
    sweep: Sweep | None = None
    holds_back: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether it goes on for a while once its condition is gone."""
        return self.sweep is not None or self.holds_back

    @property
    def full_name(self) -> str:
        """The name as Alertmanager and the runbook have it."""
        return f"{PREFIX}{self.name}"

    @property
    def own_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that no other alert has."""
        return (*self.parameters, self.wait)


def number(name: str, default: float, reason: str) -> Parameter:
    """Return a parameter that is a number."""
    return Parameter(name, Kind.NUMBER, f"{default:g}", reason)


def duration(name: str, default: str, reason: str) -> Parameter:
    """Return a parameter that is a duration, as Prometheus writes them."""
    return Parameter(name, Kind.DURATION, default, reason)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with every place filled in; raises `KeyError` for one that has no value."""
    return _PLACE.sub(lambda place: values[place[1]], text)


def places(text: str) -> set[str]:
    """Return the names of all places in *text*."""
    return set(_PLACE.findall(text))
