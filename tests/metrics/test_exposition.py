"""Samples as text."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from exporter.collector.snapshot import ProcessView, Sweep, SweepState, Trouble
from exporter.discovery import DiscoveryView
from exporter.ledger.rules import SERIES_PER_ORCHESTRATOR
from exporter.ledger.snapshot import CountersView, FinishedInstance
from exporter.metrics import reference
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.family import Family, Kind, Values, classic_name
from exporter.metrics.lines import Format
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, in_contact
from tests.metrics.shown import Shown
from tests.metrics.snapshots import busy_snapshot

GOLDEN = Path(__file__).parents[1] / "data" / "exposition"
DOCS = Path(__file__).parents[2] / "docs"
LATER = NOW + 600.0
TROUBLE = Trouble("stopped", "the app is stopped", "start it")
HUBS = (busy_snapshot(), busy_snapshot('quo"te\\d\n<hub>', up=False, trouble=TROUBLE))
PROCESS = ProcessView(
    shard=1,
    shards=3,
    reload_successful=True,
    loaded=NOW,
    discovery=DiscoveryView({"polled": 38, "left_out": 6}, {"azure_auth": 1}, NOW),
    budgets={"00000000-0000-0000-0000-000000000001": 83},
)
HUBS_ONLY = Choice(exclude=("*_build_info",))


class TestGolden:
    @pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())
    def test_the_exposition_is_what_it_was_byte_for_byte(self, form: Format) -> None:
        text = Exposition(HUBS_ONLY).body(HUBS, LATER, form, PROCESS).text
        golden = GOLDEN / f"{form.name.lower()}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_bytes(text)
        assert golden.read_bytes() == text

    def test_it_shows_every_family_that_is_declared_and_nothing_else(self) -> None:
        text = Exposition().body(HUBS, LATER, Format.CLASSIC, PROCESS).text.decode()
        written = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
        assert written == [classic_name(family) for family in CATALOGUE]


class TestZeroAndAbsent:
    def test_every_known_orchestrator_has_every_status_at_zero(self) -> None:
        instances = Shown(busy_snapshot(), now=LATER).values("durable_functions_instances")
        statuses = {"Pending", "Running", "Suspended", "Completed", "Failed"}
        shown = {status: n for (name, status), n in instances.items() if name == "Configured"}
        assert shown == dict.fromkeys(statuses, 0)
        assert instances["Order", "Terminated"] == 1

    def test_nothing_is_zero_before_its_sweep_completed(self) -> None:
        snapshot = busy_snapshot(active=None, finished=None, retained=None, entities=None)
        shown = Shown(snapshot, now=LATER)
        for name in ("instances", "instances_over_limit", "recent_finished_instances", "entities"):
            assert shown.values(f"durable_functions_{name}") == {}

    def test_what_a_sweep_feeds_is_withdrawn_when_it_is_too_old_and_counters_stay(self) -> None:
        snapshot = busy_snapshot(up=False)
        before = Shown(snapshot, now=NOW + 60.0 + 900.0)
        after = Shown(snapshot, now=NOW + 60.0 + 900.1)
        fed = [family for family in CATALOGUE if family.sweeps]
        assert all(before.of(family) for family in fed)
        assert not any(after.of(family) for family in fed)
        assert after.values("durable_functions_instances_finished_total")["Order", "Failed"] == 1
        assert after.values("durable_functions_up") == {(): 0.0}

    def test_a_long_interval_keeps_its_values_for_five_of_them(self) -> None:
        assert shows_ages(SweepState(600.0, 600.0, NOW), NOW + 3000.0)
        assert not shows_ages(SweepState(600.0, 600.0, NOW), NOW + 3000.1)

    def test_a_sweep_that_is_merely_slow_withdraws_nothing_while_it_runs(self) -> None:
        running = SweepState(30.0, 30.0, NOW, running_since=NOW + 20.0, runs_until=NOW + 920.0)
        assert shows_ages(running, NOW + 5000.0)
        assert not shows_ages(running, NOW + 9000.1)
        assert not shows_ages(structs.replace(running, running_since=None), NOW + 5000.0)

    def test_what_is_older_than_three_intervals_and_a_minute_is_not_to_be_judged(self) -> None:
        sweeps = {
            Sweep.ACTIVE: SweepState(30.0, 30.0, NOW),
            Sweep.FINISHED: SweepState(600.0, 30.0, NOW),
            Sweep.FAILED: SweepState(300.0, 300.0),
            Sweep.CENSUS: SweepState(0.0, None),
            Sweep.ENTITIES: SweepState(300.0, 300.0, NOW),
        }
        snapshot = busy_snapshot(sweeps=sweeps)
        exposition = Exposition()
        fresh = [
            dict(re.findall(r'sweep_fresh{sweep="(\w+)",.*} (\S+)', shown.text.decode()))
            for shown in (
                exposition.body([snapshot], NOW + age, Format.CLASSIC) for age in (150.0, 150.1)
            )
        ]
        assert fresh[0] == {"active": "1.0", "finished": "1.0", "failed": "0.0", "entities": "1.0"}
        assert fresh[1] == {**fresh[0], "active": "0.0"}

    def test_what_is_no_longer_shown_is_not_judged_either(self) -> None:
        """Else an alert would end with its data, of a hub that cannot be read."""
        often = SweepState(1.0, 1.0, NOW)
        snapshot = busy_snapshot(sweeps=dict.fromkeys(Sweep, often), stale_after=10.0)
        judged = [snapshot.may_be_judged(Sweep.ACTIVE, NOW + age) for age in (10.0, 10.1)]
        assert judged == [True, False]
        assert judged == [snapshot.is_fresh(Sweep.ACTIVE, NOW + age) for age in (10.0, 10.1)]

    def test_the_failure_ratio_is_absent_where_nothing_finished(self) -> None:
        ratios = Shown(busy_snapshot(), now=LATER).values("durable_functions_failure_ratio")
        assert ratios["Order", "1h"] == 1 / 3
        assert not any(orchestrator == "Configured" for orchestrator, _ in ratios)


def shows_ages(state: SweepState, now: float) -> bool:
    snapshot = busy_snapshot(sweeps=dict.fromkeys(Sweep, state))
    return bool(Shown(snapshot, now=now).values("durable_functions_instance_age_seconds_bucket"))


class TestLimits:
    def shown(self) -> Shown:
        own = {"Order": {"idle": 60.0, "unresolved_failures": 0.0}, "Eternal": {"idle": math.inf}}
        rules = replace(
            DEFAULT_RULES,
            limits={"idle": 600.0, "success": 900.0, "failure_ratio": 0.05, "stopped": 3600.0},
            own_limits_of=lambda name: own.get(name, {}),
            orchestrators=("Order", "Eternal", "Other"),
        )
        ledger = in_contact(rules)
        view = ledger.complete_active(NOW)
        return Shown(busy_snapshot(known=ledger.known(), active=view), now=LATER)

    def test_there_is_one_of_the_hub_and_one_of_each_orchestrator_that_has_its_own(self) -> None:
        shown = self.shown()
        assert shown.values("durable_functions_limit_seconds") == {
            ("", "idle"): 600.0,
            ("", "success"): 900.0,
            ("", "stopped"): 3600.0,
            ("Order", "idle"): 60.0,
            ("Eternal", "idle"): math.inf,
        }
        assert shown.values("durable_functions_limit_ratio") == {("", "failure_ratio"): 0.05}
        assert shown.values("durable_functions_limit_instances") == {
            ("Order", "unresolved_failures"): 0.0
        }

    def test_only_where_a_limit_is_in_force_instances_may_be_over_it(self) -> None:
        over = self.shown().values("durable_functions_instances_over_limit")
        assert over == {("Order", "idle"): 0.0, ("Other", "idle"): 0.0}


class TestHubError:
    def test_it_is_the_kind_for_which_the_hub_is_down_and_absent_while_it_is_up(self) -> None:
        down = Shown(busy_snapshot(up=False, trouble=TROUBLE), now=LATER)
        assert down.values("durable_functions_exporter_hub_error") == {("stopped",): 1.0}
        up = Shown(busy_snapshot(), now=LATER)
        assert up.values("durable_functions_exporter_hub_error") == {}


class TestFirstValues:
    def test_no_counter_of_the_accounts_is_shown_before_the_state_was_read(self) -> None:
        shown = Shown(busy_snapshot(counters=CountersView()), now=LATER)
        names = {family.name for family in CATALOGUE if shown.of(family)}
        assert not names & {
            "durable_functions_instances_finished_total",
            "durable_functions_failures_total",
            "durable_functions_exporter_late_finishes_total",
        }

    def test_without_a_state_nothing_is_said_of_it(self) -> None:
        shown = Shown(busy_snapshot(state=None), now=LATER)
        assert not shown.values("durable_functions_exporter_state_errors_total")

    def test_closed_label_sets_exist_at_zero_where_an_alert_needs_it(self) -> None:
        shown = Shown(busy_snapshot(), now=LATER)
        errors = shown.values("durable_functions_exporter_api_errors_total")
        assert errors == {("listInstances", "timeout"): 1}
        failures = shown.values("durable_functions_failures_total")
        of_configured = {category for name, category in failures if name == "Configured"}
        assert of_configured == {"non_determinism", "version_mismatch", "function_missing"}
        finished = shown.values("durable_functions_instances_finished_total")
        of_configured = {status for name, status in finished if name == "Configured"}
        assert of_configured == {"Completed", "Failed"}
        sweeps = shown.values("durable_functions_exporter_sweeps_total")
        assert sweeps["census", "truncated"] == 0


class TestSelf:
    def test_the_number_of_series_is_the_number_of_lines(self) -> None:
        for now in (LATER, NOW + 1e6):
            text = Exposition(HUBS_ONLY).body(HUBS[:1], now, Format.CLASSIC).text.decode()
            lines = [line for line in text.splitlines() if not line.startswith("#")]
            shown = Shown(HUBS[0], now=now)
            assert shown.values("durable_functions_exporter_series") == {(): len(lines)}

    def test_the_budget_of_an_orchestrator_is_not_smaller_than_what_it_shows(self) -> None:
        shown = Shown(busy_snapshot(), now=LATER)
        of_one = [
            sample
            for family in CATALOGUE
            if family.kind in (Kind.GAUGE, Kind.COUNTER)
            for sample in shown.of(family)
            if sample.labels.get("orchestrator") == "Order"
        ]
        assert 20 < len(of_one) <= SERIES_PER_ORCHESTRATOR

    def test_the_process_and_the_build_are_shown(self) -> None:
        exposition = Exposition()
        assert b"process_resident_memory_bytes" in exposition.tail(Format.CLASSIC)
        build = exposition.body([], NOW, Format.CLASSIC).text
        assert b"durable_functions_exporter_build_info{python_version=" in build


class TestCatalogue:
    def test_everything_that_the_ledger_counts_is_shown(self) -> None:
        finished: dict[Values, FinishedInstance] = {
            ("Order", "Failed"): FinishedInstance("f1", NOW)
        }
        counters = replace(busy_snapshot().counters, latest_finished=finished)
        counts = counters.counts
        less = [replace(counters, counts={**counts, family: {}}) for family in counts]
        less += [replace(counters, durations={}), replace(counters, latest_finished={})]
        texts = {
            Exposition(Choice(exemplars=True))
            .body([busy_snapshot(counters=each)], LATER, Format.OPENMETRICS)
            .text
            for each in (counters, *less)
        }
        assert len(texts) == 1 + len(less)

    def test_every_counter_that_is_declared_is_counted(self) -> None:
        hub = busy_snapshot()
        for family in CATALOGUE:
            if family.kind is Kind.COUNTER and family.per_hub:
                assert any(len(reading.read(hub)) for reading in family.numbers), family.name

    def test_no_sweep_feeds_a_family_twice(self) -> None:
        for family in CATALOGUE:
            feeds = [reading.sweep for reading in (*family.numbers, *family.spreads)]
            assert len(set(feeds)) == len(feeds), family.name

    def test_names_follow_the_conventions(self) -> None:
        for family in CATALOGUE:
            assert family.name.startswith("durable_functions_")
            assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family.name
            assert family.name.endswith("_info") == (family.kind is Kind.INFO), family.name
            assert family.help.endswith(".")
        assert len({family.name for family in CATALOGUE}) == len(CATALOGUE)

    @pytest.mark.parametrize(
        ("name", "kind", "unit"),
        [
            ("x_seconds", Kind.GAUGE, "seconds"),
            ("x_seconds", Kind.HISTOGRAM, "seconds"),
            ("x_bytes_total", Kind.COUNTER, "bytes"),
            ("x_ratio", Kind.GAUGE, "ratio"),
            ("x_seconds", Kind.DISTRIBUTION, "seconds"),
            ("x_total", Kind.COUNTER, ""),
            ("seconds", Kind.GAUGE, ""),
        ],
    )
    def test_a_unit_is_what_a_name_ends_in(self, name: str, kind: Kind, unit: str) -> None:
        assert Family(name, kind, "Help.").unit == unit

    def test_the_reference_page_is_current(self) -> None:
        assert (DOCS / "metrics.md").read_text(encoding="utf-8") == reference.page()

    def test_what_is_exposed_has_the_labels_of_the_catalogue(self) -> None:
        shown = Shown(busy_snapshot(), now=LATER)
        for family in CATALOGUE:
            for sample in shown.of(family):
                assert set(sample.labels) - {"le", "team"} == set(family.label_names)
