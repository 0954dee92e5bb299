"""Troubles of instances that failed."""

from __future__ import annotations

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE
from tests.alerts.troubles import NOTHING, ORDERS, Trouble, in_other
from tests.alerts.world import Series, of_orchestrator, rises


def _failed(category: str, number: float, at: float = 20 * MINUTE) -> list[Series]:
    values = rises(at, before=7.0, after=7.0 + number)
    return [of_orchestrator(c.FAILURES.name, values, category=category)]


def _recent(failed: float, completed: float) -> list[Series]:
    return [
        of_orchestrator(c.RECENT.name, failed, runtime_status="Failed", window="1h"),
        of_orchestrator(c.RECENT.name, completed, runtime_status="Completed", window="1h"),
        of_orchestrator(c.RECENT.name, 20.0, runtime_status="Failed", window="24h"),
        of_orchestrator(c.RECENT.name, 20.0, runtime_status="Completed", window="24h"),
    ]


def _unresolved(number: float, seconds: float) -> list[Series]:
    return [
        of_orchestrator(c.UNRESOLVED.name, number),
        of_orchestrator(c.OLDEST_UNRESOLVED.name, -seconds),
    ]


def _born(at: float) -> Series:
    """Return a counter that is first scraped at *at*, and stands at 50 then."""
    return of_orchestrator(c.FAILURES.name, 50.0, category="activity").between(at, 10 * DAY)


def _down(until: float, *, hold: float = 0.0, reset: bool = False) -> Series:
    """Return a counter of an exporter that was down for a while, in which 50 instances failed."""
    again = 0.0 if reset else 7.0

    def failures(now: float) -> float | None:
        if now < 3 * MINUTE:
            return 7.0
        if now < until:
            return None
        return again + (50.0 if now >= until + hold else 0.0)

    return of_orchestrator(c.FAILURES.name, failures, category="activity")


NEVER_SEEN_OR_DOWN = {
    "some minutes ago": (_failed("activity", 5.0, 8 * MINUTE), NOTHING),
    "never seen before": ([_born(20 * MINUTE)], NOTHING),
    "the exporter was down": ([_down(20 * MINUTE)], NOTHING),
    "it was, and holds what is new": ([_down(18 * MINUTE, hold=2 * MINUTE)], NOTHING),
    "it was, and lost its state": (
        [_down(16 * MINUTE, hold=4 * MINUTE, reset=True)],
        NOTHING,
    ),
}

TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "NewFailures",
        _failed("activity", 5.0),
        {**ORDERS, "category": "activity", "severity": "warning"},
        5.0,
        {
            "old ones": _failed("activity", 0.0),
            "a category with an alert of its own": _failed("non_determinism", 5.0),
            "another one": _failed("function_missing", 5.0),
            "names that share a label": in_other(_failed("activity", 5.0)),
        },
        since=20 * MINUTE,
        also=NEVER_SEEN_OR_DOWN,
    ),
    Trouble(
        "FailureRatioHigh",
        _recent(4.0, 20.0),
        {**ORDERS, "window": "1h", "severity": "warning"},
        4.0 / 24.0,
        {
            "few of many": _recent(1.0, 20.0),
            "few finishes": _recent(10.0, 5.0),
            "names that share a label": in_other(_recent(4.0, 20.0)),
        },
    ),
    Trouble(
        "UnresolvedFailures",
        _unresolved(3.0, 4 * HOUR + 60.0),
        {**ORDERS, "severity": "warning"},
        3.0,
        {
            "new ones": _unresolved(3.0, 2 * HOUR),
            "none": [of_orchestrator(c.UNRESOLVED.name, 0.0)],
            "names that share a label": in_other(_unresolved(3.0, DAY)),
        },
    ),
    *(
        Trouble(
            name,
            _failed(category, 5.0),
            {**ORDERS, "category": category, "severity": "critical"},
            5.0,
            {
                "old ones": _failed(category, 0.0),
                "another category": _failed("activity", 5.0),
                "names that share a label": in_other(_failed(category, 5.0)),
            },
            since=20 * MINUTE,
        )
        for name, category in (
            ("NonDeterminism", "non_determinism"),
            ("FunctionMissing", "function_missing"),
        )
    ),
)
