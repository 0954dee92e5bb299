"""Counters go on whatever the clock of an app shows, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from emulator import Fault, FaultKind, ManualClock, TaskHub, running, sample_emulator
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.collector.state import HubState, Owner
from exporter.collector.state_file import StateFile
from exporter.ledger.ledger import Ledger
from exporter.ledger.state import Header, LedgerState
from tests.collector.polled import INTERVALS, KEY, collector_of
from tests.ledger.rules import DEFAULT_RULES

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
HOUR = 3600.0
YEARS = 3 * 365 * 86_400.0
OWNER = Owner("orders", "https://app.example/runtime/webhooks/durabletask", "ordershub", "")
OFF = {**INTERVALS, Sweep.CENSUS: 0.0, Sweep.ENTITIES: 0.0, Sweep.FAILED: 0.0}


class App:
    """An app of many finishes a minute whose `Date` can be set wrong."""

    def __init__(self, url: str, clock: ManualClock, hub: TaskHub) -> None:
        self.url, self.clock, self.hub = url, clock, hub

    def show_date(self, ahead: float) -> None:
        """Show a `Date` that is so many seconds ahead of the times of all rows."""
        self.hub.faults.set(Fault(kind=FaultKind.CLOCK_SKEW, seconds=ahead))

    @asynccontextmanager
    async def polled(
        self, state: HubState | None = None, wall: Callable[[], float] | None = None
    ) -> AsyncGenerator[HubCollector, None]:
        async with collector_of(
            self.url,
            wall=wall or self.clock.now,
            monotonic=self.clock.now,
            intervals=OFF,
            state=state,
        ) as (collector, _):
            await collector.open()
            yield collector

    async def poll(self, collector: HubCollector, times: int) -> None:
        for _ in range(times):
            self.clock.advance(30.0)
            assert await collector.make(Sweep.ACTIVE) is None

    def finished(self) -> Counter[tuple[str, ...]]:
        self.hub.advance()
        return Counter((each.name, str(each.status)) for each in self.hub.finishes)


@pytest.fixture
async def app() -> AsyncGenerator[App, None]:
    clock = ManualClock(START)
    emulator = sample_emulator(clock=clock, seed=4, system_key=KEY, history=60.0, rate=1.0)
    async with running(emulator) as url:
        yield App(url, clock, emulator.hubs["ordershub"])


def counted(collector: HubCollector) -> Counter[tuple[str, ...]]:
    return +Counter(collector.snapshot.counters["finished"])


def recent(collector: HubCollector, window: str) -> int:
    assert collector.snapshot.finished is not None
    found = collector.snapshot.finished.recent
    return sum(count for (_, _, name), count in found.items() if name == window)


@pytest.mark.parametrize("ahead", [HOUR, YEARS, -HOUR, -YEARS])
async def test_counters_run_on_after_a_wrong_clock_during_first_contact(
    app: App, ahead: float
) -> None:
    async with app.polled() as collector:
        app.show_date(ahead)
        await collector.make(Sweep.ACTIVE)
        await app.poll(collector, 3)
        assert collector.snapshot.clock_skew == pytest.approx(ahead, abs=2.0)
        app.show_date(0.0)
        await app.poll(collector, 5)
        before, began = counted(collector), app.finished()
        await app.poll(collector, 10)
        assert counted(collector) - before == app.finished() - began
        assert (counted(collector) - before).total() > 50
        assert recent(collector, "1h") > 50
        assert collector.snapshot.clock_skew == pytest.approx(0.0, abs=2.0)
        assert (collector.snapshot.known.horizon or 0.0) <= app.clock.now()


@pytest.mark.parametrize("ahead", [HOUR, YEARS])
async def test_a_state_that_was_kept_then_counts_on(app: App, tmp_path: Path, ahead: float) -> None:
    with closing(StateFile(tmp_path, OWNER, max_age=HOUR, wall=app.clock.now)) as state:
        async with app.polled(state) as collector:
            app.show_date(ahead)
            await collector.make(Sweep.ACTIVE)
            await app.poll(collector, 6)
    app.show_date(0.0)
    with closing(StateFile(tmp_path, OWNER, max_age=HOUR, wall=app.clock.now)) as state:
        async with app.polled(state) as collector:
            await app.poll(collector, 6)
            before, began = counted(collector), app.finished()
            await app.poll(collector, 10)
            assert counted(collector) - before == app.finished() - began


async def test_a_clock_that_goes_back_neither_loses_nor_doubles(app: App) -> None:
    async with app.polled() as collector:
        await collector.make(Sweep.ACTIVE)
        began = app.finished()
        await app.poll(collector, 6)
        app.show_date(-HOUR)
        await app.poll(collector, 12)
        app.show_date(0.0)
        await app.poll(collector, 12)
        assert counted(collector) == app.finished() - began


async def test_a_state_that_was_kept_while_the_exporter_s_own_clock_was_ahead_counts_on(
    app: App, tmp_path: Path
) -> None:
    wrong = [YEARS]
    wall = lambda: app.clock.now() + wrong[0]  # noqa: E731 - a clock
    app.show_date(YEARS)
    with closing(StateFile(tmp_path, OWNER, max_age=HOUR, wall=wall)) as state:
        async with app.polled(state, wall) as collector:
            await collector.make(Sweep.ACTIVE)
            await app.poll(collector, 3)
            assert (collector.snapshot.known.horizon or 0.0) > app.clock.now()
    wrong[0] = 0.0
    app.show_date(0.0)
    with closing(StateFile(tmp_path, OWNER, max_age=HOUR, wall=wall)) as state:
        async with app.polled(state) as collector:
            await app.poll(collector, 6)
            before, began = counted(collector), app.finished()
            await app.poll(collector, 10)
            assert counted(collector) - before == app.finished() - began


async def test_a_clock_of_the_exporter_that_begins_in_1970_counts_nothing_twice(
    app: App, tmp_path: Path
) -> None:
    """As that of a machine that was just switched on; the app's is right."""
    state = StateFile(tmp_path, OWNER, max_age=HOUR, wall=app.clock.now)
    with closing(state):
        async with app.polled(state) as collector:
            await collector.make(Sweep.ACTIVE)
            await app.poll(collector, 6)
            before, began = counted(collector), app.finished()
    unset = StateFile(tmp_path, OWNER, max_age=HOUR, wall=lambda: app.clock.now() - START)
    with closing(unset):
        async with app.polled(unset, wall=lambda: app.clock.now() - START) as collector:
            await app.poll(collector, 3)
            assert counted(collector) - before <= app.finished() - began


async def test_a_state_with_times_of_years_to_come_heals_when_it_is_read(tmp_path: Path) -> None:
    """As versions before wrote it that followed any `Date`."""
    future = START + YEARS
    header = Header(
        contact=future, mark=future, horizon=int(future), floor=int(future) - 86_400,
        sweep_began=future,
    )  # fmt: skip
    kept = LedgerState(header=header)
    with closing(StateFile(tmp_path, OWNER, max_age=HOUR, wall=lambda: START)) as state:
        await state.open(DEFAULT_RULES)
        await state.commit(Ledger(DEFAULT_RULES, kept))
    with closing(StateFile(tmp_path, OWNER, max_age=HOUR, wall=lambda: START + 60.0)) as state:
        ledger = await state.open(DEFAULT_RULES)
    assert ledger.mark == START + 60.0
    assert ledger.known().horizon == START + 60.0
    assert ledger.known().baseline == START + 60.0
