"""What users may set parameters to."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping

from exporter.alerts.former import FORMER_ALERTS, FORMER_PARAMETERS
from exporter.alerts.model import PREFIX, Kind, Parameter
from exporter.alerts.shared import HUB_LABELS, REPLICA_LABELS, TARGET_LABELS
from exporter.alerts.table import ALERTS, DEFAULTS, PARAMETERS

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
    """What was asked for is no set of rules: correct each of the *problems*."""

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
    if problems := list(_twice(values)):
        raise WrongRules(problems)
    return values


def _twice(values: Mapping[str, str]) -> Iterable[str]:
    """Yield labels by which exporters are told apart that are also something else."""
    apart = _labels(values[TARGET_LABELS.name])
    for other in (HUB_LABELS, REPLICA_LABELS):
        for label in sorted(apart & _labels(values[other.name])):
            yield f"{other.name}: {label!r} is one of {TARGET_LABELS.name}: keep it in one of them"


def _labels(value: str) -> set[str]:
    return {label.strip() for label in value.split(",")}


def full_names(names: Collection[str]) -> set[str]:
    """
    Return the full names of the alerts *names*, given with or without the prefix of all.

    Former ones are left out; raises `WrongRules` for others that there are not.
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
