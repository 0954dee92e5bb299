"""No query reads what the exporter does not serve, and none counts replicas twice."""

from __future__ import annotations

import re

import pytest

from exporter.metrics.catalogue import CATALOGUE
from grafana.preview.asking import interpolate, label_values
from tests.grafana.committed import (
    NAMES,
    VALUES,
    PanelQuery,
    all_expressions,
    all_queries,
    annotation_queries,
    panels,
    variable_queries,
)
from tests.grafana.reading import (
    CONFIGURED_LABELS,
    TARGET_LABELS,
    WrongQuery,
    check,
    families_in,
    family_of,
)

NOT_ON_A_DASHBOARD = {
    "durable_functions_last_progress_timestamp_seconds": "for alerts; idle times say more",
    "durable_functions_limit_ratio": "for alerts",
    "durable_functions_limit_instances": "for alerts",
    "durable_functions_exporter_hub_error": "for alerts",
    "durable_functions_exporter_sweep_fresh": "for alerts",
    "durable_functions_exporter_rows_refused_total": "absent until an id is too long",
    "durable_functions_exporter_discovery_apps": "absent without discovery; `discover` says more",
    "durable_functions_exporter_discovery_last_success_timestamp_seconds": "for alerts",
    "durable_functions_exporter_discovery_errors_total": "for alerts",
    "durable_functions_exporter_resource_manager_requests_remaining": "absent without Azure",
}
"""Families that no dashboard shows, with the reason."""

LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_a_query_names_what_the_catalogue_has_and_folds_replicas(query: PanelQuery) -> None:
    labels = check(interpolate(query.expr, VALUES))
    assert set(LEGEND_LABEL.findall(query.legend)) <= labels


@pytest.mark.parametrize("name", NAMES)
def test_the_columns_of_a_table_are_labels_of_all_its_queries(name: str) -> None:
    for panel in panels(name):
        if panel["type"] != "table":
            continue
        (organised,) = (t for t in panel["transformations"] if t["id"] == "organize")
        keys = {key for key in organised["options"]["renameByName"] if not key.startswith("Value")}
        found = [check(interpolate(target["expr"], VALUES)) for target in panel["targets"]]
        # What a fact adds to a row comes in a column of its own; all else makes the row.
        assert frozenset().union(*found) == keys, panel["title"]
        assert len({labels for labels in found if labels != keys}) <= 1, panel["title"]


def test_a_variable_asks_for_a_label_that_its_series_have() -> None:
    asked = list(variable_queries())
    assert len(asked) >= 8
    for each in asked:
        name = each.asked.selector.partition("{")[0]
        family = family_of(name)[0]
        known = {*family.label_names, *TARGET_LABELS, *CONFIGURED_LABELS * family.free_labels}
        assert each.asked.label in known


@pytest.mark.parametrize(("place", "expr"), annotation_queries())
def test_an_annotation_asks_for_moments_of_hubs_and_exporters(place: str, expr: str) -> None:
    labels = check(interpolate(expr, VALUES))
    assert labels >= {"cluster", "namespace", "job"}, place
    assert "_timestamp_" in expr or "process_start_time" in expr


def test_every_family_is_on_a_dashboard_or_there_is_a_reason() -> None:
    shown = {family for _, expr in all_expressions() for family in families_in(expr)}
    missing = {family.name for family in CATALOGUE if family not in shown}
    assert missing == set(NOT_ON_A_DASHBOARD)


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ("durable_functions_instance", "no family"),
        ("max without (instance, pod) (durable_functions_up{hub='a'})", "no label hub"),
        ("sum by (orchestrator) (max without (instance, pod) (durable_functions_up))", "by"),
        ("sum(durable_functions_instances)", "folded by None"),
        ("sum(max without (pod) (durable_functions_instances))", "folded by None"),
        (
            "max without (instance, pod) (durable_functions_oldest_retained_timestamp_seconds)",
            "not min",
        ),
        ("max without (instance, pod) (rate(durable_functions_up[5m]))", "rate is wrong"),
        ("max without (instance, pod) (durable_functions_failures_total)", "no rate is wrong"),
        (
            'max without (instance, pod) (durable_functions_instances{runtime_status="Complete"})',
            "never Complete",
        ),
        (
            "histogram_quantile(0.9, sum(rate(durable_functions_exporter_pages_total[5m])))",
            "needs the label le",
        ),
        (
            "rate(durable_functions_exporter_pages_total[5m]) / process_open_fds",
            "never match",
        ),
    ],
)
def test_what_a_wrong_query_does_wrong_is_found(expr: str, reason: str) -> None:
    with pytest.raises(WrongQuery, match=re.escape(reason)):
        check(expr)


def test_only_values_of_labels_can_be_asked_for_by_a_variable() -> None:
    assert label_values('label_values(up{a="b, c"}, job)') == ('up{a="b, c"}', "job")
    with pytest.raises(ValueError, match="label_values"):
        label_values("query_result(up)")


def test_a_variable_without_a_value_is_an_error() -> None:
    assert interpolate("${a} ${b:percentencode} $c", {"a": "1", "b": "2", "c": "3"}) == "1 2 3"
    with pytest.raises(KeyError):
        interpolate("$nothing", {})


def test_labels_of_targets_are_not_those_of_families() -> None:
    for family in CATALOGUE:
        assert not TARGET_LABELS & set(family.label_names)
