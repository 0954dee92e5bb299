"""The table of all alerts and parameters, their former names, and the values that users may set."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from exporter.alerts import failures, hubs, instances, itself, storage
from exporter.alerts.model import PREFIX, Alert, Kind, Parameter
from exporter.alerts.shared import HUB_LABELS, REPLICA_LABELS, SHARED, TARGET_LABELS

# The alert that replaces each; empty if dashboards show its cause.
FORMER_ALERTS: Mapping[str, str] = MappingProxyType(
    {
        "AppStopped": "HubUnreachable",
        "BaselineLost": "",
        "BudgetSpent": "DataStale",
        "EternalStalled": "OrchestrationStalled",
        "FailureRatioHigh": "OrchestrationsFailing",
        "FinishedButRunning": "OrchestrationStalled",
        "FunctionMissing": "DeploymentBroken",
        "KeyRefused": "HubUnreachable",
        "LabelsFolded": "ExporterMisconfigured",
        "NewFailures": "OrchestrationsFailing",
        "NonDeterminism": "DeploymentBroken",
        "SweepTooSlow": "DataStale",
        "TimerOverdue": "OrchestrationStalled",
        "UnresolvedFailures": "OrchestrationsFailing",
    }
)
# The replacement of each: a setting of the exporter, another parameter, or nothing.
FORMER_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "app_stopped_for",
                "error_window",
                "hub_unreachable_intervals",
                "key_refused_for",
            ),
            "hub_unreachable_for",
        ),
        **dict.fromkeys(("baseline_lost_for", "baseline_memory"), ""),
        **dict.fromkeys(
            (
                "budget_spent_for",
                "data_stale_intervals",
                "data_stale_seconds",
                "sweep_too_slow_for",
            ),
            "data_stale_for",
        ),
        **dict.fromkeys(
            (
                "eternal_cycles",
                "eternal_cycles_known",
                "eternal_stalled_for",
                "eternal_stalled_seconds",
                "finished_but_running_for",
                "timer_overdue_for",
                "timer_overdue_seconds",
            ),
            "limits.idle",
        ),
        "failure_ratio": "limits.failure_ratio",
        **dict.fromkeys(
            ("failure_ratio_high_for", "new_failures_for", "unresolved_failures_for"),
            "orchestrations_failing_for",
        ),
        **dict.fromkeys(("fresh_grace_seconds", "fresh_intervals"), ""),
        **dict.fromkeys(("function_missing_for", "non_determinism_for"), "deployment_broken_for"),
        "hold": "exporter_memory",
        "hub_stalled_seconds": "hub_stalled_window",
        "labels_folded_for": "exporter_misconfigured_for",
        **dict.fromkeys(
            ("new_failures", "unresolved_failures_seconds"), "limits.unresolved_failures"
        ),
        "suspended_forgotten_seconds": "limits.suspended",
    }
)


def remark_on(name: str, today: str) -> str:
    """Return the message about the former *name* of an alert or parameter."""
    instead = f"see {today}" if today else "nothing takes its place"
    return f"{name}: is gone and ignored: {instead}"


ALERTS: tuple[Alert, ...] = (
    *hubs.ALERTS,
    *instances.ALERTS,
    # In one group with the alerts that it inhibits, and after them: it must not end before they do.
    hubs.HUB_STALLED,
    *failures.ALERTS,
    *storage.ALERTS,
    *itself.ALERTS,
    *instances.OPT_IN,
)
PARAMETERS: tuple[Parameter, ...] = (
    *SHARED,
    *(parameter for alert in ALERTS for parameter in alert.own_parameters),
)
DEFAULTS: Mapping[str, str] = {parameter.name: parameter.default for parameter in PARAMETERS}


def chosen(*, without: Collection[str] = (), opted: Collection[str] = ()) -> list[Alert]:
    """Return all alerts but *without*, and of the opt-in alerts only *opted*."""
    return [
        alert
        for alert in ALERTS
        if alert.full_name not in without and (not alert.opt_in or alert.full_name in opted)
    ]


_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_SOME_LABELS = re.compile(r"[a-zA-Z_]\w*(?:, ?[a-zA-Z_]\w*)*", re.ASCII)
_LABELS = re.compile(rf"(?:{_SOME_LABELS.pattern})?", re.ASCII)
_URL = re.compile(r"(?:https?://[^\s\"'{}$]+)?")
_WORD = re.compile(r"[\w.-]+", re.ASCII)
_EXPECTED = {
    Kind.NUMBER: "a number that is 0 or more",
    Kind.DURATION: "a duration of Prometheus, such as 5m or 1h30m",
    Kind.LABELS: "a list of label names, separated by commas",
    Kind.SOME_LABELS: "a list of one label name or more, separated by commas",
    Kind.URL: "a URL that begins with https:// or http://, or empty",
    Kind.SEVERITY: "one word",
    Kind.TEXT: "one word",
}
_PATTERNS = {
    Kind.DURATION: _DURATION,
    Kind.LABELS: _LABELS,
    Kind.SOME_LABELS: _SOME_LABELS,
    Kind.URL: _URL,
    Kind.SEVERITY: _WORD,
    Kind.TEXT: _WORD,
}
_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


class WrongRules(Exception):
    """Names or values of alerts and parameters are wrong, as *problems* say."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def values_with(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the values of all parameters, with *changes*; raises `WrongRules`."""
    changes = {name: changes[name] for name in changes if name not in FORMER_PARAMETERS}
    problems = [problem for name in changes if (problem := _problem(name, changes[name]))]
    if problems:
        raise WrongRules(problems)
    changed = {name: _tidy(_BY_NAME[name], value) for name, value in changes.items()}
    values = {**DEFAULTS, **changed}
    if problems := list(_ambiguous_labels(values)):
        raise WrongRules(problems)
    return values


def _ambiguous_labels(values: Mapping[str, str]) -> Iterable[str]:
    """Yield a problem per target label that is a hub's or a replica's label, too."""
    of_targets = _labels(values[TARGET_LABELS.name])
    for other in (HUB_LABELS, REPLICA_LABELS):
        for label in sorted(of_targets & _labels(values[other.name])):
            yield f"{other.name}: {label!r} is one of {TARGET_LABELS.name}: keep it in one of them"


def _labels(value: str) -> set[str]:
    return {label.strip() for label in value.split(",")}


def full_names(names: Collection[str]) -> set[str]:
    """
    Return the full names of the alerts *names*, which may lack the common prefix.

    Former names are left out; raises `WrongRules` for unknown ones.
    """
    known = {alert.full_name for alert in ALERTS}
    full = {
        name: f"{PREFIX}{name.removeprefix(PREFIX)}"
        for name in names
        if name.removeprefix(PREFIX) not in FORMER_ALERTS
    }
    unknown = [name for name, whole in full.items() if whole not in known]
    if unknown:
        raise WrongRules(f"{name}: is not an alert: --list shows all of them" for name in unknown)
    return set(full.values())


def _problem(name: str, value: str) -> str | None:
    parameter = _BY_NAME.get(name)
    if parameter is None:
        return f"{name}: is not a parameter: --list shows all of them"
    if _fits(parameter.kind, value):
        return None
    return f"{name}: {value!r} is not {_EXPECTED[parameter.kind]}"


def _fits(kind: Kind, value: str) -> bool:
    if kind is Kind.NUMBER:
        try:
            number = float(value)
        except ValueError:
            return False
        return math.isfinite(number) and number >= 0
    return _PATTERNS[kind].fullmatch(value) is not None


def _tidy(parameter: Parameter, value: str) -> str:
    if parameter.kind is Kind.NUMBER:
        return f"{float(value):.15g}"
    if parameter.kind is Kind.URL:
        return value.rstrip("/")
    return value
