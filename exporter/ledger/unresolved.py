"""Unresolved failures: instances that are Failed now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush, heappushpop, nsmallest

import msgspec

from exporter.api.wire import InstanceRow
from exporter.ledger.label_values import OTHER
from exporter.ledger.reasons import (
    Doubt,
    FailureReading,
    FailureReason,
    read_failure,
    reason_by_child,
)
from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.snapshot import ChangeBuffer, FailedInstance, Resolved, UnresolvedView

# More than are shown: some may be resolved before all must be scanned again.
_KEPT = 20
# About 300 bytes each; what does not fit is counted by each listing.
_MOST_KEPT = 100_000
# A listing may skip a row that moves while it is read, but not twice in a row.
_MISSES_BELIEVED = 2
_STALE_ENTRIES_KEPT = 1000
_MOST_REASONS = 200
_MOST_SAMPLES = 100
_NEWEST_SHOWN = 4


class Newest:
    """Keeps the newest entries, each a moment and an id; `left_out`: there were more."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, str]] = []
        self.left_out = False

    def add(self, entry: tuple[float, str]) -> None:
        """Add an entry."""
        if len(self._entries) < _KEPT:
            heappush(self._entries, entry)
        else:
            heappushpop(self._entries, entry)
            self.left_out = True

    def entries(self) -> list[tuple[float, str]]:
        """Return them, the newest first, each once."""
        return sorted(set(self._entries), reverse=True)


class SavedFailure(msgspec.Struct, frozen=True, array_like=True):
    """The saved part of a failure; the next listing finds or misses it."""

    label: str
    created: float | None
    failed: float
    misses: int = 0
    parent: str | None = None


class _Failure(msgspec.Struct, gc=False):
    """
    A failed instance.

    `checked` is the listing in or after which it was last found Failed, `misses` how many later
    ones should have shown it and did not, `tried` the listing after which it was last chosen for a
    read. `reason` is not saved: the next row shows it. `is_aside`: it was set aside as not shown.
    One with a `parent` is followed, so that a rewind is recognized, but not shown: the failure is
    the parent's.
    """

    label: str
    created: float | None
    failed: float
    checked: int
    misses: int = 0
    tried: int = 0
    reason: FailureReason | None = None
    is_aside: bool = False
    parent: str | None = None

    @property
    def is_shown(self) -> bool:
        return self.parent is None and self.misses < _MISSES_BELIEVED


class Unresolved:
    """
    The instances in Failed that finished within the last *lookback* seconds; roots are shown.

    Fed by every row, whatever its source, and checked by listings of what was created within the
    lookback; what a listing cannot show, or missed, must be read by id. Counts, reasons, and the
    oldest and newest of each label are kept up to date, so that views are cheap. `resolutions`
    notes instances that are no longer Failed.
    """

    def __init__(
        self,
        lookback: float,
        saved: Mapping[str, SavedFailure] | None = None,
        *,
        most: int | None = None,
    ) -> None:
        """Restore what was *saved*; at most *most* are followed one by one."""
        self._lookback = lookback
        self._most = self._most_ever = _MOST_KEPT if most is None else most
        self._begin = 0.0
        self._failures: dict[str, _Failure] = {}
        self._counts: Counter[str] = Counter()
        self._by_age: dict[str, list[tuple[float, str]]] = {}
        self._aside: list[tuple[float, str]] = []
        self._newest: dict[str, Newest] = {}
        self._reasons: dict[FailureReason, FailureReason] = {}
        self._by_reason: Counter[tuple[str, FailureReason | None]] = Counter()
        self._in_doubt: dict[str, FailureReading] = {}
        self.resolutions: ChangeBuffer[Resolved] = ChangeBuffer()
        self._no_room: Counter[str] = Counter()
        self._no_room_now: Counter[str] = Counter()
        self._is_complete = False
        self._changed: ChangedKeys[str] = ChangedKeys()
        for instance_id, each in (saved or {}).items():
            failure = _Failure(
                each.label, each.created, each.failed, 0, each.misses, parent=each.parent
            )
            self._put(instance_id, failure)
        self._listing = 0

    def __len__(self) -> int:
        return len(self._failures)

    def limit(self, most: int) -> None:
        """Follow at most *most* one by one from now on; those already followed stay."""
        self._most = min(self._most_ever, most)

    def failed(
        self,
        instance_id: str,
        label: str,
        created: float | None,
        failed: float,
        *,
        now: float,
        listed: bool = False,
        row: InstanceRow | None = None,
        parent: str | None = None,
    ) -> None:
        """
        Note an instance Failed since *failed*; *listed*: the listing of failures shows it.

        *row* has the reason; *parent* is the id of the parent, if any.
        """
        known = self._failures.get(instance_id)
        if failed < now - self._lookback:
            self._drop(instance_id)
        elif known is not None and (known.label, known.failed, known.parent) == (
            label,
            failed,
            parent,
        ):
            self._count(known, -known.is_shown)
            if parent is None and not known.is_shown:
                heappush(self._by_age[label], (failed, instance_id))
            if (known.created, known.misses) != (created, 0):
                self._changed.add(instance_id)
            known.created, known.checked, known.misses = created, self._listing, 0
            known.reason = known.reason or self._reason(row)
            self._count(known, known.is_shown)
        elif known is not None or len(self._failures) < self._most:
            self._drop(instance_id)
            reason = self._reason(row)
            failure = _Failure(label, created, failed, self._listing, reason=reason, parent=parent)
            self._put(instance_id, failure)
        elif listed and parent is None:
            self._no_room_now[label] += 1

    def resolved(self, instance_id: str) -> bool:
        """Note an instance that is no longer Failed, or not stored; return whether it was known."""
        failure = self._drop(instance_id)
        if failure is None:
            return False
        self.resolutions.add(Resolved(instance_id, failure.label))
        return True

    def _drop(self, instance_id: str) -> _Failure | None:
        failure = self._failures.pop(instance_id, None)
        if failure is not None:
            self._count(failure, -failure.is_shown)
            self._changed.add(instance_id)
        return failure

    def _count(self, failure: _Failure, step: int) -> None:
        if step:
            self._counts[failure.label] += step
            self._by_reason[failure.label, failure.reason] += step

    def _reason(self, row: InstanceRow | None) -> FailureReason | None:
        """Return why the instance of *row* failed, None while in doubt."""
        if row is None:
            return None
        reading = read_failure(row.name or "", row.output)
        if reading.doubt is not Doubt.NONE:
            self._in_doubt[row.instance_id] = reading
            return None
        return self._shared(reading.reason)

    def settle(self, is_orchestrator: Callable[[str], bool]) -> None:
        """Decide the reasons that had to wait for the end of a listing."""
        doubts, self._in_doubt = self._in_doubt, {}
        known = {each: self._failures[each] for each in doubts if each in self._failures}
        for doubt in (Doubt.TASK, Doubt.CHILD):
            found = {each for each in known if doubts[each].doubt is doubt}
            children = self.child_reasons(found) if doubt is Doubt.CHILD else {}
            for each in found:
                reason = children.get(each) or doubts[each].with_known(is_orchestrator)
                self._count(known[each], -known[each].is_shown)
                known[each].reason = self._shared(reason)
                self._count(known[each], known[each].is_shown)

    def child_reasons(self, parents: Collection[str]) -> dict[str, FailureReason]:
        """Return why those *parents* failed that have a child known to have failed."""
        if not parents:
            return {}
        return {
            failure.parent: reason_by_child(failure.label, failure.reason)
            for failure in self._failures.values()
            if failure.parent in parents and failure.parent and failure.reason
        }

    def _shared(self, reason: FailureReason) -> FailureReason:
        """Return one object per reason, of a bounded number."""
        if reason not in self._reasons and len(self._reasons) >= _MOST_REASONS:
            reason = FailureReason(reason.category, OTHER, OTHER)
        return self._reasons.setdefault(reason, reason)

    def among(self, ids: Iterable[str]) -> set[str]:
        """Return which of *ids* are followed as failed."""
        return self._failures.keys() & ids if self._failures else set()

    def is_same_run(self, instance_id: str, created: float | None) -> bool:
        """Return whether this very run of the instance is followed as failed."""
        failure = self._failures.get(instance_id)
        return failure is not None and failure.created == created

    def begin_listing(self, begin: float) -> None:
        """Start listing failed instances created at or after *begin*."""
        self._listing += 1
        self._begin = begin
        self.list_again()

    def list_again(self) -> None:
        """Restart the same listing: what had no room comes again."""
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
        """End a listing read to its end: what it missed is in doubt until read."""
        for instance_id in self.missed():
            failure = self._failures[instance_id]
            was_shown = failure.is_shown
            failure.misses += 1
            self._changed.add(instance_id)
            self._count(failure, -(was_shown and not failure.is_shown))
        self.expire(now)
        self._no_room = +self._no_room_now
        self._is_complete = True

    def expire(self, now: float) -> None:
        """Drop what failed before the lookback."""
        for by_age in (*self._by_age.values(), self._aside):
            while by_age and by_age[0][0] < now - self._lookback:
                failed, instance_id = heappop(by_age)
                known = self._failures.get(instance_id)
                if known is not None and known.failed == failed:
                    self._drop(instance_id)

    def to_read(self, most: int) -> list[str]:
        """Return what the listing cannot show: the longest untried first, then the missed."""
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
        counts = +self._counts
        oldest = {label: self._oldest(label) for label in counts}
        return UnresolvedView(
            failures=dict(counts + self._no_room),
            oldest={label: entry[0] for label, entry in oldest.items() if entry is not None},
            reasons=dict(+self._by_reason),
            samples=tuple(self._samples(oldest)),
        )

    def _samples(self, oldest: Mapping[str, tuple[float, str] | None]) -> Iterator[FailedInstance]:
        """Yield the oldest of every label, then the newest ones, label by label."""
        ranked = []
        for label, first in oldest.items():
            entries = dict.fromkeys(self._newest_of(label))
            if first is not None:
                entries = {first: None, **entries}
            ranked += [(rank, label, entry) for rank, entry in enumerate(entries)]
        for _, label, (failed, instance_id) in nsmallest(_MOST_SAMPLES, ranked):
            failure = self._failures[instance_id]
            yield FailedInstance(instance_id, label, failed, failure.created, failure.reason)

    def _newest_of(self, label: str) -> list[tuple[float, str]]:
        newest = self._newest[label]
        shown = [entry for entry in newest.entries() if self._is_to_show(label, entry)]
        if newest.left_out and len(shown) < min(_NEWEST_SHOWN, self._counts[label]):
            newest = self._newest[label] = Newest()
            for instance_id, failure in self._failures.items():
                if failure.label == label and failure.is_shown:
                    newest.add((failure.failed, instance_id))
            shown = newest.entries()
        return shown[:_NEWEST_SHOWN]

    @property
    def records(self) -> Records[str, SavedFailure]:
        """All of them, by id."""
        return Records("failures", self._changed, self._failures.keys, self._saved)

    def _saved(self, instance_id: str) -> SavedFailure | None:
        known = self._failures.get(instance_id)
        if known is None:
            return None
        return SavedFailure(known.label, known.created, known.failed, known.misses, known.parent)

    def _put(self, instance_id: str, failure: _Failure) -> None:
        self._failures[instance_id] = failure
        self._changed.add(instance_id)
        self._count(failure, failure.is_shown)
        if failure.parent is not None:
            self._put_aside((failure.failed, instance_id))
            return
        self._newest.setdefault(failure.label, Newest()).add((failure.failed, instance_id))
        by_age = self._by_age.setdefault(failure.label, [])
        heappush(by_age, (failure.failed, instance_id))
        if len(by_age) > 2 * len(self._failures) + _STALE_ENTRIES_KEPT:
            by_age[:] = [entry for entry in by_age if self._is_current(failure.label, *entry)]
            heapify(by_age)

    def _is_current(self, label: str, failed: float, instance_id: str) -> bool:
        known = self._failures.get(instance_id)
        return known is not None and (known.label, known.failed) == (label, failed)

    def _is_to_show(self, label: str, entry: tuple[float, str]) -> bool:
        return self._is_current(label, *entry) and self._failures[entry[1]].is_shown

    def _oldest(self, label: str) -> tuple[float, str] | None:
        """
        Return the oldest failure that is shown; drop the entries before it.

        Failures that are not shown are set aside: they may be many, and must still expire.
        """
        by_age = self._by_age.get(label, [])
        while by_age and not self._is_to_show(label, by_age[0]):
            entry = heappop(by_age)
            if self._is_current(label, *entry):
                self._put_aside(entry)
        return by_age[0] if by_age else None

    def _put_aside(self, entry: tuple[float, str]) -> None:
        failure = self._failures[entry[1]]
        if failure.is_aside:
            return
        failure.is_aside = True
        heappush(self._aside, entry)
        if len(self._aside) > 2 * len(self._failures) + _STALE_ENTRIES_KEPT:
            self._aside[:] = [each for each in self._aside if self._is_followed(each)]
            heapify(self._aside)

    def _is_followed(self, entry: tuple[float, str]) -> bool:
        known = self._failures.get(entry[1])
        return known is not None and known.failed == entry[0]
