"""A state that is kept in memory, and can be lost in every way that a file can."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector.snapshot import StateUse
from exporter.collector.state import LearnedFacts, StateNotWritten
from exporter.ledger.ledger import Ledger
from exporter.ledger.records import Unsaved
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import decoded
from tests.simulation.observer import Observer
from tests.simulation.troubles import CommitFault, Killed, Troubles


class MemoryState:
    """
    Keeps the records of a ledger, or nothing where it *keeps* nothing; tells the observer when.

    What changed is all that is written. That it adds up to the ledger is checked at every fourth
    commit: what one leaves out is missing from then on.
    """

    def __init__(self, troubles: Troubles, observer: Observer, *, keeps: bool) -> None:
        self.content: dict[tuple[str, bytes], bytes] = {}
        self._troubles = troubles
        self._observer = observer
        self._keeps = keeps
        self._written = 0
        self.learned = LearnedFacts()

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return the ledger as it was kept, or a new one."""
        return Ledger(rules, decoded(self._records()) if self.content else None)

    async def commit(self, ledger: Ledger) -> None:
        """Keep the ledger, unless something happens to it."""
        fault = self._troubles.of_commit()
        if fault is CommitFault.KILL_BEFORE:
            raise Killed
        if self._keeps:
            self._write(ledger, is_lost=fault is CommitFault.NOT_WRITTEN)
        self._observer.keep()
        if fault is CommitFault.KILL_AFTER:
            raise Killed

    def _write(self, ledger: Ledger, *, is_lost: bool) -> None:
        unsaved = Unsaved.take(ledger.records)
        if is_lost:
            unsaved.put_back()
            raise StateNotWritten
        if unsaved.is_whole:
            self.content.clear()
        for kind, key, content in unsaved.encoded():
            if content is None:
                self.content.pop((kind, key), None)
            else:
                self.content[kind, key] = content
        unsaved.written()
        self._written += 1
        if self._written % 4 == 0:
            kept = Ledger(ledger.rules, decoded(self._records()))
            assert kept.saved() == Ledger(ledger.rules, ledger.saved()).saved()

    def _records(self) -> Iterator[tuple[str, bytes, bytes]]:
        return ((kind, key, content) for (kind, key), content in self.content.items())

    @property
    def use(self) -> StateUse | None:
        """Nothing is told of it."""
        return None

    def close(self) -> None:
        """Nothing is held."""
