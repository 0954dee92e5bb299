"""Emulated time: real, accelerated or manual, and the callbacks that are due in it."""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

import anyio


class Clock(Protocol):
    """The time of task hubs."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds of this time."""
        ...


class RealClock:
    """The machine's time, accelerated by *speed* since construction."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"A clock runs forward: speed must be above 0, not {speed}")
        self._speed = speed
        self._started = time.time()
        self._mark = time.monotonic()

    def now(self) -> float:
        """Return seconds since the epoch; monotonic."""
        return self._started + (time.monotonic() - self._mark) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds of this time."""
        await anyio.sleep(seconds / self._speed)


class ManualClock:
    """A clock that moves on request."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._moved = anyio.Event()

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward; `ValueError` for negative seconds."""
        if seconds < 0:
            raise ValueError(f"advance() moves forward; use set() to go back by {-seconds} s")
        self.set(self._now + seconds)

    def set(self, now: float) -> None:
        """Jump to a time, in either direction."""
        self._now = now
        self._moved.set()
        self._moved = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved so far."""
        end = self._now + seconds
        while self._now < end:
            await self._moved.wait()


Callback = Callable[[float], None]


class EventQueue:
    """Callbacks by time, first in, first out at the same time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callback]] = []
        self._order = count()

    def add(self, at: float, callback: Callback) -> None:
        """Add a callback, which gets its time."""
        heappush(self._due, (at, next(self._order), callback))

    def advance(self, now: float) -> None:
        """Run the callbacks due by now, and those that they add."""
        while self._due and self._due[0][0] <= now:
            at, _, callback = heappop(self._due)
            callback(at)
