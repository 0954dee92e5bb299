"""A real Prometheus follows a world that changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emulator import ManualClock, RuntimeStatus, running, sample_emulator, truth
from exporter.collector.snapshot import Sweep
from exporter.web.server import listening
from tests.collector.polled import KEY, collector_of
from tests.real.prometheus import EXEMPLAR_STORAGE, running_prometheus, scrape_job
from tests.web.looking import app_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

START = 1_795_428_000.0
STEP_SECONDS = 20.0
STEPS = 45


async def test_counters_and_gauges_are_the_world_s_after_a_quarter_of_an_hour(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    emulator = sample_emulator(clock=clock, seed=9, system_key=KEY, history=3600.0, rate=1.0)
    hub = emulator.hubs["ordershub"]
    async with (
        running(emulator) as url,
        collector_of(url, wall=clock.now, monotonic=clock.now) as (collector, _),
        listening(
            app_of(lambda: [collector.snapshot], clock.now, settings={"exemplars": True}),
            "127.0.0.1",
            0,
            grace_seconds=1.0,
        ) as server,
        running_prometheus(
            tmp_path,
            scrape_job("exporter", f"127.0.0.1:{server.port}"),
            scrape_interval="1s",
            flags=[EXEMPLAR_STORAGE],
        ) as prometheus,
    ):
        assert await collector.collect_once() is None
        history = len(hub.finishes)
        await prometheus.wait_until("durable_functions_instances_finished_total")
        for _ in range(STEPS):
            clock.advance(STEP_SECONDS)
            await collector.make(Sweep.ACTIVE)
        await collector.make(Sweep.CENSUS)

        happened = Counter((finish.name, str(finish.status)) for finish in hub.finishes[history:])
        assert happened.total() > 300
        await prometheus.wait_until(
            f"sum(durable_functions_instances_finished_total) == {happened.total()}"
        )
        await prometheus.wait_until("durable_functions_instances")
        finished = await prometheus.query("durable_functions_instances_finished_total > 0")
        assert happened == {
            (sample.labels["orchestrator"], sample.labels["runtime_status"]): sample.value
            for sample in finished
        }
        instances = await prometheus.query("durable_functions_instances > 0")
        assert {
            (name, str(status)): count for (name, status), count in truth(hub).instances.items()
        } == {
            (sample.labels["orchestrator"], sample.labels["runtime_status"]): sample.value
            for sample in instances
        }
        durations = await prometheus.query(
            'sum(durable_functions_instance_duration_seconds_sum{orchestrator="ProcessOrder"})'
        )
        assert durations[0].value == sum(
            int(finish.updated) - int(finish.created)
            for finish in hub.finishes[history:]
            if finish.name == "ProcessOrder" and finish.status is RuntimeStatus.COMPLETED
        )

        stored = await prometheus.exemplars(
            "durable_functions_instances_finished_total", START, clock.now()
        )
        assert {
            (exemplar.series["orchestrator"], exemplar.series["runtime_status"])
            for exemplar in stored
        } == set(happened)
        told = {
            (finish.name, str(finish.status), finish.instance_id, float(int(finish.updated)))
            for finish in hub.finishes[history:]
        }
        assert told >= {
            (
                exemplar.series["orchestrator"],
                exemplar.series["runtime_status"],
                exemplar.labels["instance_id"],
                exemplar.at,
            )
            for exemplar in stored
        }
