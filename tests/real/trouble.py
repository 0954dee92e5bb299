"""Trouble of every kind: a share of all requests fails, in each of the ways that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import anyio

from emulator import Fault, FaultKind, Operation
from emulator.faults import Faults

MODERATION = {
    FaultKind.SLOW: 0.2,
    FaultKind.STARTING: 0.2,
    FaultKind.THROTTLED: 1.0,
    FaultKind.CLOCK_SKEW: 90.0,
}
"""Seconds of the faults that have some."""

EVERY_FAULT = (
    *(Fault(kind=kind, seconds=MODERATION.get(kind)) for kind in FaultKind),
    Fault(kind=FaultKind.THROTTLED),
    Fault(kind=FaultKind.CLOCK_SKEW, seconds=-90.0),
)

_REQUEST_SECONDS = 120.0


class ShuffledFaults(Faults):
    """
    Faults that strike by a rate, and each of them as often as the others.

    They come like cards from a deck that is shuffled anew when it is used up. `requests` and
    `struck_by` count what has come, also while nothing strikes.
    """

    def __init__(self, seed: int, deck: Sequence[Fault] = EVERY_FAULT) -> None:
        super().__init__(seed)
        self.rate = 0.0
        self.requests = 0
        self.struck_by = Counter[FaultKind]()
        self._deck = tuple(deck)
        self._cards: list[Fault] = []
        self._chance = Random(f"trouble/{seed}")
        self._asked = anyio.Event()

    def strike(self, operation: Operation) -> Fault | None:
        self.requests += 1
        self._asked.set()
        self._asked = anyio.Event()
        fault = super().strike(operation)
        if fault is None and self._chance.random() < self.rate:
            fault = self._draw()
        if fault is not None:
            self.struck_by[fault.kind] += 1
        return fault

    async def more_requests(self, count: int) -> None:
        """Return in the moment in which the last of so many more requests has come."""
        with anyio.fail_after(_REQUEST_SECONDS):
            end = self.requests + count
            while self.requests < end:
                await self._asked.wait()

    def _draw(self) -> Fault:
        if not self._cards:
            self._cards = list(self._deck)
            self._chance.shuffle(self._cards)
        return self._cards.pop()
