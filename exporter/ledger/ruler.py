"""How far the search for finished instances looks back."""

from __future__ import annotations

from collections.abc import Iterator

_NO_LEVEL_BARRED = 64
_CYCLES_BARRED = 64
_DEARER_THAN_BASE = 2.0


class Ruler:
    """
    Look-backs like the marks of a ruler: *overlap* x 2^(trailing zero bits of the cycle), capped.

    Every cycle covers the last minutes, every 32nd about an hour; nothing is measured or guessed
    (design 4.2). A level whose listing takes more than its share of the time is left out for a
    while, unless the shortest listing takes about as long: where every filter scans the whole
    table, looking back further costs nothing.
    """

    def __init__(self, overlap: float, lookback: float, cycle: int = 0) -> None:
        self.overlap = overlap
        self.cycle = cycle
        self._lookback = lookback
        self._level = 0
        self._highest = _NO_LEVEL_BARRED
        self._barred_until = 0
        self._base_seconds = 0.0

    def next(self) -> float:
        """Begin a cycle, and return how far before the mark it looks, in seconds."""
        self.cycle += 1
        if self.cycle >= self._barred_until:
            self._highest = _NO_LEVEL_BARRED
        trailing_zeros = (self.cycle & -self.cycle).bit_length() - 1
        self._level = min(trailing_zeros, self._highest)
        return min(self._lookback, self.overlap * 2.0**self._level)

    def took(self, seconds: float, affordable: float) -> None:
        """Learn how long the listing of this cycle took, and how long one may take."""
        if self._level == 0:
            self._base_seconds = seconds
        elif self._base_seconds and seconds > max(
            affordable, _DEARER_THAN_BASE * self._base_seconds
        ):
            self._highest = self._level - 1
            self._barred_until = self.cycle + _CYCLES_BARRED


def look_backs(overlap: float, lookback: float) -> Iterator[tuple[float, float]]:
    """Yield every look-back of a ruler, in seconds, and which share of all cycles has it."""
    seconds, share = overlap, 0.5
    while seconds < lookback:
        yield seconds, share
        seconds, share = 2 * seconds, share / 2
    yield lookback, 2 * share
