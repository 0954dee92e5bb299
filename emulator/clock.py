"""The time in the emulator: the real one, a faster one, or one that a test moves by hand."""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

import anyio


class Clock(Protocol):
    """Tells the time that every task hub lives by."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until as much of this time has passed."""
        ...


class RealClock:
    """The time of the machine, optionally running faster from the moment of construction on."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"A clock runs forward: speed must be above 0, not {speed}")
        self._speed = speed
        self._started = time.time()
        self._mark = time.monotonic()

    def now(self) -> float:
        """Return the seconds since the epoch, never going back."""
        return self._started + (time.monotonic() - self._mark) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Wait, the shorter the faster the clock runs."""
        await anyio.sleep(seconds / self._speed)


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._moved = anyio.Event()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward; a negative number of seconds is a `ValueError`."""
        if seconds < 0:
            raise ValueError(f"advance() moves forward; use set() to go back by {-seconds} s")
        self.set(self._now + seconds)

    def set(self, now: float) -> None:
        """Jump to a time, in either direction."""
        self._now = now
        self._moved.set()
        self._moved = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has moved the clock so far."""
        end = self._now + seconds
        while self._now < end:
            await self._moved.wait()


Happening = Callable[[float], None]


class Timeline:
    """Things that are due at a time; of two at the same time the one that was added first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Happening]] = []
        self._order = count()

    def add(self, at: float, happening: Happening) -> None:
        """Let something happen at a time; it is told the time."""
        heappush(self._due, (at, next(self._order), happening))

    def advance(self, now: float) -> None:
        """Let happen whatever is due by now, also what comes of it."""
        while self._due and self._due[0][0] <= now:
            at, _, happening = heappop(self._due)
            happening(at)
