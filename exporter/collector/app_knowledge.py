"""What is learned at once of the app behind a hub, which a daemon learns over time."""

from __future__ import annotations

from contextlib import aclosing

from exporter.api.client import HubClient
from exporter.api.query import InstanceQuery
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.diagnosis.blame import Blame
from exporter.diagnosis.knowledge import HubKnowledge
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.app_traits import AppTraits
from exporter.ledger.status import RuntimeStatus
from exporter.ledger.workers import Worker
from exporter.settings import HubSettings

# Empty pages are normal: a table is read in parts.
_MOST_PAGES = 5
_FIRST_TURN = 2.0


def needs_knowledge(blame: Blame) -> bool:
    """Tell whether a wait may be a call that was lost."""
    return blame.leaf is not None and blame.leaf.waiting_on is WaitingOn.EXTERNAL_EVENT


async def learn(client: HubClient, hub: HubSettings, knowledge: HubKnowledge) -> None:
    """
    Learn from a few pages whether the worker loses calls, and who has completed or got on.

    Raises:
        ApiError: the hub could not be asked.
    """
    worker = hub.worker
    traits = AppTraits(worker and Worker(worker))
    if worker is None:
        await _read(client, hub, traits, RuntimeStatus.FAILED)
    traits.gets_events.update(knowledge.answers)
    if traits.loses_calls:
        await _read(client, hub, traits, RuntimeStatus.RUNNING)
        await _read(client, hub, traits, RuntimeStatus.COMPLETED)
    knowledge.take(traits)


async def _read(
    client: HubClient, hub: HubSettings, traits: AppTraits, status: RuntimeStatus
) -> None:
    listing = client.list_instances(InstanceQuery(statuses=(status,)), hub.id_prefixes)
    pages_read = 0
    async with aclosing(client.pages(listing)) as pages:
        async for page in pages:
            for row in page.rows:
                if status is not RuntimeStatus.RUNNING:
                    traits.note_finish(row, status)
                elif _got_on(row):
                    traits.completed.setdefault(row.name or "", row.instance_id)
            pages_read += 1
            if pages_read >= _MOST_PAGES:
                return


def _got_on(row: InstanceRow) -> bool:
    """Tell whether something has come to a running instance since its first turn."""
    created, updated = parse_time(row.created_time), parse_time(row.last_updated_time)
    return (updated or 0.0) - (created or float("inf")) > _FIRST_TURN and entity_class(row) is None
