from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from emulator import Emulator, ExtensionVersion, Keys, ManualClock, TaskHub, running

NOW = 1_800_000_000.75  # 2027-01-15T08:00:00.75Z
# Those whose answers differ in more than one field.
MAJOR_VERSIONS = (ExtensionVersion.V2, ExtensionVersion.V3)
# To load certificates that no test needs takes longer than most tests.
OPTIONS: dict[str, Any] = {"timeout": 60, "verify": False}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def hub(clock: ManualClock) -> TaskHub:
    return TaskHub("OrdersHub", clock)


@pytest.fixture
def emulator(hub: TaskHub, clock: ManualClock) -> Emulator:
    keys = Keys(system="the-system-key", master="the-master-key", others=frozenset(["another"]))
    return Emulator(hub, clock=clock, keys=keys)


@pytest.fixture
async def base_url(emulator: Emulator) -> AsyncIterator[str]:
    async with running(emulator) as url:
        yield url


@pytest.fixture
async def local(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client inside the app, which needs no key."""
    async with httpx.AsyncClient(base_url=f"{base_url}/durabletask/", **OPTIONS) as client:
        yield client


@pytest.fixture
async def web_hook(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that comes through the Functions host with the right key."""
    url = f"{base_url}/runtime/webhooks/durabletask/"
    key = {"x-functions-key": "the-system-key"}
    async with httpx.AsyncClient(base_url=url, headers=key, **OPTIONS) as client:
        yield client
