"""
How soon an alert arrives at the defaults of exporter, rules, Prometheus and Alertmanager.

Nothing is faster here: it takes half an hour, and hardly any processor time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from time import time

import anyio
import pytest
import yaml

from emulator import running
from exporter.alerts.inhibition import inhibition
from exporter.alerts.prometheus import rules
from tests.real.daemon import Daemon, reserved_port
from tests.real.incidents import world as w
from tests.real.incidents.alertmanager import Receiver, receiving, running_alertmanager
from tests.real.incidents.test_incidents import hub_settings
from tests.real.incidents.world import World
from tests.real.polling import poll
from tests.real.program import Program
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.runbooks.pages import OF_ALERTS, notified_within

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.nightly,
    pytest.mark.usefixtures("prometheus_at_hand"),
]

log = logging.getLogger(__name__)

JOB = "exporter"
SHARDED = "sharded"
EVERY = "30s"
PATIENCE_SECONDS = 2100.0
HUBS = (w.WORK, w.CALM, w.GONE, w.STANDSTILL, w.THROTTLED, w.REPLACED)
# What happens at once: the others take hours, or the week before.
AT_ONCE = {
    ("HubUnreachable", w.GONE),
    ("HubReplaced", w.REPLACED),
    ("HubStalled", w.STANDSTILL),
    ("Throttled", w.THROTTLED),
    ("ExporterMisconfigured", ""),
    *(
        (name, w.WORK)
        for name in (
            "PendingStuck", "OverAge", "OrchestrationStalled", "OrphanedInstances",
            "SuspendedForgotten", "NoSuccess", "OrchestrationsFailing", "DeploymentBroken",
            "EntityLockOrphaned", "EntityBacklog",
        )
    ),
}  # fmt: skip


@dataclass
class Watch:
    """Exporters, who watches them, and what arrived how many seconds after its cause."""

    world: World
    receiver: Receiver
    prometheus: Prometheus
    exporter: Daemon
    shard: Daemon
    folder: Path
    seen: dict[str, float] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)

    async def arrives(self, name: str, hub: str, since: float) -> None:
        """Wait for an alert whose cause began at *since*; its rule saw the cause before."""
        wanted = f"DurableFunctions{name}", hub.lower()

        async def ever() -> bool:
            return wanted in self.receiver.ever()

        await poll(ever, bool, within=PATIENCE_SECONDS)
        self.arrived[name] = time() - since
        active = f'min(ALERTS_FOR_STATE{{alertname="{wanted[0]}",task_hub="{wanted[1]}"}})'
        if found := await self.prometheus.query(active):
            self.seen[name] = found[0].value - since
        log.info("%s: seen after %.0f s, arrived after %.0f s", name,
                 self.seen.get(name, 0.0), self.arrived[name])  # fmt: skip


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watch]:
    world = World()
    state, file = folder / "state", folder / "exporter.yaml"
    state.mkdir()
    limits = {
        "Nightly": {"success": "1m"},
        "Slowpoke": {"age": "1h"},
        "Forgotten": {"suspended": "1h"},
    }
    file.write_text(json.dumps({"hubs": {w.WORK.lower(): {"limits": {"orchestrators": limits}}}}))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(world.emulator))
        own, sharded = (stack.enter_context(reserved_port()) for _ in range(2))
        settings = {
            **hub_settings(url, *HUBS),
            "STATE_DIR": str(state),
            "CONFIG_FILE": str(file),
        }
        exporter = Daemon(folder, own, settings)
        shard = Daemon(folder, sharded, {**hub_settings(url, *w.SHARED_HUBS), "SHARD": "0/2"})
        receiver = await stack.enter_async_context(receiving())
        manager = await stack.enter_async_context(
            running_alertmanager(folder, receiver, yaml.safe_load(inhibition()), group_wait="30s")
        )
        (folder / "rules.yaml").write_text(rules())
        config = {
            "rule_files": [str(folder / "rules.yaml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
        }
        jobs = (scrape_job(JOB, exporter.address), scrape_job(SHARDED, shard.address))
        prometheus = await stack.enter_async_context(
            running_prometheus(folder, *jobs, scrape_interval=EVERY, config=config)
        )
        yield Watch(world, receiver, prometheus, exporter, shard, folder)


async def test_each_arrives_as_soon_as_its_runbook_says(tmp_path: Path) -> None:
    async with watched(tmp_path) as watch, anyio.create_task_group() as beating:
        beating.start_soon(watch.world.beat)
        async with watch.exporter.alive(), watch.shard.alive() as shard:
            began = time()
            up = f'count(durable_functions_up{{job="{JOB}"}} == 1) == {len(HUBS)}'
            await watch.prometheus.wait_until(up, within=180.0)
            watch.world.trouble_begins()
            (watch.folder / "exporter.yaml").write_text("nonsense: true")
            async with anyio.create_task_group() as arrivals:
                for name, hub in AT_ONCE:
                    arrivals.start_soon(watch.arrives, name, hub, time())
                arrivals.start_soon(a_state_is_lost, watch)
                arrivals.start_soon(a_shard_is_missing, watch, shard, began)
        beating.cancel_scope.cancel()
    late = {
        name: seconds
        for name, seconds in watch.arrived.items()
        if seconds > notified_within(OF_ALERTS[f"DurableFunctions{name}"])
    }
    assert len(watch.arrived) == len(AT_ONCE) + 3
    assert not late
    # Each once: what keeps firing is not notified again.
    firing = [frozenset(each.labels.items()) for each in watch.receiver.arrived
              if each.status == "firing"]  # fmt: skip
    assert len(firing) == len(set(firing))


async def a_state_is_lost(watch: Watch) -> None:
    """Counters are frozen from then on, so what they are needed for comes first."""
    await poll(lambda: seen(watch, "DeploymentBroken"), bool, within=PATIENCE_SECONDS)
    rmtree(watch.folder / "state")
    await watch.arrives("StateNotWritten", w.CALM, time())


async def a_shard_is_missing(watch: Watch, shard: Program, began: float) -> None:
    """One of two never was there, and then the other is gone, too."""
    await watch.arrives("ShardMissing", "", began)
    await shard.kill()
    await watch.arrives("ExporterDown", "", time())


async def seen(watch: Watch, name: str) -> bool:
    """Tell whether an alert has arrived."""
    return name in watch.arrived
