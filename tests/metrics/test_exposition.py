"""Samples as text."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as classic_families
from prometheus_client.utils import floatToGoString

from exporter.collector.snapshot import ProcessView, Sweep, SweepState
from exporter.ledger.rules import SERIES_PER_ORCHESTRATOR
from exporter.ledger.snapshot import CountersView
from exporter.metrics import reference
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.collection import Collection, spell
from exporter.metrics.exposition import Format, collect, collect_process, expose, render
from exporter.metrics.family import Kind
from exporter.metrics.hubs import collect_hub
from tests.ledger.world import NOW
from tests.metrics.snapshots import busy_snapshot

GOLDEN = Path(__file__).parents[1] / "data" / "exposition"
DOCS = Path(__file__).parents[2] / "docs"
LATER = NOW + 600.0


def values(collection: Collection, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples called *name* by their label values, `task_hub` left out."""
    return {
        tuple(value for label, value in labels if label != "task_hub"): number
        for family in CATALOGUE
        for sample, labels, number in collection.samples(family)
        if sample == name
    }


class TestGolden:
    @pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())
    def test_the_exposition_is_what_it_was_byte_for_byte(self, form: Format) -> None:
        text = render(golden_collection(), form)
        golden = GOLDEN / f"{form.name.lower()}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_bytes(text)
        assert golden.read_bytes() == text

    def test_every_family_of_the_catalogue_is_in_it(self) -> None:
        shown = golden_collection()
        absent = {family.name for family in CATALOGUE if not shown.of(family)}
        assert absent == {"durable_functions_exporter_build_info"}


def hubs_only() -> Collection:
    collection = collect_hub(busy_snapshot(), LATER)
    collection.merge(collect_hub(busy_snapshot('quo"te\\d\n<hub>'), LATER))
    return collection


def golden_collection() -> Collection:
    collection = hubs_only()
    view = ProcessView(shard=1, shards=3, reload_successful=True, loaded=NOW)
    collection.merge(collect_process(view))
    return collection


class TestFormats:
    def test_both_parsers_of_the_client_library_read_the_same_samples(self) -> None:
        classic = expose([busy_snapshot()], LATER, Format.CLASSIC).decode()
        openmetrics = expose([busy_snapshot()], LATER, Format.OPENMETRICS).decode()
        assert openmetrics.endswith("# EOF\n")
        assert {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in classic_families(classic)
            for sample in family.samples
            if sample.name.startswith("durable_")
        } == {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in openmetrics_families(openmetrics)  # type: ignore[no-untyped-call] # library
            for sample in family.samples
            if sample.name.startswith("durable_")
        }

    def test_distributions_are_untyped_and_nothing_is_a_gauge_histogram(self) -> None:
        text = expose([busy_snapshot()], LATER, Format.CLASSIC).decode()
        assert "# TYPE durable_functions_instance_age_seconds_bucket untyped\n" in text
        assert "# TYPE durable_functions_instance_age_seconds_gcount untyped\n" in text
        text = expose([busy_snapshot()], LATER, Format.OPENMETRICS).decode()
        assert "# TYPE durable_functions_instance_age_seconds_gsum unknown\n" in text
        assert "gaugehistogram" not in text
        assert "_created{" not in text

    @given(st.floats())
    def test_numbers_are_spelled_as_the_client_library_does(self, number: float) -> None:
        assert spell(number) == library_spelling(number)

    @pytest.mark.parametrize("number", [0, 1, 1e6, 604800.0, 2592000.0, math.inf, -math.inf])
    def test_bounds_are_spelled_as_the_client_library_does(self, number: float) -> None:
        assert spell(number) == library_spelling(number)


def library_spelling(number: float) -> str:
    return str(floatToGoString(number))  # type: ignore[no-untyped-call] # library without types


class TestZeroAndAbsent:
    def test_every_known_orchestrator_has_every_status_at_zero(self) -> None:
        instances = values(collect_hub(busy_snapshot(), LATER), "durable_functions_instances")
        statuses = {"Pending", "Running", "Suspended", "Completed", "Failed", "Terminated"}
        assert {instances["Configured", status] for status in statuses} == {0}
        assert ("Configured", "ContinuedAsNew") not in instances
        assert ("Configured", "Canceled") in instances

    def test_nothing_is_zero_before_its_sweep_completed(self) -> None:
        snapshot = busy_snapshot(active=None, finished=None, retained=None, entities=None)
        collection = collect_hub(snapshot, LATER)
        for name in ("instances", "instances_over_limit", "recent_finished_instances", "entities"):
            assert values(collection, f"durable_functions_{name}") == {}

    def test_what_a_sweep_feeds_is_withdrawn_when_it_is_too_old_and_counters_stay(self) -> None:
        snapshot = busy_snapshot(up=False)
        before = collect_hub(snapshot, NOW + 60.0 + 900.0)
        after = collect_hub(snapshot, NOW + 60.0 + 900.1)
        fed = [family for family in CATALOGUE if family.sweep is not None]
        assert all(before.of(family) for family in fed)
        assert not any(after.of(family) for family in fed)
        assert values(after, "durable_functions_instances") == {}
        assert values(after, "durable_functions_instances_finished_total")["Order", "Failed"] == 1
        assert values(after, "durable_functions_up") == {(): 0.0}

    def test_a_long_interval_keeps_its_values_for_five_of_them(self) -> None:
        assert shows_ages(SweepState(600.0, 600.0, NOW, usual=600.0), NOW + 3000.0)
        assert not shows_ages(SweepState(600.0, 600.0, NOW, usual=600.0), NOW + 3000.1)

    def test_what_failed_slowly_keeps_nothing_longer(self) -> None:
        assert not shows_ages(SweepState(1800.0, 30.0, NOW, usual=30.0), NOW + 901.0)

    def test_a_sweep_that_is_merely_slow_withdraws_nothing_while_it_runs(self) -> None:
        running = SweepState(30.0, 30.0, NOW, usual=30.0, running_since=NOW + 20.0, deadline=900.0)
        assert shows_ages(running, NOW + 5000.0)
        assert not shows_ages(running, NOW + 9000.1)
        assert not shows_ages(replace(running, running_since=None), NOW + 5000.0)

    def test_the_failure_ratio_is_absent_where_nothing_finished(self) -> None:
        ratios = values(collect_hub(busy_snapshot(), LATER), "durable_functions_failure_ratio")
        assert ratios["Order", "5m"] == 1 / 3
        assert not any(orchestrator == "Configured" for orchestrator, _ in ratios)


def shows_ages(state: SweepState, now: float) -> bool:
    snapshot = busy_snapshot(sweeps=dict.fromkeys(Sweep, state))
    return bool(values(collect_hub(snapshot, now), "durable_functions_instance_age_seconds_gcount"))


class TestFirstValues:
    def test_no_counter_of_the_accounts_is_shown_before_the_state_was_read(self) -> None:
        collection = collect_hub(busy_snapshot(counters=CountersView()), LATER)
        shown = {family.name for family in CATALOGUE if collection.of(family)}
        assert not shown & {
            "durable_functions_instances_finished_total",
            "durable_functions_failures_total",
            "durable_functions_exporter_late_finishes_total",
        }

    def test_without_a_state_nothing_is_said_of_it(self) -> None:
        collection = collect_hub(busy_snapshot(state=None), LATER)
        assert not values(collection, "durable_functions_exporter_state_errors_total")

    def test_closed_label_sets_exist_at_zero(self) -> None:
        collection = collect_hub(busy_snapshot(), LATER)
        errors = values(collection, "durable_functions_exporter_api_errors_total")
        assert errors["listEntities", "auth"] == 0
        assert errors["listInstances", "timeout"] == 1
        sweeps = values(collection, "durable_functions_exporter_sweeps_total")
        assert sweeps["census", "truncated"] == 0


class TestSelf:
    def test_the_number_of_series_is_the_number_of_lines(self) -> None:
        collection = collect_hub(busy_snapshot(), LATER)
        text = render(collection, Format.CLASSIC).decode()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert values(collection, "durable_functions_exporter_series") == {(): len(lines)}

    def test_the_budget_of_an_orchestrator_is_not_smaller_than_what_it_shows(self) -> None:
        collection = collect_hub(busy_snapshot(), LATER)
        shown = sum(
            1
            for family in CATALOGUE
            if family.kind in (Kind.GAUGE, Kind.COUNTER)
            for _, labels, _ in collection.samples(family)
            if ("orchestrator", "Order") in labels
        )
        assert shown <= SERIES_PER_ORCHESTRATOR

    def test_the_process_and_the_build_are_shown(self) -> None:
        text = expose([], NOW, Format.CLASSIC).decode()
        assert "process_resident_memory_bytes" in text
        assert "durable_functions_exporter_build_info{python_version=" in text


class TestCatalogue:
    def test_names_follow_the_conventions(self) -> None:
        for family in CATALOGUE:
            assert family.name.startswith("durable_functions_")
            assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family.name
            assert family.name.endswith("_info") == (family.kind is Kind.INFO), family.name
            assert family.help.endswith(".")
        assert len({family.name for family in CATALOGUE}) == len(CATALOGUE)

    def test_the_reference_page_is_current(self) -> None:
        assert (DOCS / "metrics.md").read_text(encoding="utf-8") == reference.page()

    def test_what_is_exposed_has_the_labels_of_the_catalogue(self) -> None:
        collection = collect([busy_snapshot()], LATER)
        for family in CATALOGUE:
            for _, labels, _ in collection.samples(family):
                named = tuple(name for name, _ in labels if name not in ("le", "team"))
                assert named == family.label_names
