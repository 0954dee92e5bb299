"""The instances that a ledger tracks: those last seen active, in bounded memory."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from sys import getsizeof

import msgspec

from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.status import RuntimeStatus

# An instance, its two times, its entry in a dict, and what is kept of it while it is over a limit.
_BYTES_OF_AN_INSTANCE = 300
_ALWAYS_TRACKED = 2000


class TrackedInstance(msgspec.Struct, gc=False):
    """
    An instance last seen active, in the sweep with the number `sweep`.

    Times are seconds since the epoch, None where unknown; `parent` is the id of the orchestration
    that started it, None of a root. Siblings share the text. There may be hundreds of thousands: no
    dataclass, since the garbage collector would look through each, for nothing.
    """

    name: str
    status: RuntimeStatus
    created: float | None
    updated: float | None
    sweep: int
    parent: str | None = None


class SavedInstance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    Of an instance last seen active what must not be forgotten.

    Its status and its lastUpdatedTime are those of the next sweep, which shows it again or misses
    it: to write them each time they change would be most of what is written.
    """

    name: str
    created: float | None
    parent: str | None = None


class OpenInstances(dict[str, TrackedInstance]):
    """
    The instances last seen active, by id; changed by `track` and `untrack` alone.

    `bytes` is the memory that they take.
    """

    def __init__(self, saved: Mapping[str, SavedInstance], sweep: int) -> None:
        """Go on from those that were *saved* after the *sweep* with that number."""
        super().__init__((each, _restored(known, sweep)) for each, known in saved.items())
        self._changed: ChangedKeys[str] = ChangedKeys()
        self.bytes = sum(_bytes_of(*each) for each in self.items())
        self._most_bytes: float = math.inf
        self._absent: tuple[int, dict[str, float | None]] = (-1, {})

    @property
    def has_room(self) -> bool:
        """Whether one more may be tracked: 2,000 always are."""
        return self.bytes < self._most_bytes or len(self) < _ALWAYS_TRACKED

    def limit(self, most_bytes: float) -> None:
        """
        Take so many bytes at most from now on, but keep 2,000 in any case.

        What does not fit is let go of, the newest first: it is counted as finished once it is found
        among what has finished, and as started then once more.
        """
        self._most_bytes = most_bytes
        while self.bytes > most_bytes and len(self) > _ALWAYS_TRACKED:
            instance_id, instance = self.popitem()
            self.bytes -= _bytes_of(instance_id, instance)
            self._changed.add(instance_id)

    def track(self, instance_id: str, instance: TrackedInstance) -> None:
        """Track an instance; it replaces one of the same id."""
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
        """Return the ids that were not seen in a *sweep*, with their createdTime."""
        tracked: Mapping[str, TrackedInstance] = self
        looked_in, before = self._absent
        # In a sweep they only become fewer: only the first look has to be at all instances.
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
    # Siblings share the id of their parent; an only child has one of its own.
    parent = 0 if instance.parent is None else getsizeof(instance.parent)
    return _BYTES_OF_AN_INSTANCE + getsizeof(instance_id) + getsizeof(instance.name) + parent
