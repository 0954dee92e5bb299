"""Alerts, parameters and recording rules, independent of Prometheus' and Grafana's formats."""

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
    Severity of an alert: critical may page, a warning is for working hours.

    The last three come from the alert's series. `CONFIGURED` and `BY_LIMIT` are critical only if
    somebody set the limit: a default never pages.
    """

    CRITICAL = "critical"
    WARNING = "warning"
    CONFIGURED = "as configured"
    BY_LIMIT = "by limit"
    BY_CAUSE = "by cause"

    @property
    def is_of_series(self) -> bool:
        """Whether the label `severity` of the series has it."""
        return self not in (Severity.CRITICAL, Severity.WARNING)


class Kind(StrEnum):
    """The kind of value of a parameter."""

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
        """Return the placeholder of its value in expressions and texts."""
        return f"$({self.name})"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule; *reason* says what it is for."""

    name: str
    expression: str
    reason: str

    def __str__(self) -> str:
        """Return its placeholder in expressions."""
        return f"$({self.name})"


class Board(StrEnum):
    """The dashboard for an alert, by the end of its uid."""

    FLEET = "fleet"
    HUB = "hub"
    ORCHESTRATOR = "orchestrator"
    ENTITIES = "entities"
    EXPORTER = "exporter"


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One alert.

    `name` is without the common prefix. `when` is the condition in words, for the reference;
    `expression` is PromQL with placeholders of parameters, `wait` its `for`. `cause_labels` are
    labels of the series that only texts use: on the alert, each change would restart the wait.
    `of_hub`: the series have `task_hub`. `sweep` is the one that the alert depends on: while it is
    not fresh, a firing alert keeps firing; None if the alert is about the exporter or reading
    itself. An alert that inhibits others `outlasts` its condition, so that they end first. An
    `opt_in` alert is in the files only on request.
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
        """The name with the common prefix."""
        return f"{PREFIX}{self.name}"

    @property
    def own_parameters(self) -> tuple[Parameter, ...]:
        """The parameters of this alert only."""
        outlasts = () if self.outlasts is None else (self.outlasts,)
        return (*self.parameters, self.wait, *outlasts)


def number(name: str, default: float, reason: str) -> Parameter:
    """Return a parameter that is a number."""
    return Parameter(name, Kind.NUMBER, f"{default:g}", reason)


def duration(name: str, default: str, reason: str) -> Parameter:
    """Return a parameter that is a duration, as Prometheus writes them."""
    return Parameter(name, Kind.DURATION, default, reason)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with its placeholders filled in; raises `KeyError` for one without a value."""
    return _PLACE.sub(lambda place: values[place[1]], text)


def places(text: str) -> set[str]:
    """Return the names of all placeholders in *text*."""
    return set(_PLACE.findall(text))
