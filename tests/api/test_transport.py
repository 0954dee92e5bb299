"""The transport over real sockets: connections kept, broken, cut off and given up."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import httpx
import pytest
import trustme

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.connection_errors import TRANSPORT_ERRORS
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.query import InstanceQuery
from exporter.api.transport import HubConnections
from tests.api.paged import all_rows
from tests.api.scripted import TLS, answer, client_of, connections, scripted

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKS = OK + b"transfer-encoding: chunked\r\n\r\n"

Handler = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Peer:
    """A server that does what a test says with every connection, and counts them."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request."""
        text = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(text)
        return text


@asynccontextmanager
async def peer(
    handler: Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Peer, None]:
    """Serve on loopback."""
    served = Peer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(served, reader, writer)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            served.gone.set()
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    shown = f"[{host}]" if ":" in host else host
    served.url = f"{'https' if tls else 'http'}://{shown}:{server.sockets[0].getsockname()[1]}/x"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def always(text: bytes) -> Handler:
    async def handle(
        served: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await served.request(reader)
            writer.write(text)

    return handle


def once(text: bytes) -> Handler:
    """Answer one request and close."""

    async def handle(
        served: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.request(reader)
        writer.write(text)
        await writer.drain()
        writer.write_eof()

    return handle


@asynccontextmanager
async def client(
    tls: ssl.SSLContext = TLS, connect_seconds: float = 30.0
) -> AsyncGenerator[HubConnections, None]:
    async with connections(tls, connect_seconds=connect_seconds) as http:
        yield http


async def get(http: HubConnections, url: str) -> bytes:
    """Ask once; returns the whole body."""
    response = await http.request("GET", httpx.URL(url))
    try:
        return b"".join([piece async for piece in response.aiter_raw()])
    finally:
        await response.aclose()


async def refused(http: HubConnections, url: str) -> ApiError:
    """Ask in vain; returns what is told of it."""
    with pytest.raises(TRANSPORT_ERRORS) as caught:
        await get(http, url)
    return Failures("orders", "list").of_exception(caught.value, 1.0)


class TestConnections:
    async def test_one_is_kept_for_the_next_request(self) -> None:
        async with peer(always(HELLO)) as served, client() as http:
            for _ in range(3):
                assert await get(http, served.url) == b"hello"
            assert served.connections == 1

    @pytest.mark.parametrize(
        "text",
        [
            OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello",
            b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        ],
    )
    async def test_one_whose_answer_forbids_it_is_not_kept(self, text: bytes) -> None:
        async with peer(always(text)) as served, client() as http:
            for _ in range(2):
                assert await get(http, served.url) == b"hello"
            assert served.connections == 2

    @pytest.mark.parametrize(
        "text", [HELLO + b"more than was said", CHUNKS + b"5\r\nhello\r\n0\r\n\r\nmore"]
    )
    async def test_one_whose_answer_is_longer_than_it_says_is_not_kept(self, text: bytes) -> None:
        async with peer(always(text)) as served, client() as http:
            for _ in range(2):
                # What is beyond the end may come too late to be seen.
                with suppress(*TRANSPORT_ERRORS):
                    assert await get(http, served.url) == b"hello"
            assert served.connections == 2

    async def test_one_that_the_server_closed_is_replaced_without_a_word(self) -> None:
        async with peer(once(HELLO)) as served, client() as http:
            for _ in range(3):
                assert await get(http, served.url) == b"hello"
            assert served.connections == 3

    async def test_one_that_dies_on_the_second_request_is_replaced_once(self) -> None:
        async def handle(
            served: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await served.request(reader)
            writer.write(HELLO)
            await served.request(reader)
            _reset(writer)

        async with peer(handle) as served, client() as http:
            for _ in range(3):
                assert await get(http, served.url) == b"hello"
            assert served.connections == 3
            assert len(served.requests) == 5

    async def test_a_server_that_always_closes_at_once_is_asked_twice_and_no_more(self) -> None:
        async with peer(once(b"")) as served, client() as http:
            assert (await refused(http, served.url)).kind is ErrorKind.PROTOCOL
            assert served.connections == 2

    async def test_a_reset_knows_the_reason(self) -> None:
        async def handle(
            served: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await served.request(reader)
            _reset(writer)

        async with peer(handle) as served, client() as http:
            error = await refused(http, served.url)
        assert error.kind is ErrorKind.CONNECT
        assert "Connection reset by peer" in error.reason

    async def test_ipv6_is_spoken(self) -> None:
        async with peer(always(HELLO), host="::1") as served, client() as http:
            assert await get(http, served.url) == b"hello"
        assert b"\r\nhost: [::1]:" in served.requests[0].lower()

    async def test_a_name_with_several_addresses_is_tried_at_each(self) -> None:
        async with peer(always(HELLO)) as served, client() as http:
            url = served.url.replace("127.0.0.1", "localhost")  # ::1 may come first, and refuses
            assert await get(http, url) == b"hello"

    async def test_closing_the_connections_ends_what_is_being_read(self) -> None:
        async with peer(always(OK + b"content-length: 9\r\n\r\nhello")) as served:
            async with client() as http:
                response = await http.request("GET", httpx.URL(served.url))
            with pytest.raises((*TRANSPORT_ERRORS, RuntimeError)):
                await response.aread()
            await response.aclose()
            await served.gone.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close in a way that the other side notices as a reset."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class TestBodies:
    @pytest.mark.parametrize(
        "size", [0, 1, 65_535, 65_536, 262_000, 262_144, 262_145, 1 << 20, (1 << 20) + 1, 5_000_000]
    )
    @pytest.mark.parametrize("way", ["length", "chunks", "end"])
    async def test_any_size_comes_through(self, size: int, way: str) -> None:
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        text = {
            "length": OK + b"content-length: %d\r\n\r\n" % size + body,
            "chunks": CHUNKS + (b"%x\r\n%b\r\n" % (size, body) if size else b"") + b"0\r\n\r\n",
            "end": OK + b"\r\n" + body,
        }[way]
        handler = once(text) if way == "end" else always(text)
        async with peer(handler) as served, client() as http:
            for _ in range(2):
                assert await get(http, served.url) == body

    async def test_no_more_is_read_than_is_taken(self) -> None:
        """A body that nobody reads stays with the server, but for what the system keeps."""
        flood = 200 << 20

        async def handle(
            served: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await served.request(reader)
            writer.write(CHUNKS)
            for _ in range(flood >> 20):
                writer.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
                await writer.drain()
                sent.append(1 << 20)

        sent: list[int] = []
        async with peer(handle) as served, client_of_peer(served) as hub:
            with pytest.raises(Exception, match="larger than"):
                await all_rows(hub, hub.list_instances(InstanceQuery()))
            await served.gone.wait()
        assert sum(sent) < flood / 4

    async def test_a_body_that_says_to_be_too_large_is_not_read(self) -> None:
        async with peer(always(OK + b"content-length: 9999999999\r\n\r\n")) as served:
            async with client_of_peer(served) as hub:
                with pytest.raises(Exception, match="larger than"):
                    await all_rows(hub, hub.list_instances(InstanceQuery()))
            await served.gone.wait()

    async def test_a_coding_that_nobody_asked_for_is_taken_off(self) -> None:
        packed = gzip.compress(b"[]")
        text = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
        async with peer(always(text)) as served, client_of_peer(served) as hub:
            assert await all_rows(hub, hub.list_instances(InstanceQuery())) == []


@asynccontextmanager
async def client_of_peer(served: Peer) -> AsyncGenerator[HubClient, None]:
    async with client_of(served.url.removesuffix("/x")) as hub:
        yield hub


class TestDeadlines:
    async def test_a_cancelled_request_closes_its_connection(self) -> None:
        async def handle(
            served: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await served.request(reader)
            writer.write(OK + b"content-length: 9\r\n\r\nhel")
            arrived.set()

        arrived = asyncio.Event()
        async with peer(handle) as served, client() as http, anyio.create_task_group() as tasks:
            tasks.start_soon(get, http, served.url)
            await arrived.wait()
            tasks.cancel_scope.cancel()
        await served.gone.wait()

    @pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 2", OK + b"content-length: 9\r\n\r\nhel"])
    async def test_silence_is_a_timeout_wherever_it_begins(self, begin: bytes) -> None:
        async with peer(always(begin)) as served:
            url = served.url.removesuffix("/x")
            async with client_of(url, timeout=0.05) as hub:
                with pytest.raises(ApiError) as caught:
                    await all_rows(hub, hub.list_instances(InstanceQuery()))
            await served.gone.wait()
        assert caught.value.kind is ErrorKind.TIMEOUT

    async def test_a_connection_that_takes_too_long_is_a_timeout(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
            async with client(connect_seconds=0.05) as http:
                error = await refused(http, f"https://127.0.0.1:{silent.getsockname()[1]}/")
        assert error.kind is ErrorKind.TIMEOUT

    async def test_a_refused_connection_knows_the_reason(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with client() as http:
            error = await refused(http, f"http://localhost:{port}/")
        assert error.reason == "no connection: Connection refused"

    @pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'a' * 70}.example"])
    async def test_a_name_without_an_address_is_told_as_such(self, host: str) -> None:
        async with client() as http:
            assert (await refused(http, f"http://{host}/")).kind is ErrorKind.NAME


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    def served_by(self, authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    def trusting(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    @pytest.mark.parametrize("size", [0, 5, 3_000_000])
    async def test_bodies_come_through(self, authority: trustme.CA, size: int) -> None:
        text = OK + b"content-length: %d\r\n\r\n" % size + bytes(size)
        tls = self.trusting(authority)
        async with (
            peer(always(text), tls=self.served_by(authority)) as served,
            client(tls) as http,
        ):
            for _ in range(2):
                assert await get(http, served.url) == bytes(size)
            assert served.connections == 1

    async def test_an_unknown_authority_and_a_wrong_name_can_be_told(
        self, authority: trustme.CA
    ) -> None:
        reasons = []
        for name, tls in (("127.0.0.1", TLS), ("other.example", self.trusting(authority))):
            async with (
                peer(always(HELLO), tls=self.served_by(authority, name)) as served,
                client(tls) as http,
            ):
                error = await refused(http, served.url)
            assert error.kind is ErrorKind.TLS
            reasons.append(error.reason)
        assert "unable to get local issuer certificate" in reasons[0]
        assert "IP address mismatch" in reasons[1]

    async def test_a_server_without_tls_is_a_tls_error(self) -> None:
        async def handle(_: Peer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(HELLO)

        async with peer(handle) as served, client() as http:
            error = await refused(http, served.url.replace("http:", "https:"))
        assert error.kind is ErrorKind.TLS

    async def test_a_client_certificate_is_shown(self, authority: trustme.CA) -> None:
        context = self.served_by(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        tls = self.trusting(authority)
        authority.issue_cert("exporter.example").configure_cert(tls)
        async with peer(always(HELLO), tls=context) as served, client(tls) as http:
            assert await get(http, served.url) == b"hello"


async def test_the_key_is_in_no_error_nor_repr() -> None:
    async with scripted(answer("[]", length=99)) as server, client_of(server) as hub:
        with pytest.raises(Exception, match="ended early") as caught:
            await all_rows(hub, hub.list_instances(InstanceQuery()))
        shown = f"{caught.value!r} {caught.value.__cause__!r} {vars(hub)!r}"
    assert "s3cret-key" not in shown
