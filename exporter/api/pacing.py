"""When a request may be sent: slots, rates and budgets, retries, priority."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic

import anyio
import httpx

from exporter.api.errors import ApiError

_BURST_SECONDS = 1.0
# Size of a subscription's token bucket for reads, shared by all its clients.
_LARGEST_BUDGET = 250.0
_SECONDS_OF_AN_HOUR = 3600.0
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


class RequestBudget:
    """
    A token bucket of *per_hour* requests, split among *shares* exporters.

    When it is empty, the most urgent request is sent next.
    """

    def __init__(self, per_hour: float, shares: int) -> None:
        self._shares = shares
        self._per_second = per_hour / _SECONDS_OF_AN_HOUR / shares
        self._most = max(1.0, _LARGEST_BUDGET / shares)
        self._level = self._most
        self._at = monotonic()
        self._paused_until = 0.0
        self._waiting: list[tuple[Priority, int]] = []
        self._numbers = count()
        self._changed = anyio.Event()

    @property
    def remaining(self) -> int:
        """How many requests could be sent at once now; thread-safe."""
        now = monotonic()
        return 0 if now < self._paused_until else int(self._level_at(now))

    async def take(self, urgency: Priority) -> None:
        """Wait until a request may be sent."""
        turn = (urgency, next(self._numbers))
        heappush(self._waiting, turn)
        try:
            while self._waiting[0] != turn or (delay := self._delay()) > 0:
                with anyio.move_on_after(delay if self._waiting[0] == turn else None):
                    await self._changed.wait()
            self._level -= 1
        finally:
            if self._waiting[0] == turn:
                heappop(self._waiting)
            else:
                self._waiting.remove(turn)
                heapify(self._waiting)
            self._notify()

    def note_remaining(self, remaining: int) -> None:
        """Apply what the Resource Manager says is left to all its clients."""
        self._refill(monotonic())
        self._level = min(self._level, remaining / self._shares)

    def pause(self, seconds: float) -> None:
        """Send nothing for *seconds*."""
        self._paused_until = max(self._paused_until, monotonic() + seconds)
        self._notify()

    def _delay(self) -> float:
        now = monotonic()
        self._refill(now)
        lacking = max(0.0, 1.0 - self._level) / self._per_second
        return max(lacking, self._paused_until - now)

    def _refill(self, now: float) -> None:
        self._level, self._at = self._level_at(now), now

    def _level_at(self, now: float) -> float:
        return min(self._most, self._level + (now - self._at) * self._per_second)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Budgets:
    """Budgets by subscription, each of *per_hour* requests for all *shares* exporters."""

    def __init__(self, per_hour: float = 12_000.0, shares: int = 1) -> None:
        self._limits = (per_hour, shares)
        self._budgets: dict[str, RequestBudget] = {}

    def of(self, subscription: str) -> RequestBudget:
        """Return the budget of a subscription."""
        return self._budgets.setdefault(subscription, RequestBudget(*self._limits))

    def limit(self, per_hour: float, shares: int) -> None:
        """Apply other limits, with full budgets."""
        if (per_hour, shares) != self._limits:
            self._limits = (per_hour, shares)
            self._budgets.clear()

    def remaining(self) -> dict[str, int]:
        """Return how many requests could be sent at once, by subscription."""
        return {name: budget.remaining for name, budget in sorted(self._budgets.copy().items())}
