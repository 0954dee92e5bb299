"""A hub of the emulator, polled by hand as a collector polls it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from emulator import TaskHub
from exporter.collector.hub import HubCollector
from exporter.ledger.rules import LedgerRules
from tests.cli.asked import serving_hub
from tests.collector.polled import INTERVALS, collector_of
from tests.diagnosis.surveying import limits


@asynccontextmanager
async def polled(
    hub: TaskHub, *, reads: int = 90, rules: LedgerRules | None = None
) -> AsyncGenerator[HubCollector, None]:
    """Return a collector of a hub, which may read so many histories in a cycle."""
    async with (
        serving_hub(hub) as url,
        collector_of(
            url,
            key=None,
            wall=hub.clock.now,
            rules=rules or limits(),
            # Half of it is for reading histories: enough on a busy machine, too.
            intervals={**INTERVALS, "active": 120.0},
            max_histories_per_sweep=reads,
        ) as (collector, _),
    ):
        yield collector


def reads_of(collector: HubCollector) -> int:
    """Return how many instances were read by their ids so far."""
    requests = collector.snapshot.api.requests
    return sum(count for (operation, _), count in requests.items() if "get" in operation)
