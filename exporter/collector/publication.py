"""The published snapshot of a hub: made durable first, then replaced in one assignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from exporter.api.errors import ApiError
from exporter.collector.events import HubEvents
from exporter.collector.snapshot import HubSnapshot, Sweep, SweepState, trouble_of
from exporter.collector.state import HubState, StateNotWritten
from exporter.ledger.ledger import Ledger


class Publication:
    """
    The published `snapshot` of a hub, and the `draft` of the next one.

    *progress* adds to a draft how polling goes; *listener* is called with each snapshot. A new
    counter series shows its base for *hold* seconds. The draft may be changed piece by piece; an
    event publishes it.
    """

    def __init__(
        self,
        first: HubSnapshot,
        *,
        progress: Callable[[HubSnapshot], HubSnapshot],
        listener: Callable[[HubSnapshot], None],
        events: HubEvents,
        monotonic: Callable[[], float],
        hold: float,
    ) -> None:
        self.draft = self.snapshot = first
        self._progress = progress
        self._listener = listener
        self._events = events
        self._monotonic = monotonic
        self._hold = hold
        self._is_successor = False

    def show_until_a_sweep_has_ended(self, snapshot: HubSnapshot) -> None:
        """Show another collector's snapshot of the same hub until the first active sweep ends."""
        self.snapshot = snapshot
        self._is_successor = True

    def show_restored(self, ledger: Ledger, state: HubState, now: float) -> None:
        """Publish what a restored ledger holds; *now* is the server's time."""
        counters = ledger.counters(self._monotonic(), self._hold)
        self.draft = replace(self.draft, counters=counters)
        self._publish(ledger, state, now)

    async def commit(self, ledger: Ledger, state: HubState, now: float) -> None:
        """
        Make the accounts durable, then publish everything.

        A counter that a restart moves below what was served looks like a reset, and is added once
        more. If the accounts cannot be saved, counters stay as served.
        """
        counters = ledger.counters(self._monotonic(), self._hold)
        try:
            await state.commit(ledger)
        except StateNotWritten:
            ledger.withdraw(self.draft.counters)
        else:
            self.draft = replace(self.draft, counters=counters)
        self._publish(ledger, state, now)

    def _publish(self, ledger: Ledger, state: HubState, now: float) -> None:
        self._events.changed(ledger.take_changes(), now)
        self.draft = replace(
            self.draft,
            known=ledger.known(),
            retained=ledger.retained.view(),
            unresolved=ledger.unresolved.view(),
            state=state.use,
        )
        self.show_progress()

    def hub_is_down(self, error: ApiError) -> None:
        """Draft that the active instances cannot be listed."""
        if self.draft.up or self.draft.trouble is None:
            self._events.went_down(error)
        self.draft = replace(self.draft, up=False, trouble=trouble_of(error))

    def hub_is_up(self) -> bool:
        """Draft that they can be listed; return whether the hub was down."""
        was_down = not self.draft.up
        if was_down:
            self._events.came_up()
        self.draft = replace(self.draft, up=True, trouble=None)
        return was_down

    def show_crashed(self, sweep: Sweep, sweeps: Mapping[Sweep, SweepState]) -> None:
        """Publish that a defect ended a *sweep*; nothing here can fail."""
        up = self.draft.up and sweep is not Sweep.ACTIVE
        self.draft = replace(self.draft, up=up, sweeps=sweeps)
        self._assign()

    def show_progress(self) -> None:
        """Publish how polling goes, with the ledger's values unchanged."""
        self.draft = self._progress(self.draft)
        self._assign()

    def _assign(self) -> None:
        if self._is_successor:
            self._is_successor = not any(self.draft.sweeps[Sweep.ACTIVE].results.values())
        if not self._is_successor:
            self.snapshot = self.draft
            self._listener(self.snapshot)
