"""Troubles of storage, and of what the exporter's numbers are worth."""

from __future__ import annotations

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY, HOUR
from tests.alerts.cases import MINUTE
from tests.alerts.troubles import NOTHING, Trouble, in_other, limit_of
from tests.alerts.world import Series, of_orchestrator, rises, shown


def _entity(name: str, value: float) -> list[Series]:
    return [shown(name, value, entity="cart")]


def _retained(seconds: float, limit: float) -> list[Series]:
    return [
        shown(c.OLDEST_RETAINED.name, -seconds, runtime_status="Completed"),
        shown(c.OLDEST_RETAINED.name, -60.0, runtime_status="Failed"),
        limit_of("retention", "configured", limit),
        limit_of("age", "default", 99 * DAY),
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


TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "EntityLockOrphaned",
        _entity(c.ENTITY_ORPHANED_LOCKS.name, 2.0),
        {"entity": "cart", "severity": "warning"},
        2.0,
        {
            "none": _entity(c.ENTITY_ORPHANED_LOCKS.name, 0.0),
            "names that share a label": in_other(_entity(c.ENTITY_ORPHANED_LOCKS.name, 2.0)),
        },
    ),
    Trouble(
        "EntityBacklog",
        _entity(c.ENTITY_BACKLOG_MAX.name, 150.0),
        {"entity": "cart", "severity": "warning"},
        150.0,
        {
            "few": _entity(c.ENTITY_BACKLOG_MAX.name, 60.0),
            "names that share a label": in_other(_entity(c.ENTITY_BACKLOG_MAX.name, 150.0)),
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
            "others may stay": [
                *_retained(99 * DAY, 30 * DAY),
                shown(c.INSTANCES.name, 1.0, orchestrator="Other", runtime_status="Completed"),
            ],
        },
        also={
            "names that share a label have none to show": (
                [
                    *_retained(99 * DAY, 30 * DAY),
                    of_orchestrator(c.INSTANCES.name, 5.0, runtime_status="Completed"),
                    shown(c.INSTANCES.name, 1.0, orchestrator="_other", runtime_status="Failed"),
                    shown(c.INSTANCES.name, 0.0, orchestrator="Other", runtime_status="Failed"),
                ],
                NOTHING,
            )
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
        {"severity": "info"},
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
