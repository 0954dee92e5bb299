"""A state that is kept in memory, and can be lost in every way that a file can."""

from __future__ import annotations

import msgspec

from exporter.collector.snapshot import StateUse
from exporter.collector.state import StateNotWritten
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState
from tests.simulation.observer import Observer
from tests.simulation.troubles import CommitFault, Killed, Troubles

_DECODER = msgspec.msgpack.Decoder(LedgerState)
_ENCODER = msgspec.msgpack.Encoder()


class MemoryState:
    """Keeps a ledger as bytes, or nothing where it *keeps* nothing; tells the observer when."""

    def __init__(self, troubles: Troubles, observer: Observer, *, keeps: bool) -> None:
        self.content: bytes | None = None
        self._troubles = troubles
        self._observer = observer
        self._keeps = keeps

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return the ledger as it was kept, or a new one."""
        return Ledger(rules, None if self.content is None else _DECODER.decode(self.content))

    async def commit(self, ledger: Ledger) -> None:
        """Keep the ledger, unless something happens to it."""
        fault = self._troubles.of_commit()
        if fault is CommitFault.KILL_BEFORE:
            raise Killed
        if fault is CommitFault.NOT_WRITTEN and self._keeps:
            raise StateNotWritten
        if self._keeps:
            self.content = _ENCODER.encode(ledger.saved())
        self._observer.keep()
        if fault is CommitFault.KILL_AFTER:
            raise Killed

    @property
    def use(self) -> StateUse | None:
        """Nothing is told of it."""
        return None

    def close(self) -> None:
        """Nothing is held."""
