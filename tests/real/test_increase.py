"""Failures of a kind that was never seen before are seen by `increase()`, all of them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator import Emulator, Instance, RealClock, RuntimeStatus, TaskHub, running
from tests.real.chaos import HASTY, HUB, SCRAPE_INTERVAL
from tests.real.counted import (
    BASELINE,
    FAILURES,
    FINISHED,
    LATE,
    REASONS,
    Counted,
    Labels,
    counted,
    key_of,
    nonzero,
)
from tests.real.daemon import Daemon, reserved_port
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.real.traffic import failure_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

MANY = 50
HOLD = HASTY["COUNTER_HOLD"]
FAMILIES = (FINISHED, FAILURES, REASONS)
RECENT = 'durable_functions_recent_finished_instances{window="1h",runtime_status="Failed"}'


@dataclass(frozen=True)
class Pods:
    """A hub, two pods of an exporter that share one state, and the Prometheus that knows both."""

    hub: TaskHub
    first: Daemon
    second: Daemon
    prometheus: Prometheus
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def fail(self, orchestrator: str) -> None:
        """Let many instances of an orchestrator fail at once, because of an activity."""
        now = self.hub.clock.now()
        for number in itertools.islice(self._numbers, MANY):
            self.hub.put(
                Instance(
                    instance_id=f"failed-{number:05d}",
                    name=orchestrator,
                    status=RuntimeStatus.FAILED,
                    created=now,
                    updated=now,
                    output=failure_of(orchestrator, f"PayFor{orchestrator}"),
                )
            )

    async def contact(self, pod: Daemon) -> None:
        """Wait until Prometheus knows that the pod has made contact with the hub."""
        where = f'{{instance="{pod.address}"}}'
        await self.prometheus.wait_until(f"{BASELINE}{where} and {LATE}{where}")

    async def until(self, pod: Daemon, finishes: float) -> Counted:
        """Wait until a pod shows so many finishes."""
        where = f'{{instance="{pod.address}"}}'
        await self.prometheus.wait_until(f"sum({FINISHED}{where}) == {finishes}")
        return await counted(self.prometheus, pod.address)


@asynccontextmanager
async def pods(directory: Path, *, first_hold: str = HOLD) -> AsyncIterator[Pods]:
    """Let there be a hub and a Prometheus; no pod runs yet."""
    clock = RealClock()
    hub = TaskHub(HUB, clock)
    state = directory / "state"
    state.mkdir()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(Emulator(hub, clock=clock)))
        settings = {**HASTY, "URL": url, "TASK_HUB": HUB, "STATE_DIR": str(state)}
        first, second = (
            Daemon(
                directory, stack.enter_context(reserved_port()), {**settings, "COUNTER_HOLD": hold}
            )
            for hold in (first_hold, HOLD)
        )
        job = scrape_job("exporter", first.address, second.address)
        prometheus = await stack.enter_async_context(
            running_prometheus(directory, job, scrape_interval=SCRAPE_INTERVAL)
        )
        yield Pods(hub, first, second, prometheus)


def labels_of(family: str, orchestrator: str) -> Labels:
    """Return the labels under which a family counts these failures."""
    return {
        FINISHED: (orchestrator, "Failed"),
        FAILURES: ("activity", orchestrator),
        REASONS: ("activity", f"PayFor{orchestrator}", orchestrator),
    }[family]


async def grown_over_both(end: Counted, family: str) -> dict[Labels, float]:
    """Return what `sum(increase())` says, from the first sample of a pod to its last one."""
    window = round(1000 * (end.at - await end.begin(FINISHED)))
    query = f"sum without (instance) (increase({family}[{window}ms] @ {end.at:.3f}))"
    return nonzero({key_of(each): each.value for each in await end.prometheus.query(query)})


async def test_failures_during_a_restart_all_count_though_the_pod_is_another(
    tmp_path: Path,
) -> None:
    async with pods(tmp_path) as scene:
        async with scene.first.alive() as program:
            await scene.contact(scene.first)
            scene.fail("Refund")
            await scene.until(scene.first, MANY)
            await program.kill()
        scene.fail("Refund")
        scene.fail("Capture")
        async with scene.second.alive():
            end = await scene.until(scene.second, 3 * MANY)
            for family in FAMILIES:
                assert await grown_over_both(end, family) == {
                    labels_of(family, "Refund"): MANY,
                    labels_of(family, "Capture"): MANY,
                }


async def test_failures_that_were_held_back_when_it_was_killed_all_count_in_the_next_pod(
    tmp_path: Path,
) -> None:
    async with pods(tmp_path, first_hold="1h") as scene:
        async with scene.first.alive() as program:
            await scene.contact(scene.first)
            scene.fail("Refund")
            await scene.prometheus.wait_until(f"sum({RECENT}) == {MANY}")
            await program.kill()
        scene.fail("Refund")
        scene.fail("Capture")
        async with scene.second.alive():
            end = await scene.until(scene.second, 3 * MANY)
            for family in FAMILIES:
                assert await grown_over_both(end, family) == {
                    labels_of(family, "Refund"): 2 * MANY,
                    labels_of(family, "Capture"): MANY,
                }
