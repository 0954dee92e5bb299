"""Failures that their rows do not fully explain: counted once a listing is complete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from exporter.ledger.reasons import Category, Doubt, FailureReading, FailureReason
from exporter.ledger.records import ChangedKeys, Records

# Beyond it, failures are decided by what is known so far.
_MOST_KEPT = 10_000


class SavedDoubt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A failure that is not counted yet."""

    instance_id: str
    label: str
    failed: float | None
    category: str
    failed_function: str
    error_type: str
    doubt: str


class FailureInDoubt(msgspec.Struct, frozen=True, gc=False):
    """A failed instance, when it failed (None if unknown), and what its row shows."""

    instance_id: str
    label: str
    failed: float | None
    reading: FailureReading


class FailuresInDoubt:
    """Failures by the number under which they were found."""

    def __init__(self, saved: Mapping[int, SavedDoubt]) -> None:
        self._failures = {number: _restored(each) for number, each in saved.items()}
        self._changed: ChangedKeys[int] = ChangedKeys()
        self._next = max(self._failures, default=0) + 1

    def __len__(self) -> int:
        return len(self._failures)

    @property
    def is_full(self) -> bool:
        """Whether no more are kept."""
        return len(self._failures) >= _MOST_KEPT

    def add(self, failure: FailureInDoubt) -> None:
        """Keep a failure until `settled`."""
        self._failures[self._next] = failure
        self._changed.add(self._next)
        self._next += 1

    def settled(
        self,
        is_orchestrator: Callable[[str], bool],
        child_reasons: Callable[[Collection[str]], Mapping[str, FailureReason]],
    ) -> Iterator[tuple[FailureInDoubt, FailureReason]]:
        """Yield and drop all of them, with the best reason that is known."""
        failures, self._failures = self._failures, {}
        for number in failures:
            self._changed.add(number)
        reasons = child_reasons(
            {each.instance_id for each in failures.values() if each.reading.doubt is Doubt.CHILD}
        )
        for each in failures.values():
            reason = reasons.get(each.instance_id)
            yield each, reason or each.reading.with_known(is_orchestrator)

    @property
    def records(self) -> Records[int, SavedDoubt]:
        """All of them, by their number."""
        return Records("in_doubt", self._changed, lambda: tuple(self._failures), self._saved)

    def _saved(self, number: int) -> SavedDoubt | None:
        each = self._failures.get(number)
        if each is None:
            return None
        reason = each.reading.reason
        return SavedDoubt(
            each.instance_id, each.label, each.failed,
            reason.category.value, reason.failed_function, reason.error_type,
            each.reading.doubt.value,
        )  # fmt: skip


def _restored(saved: SavedDoubt) -> FailureInDoubt:
    reason = FailureReason(Category(saved.category), saved.failed_function, saved.error_type)
    reading = FailureReading(reason, Doubt(saved.doubt))
    return FailureInDoubt(saved.instance_id, saved.label, saved.failed, reading)
