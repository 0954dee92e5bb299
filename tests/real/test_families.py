"""Families in a real Prometheus that scrapes an exporter, which polls an emulated app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator import ManualClock, TaskHub
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.web.server import listening
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.web.looking import app_of
from tests.workers.polled_hub import polled
from tests.workers.test_families import START, hub_of, start, wait

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

ORPHANS = "durable_functions_orphaned_instances"
UNRESOLVED = "durable_functions_unresolved_failures"


@dataclass(frozen=True)
class Scene:
    """An app, its collector, and a Prometheus that scrapes what it publishes."""

    clock: ManualClock
    hub: TaskHub
    collector: HubCollector
    prometheus: Prometheus

    async def cycle(self) -> None:
        """Let half a minute pass, and poll as is done then."""
        wait(self.hub, self.clock)
        for sweep in (Sweep.ACTIVE, Sweep.FAILED):
            assert await self.collector.make(sweep) is None

    async def shows(self, family: str, orchestrator: str, value: int) -> None:
        """Wait until Prometheus shows a value of an orchestrator."""
        await self.prometheus.wait_until(f'{family}{{orchestrator="{orchestrator}"}} == {value}')


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    clock = ManualClock(START)
    hub = hub_of(clock)
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(polled(hub))
        app = app_of(lambda: [collector.snapshot], clock.now)
        server = await stack.enter_async_context(listening(app, "127.0.0.1", 0, grace_seconds=1.0))
        job = scrape_job("exporter", f"127.0.0.1:{server.port}")
        prometheus = await stack.enter_async_context(
            running_prometheus(folder, job, scrape_interval="1s")
        )
        yield Scene(clock, hub, collector, prometheus)


async def test_orphans_appear_within_two_sweeps_and_end_with_themselves(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        start(scene.hub, "Batch", "batch", "WaitsForever")
        await scene.cycle()
        await scene.shows(ORPHANS, "WaitsForever", 0)
        scene.hub.engine.terminate("batch", "in a hurry", scene.clock.now())
        await scene.cycle()
        await scene.cycle()
        await scene.shows(ORPHANS, "WaitsForever", 3)
        for number in range(3):
            scene.hub.engine.terminate(f"batch-{number}", "orphaned", scene.clock.now())
        await scene.cycle()
        await scene.shows(ORPHANS, "WaitsForever", 0)


async def test_failed_roots_are_unresolved_and_children_that_somebody_handled_are_not(
    tmp_path: Path,
) -> None:
    async with scene_in(tmp_path) as scene:
        start(scene.hub, "Forgives", "forgives")
        start(scene.hub, "Parent", "fails", "FailsItself")
        await scene.cycle()
        await scene.shows(UNRESOLVED, "Parent", 1)
        await scene.shows(UNRESOLVED, "FailsItself", 0)
        await scene.shows(UNRESOLVED, "Forgives", 0)
        # It continues from where it failed, and waits for what it called: no failure meanwhile.
        scene.hub.engine.rewind("fails", None, scene.clock.now())
        assert await scene.collector.make(Sweep.ACTIVE) is None
        await scene.shows(UNRESOLVED, "Parent", 0)
        # It fails again.
        await scene.cycle()
        await scene.shows(UNRESOLVED, "Parent", 1)
        await scene.shows(UNRESOLVED, "FailsItself", 0)
