"""Failures that nobody has resolved yet: instances that are Failed now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, KeysView
from dataclasses import dataclass

import msgspec

from exporter.ledger.snapshot import UnresolvedView

# About 300 bytes each; what does not fit is still counted by each listing.
_MOST_KEPT = 100_000
_UNKNOWN = 0.0


class SavedFailure(msgspec.Struct, frozen=True, array_like=True):
    """One failure, as `Unresolved` keeps it."""

    instance_id: str
    label: str
    created: float | None
    failed: float
    checked: int
    gone: bool


@dataclass(slots=True)
class _Failure:
    """
    A failed instance.

    `checked` is the listing after or in which it was last found Failed; `missed` that a later one
    should have shown it, and did not.
    """

    label: str
    created: float | None
    failed: float
    checked: int
    missed: bool = False


class Unresolved:
    """
    The instances in Failed whose finish lies within the last *lookback* seconds.

    It is fed by every row that is seen, whatever found it, and checked by listings of what was
    created within the lookback; what a listing cannot show, or should have shown and did not, is to
    be read by its id.
    """

    def __init__(self, lookback: float, saved: Iterable[SavedFailure] = ()) -> None:
        self._lookback = lookback
        self._listing = 0
        self._begin = _UNKNOWN
        self._no_room: Counter[str] = Counter()
        self._no_room_now: Counter[str] = Counter()
        self._failures = {
            each.instance_id: _Failure(
                each.label, each.created, each.failed, each.checked, each.gone
            )
            for each in saved
        }
        self._listing = max((each.checked for each in self._failures.values()), default=0)
        self.known_completely = False

    @property
    def ids(self) -> KeysView[str]:
        """The ids of the failures that are followed."""
        return self._failures.keys()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(
        self,
        instance_id: str,
        label: str,
        created: float | None,
        failed: float,
        *,
        now: float,
        listed: bool = False,
    ) -> None:
        """Note an instance that is Failed since *failed*; *listed* tells that the list says so."""
        if failed < now - self._lookback:
            self._failures.pop(instance_id, None)
        elif instance_id in self._failures or len(self._failures) < _MOST_KEPT:
            self._failures[instance_id] = _Failure(label, created, failed, self._listing)
        elif listed:
            self._no_room_now[label] += 1

    def resolved(self, instance_id: str) -> None:
        """Note that an instance is no longer Failed, or no longer stored."""
        self._failures.pop(instance_id, None)

    def active_again(self, instance_id: str, created: float | None) -> bool:
        """Note that an instance is active; True if it is the life that had failed, reopened."""
        failure = self._failures.pop(instance_id, None)
        return failure is not None and failure.created == created

    def begin_listing(self, begin: float) -> None:
        """Start a listing of failed instances created at or after *begin*."""
        self._listing += 1
        self._begin = begin
        self._no_room_now.clear()

    def missed(self) -> list[str]:
        """Return the ids that the listing should have shown by now."""
        # createdTime is cut to the second where the filter compares it in full (reference 2.1).
        begin = self._begin + 1.0
        return [
            instance_id
            for instance_id, failure in self._failures.items()
            if failure.checked < self._listing and (failure.created or _UNKNOWN) >= begin
        ]

    def complete_listing(self, now: float) -> None:
        """End a listing that was read to its end: what it missed is in doubt until it is read."""
        for instance_id in self.missed():
            self._failures[instance_id].missed = True
        for instance_id in [
            instance_id
            for instance_id, failure in self._failures.items()
            if failure.failed < now - self._lookback
        ]:
            del self._failures[instance_id]
        self._no_room = +self._no_room_now
        self.known_completely = True

    def to_read(self, most: int) -> list[str]:
        """Return what the listing cannot tell of: what it missed, then what was longest unseen."""
        unseen = [
            (not failure.missed, failure.checked, instance_id)
            for instance_id, failure in self._failures.items()
            if failure.checked < self._listing
        ]
        return [instance_id for *_, instance_id in sorted(unseen)[:most]]

    def view(self, now: float) -> UnresolvedView | None:
        """Return what is Failed as of *now*, None before the first complete listing."""
        if not self.known_completely:
            return None
        counts = Counter(self._no_room)
        oldest: dict[str, float] = {}
        for failure in self._failures.values():
            if failure.missed or failure.failed < now - self._lookback:
                continue
            counts[failure.label] += 1
            oldest[failure.label] = min(oldest.get(failure.label, failure.failed), failure.failed)
        return UnresolvedView(failures=dict(counts), oldest=oldest)

    def saved(self) -> list[SavedFailure]:
        """Return all failures, to be restored."""
        return [
            SavedFailure(
                instance_id,
                failure.label,
                failure.created,
                failure.failed,
                failure.checked,
                failure.missed,
            )
            for instance_id, failure in self._failures.items()
        ]
