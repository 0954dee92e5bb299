"""`stuck --orphans`: active sub-orchestrations whose parent has finished or is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from rich.table import Table

from exporter.cli.configured import Hub
from exporter.cli.terminal import console, markup, span_since, table
from exporter.collector.hub_diagnosis import in_slices
from exporter.collector.polling_inputs import rules_of
from exporter.collector.sweeps import HubSweeps
from exporter.diagnosis.families import children_of
from exporter.ledger.ledger import Ledger
from exporter.ledger.status import ACTIVE, RuntimeStatus
from exporter.ledger.tracked import TrackedInstance
from exporter.settings import Settings
from exporter.web.formatting import plural, rfc3339


class OrphanedInstance(msgspec.Struct, frozen=True):
    """One orphan; the keys are promised to scripts. `parent_status` is null if it was purged."""

    task_hub: str
    instance_id: str
    orchestrator: str
    runtime_status: str
    created_time: str | None
    last_updated_time: str | None
    parent_instance_id: str
    parent_status: str | None


@dataclass(frozen=True, slots=True)
class Orphan:
    """An active instance, and the status of its parent, None if that was purged."""

    instance_id: str
    instance: TrackedInstance
    parent: str
    parent_status: RuntimeStatus | None


@dataclass(frozen=True, slots=True)
class Orphaned:
    """The orphans of one hub at a time of its clock; `unread` counts parents not read."""

    at: float
    orphans: Sequence[Orphan]
    unread: int


async def find_orphans(hub: Hub, *, settings: Settings, reads: int) -> Orphaned:
    """
    List the active instances of a hub, and read at most *reads* parents that are not among them.

    Raises:
        ApiError: the hub could not be read.
    """
    ledger = Ledger(rules_of(hub.settings, settings.buckets))
    sweeps = HubSweeps(hub.client, ledger, hub.clock)
    await sweeps.active()
    # Copied: reads may change what is tracked.
    tracked = dict(ledger.tracked)
    children = await in_slices(children_of(tracked, ledger.sweep))
    wanted = [parent for parent in children if parent not in tracked]
    ended: dict[str, RuntimeStatus | None] = {}

    def saw(parent: str, status: RuntimeStatus | None) -> None:
        if status not in ACTIVE:
            ended[parent] = status

    await sweeps.read_parents(wanted[:reads], saw)
    orphans = [
        Orphan(instance_id, instance, instance.parent, ended[instance.parent])
        for instance_id, instance in tracked.items()
        if instance.parent is not None and instance.parent in ended
    ]
    orphans.sort(key=lambda orphan: (orphan.parent, orphan.instance_id))
    return Orphaned(hub.clock.now(), orphans, max(0, len(wanted) - reads))


def row_of_orphan(hub: str, orphan: Orphan) -> OrphanedInstance:
    """Return an orphan for JSON."""
    return OrphanedInstance(
        hub,
        orphan.instance_id,
        orphan.instance.name,
        orphan.instance.status.value,
        rfc3339(orphan.instance.created),
        rfc3339(orphan.instance.updated),
        orphan.parent,
        orphan.parent_status and orphan.parent_status.value,
    )


def print_orphans(hub: str, found: Orphaned, most: int) -> None:
    """Print the orphans of a hub, at most *most*."""
    out = console()
    count = len(found.orphans)
    verdict = f"{plural(count, 'instance')} orphaned" if count else "no orphaned instances"
    out.print(f"[bold]{markup(hub)}[/]: {verdict}")
    if found.orphans:
        out.print()
        out.print(_table(found.orphans[:most], found.at))
    if count > most:
        out.print(f"{count - most:,} more: raise --limit, or use --format json")
    if found.unread:
        out.print(f"{plural(found.unread, 'parent')} not examined: raise --reads")
    out.print()


def _table(orphans: Sequence[Orphan], at: float) -> Table:
    lines = table("instance", "orchestrator", "status", "age", "idle", "parent", "which is")
    for orphan in orphans:
        lines.add_row(
            markup(orphan.instance_id),
            markup(orphan.instance.name),
            orphan.instance.status.value,
            span_since(orphan.instance.created, at),
            span_since(orphan.instance.updated, at),
            markup(orphan.parent),
            orphan.parent_status.value if orphan.parent_status else "gone",
        )
    return lines
