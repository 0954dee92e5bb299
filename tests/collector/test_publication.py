"""What a scrape finds: one publication of each event, gauges and counters of the same moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator import Emulator, ManualClock, running
from emulator.api import Operation
from emulator.faults import Fault, FaultKind
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import HubSnapshot, Sweep
from tests.collector.polled import KEY, Publications, collector_of
from tests.collector.test_hub import START, sample

pytestmark = pytest.mark.anyio

ACTIVE = ("Pending", "Running", "Suspended", "ContinuedAsNew")


@asynccontextmanager
async def polled(
    emulator: Emulator,
    clock: ManualClock,
    *,
    page_size: int = 100,
    max_histories_per_sweep: int = 0,
) -> AsyncIterator[tuple[HubCollector, Publications]]:
    async with (
        running(emulator) as url,
        collector_of(
            url,
            wall=clock.now,
            monotonic=clock.now,
            key=KEY,
            page_size=page_size,
            max_histories_per_sweep=max_histories_per_sweep,
        ) as (collector, published),
    ):
        yield collector, published


def active(snapshot: HubSnapshot) -> int:
    assert snapshot.active is not None
    return sum(snapshot.active.instances.values())


def balance(snapshot: HubSnapshot) -> int:
    """What gauges and counters of one moment agree on: starts less ends is what is active."""
    counters = snapshot.counters
    ends = sum(counters["finished"].values()) + sum(counters["vanished"].values())
    return active(snapshot) - (sum(counters["created"].values()) - ends)


class TestOneEvent:
    @pytest.mark.parametrize("page_size", [7, 100])
    async def test_a_cycle_shows_new_gauges_and_their_counters_at_once(
        self, page_size: int
    ) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        async with polled(emulator, clock, page_size=page_size) as (collector, published):
            await collector.make(Sweep.ACTIVE)
            seen = [collector.snapshot]
            for cycle in range(2, 30):
                clock.advance(7.0)
                await collector.make(Sweep.ACTIVE)
                assert published.number == cycle
                seen.append(collector.snapshot)
        assert len({active(snapshot) for snapshot in seen}) > 5
        assert {balance(snapshot) for snapshot in seen} == {balance(seen[0])}

    async def test_each_other_sweep_is_published_once(self) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        async with polled(emulator, clock) as (collector, published):
            for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES):
                before = published.number
                assert await collector.make(sweep) is None
                assert published.number == before + 1
                assert collector.snapshot.sweeps[sweep].results["complete"] == 1

    async def test_histories_are_an_event_of_their_own(self) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        async with polled(emulator, clock, max_histories_per_sweep=5) as (collector, published):
            await collector.make(Sweep.ACTIVE)
            assert published.number == 2
            assert collector.snapshot.diagnosis is not None

    async def test_a_failed_sweep_shows_that_at_once_and_leaves_the_gauges(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with polled(emulator, clock) as (collector, published):
            await collector.make(Sweep.ACTIVE)
            before = collector.snapshot
            clock.advance(60.0)
            hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))
            assert await collector.make(Sweep.ACTIVE) is not None
            assert published.number == 2
            after = collector.snapshot
        assert (after.up, after.active, after.counters) == (False, before.active, before.counters)
        assert after.sweeps[Sweep.ACTIVE].results["failed"] == 1
        assert after.sweeps[Sweep.ACTIVE].completed == before.sweeps[Sweep.ACTIVE].completed

    async def test_where_finishes_cannot_be_read_the_gauges_are_new_all_the_same(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with polled(emulator, clock, page_size=1000) as (collector, published):
            for _ in range(2):
                await collector.make(Sweep.ACTIVE)
            before, number = collector.snapshot, published.number
            clock.advance(60.0)
            pages = int(collector.cost_of(Sweep.ACTIVE).pages)
            lists = {Operation.LIST_INSTANCES}
            hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE, operations=lists, skip=pages))
            assert await collector.make(Sweep.ACTIVE) is not None
            assert published.number == number + 1
            after = collector.snapshot
        assert after.up
        assert active(after) != active(before)
        assert after.sweeps[Sweep.FINISHED].results["failed"] == 1
