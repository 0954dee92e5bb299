"""The server's clock, as far as its answers tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median_low

from exporter.api.listing import Page
from exporter.api.wire import EntityRow, InstanceRow

_ANSWERS_KEPT = 5
_ANSWERS_THAT_AGREE = 3
# The clock that never jumps stands still while the machine sleeps. So long is no mere delay, and so
# near are two clocks that ran on alike: answers show whole seconds.
_LEAST_STANDSTILL = 15.0
_ALIKE = 5.0
_FARTHEST_FROM_OWN = 86_400.0
_LARGEST_MOVE = 120.0


class ServerClock:
    """
    Tells the server's time between its answers.

    It runs with *monotonic*, which never jumps, and is set by the `Date` of the last few answers:
    by their middle one, since one wrong `Date`, as a proxy may send, must not move the accounts,
    and as long as there are fewer than three by the one that is nearest to *wall*. Where both the
    server's clock and *wall* have run on while *monotonic* stood still, the answers of before count
    no longer.

    A `Date` is believed if it lies within a day of *wall*, and for as long as it does not move by
    over two minutes against *monotonic*. Else *wall* stands in, which `is_ignored` tells, until all
    of the last few answers agree with each other.
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
        """Tell whether the exporter's clock stands in for what the answers show."""
        return bool(self._offsets) and self._believed is None

    def now(self) -> float:
        """Return the server's time, early by up to a second; the exporter's before any answer."""
        return self.at(self.monotonic())

    def at(self, moment: float) -> float:
        """Return what the server's time was at *moment* by the clock that never jumps."""
        return moment + self._offset()

    def began(self, page: Page[InstanceRow] | Page[EntityRow]) -> float:
        """Return by that clock when a page was asked for that has just come."""
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
        return self.at(self.monotonic())

    def _judge(self) -> None:
        """Believe the answers, or not."""
        shown = self._shown()
        agreeing = sum(abs(offset - shown) <= _LARGEST_MOVE for offset in self._offsets)
        if self._is_settled:
            is_steady = self._believed is not None and abs(shown - self._believed) <= _LARGEST_MOVE
            is_credible = is_steady or (agreeing == _ANSWERS_KEPT and self._is_near(shown))
        else:
            is_credible = self._is_near(shown)
            self._is_settled = is_credible and agreeing >= _ANSWERS_THAT_AGREE
        self._believed = shown if is_credible else None

    def _is_near(self, offset: float) -> bool:
        return abs(offset - self._by_wall()) <= _FARTHEST_FROM_OWN

    def _shown(self) -> float:
        """Return what the answers show, the server's clock less the one that never jumps."""
        if len(self._offsets) >= _ANSWERS_THAT_AGREE:
            return median_low(self._offsets)
        by_wall = self._by_wall()
        return min(self._offsets, key=lambda offset: abs(offset - by_wall))

    def _by_wall(self) -> float:
        return self.wall() - self.monotonic()

    def _offset(self) -> float:
        return self._by_wall() if self._believed is None else self._believed
