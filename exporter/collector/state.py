"""Keeping the ledger of a hub across restarts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from exporter.collector.snapshot import StateUse
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.state import LedgerState


class StateProblem(StrEnum):
    """Why a state could not be used or kept, as the label `reason`."""

    LOCKED = "locked"
    UNREADABLE = "unreadable"
    VERSION = "version"
    FOREIGN = "foreign"
    TOO_OLD = "too_old"
    WRITE = "write"


class StateUnusable(Exception):
    """What was saved cannot be used; the message says why."""

    def __init__(self, problem: StateProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


class StateNotWritten(Exception):
    """The state is not durable: what it accounts for must not be published yet."""


class LearnedFacts(msgspec.Struct, frozen=True):
    """
    What was learned of a hub and is saved with its ledger: one record per field, with defaults.

    `row_bytes` are the largest rows of each kind of listing, which set the size of first pages.
    """

    row_bytes: dict[str, float] = {}


class Owner(msgspec.Struct, frozen=True):
    """The hub that a state belongs to: another one may have the same name later."""

    name: str
    url: str
    task_hub: str
    connection: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What was read of a state: its owner, and when it was last written."""

    owner: Owner
    written: float
    ledger: LedgerState
    learned: LearnedFacts


class HubState(Protocol):
    """Keeps the ledger of one hub, and what was `learned` of it, which may be replaced."""

    learned: LearnedFacts

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return the saved ledger, or a new one."""
        ...

    async def commit(self, ledger: Ledger) -> None:
        """Make the ledger durable; raises `StateNotWritten`."""
        ...

    @property
    def use(self) -> StateUse | None:
        """How keeping went so far; None if nothing is kept."""
        ...

    def close(self) -> None:
        """Release what is kept."""
        ...


class NoState:
    """Keeps nothing: each start is a new baseline."""

    learned = LearnedFacts()

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
