"""
The hub whose state is remembered of each release: as its exporter left it, and after the upgrade.

What is remembered knows these instances by their ids and times: add others, never change one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
from prometheus_client.parser import text_string_to_metric_families

from emulator import Instance, ManualClock, RuntimeStatus, TaskHub
from exporter.metrics import catalogue as c
from exporter.metrics.family import Kind
from tests.cli.process import START, Daemon, serving
from tests.real.polling import poll

Series: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
# When the old exporter ended, and when the new one looks.
LEFT = START + 300.0
BACK = START + 900.0
# What the one took that finished in between.
TOOK_SECONDS = 660.0
BASELINE = c.BASELINE.name
# Counters of the hub; those of the exporter itself begin anew with each process.
_COUNTED = {
    name
    for family in c.CATALOGUE
    if family.per_hub and not family.name.startswith("durable_functions_exporter_")
    for name in {
        Kind.COUNTER: (family.name,),
        Kind.HISTOGRAM: (f"{family.name}_count", f"{family.name}_sum"),
    }.get(family.kind, ())
}
_FAILURE = "Orchestrator function 'Order' failed: The activity function 'Charge' failed: Declined."


def _instance(
    name: str,
    status: RuntimeStatus,
    created: float,
    updated: float | None = None,
    output: str | None = None,
) -> Instance:
    return Instance(
        instance_id=name,
        name="Order",
        status=status,
        created=START + created,
        updated=START + (created if updated is None else updated),
        output=output,
    )


def hub_at_first(clock: ManualClock) -> TaskHub:
    """Return the hub as the old exporter found it; what had finished by then is history."""
    hub = TaskHub("OrdersHub", clock)
    hub.put(_instance("of-old", RuntimeStatus.COMPLETED, -7200, -7000))
    hub.put(_instance("failed-of-old", RuntimeStatus.FAILED, -7200, -7100, _FAILURE))
    for number in range(4):
        hub.put(_instance(f"order-{number}", RuntimeStatus.RUNNING, -60))
    hub.put(_instance("waits", RuntimeStatus.PENDING, -30))
    return hub


def go_on(hub: TaskHub) -> None:
    """Let happen what the old exporter counts."""
    hub.put(_instance("order-0", RuntimeStatus.COMPLETED, -60, 200))
    hub.put(_instance("order-1", RuntimeStatus.FAILED, -60, 210, _FAILURE))
    hub.put(_instance("order-4", RuntimeStatus.RUNNING, 150))


def hub_after_the_upgrade(clock: ManualClock) -> TaskHub:
    """Return the hub as the new exporter finds it: one has finished while nobody looked."""
    hub = hub_at_first(clock)
    go_on(hub)
    hub.put(_instance("order-2", RuntimeStatus.COMPLETED, -60, 600))
    return hub


@asynccontextmanager
async def served(url: str, folder: Path) -> AsyncIterator[Daemon]:
    """Run an exporter of the hub at *url* with its state in *folder*, until it is asked to end."""
    settings = ("intervals.active=0.2s", "counter_hold=0", f"state_dir={folder}")
    options = [option for each in settings for option in ("--set", each)]
    async with serving(
        "--url", url, "--name", "orders", "--task-hub", "OrdersHub", *options
    ) as daemon:
        yield daemon
        daemon.process.terminate()
        assert await daemon.process.wait() == 0


async def scraped_with(daemon: Daemon, **finished: int) -> str:
    """Scrape until the hub has been looked at and so many have finished, by their status."""

    async def scrape() -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{daemon.port}/metrics")).text

    def is_so(text: str) -> bool:
        counted = counters(text)
        return BASELINE in text and all(
            counted.get(series(c.FINISHED.name, runtime_status=status)) == count
            for status, count in finished.items()
        )

    return await poll(scrape, is_so, within=60)


def series(name: str, **labels: str) -> Series:
    """Return a series of the hub's one orchestrator."""
    return name, frozenset({"task_hub": "orders", "orchestrator": "Order", **labels}.items())


def counters(text: str) -> dict[Series, float]:
    """Return what was counted of the hub, and since when."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in _COUNTED or sample.name == BASELINE
    }
