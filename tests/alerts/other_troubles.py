"""Troubles of storage, and of the exporter's own numbers."""

from __future__ import annotations

from exporter.metrics import catalogue as c
from exporter.settings.durations import DAY
from tests.alerts.cases import MINUTE
from tests.alerts.troubles import NOTHING, Trouble, in_other, limit_of
from tests.alerts.world import Series, of_orchestrator, rises, shown


def _entity(name: str, value: float) -> list[Series]:
    return [shown(name, value, entity="cart")]


def _retained(seconds: float, limit: float) -> list[Series]:
    return [
        shown(c.OLDEST_RETAINED.name, -seconds, runtime_status="Completed"),
        shown(c.OLDEST_RETAINED.name, -60.0, runtime_status="Failed"),
        limit_of("retention", limit),
        limit_of("age", 99 * DAY, own=False),
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
        32 * DAY + 10 * MINUTE,
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
            ),
            "the limit is the hub's": (
                [
                    *_retained(99 * DAY, 30 * DAY)[:2],
                    limit_of("retention", 30 * DAY, own=False),
                    shown(c.INSTANCES.name, 1.0, orchestrator="Other", runtime_status="Completed"),
                ],
                NOTHING,
            ),
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
        "StateNotWritten",
        _not_written("write"),
        {"severity": "warning"},
        5.0,
        {"could not be read": _not_written("unreadable")},
        since=15 * MINUTE,
    ),
)
