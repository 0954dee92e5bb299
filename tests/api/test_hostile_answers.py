"""What is told of every wrong answer: its kind, what happened, and what to do."""
# ruff: noqa: E501 - a table

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trustme

from exporter.api.client import HubClient
from exporter.api.errors import ApiError
from exporter.api.query import InstanceQuery
from exporter.api.transport import NameResolver, ObservedTls
from tests.api.paged import all_rows
from tests.api.scripted import TLS, answer, client_of, connections, scripted
from tests.api.test_names import resolver

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = OK + b"transfer-encoding: chunked\r\n\r\n"
# As deep as fits: Python 3.14 follows as far as its stack of some megabytes allows.
DEEP = "[" * 450_000 + "]" * 450_000
EASY_AUTH = 'Bearer realm="app.azurewebsites.net" authorization_uri="https://login.example"'
ROW = '{"instanceId":"a","runtimeStatus":"Running"}'
STOPPED = "<h1>Error 403 - This web app is stopped.</h1>"


async def failure(client: HubClient, *statuses: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await all_rows(client, client.list_instances(InstanceQuery(statuses=statuses)))
    return caught.value


def status(line: str, body: str = "", **headers: str) -> bytes:
    return answer(body, line, **headers)  # type: ignore[arg-type] # no length is among them


# By what came: the kind, a part of what is said, and a part of the remedy.
ANSWERS: dict[str, tuple[bytes, str, str, str]] = {
    # Who is let in.
    "401": (status("401 Unauthorized"), "auth", "401, the key is refused", "durabletask_extension"),
    "401 with a bare challenge": (
        status("401 Unauthorized", WWW_Authenticate="Bearer"),
        "auth", "401 with a challenge: the key is refused, or App Service", "exempt /runtime",
    ),
    "401 of App Service authentication": (
        status("401 Unauthorized", WWW_Authenticate=EASY_AUTH),
        "auth", "401 from App Service authentication or a gateway", "exempt /runtime/webhooks",
    ),
    "401 with a page": (
        status("401 Unauthorized", "You do not have permission"),
        "auth", "in front, not for the key", "exempt /runtime/webhooks",
    ),
    "401 of a gateway": (
        status("401 Unauthorized", WWW_Authenticate="Basic realm=x"),
        "auth", "or a gateway in front", "exempt /runtime/webhooks",
    ),
    "401 with a packed page": (
        answer(gzip.compress(b"no" * 99), "401 Unauthorized", Content_Encoding="gzip"),
        "auth", "or a gateway in front", "exempt",
    ),
    "403": (status("403 Forbidden"), "auth", "the key is of the wrong kind", "those of functions"),
    "403 of a stopped app": (
        status("403 Forbidden", STOPPED), "stopped", "stopped or disabled", "start the app",
    ),
    "403 for the address": (
        status("403 Ip Forbidden", x_ms_forbidden_ip="10.0.0.1"),
        "restricted", "an access restriction keeps this address out", "allow this address",
    ),
    "403 Ip Forbidden": (
        status("403 Forbidden", "<h1>403 Ip Forbidden</h1>"), "restricted", "access restriction", "allow",
    ),
    "403 of a mesh": (
        status("403 Forbidden", "RBAC: access denied"), "restricted", "access restriction", "allow",
    ),
    "403 of IIS": (
        status("403 Forbidden", "You do not have permission to view this directory or page."),
        "restricted", "access restriction", "private endpoint",
    ),
    "403 of a firewall": (
        status("403 Forbidden", "<html>Request blocked</html>"),
        "restricted", "403 from something in front", "a firewall, a gateway",
    ),
    "404": (status("404 Not Found"), "not_found", "nothing answers at this address", "/durabletask"),
    "404 with a page": (status("404 Not Found", "<html>"), "not_found", "404", "check url"),
    "407": (status("407 Proxy Authentication Required"), "proxy", "407", "user and password"),
    # What may pass.
    "408": (status("408 Request Timeout"), "server", "408", "gateway in between"),
    "421": (status("421 Misdirected Request"), "server", "421", "gateway in between"),
    "425": (status("425 Too Early"), "server", "425", "gateway in between"),
    "429": (status("429 Too Many Requests"), "throttled", "overloaded", "raise intervals"),
    "500": (status("500 Internal Server Error"), "server", "500", "the app's log"),
    "500 of the extension": (
        status("500 Internal Server Error", '{"ExceptionType":"System.TimeoutException"}'),
        "server", "500, System.TimeoutException", "storage may be throttled",
    ),
    "500 that is nested deeply": (
        status("500 Internal Server Error", f'{{"Message":{DEEP}}}'), "server", "500", "log",
    ),
    "502": (status("502 Bad Gateway", "<html>"), "server", "502", "the app's log"),
    "503": (status("503 Service Unavailable"), "server", "503", "the app's log"),
    "599": (status("599 Odd"), "server", "599", "the app's log"),
    # Redirects and other statuses.
    "301 to TLS": (
        status("301 Moved Permanently", Location="https://app.example/"),
        "protocol", "a redirect to https://", "use https:// in url",
    ),
    "308 to TLS": (
        status("308 Permanent Redirect", Location="HTTPS://app.example/"),
        "protocol", "a redirect to https://", "use https:// in url",
    ),
    "301 elsewhere": (
        status("301 Moved Permanently", Location="/other"), "protocol", "never followed", "exempt",
    ),
    "302 to a login": (
        status("302 Found", Location="https://login.example/"),
        "protocol", "302, a redirect, which is never followed", "App Service authentication",
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "protocol", "204 instead of a result", "check that url"),
    "202": (status("202 Accepted", "{}"), "protocol", "202 instead of a result", "check that url"),
    "400": (
        status("400 Bad Request", '{"ExceptionType":"System.ArgumentException"}'),
        "protocol", "400 instead of a result, System.ArgumentException", "check that url",
    ),
    "101": (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "protocol", "101 instead of a result", "check that url",
    ),
    # 200, and not what was asked for.
    "a page": (answer("<html>", content_type="text/html"), "protocol", "(text/html)", "check that url"),
    "half of the JSON": (answer('[{"instanceId":"a"'), "protocol", "not the JSON", "check that url"),
    "an object": (answer(ROW), "protocol", "not the JSON", "check that url"),
    "a row without an id": (answer('[{"name":"x"}]'), "protocol", "not the JSON", "check that url"),
    "numbers": (answer("[7]"), "protocol", "not the JSON", "check that url"),
    "null": (answer("null"), "protocol", "not the JSON", "check that url"),
    "nothing": (answer(""), "protocol", "not the JSON", "check that url"),
    "no UTF-8": (answer(b"[\xff\xfe]"), "protocol", "not the JSON", "check that url"),
    "depth": (
        answer(f'[{{"instanceId":"a","output":{DEEP}}}]'), "protocol", "not the JSON", "check that",
    ),
    "rows that were not asked for": (
        answer(f"[{ROW}]"), "protocol", "the filter runtimeStatus excludes", "drops or rewrites",
    ),
    "a large page": (answer(b" " * (1 << 20)), "too_large", "larger than 1000000", "max_response"),
    "a length beyond the limit": (
        OK + b"content-length: 99999999999\r\n\r\n", "too_large", "larger than", "max_response",
    ),
    "a token that is no text": (
        OK + b"x-ms-continuation-token: a\xe9b\r\ncontent-length: 2\r\n\r\n[]",
        "protocol", "the token of the next page cannot be sent back", "nothing rewrites it",
    ),
    # Content codings that nobody asked for.
    "two codings": (
        answer(gzip.compress(b"[]"), Content_Encoding="gzip, gzip"),
        "protocol", "an unrequested compression", "nothing rewrites it",
    ),
    "brotli": (answer(b"xx", Content_Encoding="br"), "protocol", "unrequested compression", "rewrites"),
    "no gzip": (answer(b"[]", Content_Encoding="gzip"), "protocol", "not gzip, as it says", "rewrites"),
    "half of a gzip": (
        answer(gzip.compress(b"[]")[:-4], Content_Encoding="gzip"), "protocol", "not gzip", "rewrites",
    ),
    "a gzip and more": (
        answer(gzip.compress(b"[]") + b"x", Content_Encoding="gzip"), "protocol", "not gzip", "rewrite",
    ),
    "a bomb": (
        answer(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"),
        "too_large", "larger than 1000000 bytes", "max_response_bytes",
    ),
    # What is no HTTP, or wrong HTTP.
    "a greeting": (b"220 mail.example ESMTP\r\n\r\n", "protocol", "not HTTP", "another service"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", "protocol", "not HTTP", "check the port in url"),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "protocol", "speaks TLS", "use https:// in url"),
    "a large field": (OK + b"x: " + b"a" * 100_000 + b"\r\n\r\n", "protocol", "head", "another"),
    "many fields": (OK + b"x: y\r\n" * 1000 + b"\r\n", "protocol", "head of the answer", "another"),
    "two lengths": (
        OK + b"content-length: 3\r\ncontent-length: 5\r\n\r\n[]   ",
        "protocol", "lengths that contradict", "rewrites answers",
    ),
    "a length and chunks": (
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        "protocol", "lengths that contradict", "rewrites answers",
    ),
    "a length below nothing": (
        OK + b"content-length: -2\r\n\r\n[]", "protocol", "lengths that contradict", "rewrites",
    ),
    "a chunk without a size": (CHUNKS + b"zz\r\n", "protocol", "invalid chunks", "rewrites"),
    "a chunk of endless size": (CHUNKS + b"f" * 20 + b"\r\n", "protocol", "chunks", "rewrites"),
    "a zero byte": (OK + b"x: a\0b\r\n\r\n", "protocol", "not HTTP", "another service"),
    # Cut off.
    "no answer": (b"", "protocol", "the connection broke before an answer", "the app's log"),
    "half of a head": (OK + b"content-le", "protocol", "broke before an answer", "log"),
    "half of a body": (OK + b"content-length: 9\r\n\r\n[", "protocol", "ended early", "cut the answer"),
    "half of a chunk": (CHUNKS + b"5\r\nab", "protocol", "the answer ended early", "cut the answer"),
}  # fmt: skip


@asynccontextmanager
async def answering(text: bytes) -> AsyncGenerator[str, None]:
    """Answer every request with *text*, and close the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()

    async with serving(serve) as url:
        yield url


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]],
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[str, None]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize("name", ANSWERS)
async def test_of_every_wrong_answer_the_cause_and_the_remedy_are_told(name: str) -> None:
    text, kind, said, remedy = ANSWERS[name]
    async with answering(text) as url, client_of(url, max_bytes=1_000_000) as client:
        error = await failure(client, "Completed")
    assert (error.kind.value, said in error.reason, remedy in error.hint) == (kind, True, True), (
        f"{error.kind}: {error.reason}; {error.hint}"
    )


@pytest.mark.parametrize("line", ["408 Request Timeout", "421 Misdirected", "425 Too Early"])
async def test_what_may_pass_is_asked_for_again(line: str) -> None:
    async with (
        scripted(status(line), answer("[]")) as server,
        client_of(server, retries=1) as client,
    ):
        assert await all_rows(client, client.list_instances(InstanceQuery())) == []
    assert len(server.requests) == 2


@pytest.mark.parametrize("asked_for", ["7", "Mon, 23 Nov 2026 10:00:07 GMT"])
async def test_a_pause_is_understood_in_both_of_its_forms(asked_for: str) -> None:
    busy = status("503 Busy", Retry_After=asked_for)
    async with answering(busy) as url, client_of(url) as client:
        assert (await failure(client)).retry_after == 7.0


async def told(
    url: str,
    *,
    proxy: str | None = None,
    names: NameResolver | None = None,
    connect: float = 0.5,
    timeout: float = 0.5,  # noqa: ASYNC109 - of the requests
) -> tuple[str, str]:
    """Return kind and text of what goes wrong on the way to *url*."""
    http = connections(TLS, proxy=proxy, names=names, connect_seconds=connect)
    async with client_of(url, http=http, timeout=timeout) as client:
        error = await failure(client)
    assert error.hint
    return error.kind.value, error.reason


@pytest.fixture(autouse=True)
def _observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TLS, "sslobject_class", ObservedTls)


@pytest.fixture
def port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class TestTheWay:
    async def test_nobody_listens(self, port: int) -> None:
        assert await told(f"http://127.0.0.1:{port}") == (
            "connect", "no connection: Connection refused",
        )  # fmt: skip

    async def test_nobody_accepts(self) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = []
            for _ in range(3):  # the kernel lets in one or two more than it is told
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(full.getsockname())
            found = await told(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=9.0)
            for each in waiting:
                each.close()
        assert found == ("timeout", "no connection within timeouts.connect")

    async def test_no_such_name(self) -> None:
        kind, said = await told("http://no-such-host.invalid", connect=30.0, timeout=30.0)
        assert kind == "name"
        assert said.startswith("no-such-host.invalid has no address: ")

    async def test_no_name_server(self) -> None:
        async with resolver() as (names, _):
            assert await told("http://app.example", names=names, timeout=9.0) == (
                "name", "no name server answers for app.example within timeouts.connect",
            )  # fmt: skip

    async def test_a_handshake_that_hangs(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            assert await told(url, timeout=9.0) == (
                "tls", "the TLS handshake did not end within timeouts.connect",
            )  # fmt: skip

    async def test_a_handshake_that_is_cut_off(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            reset(writer)

        async with serving(serve) as url:
            kind, said = await told(url.replace("http", "https"), timeout=9.0)
        assert (kind, said) == ("tls", "the TLS handshake was cut off: Connection reset by peer")

    async def test_no_tls_at_all(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(OK + b"\r\n")
            await reader.read()

        async with serving(serve) as url:
            kind, said = await told(url.replace("http", "https"), timeout=9.0)
        assert kind == "tls"
        assert said.startswith("TLS failed: ")

    async def test_a_certificate_of_a_stranger(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        async with serving(lambda reader, _: reader.read(), tls=context) as url:
            assert await told(url, timeout=9.0) == (
                "tls", "TLS failed: unable to get local issuer certificate",
            )  # fmt: skip

    async def test_a_slow_answer(self) -> None:
        async with serving(lambda reader, _: reader.read()) as url:
            assert await told(url) == ("timeout", "no answer within 0.5 s")

    async def test_an_answer_that_does_not_end(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK + b"content-length: 9\r\n\r\n[")
            await reader.read()
            await reader.read()

        async with serving(serve) as url:
            assert await told(url) == ("timeout", "the answer did not end within 0.5 s")

    async def test_a_reset_before_and_within_an_answer(self) -> None:
        async def before(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            reset(writer)

        async def within(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"content-length: 9\r\n\r\n[")
            await writer.drain()
            await asyncio.sleep(0.05)
            reset(writer)

        async with serving(before) as url:
            assert await told(url, timeout=9.0) == (
                "connect", "the connection broke before an answer: Connection reset by peer",
            )  # fmt: skip
        async with serving(within) as url:
            kind, said = await told(url, timeout=9.0)
        assert (kind, said) == ("protocol", "the answer ended early")


class TestTheProxy:
    @pytest.mark.parametrize("refusal", [407, 403, 502, 503, 504, 418])
    async def test_it_refuses(self, refusal: int) -> None:
        async with answering(b"HTTP/1.1 %d Oh\r\n\r\n" % refusal) as proxy:
            assert await told("https://app.example", proxy=proxy, timeout=9.0) == (
                "proxy", f"{refusal} from the proxy",
            )  # fmt: skip

    async def test_it_is_not_there(self, port: int) -> None:
        assert await told("https://app.example", proxy=f"http://127.0.0.1:{port}") == (
            "proxy", "no connection to the proxy: Connection refused",
        )  # fmt: skip

    async def test_it_has_no_address(self) -> None:
        found = await told(
            "https://app.example", proxy="http://no-such-host.invalid:1", connect=30.0, timeout=30.0
        )
        assert found == ("proxy", "the proxy no-such-host.invalid has no address")

    async def test_it_drops_connect(self) -> None:
        async with serving(lambda reader, _: reader.read()) as proxy:
            assert await told("https://app.example", proxy=proxy, timeout=9.0) == (
                "timeout", "no connection through the proxy within timeouts.connect",
            )  # fmt: skip

    async def test_its_certificate_is_of_a_stranger(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        async with serving(lambda reader, _: reader.read(), tls=context) as proxy:
            kind, said = await told("https://app.example", proxy=proxy, timeout=9.0)
        assert kind == "proxy"
        assert said.startswith("TLS with the proxy failed: ")

    async def test_its_handshake_hangs(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            proxy = f"https://127.0.0.1:{silent.getsockname()[1]}"
            assert await told("https://app.example", proxy=proxy, timeout=9.0) == (
                "proxy", "the TLS handshake with the proxy did not end within timeouts.connect",
            )  # fmt: skip


def reset(writer: asyncio.StreamWriter) -> None:
    """Close in a way that the other side notices as a reset."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
