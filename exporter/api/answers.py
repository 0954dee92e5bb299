"""Answers to single requests: bodies read within bounds, and what they mean."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec

from exporter.api.classify import Failures, parse_http_date
from exporter.api.connection_errors import TRANSPORT_ERRORS
from exporter.api.errors import ApiError, ErrorKind, ProtocolError
from exporter.api.wire import InstanceStatus

NEXT_PAGE = b"x-ms-continuation-token"

Decoded = TypeVar("Decoded")

# Inflated at a time: a few bytes can expand a thousandfold.
_STEP = 1 << 16
# Read of a body that only explains a failure.
EXPLANATION_BYTES = 1 << 16
# Two events of the history have one key, as after an activity was renamed (reference 3.2).
_SAME_KEY = b"same key has already been added"
_INSTANCE = msgspec.json.Decoder(InstanceStatus)
# All answers of a second have the same text.
_seconds_of = lru_cache(maxsize=8)(parse_http_date)
_WINDOW_BITS = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; `seconds` is the time from the request to its end."""

    status: int
    headers: httpx.Headers
    body: bytes
    seconds: float

    @property
    def token(self) -> bytes:
        """The token of the next page, byte for byte; empty if none."""
        found = (value for name, value in self.headers.raw if name.lower() == NEXT_PAGE)
        return next(found, b"").strip(b" \t")

    @property
    def date(self) -> float | None:
        """The server's clock, None if not sent."""
        return _seconds_of(self.headers.get("date"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request and its outcome, without the header fields sent.

    `target` is the path and query below the base URL, `token` that of the requested page. Without
    an `answer`, `error` says why the request failed; `status` may have arrived before.
    """

    target: str
    token: bytes
    answer: Answer | None = None
    error: ErrorKind | None = None
    status: int | None = None


class BodyBudget:
    """
    Bounds all bodies in flight in the process, in bytes.

    When it is full, the largest body is dropped, so that a hub with too large answers does not slow
    down others.
    """

    def __init__(self, limit: int = 32 << 20) -> None:
        self.limit = limit
        self.taken = 0
        self._bodies: set[Body] = set()

    @contextmanager
    def body(self) -> Iterator[Body]:
        """Yield a body to read into, which counts until the block ends."""
        body = Body(self)
        self._bodies.add(body)
        try:
            yield body
        finally:
            self._bodies.discard(body)
            self.taken -= body.size

    def add(self, piece: bytes, body: Body) -> bool:
        """Append *piece* to *body*; False if *body* was dropped."""
        size = len(piece)
        while body in self._bodies and self.taken + size > self.limit:
            largest = max(self._bodies, key=lambda each: each.size)
            self._bodies.remove(largest)
            self.taken -= largest.size
            largest.size = 0
            largest.pieces.clear()
        if body not in self._bodies:
            return False
        self.taken += size
        body.pieces.append(piece)
        body.size += size
        return True


@dataclass(slots=True, eq=False)
class Body:
    """The bytes of one answer so far."""

    budget: BodyBudget
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


async def read_body(response: httpx.Response, limit: int, body: Body, failures: Failures) -> bytes:
    """
    Return the body of *response*, read into *body*.

    Raises:
        ProtocolError: it has over *limit* bytes (announced, received or inflated), several content
            codings or an unknown one, or was dropped.
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
    """Return the beginning of a body that explains a failure, as far as it is readable."""
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


def decode(read: Callable[[bytes], Decoded], failures: Failures, answer: Answer) -> Decoded:
    """Decode the body; raises `ProtocolError` if it has another form."""
    try:
        return read(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise failures.protocol(
            f"the answer is not the JSON that was asked for ({answer.headers.get('content-type')})",
            status=answer.status,
        ) from error


def decode_status(
    failures: Failures, answer: Answer, instance_id: str, *, history: bool = False
) -> InstanceStatus | None:
    """
    Return the status of one instance, None if there is no such instance.

    An active one has status 202, and 500 can carry an instance, too (reference 3.2).

    Raises:
        HistoryRefused: the requested *history* cannot be shown.
        ApiError: the answer is a failure.
    """
    if answer.status == HTTPStatus.NOT_FOUND and not answer.body.strip():
        return None
    if history and answer.status == HTTPStatus.BAD_REQUEST and _SAME_KEY in answer.body:
        raise failures.history_refused()
    is_success = answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
    if not is_success and answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        raise failures.of_status(answer.status, answer.headers, answer.body)
    try:
        status = decode(_INSTANCE.decode, failures, answer)
    except ApiError:
        if is_success:
            raise
        raise failures.of_status(answer.status, answer.headers, answer.body) from None
    if status.instance_id != instance_id:
        raise failures.protocol("the answer is about another instance", status=answer.status)
    return status
