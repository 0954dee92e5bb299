"""A server on loopback that answers with scripted bytes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener

from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.api.transport import HubConnections, NameResolver, connections_to

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
SILENCE = b""
TLS = ssl.create_default_context()


def answer(
    body: str | bytes = "[]",
    status: str = "200 OK",
    *,
    content_type: str = "application/json; charset=utf-8",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """Return a whole answer; a *length* other than the body's cuts it off."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Date: {DATE}", f"Content-Type: {content_type}"]
    lines.append(f"Content-Length: {len(content) if length is None else length}")
    lines.extend(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass(slots=True)
class ScriptedServer:
    """Gives its answers in turn, the last one again and again; keeps the requests."""

    answers: Sequence[bytes]
    requests: list[str] = field(default_factory=list)
    url: str = ""

    async def handle(self, stream: SocketStream) -> None:
        async with stream:
            buffer = b""
            while True:
                try:
                    buffer += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
                while b"\r\n\r\n" in buffer:
                    head, buffer = buffer.split(b"\r\n\r\n", 1)
                    script = self.answers[min(len(self.requests), len(self.answers) - 1)]
                    self.requests.append(head.decode("latin-1"))
                    if script == SILENCE:
                        await anyio.sleep_forever()
                    await stream.send(script)
                    if _is_cut_off(script):
                        return


def _is_cut_off(script: bytes) -> bool:
    head, _, body = script.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return len(body) < length


@asynccontextmanager
async def scripted(
    *answers: bytes, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[ScriptedServer, None]:
    """Run a server that gives *answers*."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    server = ScriptedServer(answers)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/runtime/webhooks/durabletask"
    serving = TLSListener(listener, tls, standard_compatible=False) if tls else listener
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serving.serve, server.handle)  # type: ignore[arg-type] # either stream
        yield server
        tasks.cancel_scope.cancel()
    await listener.aclose()


@asynccontextmanager
async def connections(
    tls: ssl.SSLContext = TLS,
    *,
    proxy: str | None = None,
    names: NameResolver | None = None,
    connect_seconds: float = 30.0,
) -> AsyncGenerator[HubConnections, None]:
    """Open connections as the exporter does."""
    own = NameResolver()
    http = connections_to(
        "https://", tls=tls, names=names or own, connect_seconds=connect_seconds, proxy=proxy
    )
    async with aclosing(http), aclosing(own):
        yield http


@asynccontextmanager
async def client_of(
    server: ScriptedServer | str,
    *,
    retries: int = 0,
    timeout: float = 30.0,  # noqa: ASYNC109 - of the requests, not of this function
    key: KeySource | None = None,
    max_bytes: int = 1 << 20,
    max_pages: int = 50,
    page_size: int = 50,
    page_bytes: int = 1 << 20,
    bodies: BodyBudget | None = None,
    http: AbstractAsyncContextManager[HubConnections] | None = None,
) -> AsyncGenerator[HubClient, None]:
    """Return a client of *server* that never waits between retries."""
    url = server if isinstance(server, str) else server.url
    async with http or connections() as opened:
        yield HubClient(
            "orders",
            HubAddress(url, "OrdersHub", "Storage"),
            http=opened,
            key=key or KeySource("s3cret-key"),
            retry=RetryPolicy(retries, 0.0, 0.0),
            limits=RequestLimits(timeout, page_size, max_pages, page_bytes, max_bytes, max_bytes),
            host=HostSlots().of("http://hub", 4),
            bodies=bodies or BodyBudget(),
        )
