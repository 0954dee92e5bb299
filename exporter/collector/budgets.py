"""Budgets: the pages that a hub may read in a day, and the memory that all ledgers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakSet

from exporter.collector.snapshot import Sweep
from exporter.ledger.ledger import Ledger

_DAY = 86_400
# The share of a day's pages that only the sweeps behind alerts may use.
_RESERVED_SHARE = 0.1
_MAY_USE_THE_RESERVE = (Sweep.ACTIVE, Sweep.FINISHED)


class PageBudget:
    """
    Pages of a hub per day, which begins at midnight UTC; times are seconds since the epoch.

    Each page is a query that the hub's owner pays for. *per_day* is None for no limit.
    """

    def __init__(self, per_day: int | None) -> None:
        self._per_day = per_day
        # By the number of the day.
        self._spent: dict[int, int] = {}

    def spend(self, pages: int, now: float) -> None:
        """Count pages that were read."""
        day = int(now // _DAY)
        self._spent = {day: self._spent.get(day, 0) + pages}

    def remaining(self, now: float) -> int | None:
        """Return how many pages are left today, None without a limit."""
        if self._per_day is None:
            return None
        return max(0, self._per_day - self._spent.get(int(now // _DAY), 0))

    def allows(self, sweep: Sweep, now: float, *, uncounted: int = 0) -> bool:
        """Return whether a sweep may read another page, with *uncounted* ones under way."""
        remaining = self.remaining(now)
        if remaining is None or self._per_day is None:
            return True
        reserve = 0 if sweep in _MAY_USE_THE_RESERVE else _RESERVED_SHARE * self._per_day
        return remaining - uncounted > reserve

    def reads(self, wanted: int, now: float) -> int:
        """Return how many of *wanted* reads of single instances are allowed: each is a page."""
        remaining = self.remaining(now)
        if remaining is None or self._per_day is None:
            return wanted
        return max(0, min(wanted, int(remaining - _RESERVED_SHARE * self._per_day)))


class FairShare:
    """
    A bound on what all ledgers hold together, and the share of each.

    Ledgers below an equal share leave the rest to the others, so the largest give way first.
    """

    def __init__(self, most: int, held: Callable[[Ledger], int]) -> None:
        """*held* returns what one ledger holds, in the unit of *most*."""
        self._most = most
        self._held = held
        self._ledgers: WeakSet[Ledger] = WeakSet()

    def of(self, ledger: Ledger) -> int:
        """Return how much *ledger* may hold, given what the others hold now."""
        self._ledgers.add(ledger)
        others = [self._held(other) for other in self._ledgers if other is not ledger]
        left = self._most - sum(others)
        if left > max(others, default=0):
            return left
        left = self._most
        others.sort()
        for sharing, held in zip(range(len(others) + 1, 1, -1), others, strict=True):
            if held * sharing >= left:
                return left // sharing
            left -= held
        return left


def _tracked() -> FairShare:
    return FairShare(64 << 20, lambda ledger: ledger.tracked.bytes)


def _finishes() -> FairShare:
    return FairShare(3_000_000, lambda ledger: ledger.booked)


def _failures() -> FairShare:
    return FairShare(100_000, lambda ledger: len(ledger.unresolved))


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Bounds on all ledgers: bytes of active instances, finishes, unresolved failures."""

    tracked: FairShare = field(default_factory=_tracked)
    finishes: FairShare = field(default_factory=_finishes)
    failures: FairShare = field(default_factory=_failures)
