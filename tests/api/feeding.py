"""Connections that exist in memory only: what comes in, in which pieces, is a test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpcore
import httpx

from exporter.api.transport.direct import DirectTransport
from exporter.api.transport.wire import Wire
from tests.api.scripted import TLS

URL = "http://app.example/instances"


class Feed(asyncio.Transport):
    """Feeds a wire piece by piece once a request was sent, then says that there is no more."""

    def __init__(self, wire: Wire, pieces: Sequence[bytes], failure: Exception | None) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._pieces = [piece for piece in pieces if piece]
        self._failure = failure
        self._is_paused = False
        self._is_closed = False
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)
        self._loop.call_soon(self._feed)

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._loop.call_soon(self._feed)

    def abort(self) -> None:
        self._close(None)

    def _feed(self) -> None:
        if self._is_paused or self._is_closed:
            return
        if not self._pieces:
            if self._failure is None:
                self._wire.eof_received()
            self._close(self._failure)
            return
        piece = self._pieces.pop(0)
        room = self._wire.get_buffer(-1)
        count = min(len(room), len(piece))
        room[:count] = piece[:count]
        if count < len(piece):
            self._pieces.insert(0, piece[count:])
        self._wire.buffer_updated(count)
        self._loop.call_soon(self._feed)

    def _close(self, failure: Exception | None) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._loop.call_soon(self._wire.connection_lost, failure)


def fed(*connections: Sequence[bytes], failure: Exception | None = None) -> DirectTransport:
    """Return a direct transport whose connections are fed, one after the other."""
    left = list(connections)

    async def dialing(*_: object) -> Wire:
        wire = Wire()
        wire.connection_made(Feed(wire, left.pop(0), failure))
        return wire

    return DirectTransport(verify=TLS, dialing=dialing)


def httpx_s_own(pieces: Sequence[bytes]) -> httpx.AsyncHTTPTransport:
    """Return httpx's own transport on a connection that is fed the same."""
    transport = httpx.AsyncHTTPTransport(verify=TLS)
    transport._pool = httpcore.AsyncConnectionPool(
        network_backend=httpcore.AsyncMockBackend([piece for piece in pieces if piece])
    )
    return transport


async def ask(transport: httpx.AsyncBaseTransport) -> tuple[int, list[tuple[str, str]], bytes]:
    """Ask once; returns status, header fields and body."""
    request = httpx.Request("GET", URL, headers={"x-functions-key": "s3cret-key"})
    response = await transport.handle_async_request(request)
    try:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = b"".join([piece async for piece in response.stream])
    finally:
        await response.aclose()
    return response.status_code, response.headers.multi_items(), body
