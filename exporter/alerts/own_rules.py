"""Names in users' own rules and dashboards that no longer exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.alerts.model import PREFIX
from exporter.alerts.shared import RECORDINGS
from exporter.alerts.table import ALERTS, FORMER_ALERTS
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import Family, sample_names
from exporter.metrics.former import FORMER, Former

_STRING = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'"
_TEXT = re.compile(_STRING)
_SELECTOR = re.compile(
    rf"\b(?P<name>durable_functions[a-z0-9_:]*)(?:\s*\{{(?P<matchers>(?:[^{{}}\"']|{_STRING})*)\}})?"
)
_MATCHER = re.compile(rf"(?P<label>\w+)\s*(?P<kind>=~|!~|!=|=)\s*(?P<value>{_STRING})")
_GROUPING = re.compile(r"\b(?:by|on|group_left|group_right)\s*\(([^()]*)\)")
_ALERT = re.compile(rf"\b{PREFIX}[A-Z]\w+")
_ALTERNATIVES = re.compile(r"[()]")

_FAMILIES: dict[str, Family] = {
    name: family for family in CATALOGUE for name in sample_names(family)
}
_NAMES = frozenset({*_FAMILIES, *(recording.name for recording in RECORDINGS)})
_ALERTS = frozenset(alert.full_name for alert in ALERTS)


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector in an expression: a metric and its label matchers."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]

    def asks_for(self, former: Former) -> bool:
        """Return whether it selects by the *former* name or label."""
        if self.name != former.name:
            return False
        if not former.label:
            return True
        return any(
            label == former.label
            and kind in ("=", "=~")
            and (not former.value or former.value in _ALTERNATIVES.sub("", value).split("|"))
            for label, kind, value in self.matchers
        )


def problems_of(text: str) -> Iterator[str]:
    """Yield the names in an expression, or a text with expressions, that do not exist."""
    selectors = list(dict.fromkeys(_selectors(text)))
    # Labels that another family has, or that the expression sets, may be grouped by.
    grouped = {label.strip() for found in _GROUPING.findall(text) for label in found.split(",")}
    grouped -= {label for each in selectors for label in _labels_of(each.name)}
    grouped -= {found[1:-1] for found in _TEXT.findall(text)}
    for selector in selectors:
        yield from _problems_of(selector, grouped)
    for name in dict.fromkeys(_ALERT.findall(text)):
        if name not in _ALERTS:
            yield _problem_of_alert(name)


def _problem_of_alert(name: str) -> str:
    instead = FORMER_ALERTS.get(name.removeprefix(PREFIX))
    if instead is None:
        return f"{name} is no alert of the exporter: `durable-exporter rules --list` shows all"
    return f"{name} is gone; instead: {PREFIX + instead if instead else 'the dashboards'}"


def _labels_of(name: str) -> tuple[str, ...]:
    family = _FAMILIES.get(name)
    return family.label_names if family else ()


def _selectors(text: str) -> Iterable[Selector]:
    for found in _SELECTOR.finditer(text):
        matchers = _MATCHER.finditer(found["matchers"] or "")
        yield Selector(
            found["name"],
            tuple((each["label"], each["kind"], each["value"][1:-1]) for each in matchers),
        )


def _problems_of(selector: Selector, grouped: set[str]) -> Iterator[str]:
    name = selector.name
    for former in FORMER:
        if selector.asks_for(former):
            yield f"{_written(former)} is gone; instead: {former.instead}"
        elif former.name == name and not former.value and former.label in grouped:
            yield f"{name} has no label {former.label} to group by; {former.instead}"
    if name not in _NAMES and not any(former.name == name for former in FORMER):
        yield f"{name} is no metric of the exporter: `durable-exporter metrics` shows all"


def _written(former: Former) -> str:
    if not former.label:
        return former.name
    value = f'"{former.value}"' if former.value else "..."
    return f"{former.name}{{{former.label}={value}}}"
