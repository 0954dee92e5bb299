"""
The sample app's clients: what they start and do as time goes by.

Everything happens on the timeline of the hub's engine, and every kind of client has its own source
of chance: what happens depends on the seed and the times alone, however rarely somebody looks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random

from emulator.samples.shop import clients
from emulator.samples.shop.clients import HOUR
from emulator.samples.shop.residents import MINUTE, move_in
from emulator.task_hub import TaskHub

DAY = 24 * HOUR
# How much of the present rate the past had, so that a fresh population is not a big one.
PAST_SHARE = 0.1

_FOREVER = float("inf")
_PURGE_SECONDS = 5 * MINUTE
_LOG_SECONDS = 7 * DAY

# Does something to a hub, given a source of chance, the time, and how often it was done, from 1 on.
Client = Callable[[TaskHub, Random, float, int], None]

# Each orchestration's part of the rate.
_SHARES: tuple[tuple[Client, float], ...] = (
    (clients.order, 0.7),
    (clients.pay, 0.2),
    (clients.ask_for_approval, 0.05),
    (clients.deliver_batch, 0.05),
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Does the same thing again and again, from an interval after its begin until its end."""

    client: Client
    random: Random
    interval: Callable[[Random], float]
    end: float
    numbers: Iterator[int]


def start_traffic(
    hub: TaskHub, *, seed: int, rate: float, history: float = DAY, retention: float = DAY
) -> None:
    """
    Let the clients of the sample app use a hub, from now on and as if they long had.

    `rate` is how many top-level orchestrations start per second from now on. Before that lie
    `history` seconds at a tenth of it. What finished is purged after `retention` seconds.
    """
    _Traffic(hub, seed).begin(rate, history, retention)
    hub.advance()


class _Traffic:
    def __init__(self, hub: TaskHub, seed: int) -> None:
        self._hub = hub
        self._seed = seed

    def begin(self, rate: float, history: float, retention: float) -> None:
        now = self._hub.clock.now()
        self._add_orchestrations(rate, now - history, now)
        self._add_routine(now - history, now)
        move_in(self._hub, now)
        self._hub.engine.at(now, partial(self._purge, retention))

    def _add_orchestrations(self, rate: float, past: float, now: float) -> None:
        for client, share in _SHARES:
            numbers = count(1)
            often = rate * share
            self._add(client, past, _by_chance(often * PAST_SHARE), numbers, end=now)
            self._add(client, now, _by_chance(often), numbers)

    def _add_routine(self, past: float, now: float) -> None:
        reports = count(1)
        self._add(clients.order_report, past, _every(HOUR), reports, end=now)
        self._add(clients.order_report, now, _every(10 * MINUTE), reports)
        # What only replaces its own rows needs no long past.
        clients.start_monitors(self._hub, now - 2 * MINUTE)
        self._add(clients.count_something, now - 10 * MINUTE, _by_chance(0.5), count(1))
        self._add(clients.fill_cart, now - HOUR, _by_chance(0.2), count(1))
        self._add(clients.sell, now - 20 * MINUTE, _every(3.0), count(1))

    def _add(
        self,
        client: Client,
        begin: float,
        interval: Callable[[Random], float],
        numbers: Iterator[int],
        *,
        end: float = _FOREVER,
    ) -> None:
        period = "present" if end == _FOREVER else "past"
        random = Random(f"{self._seed}/{client.__qualname__}/{period}")
        self._schedule(_Source(client, random, interval, end, numbers), begin)

    def _schedule(self, source: _Source, after: float) -> None:
        at = after + source.interval(source.random)
        if at < source.end:
            self._hub.engine.at(at, partial(self._act, source))

    def _act(self, source: _Source, at: float) -> None:
        source.client(self._hub, source.random, at, next(source.numbers))
        self._schedule(source, at)

    def _purge(self, retention: float, at: float) -> None:
        self._hub.purge_finished(before=at - retention)
        self._hub.forget(before=at - _LOG_SECONDS)
        self._hub.engine.at(at + _PURGE_SECONDS, partial(self._purge, retention))


def _by_chance(rate: float) -> Callable[[Random], float]:
    return lambda random: random.expovariate(rate)


def _every(seconds: float) -> Callable[[Random], float]:
    return lambda _: seconds
