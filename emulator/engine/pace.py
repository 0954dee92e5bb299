"""How fast a hub works, and when its host crashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

Range = tuple[float, float]

# A host that returns first has to claim its queues.
_RECOVERY: Range = (0.5, 3.0)
# Visibility timeout of messages that a crashed host had dequeued.
INVISIBLE_SECONDS = 300.0
# How early messages are dequeued.
_TAKEN_AHEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    Durations, each between two numbers of seconds.

    `start`: a new instance is Pending. `message`: a message is in transit. `sub_start`: a
    sub-orchestration starts. `turn`: an orchestrator's code runs.
    """

    start: Range = (0.02, 0.1)
    message: Range = (0.005, 0.03)
    sub_start: Range = (0.005, 0.03)
    turn: Range = (0.005, 0.02)


BUSY = Pace(start=(0.05, 1.5), message=(0.01, 0.1), sub_start=(0.2, 8.0), turn=(0.01, 0.05))
"""A busy hub: rows of sub-orchestrations are seconds late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """
    The host dies at a time, seconds since the epoch, and returns `down` seconds later.

    With `answers` another host serves the API meanwhile, and only the work stops.
    """

    at: float
    down: float
    answers: bool = False


class Host:
    """
    The machine that does the work.

    Half of what it had dequeued when it crashed reappears five minutes later, the rest as soon as
    it returns (reference 6.1).
    """

    def __init__(self, crashes: Sequence[Crash], random: Random) -> None:
        self._crashes = sorted(crashes, key=lambda crash: crash.at)
        self._random = random

    def crash(self, crash: Crash) -> None:
        """Add a crash."""
        self._crashes = sorted([*self._crashes, crash], key=lambda each: each.at)

    def is_down(self, now: float) -> bool:
        """Return whether nothing answers."""
        return any(c.at <= now < c.at + c.down and not c.answers for c in self._crashes)

    def delayed_until(self, at: float) -> float | None:
        """Return when work due at a time is done instead, `None` if then."""
        for crash in self._crashes:
            if crash.at <= at < crash.at + crash.down:
                taken = at < crash.at + _TAKEN_AHEAD_SECONDS and self._random.random() < 1 / 2
                if taken:
                    return max(crash.at + INVISIBLE_SECONDS, crash.at + crash.down)
                return crash.at + crash.down + self._random.uniform(*_RECOVERY)
        return None

    def cut_off(self, begin: float, end: float) -> bool:
        """Return whether a crash separates the writes of history and row."""
        return any(begin < crash.at <= end for crash in self._crashes)
