"""Counters are never ahead of what is durable, and never fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from emulator import Fault, FaultKind, ManualClock, TaskHub, running, sample_emulator
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import StateUse, Sweep
from exporter.collector.state import LearnedFacts, StateNotWritten
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState
from tests.collector.polled import INTERVALS, KEY, collector_of

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
HOLD = 120.0
OFF = {**INTERVALS, Sweep.CENSUS: 0.0, Sweep.ENTITIES: 0.0, Sweep.FAILED: 0.0}


@dataclass(slots=True)
class Disk:
    """A state in memory, on a disk that can be full."""

    content: LedgerState | None = None
    is_full: bool = False
    learned: LearnedFacts = field(default_factory=LearnedFacts)

    async def open(self, rules: LedgerRules) -> Ledger:
        return Ledger(rules, self.content)

    async def commit(self, ledger: Ledger) -> None:
        if self.is_full:
            raise StateNotWritten("No space left on device")
        self.content = ledger.saved()

    @property
    def use(self) -> StateUse:
        return StateUse({"write": 0}, None)

    def close(self) -> None:
        pass


@dataclass(slots=True)
class Scene:
    clock: ManualClock
    hub: TaskHub
    url: str
    disk: Disk = field(default_factory=Disk)

    @asynccontextmanager
    async def exporter(self, *, hold: float = 0.0) -> AsyncGenerator[HubCollector, None]:
        """Run one instance of an exporter, which ends without a word."""
        async with collector_of(
            self.url,
            wall=self.clock.now,
            monotonic=self.clock.now,
            intervals=OFF,
            state=self.disk,
            counter_hold=hold,
        ) as (collector, _):
            await collector.open()
            yield collector

    async def sweep_after(self, seconds: float, collector: HubCollector) -> None:
        self.clock.advance(seconds)
        await collector.make(Sweep.ACTIVE)

    def happened_since(self, begin: int) -> Counter[tuple[str, ...]]:
        self.hub.advance()
        finishes = self.hub.finishes[begin:]
        return Counter((finish.name, str(finish.status)) for finish in finishes)


@pytest.fixture
async def scene() -> AsyncGenerator[Scene, None]:
    clock = ManualClock(START)
    emulator = sample_emulator(clock=clock, seed=4, system_key=KEY, history=60.0, rate=1.0)
    async with running(emulator) as url:
        yield Scene(clock, emulator.hubs["ordershub"], url)


def shown(collector: HubCollector) -> Counter[tuple[str, ...]]:
    return +Counter(collector.snapshot.counters["finished"])


async def test_what_finished_while_the_exporter_was_away_is_counted_once(scene: Scene) -> None:
    async with scene.exporter() as first:
        await first.make(Sweep.ACTIVE)
        begin = len(scene.hub.finishes)
        await scene.sweep_after(30.0, first)
    scene.clock.advance(120.0)
    async with scene.exporter() as second:
        before = shown(second)
        assert before == shown(first)
        await second.make(Sweep.ACTIVE)
        assert shown(second) == scene.happened_since(begin)
        assert shown(second).total() > before.total() + 30
        assert second.snapshot.known.baseline == first.snapshot.known.baseline


async def test_without_a_state_a_new_baseline_shows_the_gap(scene: Scene) -> None:
    async with scene.exporter() as first:
        await first.make(Sweep.ACTIVE)
    scene.clock.advance(120.0)
    scene.disk.content = None
    async with scene.exporter() as second:
        await second.make(Sweep.ACTIVE)
        assert shown(second) == Counter()
        assert (second.snapshot.known.baseline or 0.0) > START + 60.0


async def test_on_a_full_disk_gauges_go_on_and_counters_stay(scene: Scene) -> None:
    async with scene.exporter() as collector:
        await collector.make(Sweep.ACTIVE)
        begin = len(scene.hub.finishes)
        await scene.sweep_after(60.0, collector)
        kept = shown(collector)
        scene.disk.is_full = True
        await scene.sweep_after(60.0, collector)
        assert shown(collector) == kept
        assert collector.snapshot.up
        assert collector.snapshot.sweeps[Sweep.ACTIVE].completed == START + 120.0
        scene.disk.is_full = False
        await scene.sweep_after(1.0, collector)
        assert shown(collector) == scene.happened_since(begin)


async def test_a_kill_takes_no_counter_back(scene: Scene) -> None:
    highest: Counter[tuple[str, ...]] = Counter()
    async with scene.exporter() as collector:
        await collector.make(Sweep.ACTIVE)
        begin = len(scene.hub.finishes)
    for number in range(6):
        scene.disk.is_full = number % 2 == 1
        async with scene.exporter() as collector:
            assert shown(collector) >= highest
            await scene.sweep_after(45.0, collector)
            assert shown(collector) >= highest
            highest = shown(collector)
    assert highest <= scene.happened_since(begin)


async def test_new_series_wait_at_their_base_also_after_a_restart(scene: Scene) -> None:
    async with scene.exporter(hold=HOLD) as first:
        await first.make(Sweep.ACTIVE)
        begin = len(scene.hub.finishes)
        await scene.sweep_after(60.0, first)
        assert set(first.snapshot.counters["finished"].values()) == {0}
    happened = scene.happened_since(begin)
    async with scene.exporter(hold=HOLD) as second:
        await second.make(Sweep.ACTIVE)
        assert set(second.snapshot.counters["finished"].values()) == {0}
        await scene.sweep_after(HOLD - 1.0, second)
        assert set(second.snapshot.counters["finished"].values()) == {0}
        await scene.sweep_after(1.0, second)
        assert shown(second) >= happened


async def test_what_could_not_be_written_is_born_when_it_is_shown(scene: Scene) -> None:
    async with scene.exporter(hold=HOLD) as collector:
        scene.disk.is_full = True
        await collector.make(Sweep.ACTIVE)
        await scene.sweep_after(HOLD + 60.0, collector)
        assert collector.snapshot.counters["finished"] == {}
        scene.disk.is_full = False
        await scene.sweep_after(1.0, collector)
        assert set(collector.snapshot.counters["finished"].values()) == {0}
        await scene.sweep_after(HOLD, collector)
        assert shown(collector).total() > 0


async def test_increments_show_when_the_hold_ends_though_the_hub_is_down(scene: Scene) -> None:
    async with scene.exporter(hold=HOLD) as collector:
        await collector.make(Sweep.ACTIVE)
        begin = len(scene.hub.finishes)
        await scene.sweep_after(60.0, collector)
        happened = scene.happened_since(begin)
        scene.hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))
        assert collector._ledger.next_release_time == START + HOLD
        scene.clock.advance(HOLD)
        await collector.publish()
        assert shown(collector) == happened


async def test_a_state_that_breaks_the_program_costs_the_state_not_the_hub(scene: Scene) -> None:
    class Broken(Disk):
        async def open(self, rules: LedgerRules) -> Ledger:
            raise RuntimeError("can't start new thread")

    scene.disk = Broken()
    async with (
        collector_of(scene.url, wall=scene.clock.now, intervals=OFF, state=scene.disk) as (
            collector,
            published,
        ),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(collector.run)
        await published.until(lambda snapshot: snapshot.up)
        tasks.cancel_scope.cancel()
    assert scene.disk.content is None


@pytest.mark.parametrize("seconds", [90.0, -90.0, 172_800.0])
async def test_a_wrong_date_at_first_contact_moves_no_accounts(
    scene: Scene, seconds: float
) -> None:
    scene.hub.faults.set(Fault(kind=FaultKind.CLOCK_SKEW, seconds=seconds, times=1))
    async with scene.exporter() as collector:
        await collector.make(Sweep.ACTIVE)
        begin = len(scene.hub.finishes)
        assert collector.snapshot.known.baseline == pytest.approx(START, abs=5.0)
        await scene.sweep_after(30.0, collector)
        assert shown(collector) == scene.happened_since(begin)
