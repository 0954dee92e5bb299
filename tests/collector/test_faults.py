"""Two hubs behind one host, one of which misbehaves in every way."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import pytest

from emulator import Fault, FaultKind, ManualClock, running, sample_emulator
from exporter.collector.snapshot import HubSnapshot, Sweep
from tests.collector.polled import INTERVALS, KEY, STALE_AFTER, collector_of, completed
from tests.metrics.shown import Shown

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0

FAULTS = [
    (Fault(kind=FaultKind.UNAUTHORIZED), "auth"),
    (Fault(kind=FaultKind.FORBIDDEN), "auth"),
    (Fault(kind=FaultKind.STOPPED), "stopped"),
    (Fault(kind=FaultKind.THROTTLED, seconds=0.0), "throttled"),
    (Fault(kind=FaultKind.THROTTLED), "throttled"),
    (Fault(kind=FaultKind.ERROR), "server"),
    (Fault(kind=FaultKind.UNAVAILABLE), "server"),
    (Fault(kind=FaultKind.HANG), "timeout"),
    (Fault(kind=FaultKind.CUT), "protocol"),
    (Fault(kind=FaultKind.ENDLESS_TOKEN), "too_large"),
    (Fault(kind=FaultKind.MALFORMED), "protocol"),
    (Fault(kind=FaultKind.WRONG_TYPE), "protocol"),
    (Fault(kind=FaultKind.HTML), "protocol"),
    (Fault(kind=FaultKind.REDIRECT), "protocol"),
    (Fault(kind=FaultKind.HUGE), "too_large"),
    (Fault(kind=FaultKind.DROPPED_FILTER), "protocol"),
]


@dataclass(slots=True)
class Wall:
    """The exporter's clock, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def instances(snapshot: HubSnapshot, now: float) -> dict[tuple[str, ...], float]:
    """Return the samples of `durable_functions_instances` that are shown at *now*."""
    return Shown(snapshot, now=now).values("durable_functions_instances")


def errors(snapshot: HubSnapshot, kind: str) -> int:
    return sum(count for (_, found), count in snapshot.api.errors.items() if found == kind)


@pytest.mark.parametrize(
    ("fault", "kind"), FAULTS, ids=[f"{fault.kind}-{kind}" for fault, kind in FAULTS]
)
async def test_the_good_hub_is_unaffected_and_the_bad_one_says_so_and_recovers(
    fault: Fault, kind: str
) -> None:
    wall = Wall()
    # Only a server that says nothing is to be given up on; a busy machine may be slow.
    patience = 0.25 if fault.kind is FaultKind.HANG else 20.0
    emulator = sample_emulator(
        clock=ManualClock(START),
        seed=7,
        hub_names=("GoodHub", "BadHub"),
        system_key=KEY,
        history=600.0,
    )
    async with (
        running(emulator) as url,
        collector_of(url, "GoodHub", wall=wall) as (good, from_good),
        collector_of(url, "BadHub", wall=wall, request_seconds=patience, max_pages=60) as (
            bad,
            from_bad,
        ),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(good.run)
        tasks.start_soon(bad.run)
        before = await from_bad.until(lambda shown: completed(shown, Sweep.CENSUS) > 0)
        values = instances(before, wall.now)
        assert sum(values.values()) > 20

        emulator.hubs["badhub"].faults.set(fault)
        failed = await from_bad.until(lambda shown: not shown.up)
        good_before = completed(from_good.latest, Sweep.ACTIVE)
        failed = await from_bad.until(lambda shown: errors(shown, kind) >= 2)
        steady = await from_good.after_sweeps(3)

        assert failed.trouble is not None
        assert failed.trouble.kind == kind
        assert failed.trouble.hint
        assert instances(failed, wall.now) == values
        assert instances(failed, wall.now + STALE_AFTER) == values
        assert instances(failed, wall.now + STALE_AFTER + 0.1) == {}
        other_kinds = {found for (_, found), count in failed.api.errors.items() if count}
        assert other_kinds == {kind}
        assert steady.up
        assert completed(steady, Sweep.ACTIVE) > good_before
        assert sum(steady.api.errors.values()) == 0
        assert steady.sweeps[Sweep.ACTIVE].configured == INTERVALS[Sweep.ACTIVE]

        emulator.hubs["badhub"].faults.clear()
        recovered = await from_bad.until(
            lambda shown: shown.up and shown.sweeps[Sweep.ACTIVE].results["complete"] > 0
        )
        assert instances(recovered, wall.now) == values
        assert recovered.trouble is None
        tasks.cancel_scope.cancel()


async def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    wall = Wall()
    emulator = sample_emulator(clock=ManualClock(START), seed=7, system_key=KEY, history=600.0)
    emulator.hubs["ordershub"].faults.set(Fault(kind=FaultKind.THROTTLED, seconds=3600.0))
    async with (
        running(emulator) as url,
        collector_of(url, wall=wall) as (collector, published),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(collector.run)
        await published.until(lambda shown: errors(shown, "throttled") == 1)
        assert collector._agenda.records[Sweep.ACTIVE].cadence.due > anyio.current_time() + 3000.0
        tasks.cancel_scope.cancel()


async def test_a_census_that_is_asked_to_wait_keeps_no_other_sweep_waiting() -> None:
    emulator = sample_emulator(clock=ManualClock(START), seed=7, system_key=KEY, history=600.0)
    made = anyio.Event()
    async with (
        running(emulator) as url,
        collector_of(url, wall=Wall(), retries=3) as (collector, _),
        anyio.create_task_group() as tasks,
    ):
        # In a task of its own, that no deadline of this test lets it give up earlier.
        async def read_a_page() -> None:
            await collector.make(Sweep.CENSUS)
            made.set()

        assert await collector.make(Sweep.ACTIVE) is None
        pause = Fault(kind=FaultKind.THROTTLED, seconds=3000.0, times=1)
        emulator.hubs["ordershub"].faults.set(pause)
        tasks.start_soon(read_a_page)
        with anyio.fail_after(60):
            await made.wait()
        assert collector._agenda._census_step_due > anyio.current_time() + 2900.0
        assert await collector.make(Sweep.ACTIVE) is None


async def test_a_listing_that_ends_silently_is_not_believed_at_once() -> None:
    """One bad token ends a listing early with status 200 (recorded): nothing may collapse."""
    wall = Wall()
    clock = ManualClock(START)
    emulator = sample_emulator(clock=clock, seed=7, system_key=KEY, rate=4.0, history=600.0)
    hub = emulator.hubs["ordershub"]
    off = {**INTERVALS, Sweep.CENSUS: 0.0, Sweep.ENTITIES: 0.0}
    async with (
        running(emulator) as url,
        collector_of(url, wall=wall, page_size=20, max_pages=5000, intervals=off) as (
            collector,
            published,
        ),
    ):
        assert await collector.collect_once() is None
        before = instances(collector.snapshot, wall.now)
        assert 20 < sum(before.values()) < 100
        hub.faults.set(Fault(kind=FaultKind.SILENT_END, times=1))
        assert await collector.collect_once() is None
        assert published.latest is not None
        assert instances(published.latest, wall.now) == before
        assert published.latest.known.unconfirmed == 0
