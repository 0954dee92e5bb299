"""The tracked instances of a ledger: those last seen active, in bounded memory."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from sys import getsizeof

import msgspec

from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.status import RuntimeStatus

# The object, its two times, its dict entry, and what is kept while it is over a limit.
_BYTES_OF_AN_INSTANCE = 300
_ALWAYS_TRACKED = 2000


class TrackedInstance(msgspec.Struct, gc=False):
    """
    An instance last seen active, in the sweep number `sweep`.

    Times are seconds since the epoch, None where unknown; `parent` is the id of the orchestration
    that started it, None for a root. Siblings share the string. No dataclass: the garbage collector
    would traverse each of hundreds of thousands.
    """

    name: str
    status: RuntimeStatus
    created: float | None
    updated: float | None
    sweep: int
    parent: str | None = None


class SavedInstance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    The saved part of a tracked instance.

    Status and lastUpdatedTime come from the next sweep; saving each change of them would be most of
    what is written.
    """

    name: str
    created: float | None
    parent: str | None = None


class OpenInstances(dict[str, TrackedInstance]):
    """
    The instances last seen active, by id; changed only by `track` and `untrack`.

    `bytes` is the memory that they take.
    """

    def __init__(self, saved: Mapping[str, SavedInstance], sweep: int) -> None:
        """Restore those that were *saved* after the sweep number *sweep*."""
        super().__init__((each, _restored(known, sweep)) for each, known in saved.items())
        self._changed: ChangedKeys[str] = ChangedKeys()
        self.bytes = sum(_bytes_of(*each) for each in self.items())
        self._most_bytes: float = math.inf
        self._absent: tuple[int, dict[str, float | None]] = (-1, {})

    @property
    def has_room(self) -> bool:
        """Whether one more may be tracked: 2,000 always may."""
        return self.bytes < self._most_bytes or len(self) < _ALWAYS_TRACKED

    def limit(self, most_bytes: float) -> None:
        """
        Take at most *most_bytes* from now on, but keep 2,000 in any case.

        What does not fit is dropped, the newest first: it counts as finished once found among the
        finished, and as started once more then.
        """
        self._most_bytes = most_bytes
        while self.bytes > most_bytes and len(self) > _ALWAYS_TRACKED:
            instance_id, instance = self.popitem()
            self.bytes -= _bytes_of(instance_id, instance)
            self._changed.add(instance_id)

    def track(self, instance_id: str, instance: TrackedInstance) -> None:
        """Track an instance; replace one with the same id."""
        self.untrack(instance_id)
        self[instance_id] = instance
        self.bytes += _bytes_of(instance_id, instance)
        self._changed.add(instance_id)

    def untrack(self, instance_id: str) -> TrackedInstance | None:
        """Stop tracking an instance and return it, None if it was not tracked."""
        instance = self.pop(instance_id, None)
        if instance is not None:
            self.bytes -= _bytes_of(instance_id, instance)
            self._changed.add(instance_id)
        return instance

    @property
    def records(self) -> Records[str, SavedInstance]:
        """All of them, by id."""
        return Records("open", self._changed, self.keys, self._saved)

    def _saved(self, instance_id: str) -> SavedInstance | None:
        instance = self.get(instance_id)
        if instance is None:
            return None
        return SavedInstance(instance.name, instance.created, instance.parent)

    def absent(self, sweep: int) -> dict[str, float | None]:
        """Return the ids not seen in a *sweep*, with their createdTime."""
        tracked: Mapping[str, TrackedInstance] = self
        looked_in, before = self._absent
        # Within a sweep they only become fewer: only the first call needs all instances.
        if looked_in == sweep:
            tracked = {each: self[each] for each in before if each in self}
        absent = {
            each: instance.created for each, instance in tracked.items() if instance.sweep < sweep
        }
        self._absent = (sweep, absent)
        return absent


def _restored(saved: SavedInstance, sweep: int) -> TrackedInstance:
    parent = saved.parent and sys.intern(saved.parent)
    return TrackedInstance(saved.name, RuntimeStatus.RUNNING, saved.created, None, sweep, parent)


def _bytes_of(instance_id: str, instance: TrackedInstance) -> int:
    # Siblings share the parent's id; an only child has its own copy.
    parent = 0 if instance.parent is None else getsizeof(instance.parent)
    return _BYTES_OF_AN_INSTANCE + getsizeof(instance_id) + getsizeof(instance.name) + parent
