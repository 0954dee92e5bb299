"""The budgets: pages of a hub per day, and what all hubs of a process hold together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from emulator import Emulator, ManualClock, TaskHub, running
from emulator.storage.rows import Instance, RuntimeStatus
from exporter.collector.budgets import FairShare, PageBudget, ProcessLimits
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.ledger.ledger import Ledger, Source
from tests.collector.polled import INTERVALS, collector_of
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import finishes, in_contact, recent, row, sweep

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
MIB = 1 << 20
MIDNIGHT = 1_795_392_000.0


def ledger_of(size: int) -> Ledger:
    return in_contact(None, *(row(f"i{number:05}") for number in range(size)))


class TestFairShare:
    def test_who_holds_little_leaves_the_rest_to_the_others(self) -> None:
        share = FairShare(100, lambda ledger: len(ledger.tracked))
        small, middle, large = ledger_of(10), ledger_of(30), ledger_of(90)
        for ledger in (small, middle, large):
            share.of(ledger)
        assert (share.of(small), share.of(middle), share.of(large)) == (35, 45, 60)

    def test_alone_it_is_all(self) -> None:
        assert FairShare(100, lambda ledger: len(ledger.tracked)).of(ledger_of(3)) == 100

    def test_a_hub_that_is_gone_holds_nothing(self) -> None:
        share = FairShare(100, lambda ledger: len(ledger.tracked))
        ledger = ledger_of(90)
        share.of(ledger)
        del ledger
        assert share.of(ledger_of(1)) == 100


class TestLedger:
    def test_no_more_is_tracked_than_there_is_room_for_but_2_000_always(self) -> None:
        ledger = ledger_of(2500)
        ledger.tracked.limit(0)
        assert len(ledger.tracked) == 2000
        sweep(ledger, 30.0, *(row(f"i{number:05}") for number in range(2500)))
        assert len(ledger.tracked) == 2000
        assert ledger.untracked == 500

    def test_bytes_come_back_to_nothing_when_all_has_ended(self) -> None:
        ledger = ledger_of(50)
        sweep(ledger, 30.0, *(row(f"i{number:05}", created=9.0) for number in range(50)))
        for number in range(49):
            ledger.apply_row(row(f"i{number:05}", "Completed"), Source.READ, 0.0)
        ledger.mark_vanished("i00049")
        assert ledger.tracked.bytes == 0

    def test_a_long_id_counts_by_its_length(self) -> None:
        short, long = in_contact(None, row("a")), in_contact(None, row("a" * 1000))
        assert long.tracked.bytes == short.tracked.bytes + 999

    def test_what_was_not_tracked_is_counted_once_when_it_is_found_finished(self) -> None:
        ledger = ledger_of(2000)
        ledger.tracked.limit(0)
        sweep(ledger, 30.0, *(row(f"i{n:05}") for n in range(2000)), row("more", created=9.0))
        ended = row("more", "Completed", created=9.0, updated=40.0)
        recent(ledger, 60.0, ended)
        recent(ledger, 90.0, ended)
        assert finishes(ledger) == {("Order", "Completed"): 1}

    def test_the_book_keeps_to_its_part(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        search = ledger.begin_finished(0.0)
        old = (row(f"f{n}", "Completed", updated=-600.0 + n) for n in range(500))
        ledger.apply_rows(old, search.source, 0.0)
        ledger.complete_finished(0.0, 100)
        assert ledger.booked <= 100


@asynccontextmanager
async def polled(active: int, room: int) -> AsyncGenerator[tuple[HubCollector, TaskHub], None]:
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock)
    for number in range(active):
        hub.put(instance(f"i{number:05}", RuntimeStatus.RUNNING))
    limits = ProcessLimits(tracked=FairShare(room, lambda ledger: ledger.tracked.bytes))
    async with (
        running(Emulator(hub, clock=clock)) as url,
        collector_of(
            url, wall=clock.now, key=None, intervals=INTERVALS, rules=DEFAULT_RULES, limits=limits
        ) as (collector, _),
    ):
        yield collector, hub


def instance(instance_id: str, status: RuntimeStatus) -> Instance:
    return Instance(
        instance_id=instance_id, name="Order", status=status, created=START - 60, updated=START - 30
    )


async def test_a_hub_with_too_many_is_truncated_but_up_and_its_counters_go_on() -> None:
    async with polled(2300, room=0) as (collector, hub):
        error = await collector.make(Sweep.ACTIVE)
        assert error is not None
        assert "2,300 instances are active, of which 2,000 can be tracked" in error.reason
        snapshot = collector.snapshot
        assert snapshot.up
        assert snapshot.sweeps[Sweep.ACTIVE].results["truncated"] == 1
        assert snapshot.active is None
        hub.put(instance("i00000", RuntimeStatus.COMPLETED))
        await collector.make(Sweep.ACTIVE)
        assert collector.snapshot.counters["finished"]["Order", "Completed"] == 1


async def test_with_room_enough_nothing_is_left_out() -> None:
    async with polled(2300, room=2 * MIB) as (collector, _):
        assert await collector.make(Sweep.ACTIVE) is None
        assert collector.snapshot.active is not None
        assert collector.snapshot.active.tracked == 2300


async def test_rows_with_ids_too_long_are_left_out_and_counted_and_long_names_fold() -> None:
    async with polled(3, room=MIB) as (collector, hub):
        hub.put(instance("x" * 1025, RuntimeStatus.RUNNING))
        hub.put(Instance(
            instance_id="named", name="N" * 257, status=RuntimeStatus.RUNNING,
            created=START, updated=START,
        ))  # fmt: skip
        assert await collector.make(Sweep.ACTIVE) is None
        snapshot = collector.snapshot
        assert snapshot.active is not None
        assert snapshot.active.instances == {("Order", "Running"): 3, ("_other", "Running"): 1}
        assert snapshot.sweeps[Sweep.ACTIVE].refused == 1
        assert snapshot.counters["label_values_folded"]["orchestrator",] == 1


def test_without_a_limit_everything_is_allowed() -> None:
    budget = PageBudget(None)
    budget.spend(1_000_000, MIDNIGHT)
    assert budget.remaining(MIDNIGHT) is None
    assert all(budget.allows(sweep, MIDNIGHT) for sweep in Sweep)


def test_the_last_tenth_is_for_what_alerts_live_by() -> None:
    budget = PageBudget(100)
    budget.spend(89, MIDNIGHT)
    assert all(budget.allows(sweep, MIDNIGHT) for sweep in Sweep)
    budget.spend(1, MIDNIGHT)
    allowed = [sweep for sweep in Sweep if budget.allows(sweep, MIDNIGHT)]
    assert allowed == [Sweep.ACTIVE, Sweep.FINISHED]
    budget.spend(15, MIDNIGHT)
    assert budget.remaining(MIDNIGHT) == 0
    assert not any(budget.allows(sweep, MIDNIGHT) for sweep in Sweep)


def test_each_day_begins_anew_at_midnight_utc() -> None:
    budget = PageBudget(10)
    budget.spend(10, MIDNIGHT + 86_399.0)
    assert not budget.allows(Sweep.ACTIVE, MIDNIGHT + 86_399.9)
    assert budget.allows(Sweep.CENSUS, MIDNIGHT + 86_400.0)
    assert budget.remaining(MIDNIGHT + 86_400.0) == 10
