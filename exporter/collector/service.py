"""All hubs of one exporter."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from exporter.api.connection import connect
from exporter.api.slots import HostSlots
from exporter.collector.hub import HubCollector, HubPlan
from exporter.collector.snapshot import HubIdentity, HubSnapshot, Sweep
from exporter.collector.state import HubState, NoState
from exporter.collector.state_file import Owner, StateFile, set_aside_others
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import LimitInForce
from exporter.settings import HubSettings, Settings

# Hubs start one after another and not quite regularly, so that neither a hundred of them nor
# several exporters that were started together ask in the same instant.
_SPREAD_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Collector:
    """The collectors of all hubs, in the order of the configuration."""

    hubs: Sequence[HubCollector]

    async def run(self) -> None:
        """Poll all hubs until cancelled."""
        async with anyio.create_task_group() as tasks:
            for hub in self.hubs:
                tasks.start_soon(hub.run)

    def snapshots(self) -> list[HubSnapshot]:
        """Return what is published of each hub."""
        return [hub.snapshot for hub in self.hubs]


@asynccontextmanager
async def open_collector(
    settings: Settings,
    *,
    wall: Callable[[], float] = time.time,
    as_daemon: bool = False,
    jitter: Callable[[], float] = random.random,
) -> AsyncGenerator[Collector, None]:
    """
    Make the collectors of all configured hubs; their connections close at the end.

    Only *as_daemon* do they keep their state in the configured folder, and hold back the first
    increments of a counter: whoever collects once wants to see what there is. *jitter* is from 0
    to 1.
    """
    hosts = HostSlots()
    folder = settings.state_dir if as_daemon else None
    if folder is not None:
        set_aside_others(folder, [hub.name for hub in settings.hubs])
    async with AsyncExitStack() as stack:
        collectors = []
        for place, hub in enumerate(settings.hubs):
            client, http = connect(hub, hosts)
            await stack.enter_async_context(http)
            begin = (place + jitter()) * _SPREAD_SECONDS
            plan = plan_of(hub, first_sweep_after=begin, holds=as_daemon)
            state = _state_of(hub, folder, settings.state_max_age, wall)
            stack.callback(state.close)
            rules = rules_of(hub, settings)
            collectors.append(HubCollector(plan, client, rules, wall=wall, state=state))
        yield Collector(collectors)


def _state_of(
    hub: HubSettings, folder: Path | None, max_age: float, wall: Callable[[], float]
) -> HubState:
    if folder is None:
        return NoState()
    owner = Owner(hub.name, hub.base_url, (hub.task_hub or "").lower(), hub.connection or "")
    return StateFile(folder, owner, max_age=max_age, wall=wall)


def plan_of(hub: HubSettings, *, first_sweep_after: float, holds: bool) -> HubPlan:
    """Return how *hub* is polled."""
    return HubPlan(
        identity=HubIdentity(
            name=hub.name,
            function_app=urlsplit(hub.base_url).netloc,
            hub_name=hub.task_hub or "",
            connection=hub.connection or "",
            labels=dict(hub.labels),
            links=dict(hub.links),
        ),
        intervals={
            Sweep.ACTIVE: hub.intervals.active,
            Sweep.FINISHED: hub.intervals.active,
            Sweep.FAILED: hub.intervals.failed,
            Sweep.CENSUS: hub.intervals.census,
            Sweep.ENTITIES: hub.intervals.entities,
        },
        sweep_timeout=hub.timeouts.sweep,
        stale_after=hub.stale_after,
        counter_hold=hub.counter_hold if holds else 0.0,
        entity_names=hub.entities,
        page_budget=hub.page_budget,
        first_sweep_after=first_sweep_after,
    )


def rules_of(hub: HubSettings, settings: Settings) -> LedgerRules:
    """Return what the ledger of *hub* is told."""

    def limits_of(name: str) -> Mapping[str, LimitInForce]:
        limits = hub.limits.for_orchestrator(name)
        return {
            limit: LimitInForce(seconds, source)
            for limit, (seconds, source) in limits.items()
            if seconds is not None
        }

    return LedgerRules(
        limits_of=limits_of,
        orchestrators=hub.orchestrators,
        entities=hub.entities,
        id_prefixes=hub.id_prefixes,
        label_limit=hub.label_limit,
        max_series=hub.max_series,
        age_bounds=settings.buckets.age,
        duration_bounds=settings.buckets.duration,
        overlap=hub.overlap,
        lookback=hub.lookback,
        failed_lookback=hub.failed_lookback,
        most_finishes=hub.ledger_max_finishes,
        reason_limit=hub.reason_limit,
    )
