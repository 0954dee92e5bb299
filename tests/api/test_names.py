"""Name look-ups: one that hangs delays nobody else."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import anyio
import pytest

from exporter.api.client import HubClient
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.query import InstanceQuery
from exporter.api.transport import NameResolver
from tests.api.paged import all_rows
from tests.api.scripted import answer, client_of, connections, scripted

pytestmark = pytest.mark.anyio


class NameServer(asyncio.DatagramProtocol):
    """Counts the names that it is asked for, and answers those that are *known*."""

    def __init__(self, known: bytes = b"") -> None:
        self.known = known
        self.asked: Counter[bytes] = Counter()
        self.was_asked = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        name = data[13 : 13 + data[12]]
        self.asked[name] += 1
        self.was_asked.set()
        if name == self.known:
            question = data[12 : data.index(b"\0", 12) + 5]
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("127.0.0.1")
            is_ipv4 = question[-4:-2] == b"\0\1"
            head = data[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_ipv4 else b"\0\0") + b"\0\0\0\0"
            self.transport.sendto(head + question + (record if is_ipv4 else b""), addr)


@asynccontextmanager
async def resolver(known: bytes = b"") -> AsyncGenerator[tuple[NameResolver, NameServer], None]:
    """Ask a name server on loopback that keeps silent about all but one name."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(known), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    async with aclosing(NameResolver([f"127.0.0.1:{port}"])) as names:
        yield names, server
    transport.close()


async def listed(client: HubClient) -> ApiError | None:
    try:
        await all_rows(client, client.list_instances(InstanceQuery()))
    except ApiError as error:
        return error
    return None


async def test_eight_names_that_never_resolve_delay_no_hub_by_its_address() -> None:
    errors: list[ApiError | None] = []

    async def ask(name: str, names: NameResolver) -> None:
        http = connections(names=names, connect_seconds=0.5)
        async with client_of(f"http://{name}.example/durabletask", http=http) as client:
            errors.append(await listed(client))

    async with (
        resolver() as (names, server),
        scripted(answer()) as good,
        anyio.create_task_group() as tasks,
    ):
        for number in range(8):
            tasks.start_soon(ask, f"app{number}", names)
        await server.was_asked.wait()
        async with client_of(good, http=connections(names=names)) as client:
            begin = anyio.current_time()
            assert await listed(client) is None
            assert anyio.current_time() - begin < 0.4
    assert [error and error.kind for error in errors] == [ErrorKind.NAME] * 8


async def test_a_name_that_many_hubs_share_is_looked_up_once_at_a_time() -> None:
    async def ask(client: HubClient) -> None:
        assert await listed(client) is None

    async with resolver(b"app") as (names, server), scripted(answer()) as good:
        url = good.url.replace("127.0.0.1", "app.example")
        async with (
            client_of(url, http=connections(names=names)) as first,
            client_of(url, http=connections(names=names)) as second,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(ask, first)
            tasks.start_soon(ask, second)
    # One question for each version of IP.
    assert server.asked[b"app"] <= 2


async def test_a_look_up_that_hangs_keeps_nobody_from_shutting_down() -> None:
    async with resolver() as (names, server), anyio.create_task_group() as tasks:
        http = connections(names=names)
        async with client_of("http://app.example/durabletask", http=http) as client:
            tasks.start_soon(listed, client)
            await server.was_asked.wait()
            tasks.cancel_scope.cancel()
    with anyio.fail_after(1.0):
        await names.aclose()
