"""What to make of rows that a listing should have shown, and did not."""

from __future__ import annotations

from collections.abc import Sized

_MANY = 100
_SHARE_THAT_MAY_LEAVE = 0.05
_FEWEST = 5


def are_many(absent: Sized) -> bool:
    """Tell whether so many left that it is better to look for them in a list."""
    return len(absent) > _MANY


def is_suspicious(absent: int, known: int, *, doubtful: bool) -> bool:
    """
    Tell whether more are absent than usually leave at once: a second listing has to agree.

    A bad continuation token ends a listing silently (recorded). Where its end is *doubtful*, a
    small hub is not spared the second look.
    """
    some = 0 if doubtful else _MANY
    return absent > max(some, _SHARE_THAT_MAY_LEAVE * known)


def fell_suspiciously(now: int, before: int) -> bool:
    """Tell whether so many fewer were counted than before that it deserves a second count."""
    return now < (1 - _SHARE_THAT_MAY_LEAVE) * before


class Replacement:
    """
    Notices that all known instances of a hub, five or more, vanished in one sweep.

    At least one of them was active: failed ones alone are purged by people. The failed ones are
    found to be gone by their own, rarer sweep. `at` is when the active ones last vanished so, by
    the server's clock, None if they never did.
    """

    def __init__(self, sweep: int, active: int, at: float | None = None) -> None:
        """Know of so many *active* instances, which a *sweep* or one before it has seen."""
        self.at = at
        self._sweep = sweep
        self._active = active
        self._vanished = 0
        self._suspected: float | None = None
        self._known = 0
        self._failures_left = 0
        self._is_new = False

    @property
    def is_suspected(self) -> bool:
        """Whether all that was active is gone, and not yet known what became of what had failed."""
        return self._suspected is not None

    def take_new(self) -> bool:
        """Tell whether the hub was replaced since the last call."""
        is_new, self._is_new = self._is_new, False
        return is_new

    def vanished(self, last_seen: int) -> None:
        """Note that an active instance is no longer stored, which a sweep *last_seen* has seen."""
        self._vanished += last_seen <= self._sweep

    def failure_vanished(self) -> None:
        """Note that a failed instance is no longer stored."""
        self._failures_left -= 1
        self._conclude()

    def found(self, is_known: bool) -> None:
        """Note an instance that is stored; if it *is_known* as failed, the hub is what it was."""
        if is_known:
            self._suspected = None

    def swept(self, sweep: int, active: int, failures: int, at: float) -> None:
        """
        End a *sweep* after which it is known of every instance what became of it.

        From now on so many *active* and failed ones are known.
        """
        if self._active and self._vanished == self._active:
            self._suspected = at
            self._known = self._active + failures
            self._failures_left = failures
            self._conclude()
        self._sweep, self._active, self._vanished = sweep, active, 0

    def _conclude(self) -> None:
        if self._suspected is not None and self._failures_left <= 0:
            if self._known >= _FEWEST:
                self.at = self._suspected
                self._is_new = True
            self._suspected = None
