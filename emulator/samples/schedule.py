"""
What clients of a sample app do again and again, as time goes by.

Everything happens on the timeline of the hub's engine, and every kind of client has its own source
of chance: what happens depends on the seed and the times alone, however rarely somebody looks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random

from emulator.task_hub import TaskHub

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR
FOREVER = float("inf")

_PURGE_SECONDS = 5 * MINUTE
_LOG_SECONDS = 7 * DAY

# Does something to a hub, given a source of chance, the time, and how often it was done, from 1 on.
Client = Callable[[TaskHub, Random, float, int], None]
Interval = Callable[[Random], float]


@dataclass(frozen=True, slots=True)
class _Source:
    """Does the same thing again and again, from an interval after its begin until its end."""

    client: Client
    random: Random
    interval: Interval
    end: float
    numbers: Iterator[int]


class Schedule:
    """The clients of a hub."""

    def __init__(self, hub: TaskHub, seed: int) -> None:
        self._hub = hub
        self._seed = seed

    def add(
        self,
        client: Client,
        begin: float,
        interval: Interval,
        numbers: Iterator[int] | None = None,
        *,
        end: float = FOREVER,
    ) -> None:
        """Let a client come again and again; the first time is an interval after the begin."""
        period = "present" if end == FOREVER else "past"
        random = Random(f"{self._seed}/{client.__qualname__}/{period}")
        self._next(_Source(client, random, interval, end, numbers or count(1)), begin)

    def purge(self, at: float, *, retention: float) -> None:
        """Delete every five minutes what finished longer ago than *retention* seconds."""
        self._hub.engine.at(at, partial(self._purge, retention))

    def _next(self, source: _Source, after: float) -> None:
        at = after + source.interval(source.random)
        if at < source.end:
            self._hub.engine.at(at, partial(self._act, source))

    def _act(self, source: _Source, at: float) -> None:
        source.client(self._hub, source.random, at, next(source.numbers))
        self._next(source, at)

    def _purge(self, retention: float, at: float) -> None:
        self._hub.purge_finished(before=at - retention)
        self._hub.forget(before=at - _LOG_SECONDS)
        self.purge(at + _PURGE_SECONDS, retention=retention)


def by_chance(rate: float) -> Interval:
    """Come so often in a second, at any time."""
    return lambda random: random.expovariate(rate)


def every(seconds: float) -> Interval:
    """Come at even intervals."""
    return lambda _: seconds
