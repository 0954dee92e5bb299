"""What is going to happen in a hub, in the order of time."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

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
