"""How fast a hub is, and when its host crashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

Range = tuple[float, float]

# A host that comes back has to find its queues again before it goes on.
_RECOVERY: Range = (0.5, 3.0)
# What the host had taken from its queues when it crashed comes back after this.
INVISIBLE_SECONDS = 300.0
# How far ahead of their turn messages are taken from the queues.
_TAKEN_AHEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    What things take, each between two numbers of seconds.

    `start` is how long a new instance is Pending, `message` how long any message is under way,
    `sub_start` how long the start of a sub-orchestration is, and `turn` what an orchestrator's code
    takes.
    """

    start: Range = (0.02, 0.1)
    message: Range = (0.005, 0.03)
    sub_start: Range = (0.005, 0.03)
    turn: Range = (0.005, 0.02)


BUSY = Pace(start=(0.05, 1.5), message=(0.01, 0.1), sub_start=(0.2, 8.0), turn=(0.01, 0.05))
"""A hub with much to do: rows of sub-orchestrations come seconds late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """
    The host dies at a time, seconds since the epoch, and is back `down` seconds later.

    With `answers` another host serves the API meanwhile, and only the work stands still.
    """

    at: float
    down: float
    answers: bool = False


class Host:
    """
    The machine that does the work, as long as it is up.

    What it had already taken from its queues when it crashed shows up again five minutes later,
    for half of it; the rest is there as soon as it is back (reference 6.1).
    """

    def __init__(self, crashes: Sequence[Crash], random: Random) -> None:
        self._crashes = sorted(crashes, key=lambda crash: crash.at)
        self._random = random

    def crash(self, crash: Crash) -> None:
        """Let it crash."""
        self._crashes = sorted([*self._crashes, crash], key=lambda each: each.at)

    def is_down(self, now: float) -> bool:
        """Tell whether nobody answers."""
        return any(c.at <= now < c.at + c.down and not c.answers for c in self._crashes)

    def delayed_until(self, at: float) -> float | None:
        """Return when work that is due at a time will be done instead; `None`: right then."""
        for crash in self._crashes:
            if crash.at <= at < crash.at + crash.down:
                taken = at < crash.at + _TAKEN_AHEAD_SECONDS and self._random.random() < 1 / 2
                if taken:
                    return max(crash.at + INVISIBLE_SECONDS, crash.at + crash.down)
                return crash.at + crash.down + self._random.uniform(*_RECOVERY)
        return None

    def cut_off(self, begin: float, end: float) -> bool:
        """Tell whether a crash comes between what is written to the history and to the row."""
        return any(begin < crash.at <= end for crash in self._crashes)
