"""One connection: bytes out, bytes in, and how it ended."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx

RECEIVED_AT_ONCE = 1 << 18
"""Bytes that are received before somebody takes them: a usual page comes in one piece."""

_NOWHERE = bytearray(1)
# Connections that rest lend their buffers to those that do not: to make one costs more than to
# fill it.
_spare_buffers: list[bytearray] = []
_MOST_SPARE_BUFFERS = 4


class Wire(asyncio.BufferedProtocol):
    """
    The bytes of one connection, on which one request is under way at a time.

    What comes in lands in a buffer of its own, or, while a body of known length is read, where that
    body is kept. When the buffer is full nothing more is read until it is taken. Bytes that come in
    between requests break the connection: nobody asked for them.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = _NOWHERE
        self._begin = 0
        self._filled = 0
        self._target: memoryview | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received_at = 0.0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.has_received = False
        self._idle_since = 0.0

    # -- what asyncio calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a new connection."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next bytes go."""
        if self._target is not None:
            return self._target
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Note that bytes came in."""
        self.has_received = True
        self._received_at = self._loop.time()
        if self._target is not None:
            self._target = self._target[nbytes:]
            if self._target:
                return
            self._target = None
        elif self._buffer is _NOWHERE:
            self.abort()
        else:
            self._filled += nbytes
            self._pause_at_the_end()
        self._wake()

    def eof_received(self) -> bool:
        """Note that no more bytes will come."""
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._ended = True
        self._error = exc
        self._wake()
        if not self.closed.done():
            self.closed.set_result(None)

    # -- what a request does -------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Tell whether a request can be sent, as far as is known."""
        return not self._ended

    def begin(self, request: bytes) -> None:
        """Send a whole *request*."""
        self._buffer = _spare_buffers.pop() if _spare_buffers else bytearray(RECEIVED_AT_ONCE)
        self.has_received = False
        if self._transport is not None:
            self._transport.write(request)

    def rest(self) -> None:
        """Note that an answer was read to its end; whatever came after it breaks the connection."""
        if self._filled > self._begin:
            self.abort()
        elif len(_spare_buffers) < _MOST_SPARE_BUFFERS:
            _spare_buffers.append(self._buffer)
        self._buffer = _NOWHERE
        self._begin = self._filled = 0
        self._idle_since = self._loop.time()

    @property
    def idle_seconds(self) -> float:
        """How long ago the last answer was read to its end."""
        return self._loop.time() - self._idle_since

    def abort(self) -> None:
        """Close at once."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    def find(self, mark: bytes) -> int:
        """Return how far *mark* is from the first byte that has come in, -1 if it is not there."""
        found = self._buffer.find(mark, self._begin, self._filled)
        return found if found < 0 else found - self._begin

    def peek(self, most: int) -> bytes:
        """Return the first bytes that have come in, at *most* so many, and leave them there."""
        with memoryview(self._buffer) as view:
            return bytes(view[self._begin : min(self._begin + most, self._filled)])

    @property
    def available(self) -> int:
        """How many bytes have come in and were not taken."""
        return self._filled - self._begin

    def take(self, most: int) -> bytes:
        """Return the first bytes that have come in, at *most* so many, and let go of them."""
        taken = self.peek(most)
        self._let_go(len(taken))
        return taken

    def _take_into(self, target: memoryview) -> int:
        """Move what has come in to where it is wanted; returns how many bytes that were."""
        count = min(len(target), self._filled - self._begin)
        with memoryview(self._buffer) as view:
            target[:count] = view[self._begin : self._begin + count]
        self._let_go(count)
        return count

    def _let_go(self, count: int) -> None:
        self._begin += count
        if self._begin == self._filled:
            self._begin = self._filled = 0
        if self._paused and count:
            self._make_room()
            self._resume()

    async def more(self, patience: float | None) -> bool:
        """
        Wait until more bytes have come in; False if none will come.

        Raises `httpx.ReadTimeout` after *patience* seconds without any, `httpx.ReadError` if the
        connection broke.
        """
        before = self._filled
        while self._filled == before:
            if self._has_ended():
                return False
            await self._wait(patience)
        return True

    async def fill(self, target: memoryview, patience: float | None) -> bool:
        """Wait until *target* is full; False if the bytes end before. Raises as `more` does."""
        count = self._take_into(target)
        self._target = target[count:] or None
        try:
            while self._target is not None:
                if self._has_ended():
                    return False
                await self._wait(patience)
        finally:
            self._target = None
        return True

    def _has_ended(self) -> bool:
        if self._error is not None:
            raise httpx.ReadError("the connection broke") from self._error
        return self._ended

    # -- waiting -------------------------------------------------------------------------------

    async def _wait(self, patience: float | None) -> None:
        self._received_at = self._loop.time()
        self._waiter = self._loop.create_future()
        if patience is not None:
            self._timer = self._loop.call_at(self._received_at + patience, self._expire, patience)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()

    def _expire(self, patience: float) -> None:
        """Give up, unless bytes have come in since."""
        due = self._received_at + patience
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._expire, patience)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(httpx.ReadTimeout("no bytes came in time"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pause_at_the_end(self) -> None:
        """Read no more when there is no room behind what has come in."""
        if self._filled == len(self._buffer) and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _make_room(self) -> None:
        left = self._buffer[self._begin : self._filled]
        self._buffer[: len(left)] = left
        self._begin, self._filled = 0, len(left)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._ended:
            self._transport.resume_reading()
