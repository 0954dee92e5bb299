"""The page of one instance, read from an emulated hub when it is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from emulator import (
    Emulator,
    Fault,
    FaultKind,
    Keys,
    TaskHub,
    running,
)
from emulator.backends.azure_storage import AzureStorage
from exporter.collector.instance_lookup import InstanceReader
from exporter.settings import load_settings
from exporter.web.instance_pages import InstancePages
from exporter.web.server import listening
from tests.diagnosis.stuck_app import VERSIONS, stuck_hub
from tests.web.hubs import empty_hub
from tests.web.looking import Read, app_of

pytestmark = pytest.mark.anyio

KEY = "q7Jw-the-system-key-9zX"


@asynccontextmanager
async def pages_of(hub: TaskHub, *, is_on: bool = True) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Serve the pages of a hub called `orders`, whose key is `KEY`."""
    wall = hub.clock.now
    async with running(Emulator(hub, clock=hub.clock, keys=Keys(system=KEY))) as url:
        settings = load_settings(
            {},
            {
                "hubs.orders.url": url,
                "hubs.orders.key": KEY,
                "retries.max_retries": "0",
                "web.instance_pages": str(is_on),
            },
        )
        empty = empty_hub()
        shown = [replace(empty, identity=replace(empty.identity, name="orders"))]
        app = app_of(lambda: shown, wall, InstancePages(InstanceReader(lambda: settings, wall)))
        async with (
            listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=60
            ) as client,
        ):
            yield client


@pytest.fixture
def hub() -> TaskHub:
    return stuck_hub(VERSIONS["v3"], AzureStorage())


async def test_it_says_what_why_says(hub: TaskHub) -> None:
    async with pages_of(hub) as client:
        answer = await client.get("/hubs/orders/instances/parent")
        page = Read(answer.text)
        waiter = Read((await client.get("/hubs/orders/instances/payment-waiting-1")).text)
        failed = await client.get("/hubs/orders/instances/%40counter%40locked")
    assert answer.status_code == 200
    assert "refresh" not in answer.headers
    assert "It waits on sub-orchestration SlowActivity (2 h 59 min)." in page.text
    assert "Root cause: SlowActivity parent:child waits on activity Slow." in page.text
    assert "payment-stalled" in waiter.text
    assert "hubs/orders/instances/payment-stalled" in " ".join(waiter.links())
    assert "Locked by holder." in Read(failed.text).text
    assert KEY not in answer.text


async def test_it_is_off_unless_it_is_allowed(hub: TaskHub) -> None:
    async with pages_of(hub, is_on=False) as client:
        answer = await client.get("/hubs/orders/instances/parent")
        hub_page = await client.get("/hubs/orders")
    assert answer.status_code == 404
    assert "web.instance_pages" in answer.text
    assert "/instances/" not in hub_page.text
    assert hub.faults is not None


async def test_what_is_not_there_and_what_cannot_be_asked_is_said(hub: TaskHub) -> None:
    async with pages_of(hub) as client:
        missing = await client.get("/hubs/orders/instances/nobody")
        no_hub = await client.get("/hubs/nothing/instances/parent")
        hub.faults.set(Fault(kind=FaultKind.STOPPED))
        stopped = await client.get("/hubs/orders/instances/parent")
    assert (missing.status_code, no_hub.status_code, stopped.status_code) == (404, 404, 502)
    assert "it may have been purged" in missing.text
    assert "the app is stopped or disabled" in stopped.text
    assert "durable-exporter why parent" in stopped.text


async def test_looking_again_asks_nobody_and_many_are_turned_away(hub: TaskHub) -> None:
    async with pages_of(hub) as client:
        first = await client.get("/hubs/orders/instances/slow")
        # Whoever asked the hub now would see it.
        hub.faults.set(Fault(kind=FaultKind.STOPPED))
        again = await client.get("/hubs/orders/instances/slow")
        answers = [await client.get(f"/hubs/orders/instances/none-{n}") for n in range(20)]
    assert (first.status_code, again.status_code) == (200, 200)
    turned_away = [each for each in answers if each.status_code == 429]
    assert len(turned_away) >= 5
    assert all(int(each.headers["retry-after"]) >= 1 for each in turned_away)


async def test_markup_in_ids_and_messages_is_text(hub: TaskHub) -> None:
    hostile = '"><script>alert(1)</script>'
    encoded = "".join(f"%{byte:02X}" for byte in hostile.encode())
    hub.engine.start("SlowActivity", hostile, None, hub.clock.now())
    hub.advance()
    async with pages_of(hub) as client:
        answer = await client.get(f"/hubs/orders/instances/{encoded}")
        missing = await client.get(f"/hubs/orders/instances/{encoded}2")
    for page in (answer, missing):
        assert "<script>" not in page.text
    assert "&lt;script&gt;" in answer.text
