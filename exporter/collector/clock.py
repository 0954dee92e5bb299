"""The server's clock, as its answers show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median_low

from exporter.api.listing import Page
from exporter.api.wire import EntityRow, InstanceRow

_ANSWERS_KEPT = 5
_ANSWERS_THAT_AGREE = 3
# The monotonic clock pauses while the machine sleeps: for longer than a mere delay, and the
# other two clocks then moved alike, to the whole seconds of answers.
_LEAST_STANDSTILL = 15.0
_ALIKE = 5.0
_FARTHEST_FROM_OWN = 86_400.0
_LARGEST_MOVE = 120.0


class ServerClock:
    """
    Estimates the server's time between its answers.

    It runs with *monotonic*, and is set by the median `Date` of the last few answers, since one
    wrong `Date`, as from a proxy, must not move the accounts; with fewer than three answers, by the
    one nearest to *wall*. If both the server's clock and *wall* moved on while *monotonic*
    paused, earlier answers are dropped.

    A `Date` is believed if it is within a day of *wall*, and while it moves by at most two minutes
    against *monotonic*. Otherwise *wall* replaces it (`is_ignored`), until all of the last few
    answers agree with each other.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.wall = wall
        self.monotonic = monotonic
        self._offsets: deque[float] = deque(maxlen=_ANSWERS_KEPT)
        self._believed: float | None = None
        self._is_settled = False
        self._wall_offset = self._by_wall()

    @property
    def skew(self) -> float | None:
        """The last `Date` less the exporter's clock, in seconds; None before the first answer."""
        return self._offsets[-1] - self._by_wall() if self._offsets else None

    @property
    def is_ignored(self) -> bool:
        """Whether the exporter's clock replaces the one that the answers show."""
        return bool(self._offsets) and self._believed is None

    def now(self) -> float:
        """Return the server's time, up to a second early; the exporter's before any answer."""
        return self.at(self.monotonic())

    def at(self, moment: float) -> float:
        """Return the server's time at *moment* of the monotonic clock."""
        return moment + self._offset()

    def began(self, page: Page[InstanceRow] | Page[EntityRow]) -> float:
        """Return when, by the monotonic clock, a page that just came was requested."""
        return self.monotonic() - page.seconds

    def note(self, page: Page[InstanceRow] | Page[EntityRow]) -> float:
        """Learn from a page, and return the server's time when it came."""
        if page.date is not None:
            offset = page.date - self.monotonic()
            moved = self._by_wall() - self._wall_offset
            self._wall_offset += moved
            # The machine slept: the server's clock has moved as the exporter's has.
            if moved > _LEAST_STANDSTILL and abs(offset - self._offset() - moved) < _ALIKE:
                self._offsets.clear()
                self._is_settled = False
            self._offsets.append(offset)
            self._judge()
        return self.monotonic() + self._offset()

    def _judge(self) -> None:
        """Decide whether to believe the answers."""
        by_wall = self._by_wall()
        # The server's clock less the monotonic one, by the answers.
        shown = (
            median_low(self._offsets)
            if len(self._offsets) >= _ANSWERS_THAT_AGREE
            else min(self._offsets, key=lambda offset: abs(offset - by_wall))
        )
        is_near = abs(shown - by_wall) <= _FARTHEST_FROM_OWN
        agreeing = sum(abs(offset - shown) <= _LARGEST_MOVE for offset in self._offsets)
        if self._is_settled:
            is_steady = self._believed is not None and abs(shown - self._believed) <= _LARGEST_MOVE
            is_credible = is_steady or (agreeing == _ANSWERS_KEPT and is_near)
        else:
            is_credible = is_near
            self._is_settled = is_credible and agreeing >= _ANSWERS_THAT_AGREE
        self._believed = shown if is_credible else None

    def _by_wall(self) -> float:
        return self.wall() - self.monotonic()

    def _offset(self) -> float:
        return self._by_wall() if self._believed is None else self._believed
