"""What a collector learns of stuck instances, and that no trouble with it is the sweep's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from emulator import Emulator, Fault, FaultKind, ManualClock, TaskHub, running
from emulator.api import Operation
from emulator.backends.azure_storage import AzureStorage
from exporter.collector.budgets import PageBudget
from exporter.collector.hub import HubCollector
from exporter.collector.schedule import spare_seconds
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.nodes import Answer, Read
from exporter.diagnosis.sampling import Sampler
from exporter.diagnosis.view import Coverage, DiagnosisView
from exporter.ledger.rules import LedgerRules
from exporter.ledger.tracked import TrackedInstance
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from tests.collector.polled import INTERVALS, STALE_AFTER, collector_of
from tests.diagnosis.stuck_app import END, START, VERSIONS, functions, stuck_hub
from tests.diagnosis.surveying import limits
from tests.ledger.rules import DEFAULT_RULES

pytestmark = pytest.mark.anyio


@pytest.fixture
def hub() -> TaskHub:
    return stuck_hub(VERSIONS["v3"], AzureStorage())


@asynccontextmanager
async def polled(
    hub: TaskHub,
    *,
    max_histories_per_sweep: int = 500,
    max_pages_per_day: int | None = None,
    rules: LedgerRules | None = None,
) -> AsyncGenerator[HubCollector, None]:
    async with (
        running(Emulator(hub, clock=hub.clock)) as url,
        collector_of(
            url,
            key=None,
            wall=hub.clock.now,
            rules=rules or limits(),
            # Half of it is for reading histories: enough on a busy machine, too.
            intervals={**INTERVALS, Sweep.ACTIVE: 120.0},
            max_histories_per_sweep=max_histories_per_sweep,
            max_pages_per_day=max_pages_per_day,
        ) as (collector, _),
    ):
        yield collector


def shown(collector: HubCollector) -> DiagnosisView:
    view = collector.snapshot.diagnosis
    assert view is not None
    return view


def end(hub: TaskHub, instance_id: str) -> None:
    """Terminate an instance, and let that arrive."""
    hub.engine.terminate(instance_id, "no more", hub.clock.now())
    assert isinstance(hub.clock, ManualClock)
    hub.clock.set(hub.clock.now() + 10.0)
    hub.advance()


def known(view: DiagnosisView) -> int:
    return sum(view.stalled.values()) + sum(view.waiting.values())


def lines(collector: HubCollector, now: float) -> str:
    return Exposition().body([collector.snapshot], now, Format.CLASSIC).text.decode()


def value(text: str, name: str, **labels: str) -> float:
    """Return the one sample of a family of the hub with these labels."""
    labels["task_hub"] = "ordershub"
    (found,) = (
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return found


async def test_what_stuck_instances_wait_on_is_shown_after_the_sweep(hub: TaskHub) -> None:
    async with polled(hub) as collector:
        assert await collector.make(Sweep.ACTIVE) is None
        text = lines(collector, hub.clock.now())
    stalled = {"orchestrator": "PaymentSaga", "waiting_on": "activity", "target": "CreditAccount"}
    assert value(text, "durable_functions_stalled_instances", **stalled) == 7
    since = value(text, "durable_functions_stalled_since_timestamp_seconds", **stalled)
    assert since == pytest.approx(END - 35 * 60, abs=5)
    approval = {"orchestrator": "ApprovalWorkflow", "waiting_on": "timer", "target": ""}
    assert value(text, "durable_functions_waiting_instances", **approval) == 2
    monitor = "durable_functions_oldest_overdue_timer_timestamp_seconds"
    overdue = value(text, monitor, orchestrator="CleanupMonitor")
    assert overdue == pytest.approx(END - 39 * 60, abs=5)
    unknown = "durable_functions_exporter_undiagnosed_instances"
    assert value(text, unknown) == 0


async def test_a_small_budget_is_kept_and_what_is_not_looked_at_is_said(hub: TaskHub) -> None:
    async with polled(hub, max_histories_per_sweep=3) as collector:
        await collector.make(Sweep.ACTIVE)
        first, reads = shown(collector), reads_of(collector)
        text = lines(collector, hub.clock.now())
        await collector.make(Sweep.ACTIVE)
        second = shown(collector)
    assert reads <= 3
    assert known(first) < known(second)
    unknown = sum(first.undiagnosed(label) for label in first.coverage)
    assert known(first) + unknown == sum(each.over for each in first.coverage.values())
    assert unknown > 0
    told = [line for line in text.splitlines() if "undiagnosed_instances{" in line]
    assert sum(float(line.rpartition(" ")[2]) for line in told) == unknown


async def test_no_history_is_read_where_that_is_off(hub: TaskHub) -> None:
    async with polled(hub, max_histories_per_sweep=0) as collector:
        await collector.make(Sweep.ACTIVE)
        assert reads_of(collector) == 0
        assert collector.snapshot.diagnosis is None
        assert "stalled_instances" not in lines(collector, hub.clock.now())


async def test_a_sample_stays_counted_when_no_budget_is_left_until_it_moves(hub: TaskHub) -> None:
    async with polled(hub) as collector:
        await collector.make(Sweep.ACTIVE)
        before, reads = shown(collector), reads_of(collector)
        collector._budget = PageBudget(1)
        end(hub, "slow")
        await collector.make(Sweep.ACTIVE)
        after = shown(collector)
        # One read tells how the instance ended, none is of a history.
        assert reads_of(collector) <= reads + 1
    labels = ("SlowActivity", "activity", "Slow")
    assert after.stalled[labels] == before.stalled[labels] - 1
    assert known(after) == known(before) - 1


async def test_no_history_is_read_once_the_pages_of_the_day_are_spent(hub: TaskHub) -> None:
    async with polled(hub) as collector:
        collector._budget = PageBudget(1)
        await collector.make(Sweep.ACTIVE)
        assert reads_of(collector) == 0
        # Rows tell of some nevertheless, and of the others it is said that they do not.
        view = shown(collector)
    assert view.stalled["TransferFunds", "not_started", ""] == 4
    assert view.undiagnosed("SlowActivity") > 0


async def test_reads_count_as_pages_of_the_day(hub: TaskHub) -> None:
    async with polled(hub, max_pages_per_day=1000) as collector:
        await collector.make(Sweep.ACTIVE)
        remaining, pages = collector.snapshot.pages_remaining, pages_of(collector)
        assert remaining == 1000 - pages - reads_of(collector)


def reads_of(collector: HubCollector) -> int:
    requests = collector.snapshot.api.requests
    return sum(count for (operation, _), count in requests.items() if "get" in operation)


def pages_of(collector: HubCollector) -> int:
    return sum(state.pages for state in collector.snapshot.sweeps.values())


async def test_histories_that_cannot_be_read_leave_the_sweep_as_it_was(hub: TaskHub) -> None:
    hub.faults.set(Fault(kind=FaultKind.ERROR, operations={Operation.GET_INSTANCE}))
    async with polled(hub) as collector:
        with capture_logs() as logs:
            assert await collector.make(Sweep.ACTIVE) is None
            await collector.make(Sweep.ACTIVE)
        snapshot = collector.snapshot
        assert snapshot.up
        assert snapshot.active is not None
        assert snapshot.sweeps[Sweep.ACTIVE].results["complete"] == 2
        assert snapshot.sweeps[Sweep.ACTIVE].trouble is None
        # What the rows tell is known nevertheless.
        assert shown(collector).stalled["TransferFunds", "not_started", ""] == 4
        hub.faults.clear()
        with capture_logs() as later:
            await collector.make(Sweep.ACTIVE)
    said = [line["event"] for line in logs]
    assert said.count("histories cannot be read") == 1
    assert "histories can be read again" in [line["event"] for line in later]


async def test_a_hub_that_asks_to_be_left_alone_while_histories_are_read_is(
    hub: TaskHub,
) -> None:
    throttled = Fault(kind=FaultKind.THROTTLED, operations={Operation.GET_INSTANCE}, seconds=3600.0)
    hub.faults.set(throttled)
    async with polled(hub) as collector:
        await collector.make(Sweep.ACTIVE)
        assert collector.snapshot.up
        assert reads_of(collector) == 1
        due = collector._agenda.records[Sweep.ACTIVE].cadence.due
        assert due - anyio.current_time() == pytest.approx(3600.0, abs=60.0)


async def test_ten_thousand_stalled_instances_cost_no_more_than_the_budget() -> None:
    clock = ManualClock(START)
    crowded = TaskHub("OrdersHub", clock, functions=functions, version=VERSIONS["v3"])
    for number in range(10_000):
        crowded.engine.start("SlowActivity", f"slow-{number:05}", None, START + number % 7)
    for name in ("FanOutSlow", "MovesOn", "PollsForEver"):
        crowded.engine.start(name, name, None, START + 600.0)
    clock.set(END)
    crowded.advance()
    async with polled(crowded, max_histories_per_sweep=12) as collector:
        cycles = 3
        for cycle in range(1, cycles + 1):
            await collector.make(Sweep.ACTIVE)
            assert reads_of(collector) <= 12 * cycle
            view = shown(collector)
            # The oldest of every orchestrator comes first.
            assert {labels[0] for labels in view.stalled} == {
                "SlowActivity", "FanOutSlow", "MovesOn", "PollsForEver",
            }  # fmt: skip
        assert view.stalled["SlowActivity", "activity", "Slow"] == 12 * cycles - 3
        assert view.coverage["SlowActivity"] == Coverage(10_000, 12 * cycles - 3)
        assert view.undiagnosed("SlowActivity") == 10_000 - (12 * cycles - 3)


async def test_a_defect_costs_what_was_learned_and_nothing_else(
    hub: TaskHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        _: Sampler, _tracked: Mapping[str, TrackedInstance], _at: float
    ) -> Generator[Read, Answer, None]:
        yield from ()
        raise RuntimeError("a defect")

    async with polled(hub) as collector:
        await collector.make(Sweep.ACTIVE)
        with monkeypatch.context() as broken_once, capture_logs() as logs:
            broken_once.setattr(Sampler, "cycle", broken)
            assert await collector.make(Sweep.ACTIVE) is None
        assert collector.snapshot.up
        assert (collector.snapshot.diagnosis, collector.snapshot.is_diagnosed) == (None, False)
        assert collector.snapshot.sweeps[Sweep.ACTIVE].results["complete"] == 2
        assert "diagnosis crashed" in [line["event"] for line in logs]
        await collector.make(Sweep.ACTIVE)
        assert known(shown(collector)) > 0
        assert collector.snapshot.is_diagnosed


async def test_it_is_withdrawn_with_the_active_sweep(hub: TaskHub) -> None:
    async with polled(hub) as collector:
        await collector.make(Sweep.ACTIVE)
        completed = collector.snapshot.sweeps[Sweep.ACTIVE].completed
        assert completed is not None
        assert "stalled_instances{" in lines(collector, completed + STALE_AFTER - 1)
        assert "stalled_instances{" not in lines(collector, completed + STALE_AFTER + 1)


async def test_each_cause_is_logged_once_and_when_it_is_gone(hub: TaskHub) -> None:
    async with polled(hub) as collector:
        with capture_logs() as logs:
            await collector.make(Sweep.ACTIVE)
            await collector.make(Sweep.ACTIVE)
        stuck = [line for line in logs if line["event"] == "instances are stalled"]
        end(hub, "slow")
        with capture_logs() as later:
            await collector.make(Sweep.ACTIVE)
    assert len({line["cause"] for line in stuck}) == len(stuck)
    (saga,) = (line for line in stuck if line["cause"] == "payment-stalled")
    assert (saga["orchestrator"], saga["waiting_on"]) == ("PaymentSaga", "activity")
    assert (saga["target"], saga["blocked"]) == ("CreditAccount", 6)
    # Those that wait as designed are none.
    assert not {"approval", "event", "holder"} & {line["cause"] for line in stuck}
    gone = [line for line in later if line["event"] == "stalled instances resumed"]
    assert [line["cause"] for line in gone] == ["slow"]


async def test_targets_beyond_the_limit_share_one_label(hub: TaskHub) -> None:
    rules = limits()
    few = replace(DEFAULT_RULES, limits=rules.limits, label_limit=3)
    async with polled(hub, rules=few) as collector:
        await collector.make(Sweep.ACTIVE)
        view = shown(collector)
    targets = {target for _, _, target in (*view.stalled, *view.waiting)} - {"", "_other"}
    assert len(targets) <= 3
    assert any(target == "_other" for _, _, target in view.stalled)


async def test_combinations_of_labels_are_bounded_too(hub: TaskHub) -> None:
    rules = limits()
    few = replace(DEFAULT_RULES, limits=rules.limits, max_series=60)
    async with polled(hub, rules=few) as collector:
        await collector.make(Sweep.ACTIVE)
        view = shown(collector)
    named = {labels for labels in (*view.stalled, *view.waiting) if labels[2] not in ("", "_other")}
    assert len(named) <= 3
    assert any(target == "_other" for _, _, target in view.stalled)


def test_what_reads_may_be_made_leaves_the_reserve_of_the_day() -> None:
    budget = PageBudget(100)
    assert budget.reads(30, 0.0) == 30
    budget.spend(75, 0.0)
    assert budget.reads(30, 0.0) == 15
    budget.spend(20, 0.0)
    assert budget.reads(30, 0.0) == 0
    assert budget.reads(30, 86_400.0) == 30
    assert PageBudget(None).reads(30, 0.0) == 30


def test_histories_have_what_is_left_of_the_share_and_a_little_where_nothing_is() -> None:
    assert spare_seconds(1.0, 30.0) == 14.0
    assert spare_seconds(14.5, 30.0) == 3.625
    assert spare_seconds(60.0, 30.0) == 15.0
    assert spare_seconds(0.1, 0.01) == 0.25
