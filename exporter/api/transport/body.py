"""The body of an answer, read piece by piece, by length, by chunks or to the connection's end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, cast

import httpx

from exporter.api.transport.chunked import ChunkedBody
from exporter.api.transport.head import Head
from exporter.api.transport.wire import RECEIVED_AT_ONCE, Wire

_LARGEST_PIECE = 1 << 20


class _Reader(Protocol):
    is_complete: bool

    async def read(self) -> bytes:
        """Return the next piece; an empty one is the end. Raises `httpx.TransportError`."""


class Body(httpx.AsyncByteStream):
    """
    The body of an answer; *completed* is called with its connection once it was read to its end.

    A body that is closed before takes its connection with it.
    """

    def __init__(
        self, wire: Wire, head: Head, patience: float | None, completed: Callable[[Wire], None]
    ) -> None:
        self._wire = wire
        self._reader = _reader_of(wire, head, patience)
        self._keeps_alive = head.keeps_alive
        self._completed = completed
        self._open = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._reader.read() if self._open else b""
        if self._open and self._reader.is_complete:
            self._complete()
        if not piece:
            raise StopAsyncIteration
        return piece

    def _complete(self) -> None:
        self._open = False
        if self._keeps_alive:
            self._completed(self._wire)
        else:
            self._wire.abort()

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end."""
        if self._open:
            self._open = False
            self._wire.abort()


def _reader_of(wire: Wire, head: Head, patience: float | None) -> _Reader:
    if head.length is not None:
        return _OfLength(wire, patience, head.length)
    return _Chunks(wire, patience) if head.chunked else _ToTheEnd(wire, patience)


class _OfLength:
    """Reads straight into the pieces that it returns."""

    def __init__(self, wire: Wire, patience: float | None, length: int) -> None:
        self._wire = wire
        self._patience = patience
        self._left = length
        self.is_complete = length == 0

    async def read(self) -> bytes:
        size = min(self._left, _LARGEST_PIECE)
        if size <= self._wire.available:
            self._left -= size
            self.is_complete = self._left == 0
            return self._wire.take(size)
        piece = bytearray(size)
        if not await self._wire.fill(memoryview(piece), self._patience):
            raise _cut_off()
        self._left -= len(piece)
        self.is_complete = self._left == 0
        # As good as bytes for whoever only reads it, and not copied once more.
        return cast("bytes", piece)


class _Chunks:
    def __init__(self, wire: Wire, patience: float | None) -> None:
        self._wire = wire
        self._patience = patience
        self._body = ChunkedBody()
        self.is_complete = False

    async def read(self) -> bytes:
        while True:
            piece = self._body.feed(self._wire.take(RECEIVED_AT_ONCE))
            self.is_complete = self._body.is_complete
            if self._body.rest and self.is_complete:
                self._wire.abort()
            if piece or self.is_complete:
                return piece
            if not await self._wire.more(self._patience):
                raise _cut_off()


class _ToTheEnd:
    def __init__(self, wire: Wire, patience: float | None) -> None:
        self._wire = wire
        self._patience = patience
        self.is_complete = False

    async def read(self) -> bytes:
        piece = self._wire.take(RECEIVED_AT_ONCE)
        if not piece and await self._wire.more(self._patience):
            piece = self._wire.take(RECEIVED_AT_ONCE)
        self.is_complete = not piece
        return piece


def _cut_off() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the connection was closed in the middle of the answer")
