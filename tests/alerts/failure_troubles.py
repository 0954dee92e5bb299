"""Troubles of failed instances."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE, Case
from tests.alerts.troubles import NOTHING, ORDERS, Trouble, in_other, limit_of
from tests.alerts.world import Series, of_orchestrator, read_hub, rises, shown


def _limits(*, ratio: float = 0.05, unresolved: float = 10.0) -> list[Series]:
    """Return the limits of the hub, and another orchestrator's own."""
    other = {"orchestrator": "Other"}
    return [
        limit_of("failure_ratio", ratio, own=False, family=c.LIMIT_RATIO),
        limit_of("unresolved_failures", unresolved, own=False, family=c.LIMIT_INSTANCES),
        shown(c.LIMIT_RATIO.name, 0.9, limit="failure_ratio", **other),
        shown(c.LIMIT_INSTANCES.name, 99.0, limit="unresolved_failures", **other),
        of_orchestrator(c.FINISHED.name, 100.0, runtime_status="Completed"),
        shown(c.FINISHED.name, 100.0, runtime_status="Completed", **other),
    ]


def _recent(failed: float, completed: float, window: str = "1h") -> list[Series]:
    return [
        of_orchestrator(c.RECENT.name, failed, runtime_status="Failed", window=window),
        of_orchestrator(c.RECENT.name, completed, runtime_status="Completed", window=window),
        of_orchestrator(c.RECENT.name, 1000.0, runtime_status="Terminated", window=window),
    ]


def _in_a_day(failed: float, completed: float) -> list[Series]:
    ratio = failed / (failed + completed)
    return [
        *_recent(failed, completed, "24h"),
        of_orchestrator(c.FAILURE_RATIO.name, ratio, window="24h"),
        of_orchestrator(c.FAILURE_RATIO.name, 1.0, window="1h"),
    ]


def _unresolved(number: float) -> Series:
    return of_orchestrator(c.UNRESOLVED.name, number)


_OWN_LIMIT = limit_of("unresolved_failures", 0.0, family=c.LIMIT_INSTANCES)
_FAILING = Trouble(
    "OrchestrationsFailing",
    [*_limits(), *_recent(4.0, 20.0), *_in_a_day(40.0, 900.0)],
    {**ORDERS, "severity": "warning"},
    4.0 / 24.0,
    {
        "few of many": [*_limits(), *_recent(1.0, 20.0), *_in_a_day(10.0, 900.0)],
        "few finishes": [*_limits(), *_recent(10.0, 5.0)],
        "two failures": [*_limits(), *_recent(2.0, 20.0)],
        "a limit that is higher": [*_limits(ratio=0.2), *_recent(4.0, 20.0)],
        "its own limit is higher": [
            *_limits(),
            limit_of("failure_ratio", 0.5, family=c.LIMIT_RATIO),
            *_recent(4.0, 20.0),
        ],
        "names that share a label": in_other([*_limits(), *_recent(4.0, 20.0)]),
        "names that share a label, and always fail": in_other(_recent(1.0, 0.0, "24h")),
        "five failures a day for a week, of a thousand": [
            *_limits(),
            *_recent(1.0, 40.0),
            *_in_a_day(5.0, 995.0),
            _unresolved(35.0),
        ],
        "some failed, and others completed": [*_limits(), *_in_a_day(3.0, 2.0)],
        "few are unresolved": [*_limits(), *_in_a_day(40.0, 60.0), _unresolved(9.0)],
        "unresolved ones of weeks": [*_limits(), _unresolved(99.0)],
        "within its own limit": [
            *_limits(),
            limit_of("unresolved_failures", 50.0, family=c.LIMIT_INSTANCES),
            *_in_a_day(40.0, 60.0),
            _unresolved(40.0),
        ],
        "unresolved ones that share a label": in_other(
            [*_limits(), *_in_a_day(40.0, 60.0), _unresolved(40.0)]
        ),
    },
    also={
        "a nightly job that always fails": ([*_limits(), *_recent(1.0, 0.0, "24h")], NOTHING),
        "one start of a name that is not there": (
            _recent(1.0, 0.0, "24h")[:1],
            NOTHING,
        ),
        "many are unresolved": ([*_limits(), *_in_a_day(6.0, 94.0), _unresolved(11.0)], NOTHING),
        "one is, and its own limit is 0": (
            [*_limits(), _OWN_LIMIT, *_in_a_day(1.0, 999.0), _unresolved(1.0)],
            NOTHING,
        ),
        "one is of long ago, and its own limit is 0": ([_OWN_LIMIT, _unresolved(1.0)], NOTHING),
    },
)


def _failed(category: str, number: float, at: float = 20 * MINUTE) -> list[Series]:
    values = rises(at, before=7.0, after=7.0 + number)
    return [_completed(), of_orchestrator(c.FAILURES.name, values, category=category)]


def _completed() -> Series:
    return of_orchestrator(c.LAST_FINISHED.name, -DAY, runtime_status="Completed")


def _born(at: float) -> list[Series]:
    """Return a counter that is first scraped at *at*, at 50."""
    failures = of_orchestrator(c.FAILURES.name, 50.0, category="non_determinism")
    return [_completed(), failures.between(at, 10 * DAY)]


def _down(until: float, *, hold: float = 0.0, reset: bool = False) -> list[Series]:
    """Return a counter of an exporter that was down while 50 instances failed."""
    again = 0.0 if reset else 7.0

    def failures(now: float) -> float | None:
        if now < 3 * MINUTE:
            return 7.0
        if now < until:
            return None
        return again + (50.0 if now >= until + hold else 0.0)

    return [_completed(), of_orchestrator(c.FAILURES.name, failures, category="non_determinism")]


def _never_completed(failed_function: str) -> list[Series]:
    """Return a failure of an orchestrator that never completed."""
    _, failures = _failed("function_missing", 1.0)
    reasons = {"category": "function_missing", "error_type": ""}
    return [
        failures,
        of_orchestrator(
            c.FAILURE_REASONS.name,
            rises(20 * MINUTE, after=1.0),
            failed_function=failed_function,
            **reasons,
        ),
        shown(c.LAST_FINISHED.name, -DAY, orchestrator="Other", runtime_status="Completed"),
        of_orchestrator(c.LAST_FINISHED.name, -60.0, runtime_status="Failed"),
    ]


def _refused(number: float) -> list[Series]:
    return [
        of_orchestrator(c.STALLED.name, number, waiting_on="history_refused", target="").between(
            20 * MINUTE, 10 * DAY
        ),
        of_orchestrator(c.STALLED.name, 3.0, waiting_on="activity", target="Charge"),
    ]


_BROKEN = Trouble(
    "DeploymentBroken",
    _failed("non_determinism", 5.0),
    {**ORDERS, "severity": "critical"},
    5.0,
    {
        "old ones": _failed("non_determinism", 0.0),
        "another category": _failed("activity", 5.0),
        "names that share a label": in_other(_failed("non_determinism", 5.0)),
        "one start of a name that is not there": _never_completed("ProcessOrder"),
        "one start of a name that is not there, and nothing is named": _never_completed(""),
        "a start of a version that is not there": [
            of_orchestrator(
                c.FAILURES.name, rises(20 * MINUTE, after=1.0), category="version_mismatch"
            ),
        ],
        "none is refused": _refused(0.0),
        "names that share a label are refused": in_other(_refused(2.0)),
    },
    since=20 * MINUTE,
    also={
        "it no longer fits those that never completed": (
            _failed("non_determinism", 5.0)[1:],
            NOTHING,
        ),
        "a function is missing": (_failed("function_missing", 5.0), NOTHING),
        "another version is deployed": (_failed("version_mismatch", 5.0), NOTHING),
        "an activity is missing since the first start": (_never_completed("Charge"), NOTHING),
        "an eternal one is missing": (
            [*_failed("function_missing", 1.0)[1:], of_orchestrator(c.CONTINUED.name, 9.0)],
            NOTHING,
        ),
        "histories are refused": (_refused(2.0), NOTHING),
        "some minutes ago": (_failed("non_determinism", 5.0, 8 * MINUTE), NOTHING),
        "never seen before": (_born(20 * MINUTE), NOTHING),
        "the exporter was down": (_down(20 * MINUTE), NOTHING),
        "it was, and holds what is new": (_down(18 * MINUTE, hold=2 * MINUTE), NOTHING),
        "it was, and lost its state": (
            _down(16 * MINUTE, hold=4 * MINUTE, reset=True),
            NOTHING,
        ),
    },
)

_STALE = [one for one in read_hub() if one.name != c.SWEEP_FRESH.name]


def _fresh(*sweeps: Sweep) -> list[Series]:
    """Return a hub of which only these sweeps are fresh."""
    fresh = (shown(c.SWEEP_FRESH.name, float(sweep in sweeps), sweep=sweep) for sweep in Sweep)
    return [*_STALE, *fresh]


CASES: Mapping[str, tuple[Case, ...]] = {
    "OrchestrationsFailing": (
        Case(
            "what is unresolved is not known",
            [
                *_fresh(Sweep.ACTIVE, Sweep.FINISHED),
                *_limits(),
                *_in_a_day(6.0, 94.0),
                _unresolved(11.0),
            ],
            {HOUR: []},
        ),
        Case(
            "what failed within a day is not known",
            [
                *_fresh(Sweep.ACTIVE, Sweep.FAILED),
                *_limits(),
                *_in_a_day(6.0, 94.0),
                _unresolved(11.0),
            ],
            {HOUR: []},
        ),
    ),
    "DeploymentBroken": (
        Case("which are refused is not known", [*_fresh(), *_refused(2.0)], {HOUR: []}),
    ),
}

TROUBLES: tuple[Trouble, ...] = (_FAILING, _BROKEN)
