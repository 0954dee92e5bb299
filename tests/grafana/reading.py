"""Reads PromQL against the catalogue: which families, which labels, how they are folded."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as promql

from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.finish_windows import WINDOWS
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import SPREAD_SUFFIXES, Family, Kind
from grafana.scope import HUB

TARGET_LABELS = frozenset({"cluster", "namespace", "job", "instance", "pod"})
REPLICA_LABELS = ["instance", "pod"]
OF_PROCESS = frozenset(
    {
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    }
)
"""The client library's families that dashboards may use."""

OF_RULES = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""The series of alerts that Prometheus stores."""

ALERT_LABELS = frozenset(
    {"alertname", "alertstate", "severity", "task_hub", "orchestrator", *TARGET_LABELS}
)
CONFIGURED_LABELS = ("team",)
"""The configured labels of hubs that dashboards use."""

OWN_WORK = frozenset(
    {
        c.API_REQUESTS,
        c.API_ERRORS,
        c.API_RETRIES,
        c.API_RESPONSE_BYTES,
        c.STATE_WRITTEN,
        c.API_REQUEST_DURATION,
        c.PAGES,
        c.ROWS,
    }
)
"""What every replica does itself, so that adding it up is right."""

LEVELS = frozenset({c.LABEL_VALUES_FOLDED})
"""Counters whose absolute value is meaningful."""

EARLIEST = frozenset(
    family
    for family in CATALOGUE
    if "_oldest_" in family.name or family in (c.STALLED_SINCE, c.BASELINE, c.BOOK_HORIZON)
) | {c.STATE_LAST_WRITE}
"""Times of which the earliest counts."""

VALUES = {
    "runtime_status": {status.value for status in RuntimeStatus},
    "window": {window.name for window in WINDOWS},
    "waiting_on": {wait.value for wait in WaitingOn},
    "sweep": {"active", "finished", "failed", "census", "entities"},
    "limit": {"pending", "idle", "age", "success", "retention"},
    "result": {"complete", "failed", "truncated", "skipped_budget"},
}
"""Labels whose values are known."""

EXISTENCE = "existence"
"""The aggregation of the right side of `and` and `unless`: duplicates do not matter."""

_COUNTED = (Kind.COUNTER, Kind.HISTOGRAM)
_GROWTH = {"rate", "increase"}


class WrongQuery(AssertionError):
    """A query reads what is not served, or adds up what must not be."""


Labels = frozenset[str] | None
"""The labels of a vector; None for a number."""


def check(expr: str) -> frozenset[str]:
    """
    Check a query, and return the labels of its result.

    Raises:
        WrongQuery: it names an unknown family, label or value, or replicas would double it.
    """
    return _labels(promql.parse(expr), folded_by=None, grown=False) or frozenset()


def families_in(expr: str) -> Iterator[Family]:
    """Yield the families of the catalogue that a query reads."""
    found: list[str] = []

    def visit(node: object) -> None:
        if isinstance(node, promql.VectorSelector) and node.name:
            found.append(node.name)
        if isinstance(node, promql.MatrixSelector) and node.vector_selector.name:
            found.append(node.vector_selector.name)

    promql.walk(promql.parse(expr), pre_visit=visit)
    for name in found:
        if name not in OF_PROCESS | OF_RULES:
            yield family_of(name)[0]


def family_of(name: str) -> tuple[Family, str]:
    """
    Return the family that is exposed as *name*, and which of its samples that is.

    Raises:
        WrongQuery: there is none.
    """
    for family in CATALOGUE:
        suffixes = SPREAD_SUFFIXES.get(family.kind, ("",))
        for suffix in suffixes:
            if name == family.name + suffix:
                return family, suffix
    raise WrongQuery(f"no family is exposed as {name}")


def _labels(node: object, *, folded_by: str | None, grown: bool) -> Labels:
    match node:
        case promql.NumberLiteral() | promql.StringLiteral():
            return None
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _labels(node.expr, folded_by=folded_by, grown=grown)
        case promql.VectorSelector() | promql.MatrixSelector():
            selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
            return _selected(selector, folded_by=folded_by, grown=grown)
        case promql.Call():
            return _called(node, folded_by=folded_by)
        case promql.AggregateExpr():
            return _aggregated(node, folded_by=folded_by)
        case promql.BinaryExpr():
            return _combined(node, folded_by=folded_by)
    raise WrongQuery(f"{node} is not understood")


def _selected(node: promql.VectorSelector, *, folded_by: str | None, grown: bool) -> frozenset[str]:
    name = node.name or ""
    if name in OF_PROCESS:
        return TARGET_LABELS
    if name in OF_RULES:
        return ALERT_LABELS
    family, suffix = family_of(name)
    free = CONFIGURED_LABELS if family.free_labels else ()
    labels = {*free, *family.label_names, *TARGET_LABELS, *(["le"] if suffix == "_bucket" else [])}
    for matcher in node.matchers.matchers:
        if matcher.name not in labels:
            raise WrongQuery(f"{name} has no label {matcher.name}")
        known = VALUES.get(matcher.name)
        if known and not set(matcher.value.split("|")) <= known:
            raise WrongQuery(f"{matcher.name} is never {matcher.value}")
    if grown is not (family.kind in _COUNTED) and family not in LEVELS:
        raise WrongQuery(f"{name} is a {family.kind}: {'' if grown else 'no '}rate is wrong")
    if folded_by != EXISTENCE:
        _check_fold(family, folded_by)
    return frozenset(labels)


def _check_fold(family: Family, folded_by: str | None) -> None:
    if not family.per_hub or family in OWN_WORK:
        return
    wanted = "min" if family in EARLIEST else "max"
    if family is c.PAGE_BUDGET_REMAINING:
        wanted = "max"
    if folded_by != wanted:
        raise WrongQuery(f"{family.name} is folded by {folded_by} over replicas, not {wanted}")


def _called(node: promql.Call, *, folded_by: str | None) -> Labels:
    name = node.func.name
    if name == "time":
        return None
    if name in ("label_replace", "label_join"):
        labels = _labels(node.args[0], folded_by=folded_by, grown=False)
        return (labels or frozenset()) | {node.args[1].val}
    labels = _labels(node.args[-1], folded_by=folded_by, grown=name in _GROWTH)
    if name == "scalar":
        return None
    if name == "histogram_quantile":
        if labels is None or "le" not in labels:
            raise WrongQuery("a quantile needs the label le")
        return labels - {"le"}
    return labels


def _aggregated(node: promql.AggregateExpr, *, folded_by: str | None) -> frozenset[str]:
    operation = str(node.op)
    given = list(node.modifier.labels) if node.modifier else []
    is_without = bool(node.modifier and node.modifier.type == promql.AggModifierType.Without)
    inner = operation if is_without and given == REPLICA_LABELS else folded_by
    labels = _labels(node.expr, folded_by=inner, grown=False) or frozenset()
    if operation in ("topk", "bottomk"):
        return labels
    if is_without:
        return labels - set(given)
    if not set(given) <= labels:
        raise WrongQuery(f"by ({', '.join(given)}), of which only {sorted(labels)} are there")
    return frozenset(given)


def _combined(node: promql.BinaryExpr, *, folded_by: str | None) -> Labels:
    left = _labels(node.lhs, folded_by=folded_by, grown=False)
    is_choice = str(node.op) in ("and", "unless")
    right = _labels(node.rhs, folded_by=EXISTENCE if is_choice else folded_by, grown=False)
    if left is None or right is None:
        return right if left is None else left
    if node.modifier is not None and (matching := node.modifier.matching) is not None:
        if not set(matching.labels) <= left & right:
            raise WrongQuery(f"on ({', '.join(matching.labels)}), which are not on both sides")
        return left | set(node.modifier.group_labels or ())
    if str(node.op) == "or" and (right < left or set(HUB) <= left & right):
        return left | right
    if left != right:
        raise WrongQuery(f"{sorted(left)} never match {sorted(right)}")
    return left
