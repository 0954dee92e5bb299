"""What each alert about one hub is for: a trouble that it tells of, and what is near to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.alerts.model import Alert
from exporter.alerts.table import DEFAULTS
from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR, parse_duration
from tests.alerts.cases import BY_NAME, MINUTE
from tests.alerts.world import (
    HUB,
    ORCHESTRATOR,
    OWNERS,
    TARGET,
    Series,
    of_orchestrator,
    rises,
    shown,
)

WEEK = 7 * DAY
NOTHING: Mapping[str, str] = {}
_ORDERS = {"orchestrator": ORCHESTRATOR}


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    A trouble, from `since` on (in seconds), and courses of events that are none.

    `labels` are those that the alert has beside the hub's and the target's. `value` is the number
    that it tells of, once it fires. `also` are others that it tells of, with labels that differ.
    """

    name: str
    series: Sequence[Series]
    labels: Mapping[str, str]
    value: float
    silent: Mapping[str, Sequence[Series]]
    since: float = 0.0
    step: float = MINUTE
    also: Mapping[str, tuple[Sequence[Series], Mapping[str, str]]] = field(default_factory=dict)

    @property
    def alert(self) -> Alert:
        """The alert that tells of it."""
        return BY_NAME[self.name]

    @property
    def wait(self) -> float:
        """How long it must last, in seconds."""
        return parse_duration(DEFAULTS[self.alert.wait.name])

    @property
    def fires_at(self) -> float:
        """The second at which it must fire."""
        ticks = -(-self.wait // self.step)
        return self.since + ticks * self.step

    def firing(self, changes: Mapping[str, str] = NOTHING, *, owned: bool = True) -> dict[str, str]:
        """Return all labels of the alert, with *changes*; one that is empty is none."""
        owners = OWNERS if owned else {}
        whole = {"task_hub": HUB, **TARGET, **owners, **self.labels, **changes}
        return {name: value for name, value in whole.items() if value}


def _limit(limit: str, source: str, seconds: float = 600.0) -> Series:
    return of_orchestrator(c.LIMIT.name, seconds, limit=limit, source=source)


def _over(limit: str, number: float, source: str = "configured") -> list[Series]:
    """Return instances over *limit*, and none over other limits, which have another source."""
    others = [other for other in ("pending", "idle", "age") if other != limit]
    opposite = "default" if source == "configured" else "configured"
    return [
        of_orchestrator(c.OVER_LIMIT.name, number, limit=limit),
        *(of_orchestrator(c.OVER_LIMIT.name, 0.0, limit=other) for other in others),
        _limit(limit, source),
        *(_limit(other, opposite) for other in others),
    ]


def _in_other(series: Sequence[Series]) -> list[Series]:
    """Return *series* with the label that names share which share nothing else."""
    return [
        Series(one.name, {**one.labels, label: "_other"}, one.at)
        for one in series
        for label in ("orchestrator", "entity")
        if label in one.labels
    ]


def _limited(name: str, limit: str) -> Trouble:
    return Trouble(
        name,
        _over(limit, 3.0),
        {**_ORDERS, "limit": limit, "source": "configured", "severity": "critical"},
        3.0,
        {
            "none is over it": _over(limit, 0.0),
            "another limit": _over("idle" if limit != "idle" else "age", 3.0),
            "names that share a label": _in_other(_over(limit, 3.0)),
        },
        also={
            "default limit": (
                _over(limit, 3.0, "default"),
                {"source": "default", "severity": "warning"},
            ),
            "no limit is shown": (
                [of_orchestrator(c.OVER_LIMIT.name, 3.0, limit=limit)],
                {"source": "", "severity": "warning"},
            ),
        },
    )


def _pending(number: float, before: float) -> list[Series]:
    values = rises(30 * MINUTE, before=before, after=number)
    return [
        of_orchestrator(c.INSTANCES.name, values, runtime_status="Pending"),
        of_orchestrator(c.INSTANCES.name, 5.0, runtime_status="Running"),
    ]


def _stalled(number: float, waiting_on: str, target: str = "Charge") -> list[Series]:
    return [
        of_orchestrator(c.STALLED.name, number, waiting_on=waiting_on, target=target),
        of_orchestrator(c.UNDIAGNOSED.name, 0.0),
        *_over("idle", number),
    ]


def _suspended(seconds: float) -> list[Series]:
    return [
        of_orchestrator(c.OLDEST_UPDATED.name, -seconds, runtime_status="Suspended"),
        of_orchestrator(c.OLDEST_UPDATED.name, -10 * DAY, runtime_status="Running"),
    ]


def _succeeded(seconds: float | None) -> list[Series]:
    success = (
        []
        if seconds is None
        else [of_orchestrator(c.LAST_FINISHED.name, -seconds, runtime_status="Completed")]
    )
    return [
        *success,
        of_orchestrator(c.LAST_FINISHED.name, lambda now: now, runtime_status="Failed"),
        _limit("success", "configured", 2 * HOUR),
        _limit("age", "default", 9 * DAY),
        shown(c.BASELINE.name, -3 * HOUR),
    ]


def _started(usual: float, now: float) -> list[Series]:
    """Return starts in an hour: *usual* until four hours into the week, and *now* a week later."""

    def created(at: float) -> float:
        return usual * min(at, 4 * HOUR) / HOUR + now * max(at - WEEK, 0.0) / HOUR

    return [of_orchestrator(c.CREATED.name, created)]


def _eternal(cycles: float, silence: float, active: float = 1.0) -> list[Series]:
    """Return an orchestrator of *cycles* in a week, the last one *silence* before its end."""
    last = WEEK - silence

    def continued(at: float) -> float:
        return cycles * min(at, last) / last

    return [
        of_orchestrator(c.CONTINUED.name, continued),
        of_orchestrator(c.LAST_PROGRESS.name, lambda at: min(at, last)),
        of_orchestrator(c.INSTANCES.name, active, runtime_status="Running"),
        of_orchestrator(c.INSTANCES.name, 1.0, runtime_status="Completed"),
    ]


def _took(
    seconds: float, finishes: float, *, before: float, finishes_before: float
) -> list[Series]:
    """Return finishes within six hours, and others a week later."""
    then, now = 6 * HOUR, WEEK + 6 * HOUR

    def count(at: float) -> float:
        return finishes_before * (at >= then) + finishes * (at >= now)

    def total(at: float) -> float:
        return before * finishes_before * (at >= then) + seconds * finishes * (at >= now)

    name = c.DURATION.name
    return [
        of_orchestrator(f"{name}_count", count, runtime_status="Completed"),
        of_orchestrator(f"{name}_sum", total, runtime_status="Completed"),
        of_orchestrator(f"{name}_count", lambda at: at, runtime_status="Failed"),
        of_orchestrator(f"{name}_sum", lambda at: at * 1000.0, runtime_status="Failed"),
    ]


def _failed(category: str, number: float, at: float = 20 * MINUTE) -> list[Series]:
    values = rises(at, before=7.0, after=7.0 + number)
    return [of_orchestrator(c.FAILURES.name, values, category=category)]


def _recent(failed: float, completed: float) -> list[Series]:
    return [
        of_orchestrator(c.RECENT.name, failed, runtime_status="Failed", window="1h"),
        of_orchestrator(c.RECENT.name, completed, runtime_status="Completed", window="1h"),
        of_orchestrator(c.RECENT.name, 1000.0, runtime_status="Terminated", window="1h"),
        of_orchestrator(c.RECENT.name, 20.0, runtime_status="Failed", window="5m"),
        of_orchestrator(c.RECENT.name, 20.0, runtime_status="Completed", window="5m"),
    ]


def _unresolved(number: float, seconds: float) -> list[Series]:
    return [
        of_orchestrator(c.UNRESOLVED.name, number),
        of_orchestrator(c.OLDEST_UNRESOLVED.name, -seconds),
    ]


def _entity(name: str, value: float) -> list[Series]:
    return [shown(name, value, entity="cart")]


def _retained(seconds: float, limit: float) -> list[Series]:
    return [
        shown(c.OLDEST_RETAINED.name, -seconds, runtime_status="Completed"),
        shown(c.OLDEST_RETAINED.name, -60.0, runtime_status="Failed"),
        _limit("retention", "configured", limit),
        _limit("age", "default", 99 * DAY),
    ]


def _waits(number: float, silence: float, source: str = "configured") -> list[Series]:
    return [
        *_over("pending", number, source),
        of_orchestrator(c.LAST_PROGRESS.name, -silence),
        shown(c.LAST_PROGRESS.name, -silence - HOUR, orchestrator="Other"),
        shown(c.LIMIT.name, 600.0, orchestrator="Other", limit="pending", source="default"),
    ]


def _empty(rows: float, since: float) -> list[Series]:
    return [
        shown(c.BASELINE.name, -since),
        shown(c.ROWS.name, rows, sweep="active"),
        shown(c.ROWS.name, 0.0, sweep="census"),
    ]


def _lost_while_down(now: float) -> float | None:
    if now < MINUTE:
        return -DAY
    return 19 * MINUTE if now >= 20 * MINUTE else None


def _intervals(effective: float, configured: float) -> list[Series]:
    return [
        shown(c.SWEEP_INTERVAL.name, effective, sweep="other"),
        shown(c.SWEEP_CONFIGURED_INTERVAL.name, configured, sweep="other"),
    ]


def _errors(kind: str, number: float) -> list[Series]:
    values = rises(30 * MINUTE, before=3.0, after=3.0 + number)
    return [
        shown(c.API_ERRORS.name, values, operation="list", kind=kind),
        shown(c.API_ERRORS.name, 9.0, operation="get", kind=kind),
    ]


def _not_written(reason: str) -> list[Series]:
    return [shown(c.STATE_ERRORS.name, rises(15 * MINUTE, after=5.0), reason=reason)]


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
        "HubEmpty",
        _empty(0.0, HOUR + 60.0),
        {"severity": "warning"},
        HOUR + 60.0 + 5 * MINUTE,
        {
            "first contact was lately": _empty(0.0, 0.5 * HOUR),
            "rows were read": _empty(1.0, DAY),
            "an instance was there before the restart": [
                *_empty(0.0, DAY),
                of_orchestrator(c.LAST_PROGRESS.name, -DAY),
            ],
        },
    ),
    Trouble(
        "HubStalled",
        _waits(4.0, 31 * MINUTE),
        {"source": "configured", "severity": "critical"},
        4.0,
        {
            "none waits for too long": _waits(0.0, 31 * MINUTE),
            "something moved": _waits(4.0, 10 * MINUTE),
            "running ones are idle": [
                *_over("idle", 4.0),
                of_orchestrator(c.LAST_PROGRESS.name, -HOUR),
            ],
        },
        also={
            "default limit": (
                _waits(4.0, 31 * MINUTE, "default"),
                {"source": "default", "severity": "warning"},
            )
        },
    ),
    _limited("PendingStuck", "pending"),
    Trouble(
        "PendingBacklogGrowing",
        _pending(150.0, 90.0),
        {**_ORDERS, "runtime_status": "Pending", "severity": "warning"},
        150.0,
        {
            "few": _pending(90.0, 10.0),
            "many, but not many more": _pending(150.0, 110.0),
            "more and more run": [
                of_orchestrator(
                    c.INSTANCES.name,
                    rises(30 * MINUTE, before=1.0, after=999.0),
                    runtime_status="Running",
                )
            ],
            "names that share a label": _in_other(_pending(150.0, 90.0)),
        },
        since=30 * MINUTE,
    ),
    _limited("OverAge", "age"),
    Trouble(
        "OrchestrationStalled",
        _stalled(2.0, "activity"),
        {
            **_ORDERS,
            "waiting_on": "activity",
            "target": "Charge",
            "source": "configured",
            "severity": "critical",
        },
        2.0,
        {
            "none": _stalled(0.0, "activity"),
            "has an alert of its own": _stalled(2.0, "timer_overdue", ""),
            "waits for its start": _stalled(2.0, "not_started", ""),
            "idle, and waits as designed": [
                *_over("idle", 2.0),
                of_orchestrator(c.UNDIAGNOSED.name, 0.0),
                of_orchestrator(c.WAITING.name, 2.0, waiting_on="external_event", target=""),
            ],
            "histories are not read, and other limits matter": _over("pending", 2.0),
            "histories are not read, of names that share a label": _in_other(_over("idle", 2.0)),
            "names that share a label": _in_other(_stalled(2.0, "activity")),
        },
        also={
            "histories are not read": (
                _over("idle", 3.0, "default"),
                {
                    "limit": "idle",
                    "waiting_on": "",
                    "target": "",
                    "source": "default",
                    "severity": "warning",
                },
            ),
            "no limit of that kind": (
                _stalled(2.0, "entity_lock", "cart")[:2],
                {
                    "waiting_on": "entity_lock",
                    "target": "cart",
                    "source": "",
                    "severity": "warning",
                },
            ),
        },
    ),
    Trouble(
        "TimerOverdue",
        [of_orchestrator(c.OVERDUE_TIMER.name, -11 * MINUTE)],
        {**_ORDERS, "severity": "warning"},
        16 * MINUTE,
        {
            "not for long": [of_orchestrator(c.OVERDUE_TIMER.name, lambda now: now - 500.0)],
            "names that share a label": _in_other(
                [of_orchestrator(c.OVERDUE_TIMER.name, -11 * MINUTE)]
            ),
        },
    ),
    Trouble(
        "FinishedButRunning",
        _stalled(2.0, "finished_in_history", ""),
        {**_ORDERS, "waiting_on": "finished_in_history", "severity": "warning"},
        2.0,
        {
            "none": _stalled(0.0, "finished_in_history", ""),
            "waits on an activity": _stalled(2.0, "activity"),
            "names that share a label": _in_other(_stalled(2.0, "finished_in_history", "")),
        },
    ),
    Trouble(
        "SuspendedForgotten",
        _suspended(DAY + 60.0),
        {**_ORDERS, "severity": "info"},
        DAY + 60.0 + 5 * MINUTE,
        {
            "suspended lately": _suspended(DAY / 2),
            "names that share a label": _in_other(_suspended(2 * DAY)),
        },
    ),
    Trouble(
        "NoSuccess",
        _succeeded(2 * HOUR + 60.0),
        {**_ORDERS, "source": "configured", "severity": "critical"},
        2 * HOUR + 60.0 + 5 * MINUTE,
        {
            "within the limit": _succeeded(HOUR),
            "no limit": _succeeded(DAY)[:2],
            "names that share a label": _in_other(_succeeded(DAY)),
        },
        also={"never": (_succeeded(None), {})},
    ),
    Trouble(
        "NothingStarted",
        _started(25.0, 0.0),
        {**_ORDERS, "severity": "warning"},
        25.0,
        {
            "as always": _started(25.0, 25.0),
            "few are usual": _started(15.0, 0.0),
            "names that share a label": _in_other(_started(25.0, 0.0)),
        },
        since=WEEK + HOUR,
        step=HOUR,
    ),
    Trouble(
        "EternalStalled",
        _eternal(168.0, 6 * HOUR),
        {**_ORDERS, "severity": "warning"},
        7 * HOUR,
        {
            "the next one is due": _eternal(168.0, 2 * HOUR),
            "few are known": _eternal(9.0, 6 * DAY),
            "it has ended": _eternal(168.0, 6 * HOUR, 0.0),
            "names that share a label": _in_other(_eternal(168.0, 6 * HOUR)),
        },
        since=WEEK,
        step=HOUR,
    ),
    Trouble(
        "DurationRegression",
        _took(130.0, 30.0, before=50.0, finishes_before=30.0),
        {**_ORDERS, "severity": "warning"},
        130.0,
        {
            "a little longer": _took(80.0, 30.0, before=50.0, finishes_before=30.0),
            "seconds": _took(6.0, 30.0, before=1.0, finishes_before=30.0),
            "few finishes": _took(130.0, 15.0, before=50.0, finishes_before=30.0),
            "few finishes before": _took(130.0, 30.0, before=50.0, finishes_before=15.0),
            "names that share a label": _in_other(
                _took(130.0, 30.0, before=50.0, finishes_before=30.0)
            ),
        },
        since=WEEK + 6 * HOUR,
        step=HOUR,
    ),
    Trouble(
        "NewFailures",
        _failed("activity", 5.0),
        {**_ORDERS, "category": "activity", "severity": "warning"},
        5.0,
        {
            "old ones": _failed("activity", 0.0),
            "a category with an alert of its own": _failed("non_determinism", 5.0),
            "another one": _failed("function_missing", 5.0),
            "names that share a label": _in_other(_failed("activity", 5.0)),
        },
        since=20 * MINUTE,
        also=NEVER_SEEN_OR_DOWN,
    ),
    Trouble(
        "FailureRatioHigh",
        _recent(4.0, 20.0),
        {**_ORDERS, "window": "1h", "severity": "warning"},
        4.0 / 24.0,
        {
            "few of many": _recent(1.0, 20.0),
            "few finishes": _recent(10.0, 5.0),
            "names that share a label": _in_other(_recent(4.0, 20.0)),
        },
    ),
    Trouble(
        "UnresolvedFailures",
        _unresolved(3.0, 4 * HOUR + 60.0),
        {**_ORDERS, "severity": "warning"},
        3.0,
        {
            "new ones": _unresolved(3.0, 2 * HOUR),
            "none": [of_orchestrator(c.UNRESOLVED.name, 0.0)],
            "names that share a label": _in_other(_unresolved(3.0, DAY)),
        },
    ),
    *(
        Trouble(
            name,
            _failed(category, 5.0),
            {**_ORDERS, "category": category, "severity": "critical"},
            5.0,
            {
                "old ones": _failed(category, 0.0),
                "another category": _failed("activity", 5.0),
                "names that share a label": _in_other(_failed(category, 5.0)),
            },
            since=20 * MINUTE,
        )
        for name, category in (
            ("NonDeterminism", "non_determinism"),
            ("FunctionMissing", "function_missing"),
        )
    ),
    Trouble(
        "EntityLockOrphaned",
        _entity(c.ENTITY_ORPHANED_LOCKS.name, 2.0),
        {"entity": "cart", "severity": "warning"},
        2.0,
        {
            "none": _entity(c.ENTITY_ORPHANED_LOCKS.name, 0.0),
            "names that share a label": _in_other(_entity(c.ENTITY_ORPHANED_LOCKS.name, 2.0)),
        },
    ),
    Trouble(
        "EntityBacklog",
        _entity(c.ENTITY_BACKLOG_MAX.name, 150.0),
        {"entity": "cart", "severity": "warning"},
        150.0,
        {
            "few": _entity(c.ENTITY_BACKLOG_MAX.name, 60.0),
            "names that share a label": _in_other(_entity(c.ENTITY_BACKLOG_MAX.name, 150.0)),
        },
    ),
    Trouble(
        "PurgeNotKeepingUp",
        _retained(32 * DAY, 30 * DAY),
        {"severity": "warning"},
        32 * DAY + HOUR,
        {
            "within a day of the limit": _retained(30.5 * DAY, 30 * DAY),
            "no limit": _retained(99 * DAY, 30 * DAY)[:2],
        },
    ),
    Trouble(
        "SweepTooSlow",
        _intervals(75.0, 30.0),
        {"sweep": "other", "severity": "warning"},
        75.0,
        {"a little slow": _intervals(45.0, 30.0), "as configured": _intervals(75.0, 75.0)},
    ),
    Trouble(
        "BudgetSpent",
        [shown(c.PAGE_BUDGET_REMAINING.name, 0.0)],
        {"severity": "warning"},
        0.0,
        {
            "pages remain": [shown(c.PAGE_BUDGET_REMAINING.name, 10.0)],
            "sweeps fail": [
                shown(c.PAGE_BUDGET_REMAINING.name, 10.0),
                shown(c.SWEEPS.name, lambda now: now, sweep="census", result="failed"),
            ],
        },
        also={
            "sweeps are left out": (
                [
                    shown(c.PAGE_BUDGET_REMAINING.name, 10.0),
                    shown(c.SWEEPS.name, lambda now: now, sweep="census", result="skipped_budget"),
                ],
                NOTHING,
            )
        },
    ),
    Trouble(
        "Throttled",
        _errors("throttled", 15.0),
        {"severity": "warning"},
        15.0,
        {"a few": _errors("throttled", 5.0), "other errors": _errors("timeout", 15.0)},
        since=30 * MINUTE,
    ),
    Trouble(
        "LabelsFolded",
        [shown(c.LABEL_VALUES_FOLDED.name, 3.0, label="orchestrator")],
        {"label": "orchestrator", "severity": "warning"},
        3.0,
        {"none": [shown(c.LABEL_VALUES_FOLDED.name, 0.0, label="orchestrator")]},
    ),
    Trouble(
        "BaselineLost",
        [shown(c.BASELINE.name, rises(20 * MINUTE, before=-DAY, after=19 * MINUTE))],
        {"severity": "warning"},
        MINUTE,
        {
            "the same as ever": [shown(c.BASELINE.name, -DAY)],
            "the hub is new": [
                shown(c.BASELINE.name, 19 * MINUTE).between(20 * MINUTE, DAY),
            ],
        },
        since=20 * MINUTE,
        also={
            "the exporter was down": (
                [shown(c.BASELINE.name, _lost_while_down)],
                NOTHING,
            )
        },
    ),
    Trouble(
        "StateNotWritten",
        _not_written("write"),
        {"reason": "write", "severity": "warning"},
        5.0,
        {"could not be read": _not_written("unreadable")},
        since=15 * MINUTE,
    ),
)
