"""What is wrong with a query of a page: its grammar, and the names in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import promql_parser

from exporter.alerts.shared import RECORDINGS
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import sample_names

RECORDED = re.compile(r"\bdurable_functions:[a-z0-9_:]+")
_METRIC = re.compile(r"\bdurable_functions_[a-z0-9_]+")
_INTERVALS = re.compile(r"\$__(?:rate_interval|range|interval)|\$\{__\w+\}")
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")
_SELECTOR_LABELS = re.compile(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# Those that Prometheus, Kubernetes and configured labels add.
OUTER_LABELS = {
    "instance", "job", "pod", "namespace", "cluster", "le", "team", "owner", "replica", "container",
    "service", "endpoint", "alertname", "severity", "__name__", "__replica__", "environment",
    "alertstate", "persistentvolumeclaim", "node",
}  # fmt: skip


@cache
def metric_names() -> frozenset[str]:
    """Return all names under which families are exposed, and those of the families."""
    names = {name for family in CATALOGUE for name in (family.name, *sample_names(family))}
    return frozenset(names)


@cache
def label_names() -> frozenset[str]:
    return frozenset(label for family in CATALOGUE for label in family.label_names) | OUTER_LABELS


@cache
def recorded_names() -> frozenset[str]:
    return frozenset(recording.name for recording in RECORDINGS)


def expressions_of(text: str) -> list[str]:
    """Return the expressions of a block: of paragraphs, or of lines where those are several."""
    found: list[str] = []
    bare = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    for paragraph in filter(str.strip, re.split(r"\n\s*\n", bare)):
        one = not problem_of(paragraph)
        found += [paragraph] if one else [line for line in paragraph.splitlines() if line.strip()]
    return found


def problem_of(expression: str) -> str:
    """Return what the parser objects to, nothing where it accepts the expression."""
    filled = _VARIABLE.sub("x", _INTERVALS.sub("5m", expression))
    try:
        promql_parser.parse(filled)
    except ValueError as error:
        return f"{expression.strip()}: {error}"
    return ""


def unknown_names(expression: str) -> Iterator[str]:
    """Yield metrics and labels that do not exist."""
    yield from sorted(set(_METRIC.findall(expression)) - metric_names())
    yield from sorted(set(RECORDED.findall(expression)) - recorded_names())
    labels = set(_SELECTOR_LABELS.findall(expression))
    for group in _GROUPING_LABELS.findall(expression):
        labels |= {label.strip() for label in group.split(",") if label.strip()}
    yield from sorted(label for label in labels - label_names() if not label.startswith("$"))
