"""What keeps the ledger of a hub over restarts."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from exporter.collector.snapshot import StateUse
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules


class StateProblem(StrEnum):
    """Why a state could not be used or kept, as spelled in the label `reason`."""

    LOCKED = "locked"
    UNREADABLE = "unreadable"
    VERSION = "version"
    FOREIGN = "foreign"
    TOO_OLD = "too_old"
    WRITE = "write"


class StateNotWritten(Exception):
    """The state could not be made durable: what it accounts for must not be published yet."""


class HubState(Protocol):
    """Keeps the ledger of one hub."""

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return the ledger as it was kept, or a new one."""
        ...

    async def commit(self, ledger: Ledger) -> None:
        """Make the ledger durable; raises `StateNotWritten`."""
        ...

    @property
    def use(self) -> StateUse | None:
        """How keeping went so far; None where nothing is kept."""
        ...

    def close(self) -> None:
        """Let go of what is kept."""
        ...


class NoState:
    """Keeps nothing: each start is a new baseline."""

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return a new ledger."""
        return Ledger(rules)

    async def commit(self, _ledger: Ledger) -> None:
        """Do nothing."""

    @property
    def use(self) -> StateUse | None:
        """Nothing is kept."""
        return None

    def close(self) -> None:
        """Do nothing."""
