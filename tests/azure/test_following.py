"""Found hubs are polled like listed ones: they come, go and change while the exporter runs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time

import anyio
import anyio.to_thread
import pytest

from emulator import running
from emulator.azure.resource_manager import READ_GRAPH, READ_ROUTE
from exporter.api.connection import SharedLimits
from exporter.cli.reloading import Reloading
from exporter.collector.service import Collector, open_collector
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.discovery import discovery as discovery_module
from exporter.discovery.discovery import Discovery
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import Settings
from tests.azure.stand_in import Azure, samples, site
from tests.cli.process import frozen_emulator

pytestmark = pytest.mark.anyio

SELF = "durable_functions_exporter_"
APPS = f"{SELF}discovery_apps"


@dataclass(slots=True)
class Following:
    """An exporter without its server: collector, discovery, and what joins them."""

    place: Azure
    collector: Collector
    reloading: Reloading
    settings: Settings
    folder: str

    async def until(self, wanted: Callable[[list[HubSnapshot]], bool]) -> list[HubSnapshot]:
        """Wait until what is published is *wanted*."""
        with anyio.fail_after(30):
            while not wanted(shown := self.collector.snapshots()):
                await self.publication()
        return shown

    async def publication(self) -> None:
        """Wait until something is published, a second at most."""
        changed = anyio.Event()
        self.collector.listen(changed.set)
        with anyio.move_on_after(1):
            await changed.wait()

    async def until_up(self, *names: str) -> dict[str, HubSnapshot]:
        """Wait until exactly these hubs are there, and all up."""
        shown = await self.until(
            lambda hubs: (
                {hub.identity.name for hub in hubs if hub.up} == set(names)
                and len(hubs) == len(names)
            )
        )
        return {hub.identity.name: hub for hub in shown}

    async def change(self, **more: str) -> None:
        """Reload with other settings."""
        self.settings = self.place.settings(STATE_DIR=self.folder, **more)
        assert await self.reloading.reload() == ()

    async def errors(self, kind: str) -> float:
        """Return how many searches failed so."""
        counts = samples(await self.scraped(), f"{SELF}discovery_errors_total")
        return counts[f'{{kind="{kind}"}}']

    async def scraped(self) -> str:
        """Return what a scrape shows, which is written in a thread."""
        now = time()

        def write() -> str:
            view = self.reloading.view()
            body = Exposition().body(self.collector.snapshots(), now, Format.CLASSIC, view)
            return body.text.decode()

        return await anyio.to_thread.run_sync(write)


@asynccontextmanager
async def following(place: Azure, folder: Path, **more: str) -> AsyncIterator[Following]:
    """Run it with settings that lead to a stand-in; its state is in *folder*."""
    settings = place.settings(STATE_DIR=str(folder), **more)
    shared = SharedLimits()
    discovery = Discovery(shared, wall=time, folder=folder)
    discovery.restore()
    async with open_collector(
        discovery.extend(settings),
        as_daemon=True,
        shared=shared,
        is_settled=lambda: discovery.is_settled,
        jitter=lambda: 0.0,
    ) as collector:
        reloading = Reloading(settings, lambda: it.settings, collector, discovery=discovery)
        it = Following(place, collector, reloading, settings, str(folder))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collector.run)
            tasks.start_soon(reloading.search)
            yield it
            tasks.cancel_scope.cancel()


HASTY = {"INTERVALS__ACTIVE": "0.3s", "INTERVALS__CENSUS": "1s", "COUNTER_HOLD": "0"}
ENABLED = {"DISCOVERY__AZURE__ENABLED": "true", **HASTY}


async def test_apps_that_come_and_go_are_polled_without_disturbing_others(
    place: Azure, tmp_path: Path
) -> None:
    async with following(place, tmp_path, **ENABLED) as it:
        orders = (await it.until_up("orders"))["orders"]
        place.cloud.sites.append(site("billing"))
        await it.change(**ENABLED, DISCOVERY__AZURE__EXCLUDE_NAMES="nothing")
        after = (await it.until_up("orders", "billing"))["orders"]
        assert after.known.baseline == orders.known.baseline
        assert (
            after.sweeps[Sweep.ACTIVE].results["complete"]
            >= orders.sweeps[Sweep.ACTIVE].results["complete"]
        )
        await it.change(**ENABLED, DISCOVERY__AZURE__NAMES="billing")
        await it.until_up("billing")


@pytest.mark.parametrize("is_listed", [True, False])
async def test_moving_a_hub_between_the_ways_keeps_its_name_series_and_counters(
    place: Azure, tmp_path: Path, is_listed: bool
) -> None:
    (app,) = place.cloud.sites
    listed = {"URL": place.url_of(app), "RESOURCE_ID": app.resource_id, "NAME": "orders"}
    found = {"DISCOVERY__AZURE__ENABLED": "true"}
    same = {**HASTY, **(listed if is_listed else found)}
    setting = "ACCESS" if is_listed else "DISCOVERY__AZURE__ACCESS"
    async with following(place, tmp_path, **same, **{setting: "key"}) as it:
        (before,) = await it.until(lambda hubs: any(map(sum_of, hubs)))
        for way in ("resource-manager", "key"):
            await it.change(**same, **{setting: way})
            handed_on = place.cloud.actions[READ_ROUTE]
            (hub,) = it.collector.hubs
            assert hub.inputs.hub.access == way
            changed = time()
            with anyio.fail_after(30):
                while (hub.snapshot.sweeps[Sweep.ACTIVE].completed or 0) < changed:
                    await it.publication()
            after = hub.snapshot
            is_by_route = place.cloud.actions[READ_ROUTE] > handed_on
            assert is_by_route == (way == "resource-manager")
            assert after.known.baseline == before.known.baseline
            assert after.identity == before.identity
            assert set(after.counters["finished"]) >= set(before.counters["finished"])
            assert sum_of(after) >= sum_of(before) > 0
            before = after


def sum_of(hub: HubSnapshot) -> float:
    return sum(hub.counters["finished"].values()) + sum(hub.counters["created"].values())


async def test_a_scrape_shows_what_discovery_found_and_what_azure_has_left(
    place: Azure, tmp_path: Path
) -> None:
    place.cloud.sites.append(site("plain", bindings=("httpTrigger",)))
    async with following(place, tmp_path, **ENABLED) as it:
        await it.until_up("orders")
        text = await it.scraped()
        assert samples(text, APPS) == {
            '{result="polled"}': 1,
            '{result="left_out"}': 1,
            '{result="unknown"}': 0,
        }
        assert set(samples(text, f"{SELF}discovery_errors_total").values()) == {0.0}
        (since,) = samples(text, f"{SELF}discovery_last_success_timestamp_seconds").values()
        assert abs(since - time()) < 60
        (left,) = samples(text, f"{SELF}resource_manager_requests_remaining").values()
        assert 200 < left <= 250
        (info,) = samples(text, "durable_functions_hub_info")
        assert 'resource_group="Shop"' in info
        assert 'hub_name=""' in info


async def test_an_outage_at_the_start_polls_what_was_known_and_moves_no_state_aside(
    place: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(place, tmp_path, **ENABLED) as it:
        before = (await it.until_up("orders"))["orders"]
    monkeypatch.setattr(discovery_module, "_FIRST_RETRY_SECONDS", 0.1)
    place.cloud.denied.add(READ_GRAPH)
    async with following(place, tmp_path, **ENABLED) as it:
        after = (await it.until_up("orders"))["orders"]
        assert after.known.baseline == before.known.baseline
    (tmp_path / "discovery.json").unlink()
    async with following(place, tmp_path, **ENABLED) as it:
        with anyio.fail_after(30):
            while not await it.errors("azure_auth"):
                await it.publication()
        assert it.collector.snapshots() == []
        await it.collector._tidy()
        assert list(tmp_path.glob("*.state"))
        place.cloud.denied.clear()
        back = (await it.until_up("orders"))["orders"]
        assert back.known.baseline == before.known.baseline


async def test_without_discovery_nothing_of_azure_is_imported() -> None:
    async with running(frozen_emulator()) as url:
        script = (
            "import sys\n"
            "from exporter.cli import main, serve\n"
            f"environ = {{'DURABLE_EXPORTER_URL': {url!r}, 'DURABLE_EXPORTER_KEY': 'x' * 20}}\n"
            "main.run(['check'], environ)\n"
            "assert 'exporter.discovery.discovery' in sys.modules\n"
            "azure = {'azure', 'msal', 'msal_extensions', 'requests', 'cryptography', 'jwt'}\n"
            "assert not azure & {name.partition('.')[0] for name in sys.modules}\n"
        )
        done = await anyio.run_process([sys.executable, "-c", script], check=False)
        assert done.returncode == 0, done.stderr.decode()
