"""
A population of sample orchestrations and entities that changes as time goes by.

What happens depends on the seed and the times alone: every source of new lives has its own chance,
a life is planned whole when it begins, and everything happens in the order of time, however rarely
somebody looks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random

from exporter.emulator.inhabitants import Carts, Counters, Inventory
from exporter.emulator.orchestrations import (
    HOUR,
    MINUTE,
    Planner,
    approval_workflow,
    cleanup_monitor,
    import_batch,
    lock_holder,
    nightly_report,
    payment_saga,
    process_order,
    stuck_transfer,
    suspended_report,
)
from exporter.emulator.storage.rows import Row
from exporter.emulator.task_hub import TaskHub

DAY = 24 * HOUR
# How much of the present rate the past had, so that a fresh population is not a big one.
PAST_SHARE = 0.1

_PURGE_SECONDS = 5 * MINUTE
_LOG_SECONDS = 7 * DAY
# Each orchestration's part of the rate.
_SHARES: tuple[tuple[Planner, float], ...] = (
    (process_order, 0.7),
    (payment_saga, 0.2),
    (approval_workflow, 0.05),
    (import_batch, 0.05),
)

# Something that happens to a hub at a time.
_Task = Callable[[TaskHub, float], None]


@dataclass(slots=True)
class _Source:
    """Starts lives, one after another, until it ends."""

    planner: Planner
    random: Random
    interval: Callable[[Random], float]
    end: float
    numbers: Iterator[int]


class Workload:
    """
    Drives a hub with sample orchestrations.

    `rate` is how many top-level orchestrations start per second from `start` on. Before that lie
    `history` seconds at a tenth of it. What finished is purged after `retention` seconds.
    """

    def __init__(
        self,
        seed: int,
        rate: float = 0.5,
        *,
        start: float,
        history: float = DAY,
        retention: float = DAY,
    ) -> None:
        self._seed = seed
        self._retention = retention
        self._due: list[tuple[float, int, _Task]] = []
        self._order = count()
        self._add_traffic(rate, start - history, start)
        self._add_routine(start - history, start)
        self._add_residents(start)
        self._add(start, self._purge)

    def advance(self, hub: TaskHub, now: float) -> None:
        """Apply everything that is due by `now`, in the order of time."""
        while self._due and self._due[0][0] <= now:
            at, _, task = heappop(self._due)
            task(hub, at)

    def _add_traffic(self, rate: float, past: float, start: float) -> None:
        for planner, share in _SHARES:
            numbers = count(1)
            pace = rate * share
            self._add_source(planner, past, _by_chance(pace * PAST_SHARE), start, numbers)
            self._add_source(planner, start, _by_chance(pace), None, numbers)

    def _add_routine(self, past: float, start: float) -> None:
        numbers = count(1)
        self._add_source(nightly_report, past, _every(HOUR), start, numbers)
        self._add_source(nightly_report, start, _every(10 * MINUTE), None, numbers)
        # What only replaces its own rows needs no long past.
        self._add_source(cleanup_monitor, start - MINUTE, _every(MINUTE / 3))
        self._add_source(Counters().plan, start - 10 * MINUTE, _by_chance(0.5))
        self._add_source(Carts().plan, start - HOUR, _by_chance(0.2))
        self._add_source(Inventory().plan, start - 20 * MINUTE, _every(3.0))

    def _add_residents(self, start: float) -> None:
        residents: list[tuple[Planner, float, int]] = [
            (stuck_transfer, 25 * MINUTE, number) for number in range(4)
        ]
        residents += [(suspended_report, 3 * HOUR, 0), (lock_holder, 35 * MINUTE, 0)]
        residents += [(approval_workflow, 2 * HOUR, number) for number in (90_001, 90_002)]
        for planner, age, number in residents:
            random = self._chance(planner, start, number)
            for change in planner(random, start - age + 7 * (number % 100), number):
                self._add(change.at, partial(_show, change.row))

    def _add_source(
        self,
        planner: Planner,
        begin: float,
        interval: Callable[[Random], float],
        end: float | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        random = self._chance(planner, begin)
        last = float("inf") if end is None else end
        source = _Source(planner, random, interval, last, numbers or count(1))
        self._schedule(source, begin)

    def _schedule(self, source: _Source, after: float) -> None:
        at = after + source.interval(source.random)
        if at < source.end:
            self._add(at, partial(self._spawn, source))

    def _spawn(self, source: _Source, _hub: TaskHub, at: float) -> None:
        for change in source.planner(source.random, at, next(source.numbers)):
            self._add(change.at, partial(_show, change.row))
        self._schedule(source, at)

    def _purge(self, hub: TaskHub, at: float) -> None:
        hub.purge_finished(before=at - self._retention)
        hub.forget(before=at - _LOG_SECONDS)
        self._add(at + _PURGE_SECONDS, self._purge)

    def _add(self, at: float, task: _Task) -> None:
        heappush(self._due, (at, next(self._order), task))

    def _chance(self, planner: Planner, *distinction: float) -> Random:
        return Random(f"{self._seed}/{planner.__qualname__}/{distinction}")


def _show(row: Row, hub: TaskHub, at: float) -> None:
    hub.put(row, at=at)


def _by_chance(rate: float) -> Callable[[Random], float]:
    return lambda random: random.expovariate(rate)


def _every(seconds: float) -> Callable[[Random], float]:
    return lambda _: seconds
