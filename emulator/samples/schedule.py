"""
Recurring calls of a sample app's clients.

They run in the hub's engine, each kind with its own random source: so they depend on the seed and
the times alone, however rarely the hub is read.
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

# Arguments: hub, random source, time, and number of the call, from 1.
Client = Callable[[TaskHub, Random, float, int], None]
Interval = Callable[[Random], float]


@dataclass(frozen=True, slots=True)
class _Source:
    """Calls of a client, from an interval after the begin until the end."""

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
        """Add a recurring call; the first one is an interval after *begin*."""
        period = "present" if end == FOREVER else "past"
        random = Random(f"{self._seed}/{client.__qualname__}/{period}")
        self._next(_Source(client, random, interval, end, numbers or count(1)), begin)

    def purge(self, at: float, *, retention: float) -> None:
        """Purge every five minutes what ended more than *retention* seconds ago."""
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


def poisson(rate: float) -> Interval:
    """Return random intervals with a rate per second."""
    return lambda random: random.expovariate(rate)


def every(seconds: float) -> Interval:
    """Return constant intervals."""
    return lambda _: seconds
