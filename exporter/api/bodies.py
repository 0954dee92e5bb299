"""Bodies of answers: read in pieces, inflated in steps, bounded for one and for all together."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx

from exporter.api.classify import Failures
from exporter.api.connection_errors import TRANSPORT_ERRORS
from exporter.api.errors import ProtocolError

# What is inflated at once: a few bytes can stand for a thousand times as many.
_STEP = 1 << 16
# Of a body that only says why there is no result, more is never looked at.
EXPLANATION_BYTES = 1 << 16
_WINDOW_BITS = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}


class BodyBudget:
    """
    Bounds all bodies in flight in the process, in bytes.

    Where the next piece of a body has no room, the largest body gives up: it is that of the hub
    whose answers are too large, and the others keep their pace.
    """

    def __init__(self, limit: int = 32 << 20) -> None:
        self.limit = limit
        self.taken = 0
        self._bodies: set[Body] = set()

    @contextmanager
    def body(self) -> Iterator[Body]:
        """Yield a body to read into, which counts until the block is left."""
        body = Body(self)
        self._bodies.add(body)
        try:
            yield body
        finally:
            self._release(body)

    def add(self, piece: bytes, body: Body) -> bool:
        """Append *piece* to *body*; False if that is the one to give up."""
        size = len(piece)
        while body in self._bodies and self.taken + size > self.limit:
            largest = max(self._bodies, key=lambda each: each.size)
            self._release(largest)
            largest.pieces.clear()
        if body not in self._bodies:
            return False
        self.taken += size
        body.pieces.append(piece)
        body.size += size
        return True

    def _release(self, body: Body) -> None:
        if body in self._bodies:
            self._bodies.remove(body)
            self.taken -= body.size


@dataclass(slots=True, eq=False)
class Body:
    """The bytes of one answer so far: `size` of them, in `pieces`."""

    budget: BodyBudget
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


async def read_body(response: httpx.Response, limit: int, body: Body, failures: Failures) -> bytes:
    """
    Read the body of *response* into *body*; returns all of it.

    Raises:
        ProtocolError: it has over *limit* bytes, as announced, received or inflated; it came in
            several content codings, or in an unknown one; or it had to give up.
        httpx.HTTPError: the connection failed.
    """
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise failures.too_large(limit)
    coding = response.headers.get("content-encoding", "").strip().lower()
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("the transport is not asynchronous")
    pieces = aiter(response.stream)
    if coding not in ("", "identity"):
        pieces = _inflated(pieces, coding, failures)
    async for piece in pieces:
        if body.size + len(piece) > limit:
            raise failures.too_large(limit)
        if not body.budget.add(piece, body):
            raise failures.too_large_together()
    return b"".join(body.pieces)


async def read_explanation(response: httpx.Response, body: Body, failures: Failures) -> bytes:
    """Read the begin of a body that says why there is no result, as far as it is readable."""
    with suppress(ProtocolError, *TRANSPORT_ERRORS):
        await read_body(response, EXPLANATION_BYTES, body, failures)
    return b"".join(body.pieces)


async def _inflated(
    received: AsyncIterator[bytes], coding: str, failures: Failures
) -> AsyncIterator[bytes]:
    """Undo one content *coding*, in bounded steps."""
    if coding not in _WINDOW_BITS:
        raise failures.protocol("the body has an unrequested compression")
    inflater = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        async for piece in received:
            while piece:
                yield inflater.decompress(piece, _STEP)
                piece = inflater.unconsumed_tail  # noqa: PLW2901 - what is left of it
    except zlib.error:
        raise failures.protocol(f"the body is not {coding}, as it says") from None
    if not inflater.eof or inflater.unused_data:
        raise failures.protocol(f"the body is not {coding}, as it says")
