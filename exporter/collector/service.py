"""All hubs of one exporter."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from exporter.api.answers import Exchange
from exporter.api.connection import SharedLimits, connect
from exporter.collector.budgets import ProcessLimits
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import owner_of, polling_inputs_of, rules_of
from exporter.collector.snapshot import HubSnapshot
from exporter.collector.state import HubState, NoState
from exporter.collector.state_file import StateFile, set_aside_others
from exporter.settings import (
    HubSettings,
    Settings,
    suits_azure_storage,
)

TASK_HUB_UNUSUAL = "task hub name is invalid for Azure Storage"

# Hubs start one after another with jitter, so that neither a hundred of them nor several exporters
# started together send requests in the same instant.
_SPREAD_SECONDS = 0.1
_TIDY_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """
    The hubs to poll, by name in the order of the configuration: present collectors and new ones.

    Until it is applied, new ones hold nothing but connections that are not made yet.
    """

    settings: Settings
    hubs: Mapping[str, HubCollector]


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of hubs that were added, removed or changed, and of those with a new key."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    keys: Sequence[str]


class Collector:
    """
    The collectors of the hubs of this shard, in the order of the configuration.

    Only *as_daemon* do they keep state in the configured folder and hold the first increments of
    counters; a single collection shows what there is. *observer* is called with each exchange.
    Until the list of hubs *is_settled*, no hub's state is moved aside.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        *,
        as_daemon: bool,
        jitter: Callable[[], float] = random.random,
        observer: Callable[[Exchange], None] | None = None,
        shared: SharedLimits | None = None,
        is_settled: Callable[[], bool] = lambda: True,
    ) -> None:
        self._wall = wall
        self._observer = observer
        self._jitter = jitter
        self._as_daemon = as_daemon
        self.shared = shared or SharedLimits()
        self._is_settled = is_settled
        self._limits = ProcessLimits()
        self._hubs: Mapping[str, HubCollector] = {}
        self._tasks: TaskGroup | None = None
        self._folder: Path | None = None
        self._is_tidy = True
        self._listener: Callable[[], None] = lambda: None

    @property
    def hubs(self) -> Sequence[HubCollector]:
        """The collectors."""
        return list(self._hubs.values())

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever `snapshots` changes."""
        self._listener = listener

    def snapshots(self) -> list[HubSnapshot]:
        """Return the published snapshot of each hub."""
        return [hub.snapshot for hub in self._hubs.values()]

    async def run(self) -> None:
        """Poll all hubs until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            for hub in self._hubs.values():
                hub.start(tasks)
            while True:
                await anyio.sleep(_TIDY_SECONDS)
                if not self._is_tidy:
                    await self._tidy()

    async def prepare(self, settings: Settings) -> Change:
        """
        Prepare polling by *settings*, without changing anything yet.

        Raises:
            OSError: a TLS file of a hub cannot be used, for example while it is replaced.
        """
        azure = settings.discovery.azure
        self.shared.azure.budgets.limit(azure.max_requests_per_hour, settings.shard.count)
        hubs: dict[str, HubCollector] = {}
        try:
            for hub in settings.own_hubs:
                hubs[hub.name] = await self._collector_of(hub, settings, len(hubs))
        except OSError:
            await self.discard(Change(settings, hubs))
            raise
        return Change(settings, hubs)

    async def discard(self, change: Change) -> None:
        """Drop what was prepared."""
        for name, hub in change.hubs.items():
            if self._hubs.get(name) is not hub:
                await hub.disconnect()

    async def _collector_of(self, hub: HubSettings, settings: Settings, place: int) -> HubCollector:
        """Return the present collector of *hub* if its inputs are unchanged, or a new one."""
        inputs = await anyio.to_thread.run_sync(polling_inputs_of, hub, settings.buckets)
        present = self._hubs.get(hub.name)
        if present is not None and present.inputs == inputs:
            return present
        if hub.task_hub and not suits_azure_storage(hub.task_hub):
            log.warning(TASK_HUB_UNUSUAL, hub=hub.name, task_hub=hub.task_hub)
        begin = (place + self._jitter()) * _SPREAD_SECONDS
        return HubCollector(
            inputs,
            await anyio.to_thread.run_sync(connect, hub, self.shared, self._observer),
            rules_of(hub, settings.buckets),
            wall=self._wall,
            listener=lambda _: self._listener(),
            state=self._state_of(hub, settings),
            limits=self._limits,
            first_sweep_after=begin,
            holds=self._as_daemon,
        )

    async def apply(self, change: Change) -> Changed:
        """
        Poll as prepared, without disturbing unchanged hubs.

        A changed one that is the same hub continues with what was known of it.
        """
        before, after = self._hubs, change.hubs
        leaving = {name: hub for name, hub in before.items() if after.get(name) is not hub}
        coming = {name: hub for name, hub in after.items() if before.get(name) is not hub}
        async with anyio.create_task_group() as stopping:
            for hub in leaving.values():
                stopping.start_soon(hub.stop)
        for name, hub in leaving.items():
            heir = coming.get(name)
            if heir is not None and owner_of(heir.inputs.hub) == owner_of(hub.inputs.hub):
                await heir.take_over(hub)
            else:
                hub.release_state()
        self._hubs = after
        self._listener()
        self.shared.hosts.arrange(
            (hub.base_url, hub.max_requests_per_host) for hub in change.settings.own_hubs
        )
        await self._tidy()
        for hub in coming.values():
            if self._tasks is not None:
                hub.start(self._tasks)
        for hub in leaving.values():
            await hub.disconnect()
        return Changed(
            added=[name for name in coming if name not in before],
            removed=[name for name in leaving if name not in after],
            changed=[name for name in coming if name in before],
            keys=[name for name in after if name not in coming and after[name].reread_key()],
        )

    async def open(self, settings: Settings) -> None:
        """Prepare and apply *settings* for the first time."""
        self._folder = settings.state_dir if self._as_daemon else None
        await self.apply(await self.prepare(settings))

    async def close(self) -> None:
        """Close all connections, and release the state."""
        for hub in self._hubs.values():
            await hub.disconnect()
            hub.release_state()
        await self.shared.aclose()

    async def _tidy(self) -> None:
        """Move aside the state of hubs that are not polled here."""
        if self._folder is not None:
            names = list(self._hubs)
            self._is_tidy = self._is_settled() and await anyio.to_thread.run_sync(
                set_aside_others, self._folder, names
            )

    def _state_of(self, hub: HubSettings, settings: Settings) -> HubState:
        if self._folder is None:
            return NoState()
        return StateFile(
            self._folder, owner_of(hub), max_age=settings.state_max_age, wall=self._wall
        )


@asynccontextmanager
async def open_collector(
    settings: Settings,
    *,
    wall: Callable[[], float] = time.time,
    as_daemon: bool = False,
    jitter: Callable[[], float] = random.random,
    observer: Callable[[Exchange], None] | None = None,
    shared: SharedLimits | None = None,
    is_settled: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[Collector, None]:
    """
    Make the collectors of all hubs of this shard; close them at the end.

    *jitter*, from 0 to 1, shifts their first sweeps. *shared* is closed as well. The rest is as for
    `Collector`.
    """
    collector = Collector(
        wall,
        as_daemon=as_daemon,
        jitter=jitter,
        observer=observer,
        shared=shared,
        is_settled=is_settled,
    )
    try:
        await collector.open(settings)
        yield collector
    finally:
        await collector.close()
