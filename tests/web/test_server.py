"""The listening server: encryption, who comes in, and clients that leave it hanging."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from unittest.mock import Mock

import anyio
import anyio.lowlevel
import httpx
import pytest
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSAttribute
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.settings import TlsPolicy, WebConfig
from exporter.web import connection
from exporter.web import server as server_module
from exporter.web.connection import Connection, Connections
from exporter.web.overload import WorkQueue, network_of
from exporter.web.security import Guard
from exporter.web.server import Server, listening
from tests.certificates import EXPIRED, Authority, Certificate

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
LARGE = b"x" * (1 << 25)
REQUEST = b"GET /metrics HTTP/1.1\r\nhost: exporter\r\n\r\n"


async def small(_request: Request) -> Response:
    return PlainTextResponse("answer")


async def large(_request: Request) -> Response:
    return Response(LARGE)


ROUTES = Starlette(routes=[Route("/metrics", small), Route("/large", large)])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def of_server(authority: Authority) -> Certificate:
    return authority.sign("server", HOST)


def policy(certificate: Certificate, **more: object) -> TlsPolicy:
    return TlsPolicy(certificate.cert.read_bytes(), certificate.key.read_bytes(), **more)  # type: ignore[arg-type] # spread


def mutual(certificate: Certificate, authority: Authority, **more: object) -> TlsPolicy:
    return policy(
        certificate,
        client_authority=authority.pem,
        client_auth=more.pop("client_auth", ssl.CERT_REQUIRED),
        **more,
    )


@asynccontextmanager
async def running(tls: TlsPolicy | None = None) -> AsyncIterator[Server]:
    async with listening(Guard(ROUTES, WebConfig()), HOST, 0, grace_seconds=1.0, tls=tls) as server:
        yield server


def trusting(authority: Authority, shown: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if shown is not None:
        context.load_cert_chain(shown.cert, shown.key)
    return context


def client(server: Server, context: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    scheme = "http" if context is None else "https"
    return httpx.AsyncClient(
        base_url=f"{scheme}://{HOST}:{server.port}", trust_env=False, verify=context or True
    )


async def code(server: Server, context: ssl.SSLContext | None = None) -> int:
    """Return the status of an answer on a connection of its own."""
    async with client(server, context) as http:
        return (await http.get("/metrics")).status_code


class TestEncryption:
    async def test_it_answers_over_tls(self, authority: Authority, of_server: Certificate) -> None:
        async with running(policy(of_server)) as server:
            assert await code(server, trusting(authority)) == 200

    async def test_a_client_that_does_not_encrypt_gets_no_answer(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        async with running(policy(of_server)) as server:
            with pytest.raises(httpx.TransportError):
                await code(server)
            assert await code(server, trusting(authority)) == 200

    async def test_a_client_refuses_an_expired_certificate(self, authority: Authority) -> None:
        expired = authority.sign("expired-server", HOST, expires=EXPIRED)
        async with running(policy(expired)) as server:
            with pytest.raises(httpx.ConnectError, match="certificate has expired"):
                await code(server, trusting(authority))

    async def test_versions_below_the_least_are_refused(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        old = trusting(authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        async with running(policy(of_server, minimum=ssl.TLSVersion.TLSv1_3)) as server:
            with pytest.raises(httpx.ConnectError):
                await code(server, old)
            assert await code(server, trusting(authority)) == 200

    async def test_versions_above_the_most_are_not_used(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        async with running(policy(of_server, maximum=ssl.TLSVersion.TLSv1_2)) as server:
            assert await negotiated(server, trusting(authority)) == "TLSv1.2"

    async def test_only_the_suites_that_are_listed_are_used_in_their_order(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        ours = ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256")
        theirs = trusting(authority)
        theirs.maximum_version = ssl.TLSVersion.TLSv1_2
        theirs.set_ciphers(":".join(reversed(ours)))
        async with running(policy(of_server, ciphers=ours)) as server:
            assert await cipher(server, theirs) == ours[0]
        async with running(policy(of_server, ciphers=ours, server_order=False)) as server:
            assert await cipher(server, theirs) == ours[1]
        async with running(policy(of_server, ciphers=ours[:1])) as server:
            theirs.set_ciphers(ours[1])
            with pytest.raises(httpx.ConnectError):
                await code(server, theirs)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_only_the_curve_that_is_chosen_is_used(
        self, authority: Authority, of_server: Certificate, version: ssl.TLSVersion
    ) -> None:
        theirs = trusting(authority)
        theirs.maximum_version = version
        async with running(policy(of_server, curve="secp384r1")) as server:
            assert await code(server, theirs) == 200
            theirs.set_ecdh_curve("prime256v1")
            with pytest.raises(httpx.ConnectError):
                await code(server, theirs)


@asynccontextmanager
async def encrypted(server: Server, context: ssl.SSLContext) -> AsyncIterator[ByteStream]:
    stream = await anyio.connect_tcp(
        HOST, server.port, ssl_context=context, tls_standard_compatible=False
    )
    async with stream:
        yield stream


async def negotiated(server: Server, context: ssl.SSLContext) -> str:
    async with encrypted(server, context) as stream:
        return stream.extra(TLSAttribute.tls_version)


async def cipher(server: Server, context: ssl.SSLContext) -> str:
    async with encrypted(server, context) as stream:
        return stream.extra(TLSAttribute.cipher)[0]


class TestClientCertificates:
    @pytest.fixture
    def of_client(self, authority: Authority) -> Certificate:
        return authority.sign("client", "prometheus.example", "fe80::1", "ops@example.org")

    async def test_one_is_required_from_the_right_authority(
        self, authority: Authority, of_server: Certificate, of_client: Certificate, tmp_path: Path
    ) -> None:
        stranger = Authority(tmp_path).sign("stranger", "prometheus.example")
        expired = authority.sign("expired", "prometheus.example", expires=EXPIRED)
        async with running(mutual(of_server, authority)) as server:
            assert await code(server, trusting(authority, of_client)) == 200
            for shown in (None, stranger, expired):
                with pytest.raises(httpx.TransportError):
                    await code(server, trusting(authority, shown))
            assert await code(server, trusting(authority, of_client)) == 200

    async def test_one_may_be_optional_but_not_wrong(
        self, authority: Authority, of_server: Certificate, tmp_path: Path
    ) -> None:
        stranger = Authority(tmp_path).sign("stranger", "prometheus.example")
        async with running(mutual(of_server, authority, client_auth=ssl.CERT_OPTIONAL)) as server:
            assert await code(server, trusting(authority)) == 200
            with pytest.raises(httpx.TransportError):
                await code(server, trusting(authority, stranger))

    @pytest.mark.parametrize("name", ["prometheus.example", "fe80::1", "ops@example.org"])
    async def test_any_of_its_names_may_be_the_one_allowed(
        self, authority: Authority, of_server: Certificate, of_client: Certificate, name: str
    ) -> None:
        allowed = frozenset({"other.example", name})
        async with running(mutual(of_server, authority, client_names=allowed)) as server:
            assert await code(server, trusting(authority, of_client)) == 200

    @pytest.mark.parametrize("name", ["example", "*.example", "PROMETHEUS.example", ""])
    async def test_no_other_name_comes_in(
        self, authority: Authority, of_server: Certificate, of_client: Certificate, name: str
    ) -> None:
        allowed = frozenset({name})
        async with running(mutual(of_server, authority, client_names=allowed)) as server:
            with pytest.raises(httpx.TransportError):
                await code(server, trusting(authority, of_client))


class TestFollowing:
    async def test_another_certificate_is_shown_from_the_next_connection_on(
        self, authority: Authority, of_server: Certificate, tmp_path: Path
    ) -> None:
        other = Authority(tmp_path)
        async with running(policy(of_server)) as server:
            assert await code(server, trusting(authority)) == 200
            await server.follow(policy(other.sign("server", HOST)))
            assert await code(server, trusting(other)) == 200
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await code(server, trusting(authority))

    async def test_encryption_comes_and_goes(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        async with running() as server:
            assert await code(server) == 200
            await server.follow(policy(of_server))
            assert await code(server, trusting(authority)) == 200
            await server.follow(None)
            assert await code(server) == 200

    async def test_who_came_in_before_does_not_stay(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        async with running() as server, client(server) as http:
            assert (await http.get("/metrics")).status_code == 200
            await server.follow(policy(of_server))
            with pytest.raises(httpx.TransportError):
                await http.get("/metrics")

    async def test_who_came_in_stays_where_nothing_but_the_certificate_is_another(
        self, authority: Authority, of_server: Certificate, tmp_path: Path
    ) -> None:
        renewed = policy(Authority(tmp_path).sign("server", HOST))
        async with (
            running(policy(of_server)) as server,
            client(server, trusting(authority)) as http,
        ):
            await http.get("/metrics")
            (before,) = server.server_state.connections
            await server.follow(renewed)
            assert (await http.get("/metrics")).status_code == 200
            assert server.server_state.connections == {before}

    async def test_a_request_under_way_is_answered(self, of_server: Certificate) -> None:
        async with running() as server, open_stream(server) as stream:
            await stream.send(REQUEST.replace(b"/metrics", b"/large"))
            await stream.receive()
            await server.follow(policy(of_server))
            received = 0
            with anyio.fail_after(30):
                try:
                    while True:
                        received += len(await stream.receive(1 << 20))
                except anyio.EndOfStream:
                    pass
        assert received > len(LARGE) - (1 << 20)

    async def test_no_connection_is_lost_between(
        self, authority: Authority, of_server: Certificate
    ) -> None:
        context = trusting(authority)
        policies = [policy(of_server), policy(of_server, server_order=False)]
        answered: list[int] = []

        async def ask(of: Server) -> None:
            while len(answered) < 150:
                answered.append(await code(of, context))

        async with running(policies[0]) as there, anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, there)
            turns = 0
            while len(answered) < 150:
                turns += 1
                await there.follow(policies[turns % 2])
                await anyio.lowlevel.checkpoint()
        assert set(answered) == {200}

    async def test_a_client_that_is_being_greeted_is_let_in_by_nobody(
        self, authority: Authority, of_server: Certificate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would come in as was said before."""
        monkeypatch.setattr(connection, "HEAD_SECONDS", 600.0)
        async with running(policy(of_server)) as server, open_stream(server) as stream:
            with anyio.fail_after(30):
                while not server._connections.open:
                    await anyio.lowlevel.checkpoint()
            await server.follow(mutual(of_server, authority))
            assert await until_closed(stream) == b""
            assert not server._connections.open

    async def test_a_context_that_cannot_be_made_leaves_all_as_it_was(
        self, of_server: Certificate
    ) -> None:
        async with running() as server:
            with pytest.raises(ValueError, match="do not match"):
                await server.follow(TlsPolicy(of_server.cert.read_bytes(), b"junk"))
            assert await code(server) == 200


@asynccontextmanager
async def open_stream(server: Server) -> AsyncIterator[SocketStream]:
    async with await anyio.connect_tcp(HOST, server.port) as stream:
        yield stream


async def until_closed(stream: SocketStream) -> bytes:
    """Return what comes until the server closes the connection, however it does."""
    received = b""
    with anyio.fail_after(30):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


class TestOversizedRequests:
    @pytest.mark.parametrize(
        "request_head",
        [
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
            b"a" * 100_000,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\r\n\r\n",
        ],
        ids=["path", "header", "headers", "no request", "a handshake"],
    )
    async def test_they_are_refused_and_nobody_else_notices(self, request_head: bytes) -> None:
        async with running() as server, open_stream(server) as stream:
            await stream.send(request_head)
            assert (await stream.receive()).startswith(b"HTTP/1.1 4")
            assert await code(server) == 200

    async def test_one_that_still_sends_when_it_is_refused_can_read_why(self) -> None:
        async with running() as server:
            with socket.create_connection((HOST, server.port)) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 50_000)
                await anyio.wait_readable(stream)
                for _ in range(3):
                    stream.sendall(b"a" * 10_000)
                    await anyio.lowlevel.checkpoint()
                assert stream.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")

    async def test_one_with_a_wrong_body_is_held_no_longer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "REFUSED_SECONDS", 0.5)
        async with running() as server, open_stream(server) as stream:
            head = REQUEST.replace(b"\r\n", b"\r\ntransfer-encoding: chunked\r\n", 1)
            await stream.send(head + b"no chunk\r\n")
            with anyio.fail_after(connection.ANSWER_SECONDS / 3):
                assert (await until_closed(stream)).startswith(b"HTTP/1.1 400")

    async def test_no_line_of_the_log_is_theirs_to_make(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with running() as server:
            chunked = b"\r\ntransfer-encoding: chunked\r\n"
            for said in (
                b"junk\r\n\r\n",
                REQUEST.replace(b"\r\n", b"\r\nupgrade: x\r\n", 1),
                REQUEST.replace(b"\r\n", chunked, 1) + b"no chunk\r\n",
                REQUEST.replace(b"GET", b"POST", 1).replace(b"\r\n", chunked, 1) + b"no chunk\r\n",
            ):
                async with open_stream(server) as stream:
                    await stream.send(said)
                    assert (await stream.receive()).startswith(b"HTTP/1.1 ")
        assert not caplog.records

    async def test_a_long_path_that_fits_is_not_found(self) -> None:
        async with running() as server, client(server) as http:
            assert (await http.get("/" + "a" * 8000)).status_code == 404
            assert (await http.get("/metrics?" + "a" * 8000)).status_code == 200

    async def test_a_body_without_an_end_is_given_up(self, impatient: None) -> None:
        head = b"POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999999\r\n\r\n"
        async with running() as server, open_stream(server) as stream:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_all, stream, head, True)
                assert b"405" in await until_closed(stream)
                tasks.cancel_scope.cancel()
            assert await code(server) == 200


async def send_all(stream: SocketStream, head: bytes, endless: bool = False) -> None:
    try:
        await stream.send(head)
        while endless:
            await stream.send(b"x" * 65_536)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server lose its patience at once."""
    for name in ("HEAD_SECONDS", "REFUSED_SECONDS", "KEEP_ALIVE_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(connection, name, 0.5)


class TestClientsThatLeaveItHanging:
    @pytest.mark.parametrize("said", [b"", b"GET", REQUEST[:-2]], ids=["nothing", "a word", "most"])
    async def test_one_that_never_ends_its_request_is_given_up(
        self, impatient: None, said: bytes
    ) -> None:
        async with running() as server, open_stream(server) as stream:
            if said:
                await stream.send(said)
            assert await until_closed(stream) == b""

    async def test_one_that_asks_no_more_is_given_up(self, impatient: None) -> None:
        async with running() as server, open_stream(server) as stream:
            await stream.send(REQUEST + b"GET /half")
            assert (await until_closed(stream)).startswith(b"HTTP/1.1 200")

    async def test_one_that_does_not_take_its_answer_is_given_up(self, impatient: None) -> None:
        async with running() as server, open_stream(server) as stream:
            await stream.send(REQUEST.replace(b"/metrics", b"/large"))
            with anyio.fail_after(30):
                while not server.server_state.connections:
                    await anyio.lowlevel.checkpoint()
                while server.server_state.connections:
                    await anyio.lowlevel.checkpoint()
            assert len(await until_closed(stream)) < len(LARGE)

    async def test_patience_lasts_as_long_as_scrapes_may(self) -> None:
        assert connection.HEAD_SECONDS <= 10.0
        assert connection.ANSWER_SECONDS >= 60.0
        assert connection.KEEP_ALIVE_SECONDS > 60

    async def test_slow_readers_delay_nobody(self) -> None:
        async with running() as server, AsyncExitStack() as stack:
            for _ in range(5):
                stream = await stack.enter_async_context(open_stream(server))
                await stream.send(REQUEST.replace(b"/metrics", b"/large"))
                await stream.receive(1)
            with anyio.fail_after(10):
                assert await code(server) == 200

    async def test_a_thousand_connections_are_survived_and_all_answered(self) -> None:
        async with running() as server, AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(open_stream(server)) for _ in range(1000)]
            assert await code(server) == 200
            for stream in streams:
                await stream.send(REQUEST)
            with anyio.fail_after(60):
                answers = [await stream.receive() for stream in streams]
            assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200"}


def waiting(everybody: Connections, aborted: list[str], host: str) -> Connection:
    """Return what stands for a connection from an address."""
    one = Mock(spec=Connection, network=network_of(host))

    def abort() -> None:
        aborted.append(host)
        everybody.remove(one)

    one.abort = abort
    return one


class TestMoreConnectionsThanThereMayBe:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "_MAX_CONNECTIONS", 5)
        monkeypatch.setattr(server_module, "_MAX_TLS_CONNECTIONS", 5)

    @pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"], ids=["nothing", "a first word"])
    async def test_those_that_never_say_who_they_are_shut_nobody_out(
        self, authority: Authority, of_server: Certificate, said: bytes
    ) -> None:
        async with running(policy(of_server)) as server, AsyncExitStack() as stack:
            for _ in range(100):
                stream = await stack.enter_async_context(open_stream(server))
                with suppress(anyio.BrokenResourceError):
                    await stream.send(said)
            assert await code(server, trusting(authority)) == 200
            assert len(server._connections.open) <= 5

    async def test_the_one_that_has_waited_longest_gives_way(self) -> None:
        async with running() as server, AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(open_stream(server)) for _ in range(5)]
            await streams[0].send(REQUEST)
            await streams[0].receive()
            assert await code(server) == 200
            assert await until_closed(streams[1]) == b""
            await streams[0].send(REQUEST)
            assert (await streams[0].receive()).startswith(b"HTTP/1.1 200")

    async def test_a_crowd_makes_room_among_its_own_however_slow_another_client_is(self) -> None:
        async with running() as server, AsyncExitStack() as stack:
            slow = await stack.enter_async_context(open_stream(server))
            await slow.send(REQUEST[:-2])
            for _ in range(100):
                crowd = anyio.connect_tcp(HOST, server.port, local_host="127.0.0.2")
                await stack.enter_async_context(await crowd)
            assert await code(server) == 200
            await slow.send(REQUEST[-2:])
            assert (await slow.receive()).startswith(b"HTTP/1.1 200")
            assert len(server._connections.open) <= 5

    @pytest.mark.parametrize(
        ("crowd", "gives_way"),
        [
            (["10.0.0.9"] * 3, "10.0.0.9"),
            (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:9::3"], "2001:db8::1"),
            # No crowd: one address each, or half of all from one.
            (["10.0.0.8", "10.0.0.9", "10.0.0.10"], "10.0.0.1"),
            (["10.0.0.9", "10.0.0.9", "10.0.0.10"], "10.0.0.1"),
        ],
        ids=["one address", "one network", "many", "half of all"],
    )
    def test_a_crowd_is_more_than_half_of_all_and_of_one_network(
        self, crowd: list[str], gives_way: str
    ) -> None:
        everybody = Connections()
        aborted: list[str] = []
        for host in ["10.0.0.1", *crowd]:
            assert everybody.admit(waiting(everybody, aborted, host), 4)
        assert aborted == []
        assert everybody.admit(waiting(everybody, aborted, "10.0.0.2"), 4)
        assert aborted == [gives_way]

    async def test_hundreds_of_idle_ones_shut_nobody_out(self) -> None:
        async with running() as server, AsyncExitStack() as stack:
            for _ in range(200):
                await stack.enter_async_context(open_stream(server))
            assert await code(server) == 200
            assert len(server.server_state.connections) <= 5

    async def test_one_that_takes_nothing_gives_way_too(self) -> None:
        async with running() as server, AsyncExitStack() as stack:
            for _ in range(5):
                stream = await stack.enter_async_context(open_stream(server))
                await stream.send(REQUEST.replace(b"/metrics", b"/large"))
                await stream.receive(1)
            assert await code(server) == 200


class TestClientsThatAreGone:
    async def test_what_waits_for_its_turn_is_not_worked_off(self) -> None:
        queue: WorkQueue[bytes] = WorkQueue(10)
        worked: list[str] = []

        async def wait(request: Request) -> Response:
            path = request.url.path
            return Response(await queue.run(path, lambda: lambda: note(worked, path)))

        app = Starlette(routes=[Route("/{name}", wait)])
        async with (
            listening(Guard(app, WebConfig()), HOST, 0, grace_seconds=1.0) as server,
            open_stream(server) as gone,
            open_stream(server) as there,
        ):
            async with queue.turn:
                await gone.send(REQUEST.replace(b"/metrics", b"/gone"))
                await there.send(REQUEST.replace(b"/metrics", b"/there"))
                with anyio.fail_after(30):
                    while not (queue.awaits("/gone") and queue.awaits("/there")):
                        await anyio.lowlevel.checkpoint()
                    await gone.aclose()
                    while queue.awaits("/gone"):
                        await anyio.lowlevel.checkpoint()
            assert (await there.receive()).startswith(b"HTTP/1.1 200")
        assert worked == ["/there"]

    async def test_one_that_asks_further_ahead_than_a_head_is_given_up(self) -> None:
        async with running() as server, open_stream(server) as stream:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_all, stream, REQUEST * 100_000)
                assert (await until_closed(stream)).count(b"HTTP/1.1 200") < 1000
                tasks.cancel_scope.cancel()
            assert await code(server) == 200

    async def test_a_few_requests_ahead_are_all_answered(self) -> None:
        async with running() as server, open_stream(server) as stream:
            await stream.send(REQUEST * 50)
            received = b""
            with anyio.fail_after(30):
                while received.count(b"HTTP/1.1 200") < 50:
                    received += await stream.receive()

    @pytest.mark.parametrize("target", [b"/\xff", b"/\xc3\xa9?x=\xff", b"http://h\xff/"])
    async def test_a_target_that_no_url_has_is_refused(self, target: bytes) -> None:
        async with running() as server, open_stream(server) as stream:
            await stream.send(REQUEST.replace(b"/metrics", target))
            assert (await stream.receive()).startswith(b"HTTP/1.1 4")


def note(worked: list[str], path: str) -> bytes:
    worked.append(path)
    return b"done"
