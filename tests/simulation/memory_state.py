"""A state in memory, which can be lost in every way that a file can."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector.snapshot import StateUse
from exporter.collector.state import LearnedFacts, StateNotWritten
from exporter.ledger.ledger import Ledger
from exporter.ledger.records import Unsaved
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import decoded
from tests.simulation.fault_plan import CommitFault, FaultPlan, Killed
from tests.simulation.observer import Observer


class MemoryState:
    """
    Stores the records of a ledger if it *keeps* any, and informs the observer.

    Each commit writes changes alone. Every fourth checks that they add up to the ledger, since a
    record that one omits is missing from then on.
    """

    def __init__(self, faults: FaultPlan, observer: Observer, *, keeps: bool) -> None:
        self.content: dict[tuple[str, bytes], bytes] = {}
        self._faults = faults
        self._observer = observer
        self._keeps = keeps
        self._written = 0
        self.learned = LearnedFacts()

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return the stored ledger, or a new one."""
        return Ledger(rules, decoded(self._records()) if self.content else None)

    async def commit(self, ledger: Ledger) -> None:
        """Store the ledger, unless the commit has a fault."""
        fault = self._faults.of_commit()
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
        """Always `None`."""
        return None

    def close(self) -> None:
        """Do nothing."""
