"""Courses of hours and days, in which alerts fire only when they should."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE, Case
from tests.alerts.troubles import ORDERS, limit_of, over
from tests.alerts.world import HUB, OWNERS, TARGET, Series, Values, of_orchestrator, read_hub, shown


def _batch(number: float, hours: float) -> Values:
    """Return the instances of a batch that are Pending over ten minutes; all start in time."""

    def over_limit(now: float) -> float:
        return floor(max(0.0, number * (1 - now / (hours * HOUR)))) if now >= 10 * MINUTE else 0.0

    return over_limit


def _drains(number: float, hours: float) -> Case:
    moments = (12, 15, 20, 25, 30, 40, 60, 90, 120, 180, 240)
    return Case(
        f"a batch of {number:g} that drains within {hours:g} h",
        [*read_hub(), *over("pending", _batch(number, hours), own=False)],
        {moment * MINUTE: [] for moment in moments},
    )


def _nightly(*runs: float, limit: float) -> list[Series]:
    """Return the series of a job that succeeds at these seconds, and its limit."""

    def succeeded(now: float) -> float:
        return max(run for run in runs if run <= now)

    return [
        of_orchestrator(c.LAST_FINISHED.name, succeeded, runtime_status="Completed"),
        limit_of("success", limit),
        shown(c.BASELINE.name, -9 * DAY),
    ]


_NO_SUCCESS_FIRES = {"task_hub": HUB, **TARGET, **OWNERS, **ORDERS, "severity": "critical"}
_NO_SUCCESS = (
    Case(
        "the clocks change: a nightly job is an hour late once, and an hour early",
        [*read_hub(), *_nightly(-20 * HOUR, 5 * HOUR, 28 * HOUR, limit=26 * HOUR)],
        {hour * HOUR: [] for hour in (4, 5, 6, 27, 28, 29, 50)},
    ),
    Case(
        "the app is stopped for nine hours",
        [*read_hub(read=lambda now: now < MINUTE), *_nightly(-20 * HOUR, limit=26 * HOUR)],
        {6 * HOUR: [], 7 * HOUR: [_NO_SUCCESS_FIRES], 9 * HOUR: [_NO_SUCCESS_FIRES]},
    ),
)

CASES: Mapping[str, tuple[Case, ...]] = {
    "PendingStuck": (_drains(10_000, 0.5), _drains(10_000, 1.5), _drains(100_000, 3)),
    "NoSuccess": _NO_SUCCESS,
}
