"""The gateway of docs/guides/networks.md, in a real nginx: reads pass, all else is refused."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from emulator import Emulator, Instance, Keys, ManualClock, RuntimeStatus, TaskHub, running
from tests.cli.process import START, run
from tests.docs.pages import ROOT, blocks_of
from tests.docs.placed import KEY
from tests.docs.real_nginx import whole
from tests.tools import tool

pytestmark = pytest.mark.anyio
TOKEN = "a-token-that-only-reads"
HOOK = "/runtime/webhooks/durabletask"
(RECIPE,) = (
    block.text
    for block in blocks_of(ROOT / "docs" / "guides" / "networks.md")
    if block.language == "nginx"
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway answers, and the hub behind it."""

    url: str
    hub: TaskHub


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Listen on a free port before nginx is there: it takes the socket over, as in an upgrade."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        yield listener


@asynccontextmanager
async def nginx(folder: Path, listener: socket.socket) -> AsyncIterator[None]:
    command = [str(tool("nginx")), "-p", str(folder), "-c", "nginx.conf", "-e", "nginx.log"]
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [*command, "-g", "daemon off;"],
        env={"NGINX": f"{listener.fileno()};"},
        pass_fds=(listener.fileno(),),
    )
    listener.close()  # so that nothing answers where nginx has not started
    try:
        yield
    finally:
        process.terminate()
        await anyio.to_thread.run_sync(process.wait)


def configuration(app: str, port: int) -> str:
    """Return the recipe with the addresses and secrets of the test in it."""
    recipe = RECIPE.replace("127.0.0.1:7071", app.removeprefix("http://"))
    recipe = recipe.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    recipe = recipe.replace("EXPORTER_TOKEN", TOKEN).replace("APP_KEY", KEY)
    return whole(recipe)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    hub = TaskHub("OrdersHub", ManualClock(START))
    for number in range(1500):
        hub.put(an_instance(f"order-{number:04}"))
    hub.put(an_instance("with space+and%"))
    emulator = Emulator(hub, clock=hub.clock, keys=Keys(system=KEY))
    async with running(emulator) as app:
        with listening() as listener:
            port = listener.getsockname()[1]
            (tmp_path / "nginx.conf").write_text(configuration(app, port), encoding="utf-8")
            async with nginx(tmp_path, listener):
                yield Gateway(f"http://127.0.0.1:{port}", hub)


def an_instance(instance_id: str) -> Instance:
    return Instance(
        instance_id=instance_id,
        name="ProcessOrder",
        status=RuntimeStatus.RUNNING,
        created=START - 60,
        updated=START - 30,
    )


async def status_of(gateway: Gateway, method: str, path: str, token: str = TOKEN) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        # Byte for byte: the client must not tidy up what is tried here.
        url = httpx.URL(gateway.url).copy_with(raw_path=path.encode())
        return (await client.request(method, url, headers={"x-functions-key": token})).status_code


async def test_every_sweep_and_read_passes(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    asked = ("--url", gateway.url, "--key-file", str(tmp_path / "token"), "--task-hub", "OrdersHub")
    checked = await run("check", *asked)
    collected = await run("collect", *asked, "--format", "prometheus")
    why = await run("why", "with space+and%", *asked)
    assert (checked.code, collected.code, why.code) == (0, 0, 0), checked.out + why.err
    running_now = re.compile(r'^durable_functions_instances\{.*"Running".*\} 1501', re.MULTILINE)
    assert running_now.search(collected.out), "more than a page, so the token passed, too"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{HOOK}/orchestrators/ProcessOrder"),
        ("POST", f"{HOOK}/instances/order-0000/terminate"),
        ("DELETE", f"{HOOK}/instances/order-0000"),
        ("DELETE", f"{HOOK}/instances?createdTimeFrom=2000-01-01T00:00:00Z"),
        ("POST", f"{HOOK}/instances/order-0000"),
        ("PUT", f"{HOOK}/instances"),
        ("GET", f"{HOOK}/makeprimary"),
        ("GET", f"{HOOK}/instances/../makeprimary"),
        ("GET", f"{HOOK}/instances/%2e%2e/makeprimary"),
        ("GET", f"{HOOK}/instances/order-0000/%74erminate"),
        ("GET", f"{HOOK}/instances/%2e%2e%2fmakeprimary"),
        ("GET", f"{HOOK}/instances/x%2Fterminate"),
        ("GET", f"{HOOK}//instances"),
        ("GET", f"{HOOK}/entities/counter/key"),
        ("GET", "/admin/host/keys"),
        ("GET", "/api/some-function"),
        ("GET", f"{HOOK}/instances?taskHub=AnotherHub"),
        ("GET", f"{HOOK}/instances?%74askHub=AnotherHub"),
        ("GET", f"{HOOK}/instances?TASKHUB=AnotherHub"),
        ("GET", f"{HOOK}/instances?taskHub=OrdersHub&taskHub=AnotherHub"),
        ("GET", f"{HOOK}/instances?connection=Other"),
        ("GET", f"{HOOK}/instances?code={KEY}"),
        ("HEAD", f"{HOOK}/instances"),
    ],
)
async def test_anything_else_is_refused_and_changes_nothing(
    gateway: Gateway, method: str, path: str
) -> None:
    before = len(gateway.hub.starts), len(gateway.hub.finishes)
    assert await status_of(gateway, method, path) in (401, 403, 404, 405)
    assert (len(gateway.hub.starts), len(gateway.hub.finishes)) == before


async def test_a_read_needs_the_token_and_the_real_key_is_not_one(gateway: Gateway) -> None:
    assert await status_of(gateway, "GET", f"{HOOK}/instances") == 200
    assert await status_of(gateway, "GET", f"{HOOK}/instances", token="") == 401
    assert await status_of(gateway, "GET", f"{HOOK}/instances", token=KEY) == 401
    assert await status_of(gateway, "GET", f"{HOOK}/instances", token=TOKEN.upper()) == 401
