"""A real Prometheus scrapes the exporter, which polls the emulator over real sockets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest

from emulator import (
    ManualClock,
    RuntimeStatus,
    TaskHub,
    finishes_between,
    running,
    sample_emulator,
    truth,
)
from emulator.backends.azure_storage import AzureStorage
from exporter.metrics.lines import Format
from exporter.settings import Buckets
from exporter.web.server import listening
from tests.collector.polled import KEY, collector_of
from tests.real.classic_format import classic_format
from tests.real.prometheus import Prometheus, Sample, running_prometheus, scrape_job
from tests.real.promtool import check_metrics
from tests.web.looking import app_of

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
HUBS = {"ordershub": "OrdersHub", "billinghub": "BillingHub"}
JOBS = ("openmetrics", "classic")
TERMINAL = {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED}


@dataclass(frozen=True)
class Scene:
    """A Prometheus, and the hubs whose truth it should know."""

    prometheus: Prometheus
    hubs: Mapping[str, TaskHub]
    exposition: bytes
    openmetrics: bytes

    async def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """Return the values by labels, without those that scraping adds."""
        samples = await self.prometheus.query(expression)
        return {key_of(sample): sample.value for sample in samples}


def key_of(sample: Sample) -> tuple[str, ...]:
    added = ("__name__", "instance", "job", "task_hub")
    return tuple(value for name, value in sorted(sample.labels.items()) if name not in added)


@pytest.fixture(scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory,
    prometheus_at_hand: None,  # noqa: ARG001 - asked for so that it comes first
) -> AsyncIterator[Scene]:
    """A frozen world, collected once and scraped in both formats."""
    clock = ManualClock(START)
    emulator = sample_emulator(
        clock=clock, seed=5, hub_names=list(HUBS.values()), system_key=KEY, history=7200.0
    )
    emulator.hubs["ordershub"].backend = AzureStorage(scan_rows=40)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(emulator))
        snapshots = []
        for name in HUBS.values():
            collector, _ = await stack.enter_async_context(
                collector_of(url, name, wall=clock.now, monotonic=clock.now, max_pages=100_000)
            )
            assert await collector.collect_once() is None
            snapshots.append(collector.snapshot)
        app = app_of(lambda: snapshots, clock.now, settings={"exemplars": True})
        server = await stack.enter_async_context(listening(app, "127.0.0.1", 0, grace_seconds=1.0))
        address = f"127.0.0.1:{server.port}"
        classic = stack.enter_context(classic_format(address))
        jobs = [scrape_job("openmetrics", address), scrape_job("classic", classic)]
        prometheus = await stack.enter_async_context(
            running_prometheus(tmp_path_factory.mktemp("exporter"), *jobs, scrape_interval="1s")
        )
        for job in JOBS:
            await prometheus.wait_until(f'durable_functions_up{{job="{job}"}} == 1')
        yield Scene(
            prometheus,
            {label: emulator.hubs[label] for label in HUBS},
            await scraped(address, Format.CLASSIC),
            await scraped(address, Format.OPENMETRICS),
        )


async def scraped(address: str, form: Format) -> bytes:
    """Return what is served in a format."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{address}/metrics", headers={"accept": form.value})
    assert answer.headers["content-type"] == form.value
    return answer.content


def orchestrators(hub: TaskHub) -> set[str]:
    return {row.name for row in hub.instances()} | {finish.name for finish in hub.finishes}


both_formats = pytest.mark.parametrize("job", JOBS)
every_hub = pytest.mark.parametrize("label", list(HUBS))


@both_formats
@every_hub
class TestTruth:
    async def test_counts_by_orchestrator_and_status(
        self, scene: Scene, job: str, label: str
    ) -> None:
        shown = await scene.query(f'durable_functions_instances{{job="{job}",task_hub="{label}"}}')
        told = {
            (name, str(status)): float(count)
            for (name, status), count in truth(scene.hubs[label]).instances.items()
        }
        assert {pair: count for pair, count in shown.items() if count} == told
        assert sum(told.values()) > 200
        statuses = {"Pending", "Running", "Suspended", "Completed", "Failed"}
        assert {
            (name, status) for name in orchestrators(scene.hubs[label]) for status in statuses
        } <= set(shown)

    async def test_oldest_created_and_updated(self, scene: Scene, job: str, label: str) -> None:
        told = truth(scene.hubs[label])
        for family, times in (("created", told.oldest_created), ("updated", told.oldest_updated)):
            shown = await scene.query(
                f"durable_functions_oldest_instance_{family}_timestamp_seconds"
                f'{{job="{job}",task_hub="{label}"}}'
            )
            assert shown == {
                (name, str(status)): float(moment)
                for (name, status), moment in times.items()
                if status not in TERMINAL
            }

    @pytest.mark.parametrize(("window", "seconds"), [("1h", 3600), ("24h", 86_400)])
    async def test_recent_finishes_and_the_failure_ratio(
        self, scene: Scene, job: str, label: str, window: str, seconds: int
    ) -> None:
        labels = f'{{job="{job}",task_hub="{label}",window="{window}"}}'
        recent = await scene.query(f"durable_functions_recent_finished_instances{labels}")
        ratios = await scene.query(f"durable_functions_failure_ratio{labels}")
        told = Counter(finishes_between(scene.hubs[label], START - seconds - 1e-6, START))
        assert {key[:2]: count for key, count in recent.items() if count} == {
            (name, str(status)): float(count)
            for (name, status), count in told.items()
            if status in (RuntimeStatus.COMPLETED, RuntimeStatus.FAILED)
        }
        finished = {
            name: told[name, RuntimeStatus.FAILED] + told[name, RuntimeStatus.COMPLETED]
            for name in orchestrators(scene.hubs[label])
        }
        assert {key[0]: ratio for key, ratio in ratios.items()} == {
            name: told[name, RuntimeStatus.FAILED] / count
            for name, count in finished.items()
            if count
        }

    async def test_entities(self, scene: Scene, job: str, label: str) -> None:
        hub = scene.hubs[label]
        where = f'{{job="{job}",task_hub="{label}"}}'
        existing = [entity for entity in hub.entities() if entity.exists]
        shown = await scene.query(f"durable_functions_entities{where}")
        assert {key[0]: count for key, count in shown.items()} == truth(hub).entities
        locked = await scene.query(f"durable_functions_entities_locked{where}")
        assert {key[0]: count for key, count in locked.items() if count} == Counter(
            entity.class_name for entity in existing if entity.locked_by
        )
        backlog = await scene.query(f"durable_functions_entity_backlog_operations{where}")
        queued = Counter[str]()
        for entity in existing:
            queued[entity.class_name] += len(entity.queue)
        assert {key[0]: count for key, count in backlog.items() if count} == +queued
        orphaned = await scene.query(f"sum(durable_functions_entity_orphaned_locks{where})")
        assert set(orphaned.values()) == {0.0}

    @pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
    async def test_quantiles_of_ages_fall_into_the_bucket_of_the_true_quantile(
        self, scene: Scene, job: str, label: str, quantile: float
    ) -> None:
        where = f'{{job="{job}",task_hub="{label}"}}'
        shown = await scene.query(
            f"histogram_quantile({quantile}, sum by (le)"
            f" (durable_functions_instance_age_seconds_bucket{where}))"
        )
        ages = sorted(
            START - math.floor(row.created)
            for row in scene.hubs[label].instances()
            if row.status not in TERMINAL
        )
        true = ages[math.ceil(quantile * len(ages)) - 1]
        bounds = (0.0, *Buckets().age)
        lower, upper = next(pair for pair in pairwise(bounds) if pair[0] < true <= pair[1])
        assert lower < shown[()] <= upper

    async def test_every_active_instance_is_in_a_bucket(
        self, scene: Scene, job: str, label: str
    ) -> None:
        active = [row for row in scene.hubs[label].instances() if row.status not in TERMINAL]
        where = f'{{job="{job}",task_hub="{label}",le="+Inf"}}'
        count = await scene.query(f"sum(durable_functions_instance_age_seconds_bucket{where})")
        assert count == {(): len(active)}


class TestExposition:
    def test_promtool_accepts_it(self, scene: Scene) -> None:
        check_metrics(scene.exposition)

    @both_formats
    async def test_both_formats_are_scraped_whole(self, scene: Scene, job: str) -> None:
        ((_, scraped),) = await scene.prometheus.query(f'scrape_samples_scraped{{job="{job}"}}')
        exposition = scene.exposition if job == "classic" else scene.openmetrics
        lines = [line for line in exposition.decode().splitlines() if line[:1] not in ("#", "")]
        assert scraped == len(lines)
        assert all(target.health == "up" for target in await scene.prometheus.targets())

    async def test_the_types_arrive_as_they_are_meant(self, scene: Scene) -> None:
        openmetrics = await scene.prometheus.metadata("openmetrics")
        classic = await scene.prometheus.metadata("classic")
        assert openmetrics["durable_functions_instance_age_seconds"] == "gaugehistogram"
        assert classic["durable_functions_instance_age_seconds_bucket"] == "unknown"
        assert openmetrics["durable_functions_hub"] == "info"
        assert classic["durable_functions_instances_finished_total"] == "counter"
        assert openmetrics["durable_functions_instances_finished"] == "counter"
