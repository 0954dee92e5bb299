"""Connections by settings: headers, proxies by setting and by environment, changing files."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trustme

from exporter.api.connection import SharedLimits, _tls_context, connect
from exporter.api.keys import KeyFile
from exporter.api.query import InstanceQuery
from exporter.settings import fingerprint
from tests.api.paged import all_rows
from tests.api.scripted import answer, scripted
from tests.certificates import Authority
from tests.settings.configured import load_hub

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{scheme}_PROXY", raising=False)
        monkeypatch.delenv(f"{scheme.lower()}_proxy", raising=False)


@dataclass(slots=True)
class Proxy:
    """A proxy that counts its connections, and keeps the heads of what it was asked."""

    url: str = ""
    connections: int = 0
    heads: list[str] = field(default_factory=list)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            method, target, _ = head.split(" ", 2)
            host, _, port = (
                target if method == "CONNECT" else httpx.URL(target).netloc.decode()
            ).rpartition(":")
            there = await asyncio.open_connection(host, int(port))
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there[1].write(head.encode("latin-1"))
            await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Proxy, None]:
    served = Proxy()
    server = await asyncio.start_server(served.connected, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    served.url = f"{'https' if tls else 'http'}://us%40er:pr0xy-pass@127.0.0.1:{port}"
    try:
        yield served
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
@pytest.mark.parametrize("hub_scheme", ["http", "https"])
@pytest.mark.parametrize("where", ["setting", "environment"])
async def test_every_request_goes_through_the_proxy_over_kept_connections(
    *,
    where: str,
    hub_scheme: str,
    proxy_scheme: str,
    authority: trustme.CA,
    server_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    pages = (answer(x_ms_continuation_token="t"), answer())
    async with (
        scripted(*pages, tls=server_tls if hub_scheme == "https" else None) as server,
        proxy(server_tls if proxy_scheme == "https" else None) as through,
    ):
        settings = {"URL": server.url, "KEY": "the-key", "TLS__CA_FILE": str(ca_file)}
        if where == "setting":
            settings["PROXY"] = through.url
        else:
            monkeypatch.setenv(f"{hub_scheme.upper()}_PROXY", through.url)
        async with aclosing(connect(load_hub(settings), SharedLimits())) as client:
            for _ in range(3):
                await all_rows(client, client.list_instances(InstanceQuery()))
    assert len(server.requests) >= 4
    assert through.connections == 1
    (head,) = through.heads
    assert head.startswith("CONNECT " if hub_scheme == "https" else f"GET {server.url}/")
    assert "proxy-authorization: basic dXNAZXI6cHIweHktcGFzcw==".lower() in head.lower()
    assert ("the-key" in head) is (hub_scheme == "http")


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "localhost,127.0.0.1"])
async def test_what_no_proxy_names_is_reached_straight(
    monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exempt)
    async with (
        scripted(answer()) as server,
        aclosing(connect(load_hub({"URL": server.url}), SharedLimits())) as client,
    ):
        assert await all_rows(client, client.list_instances(InstanceQuery())) == []


async def test_requests_have_the_headers_of_the_settings_and_no_others_of_the_library() -> None:
    async with scripted(answer(x_ms_continuation_token="t"), answer()) as server:
        hub = load_hub({"URL": server.url, "KEY": "the-key", "HEADERS": '{"x-team": "orders"}'})
        async with aclosing(connect(hub, SharedLimits())) as client:
            await all_rows(client, client.list_instances(InstanceQuery()))
    assert len(server.requests) == 2
    for request, token in zip(server.requests, (None, "t"), strict=True):
        fields = httpx.Headers(dict(line.split(": ", 1) for line in request.split("\r\n")[1:]))
        assert fields.pop("user-agent").startswith("durable-functions-exporter/")
        assert fields.pop("x-ms-continuation-token", None) == token
        assert dict(fields) == {
            "x-functions-key": "the-key",
            "x-team": "orders",
            "accept": "application/json",
            "accept-encoding": "identity",
            "host": server.url.split("/")[2],
        }


class TestKeyFile:
    @pytest.mark.parametrize("content", ["", " \n", "two\nlines", "\N{SNOWMAN}", "nul\0"])
    def test_what_cannot_be_a_key_leaves_it_as_it_was(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "key"
        path.write_text("good")
        key = KeyFile(path)
        path.write_text(content, encoding="utf-8")
        assert not key.reread()
        assert key.key == "good"

    def test_bytes_that_are_no_text_leave_it_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("good")
        key = KeyFile(path)
        path.write_bytes(b"\xff\xfe")
        assert not key.reread()
        path.unlink()
        assert not key.reread()
        assert key.key == "good"


def test_another_authority_in_the_same_file_makes_another_context(tmp_path: Path) -> None:
    path = Authority(tmp_path).file

    def context() -> object:
        return _tls_context(path, None, None, fingerprint([path]))

    first = context()
    assert context() is first
    Authority(tmp_path)
    assert context() is not first
