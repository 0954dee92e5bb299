"""The exporter's collector of a served hub, with usual settings, whose time is that of the hub."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from types import MappingProxyType

from bench.counted_hub import HubProcess
from bench.served_hub import HUB
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import Sweep
from exporter.settings import load_settings

_PREFIX = "DURABLE_EXPORTER_"


@asynccontextmanager
async def polled(
    hub: HubProcess,
    *,
    interval: float,
    durations: bool = False,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncGenerator[HubCollector, None]:
    """
    Collect from a served hub when told to; *settings* are those of the environment.

    Time passes only as the hub's clock is moved, unless *durations* lets sweeps take theirs.
    """
    given = {
        "URL": f"http://127.0.0.1:{hub.port}",
        "TASK_HUB": HUB,
        "INTERVALS__ACTIVE": str(interval),
        **settings,
    }
    loaded = load_settings({f"{_PREFIX}{name}": value for name, value in given.items()}, {})
    client = connect(loaded.hubs[0], SharedLimits())
    async with aclosing(client):
        yield HubCollector(
            PollingInputs(loaded.hubs[0], loaded.buckets),
            client,
            rules_of(loaded.hubs[0], loaded.buckets),
            wall=lambda: hub.now,
            monotonic=lambda: hub.now + time.perf_counter() * durations,
            holds=False,
        )


async def sweep(collector: HubCollector, *sweeps: Sweep) -> None:
    """Make whole sweeps, a census to its end; raises where one fails."""
    for each in sweeps:
        wanted = collector.snapshot.sweeps[each].results["complete"] + 1
        while collector.snapshot.sweeps[each].results["complete"] < wanted:
            error = await collector.make(each)
            if error is not None:
                raise error
