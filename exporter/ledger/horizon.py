"""Where history ends: what finished before that is counted by nobody."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.ledger.sources import Source

DAY = 86_400
# By so much the server's clock as it is known may go back: it is set by answers in whole seconds.
_CLOCK_TOLERANCE = 120.0


@dataclass(slots=True)
class Horizon:
    """
    The second before which an unknown finish is history.

    `contact` is when the hub was first seen, in the sweep with the number `contact_sweep`; the book
    is complete from the second `floor` on.
    """

    contact: float | None = None
    contact_sweep: int = 0
    second: int = 0
    floor: int = 0
    _pulled_back: float = 0.0

    def settle(self, server_time: float) -> None:
        """Let history end at *server_time*, at first contact."""
        self.contact = float(int(server_time))
        self.second = int(server_time)
        self.floor = self.second - DAY

    def raise_to(self, floor: int) -> None:
        """Note from which second on the book is complete; it never goes back."""
        self.floor = max(self.floor, floor)
        self.second = max(self.second, self.floor)

    def pull_back(self, server_time: float, mark: float | None, *, is_agreed: bool) -> bool:
        """
        Take it back to the server's present clock, where a wrong one has put it or *mark* ahead.

        Else nothing would count until that moment comes. It is not taken back before the book: what
        that does not hold cannot be told from news. Unless the book itself lies ahead by more than
        a day and two clocks, which is *is_agreed*, show so. False where there was nothing to do.
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
        """Return by how many seconds it was taken back since the last call."""
        seconds, self._pulled_back = self._pulled_back, 0.0
        return seconds

    def is_after(self, second: int, source: Source, sweep: int) -> bool:
        """
        Tell whether a finish of *second* is none of what was there before.

        What the cycle of first contact lists as finished is history. Where it could not list it, a
        later *sweep* does, and what finished since is none.
        """
        if source is Source.BASELINE:
            return sweep > self.contact_sweep and second > self.second
        return second >= self.second
