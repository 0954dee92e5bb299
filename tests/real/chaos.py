"""Everything at once: a busy hub, failing requests, an exporter that is killed, a Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator import Clock, Emulator, RealClock, TaskHub, running
from emulator.backends.azure_storage import AzureStorage
from tests.real.counted import (
    BASELINE,
    FINISHED,
    LATE,
    SWEEPS,
    WHOLE_RUN,
    Counted,
    Labels,
    counted,
    nonzero,
)
from tests.real.daemon import Daemon, StateFiles, reserved_port
from tests.real.disk import Disk
from tests.real.polling import poll
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.real.traffic import Traffic
from tests.real.trouble import ShuffledFaults

HUB = "OrdersHub"
FAILING_SHARE = 0.2
SETTLE_SECONDS = 120.0
SCRAPE_INTERVAL = "200ms"
HASTY = {
    "INTERVALS__ACTIVE": "0.5s",
    "INTERVALS__FAILED": "2s",
    "INTERVALS__CENSUS": "1s",
    "INTERVALS__ENTITIES": "2s",
    "OVERLAP": "3s",
    "COUNTER_HOLD": "1s",  # five scrapes
    "TIMEOUTS__REQUEST": "0.5s",
    "RETRIES__BACKOFF": "20ms",
    "RETRIES__MAX_BACKOFF": "100ms",
    "MAX_RESPONSE_BYTES": "2000000",
    "MAX_PAGES": "100",
}
"""Settings under which much happens in half a minute."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A hub, the exporter that polls it through trouble, and the Prometheus that scrapes it."""

    hub: TaskHub
    faults: ShuffledFaults
    settings: Mapping[str, str]
    daemon: Daemon
    files: StateFiles
    prometheus: Prometheus

    async def until_shown(self, finishes: Mapping[Labels, int]) -> Counted:
        """
        Wait until Prometheus has seen exactly these finishes, then for two censuses more.

        So what would be counted once too often, because it is found again, still has its chance.
        """
        wanted = {pair: float(count) for pair, count in finishes.items() if count}

        async def read() -> dict[Labels, float]:
            now = await counted(self.prometheus, self.daemon.address)
            return nonzero(await now.shown(FINISHED))

        await poll(read, lambda shown: shown == wanted, within=SETTLE_SECONDS)
        await self._further_sweeps("census", 2)
        await self._further_sweeps("finished", 2)
        return await counted(self.prometheus, self.daemon.address)

    async def until_growing(self) -> None:
        """Wait until Prometheus sees counters above what they ever were: none is held back."""
        highest = f"sum(max_over_time({FINISHED}[{WHOLE_RUN}]))"
        before = sum(sample.value for sample in await self.prometheus.query(highest))
        await self.prometheus.wait_until(f"sum({FINISHED}) > {before}", within=SETTLE_SECONDS)

    async def _further_sweeps(self, sweep: str, count: int) -> None:
        where = f'instance="{self.daemon.address}",sweep="{sweep}",result="complete"'
        query = f"{SWEEPS}{{{where}}}"
        ((_, before),) = await self.prometheus.wait_until(query)
        await self.prometheus.wait_until(f"{query} >= {before + count}", within=SETTLE_SECONDS)

    async def until_over(self, traffic: Traffic) -> None:
        """Wait until all that has started in the hub has ended."""

        async def is_over() -> bool:
            return traffic.is_over

        await poll(is_over, bool, within=SETTLE_SECONDS)

    async def contact(self, after: float = 0.0) -> float:
        """
        Wait until Prometheus knows that a first contact has ended, later than the one *after*.

        Returns when that was, as the exporter shows it.
        """
        sample = await self.prometheus.wait_until(f"{BASELINE} > {after} and {LATE}")
        return sample[0].value


@asynccontextmanager
async def chaos(
    directory: Path,
    *,
    seed: int,
    keeps_state: bool = True,
    clock: Clock | None = None,
    settings: Mapping[str, str] | None = None,
    disk: Disk | None = None,
) -> AsyncIterator[Scene]:
    """
    Set the scene; nothing fails yet, nothing happens, and no exporter runs.

    The state is kept on a *disk* of its own, if there is one.
    """
    clock = clock or RealClock()
    hub = TaskHub(HUB, clock, backend=AzureStorage(scan_rows=1500))
    hub.faults = faults = ShuffledFaults(seed)
    folder = disk.folder if disk else directory / "state"
    folder.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(Emulator(hub, clock=clock)))
        port = stack.enter_context(reserved_port())
        all_settings = {"URL": url, "TASK_HUB": HUB, **HASTY, **(settings or {})}
        if keeps_state:
            all_settings["STATE_DIR"] = str(folder)
        daemon = Daemon(directory, port, all_settings, by=disk.entered_by if disk else ())
        prometheus = await stack.enter_async_context(
            running_prometheus(
                directory,
                scrape_job("exporter", daemon.address),
                scrape_interval=SCRAPE_INTERVAL,
            )
        )
        yield Scene(hub, faults, all_settings, daemon, StateFiles(folder), prometheus)
