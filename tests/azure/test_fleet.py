"""Forty apps in three subscriptions are found and read in both ways: nothing lost or doubled."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator import Emulator, Keys, RealClock, TaskHub
from emulator.azure.cloud import STOPPED, AzureCloud, Site
from emulator.azure.resource_manager import LIST_KEYS
from tests.azure.stand_in import Azure, azure, subscription
from tests.real.counted import FINISHED
from tests.real.daemon import Daemon, reserved_port
from tests.real.polling import poll
from tests.real.program import Program
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.real.traffic import Traffic, finishes_of
from tests.tools import tool

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

SECONDS = 120.0
READ_BY_KEY, READ_BY_ROUTE, PLAIN, ASLEEP = 16, 16, 6, 2
# Forty finishes a cycle and more.
BUSY = {"key-00": 40.0, "key-01": 15.0, "route-00": 15.0, "route-01": 12.0}
FEWEST_FINISHES = 2000
ERRORS = "durable_functions_exporter_api_errors_total"
REMAINING = "durable_functions_exporter_resource_manager_requests_remaining"

Finishes = Mapping[str, Mapping[tuple[str, ...], float]]

log = logging.getLogger(__name__)


def app(name: str, number: int, **facts: object) -> Site:
    """Return an app whose hub is empty."""
    clock = RealClock()
    hub = TaskHub(f"{name.title().replace('-', '')}Hub", clock)
    return Site(
        f"/subscriptions/{subscription(number % 3)}/resourceGroups/fleet/providers/Microsoft.Web"
        f"/sites/{name}",
        f"{name}.azure.localhost",
        Emulator(hub, clock=clock, keys=Keys(system=f"key-of-{name}-0123456789")),
        **facts,  # type: ignore[arg-type] # checked there
    )


@dataclass(slots=True)
class Fleet:
    """Azure, the exporter that looks for its apps, and the Prometheus that scrapes it."""

    place: Azure
    daemon: Daemon
    prometheus: Prometheus
    configuration: Path
    traffic: dict[str, Traffic] = field(default_factory=dict)
    searches: int = 0

    @property
    def cloud(self) -> AzureCloud:
        return self.place.cloud

    async def search(self) -> None:
        """Let the exporter search now: settings of discovery that change are followed at once."""
        self.searches += 1
        configured = {
            "discovery": {
                "azure": {
                    "enabled": True,
                    "exclude_names": [f"nothing-{self.searches}"],
                    "max_requests_per_hour": 90_000,
                    "hubs": {
                        "route-*": {
                            "access": "resource-manager",
                            "intervals": {"active": "3s", "failed": "30s", "census": "20s"},
                        }
                    },
                }
            }
        }
        temporary = self.configuration.with_suffix(".tmp")
        temporary.write_text(json.dumps(configured))
        temporary.replace(self.configuration)

    async def searched(self, number: int, since: float) -> None:
        """Wait until a search has ended after a moment, and so many apps are polled."""
        await self.prometheus.wait_until(
            "durable_functions_exporter_discovery_last_success_timestamp_seconds "
            f'> {since} and on () durable_functions_exporter_discovery_apps{{result="polled"}} '
            f"== {number}",
            within=SECONDS,
        )

    async def until_up(self, number: int) -> None:
        """Wait until so many hubs are up, and had their first contact."""
        await self.prometheus.wait_until(
            "count(durable_functions_up == 1 and on (task_hub) "
            f"durable_functions_exporter_baseline_timestamp_seconds) == {number}",
            within=SECONDS,
        )

    def begin(self, *names: str) -> None:
        """Let instances start in some apps."""
        for site in self.cloud.sites:
            if site.name in names:
                hub = site.emulator.own_hub
                self.traffic[site.name] = Traffic(hub, seed=7, rate=BUSY.get(site.name, 0.3))
                self.traffic[site.name].begin()

    async def end(self, *names: str) -> None:
        """Start nothing more in some apps, and wait until all that has started has ended."""
        for name in names:
            self.traffic[name].end()

        async def are_over() -> bool:
            return all(self.traffic[name].is_over for name in names)

        await poll(are_over, bool, within=SECONDS)

    async def number_of_finishes(self) -> int:
        """Return how many instances have finished in all apps."""
        return sum(finishes_of(site.emulator.own_hub).total() for site in self.cloud.sites)

    async def shown(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return what Prometheus saw of finishes, by app."""
        found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for labels, value in await self.prometheus.query(f"max_over_time({FINISHED}[1h]) > 0"):
            key = (labels["orchestrator"], labels["runtime_status"])
            found[labels["task_hub"]][key] = value
        return found

    async def until_all_is_counted(self, told: Finishes) -> None:
        """Wait until Prometheus knows exactly the finishes that there were, and stays with that."""
        wanted = {name: dict(finishes) for name, finishes in told.items() if finishes}
        await poll(self.shown, lambda shown: shown == wanted, within=SECONDS)
        for sweep in ("finished", "census"):
            sweeps = (
                f'min(durable_functions_exporter_sweeps_total{{sweep="{sweep}",result="complete"}})'
            )
            ((_, before),) = await self.prometheus.query(sweeps)
            await self.prometheus.wait_until(f"{sweeps} >= {before + 1}", within=SECONDS)
        assert await self.shown() == wanted
        increase = await self.prometheus.query(f"increase({FINISHED}[1h]) > 0")
        assert increase
        resets = await self.prometheus.query(f"resets({FINISHED}[1h]) > 0")
        assert resets == []


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Fleet]:
    """Set the scene; no exporter runs yet."""
    pytest.importorskip("azure.identity")
    tool("prometheus")
    cloud = AzureCloud(
        [
            *(app(f"key-{n:02}", n) for n in range(READ_BY_KEY)),
            *(app(f"route-{n:02}", n) for n in range(READ_BY_ROUTE)),
            *(app(f"plain-{n}", n, bindings=("httpTrigger",)) for n in range(PLAIN)),
            *(app(f"asleep-{n}", n, state=STOPPED) for n in range(ASLEEP)),
        ],
        page_size=7,
    )
    (folder / "state").mkdir()
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(azure(cloud, folder))
        port = stack.enter_context(reserved_port())
        configuration = folder / "exporter.yaml"
        settings = place.variables(
            CONFIG_FILE=str(configuration),
            RELOAD_INTERVAL="0.2s",
            STATE_DIR=str(folder / "state"),
            INTERVALS__ACTIVE="1s",
            INTERVALS__FAILED="10s",
            INTERVALS__CENSUS="5s",
            INTERVALS__ENTITIES="0",
            OVERLAP="4s",
            COUNTER_HOLD="1s",
        )
        daemon = Daemon(folder, port, settings)
        daemon._environ |= place.managed_identity()
        prometheus = await stack.enter_async_context(
            running_prometheus(
                folder, scrape_job("exporter", daemon.address), scrape_interval="250ms"
            )
        )
        it = Fleet(place, daemon, prometheus, configuration)
        await it.search()
        yield it


def told(sites: list[Site]) -> Finishes:
    """Return the finishes of all apps, by name."""
    return {
        site.name: {pair: n for pair, n in finishes_of(site.emulator.own_hub).items() if n}
        for site in sites
    }


async def killed_amid_a_rotation(it: Fleet, program: Program) -> None:
    """Rotate every key, and kill the exporter while it fetches them."""
    asked = it.cloud.actions[LIST_KEYS]
    for site in it.cloud.sites:
        site.emulator.rotate_key(f"second-key-of-{site.name}-0123456789")

    async def fetched() -> int:
        return it.cloud.actions[LIST_KEYS] - asked

    await poll(fetched, lambda number: number >= READ_BY_KEY // 3, within=SECONDS)
    await program.kill()
    log.info("killed when %d of %d keys were fetched", await fetched(), READ_BY_KEY)


async def test_a_fleet_is_found_and_counted_once_whatever_comes_goes_rotates_and_is_killed(
    tmp_path: Path,
) -> None:
    durable = READ_BY_KEY + READ_BY_ROUTE
    async with fleet(tmp_path) as it:
        names = [site.name for site in it.cloud.sites if site.name[0] in "kr"]
        async with it.daemon.alive() as program:
            await it.until_up(durable)
            it.begin(*names)
            # One more app, which nobody lists.
            newcomer = app("key-new", 1)
            it.cloud.sites.append(newcomer)
            await it.search()
            await it.until_up(durable + 1)
            it.begin("key-new")
            # One app is gone: for three searches it is kept.
            leaver = next(site for site in it.cloud.sites if site.name == "route-15")
            await it.end("route-15")
            counted = told([leaver])
            await poll(
                it.shown,
                lambda shown: shown.get("route-15", {}) == counted["route-15"],
                within=SECONDS,
            )
            it.cloud.sites.remove(leaver)
            for searches in (1, 2, 3):
                ((_, since),) = await it.prometheus.query("time()")
                await it.search()
                await it.searched(durable + (1 if searches < 3 else 0), since)
            await it.until_up(durable)
            await killed_amid_a_rotation(it, program)
        async with it.daemon.alive():
            await it.until_up(durable)
            await poll(it.number_of_finishes, lambda n: n > FEWEST_FINISHES, within=SECONDS)
            running = [*(name for name in names if name != "route-15"), "key-new"]
            await it.end(*running)
            durable_sites = [site for site in it.cloud.sites if site.name in running]
            await it.until_all_is_counted({**told(durable_sites), **counted})
            asked = {name: bucket.taken for name, bucket in it.cloud.reads.items()}
            assert len(asked) == 3
            assert all(bucket.refused == 0 for bucket in it.cloud.reads.values())
            throttled = await it.prometheus.query(f'{ERRORS}{{kind="azure_throttled"}} > 0')
            assert throttled == []
            remaining = await it.prometheus.query(REMAINING)
            assert len(remaining) == 3
            total = sum(sum(each.values()) for each in told(durable_sites).values())
            log.info("%d finishes, requests to the Resource Manager: %s", total, asked)
