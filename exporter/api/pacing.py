"""When a request may be sent: slots of a host, rate of a hub, pauses before retries, priority."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum

import anyio
import httpx

from exporter.api.errors import ApiError

_BURST_SECONDS = 1.0
# Gateways with limits per minute ask for as much, and a long listing has to get past them.
_LONGEST_PAUSE = 60.0


class Priority(IntEnum):
    """What a request is for, the most urgent first."""

    ACTIVE = 0
    FINISHED = 1
    OTHER = 2


priority: ContextVar[Priority] = ContextVar("priority", default=Priority.OTHER)


@contextmanager
def with_priority(urgency: Priority) -> Iterator[None]:
    """Send all requests of the block with a priority."""
    token = priority.set(urgency)
    try:
        yield
    finally:
        priority.reset(token)


@dataclass(slots=True)
class _Host:
    slots: int
    taken: int = 0
    waiting: OrderedDict[HubSlots, deque[anyio.Event]] = field(default_factory=OrderedDict)

    def hand_out(self) -> None:
        """Give free slots to the waiting hubs in turn."""
        while self.taken < self.slots and self.waiting:
            hub, turns = self.waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self.waiting[hub] = turns
            self.taken += 1
            turn.set()


class HubSlots:
    """
    The slots of a host, as one of its hubs sees them.

    Hubs take turns, however many requests each has.
    """

    def __init__(self, host: _Host) -> None:
        self._host = host

    async def take(self) -> None:
        """Wait for a slot, which has to be given back."""
        host = self._host
        if host.taken < host.slots and not host.waiting:
            host.taken += 1
            return
        turn = anyio.Event()
        host.waiting.setdefault(self, deque()).append(turn)
        came = False
        try:
            await turn.wait()
            came = True
        finally:
            if not came:
                self._leave(turn)

    def give_back(self) -> None:
        """Give a slot to the next in turn."""
        self._host.taken -= 1
        if self._host.waiting:
            self._host.hand_out()

    def _leave(self, turn: anyio.Event) -> None:
        """Stop waiting; a slot given meanwhile goes to the next."""
        if turn.is_set():
            self.give_back()
            return
        turns = self._host.waiting[self]
        turns.remove(turn)
        if not turns:
            del self._host.waiting[self]


class HostSlots:
    """Slots of all hosts."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    def of(self, url: str, requests: int) -> HubSlots:
        """Return a hub's slots at the host in *url*; the first hub there sets their number."""
        return HubSlots(self._hosts.setdefault(_host_of(url), _Host(requests)))

    def arrange(self, hubs: Iterable[tuple[str, int]]) -> None:
        """Apply new URLs and slot numbers; drops hosts without a hub."""
        first: dict[str, int] = {}
        for url, requests in hubs:
            first.setdefault(_host_of(url), requests)
        for name in self._hosts.keys() - first.keys():
            del self._hosts[name]
        for name, host in self._hosts.items():
            host.slots = first[name]
            host.hand_out()


def _host_of(url: str) -> str:
    return httpx.URL(url).netloc.decode("ascii")


class RequestRate:
    """
    Starts at most *per_second* requests per second on average, and as many at once.

    A real app takes 40 ms per page: only one that misbehaves reaches the limit.
    """

    def __init__(self, per_second: float) -> None:
        self._seconds = 1.0 / per_second
        self._next = 0.0

    async def take(self) -> None:
        """Wait until the next request may start."""
        now = anyio.current_time()
        self._next = max(self._next, now - _BURST_SECONDS) + self._seconds
        if self._next > now:
            await anyio.sleep(self._next - now)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    Exponential back-off with full jitter.

    *backoff* and *max_backoff* are seconds. A longer `Retry-After` than that, or than a minute, is
    left to the caller.
    """

    max_retries: int
    backoff: float
    max_backoff: float

    def delay(
        self, error: ApiError, retries_so_far: int, jitter: Callable[[], float]
    ) -> float | None:
        """
        Return the seconds to wait before the next attempt; None to give up.

        Never less than the server's `Retry-After`. *jitter* draws from [0, 1).
        """
        asked_for = error.retry_after or 0.0
        if not error.retryable or retries_so_far >= self.max_retries:
            return None
        if asked_for > max(_LONGEST_PAUSE, self.max_backoff):
            return None
        ceiling = min(self.max_backoff, self.backoff * 2.0**retries_so_far)
        return max(asked_for, ceiling * (0.5 + jitter() / 2))
