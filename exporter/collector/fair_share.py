"""Bounds that all hubs of the process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakSet

from exporter.ledger.ledger import Ledger


class FairShare:
    """
    A bound for what ledgers hold together, of which each is told its part.

    Whoever holds less than an equal part leaves the rest to the others, so that the largest are the
    first to give way.
    """

    def __init__(self, most: int, held: Callable[[Ledger], int]) -> None:
        """*held* tells what one ledger holds, in the unit of *most*."""
        self._most = most
        self._held = held
        self._ledgers: WeakSet[Ledger] = WeakSet()

    def of(self, ledger: Ledger) -> int:
        """Return how much *ledger* may hold, given what the others do now."""
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
    """What all ledgers hold at most: bytes of active instances, finishes, unresolved failures."""

    tracked: FairShare = field(default_factory=_tracked)
    finishes: FairShare = field(default_factory=_finishes)
    failures: FairShare = field(default_factory=_failures)
