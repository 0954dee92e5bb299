"""Expressions read nothing that the exporter does not show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import promql_parser
import pytest

from exporter.alerts.model import Alert, filled, places
from exporter.alerts.prometheus import document, expression, recordings, rule
from exporter.alerts.shared import RECORDINGS
from exporter.alerts.table import ALERTS, DEFAULTS, PARAMETERS
from exporter.api.errors import ErrorKind
from exporter.collector.snapshot import Sweep, SweepResult
from exporter.collector.state import StateProblem
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.finish_windows import WINDOWS
from exporter.ledger.reasons import Category
from exporter.ledger.status import RuntimeStatus
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import SPREAD_SUFFIXES, Family, Kind
from exporter.metrics.promql import selector
from exporter.settings.groups import OrchestratorLimits

EXPRESSIONS = {
    **{alert.name: str(rule(alert)["expr"]) for alert in ALERTS},
    **{str(one["record"]): str(one["expr"]) for one in recordings()},
}
TARGET = {"job", "instance", "pod", "namespace", "cluster"}
ALERTS_LABELS = {"alertname", "alertstate"}
# Those that expressions add for texts and severities.
ADDED = {"severity", "cause"}
SPREADS = (Kind.HISTOGRAM, Kind.DISTRIBUTION)
# Labels whose values are all known; `_other` is one of the names that users give.
CLOSED: Mapping[str, set[str]] = {
    "kind": {kind.value for kind in ErrorKind},
    "sweep": {sweep.value for sweep in Sweep},
    "result": {result.value for result in SweepResult},
    "reason": {problem.value for problem in StateProblem},
    "waiting_on": {waiting_on.value for waiting_on in WaitingOn},
    "category": {category.value for category in Category},
    "runtime_status": {status.value for status in RuntimeStatus},
    "window": {window.name for window in WINDOWS},
    "limit": {*OrchestratorLimits.model_fields, "stopped"},
    "failed_function": set(),
    "alertstate": {"firing", "pending"},
    "alertname": {alert.full_name for alert in ALERTS},
    "shards": {str(number) for number in range(2, 17)},
    "orchestrator": {"_other"},
    "entity": {"_other"},
}


def families() -> dict[str, Family]:
    """Return every family by the names of its series."""
    found = {}
    for family in CATALOGUE:
        suffixes = SPREAD_SUFFIXES[family.kind] if family.kind in SPREADS else ("",)
        found.update({f"{family.name}{suffix}": family for suffix in suffixes})
    return found


FAMILIES = families()
RECORDED = {recording.name for recording in RECORDINGS}


class Unknown(AssertionError):
    """An expression reads something that the exporter does not show."""


def check(text: str) -> None:
    """Raise `Unknown` if *text* reads what does not exist."""
    for name, matchers in selectors(promql_parser.parse(text)):
        if name not in FAMILIES and name not in RECORDED and name != "ALERTS":
            raise Unknown(f"no family {name}")
        labels = labels_of(name)
        for matcher in matchers:
            if matcher.name not in labels:
                raise Unknown(f"{name} has no label {matcher.name}")
            unknown = set(matcher.value.split("|")) - CLOSED[matcher.name] - {""}
            if unknown:
                raise Unknown(f"{matcher.name} is never {unknown}")
    for label in grouped(text):
        if label not in ALL_LABELS:
            raise Unknown(f"nothing has the label {label}")


def labels_of(name: str) -> set[str]:
    if name == "ALERTS":
        return ALERTS_LABELS
    return set(FAMILIES[name].label_names) if name in FAMILIES else set()


ALL_LABELS = {
    *(label for family in CATALOGUE for label in family.label_names),
    *TARGET,
    *ALERTS_LABELS,
    *ADDED,
    "owner",
    "team",
}


def grouped(text: str) -> Iterator[str]:
    """Yield the labels by which *text* groups or matches."""
    for found in re.finditer(
        r"\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)", text
    ):
        yield from (label.strip() for label in found[1].split(",") if label.strip())


def selectors(node: object) -> Iterator[tuple[str, list[promql_parser.Matcher]]]:
    """Yield the names and matchers of all selectors below *node*."""
    if isinstance(node, promql_parser.VectorSelector):
        yield str(node.name), list(node.matchers.matchers)
        return
    parts = ("lhs", "rhs", "expr", "param", "vector_selector", "args")
    for part in parts:
        value = getattr(node, part, None)
        for child in value if isinstance(value, list) else [value]:
            if child is not None and not isinstance(child, str | float | int):
                yield from selectors(child)


@pytest.mark.parametrize("text", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_each_asks_for_known_families_labels_and_values(text: str) -> None:
    assert list(selectors(promql_parser.parse(text)))
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "durable_functions_instance",
        "max by (task_hub) (durable_functions_up{orchestrator!='_other'})",
        "durable_functions_up unless on (task_hub) rate(durable_functions_nothing_total[5m])",
        'durable_functions_limit_seconds{limit="patience"}',
        'durable_functions_stalled_instances{waiting_on=~"activity|godot"}',
        "sum by (hub) (durable_functions_up)",
        "absent(durable_functions_exporter_info)",
    ],
)
def test_what_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(Unknown):
        check(text)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_nothing_of_an_orchestrator_or_entity_speaks_of_names_that_share_a_label(
    alert: Alert,
) -> None:
    """At least one operand leaves `_other` out, and the others are matched with it by name."""
    of_name = any(
        f"{{{{ $labels.{label} }}}}" in alert.summary for label in ("orchestrator", "entity")
    )
    assert '!="_other"' in alert.expression or not of_name


def test_the_parameters_are_all_used_and_have_names_of_their_own() -> None:
    names = [parameter.name for parameter in PARAMETERS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    texts = [
        *(expression(alert) for alert in ALERTS),
        *(recording.expression for recording in RECORDINGS),
    ]
    used = set().union(*map(places, texts))
    elsewhere = {"exporter_url", "grafana_url", "grafana_datasource"}
    waits = {
        kept.name for alert in ALERTS for kept in (alert.wait, alert.outlasts) if kept is not None
    }
    assert set(names) == (used - RECORDED) | elsewhere | waits | {"keep_firing_for"}


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_each_parameter_has_a_reason(parameter: object) -> None:
    reason = str(getattr(parameter, "reason", ""))
    assert re.fullmatch(r"[A-Z\d].{15,}\.", reason)


def test_a_place_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        filled("$(nothing)", DEFAULTS)


def test_the_chart_may_fill_the_places_with_its_own_expressions() -> None:
    values = {name: f"{{{{ .Values.rules.{name} }}}}" for name in DEFAULTS}
    groups = document(values, alerts=ALERTS, literal=lambda text: text.replace("{{", "{{ `{{` }}"))
    text = str(groups)
    assert "> {{ .Values.rules.many_hubs }}" not in text
    assert ">= {{ .Values.rules.many_hubs }}" in text
    assert "{{ `{{` }} $labels.task_hub }}" in text
    assert "{{ $" not in text


def test_a_selector_of_everything_has_no_brackets() -> None:
    assert selector(CATALOGUE[0]) == "durable_functions_up"
