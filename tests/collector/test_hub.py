"""A collector against the emulator's own truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from emulator import (
    Emulator,
    Fault,
    FaultKind,
    ManualClock,
    Operation,
    RuntimeStatus,
    TaskHub,
    running,
    sample_emulator,
    truth,
)
from emulator.backends.azure_storage import AzureStorage
from exporter.api.classify import Failures
from exporter.api.errors import ErrorKind
from exporter.api.telemetry import LIST_INSTANCES
from exporter.api.wire import InstanceRow
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.collector.sweeps import HubSweeps
from exporter.ledger.ledger import Ledger
from exporter.ledger.snapshot import EntityView, FinishedView
from tests.collector.polled import INTERVALS, KEY, collector_of, completed

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
TERMINAL = {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED}


def sample(clock: ManualClock, seed: int = 11) -> tuple[Emulator, TaskHub]:
    emulator = sample_emulator(
        clock=clock,
        seed=seed,
        system_key=KEY,
        history=3600.0,
    )
    return emulator, emulator.hubs["ordershub"]


def by_status(hub: TaskHub, *, terminal: bool) -> dict[tuple[str, str], int]:
    return {
        (name, str(status)): count
        for (name, status), count in truth(hub).instances.items()
        if (status in TERMINAL) is terminal and count
    }


def plain(counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {pair: count for pair, count in counts.items() if count}


@asynccontextmanager
async def page_by_page(
    url: str, clock: ManualClock, monotonic: Callable[[], float] = anyio.current_time
) -> AsyncIterator[HubCollector]:
    """Return a collector that makes a pause after each page of a census, of 50 rows."""
    async with collector_of(
        url,
        wall=clock.now,
        max_pages=1000,
        page_size=50,
        monotonic=monotonic,
        census_step=0.0,
    ) as (collector, _):
        yield collector


class TestOneCollection:
    async def test_it_shows_the_truth(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, max_pages=1000) as (collector, _),
        ):
            assert await collector.collect_once() is None
        snapshot = collector.snapshot
        assert snapshot.active is not None
        assert snapshot.retained is not None
        assert snapshot.entities is not None
        assert plain(snapshot.active.instances) == by_status(hub, terminal=False)
        assert plain(snapshot.retained.instances) == by_status(hub, terminal=True)
        assert snapshot.entities.entities == truth(hub).entities
        assert snapshot.up

    async def test_a_scan_limit_makes_empty_pages_and_no_difference(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        hub.backend = AzureStorage(scan_rows=7)
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, max_pages=100_000) as (collector, _),
        ):
            assert await collector.collect_once() is None
        assert collector.snapshot.active is not None
        assert plain(collector.snapshot.active.instances) == by_status(hub, terminal=False)

    async def test_it_stops_at_the_first_failure_and_names_it(self) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, key="wrong") as (collector, _),
        ):
            error = await collector.collect_once()
        assert error is not None
        assert error.kind is ErrorKind.AUTH
        assert not collector.snapshot.up


class TestFinishes:
    @pytest.mark.parametrize(
        ("seed", "steps"),
        [(11, 90), *(pytest.param(seed, 1000, marks=pytest.mark.nightly) for seed in range(3))],
    )
    async def test_they_are_counted_as_they_happen(self, seed: int, steps: int) -> None:
        """In steps of 20 s, with instances of all lengths, everything is counted."""
        clock = ManualClock(START)
        emulator, hub = sample(clock, seed)
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, monotonic=clock.now) as (collector, _),
        ):
            await collector.collect_once()
            before = len(hub.finishes)
            for _ in range(steps):
                clock.advance(20.0)
                await collector.make(Sweep.ACTIVE)
            await collector.make(Sweep.CENSUS)
        assert counted(collector) == Counter(
            (finish.name, str(finish.status)) for finish in hub.finishes[before:]
        )
        assert collector.snapshot.known.unconfirmed == 0

    async def test_one_404_is_not_believed(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, monotonic=clock.now) as (collector, _),
        ):
            await collector.collect_once()
            # It began three hours ago: no listing of what is new shows that it has ended.
            hub.engine.terminate("nightly-report-suspended", "not needed", clock.now())
            clock.advance(300.0)
            hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE, operations={Operation.GET_INSTANCE}))
            await collector.make(Sweep.ACTIVE)
            unconfirmed = collector.snapshot.known.unconfirmed
            hub.faults.clear()
            await collector.make(Sweep.ACTIVE)
        assert unconfirmed > 0
        assert collector.snapshot.known.unconfirmed == 0

    async def test_what_was_purged_unseen_has_vanished(self) -> None:
        clock = ManualClock(START)
        hub = TaskHub("OrdersHub", clock)
        emulator = sample_emulator(clock=ManualClock(START), seed=3, history=600.0)
        source = next(
            row for row in emulator.hubs["ordershub"].instances() if row.status == "Running"
        )
        hub.put(source)
        async with (
            running(Emulator(hub, clock=clock)) as url,
            collector_of(url, wall=clock.now, monotonic=clock.now) as (collector, _),
        ):
            await collector.collect_once()
            hub.remove(source.instance_id)
            clock.advance(30.0)
            await collector.make(Sweep.ACTIVE)
        assert collector.snapshot.counters["vanished"] == {(): 1}
        assert counted(collector) == Counter()


def counted(collector: HubCollector) -> Counter[tuple[str, str]]:
    series = collector.snapshot.counters["finished"]
    return Counter({(name, status): count for (name, status), count in series.items() if count})


class TestSchedule:
    async def test_a_sweep_that_crashes_costs_one_sweep_not_the_hub(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now) as (collector, published),
            anyio.create_task_group() as tasks,
        ):
            working = HubSweeps.entities

            async def broken(_: HubSweeps, __: Callable[[], bool]) -> EntityView:
                monkeypatch.setattr(HubSweeps, "entities", working)
                raise ZeroDivisionError

            monkeypatch.setattr(HubSweeps, "entities", broken)
            tasks.start_soon(collector.run)
            shown = await published.until(lambda shown: completed(shown, Sweep.ENTITIES) > 0)
            tasks.cancel_scope.cancel()
        assert shown.sweeps[Sweep.ENTITIES].results["failed"] == 1
        assert shown.up

    async def test_sweeps_that_are_off_are_never_made(self) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        off = {**INTERVALS, Sweep.CENSUS: 0.0, Sweep.ENTITIES: 0.0}
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, intervals=off) as (collector, published),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(collector.run)
            shown = await published.after_sweeps(5)
            tasks.cancel_scope.cancel()
        assert shown.sweeps[Sweep.CENSUS].configured is None
        assert sum(shown.sweeps[Sweep.CENSUS].results.values()) == 0
        assert shown.retained is None
        assert shown.entities is None

    async def test_what_an_outage_made_fail_is_made_up_for_at_once(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))
        hourly = {**INTERVALS, Sweep.ENTITIES: 3600.0}
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, intervals=hourly) as (collector, published),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(collector.run)
            await published.until(lambda shown: shown.sweeps[Sweep.ENTITIES].results["failed"] > 0)
            hub.faults.clear()
            shown = await published.until(lambda shown: completed(shown, Sweep.ENTITIES) > 0)
            tasks.cancel_scope.cancel()
        assert shown.up
        assert shown.sweeps[Sweep.ENTITIES].results["failed"] == 1

    async def test_a_census_goes_on_after_a_page_that_failed(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with (
            running(emulator) as url,
            page_by_page(url, clock) as collector,
        ):
            await collector.make(Sweep.ACTIVE)
            await collector.make(Sweep.CENSUS)
            hub.faults.set(Fault(kind=FaultKind.ERROR, times=2))
            outcomes = [await collector.make(Sweep.CENSUS) for _ in range(2)]
            while collector._sweeps.census_is_running:
                assert await collector.make(Sweep.CENSUS) is None
        assert all(outcomes)
        assert collector.snapshot.retained is not None
        assert plain(collector.snapshot.retained.instances) == by_status(hub, terminal=True)
        assert collector.snapshot.sweeps[Sweep.CENSUS].results["complete"] == 1

    async def test_a_census_that_cannot_go_on_is_given_up_and_shows_nothing(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with (
            running(emulator) as url,
            page_by_page(url, clock) as collector,
        ):
            await collector.make(Sweep.ACTIVE)
            await collector.make(Sweep.CENSUS)
            hub.faults.set(Fault(kind=FaultKind.ERROR))
            outcomes = [await collector.make(Sweep.CENSUS) for _ in range(3)]
            assert not collector._sweeps.census_is_running
        assert all(outcomes)
        assert collector.snapshot.retained is None
        assert collector.snapshot.sweeps[Sweep.CENSUS].results["failed"] == 3

    async def test_after_an_outage_a_census_goes_on_from_where_it_was(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        async with (
            running(emulator) as url,
            page_by_page(url, clock) as collector,
        ):
            await collector.make(Sweep.ACTIVE)
            for _ in range(2):
                await collector.make(Sweep.CENSUS)
            hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))
            outcomes = [await collector.make(Sweep.CENSUS) for _ in range(6)]
            assert collector.snapshot.retained is None
            hub.faults.clear()
            while collector._sweeps.census_is_running:
                assert await collector.make(Sweep.CENSUS) is None
        shown = collector.snapshot
        assert all(outcomes)
        assert shown.retained is not None
        found = by_status(hub, terminal=True)
        assert plain(shown.retained.instances) == found
        assert shown.sweeps[Sweep.CENSUS].results["failed"] == 6
        assert shown.sweeps[Sweep.CENSUS].results["complete"] == 1
        # Entities and all, no row was read twice.
        assert shown.sweeps[Sweep.CENSUS].rows == sum(found.values())

    async def test_a_census_that_stood_still_for_long_begins_anew(self) -> None:
        clock, now = ManualClock(START), [0.0]
        emulator, hub = sample(clock)
        async with (
            running(emulator) as url,
            page_by_page(url, clock, monotonic=lambda: now[0]) as collector,
        ):
            await collector.make(Sweep.ACTIVE)
            await collector.make(Sweep.CENSUS)
            hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))
            for moment, goes_on in ((60.0, True), (3500.0, True), (3700.0, False)):
                now[0] = moment
                await collector.make(Sweep.CENSUS)
                assert collector._sweeps.census_is_running is goes_on

    async def test_a_census_is_read_in_steps_with_pauses_as_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, now = ManualClock(START), [0.0]
        emulator, hub = sample(clock)

        def see(ledger: Ledger, rows: Sequence[InstanceRow], at: float, ids: Sequence[str]) -> None:
            now[0] += 0.3  # what a page takes
            seen(ledger, rows, at, ids)

        seen = Ledger.apply_census_page
        monkeypatch.setattr(Ledger, "apply_census_page", see)
        async with (
            running(emulator) as url,
            collector_of(
                url, wall=clock.now, max_pages=1000, page_size=20, monotonic=lambda: now[0]
            ) as (collector, _),
        ):
            await collector.make(Sweep.ACTIVE)
            for step in (1, 2):
                await collector.make(Sweep.CENSUS)
                assert collector.snapshot.sweeps[Sweep.CENSUS].pages == 5 * step
                assert collector._agenda._census_step_due == pytest.approx(now[0] + 1.5)
            while collector._sweeps.census_is_running:
                await collector.make(Sweep.CENSUS)
        assert collector.snapshot.retained is not None
        assert plain(collector.snapshot.retained.instances) == by_status(hub, terminal=True)

    async def test_a_census_reads_no_page_that_the_budget_has_not(self) -> None:
        clock = ManualClock(START)
        emulator, _ = sample(clock)
        async with (
            running(emulator) as url,
            collector_of(
                url, wall=clock.now, max_pages=1000, page_size=20, max_pages_per_day=30
            ) as (
                collector,
                _,
            ),
        ):
            await collector.make(Sweep.ACTIVE)
            await collector.make(Sweep.CENSUS)
        assert collector.snapshot.pages_remaining == 3  # the tenth that is for active sweeps

    async def test_a_sweep_that_takes_too_long_is_truncated(self) -> None:
        clock = ManualClock(START)
        emulator, hub = sample(clock)
        hub.faults.set(Fault(kind=FaultKind.HANG))
        async with (
            running(emulator) as url,
            collector_of(url, wall=clock.now, sweep_timeout=0.1) as (collector, _),
        ):
            error = await collector.collect_once()
        assert error is not None
        assert error.kind is ErrorKind.TIMEOUT
        assert collector.snapshot.sweeps[Sweep.ACTIVE].results["truncated"] == 1


@asynccontextmanager
async def cycles_of_half_a_minute(now: list[float]) -> AsyncIterator[HubCollector]:
    """Return a collector of the sample hub, by whose clocks it is always *now*."""
    emulator, _ = sample(ManualClock(START))
    async with (
        running(emulator) as url,
        collector_of(
            url,
            wall=lambda: now[0],
            monotonic=lambda: now[0],
            intervals={**INTERVALS, Sweep.ACTIVE: 30.0},
        ) as (collector, _),
    ):
        yield collector


async def test_what_a_long_cycle_feeds_is_shown_until_five_more_could_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reads, lists and histories of a cycle stretch the interval of both of its sweeps."""
    now = [START]
    async with cycles_of_half_a_minute(now) as collector:
        list_finished = HubSweeps.finished

        async def finished(
            sweeps: HubSweeps, affordable: float, goes_on: Callable[[], bool]
        ) -> FinishedView | None:
            now[0] += 600.0
            return await list_finished(sweeps, affordable, goes_on)

        monkeypatch.setattr(HubSweeps, "finished", finished)
        assert await collector.make(Sweep.ACTIVE) is None
    shown = collector.snapshot
    # The next cycle is due twenty minutes after this one began.
    for sweep in (Sweep.ACTIVE, Sweep.FINISHED):
        assert shown.sweeps[sweep].interval == pytest.approx(1200.0)
        completed = shown.sweeps[sweep].completed
        assert completed is not None
        assert shown.is_fresh(sweep, completed + 5900.0)
        assert not shown.is_fresh(sweep, completed + 6100.0)


async def test_a_failing_list_of_what_finished_stretches_only_what_is_active(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [START]
    async with cycles_of_half_a_minute(now) as collector:
        assert await collector.make(Sweep.ACTIVE) is None
        begin = now[0]

        async def finished(
            _sweeps: HubSweeps, _affordable: float, _goes_on: Callable[[], bool]
        ) -> FinishedView:
            now[0] += 600.0
            raise Failures("ordershub", LIST_INSTANCES).of_exception(TimeoutError(), 60.0)

        monkeypatch.setattr(HubSweeps, "finished", finished)
        assert await collector.make(Sweep.ACTIVE) is not None
    shown = collector.snapshot
    assert shown.is_fresh(Sweep.ACTIVE, begin + 5900.0)
    assert not shown.is_fresh(Sweep.FINISHED, begin + 901.0)
