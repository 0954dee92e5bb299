"""When the next sweep of a kind is due; times are those of a clock that never jumps."""

from __future__ import annotations

import math

# A sweep may take this share of the time; beyond it intervals are stretched.
DUTY_SHARE = 0.5
# What histories are given of a cycle that has none of that left.
_LEAST_EXTRA = 0.25
_LEAST_SECONDS = 0.25


class Cadence:
    """The rhythm of one kind of sweep; *configured* is its interval in seconds, 0 for off."""

    def __init__(self, configured: float) -> None:
        self.configured = configured
        self.interval = configured
        self.due = math.inf

    @property
    def is_on(self) -> bool:
        """Tell whether the sweep is made at all."""
        return self.configured > 0

    def start(self, first: float) -> None:
        """Let the first sweep be due at *first*."""
        if self.is_on:
            self.due = first

    def ended(
        self, started: float, now: float, *, is_complete: bool, not_before: float = 0.0
    ) -> None:
        """
        Set when the next sweep is due, after one that ran from *started* to *now*.

        Only a complete one shows which interval the hub allows. *not_before* is how long the server
        asked to be left alone, in seconds from *now*.
        """
        interval = interval_for(now - started, self.configured)
        if is_complete:
            self.interval = interval
        self.due = max(started + interval, now + not_before)

    def due_by(self, now: float) -> None:
        """Let the next sweep be due at *now* at the latest."""
        if self.is_on:
            self.due = min(self.due, now)


def interval_for(seconds: float, configured: float) -> float:
    """Return the interval of a sweep that takes *seconds*: as configured, or stretched."""
    return max(configured, seconds / DUTY_SHARE)


def step_end(started: float, now: float, configured: float) -> float:
    """
    Return how long a cycle that began at *started* may read on with a list of many steps.

    That is its share of the interval, or as long as it took up to *now*, if that was longer.
    """
    return max(started + DUTY_SHARE * configured, now + (now - started))


def spare_seconds(taken: float, configured: float) -> float:
    """
    Return how long a cycle may go on that has *taken* seconds, with what is of less weight.

    What is left of its share of the interval; a little also where nothing is, since a slow hub
    stretches its interval anyway.
    """
    return max(DUTY_SHARE * configured - taken, taken * _LEAST_EXTRA, _LEAST_SECONDS)


def pause_after(seconds: float) -> float:
    """Return how long to leave a hub alone after a step of the census that took *seconds*."""
    return seconds * (1 / DUTY_SHARE - 1)
