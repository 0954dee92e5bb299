"""Serving under load: limits of requests, shared work, answers in slices."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.settings import RateLimit

Result = TypeVar("Result")

_RETRY_AFTER_SECONDS = 5
# Fifty answers sent at once do not block the event loop.
_SLICE = 1 << 16
# Above this, the least recently seen address starts with a full bucket.
_MAX_ADDRESSES = 4096
# A client with one IPv6 address has the whole network.
_NETWORK_BITS = 64


class SlicedResponse(Response):
    """A body in pieces, which other answers may share, sent in slices."""

    def __init__(
        self, pieces: Sequence[bytes], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self._pieces = pieces
        length = sum(len(piece) for piece in pieces)
        super().__init__(
            status_code=status, headers={**(headers or {}), "content-length": str(length)}
        )

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the answer."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for part in self._slices():
            # A socket that takes everything at once would block the event loop.
            await anyio.lowlevel.checkpoint()
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _slices(self) -> Iterator[bytes]:
        for piece in self._pieces:
            for start in range(0, len(piece), _SLICE):
                yield piece[start : start + _SLICE]


class Busy(Exception):
    """The queue is full; the client can retry later."""


def refusal(text: str, status: int, retry_after: float = _RETRY_AFTER_SECONDS) -> PlainTextResponse:
    """Return an answer that asks the client to retry after *retry_after* seconds."""
    # Closed: requests sent ahead on this connection cost nothing.
    headers = {"retry-after": str(max(1, math.ceil(retry_after))), "connection": "close"}
    return PlainTextResponse(f"{text}\n", status, headers)


class ConcurrencyLimit:
    """Limits *app* to *limit* concurrent requests; 503 for more."""

    def __init__(self, app: ASGIApp, limit: Callable[[], int], what: str) -> None:
        self._app = app
        self._limit = limit
        self._what = what
        self._under_way = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request is in flight."""
        return not self._under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""
        if self._under_way >= self._limit():
            await refusal(f"too many {self._what} at once", 503)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


class _Job(Generic[Result]):
    """Work for all requests made before it began; without result if cancelled."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.result: Result | None = None


class WorkQueue(Generic[Result]):
    """
    Work in a thread, one piece at a time, shared by all who wait for the same.

    More threads would only compete with the event loop. `turn` is held while working.
    """

    def __init__(self, max_waiting: float = math.inf) -> None:
        self.turn = anyio.Lock()
        self._threads = anyio.CapacityLimiter(1)
        self._max_waiting = max_waiting
        self._waiting: dict[Hashable, _Job[Result]] = {}

    def awaits(self, key: Hashable) -> bool:
        """Return whether work with *key* is queued."""
        return key in self._waiting

    async def run(self, key: Hashable, begin: Callable[[], Callable[[], Result]]) -> Result:
        """
        Return the result of the work with *key*, the same for all who queue before it begins.

        *begin* is called in the event loop when it is due, and returns the work. Cancelled requests
        cost no work.

        Raises:
            Busy: *max_waiting* pieces of work are queued.
        """
        while True:
            job = self._waiting.get(key)
            if job is None:
                return await self._work(key, begin)
            await job.ended.wait()
            if job.result is not None:
                return job.result

    async def _work(self, key: Hashable, begin: Callable[[], Callable[[], Result]]) -> Result:
        if len(self._waiting) >= self._max_waiting:
            raise Busy
        job: _Job[Result] = _Job()
        self._waiting[key] = job
        try:
            async with self.turn:
                del self._waiting[key]
                # Never abandoned: the thread would continue uncounted.
                job.result = await anyio.to_thread.run_sync(begin(), limiter=self._threads)
        finally:
            if self._waiting.get(key) is job:
                del self._waiting[key]
            job.ended.set()
        return job.result


class TokenBucket:
    """Admits one request per interval, and a burst at once; *monotonic* never jumps."""

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._tokens = float(limit.burst)
        self._filled = monotonic()

    def take(self) -> bool:
        """Take a token; False if there is none."""
        now = self._monotonic()
        grown = self._tokens + (now - self._filled) / self._limit.interval
        self._tokens, self._filled = min(float(self._limit.burst), grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def give_back(self) -> None:
        """Return a token."""
        self._tokens += 1.0

    @property
    def wait(self) -> float:
        """Seconds until the next token."""
        return max(0.0, (1.0 - self._tokens) * self._limit.interval)


class AddressBuckets:
    """A bucket per client address, at most `_MAX_ADDRESSES`."""

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def bucket_of(self, host: str) -> TokenBucket:
        """Return the bucket of a client."""
        network = network_of(host)
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = TokenBucket(self._limit, self._monotonic)
            if len(self._buckets) > _MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(network)
        return bucket


def network_of(host: str) -> str:
    """Return what all addresses of one client share."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(int(address) >> _NETWORK_BITS)
