"""The forecast of `estimate` is what a daemon then does, in hubs with traffic."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from time import time

import pytest

from emulator import Emulator, ManualClock, TaskHub, running
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.storage.rows import RuntimeStatus
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import EntityClass, Orchestrator
from emulator.synthetic.traffic import Traffic
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import Settings, load_settings
from tests.cli.asked import ask
from tests.cli.polled_day import DAY, Polled, hold, polled

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

Capture = pytest.CaptureFixture[str]

# A command goes by its own clock where that of an app is more than a day off.
START = float(time() // 3600 * 3600)
# A day of them are 43,200 rows.
PER_SECOND = 0.5
# Those of a whole turn of the ruler, which doubles its look-back twice here.
CYCLES = 8
# Of which the mean is a quarter.
LONGEST = 3600.0
MIX = [
    Orchestrator(
        name=name,
        longest=LONGEST,
        output="done",
        statuses={RuntimeStatus.COMPLETED: 0.8, RuntimeStatus.FAILED: 0.2},
    )
    for name in ("ProcessOrder", "PaymentSaga")
]


def living_hub(clock: ManualClock, backend: Backend) -> SyntheticHub:
    return SyntheticHub(
        "BigHub",
        clock,
        rows=10_000,
        active=0,
        orchestrators=MIX,
        entities=[EntityClass(name="cart", rows=700)],
        newest=START - 30 * DAY,
        traffic=Traffic(begin=START - DAY, per_second=PER_SECOND, orchestrators=MIX),
        backend=backend,
    )


@asynccontextmanager
async def serving(clock: ManualClock, scan_rows: int | None) -> AsyncGenerator[str, None]:
    backend = AzureStorage(scan_rows=scan_rows)
    own = TaskHub("OwnHub", clock)
    big = living_hub(clock, backend)
    async with running(Emulator(own, clock=clock, synthetic=[big])) as url:
        yield url


async def daemon_of(settings: Settings, clock: ManualClock, interval: float) -> list[Polled]:
    """Run every sweep of a daemon's collector, then a few cycles; return both counters."""
    (hub,) = settings.own_hubs
    client = connect(hub, SharedLimits())
    async with aclosing(client):
        collector = HubCollector(
            PollingInputs(hub, settings.buckets),
            client,
            rules_of(hub, settings.buckets),
            wall=clock.now,
            monotonic=clock.now,
            holds=False,
        )
        assert await collector.collect_once() is None
        begin = shown(collector, clock)
        for _ in range(CYCLES):
            clock.advance(interval)
            assert await collector.make(Sweep.ACTIVE) is None
        for sweep in (Sweep.FAILED, Sweep.ENTITIES):
            assert await collector.make(sweep) is None
        return [begin, shown(collector, clock)]


def shown(collector: HubCollector, clock: ManualClock) -> Polled:
    body = Exposition().body([collector.snapshot], clock.now(), Format.CLASSIC)
    return polled(body.text.decode(), clock.now())


@pytest.mark.parametrize(
    ("interval", "scan_rows"),
    [(30.0, None), (600.0, None), (600.0, 1000)],
    ids=["few leave at once", "so many that they are listed", "the storage scans all rows"],
)
async def test_requests_and_series_are_what_the_daemon_then_takes(
    capfd: Capture, interval: float, scan_rows: int | None
) -> None:
    clock = ManualClock(START)
    async with serving(clock, scan_rows) as url:
        settings = load_settings(
            {},
            {
                "url": url,
                "task_hub": "BigHub",
                "intervals.active": f"{interval:.0f}s",
                "overlap": "2m",
                "lookback": "8m",
            },
        )
        told = await ask(capfd, settings, "estimate", "--format", "json")
        begin, end = await daemon_of(settings, clock, interval)
    assert told.code == 0
    hold(told.out, begin, end)
