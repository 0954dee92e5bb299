"""The transport: requests to answers, over connections that are kept."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import httpx

from exporter.api.transport.body import Body
from exporter.api.transport.dialing import Dialing, Origin, dial
from exporter.api.transport.head import BLANK_LINE, LARGEST_HEAD, Head, may_begin, parse_head
from exporter.api.transport.wire import Wire


class DirectTransport(httpx.AsyncBaseTransport):
    """
    Sends GET requests straight to their servers.

    A connection is kept for *keep_idle* seconds after an answer that was read to its end, and
    closed after any other. A request on a kept connection that ends before the first byte of an
    answer is sent once more, on a new one. Raises what httpx's own transport raises; no message
    quotes what was sent or received.
    """

    def __init__(
        self, *, verify: ssl.SSLContext, keep_idle: float = 120.0, dialing: Dialing = dial
    ) -> None:
        verify.set_alpn_protocols(["http/1.1"])
        self._tls = verify
        self._keep_idle = keep_idle
        self._dial = dialing
        self._idle: dict[Origin, list[Wire]] = {}
        self._open: set[Wire] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the body of the answer is read as it is iterated over."""
        if request.method != "GET":
            raise httpx.UnsupportedProtocol("only GET requests are sent")
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        head, body = await self.get(
            Origin.of(request.url),
            request.url.raw_path,
            request.headers.raw,
            connect=timeouts.get("connect"),
            patience=timeouts.get("read"),
        )
        return httpx.Response(
            head.status,
            headers=head.fields,
            stream=body,
            extensions={"http_version": head.version, "reason_phrase": head.reason},
        )

    async def get(
        self,
        origin: Origin,
        path: bytes,
        fields: Sequence[tuple[bytes, bytes]],
        *,
        connect: float | None = None,
        patience: float | None = None,
    ) -> tuple[Head, Body]:
        """
        Ask for *path*, the `Host` being among the *fields*; without httpx's objects around it.

        *connect* is how many seconds a new connection may take, *patience* how many may pass
        without a byte of the answer; None is no limit of that kind.
        """
        text = request_text(path, fields)
        kept = self._kept(origin)
        if kept is not None:
            try:
                return await self._exchange(kept, origin, text, patience)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                if kept.has_received:
                    raise
        wire = await self._dial(origin, self._tls, connect)
        self._open.add(wire)
        wire.closed.add_done_callback(lambda _: self._open.discard(wire))
        return await self._exchange(wire, origin, text, patience)

    async def aclose(self) -> None:
        """Close all connections, also those of answers that are being read."""
        self._idle.clear()
        still_open = list(self._open)
        for wire in still_open:
            wire.abort()
        for wire in still_open:
            await wire.closed

    def _kept(self, origin: Origin) -> Wire | None:
        """Return a connection that was kept and may still be used."""
        kept = self._idle.get(origin)
        while kept:
            wire = kept.pop()
            if wire.is_usable and wire.idle_seconds <= self._keep_idle:
                return wire
            wire.abort()
        return None

    def _keep(self, origin: Origin, wire: Wire) -> None:
        wire.rest()
        if wire.is_usable:
            self._idle.setdefault(origin, []).append(wire)

    async def _exchange(
        self, wire: Wire, origin: Origin, text: bytes, patience: float | None
    ) -> tuple[Head, Body]:
        with ExitStack() as undo:
            undo.callback(wire.abort)
            wire.begin(text)
            head = await _read_head(wire, patience)
            undo.pop_all()
        return head, Body(wire, head, patience, partial(self._keep, origin))


def request_text(path: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """
    Return a GET request as it is sent.

    Raises `httpx.LocalProtocolError` where a line end in a field would make two of it.
    """
    lines = [b"GET %b HTTP/1.1" % path, *(b"%b: %b" % field for field in fields)]
    text = b"\r\n".join(lines)
    if text.count(b"\n") != len(fields) or text.count(b"\r") != len(fields) or b"\0" in text:
        raise httpx.LocalProtocolError("a header field has a line end or a zero byte")
    return text + BLANK_LINE


async def _read_head(wire: Wire, patience: float | None) -> Head:
    """Read the head of an answer, over those that come before it (103 Early Hints)."""
    read = 0
    while True:
        end = wire.find(BLANK_LINE)
        if end >= 0:
            head = parse_head(wire.take(end + len(BLANK_LINE))[:end])
            if not head.is_interim:
                return head
            read += end
        if not may_begin(wire.peek(len(BLANK_LINE) * 2)):
            raise httpx.RemoteProtocolError("the answer is not HTTP/1")
        if read + (wire.available if end < 0 else 0) > LARGEST_HEAD:
            raise httpx.RemoteProtocolError("the head of the answer is too large")
        if end < 0 and not await wire.more(patience):
            raise httpx.RemoteProtocolError("the connection was closed before an answer")
