"""Hundreds of reloads under scraping: no scrape fails, nothing of a removed hub remains."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest

from emulator import running
from exporter.cli.reloading import Reloading
from exporter.collector.hub import HubCollector
from exporter.collector.service import Collector, open_collector
from exporter.settings import Problem, Settings, SettingsError, load_settings
from exporter.web.app import create_app
from exporter.web.scrapes import Scrapes
from exporter.web.security import Guard
from exporter.web.server import listening
from tests.cli.process import KEY, frozen_emulator

pytestmark = pytest.mark.anyio

BASE = ("OrdersHub", "BillingHub")
COMING_AND_GOING = tuple(f"hub{number}" for number in range(8))


@dataclass
class Configuration:
    """The configuration that the next reload reads."""

    url: str
    folder: Path
    hubs: Sequence[str] = BASE
    page_size: int = 1000
    is_broken: bool = False
    unreachable: str = ""

    def load(self) -> Settings:
        if self.is_broken:
            raise SettingsError([Problem("somewhere", "is broken: mend it")])
        environ = {
            "INTERVALS__ACTIVE": "0.5s",
            "STATE_DIR": str(self.folder),
            "RETRIES__MAX_RETRIES": "0",
            f"HUBS__{BASE[1].upper()}__MAX_PAGE_SIZE": str(self.page_size),
        }
        for hub in self.hubs:
            prefix = f"HUBS__{hub.upper()}__"
            task_hub = hub if hub in BASE else f"Task{hub}"
            url = "http://127.0.0.1:9" if hub == self.unreachable else self.url
            environ |= {f"{prefix}URL": url, f"{prefix}TASK_HUB": task_hub, f"{prefix}KEY": KEY}
        return load_settings({f"DURABLE_EXPORTER_{name}": text for name, text in environ.items()})

    def vary(self, chance: random.Random) -> None:
        """Add, remove, change and break."""
        self.is_broken = chance.random() < 0.2
        self.hubs = (*BASE, *chance.sample(COMING_AND_GOING, chance.randrange(5)))
        self.page_size = chance.choice((500, 1000))
        self.unreachable = chance.choice(("", *COMING_AND_GOING))


@dataclass
class Scraping:
    """Scrapes during reloads; *allowed* are the hubs that may be shown, in turn."""

    allowed: list[set[str]]
    count: int = 0
    failures: list[str] = field(default_factory=list)

    async def go_on(self, client: httpx.AsyncClient) -> None:
        while True:
            begin = len(self.allowed) - 1
            answer = await client.get("/metrics")
            shown = hubs_in(answer.text)
            self.count += 1
            if answer.status_code != 200:
                self.failures.append(f"scrape {self.count}: {answer.status_code}")
            # A scrape may outlast some reloads.
            allowed = set().union(*self.allowed[begin:])
            if not {"ordershub", "billinghub"} <= shown <= allowed:
                self.failures.append(f"scrape {self.count}: {shown}, not {allowed}")


def hubs_in(text: str) -> set[str]:
    return {
        line.partition('task_hub="')[2].partition('"')[0]
        for line in text.splitlines()
        if 'task_hub="' in line
    }


@dataclass
class Running:
    """An exporter in this process."""

    reloading: Reloading
    collector: Collector
    client: httpx.AsyncClient


@asynccontextmanager
async def exporter(configuration: Configuration) -> AsyncIterator[Running]:
    settings = configuration.load()
    async with open_collector(settings, as_daemon=True) as collector:
        reloading = Reloading(settings, configuration.load, collector)
        scrapes = Scrapes(
            collector.snapshots,
            lambda: reloading.settings.metrics,
            wall=lambda: 0.0,
            process=reloading.view,
        )
        collector.listen(scrapes.note_publication)
        app = create_app(collector.snapshots, scrapes, wall=lambda: 0.0)
        guard = Guard(app, settings.web_config)
        async with (
            listening(guard, "127.0.0.1", 0, grace_seconds=1.0) as server,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30.0
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            reloading.attach(guard, server)
            tasks.start_soon(collector.run)
            tasks.start_soon(scrapes.keep_written)
            yield Running(reloading, collector, client)
            tasks.cancel_scope.cancel()


async def reload_many_times(configuration: Configuration, running: Running, times: int) -> Scraping:
    """Reload *times* times under two scrapers, ending with the initial configuration."""
    chance = random.Random(5)
    scrapes = Scraping([{hub.lower() for hub in BASE}])
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(scrapes.go_on, running.client)
        for turn in range(times):
            configuration.vary(chance)
            await reload(configuration, running, scrapes)
            if turn % 10 == 0:
                await some_sweeps(running)
        configuration.is_broken, configuration.hubs = False, BASE
        await reload(configuration, running, scrapes)
        tasks.cancel_scope.cancel()
    return scrapes


async def reload(configuration: Configuration, running: Running, scrapes: Scraping) -> None:
    wanted = {hub.lower() for hub in configuration.hubs}
    before = scrapes.allowed[-1]
    if configuration.is_broken:
        wanted = before
    scrapes.allowed.append(before | wanted)
    problems = await running.reloading.reload()
    assert bool(problems) == configuration.is_broken
    # What is scraped from now on must show nothing of a removed hub.
    scrapes.allowed.append(wanted)
    assert {snapshot.identity.name for snapshot in running.collector.snapshots()} == wanted


async def some_sweeps(running: Running) -> None:
    """Wait until hubs are polled and states written, before the next change."""
    collectors = list(running.collector.hubs)
    with anyio.fail_after(60):
        while not any(hub.snapshot.up for hub in collectors):
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("times", "is_long"),
    [(25, False), pytest.param(200, True, marks=pytest.mark.nightly)],
    ids=["short", "long"],
)
async def test_no_scrape_fails_and_nothing_is_left_behind(
    tmp_path: Path, times: int, is_long: bool
) -> None:
    async with running(frozen_emulator(hub_names=BASE)) as url:
        configuration = Configuration(url, tmp_path)
        if is_long:
            # Before anything is known of the hubs that stay: what is replaced has not grown.
            tracemalloc.start()
        async with exporter(configuration) as there:
            await reload_many_times(configuration, there, 5)
            tasks, files, before = len(asyncio.all_tasks()), open_files(), memory()
            scrapes = await reload_many_times(configuration, there, times)
            grown = memory() - before
            tracemalloc.stop()
            assert scrapes.failures == []
            assert scrapes.count > times
            assert left_of(HubCollector) == len(BASE)
            # Connections come and go by themselves; every reload makes and drops some hubs.
            await settled(lambda: len(asyncio.all_tasks()) <= tasks + 10)
            await settled(lambda: open_files() <= files + 10)
            assert times > 20
            assert grown < 2_000_000
            assert hubs_in((await there.client.get("/metrics")).text) == {"ordershub", "billinghub"}
    asides = {path.name.partition("-")[0] for path in tmp_path.glob("*.state")}
    assert asides <= {"ordershub", "billinghub"}


async def settled(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.lowlevel.checkpoint()


def left_of(kind: type) -> int:
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def memory() -> int:
    """Return the bytes in use, 0 if not traced, as that takes time."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
