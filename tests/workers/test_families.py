"""Families of instances: orphans, blame without the histories of parents, and failed roots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import pytest

from emulator import ExtensionVersion, Functions, ManualClock, OrchestrationContext, Steps, TaskHub
from emulator.json_text import JsonValue, compact
from emulator.samples import recorded
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.families import Child, Children, Orphans
from exporter.ledger.status import RuntimeStatus
from tests.cli.asked import ask, serving_hub, settings_for
from tests.workers.polled_hub import polled, reads_of
from tests.workers.recorded_hub import recorded_app
from tests.workers.truth import ORPHANS, VERSIONS

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
START = 1_800_000_000.0
HOUR = 3600.0
CYCLE = 30.0
FAMILIES = 40

functions = Functions()
functions.include(recorded.functions)


@functions.orchestrator
def Batch(context: OrchestrationContext) -> Steps:  # noqa: N802 - as functions are named
    """Call the orchestrator of the input three times."""
    ids = [f"{context.instance_id}-{number}" for number in range(3)]
    name = str(context.get_input())
    yield context.task_all([context.call_sub_orchestrator(name, None, each) for each in ids])
    return None


@functions.orchestrator
def Forgives(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Call one that fails, and take it."""
    try:
        yield context.call_sub_orchestrator("FailsItself", None, f"{context.instance_id}-child")
    except Exception:  # noqa: BLE001 - whatever the engine raises for a failed child
        context.set_custom_status("handled")
    yield context.wait_for_external_event("Never")
    return None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def hub_of(clock: ManualClock, version: ExtensionVersion = ExtensionVersion.V3) -> TaskHub:
    return TaskHub("OrdersHub", clock, functions=functions, version=version)


def start(hub: TaskHub, name: str, instance_id: str, input_: JsonValue = None) -> None:
    hub.engine.start(name, instance_id, compact(input_), hub.clock.now())


def wait(hub: TaskHub, clock: ManualClock, seconds: float = CYCLE) -> None:
    clock.advance(seconds)
    hub.advance()


async def cycle(collector: HubCollector) -> Mapping[str, int]:
    """Make an active sweep, and return the orphans that are published after it."""
    assert await collector.make(Sweep.ACTIVE) is None
    assert collector.snapshot.diagnosis is not None
    return collector.snapshot.diagnosis.orphans


class TestOrphans:
    async def test_they_appear_once_their_parent_is_terminated_and_end_with_themselves(
        self, clock: ManualClock
    ) -> None:
        hub = hub_of(clock)
        start(hub, "Batch", "batch", "WaitsForever")
        wait(hub, clock)
        async with polled(hub) as collector:
            assert await cycle(collector) == {"WaitsForever": 0}
            hub.engine.terminate("batch", "in a hurry", clock.now())
            wait(hub, clock)
            assert await cycle(collector) == {"WaitsForever": 3}
            known = reads_of(collector)
            wait(hub, clock)
            assert await cycle(collector) == {"WaitsForever": 3}
            assert reads_of(collector) == known
            for number in range(3):
                hub.engine.terminate(f"batch-{number}", "orphaned", clock.now())
            wait(hub, clock)
            assert await cycle(collector) == {"WaitsForever": 0}

    async def test_of_a_parent_that_was_purged_two_sweeps_agree(self, clock: ManualClock) -> None:
        hub = hub_of(clock)
        start(hub, "Batch", "batch", "WaitsForever")
        wait(hub, clock, 20 * 60.0)
        async with polled(hub) as collector:
            await cycle(collector)
            hub.engine.terminate("batch", None, clock.now())
            wait(hub, clock)
            hub.purge("batch")
            assert await cycle(collector) == {"WaitsForever": 0}
            wait(hub, clock)
            assert await cycle(collector) == {"WaitsForever": 3}

    async def test_hubs_whose_rows_name_no_parents_show_nothing(self, clock: ManualClock) -> None:
        hub = hub_of(clock, ExtensionVersion.V3_15)
        start(hub, "Batch", "batch", "WaitsForever")
        wait(hub, clock)
        hub.engine.terminate("batch", None, clock.now())
        wait(hub, clock)
        async with polled(hub) as collector:
            assert await cycle(collector) == {}

    async def test_the_command_names_them_and_their_parents(
        self, capfd: Capture, clock: ManualClock
    ) -> None:
        hub = hub_of(clock)
        start(hub, "Batch", "batch", "WaitsForever")
        start(hub, "Batch", "alive", "WaitsForever")
        wait(hub, clock)
        hub.engine.terminate("batch", None, clock.now())
        wait(hub, clock)
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url)
            table = await ask(capfd, settings, "stuck", "--orphans")
            rows = await ask(capfd, settings, "stuck", "--orphans", "--format", "json")
        assert "orders: 3 instances orphaned" in table.out
        assert [(row["instance_id"], row["parent_status"]) for row in json.loads(rows.out)] == [
            (f"batch-{number}", "Terminated") for number in range(3)
        ]

    @pytest.mark.parametrize("version", VERSIONS)
    async def test_the_recorded_ones_are_found_and_who_an_entity_started_is_none(
        self, capfd: Capture, version: str
    ) -> None:
        async with recorded_app(version) as (_, settings):
            outcome = await ask(capfd, settings, "stuck", "--orphans", "--format", "json")
        assert {row["instance_id"] for row in json.loads(outcome.out)} == ORPHANS[version]

    def test_a_parent_whose_row_is_minutes_late_orphans_nobody(self) -> None:
        orphans = Orphans()
        children = {"parent": Children({"Child": 2}, [Child(START, "a", "Child")], START)}
        for sweep in range(1, 20):
            at = START + sweep * CYCLE
            orphans.look(children, (), at)
            for each in orphans.to_read(sweep, 10):
                orphans.saw(each, None, sweep)
            assert orphans.counts((), str) == {}
        orphans.look(children, {"parent"}, START + 590.0)
        assert orphans.counts(("Child",), str) == {"Child": 0}

    def test_a_parent_that_is_active_where_no_listing_looks_is_seldom_read(self) -> None:
        orphans, reads = Orphans(), 0
        children = {"parent": Children({"Child": 1}, [], START)}
        for sweep in range(1, 41):
            orphans.look(children, (), START + sweep * CYCLE)
            for each in orphans.to_read(sweep, 10):
                reads += 1
                orphans.saw(each, RuntimeStatus.RUNNING, sweep)
            assert orphans.counts((), str) == {}
        assert reads == 2


class TestUnresolvedFailures:
    async def test_only_failed_roots_count_until_they_are_rewound(self, clock: ManualClock) -> None:
        hub = hub_of(clock)
        start(hub, "Forgives", "forgives")
        start(hub, "Parent", "fails", "FailsItself")
        start(hub, "FailsItself", "alone")
        wait(hub, clock)
        async with polled(hub) as collector:
            await cycle(collector)
            assert await collector.make(Sweep.FAILED) is None
            unresolved = collector.snapshot.unresolved
            assert unresolved is not None
            assert unresolved.failures == {"FailsItself": 1, "Parent": 1}
            assert {each.instance_id for each in unresolved.samples} == {"fails", "alone"}
            hub.engine.rewind("fails", None, clock.now())
            hub.advance()
            await cycle(collector)
            assert await collector.make(Sweep.FAILED) is None
            created = collector.snapshot.counters["created"]
        # What was rewound was started before.
        assert not any(created.values())

    async def test_failures_shows_a_child_below_the_root_that_failed(
        self, capfd: Capture, clock: ManualClock
    ) -> None:
        hub = hub_of(clock)
        start(hub, "Forgives", "forgives")
        start(hub, "Parent", "fails", "FailsItself")
        wait(hub, clock)
        async with serving_hub(hub) as url:
            outcome = await ask(capfd, settings_for(orders=url), "failures", "--format", "json")
            table = await ask(capfd, settings_for(orders=url), "failures")
        groups = {group["orchestrator"]: group for group in json.loads(outcome.out)}
        assert groups["Parent"]["category"] == "sub_orchestration"
        (child,) = groups["Parent"]["children"]
        assert (child["orchestrator"], child["instance_ids"]) == ("FailsItself", ["fails:child"])
        assert groups["FailsItself"]["instance_ids"] == ["forgives-child"]
        assert (groups["FailsItself"]["is_child"], groups["Parent"]["is_child"]) == (True, False)
        assert "└ FailsItself" in table.out
        assert "FailsItself (its parent has not failed)" in table.out


class TestBlame:
    @pytest.mark.parametrize(
        ("version", "most"),
        [(ExtensionVersion.V3, FAMILIES + 2), (ExtensionVersion.V3_15, 2 * FAMILIES)],
    )
    async def test_histories_of_parents_are_not_read_where_rows_name_them(
        self, clock: ManualClock, version: ExtensionVersion, most: int
    ) -> None:
        hub = hub_of(clock, version)
        for number in range(FAMILIES):
            call = partial(hub.engine.start, "Parent", f"p{number}", compact("SlowActivity"))
            hub.engine.at(START + number, call)
        wait(hub, clock, HOUR)
        async with polled(hub, reads=500) as collector:
            await cycle(collector)
            diagnosis = collector.snapshot.diagnosis
            reads = reads_of(collector)
        assert diagnosis is not None
        assert diagnosis.stalled == {
            ("Parent", "activity", "Slow"): FAMILIES,
            ("SlowActivity", "activity", "Slow"): FAMILIES,
        }
        assert FAMILIES <= reads <= most
        assert (reads == 2 * FAMILIES) is (version is ExtensionVersion.V3_15)


class TestWhy:
    async def test_the_family_is_drawn_from_its_root(
        self, capfd: Capture, clock: ManualClock
    ) -> None:
        hub = hub_of(clock)
        start(hub, "Parent", "root", "Batch")
        hub.engine.start("Batch", "many", compact("HelloSequence"), clock.now())
        wait(hub, clock)
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url)
            child = await ask(capfd, settings, "why", "root:child")
            many = await ask(capfd, settings, "why", "many", "--format", "json")
            alone = await ask(capfd, settings, "why", "many-0", "--format", "json")
        assert "Its family\n  Parent root, " in child.out
        assert "\n    Batch root:child, " in child.out
        (reason,) = json.loads(many.out)
        assert [each["runtime_status"] for each in reason["family"]["children"]] == [
            "Completed"
        ] * 3
        (reason,) = json.loads(alone.out)
        assert reason["family"]["instance_id"] == "many"

    async def test_of_a_large_family_some_are_shown_and_the_others_counted(
        self, capfd: Capture, clock: ManualClock
    ) -> None:
        hub = hub_of(clock)
        start(hub, "FanOutOfChildren", "large", 80)
        wait(hub, clock)
        async with serving_hub(hub) as url:
            outcome = await ask(capfd, settings_for(orders=url), "why", "large", "--format", "json")
        (reason,) = json.loads(outcome.out)
        shown = len(reason["family"]["children"])
        assert 0 < shown < 50
        assert reason["family"]["left_out"] == {"Completed": 80 - shown}

    async def test_a_refused_history_is_a_finding_and_the_row_tells_the_rest(
        self, capfd: Capture
    ) -> None:
        async with recorded_app("v3-javascript") as (_, settings):
            refused = "nondeterministicname-2"
            text = await ask(capfd, settings, "why", refused)
            outcome = await ask(capfd, settings, "why", refused, "--format", "json")
        (reason,) = json.loads(outcome.out)
        assert text.code == outcome.code == 0
        assert reason["history_refused"] is True
        assert reason["failure"].startswith("Non-Deterministic workflow detected")
        assert "Its history cannot be read: most likely an activity in flight" in text.out

    async def test_steps_of_isolated_apps_have_their_messages(self, capfd: Capture) -> None:
        async with recorded_app("v3-isolated") as (_, settings):
            activity = await ask(capfd, settings, "why", "order-1001", "--format", "json")
            child = await ask(capfd, settings, "why", "unknown-sub", "--format", "json")
            late = await ask(capfd, settings, "why", "event-timeout-2", "--format", "json")
        (reason,) = json.loads(activity.out)
        (failed,) = (step for step in reason["timeline"] if step["event"] == "TaskFailed")
        assert failed["reason"] == "System.InvalidOperationException: Card declined for order 1001"
        (reason,) = json.loads(child.out)
        (failed,) = (step for step in reason["timeline"] if "InstanceFailed" in step["event"])
        assert failed["reason"].startswith("The function 'NoSuchSub' doesn't exist")
        (reason,) = json.loads(late.out)
        assert reason["failure"].splitlines()[0] == (
            "Function 'EventTimeout' failed with an unhandled exception."
        )


@functions.orchestrator
def FanOutOfChildren(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Call as many as the input says."""
    number = context.get_input()
    assert isinstance(number, int)
    calls = [context.call_sub_orchestrator("HelloSequence") for _ in range(number)]
    yield context.task_all(calls)
    return None
