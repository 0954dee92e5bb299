"""Changes since the last look: the first few by name, the number of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.ledger.reasons import FailureReason
from exporter.ledger.snapshot import OverLimit

Change = TypeVar("Change")

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class ChangeBatch(Generic[Change]):
    """The first few changes of a kind; `left_out` is how many more there were."""

    named: tuple[Change, ...] = ()
    left_out: int = 0


class ChangeBuffer(Generic[Change]):
    """Notes the first *most* changes of a kind, and counts the others."""

    def __init__(self, most: int = MOST_NAMED) -> None:
        self._most = most
        self._named: tuple[Change, ...] = ()
        self._left_out = 0

    def add(self, change: Change) -> None:
        """Note a change."""
        if len(self._named) < self._most:
            self._named = (*self._named, change)
        else:
            self._left_out += 1

    def take(self) -> ChangeBatch[Change]:
        """Return what was noted, and begin anew."""
        batch = ChangeBatch(self._named, self._left_out)
        self._named, self._left_out = (), 0
        return batch


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance whose failure was counted; *failed* is None where the time is unknown."""

    instance_id: str
    orchestrator: str
    reason: FailureReason
    failed: float | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """An instance that had failed and is Failed no longer: rewound, restarted or purged."""

    instance_id: str
    orchestrator: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """An instance that was over a limit and is so no longer, also because it finished."""

    instance_id: str
    orchestrator: str
    limit: str


@dataclass(frozen=True, slots=True)
class LedgerChanges:
    """
    What changed for single instances.

    `pulled_back` is by how many seconds the horizon or the mark lay ahead of the server's clock.
    Where the hub was `replaced`, nobody resolved the failures that vanished with it.
    """

    over_limit: ChangeBatch[OverLimit]
    recovered: ChangeBatch[Recovered]
    failed: ChangeBatch[Failed]
    resolved: ChangeBatch[Resolved]
    pulled_back: float = 0.0
    replaced: bool = False
