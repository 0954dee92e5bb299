"""Failures that nobody has resolved yet: instances that are Failed now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import msgspec

from exporter.ledger.followed import FollowedIds
from exporter.ledger.snapshot import UnresolvedView

# About 300 bytes each; what does not fit is still counted by each listing.
_MOST_KEPT = 100_000
# A list may leave out a row that moves while it is read; it does not do so twice in a row.
_MISSES_BELIEVED = 2
_STALE_ENTRIES_KEPT = 1000


class SavedFailure(msgspec.Struct, frozen=True, array_like=True):
    """One failure, as `Unresolved` keeps it."""

    instance_id: str
    label: str
    created: float | None
    failed: float
    checked: int
    # Version 1 of the state told only whether there was one.
    misses: int | bool = 0


@dataclass(slots=True)
class _Failure:
    """
    A failed instance.

    `checked` is the listing after or in which it was last found Failed, `misses` how many later
    ones should have shown it and did not, `tried` the listing after which it was last to be read.
    """

    label: str
    created: float | None
    failed: float
    checked: int
    misses: int = 0
    tried: int = 0

    @property
    def is_shown(self) -> bool:
        return self.misses < _MISSES_BELIEVED


class Unresolved:
    """
    The instances in Failed whose finish lies within the last *lookback* seconds.

    It is fed by every row that is seen, whatever found it, and checked by listings of what was
    created within the lookback; what a listing cannot show, or should have shown and did not, is to
    be read by its id. Counts and the oldest of each label are kept up, so that looking is cheap.
    """

    def __init__(self, lookback: float, saved: Iterable[SavedFailure] = ()) -> None:
        self._lookback = lookback
        self._begin = 0.0
        self._failures: dict[str, _Failure] = {}
        self._counts: Counter[str] = Counter()
        self._by_age: dict[str, list[tuple[float, str]]] = {}
        self._no_room: Counter[str] = Counter()
        self._no_room_now: Counter[str] = Counter()
        self._is_complete = False
        self.ids = FollowedIds(self._failures.keys())
        for each in saved:
            failure = _Failure(
                each.label, each.created, each.failed, each.checked, int(each.misses)
            )
            self._put(each.instance_id, failure)
        self._listing = max((each.checked for each in self._failures.values()), default=0)

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
        known = self._failures.get(instance_id)
        if failed < now - self._lookback:
            self.resolved(instance_id)
        elif known is not None and (known.label, known.failed) == (label, failed):
            self._counts[label] += not known.is_shown
            known.created, known.checked, known.misses = created, self._listing, 0
        elif known is not None or len(self._failures) < _MOST_KEPT:
            self.resolved(instance_id)
            self._put(instance_id, _Failure(label, created, failed, self._listing))
        elif listed:
            self._no_room_now[label] += 1

    def resolved(self, instance_id: str) -> None:
        """Note that an instance is no longer Failed, or no longer stored."""
        failure = self._failures.pop(instance_id, None)
        if failure is not None:
            self._counts[failure.label] -= failure.is_shown

    def is_life(self, instance_id: str, created: float | None) -> bool:
        """Tell whether a failure is followed of this very life."""
        failure = self._failures.get(instance_id)
        return failure is not None and failure.created == created

    def begin_listing(self, begin: float) -> None:
        """Start to list failed instances created at or after *begin*."""
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
            if failure.checked < self._listing and (failure.created or 0.0) >= begin
        ]

    def complete_listing(self, now: float) -> None:
        """End a listing that was read to its end: what it missed is in doubt until it is read."""
        for instance_id in self.missed():
            failure = self._failures[instance_id]
            was_shown = failure.is_shown
            failure.misses += 1
            self._counts[failure.label] -= was_shown and not failure.is_shown
        self.expire(now)
        self._no_room = +self._no_room_now
        self._is_complete = True

    def expire(self, now: float) -> None:
        """Let go of what failed before the lookback."""
        for by_age in self._by_age.values():
            while by_age and by_age[0][0] < now - self._lookback:
                failed, instance_id = heappop(by_age)
                known = self._failures.get(instance_id)
                if known is not None and known.failed == failed:
                    self.resolved(instance_id)

    def to_read(self, most: int) -> list[str]:
        """Return what the listing cannot tell of: the longest untried first, then the missed."""
        unseen = sorted(
            (failure.tried, not failure.misses, failure.checked, instance_id)
            for instance_id, failure in self._failures.items()
            if failure.checked < self._listing
        )
        chosen = [instance_id for *_, instance_id in unseen[:most]]
        for instance_id in chosen:
            self._failures[instance_id].tried = self._listing
        return chosen

    def view(self) -> UnresolvedView | None:
        """Return what is Failed, None before the first complete listing."""
        if not self._is_complete:
            return None
        oldest = {label: self._oldest(label) for label, count in self._counts.items() if count > 0}
        return UnresolvedView(
            failures=dict(self._counts + self._no_room),
            oldest={label: moment for label, moment in oldest.items() if moment is not None},
        )

    def saved(self) -> list[SavedFailure]:
        """Return all failures, to be restored."""
        return [
            SavedFailure(
                instance_id,
                failure.label,
                failure.created,
                failure.failed,
                failure.checked,
                failure.misses,
            )
            for instance_id, failure in self._failures.items()
        ]

    def _put(self, instance_id: str, failure: _Failure) -> None:
        self._failures[instance_id] = failure
        self.ids.added(instance_id)
        self._counts[failure.label] += failure.is_shown
        by_age = self._by_age.setdefault(failure.label, [])
        heappush(by_age, (failure.failed, instance_id))
        if len(by_age) > 2 * len(self._failures) + _STALE_ENTRIES_KEPT:
            by_age[:] = [entry for entry in by_age if self._is_current(failure.label, *entry)]
            heapify(by_age)

    def _is_current(self, label: str, failed: float, instance_id: str) -> bool:
        known = self._failures.get(instance_id)
        return known is not None and (known.label, known.failed) == (label, failed)

    def _oldest(self, label: str) -> float | None:
        """Return when the oldest failure that is shown failed; entries of others are dropped."""
        by_age = self._by_age.get(label, [])
        while by_age and not self._is_current(label, *by_age[0]):
            heappop(by_age)
        if by_age and self._failures[by_age[0][1]].is_shown:
            return by_age[0][0]
        return min(
            (
                failure.failed
                for failure in self._failures.values()
                if failure.label == label and failure.is_shown
            ),
            default=None,
        )
