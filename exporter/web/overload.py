"""More requests than can be answered: how many may wait, and what the others are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

Result = TypeVar("Result")

_RETRY_AFTER_SECONDS = 5


class Busy(Exception):
    """So much waits already that no more may; the client can try again later."""


def refusal(text: str, status: int, retry_after: float = _RETRY_AFTER_SECONDS) -> PlainTextResponse:
    """Return the answer to a client that is to come back after *retry_after* seconds."""
    # Without the connection, whatever else it has sent ahead costs nothing.
    headers = {"retry-after": str(max(1, math.ceil(retry_after))), "connection": "close"}
    return PlainTextResponse(f"{text}\n", status, headers)


class ConcurrencyLimit:
    """Lets *app* answer *limit* requests at once; 503 for more."""

    def __init__(self, app: ASGIApp, limit: Callable[[], int], what: str) -> None:
        self._app = app
        self._limit = limit
        self._what = what
        self._under_way = 0

    @property
    def is_idle(self) -> bool:
        """Return whether nobody is being answered."""
        return not self._under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or turn it away."""
        if self._under_way >= self._limit():
            await refusal(f"too many {self._what} at once", 503)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


class _Job(Generic[Result]):
    """A piece of work for all who came before it began; None where that was given up."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.result: Result | None = None


class WorkQueue(Generic[Result]):
    """
    Work in threads, one piece at a time; those who wait for the same share it.

    More threads would only take turns, and keep the event loop waiting longer. `turn` is held by
    whoever works.
    """

    def __init__(self, max_waiting: float = math.inf) -> None:
        self.turn = anyio.Lock()
        self._threads = anyio.CapacityLimiter(1)
        self._max_waiting = max_waiting
        self._waiting: dict[Hashable, _Job[Result]] = {}

    def awaits(self, key: Hashable) -> bool:
        """Tell whether the work with *key* waits for its turn."""
        return key in self._waiting

    async def run(self, key: Hashable, begin: Callable[[], Callable[[], Result]]) -> Result:
        """
        Return the result of the work that is the same for all with *key*.

        *begin* is called in the event loop when the turn has come, and returns the work. Whoever
        comes later may know of something newer, and waits for the next one. Of those that wait
        nothing is done for whoever is cancelled.

        Raises:
            Busy: *max_waiting* other pieces of work wait.
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
                # Never abandoned: a thread that goes on would be one more than are counted.
                job.result = await anyio.to_thread.run_sync(begin(), limiter=self._threads)
        finally:
            if self._waiting.get(key) is job:
                del self._waiting[key]
            job.ended.set()
        return job.result
