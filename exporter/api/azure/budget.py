"""Budgets of requests to the Resource Manager, one per subscription."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic

import anyio

from exporter.api.pacing import Priority

# Size of a subscription's token bucket for reads, shared by all its clients.
_BURST = 250.0
_SECONDS_OF_AN_HOUR = 3600.0


class RequestBudget:
    """
    A token bucket of *per_hour* requests, split among *shares* exporters.

    When it is empty, the most urgent request is sent next.
    """

    def __init__(self, per_hour: float, shares: int) -> None:
        self._shares = shares
        self._per_second = per_hour / _SECONDS_OF_AN_HOUR / shares
        self._most = max(1.0, _BURST / shares)
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

    async def take(self, priority: Priority) -> None:
        """Wait until a request may be sent."""
        turn = (priority, next(self._numbers))
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
