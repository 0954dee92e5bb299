"""One hub that is polled: its connections, what it keeps, and the task that polls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from exporter.api.client import HubClient
from exporter.api.transport import HubConnections
from exporter.collector.fair_share import ProcessLimits
from exporter.collector.hub import HubCollector
from exporter.collector.plan import HubPlan
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.collector.state import HandoverState, HubState
from exporter.collector.state_file import Owner
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState
from exporter.settings import Buckets, HubSettings, fingerprint, tls_files

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PollingInputs:
    """Everything in the configuration that a hub's polling rests on: another one, another task."""

    hub: HubSettings
    key_path: Path | None
    tls_content: bytes
    buckets: Buckets


def polling_inputs_of(hub: HubSettings, buckets: Buckets) -> PollingInputs:
    """Return what the polling of *hub* rests on; reads its files."""
    return PollingInputs(hub, hub.key_path, fingerprint(tls_files(hub)), buckets)


def owner_of(hub: HubSettings) -> Owner:
    """Return who a state belongs to: hubs with the same owner are the same hub."""
    return Owner(hub.name, hub.base_url, (hub.task_hub or "").lower(), hub.connection or "")


class HubTask:
    """
    Polls one hub, as *inputs* says.

    *state* keeps what it knows; it belongs to this task until another one takes it over.
    """

    def __init__(
        self,
        inputs: PollingInputs,
        connection: tuple[HubClient, HubConnections],
        plan: HubPlan,
        rules: LedgerRules,
        *,
        state: HubState,
        wall: Callable[[], float],
        limits: ProcessLimits,
    ) -> None:
        self.inputs = inputs
        self._client, self._http = connection
        self._plan = plan
        self._rules = rules
        self._wall = wall
        self._limits = limits
        self._state = state
        self._before: HubSnapshot | None = None
        self._known: LedgerState | None = None
        self._scope = anyio.CancelScope()
        self._ended: anyio.Event | None = None
        self.collector = self._collector(state)

    def _collector(self, state: HubState) -> HubCollector:
        return HubCollector(
            self._plan,
            self._client,
            self._rules,
            wall=self._wall,
            state=state,
            listener=self._published,
            limits=self._limits,
        )

    @property
    def snapshot(self) -> HubSnapshot:
        """What is shown of the hub: what was shown before, until there is something to show."""
        return self._before or self.collector.snapshot

    def _published(self, snapshot: HubSnapshot) -> None:
        """Show no longer what was shown before, as soon as a sweep has ended, however that was."""
        self._known = None
        if any(snapshot.sweeps[Sweep.ACTIVE].results.values()):
            self._before = None

    def start(self, tasks: TaskGroup) -> None:
        """Poll until stopped."""
        self._ended = anyio.Event()
        tasks.start_soon(self._run, self._ended)

    async def _run(self, ended: anyio.Event) -> None:
        try:
            with self._scope:
                await self.collector.run()
        finally:
            ended.set()

    async def stop(self) -> None:
        """End the task, and return when it has ended."""
        self._scope.cancel()
        if self._ended is not None:
            await self._ended.wait()

    async def take_over(self, other: HubTask) -> None:
        """Go on from what *other* knew of the same hub, or was to, which is stopped."""
        known = await anyio.to_thread.run_sync(other.collector.hand_over) or other._known
        self._known = known
        self._state = other._state
        self._before = other.snapshot
        self.collector = self._collector(
            HandoverState(self._state, known) if known else self._state
        )

    def reread_key(self) -> bool:
        """Read the key anew; True if it changed."""
        return self._client.reread_key()

    async def disconnect(self) -> None:
        """Close the connections; those that do not end in time are left behind."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._http.aclose()

    def release_state(self) -> None:
        """Let go of what is kept."""
        self._state.close()
