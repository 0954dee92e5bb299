"""Troubles of instances that wait, stall or are too slow, and of hubs as a whole."""

from __future__ import annotations

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE
from tests.alerts.troubles import NOTHING, ORDERS, Trouble, in_other, limit_of, over
from tests.alerts.world import Series, of_orchestrator, rises, shown

WEEK = 7 * DAY
BY_DEFAULT = {"source": "", "severity": "warning"}


def _limited(name: str, limit: str) -> Trouble:
    return Trouble(
        name,
        over(limit, 3.0),
        {**ORDERS, "limit": limit, "source": "configured", "severity": "critical"},
        3.0,
        {
            "none is over it": over(limit, 0.0),
            "another limit": over("idle" if limit != "idle" else "age", 3.0),
            "names that share a label": in_other(over(limit, 3.0)),
        },
        also={
            "limit of the hub": (over(limit, 3.0, "default"), {} if limit == "age" else BY_DEFAULT),
            "no limit is shown": (
                [of_orchestrator(c.OVER_LIMIT.name, 3.0, limit=limit)],
                {} if limit == "age" else BY_DEFAULT,
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
        *over("idle", number),
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
        limit_of("success", "configured", 2 * HOUR),
        limit_of("age", "default", 9 * DAY),
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


def _minutely(silence: float) -> list[Series]:
    """Return an orchestrator of cycles of five minutes, which is always *silence* behind."""
    continued, _, *instances = _eternal(2000.0, 0.0)
    behind = of_orchestrator(c.LAST_PROGRESS.name, lambda at: at - silence)
    return [continued, behind, *instances]


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
        of_orchestrator(f"{name}_count", count),
        of_orchestrator(f"{name}_sum", total),
    ]


def _waits(number: float, silence: float, source: str = "configured") -> list[Series]:
    return [
        *over("pending", number, source),
        of_orchestrator(c.LAST_PROGRESS.name, -silence),
        shown(c.LAST_PROGRESS.name, -silence - HOUR, orchestrator="Other"),
    ]


def _empty(rows: float, since: float) -> list[Series]:
    return [
        shown(c.BASELINE.name, -since),
        shown(c.ROWS.name, rows, sweep="active"),
        shown(c.ROWS.name, 0.0, sweep="census"),
    ]


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
                *over("idle", 4.0),
                of_orchestrator(c.LAST_PROGRESS.name, -HOUR),
            ],
        },
        also={
            "default limit": (
                _waits(4.0, 31 * MINUTE, "default"),
                BY_DEFAULT,
            )
        },
    ),
    _limited("PendingStuck", "pending"),
    Trouble(
        "PendingBacklogGrowing",
        _pending(150.0, 90.0),
        {**ORDERS, "runtime_status": "Pending", "severity": "warning"},
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
            "names that share a label": in_other(_pending(150.0, 90.0)),
        },
        since=30 * MINUTE,
    ),
    _limited("OverAge", "age"),
    Trouble(
        "OrchestrationStalled",
        _stalled(2.0, "activity"),
        {
            **ORDERS,
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
                *over("idle", 2.0),
                of_orchestrator(c.UNDIAGNOSED.name, 0.0),
                of_orchestrator(c.WAITING.name, 2.0, waiting_on="external_event", target=""),
            ],
            "histories are not read, and other limits matter": over("pending", 2.0),
            "histories are not read, of names that share a label": in_other(over("idle", 2.0)),
            "names that share a label": in_other(_stalled(2.0, "activity")),
        },
        also={
            "histories are not read": (
                over("idle", 3.0, "default"),
                {
                    "limit": "idle",
                    "waiting_on": "",
                    "target": "",
                    "source": "",
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
        {**ORDERS, "severity": "warning"},
        16 * MINUTE,
        {
            "not for long": [of_orchestrator(c.OVERDUE_TIMER.name, lambda now: now - 500.0)],
            "names that share a label": in_other(
                [of_orchestrator(c.OVERDUE_TIMER.name, -11 * MINUTE)]
            ),
        },
    ),
    Trouble(
        "FinishedButRunning",
        _stalled(2.0, "finished_in_history", ""),
        {**ORDERS, "waiting_on": "finished_in_history", "severity": "warning"},
        2.0,
        {
            "none": _stalled(0.0, "finished_in_history", ""),
            "waits on an activity": _stalled(2.0, "activity"),
            "names that share a label": in_other(_stalled(2.0, "finished_in_history", "")),
        },
    ),
    Trouble(
        "OrphanedInstances",
        [of_orchestrator(c.ORPHANED.name, 3.0)],
        {**ORDERS, "severity": "warning"},
        3.0,
        {
            "none": [of_orchestrator(c.ORPHANED.name, 0.0)],
            "rows name no parents": over("age", 0.0),
            "names that share a label": in_other([of_orchestrator(c.ORPHANED.name, 3.0)]),
        },
    ),
    Trouble(
        "SuspendedForgotten",
        _suspended(DAY + 60.0),
        {**ORDERS, "severity": "info"},
        DAY + 60.0 + 5 * MINUTE,
        {
            "suspended lately": _suspended(DAY / 2),
            "names that share a label": in_other(_suspended(2 * DAY)),
        },
    ),
    Trouble(
        "NoSuccess",
        _succeeded(2 * HOUR + 60.0),
        {**ORDERS, "source": "configured", "severity": "critical"},
        2 * HOUR + 60.0 + 5 * MINUTE,
        {
            "within the limit": _succeeded(HOUR),
            "no limit": _succeeded(DAY)[:2],
            "names that share a label": in_other(_succeeded(DAY)),
        },
        also={"never": (_succeeded(None), {})},
    ),
    Trouble(
        "NothingStarted",
        _started(25.0, 0.0),
        {**ORDERS, "severity": "warning"},
        25.0,
        {
            "as always": _started(25.0, 25.0),
            "few are usual": _started(15.0, 0.0),
            "names that share a label": in_other(_started(25.0, 0.0)),
        },
        since=WEEK + HOUR,
        step=HOUR,
    ),
    Trouble(
        "EternalStalled",
        _eternal(168.0, 6 * HOUR),
        {**ORDERS, "severity": "warning"},
        7 * HOUR,
        {
            "the next one is due": _eternal(168.0, 2 * HOUR),
            "few are known": _eternal(9.0, 6 * DAY),
            "it has ended": _eternal(168.0, 6 * HOUR, 0.0),
            "cycles of minutes, and some are late": _minutely(1600.0),
            "names that share a label": in_other(_eternal(168.0, 6 * HOUR)),
        },
        also={
            "cycles of hours": (_eternal(20.0, 2 * DAY), NOTHING),
            "cycles of minutes": (_minutely(HOUR), NOTHING),
        },
        since=WEEK,
        step=HOUR,
    ),
    Trouble(
        "DurationRegression",
        _took(130.0, 30.0, before=50.0, finishes_before=30.0),
        {**ORDERS, "severity": "warning"},
        130.0,
        {
            "a little longer": _took(80.0, 30.0, before=50.0, finishes_before=30.0),
            "seconds": _took(6.0, 30.0, before=1.0, finishes_before=30.0),
            "few finishes": _took(130.0, 15.0, before=50.0, finishes_before=30.0),
            "few finishes before": _took(130.0, 30.0, before=50.0, finishes_before=15.0),
            "names that share a label": in_other(
                _took(130.0, 30.0, before=50.0, finishes_before=30.0)
            ),
        },
        since=WEEK + 6 * HOUR,
        step=HOUR,
    ),
)
