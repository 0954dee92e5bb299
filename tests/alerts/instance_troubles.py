"""Troubles of instances that are pending, stalled or slow, and of whole hubs."""

from __future__ import annotations

from math import inf

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE
from tests.alerts.troubles import NOTHING, ORDERS, Trouble, in_other, limit_of, over
from tests.alerts.world import Series, of_orchestrator, rises, shown

WEEK = 7 * DAY


def _limited(name: str, limit: str, severity: str = "critical") -> Trouble:
    """Return a trouble of a limit that is none by default."""
    return Trouble(
        name,
        over(limit, 3.0),
        {**ORDERS, "severity": severity},
        3.0,
        {
            "none is over it": over(limit, 0.0),
            "another limit": over("idle", 3.0),
            "names that share a label": in_other(over(limit, 3.0)),
        },
        also={"a limit of the hub": (over(limit, 3.0, own=False), NOTHING)},
    )


def _changing(first: float, second: float, waiting_on: str, target: str) -> Series:
    """Return stalled instances whose cause changes every other minute."""
    return of_orchestrator(
        c.STALLED.name,
        lambda now: second if now // MINUTE % 2 else first,
        waiting_on=waiting_on,
        target=target,
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


def _succeeded(seconds: float | None) -> list[Series]:
    success = (
        []
        if seconds is None
        else [of_orchestrator(c.LAST_FINISHED.name, -seconds, runtime_status="Completed")]
    )
    return [
        *success,
        of_orchestrator(c.LAST_FINISHED.name, lambda now: now, runtime_status="Failed"),
        limit_of("success", 2 * HOUR),
        limit_of("retention", 9 * DAY),
        limit_of("age", 9 * DAY, own=False),
        shown(c.BASELINE.name, -3 * HOUR),
    ]


def _with_limit_of_hub() -> list[Series]:
    return [
        *_succeeded(DAY)[:2],
        limit_of("success", HOUR, own=False),
        limit_of("retention", 9 * DAY, own=False),
        of_orchestrator(c.FINISHED.name, 9.0, runtime_status="Completed"),
        shown(c.BASELINE.name, -9 * DAY),
    ]


def _started(usual: float, now: float) -> list[Series]:
    """Return starts in an hour: *usual* until four hours into the week, and *now* a week later."""

    def created(at: float) -> float:
        return usual * min(at, 4 * HOUR) / HOUR + now * max(at - WEEK, 0.0) / HOUR

    return [of_orchestrator(c.CREATED.name, created)]


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


def _waits(number: float, moved: float = -HOUR, *, own: bool = True) -> list[Series]:
    """Return a hub whose last progress was at *moved*."""
    progress = rises(moved, before=-HOUR, after=-60.0)
    return [
        *over("pending", number, own=own),
        of_orchestrator(c.LAST_PROGRESS.name, progress),
        shown(c.LAST_PROGRESS.name, -DAY, orchestrator="Other"),
        shown(c.OVER_LIMIT.name, 0.0, orchestrator="Other", limit="pending"),
        shown(c.LIMIT.name, 600.0, orchestrator="Other", limit="pending"),
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
        "HubReplaced",
        [shown(c.HUB_REPLACED.name, -60.0)],
        {"severity": "warning"},
        60.0,
        {
            "two days ago": [shown(c.HUB_REPLACED.name, -2 * DAY)],
            "never": [of_orchestrator(c.VANISHED.name, 5.0)],
        },
        also={"half a day ago": ([shown(c.HUB_REPLACED.name, -DAY / 2)], NOTHING)},
    ),
    Trouble(
        "HubStalled",
        _waits(4.0),
        {"severity": "critical"},
        4.0,
        {
            "none waits for too long": _waits(0.0),
            "something moved": _waits(4.0, 10 * MINUTE),
            "running ones are idle": [
                *over("idle", 4.0),
                of_orchestrator(c.LAST_PROGRESS.name, -HOUR),
            ],
        },
        since=15 * MINUTE,
        also={"default limit": (_waits(4.0, own=False), {"severity": "warning"})},
    ),
    Trouble(
        "PendingStuck",
        over("pending", 3.0),
        {**ORDERS, "severity": "critical"},
        3.0,
        {
            "none is over it": over("pending", 0.0),
            "another limit": over("age", 3.0),
            "names that share a label": in_other(over("pending", 3.0)),
        },
        also={
            "default limit": (over("pending", 3.0, own=False), {"severity": "warning"}),
            "one starts now and then": (
                over("pending", lambda now: 500.0 - now // (5 * MINUTE)),
                NOTHING,
            ),
        },
    ),
    _limited("OverAge", "age"),
    _limited("SuspendedForgotten", "suspended", "warning"),
    Trouble(
        "OrphanedInstances",
        [of_orchestrator(c.ORPHANED.name, 2.0)],
        {**ORDERS, "severity": "warning"},
        2.0,
        {
            "none": [of_orchestrator(c.ORPHANED.name, 0.0)],
            "rows name no parents": over("age", 0.0),
            "names that share a label": in_other([of_orchestrator(c.ORPHANED.name, 2.0)]),
        },
    ),
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
    Trouble(
        "OrchestrationStalled",
        [*_stalled(2.0, "activity"), *_stalled(1.0, "entity_lock", "cart")[:1]],
        {**ORDERS, "severity": "critical"},
        2.0,
        {
            "none": _stalled(0.0, "activity"),
            "has an alert of its own": _stalled(2.0, "history_refused", ""),
            "waits for its start": _stalled(2.0, "not_started", ""),
            "idle, and waits as expected": [
                *over("idle", 2.0),
                of_orchestrator(c.UNDIAGNOSED.name, 0.0),
                of_orchestrator(c.WAITING.name, 2.0, waiting_on="external_event", target=""),
            ],
            "a monitor that rests at night": [
                *over("idle", 1.0),
                of_orchestrator(c.UNDIAGNOSED.name, 0.0),
                of_orchestrator(c.WAITING.name, 1.0, waiting_on="timer", target=""),
                of_orchestrator(c.LAST_PROGRESS.name, -10 * HOUR),
                of_orchestrator(c.CONTINUED.name, lambda now: min(now, 0.0) + 700.0),
            ],
            "histories are not read, and other limits matter": over("pending", 2.0),
            "histories are not read, of names that share a label": in_other(over("idle", 2.0)),
            "names that share a label": in_other(_stalled(2.0, "activity")),
        },
        also={
            "a timer is overdue": (_stalled(2.0, "timer_overdue", ""), NOTHING),
            "finished, and still listed as Running": (
                _stalled(2.0, "finished_in_history", ""),
                NOTHING,
            ),
            "nothing but a start": (_stalled(2.0, "no_step", ""), NOTHING),
            "nobody knows on what": (_stalled(2.0, "unknown", ""), NOTHING),
            "what most wait on changes": (
                [
                    _changing(2.0, 3.0, "activity", "Charge"),
                    _changing(3.0, 2.0, "entity", "cart"),
                    *over("idle", 5.0),
                ],
                NOTHING,
            ),
            "histories are not read": (over("idle", 3.0, own=False), {"severity": "warning"}),
            "default limit": (
                [*_stalled(2.0, "entity_lock", "cart")[:2], *over("idle", 2.0, own=False)],
                {"severity": "warning"},
            ),
        },
    ),
    Trouble(
        "NoSuccess",
        _succeeded(2 * HOUR + 60.0),
        {**ORDERS, "severity": "critical"},
        2 * HOUR + 60.0 + 5 * MINUTE,
        {
            "within the limit": _succeeded(HOUR),
            "no limit": _succeeded(DAY)[:2],
            "its own limit is none": [*_with_limit_of_hub(), limit_of("success", inf)],
            "names that share a label": in_other(_succeeded(DAY)),
            "names that share a label, with the limit of the hub": in_other(_with_limit_of_hub()),
        },
        also={
            "never": (_succeeded(None), NOTHING),
            "the limit is the hub's": (
                [
                    *_with_limit_of_hub(),
                    shown(c.LIMIT.name, 9 * DAY, orchestrator="Other", limit="success"),
                    shown(
                        c.LAST_FINISHED.name, -DAY, orchestrator="Other", runtime_status="Completed"
                    ),
                ],
                NOTHING,
            ),
        },
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
