"""Hubs of an emulator, polled by real collectors over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.collector.budgets import ProcessLimits
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.collector.state import HubState
from exporter.ledger.rules import LedgerRules
from exporter.settings import HubSettings
from tests.api.scripted import connections
from tests.ledger.rules import DEFAULT_RULES

KEY = "k3y-of-the-emulator"
STALE_AFTER = 900.0
# Shorter than anybody may set them.
INTERVALS = dict.fromkeys(("active", "failed", "census", "entities"), 0.01)


@dataclass(slots=True)
class Publications:
    """Lets a test wait for what a collector publishes."""

    _condition: anyio.Condition = field(default_factory=anyio.Condition)
    latest: HubSnapshot | None = None
    number: int = 0
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, snapshot: HubSnapshot) -> None:
        self.latest = snapshot
        self.number += 1
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, wanted: Callable[[HubSnapshot], bool]) -> HubSnapshot:
        """Return the first snapshot from now on that is *wanted*."""
        with anyio.fail_after(60):
            while True:
                await self._changed.wait()
                if self.latest is not None and wanted(self.latest):
                    return self.latest

    async def after_sweeps(self, count: int, sweep: Sweep = Sweep.ACTIVE) -> HubSnapshot:
        """Return the snapshot after *count* more complete sweeps."""
        begin = completed(self.latest, sweep)
        return await self.until(lambda snapshot: completed(snapshot, sweep) >= begin + count)


def completed(snapshot: HubSnapshot | None, sweep: Sweep) -> int:
    """Return how many sweeps of a kind were complete."""
    return 0 if snapshot is None else snapshot.sweeps[sweep].results["complete"]


def polled_hub(
    name: str, intervals: Mapping[str, float] = INTERVALS, **settings: object
) -> PollingInputs:
    """Return what the polling of a hub follows; *intervals* may be as short as tests want them."""
    hub = HubSettings(name=name, url="https://app.example", **settings)  # type: ignore[arg-type] # checked there
    often = hub.intervals.model_copy(update=dict(intervals))
    return PollingInputs(hub.model_copy(update={"intervals": often}))


@asynccontextmanager
async def collector_of(
    url: str,
    hub: str = "OrdersHub",
    *,
    wall: Callable[[], float],
    key: str | None = KEY,
    request_seconds: float = 20.0,
    max_pages: int = 200,
    page_size: int = 100,
    intervals: Mapping[str, float] = INTERVALS,
    sweep_timeout: float = 60.0,
    rules: LedgerRules | None = None,
    max_bytes: int = 1 << 22,
    state: HubState | None = None,
    monotonic: Callable[[], float] = anyio.current_time,
    counter_hold: float = 0.0,
    max_histories_per_sweep: int = 0,
    max_pages_per_day: int | None = None,
    retries: int = 0,
    limits: ProcessLimits | None = None,
    census_step: float = 1.0,
) -> AsyncGenerator[tuple[HubCollector, Publications], None]:
    """Return a collector of a hub of the emulator at *url*, and what it publishes."""
    publications = Publications()
    async with connections() as http:
        client = HubClient(
            hub.lower(),
            HubAddress(f"{url}/runtime/webhooks/durabletask", hub),
            http=http,
            key=KeySource(key),
            retry=RetryPolicy(retries, 0.0, 0.0),
            limits=RequestLimits(
                request_seconds,
                page_size,
                max_pages,
                list_bytes=max_bytes,
                instance_bytes=max_bytes,
            ),
            host=HostSlots().of("http://hub", 4),
            bodies=BodyBudget(),
        )
        inputs = polled_hub(
            hub.lower(),
            intervals,
            task_hub=hub,
            timeouts={"sweep": sweep_timeout},
            stale_after=STALE_AFTER,
            counter_hold=counter_hold,
            max_histories_per_sweep=max_histories_per_sweep,
            max_pages_per_day=max_pages_per_day,
        )
        yield (
            HubCollector(
                inputs,
                client,
                rules or DEFAULT_RULES,
                wall=wall,
                monotonic=monotonic,
                listener=publications.tell,
                state=state,
                limits=limits,
                census_step=census_step,
            ),
            publications,
        )
