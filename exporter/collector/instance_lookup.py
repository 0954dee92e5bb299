"""One instance, read from its hub on request, apart from sweeps and ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio

from exporter.api.answers import BodyBudget
from exporter.api.azure.access import AzureAccounts
from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.connection import SharedLimits, connect
from exporter.api.errors import ApiError, HistoryRefused
from exporter.api.telemetry import GET_INSTANCE
from exporter.api.wire import HistoryEvent, InstanceRow, InstanceStatus
from exporter.collector.clock import ServerClock
from exporter.collector.hub_diagnosis import HistoryReader, ReadLimits, learn, needs_knowledge
from exporter.collector.polling_inputs import rules_of
from exporter.diagnosis.blame import Blame
from exporter.diagnosis.families import Member, family_of
from exporter.diagnosis.history import MOST_EVENTS
from exporter.diagnosis.knowledge import HubKnowledge
from exporter.diagnosis.nodes import Absence, Entity, Node, Orchestration
from exporter.diagnosis.past import as_text
from exporter.diagnosis.waits import Wait
from exporter.ledger.app_traits import Worker
from exporter.ledger.over_limit import Clocks
from exporter.ledger.status import RuntimeStatus, known_status
from exporter.settings import Buckets, HubSettings, Settings

_SECONDS = 20.0
_BODIES = 16 << 20
_WITH_REASON = (RuntimeStatus.FAILED, RuntimeStatus.TERMINATED, RuntimeStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """
    An instance as read at a moment of the server's clock.

    `events` are the last of its history, `left_out` counts those before. `is_refused`: the app
    refused the history. `may_lose_calls`: its worker may lose a call.
    """

    at: float
    row: InstanceRow
    blame: Blame
    node: Node
    events: Sequence[HistoryEvent] = ()
    left_out: int = 0
    is_refused: bool = False
    family: Member | None = None
    may_lose_calls: bool = True

    @property
    def entity(self) -> Entity | None:
        """The entity that was found, None for an orchestration."""
        return self.node if isinstance(self.node, Entity) else None

    @property
    def older(self) -> Sequence[Wait]:
        """What is outstanding from earlier turns."""
        return self.node.reading.older if isinstance(self.node, Orchestration) else ()

    @property
    def failure(self) -> str | None:
        """The full reason why it failed or was ended, None if it did neither."""
        if known_status(self.row.runtime_status) not in _WITH_REASON:
            return None
        text = as_text(bytes(self.row.output).decode("utf-8", "replace"))
        return None if text == "null" else text


@dataclass(frozen=True, slots=True)
class AskedHub:
    """The settings, client and clock of a hub that is asked for instances."""

    settings: HubSettings
    client: HubClient
    clock: ServerClock
    buckets: Buckets


async def look_up(hub: AskedHub, instance_id: str, seconds: float) -> FoundInstance | None:
    """
    Read an instance and trace its blocking chain for *seconds*; None if it does not exist.

    Raises:
        ApiError: the hub could not be asked.
    """
    # A starting host answers 404 for any id, and some ids cannot be read at all.
    listed = await hub.client.find_instance(instance_id, hub.clock.note)
    reader = HistoryReader(hub.client, ReadLimits(seconds))
    known: dict[str, Node] = {}
    reads = await reader.why(instance_id, known)
    if reads.result is not None and _may_have_lost_a_call(reads.result, hub):
        knowledge = HubKnowledge()
        await learn(hub.client, hub.settings, knowledge)
        reads = await reader.why(instance_id, known, knowledge)
    if reads.error is not None:
        raise reads.error
    if reads.result is None:
        return None
    blame, node = reads.result
    at = hub.clock.now()
    if isinstance(node, Absence) and listed is None:
        return None
    is_entity = isinstance(node, Entity)
    status, is_refused = await _history(hub.client, instance_id, with_history=not is_entity)
    row = status or listed
    if row is None:
        return None
    events = (status.history_events if status is not None else None) or ()
    family = None if is_entity else (await reader.make(family_of(row))).result
    worker = hub.settings.worker
    return FoundInstance(
        at,
        row,
        blame.as_of(at),
        node,
        events[-MOST_EVENTS:],
        max(0, len(events) - MOST_EVENTS),
        is_refused,
        family,
        worker is None or Worker(worker).loses_calls,
    )


def _may_have_lost_a_call(found: tuple[Blame, Node], hub: AskedHub) -> bool:
    """Return whether an instance over its limit waits on what may be an event."""
    blame, node = found
    if not isinstance(node, Orchestration) or not needs_knowledge(blame):
        return False
    stamp, limits = node.stamp, rules_of(hub.settings, hub.buckets).limits_of(node.name)
    clocks = Clocks(stamp.status, limits, hub.clock.now())
    return bool(clocks.exceeded(stamp.created, stamp.updated))


async def _history(
    client: HubClient, instance_id: str, *, with_history: bool
) -> tuple[InstanceStatus | None, bool]:
    """Read an instance with its history if possible; return whether the history was refused."""
    is_refused = False
    if with_history:
        try:
            return await client.read_instance(instance_id, history=True), False
        except HistoryRefused:
            is_refused = True
        except ApiError:
            pass
    return await client.read_instance(instance_id), is_refused


class InstanceReader:
    """
    Reads instances of the configured hubs where `web.instance_pages` allows it.

    Each look-up has a connection of its own, 20 s and 16 MiB for bodies, and takes no slot of a
    sweep. The caller limits their rate. *azure* is shared with the sweeps.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        wall: Callable[[], float] = time.time,
        azure: AzureAccounts | None = None,
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._azure = azure or AzureAccounts()

    @property
    def is_on(self) -> bool:
        """Whether hubs may be asked for single instances."""
        return self._settings().web.instance_pages

    async def read(self, hub_name: str, instance_id: str) -> FoundInstance | None:
        """
        Read an instance of a hub; None where there is none, or no such hub.

        Raises:
            ApiError: the hub could not be asked, or not in time.
        """
        hub = next((hub for hub in self._settings().own_hubs if hub.name == hub_name), None)
        return None if hub is None else await self._read(hub, instance_id)

    async def _read(self, hub: HubSettings, instance_id: str) -> FoundInstance | None:
        shared = SharedLimits(bodies=BodyBudget(_BODIES), azure=self._azure)
        client = connect(hub, shared)
        clock = ServerClock(self._wall, anyio.current_time)
        asked = AskedHub(hub, client, clock, self._settings().buckets)
        async with aclosing(shared.names), aclosing(client):
            try:
                with anyio.fail_after(_SECONDS):
                    return await look_up(asked, instance_id, _SECONDS)
            except TimeoutError:
                failures = Failures(hub.name, GET_INSTANCE)
                hint = "see durable-exporter why, which waits longer"
                raise failures.too_slow(f"not done within {_SECONDS:g} s", hint=hint) from None
