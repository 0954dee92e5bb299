"""Histories read to diagnose stalled families, where rows name parents and where they do not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import anyio
import structlog

from bench.report import Ratio, machine, write_section
from emulator import Emulator, ExtensionVersion, ManualClock, TaskHub, running
from emulator.json_text import compact
from emulator.samples import recorded
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import Sweep
from exporter.settings import load_settings

FAMILIES = 300
HUB = "OrdersHub"
START = 1_795_428_000.0
INTERVAL = 30.0
MOST_CYCLES = 40
# Of each family one history is to be read, that of its child, and a few more in all.
MOST_READS = 0.55


@dataclass(frozen=True, slots=True)
class Cycles:
    """Histories read in each cycle until all that stalled was diagnosed, and in one more."""

    reads: list[int]

    def __str__(self) -> str:
        *cycles, last = self.reads
        return f"{sum(cycles):,} in {len(cycles)} cycles, then {last} a cycle"

    @property
    def total(self) -> int:
        return sum(self.reads)


def stalled_hub(version: ExtensionVersion, clock: ManualClock) -> TaskHub:
    """Return a hub of families whose children all wait on an activity that never returns."""
    hub = TaskHub(HUB, clock, functions=recorded.functions, version=version)
    for number in range(FAMILIES):
        begin = partial(hub.engine.start, "Parent", f"parent-{number}", compact("SlowActivity"))
        hub.engine.at(START + number, begin)
    clock.set(START + 7200.0)
    hub.advance()
    return hub


async def measure(version: ExtensionVersion) -> Cycles:
    """Poll with default settings until all is diagnosed."""
    clock = ManualClock(START)
    hub = stalled_hub(version, clock)
    reads: list[int] = []
    async with running(Emulator(hub, clock=hub.clock)) as url:
        given = {"DURABLE_EXPORTER_URL": url, "DURABLE_EXPORTER_TASK_HUB": HUB}
        loaded = load_settings(given, {})
        inputs = PollingInputs(loaded.hubs[0], loaded.buckets)
        client = connect(loaded.hubs[0], SharedLimits())
        rules = rules_of(loaded.hubs[0], loaded.buckets)
        collector = HubCollector(inputs, client, rules, wall=hub.clock.now)
        try:
            while len(reads) < MOST_CYCLES:
                known = _is_known(collector)
                before = _made(collector)
                await collector.make(Sweep.ACTIVE)
                reads.append(_made(collector) - before)
                if known:
                    break
                clock.advance(INTERVAL)
        finally:
            await client.aclose()
    return Cycles(reads)


def _made(collector: HubCollector) -> int:
    requests = collector.snapshot.api.requests
    return sum(count for (operation, _), count in requests.items() if "get" in operation)


def _is_known(collector: HubCollector) -> bool:
    view = collector.snapshot.diagnosis
    return view is not None and sum(view.stalled.values()) == 2 * FAMILIES


def main() -> None:
    """Measure, print and write down."""
    named = anyio.run(measure, ExtensionVersion.V3)
    unnamed = anyio.run(measure, ExtensionVersion.V3_15)
    ratio = named.total / unnamed.total
    lines = [
        f"histories read to diagnose {FAMILIES} stalled families of a parent and a child",
        f"  rows name their parents: {named}",
        f"  rows name no parents: {unnamed}",
        f"  {Ratio('reads where rows name parents', ratio, MOST_READS, at_most=True)}",
    ]
    print("\n".join(lines))
    write_section("families", [*machine(), *lines])


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    main()
