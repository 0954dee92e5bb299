"""Rows that a listing should have shown and did not: truncated listings, replaced hubs."""

from __future__ import annotations

from collections.abc import Sized

_MANY = 100
_SHARE_THAT_MAY_LEAVE = 0.05
_FEWEST = 5


def are_many(absent: Sized) -> bool:
    """Return whether a listing finds them sooner than reads by id."""
    return len(absent) > _MANY


def is_suspicious(absent: int, known: int, *, doubtful: bool) -> bool:
    """
    Return whether more are absent than usually leave at once, so that a second listing must agree.

    A bad continuation token ends a listing silently (recorded). Where its end is *doubtful*, small
    hubs are listed twice, too.
    """
    some = 0 if doubtful else _MANY
    return absent > max(some, _SHARE_THAT_MAY_LEAVE * known)


def fell_suspiciously(now: int, before: int) -> bool:
    """Return whether a count fell so far that a second one must agree."""
    return now < (1 - _SHARE_THAT_MAY_LEAVE) * before


class Replacement:
    """
    Detects a replaced hub: all known instances, five or more, vanish in one sweep.

    At least one was active: people purge failed ones. The failed ones are missed by their own, less
    frequent sweep. `at` is when the active ones last vanished so, by the server's clock, None if
    never.
    """

    def __init__(self, sweep: int, active: int, at: float | None = None) -> None:
        """Start with *active* instances, none of them seen after *sweep*."""
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
        """Whether all active instances are gone, and the failed ones not yet checked."""
        return self._suspected is not None

    def take_new(self) -> bool:
        """Return whether the hub was replaced since the last call."""
        is_new, self._is_new = self._is_new, False
        return is_new

    def vanished(self, last_seen: int) -> None:
        """Note that an active instance, last seen in the sweep *last_seen*, is no longer stored."""
        self._vanished += last_seen <= self._sweep

    def failure_vanished(self) -> None:
        """Note that a failed instance is no longer stored."""
        self._failures_left -= 1
        self._conclude()

    def found(self, is_known: bool) -> None:
        """Note a stored instance; one that *is_known* as failed proves the hub the same."""
        if is_known:
            self._suspected = None

    def swept(self, sweep: int, active: int, failures: int, at: float) -> None:
        """
        End a *sweep* after which the fate of each instance is known.

        *active* and *failures* are how many remain.
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
