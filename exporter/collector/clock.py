"""The server's clock, as far as its answers tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median_low

from exporter.api.listing import Page
from exporter.api.wire import BriefRow, EntityRow, InstanceRow

_ANSWERS_KEPT = 5
_ANSWERS_THAT_AGREE = 3


class ServerClock:
    """
    Tells the server's time between its answers.

    It runs with *monotonic*, which never jumps, and is set by the `Date` of the last few answers:
    by their middle one, since one wrong `Date`, as a proxy may send, must not move the accounts,
    and as long as there are fewer than three by the one that is nearest to *wall*.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.wall = wall
        self._monotonic = monotonic
        self._offsets: deque[float] = deque(maxlen=_ANSWERS_KEPT)

    @property
    def skew(self) -> float | None:
        """The server's clock less the exporter's, in seconds; None before the first answer."""
        return self.now() - self.wall() if self._offsets else None

    def now(self) -> float:
        """Return the server's time, early by up to a second; the exporter's before any answer."""
        return self.at(self._monotonic())

    def at(self, moment: float) -> float:
        """Return what the server's time was at *moment* by the clock that never jumps."""
        return moment + self._offset()

    def began(self, page: Page[InstanceRow] | Page[EntityRow]) -> float:
        """Return by that clock when a page was asked for that has just come."""
        return self._monotonic() - page.seconds

    def note(self, page: Page[InstanceRow] | Page[BriefRow] | Page[EntityRow]) -> float:
        """Learn from a page, and return the server's time when it came."""
        if page.date is not None:
            self._offsets.append(page.date - self._monotonic())
        return self.now()

    def _offset(self) -> float:
        by_wall = self.wall() - self._monotonic()
        if len(self._offsets) >= _ANSWERS_THAT_AGREE:
            return median_low(self._offsets)
        return min(self._offsets, key=lambda offset: abs(offset - by_wall), default=by_wall)
