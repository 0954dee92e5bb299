"""Alerts about entities, and about the retention of finished instances."""

from __future__ import annotations

from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import (
    ONE_HUB,
    ONE_ORCHESTRATOR,
    by_number,
    fresh,
    limit_of_hub,
    own_limit,
    selected,
)
from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, selector

_OF = "of {{ $labels.entity }} in task hub {{ $labels.task_hub }}"
_ENTITIES = f"{by_number('entity', 'entities')} {_OF} {by_number('is', 'are')} "

ENTITY_LOCK_ORPHANED = Alert(
    "EntityLockOrphaned",
    "entities",
    "entities are permanently locked, by instances that are no longer active",
    f"{fresh(selected(c.ENTITY_ORPHANED_LOCKS))} > 0",
    duration("entity_lock_orphaned_for", "5m", "Two consecutive sweeps confirm it beforehand."),
    Severity.WARNING,
    "{{ $value }} " + _ENTITIES + "permanently locked",
    "{{ $value }} " + _ENTITIES + "locked by instances that are no longer active: operations"
    " wait. First find the locks with `durable-exporter stuck`; then release them as in the"
    " runbook.",
    Board.ENTITIES,
    sweep=Sweep.ACTIVE,
)

_BACKLOG = number(
    "entity_backlog_operations",
    100,
    "An entity processes its queue one by one; a healthy one takes seconds for this many.",
)

ENTITY_BACKLOG = Alert(
    "EntityBacklog",
    "entities",
    "many operations are queued at one entity",
    f"{fresh(selected(c.ENTITY_BACKLOG_MAX))} > {_BACKLOG}",
    duration("entity_backlog_for", "10m", "A burst is processed by then."),
    Severity.WARNING,
    "An entity " + _OF + " has a backlog",
    "{{ $value }} operations are queued at one entity "
    + _OF
    + ". First check whether it is locked,"
    " and by which instance (`durable-exporter stuck`); then what calls it so often.",
    Board.ENTITIES,
    (_BACKLOG,),
    sweep=Sweep.ACTIVE,
)

_MARGIN = number(
    "purge_margin_seconds",
    86_400,
    "Purging usually runs once a day: this much over the limit is still in time.",
)

PURGE_NOT_KEEPING_UP = Alert(
    "PurgeNotKeepingUp",
    "retention",
    "finished instances stay in storage a day longer than the hub's longest limit `retention`,"
    " if every orchestrator has one",
    f"""\
time() - {fresh(c.OLDEST_RETAINED.name, Sweep.CENSUS, by="min", drop="runtime_status")}
> on ({ONE_HUB}) group_left ()
max by ({ONE_HUB}) ({selector(c.LIMIT, equal("limit", "retention"))}) + {_MARGIN}
unless on ({ONE_HUB}) (
  {selected(c.INSTANCES)} > 0
  unless on ({ONE_ORCHESTRATOR}) {own_limit("retention")}
  unless on ({ONE_HUB}) {limit_of_hub("retention")}
)""",
    duration("purge_not_keeping_up_for", "10m", "Only bridges a scrape; the margin is the wait."),
    Severity.WARNING,
    "Purge of task hub {{ $labels.task_hub }} is not keeping up",
    "The oldest finished instance in task hub {{ $labels.task_hub }} was created"
    " {{ $value | humanizeDuration }} ago, over the limit: storage and listing"
    " costs grow. First check whether the job that purges still runs.",
    Board.HUB,
    (_MARGIN,),
    sweep=Sweep.CENSUS,
)

ALERTS: tuple[Alert, ...] = (ENTITY_LOCK_ORPHANED, ENTITY_BACKLOG, PURGE_NOT_KEEPING_UP)
