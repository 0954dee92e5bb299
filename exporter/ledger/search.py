"""Which finishes count: how rows are found, how far back a search looks, where history ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

DAY = 86_400
# Right clocks may differ by this much; a time further ahead comes from a wrong one.
FARTHEST_AHEAD = 86_400
_NO_LEVEL_BARRED = 64
_CYCLES_BARRED = 64
_DEARER_THAN_BASE = 2.0
# Answers show whole seconds, so the server's clock as known here may step back this far.
_CLOCK_TOLERANCE = 120.0


class Source(Enum):
    """How a row was found."""

    ACTIVE = "listed as active"
    READ = "read by its id"
    BASELINE = "listed as finished at first contact"
    RECENT = "listed as finished and created recently"
    FAILED = "listed as failed"
    CENSUS = "listed by the census"


@dataclass(frozen=True, slots=True)
class Search:
    """
    A search for finished instances: list those created from `begin` on, as `source`.

    `is_usual`: it looks back exactly as far as the ruler, so that its cost is that of the level.
    """

    begin: float
    source: Source
    is_usual: bool


class Ruler:
    """
    Look-backs like the marks of a ruler: *overlap* x 2^(trailing zero bits of the cycle), capped.

    Every cycle covers the last minutes, every 32nd about an hour; nothing is measured or guessed
    (design 4.2). A level whose listing exceeds its share of the time is skipped for a while, unless
    the shortest listing takes about as long: where every filter scans the whole table, looking back
    further is free.
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
        """Begin a cycle; return its look-back before the mark, in seconds."""
        self.cycle += 1
        if self.cycle >= self._barred_until:
            self._highest = _NO_LEVEL_BARRED
        trailing_zeros = (self.cycle & -self.cycle).bit_length() - 1
        self._level = min(trailing_zeros, self._highest)
        return min(self._lookback, self.overlap * 2.0**self._level)

    def took(self, seconds: float, affordable: float) -> None:
        """Learn how long the listing of this cycle took, and how long one may take, in seconds."""
        if self._level == 0:
            self._base_seconds = seconds
        elif self._base_seconds and seconds > max(
            affordable, _DEARER_THAN_BASE * self._base_seconds
        ):
            self._highest = self._level - 1
            self._barred_until = self.cycle + _CYCLES_BARRED


def look_backs(overlap: float, lookback: float) -> Iterator[tuple[float, float]]:
    """Yield every look-back of a ruler, in seconds, and its share of all cycles."""
    seconds, share = overlap, 0.5
    while seconds < lookback:
        yield seconds, share
        seconds, share = 2 * seconds, share / 2
    yield lookback, 2 * share


@dataclass(slots=True)
class Horizon:
    """
    The second before which an unknown finish is history.

    `contact` is when the hub was first seen, in the sweep number `contact_sweep`; the book is
    complete from the second `floor` on.
    """

    contact: float | None = None
    contact_sweep: int = 0
    second: int = 0
    floor: int = 0
    _pulled_back: float = 0.0

    def settle(self, server_time: float) -> None:
        """End history at *server_time*, at first contact."""
        self.contact = float(int(server_time))
        self.second = int(server_time)
        self.floor = self.second - DAY

    def raise_to(self, floor: int) -> None:
        """Note that the book is complete from *floor* on; never moves back."""
        self.floor = max(self.floor, floor)
        self.second = max(self.second, self.floor)

    def pull_back(self, server_time: float, mark: float | None, *, is_agreed: bool) -> bool:
        """
        Move back to the server's present clock where a wrong one put the horizon or *mark* ahead.

        Otherwise nothing would count until then. It stays after the floor of the book, before which
        news cannot be recognized; unless the book itself is ahead by more than a day and two clocks
        agree: *is_agreed*. Returns False where nothing was ahead.
        """
        ahead = max(self.second, mark or 0.0) - server_time
        if ahead <= _CLOCK_TOLERANCE:
            return False
        self._pulled_back = max(ahead, self._pulled_back)
        if is_agreed and self.floor > server_time + DAY:
            self.floor = int(server_time)
        self.second = min(self.second, max(self.floor, int(server_time)))
        if self.contact is not None:
            self.contact = min(self.contact, float(self.second))
        return True

    def take_pulled_back(self) -> float:
        """Return by how many seconds it moved back since the last call."""
        seconds, self._pulled_back = self._pulled_back, 0.0
        return seconds

    def is_after(self, second: int, source: Source, sweep: int) -> bool:
        """
        Return whether a finish of *second* is news rather than history.

        What the cycle of first contact lists as finished is history. If it could not, a later
        *sweep* lists it, and what finished since is news.
        """
        if source is Source.BASELINE:
            return sweep > self.contact_sweep and second > self.second
        return second >= self.second
