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
    Whom an alert is for: critical pages, a warning is for working hours.

    The last three are what the series of the alert say. `CONFIGURED` and `BY_LIMIT` page where
    somebody chose the limit behind the alert on purpose: nobody is woken up by a default.
    """

    CRITICAL = "critical"
    WARNING = "warning"
    CONFIGURED = "as configured"
    BY_LIMIT = "by limit"
    BY_CAUSE = "by cause"

    @property
    def is_of_series(self) -> bool:
        """Whether the series have it as their label `severity`."""
        return self not in (Severity.CRITICAL, Severity.WARNING)


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
    the reference. `cause_labels` are labels of its series that only its texts have: in the alert
    itself, each change of one would begin the wait anew. `of_hub` tells whether its series carry
    `task_hub`. `sweep` is the one without which nothing is known of its cause: while that is not
    fresh, an alert that fires keeps firing. It is None where the cause lies with the exporter, or
    with reading itself. One that inhibits others `outlasts` its condition for so long that they end
    before it does. One that is `opt_in` is only in the files of those who ask for it.
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
    cause_labels: tuple[str, ...] = ()
    of_hub: bool = True
    sweep: Sweep | None = None
    outlasts: Parameter | None = None
    opt_in: bool = False

    @property
    def full_name(self) -> str:
        """The name as Alertmanager and the runbook have it."""
        return f"{PREFIX}{self.name}"

    @property
    def own_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that no other alert has."""
        outlasts = () if self.outlasts is None else (self.outlasts,)
        return (*self.parameters, self.wait, *outlasts)


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
