"""The command upgrades and goes back as docs/upgrading.md says."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import time

import httpx
import pytest

from emulator import Emulator, Instance, ManualClock, RuntimeStatus, TaskHub, running
from exporter.collector.state_database import VERSION
from exporter.collector.state_file import stem_of
from tests.cli.process import START, Daemon, serving
from tests.ledger.world import NOW
from tests.real.polling import poll
from tests.releases.release import lead_to

pytestmark = pytest.mark.anyio
VERSION_1 = Path(__file__).parents[1] / "data" / "state" / "version-1.state"
COMPLETED = re.compile(
    r"^durable_functions_instances_finished_total\{.*\"Completed\".*\} (\d+)", re.MULTILINE
)
BASELINE = re.compile(
    r"^durable_functions_exporter_baseline_timestamp_seconds\{.*\} (\S+)", re.MULTILINE
)
VERSION_ERRORS = re.compile(
    r"^durable_functions_exporter_state_errors_total\{.*\"version\".*\} 1", re.MULTILINE
)


def order(status: RuntimeStatus, updated: float) -> Instance:
    return Instance(
        instance_id="order-1", name="Order", status=status, created=START - 60, updated=updated
    )


async def scrape(daemon: Daemon) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{daemon.port}/metrics")).text


def baseline(text: str) -> float:
    (found,) = set(BASELINE.findall(text))
    return float(found)


async def until_completed(daemon: Daemon, *counts: str) -> str:
    """Scrape until the counters of all orchestrators are these."""

    def is_so(text: str) -> bool:
        return sorted(COMPLETED.findall(text)) == [*counts]

    return await poll(lambda: scrape(daemon), is_so, within=60)


@asynccontextmanager
async def served(url: str, folder: Path, *arguments: str) -> AsyncIterator[Daemon]:
    """Run an exporter with its state in *folder*, and end it by SIGTERM."""
    settings = ("intervals.active=0.2s", "counter_hold=0", f"state_dir={folder}")
    options = [option for each in settings for option in ("--set", each)]
    async with serving("--url", url, *arguments, *options) as daemon:
        yield daemon
        daemon.process.send_signal(signal.SIGTERM)
        assert await daemon.process.wait() == 0


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as database:
        ((before,),) = database.execute("PRAGMA user_version")
        assert VERSION in (before, version)
        database.execute(f"PRAGMA user_version = {version}")


async def test_a_downgrade_takes_a_baseline_and_says_so_and_the_way_back_goes_on(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock)
    hub.put(order(RuntimeStatus.RUNNING, START - 30))
    async with running(Emulator(hub, clock=clock)) as url:
        async with served(url, tmp_path) as daemon:
            await daemon.until("hub is up")
            clock.advance(300)
            hub.put(order(RuntimeStatus.COMPLETED, START + 200))
            first = baseline(await until_completed(daemon, "1"))
        (state,) = tmp_path.glob("*.state")
        clock.advance(300)

        # As if a later version had written it.
        set_version(state, VERSION + 1)
        async with served(url, tmp_path) as daemon:
            said = await daemon.until("state cannot be used")
            await daemon.until("hub is up")
            text = await until_completed(daemon, "0")
            assert (said["reason"], said["level"]) == ("version", "warning")
            assert VERSION_ERRORS.search(text)
            assert baseline(text) > first

        aside = state.with_suffix(".aside")
        set_version(aside, VERSION)
        aside.replace(state)
        async with served(url, tmp_path) as daemon:
            await daemon.until("state restored")
            assert baseline(await until_completed(daemon, "1")) == first


def of_version_1(name: str, status: RuntimeStatus, created: float, updated: float) -> Instance:
    """Return an instance of the state of version 1; times are as of its last write."""
    return Instance(
        instance_id=name, name="Order", status=status, created=NOW + created, updated=NOW + updated
    )


async def test_the_state_of_the_version_before_is_gone_on_with(tmp_path: Path) -> None:
    clock = ManualClock(NOW + 600)
    hub = TaskHub("OrdersHub", clock)
    hub.put(of_version_1("f0", RuntimeStatus.FAILED, -9000, -8000))
    hub.put(of_version_1("p1", RuntimeStatus.PENDING, -900, -900))
    hub.put(of_version_1("r1", RuntimeStatus.RUNNING, -30, 10))
    # Counted already, and finished while nobody looked: each once.
    hub.put(of_version_1("c1", RuntimeStatus.COMPLETED, 20, 21))
    hub.put(of_version_1("r2", RuntimeStatus.COMPLETED, -30, 300))
    async with running(Emulator(hub, clock=clock)) as url:
        left = tmp_path / f"{stem_of('orders')}.state"
        shutil.copy(VERSION_1, left)
        lead_to(left, url, time())
        async with served(url, tmp_path, "--name", "orders", "--task-hub", "OrdersHub") as daemon:
            text = await until_completed(daemon, "0", "2")
            await daemon.until("state restored")
            assert baseline(text) == NOW
        assert not list(tmp_path.glob("*.aside"))
