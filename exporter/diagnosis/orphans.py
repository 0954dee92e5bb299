"""Orphans: active sub-orchestrations whose parent is finished or gone (design 4.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from enum import Enum

import msgspec

from exporter.diagnosis.children import Children
from exporter.ledger.status import ACTIVE, RuntimeStatus

# What one sweep does not see, another may.
_SWEEPS_BELIEVED = 2
# Rows came up to 318 s late (reference 6.1): a parent is gone if it was to be seen for longer.
_LATEST_ROW = 600.0
# So rarely is a parent read again that is active and that no listing shows.
_SWEEPS_BETWEEN_READS = 20
_MOST_KEPT = 10_000


class _Seen(Enum):
    ENDED = "finished"
    GONE = "no row in any answer"
    ACTIVE = "active, though no listing shows it"


class _Parent(msgspec.Struct, gc=False):
    """What a parent was seen to be in a sweep, and in how many before."""

    seen: _Seen
    sweep: int
    sweeps: int = 1

    @property
    def is_over(self) -> bool:
        if self.seen is _Seen.GONE:
            return self.sweeps >= _SWEEPS_BELIEVED
        return self.seen is _Seen.ENDED


class Orphans:
    """
    Follows the parents of active instances that are not active themselves.

    Such a parent is to be read by id. That it has finished is believed at once, and until it is
    seen active again; that it is gone, in two sweeps, and ten minutes after it called a child.
    """

    def __init__(self) -> None:
        self._parents: dict[str, _Parent] = {}
        self._children: Mapping[str, Children] = {}
        self._at = 0.0

    def look(self, children: Mapping[str, Children], active: Container[str], at: float) -> None:
        """Take the *children* of a sweep at *at* by their parent; forget parents that came back."""
        self._at = at
        self._children = {each: of for each, of in children.items() if each not in active}
        self._parents = {
            each: parent for each, parent in self._parents.items() if each in self._children
        }

    def to_read(self, sweep: int, most: int) -> list[str]:
        """Return the parents that have to be read in a *sweep*, at most so many."""
        wanted = (each for each in self._children if self._is_wanted(each, sweep))
        return [each for each, _ in zip(wanted, range(most), strict=False)]

    def _is_wanted(self, instance_id: str, sweep: int) -> bool:
        parent = self._parents.get(instance_id)
        if parent is None:
            return True
        if parent.seen is _Seen.ACTIVE:
            return sweep - parent.sweep >= _SWEEPS_BETWEEN_READS
        return not parent.is_over and sweep > parent.sweep

    def saw(self, parent: str, status: RuntimeStatus | None, sweep: int) -> None:
        """Note the status of a parent that was read, None where it is certainly not stored."""
        seen = _Seen.GONE if status is None else _Seen.ENDED
        if status in ACTIVE:
            seen = _Seen.ACTIVE
        known = self._parents.get(parent)
        if known is not None and known.seen is seen:
            known.sweeps += known.sweep < sweep
            known.sweep = sweep
        elif known is not None or len(self._parents) < _MOST_KEPT:
            self._parents[parent] = _Parent(seen, sweep)

    def parents(self) -> dict[str, bool]:
        """Return the parents that have ended, and of each whether it is gone."""
        return {
            each: parent.seen is _Seen.GONE
            for each, parent in self._parents.items()
            if parent.is_over and not (parent.seen is _Seen.GONE and self._may_be_late(each))
        }

    def _may_be_late(self, parent: str) -> bool:
        first = self._children[parent].first
        return first is not None and self._at - first < _LATEST_ROW

    def counts(self, called: Iterable[str], label_of: Callable[[str], str]) -> dict[str, int]:
        """Return how many orphans there are by label, 0 for those of *called* without one."""
        counts: Counter[str] = Counter()
        for parent in self.parents():
            for name, count in self._children[parent].counts.items():
                counts[label_of(name)] += count
        return {label: counts[label] for label in dict.fromkeys((*map(label_of, called), *counts))}
