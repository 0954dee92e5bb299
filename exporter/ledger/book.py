"""The book of known finishes, by which a row found twice is counted once."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable
from hashlib import blake2b

from exporter.api.times import later
from exporter.api.wire import InstanceRow
from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.search import FARTHEST_AHEAD

_BUCKET_BITS = 6
_DIGEST_BYTES = 8
_FREEZE_AFTER_SECONDS = 120
_MOST_UNPACKED = 65_536
# Times of rows may come from a clock this far ahead of that of the answers.
_ROWS_AHEAD_SECONDS = 300
# The bucket for what lies further ahead, after all others.
_AHEAD = 1 << 40
# Copying a new hash takes a third of the time of creating one.
_EMPTY = blake2b(digest_size=_DIGEST_BYTES)


def digest_of(row: InstanceRow) -> int:
    """
    Return 8 bytes that identify a finish: id, name, status and both times.

    The status belongs to it: Failed, rewound and Completed within one second are two finishes. The
    digest is the same in every process, as state files require.
    """
    identity = (
        f"{row.instance_id}\0{row.name or ''}\0{row.runtime_status}"
        f"\0{row.created_time or ''}\0{row.last_updated_time or ''}"
    )
    digest = _EMPTY.copy()
    digest.update(identity.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "little")


def second_of(created: float | None, updated: float | None) -> int:
    """Return the second of a finish: the later of its times, 0 where neither is known."""
    return int(later(created, updated) or 0.0)


Part = tuple[int, int]
"""A bucket and the number of one of its parts, in the order in which they were written."""
SavedBook = dict[Part, bytes]
"""Digests of 8 bytes each, little-endian."""


class Book:
    """
    Digests of finishes, by the second in which they happened.

    64 seconds share a bucket. Two minutes later it is packed: its digests ascending in bytes, 8
    each instead of the 100 of a set, and nothing for the garbage collector to traverse. What comes
    later waits in a set next to it until packed, as all buckets do when they are large.

    A record is a part of a bucket: what was added since the previous part was written.
    """

    def __init__(self, saved: SavedBook | None = None) -> None:
        """Restore what was *saved*."""
        self._open: dict[int, set[int]] = {}
        self._packed: dict[int, bytes] = {}
        self._size = 0
        self._unpacked = 0
        self._last = _AHEAD
        self._parts: dict[int, int] = {}
        self._unsaved: dict[int, array[int]] = {}
        self._changed: ChangedKeys[Part] = ChangedKeys()
        by_bucket: dict[int, array[int]] = {}
        for (bucket, _), content in (saved or {}).items():
            by_bucket.setdefault(bucket, array("Q")).frombytes(_swapped(content))
        for bucket, digests in by_bucket.items():
            self._packed[bucket] = array("Q", sorted(set(digests))).tobytes()
            self._size += len(self._packed[bucket]) // _DIGEST_BYTES

    def __len__(self) -> int:
        return self._size

    def advance(self, now: float) -> None:
        """Put what is more than a day ahead of *now* into one bucket from now on."""
        self._last = int(now + FARTHEST_AHEAD) >> _BUCKET_BITS

    def has(self, second: int, digest: int) -> bool:
        """Return whether the finish *digest* of *second* is known."""
        if self._holds(second >> _BUCKET_BITS, digest):
            return True
        is_any_ahead = _AHEAD in self._open or _AHEAD in self._packed
        return is_any_ahead and self._holds(_AHEAD, digest)

    def _holds(self, bucket: int, digest: int) -> bool:
        packed = self._packed.get(bucket)
        if packed is not None:
            digests = memoryview(packed).cast("Q")
            place = bisect_left(digests, digest)
            if place < len(digests) and digests[place] == digest:
                return True
        return digest in self._open.get(bucket, ())

    def add(self, second: int, digest: int) -> None:
        """Enter a finish, unless it is known."""
        if self.has(second, digest):
            return
        bucket = second >> _BUCKET_BITS
        bucket = bucket if bucket <= self._last else _AHEAD
        self._open.setdefault(bucket, set()).add(digest)
        if self._changed.are_noted:
            self._unsaved.setdefault(bucket, array("Q")).append(digest)
            self._changed.add((bucket, self._next_part(bucket)))
        self._size += 1
        self._unpacked += 1
        if self._unpacked >= _MOST_UNPACKED:
            self._pack(list(self._open))

    def freeze(self, now: float) -> None:
        """Pack the buckets that are unlikely to change after *now*."""
        last = int(now - _FREEZE_AFTER_SECONDS) >> _BUCKET_BITS
        self._pack([bucket for bucket in self._open if bucket < last])

    def _pack(self, buckets: Iterable[int]) -> None:
        for bucket in buckets:
            self._packed[bucket] = self._whole(bucket)
            self._unpacked -= len(self._open.pop(bucket))

    def _whole(self, bucket: int) -> bytes:
        """Return the digests of a bucket, ascending, in native byte order."""
        packed = self._packed.get(bucket, b"")
        unpacked = self._open.get(bucket)
        if not unpacked:
            return packed
        return array("Q", sorted([*array("Q", packed), *unpacked])).tobytes()

    def forget_before(self, second: float, *, most: float, now: float) -> int:
        """
        Drop whole buckets older than *second*, then the oldest until at most *most* are left.

        Returns the second from which the book is complete. Times further ahead of *now* than a
        clock may be do not count: they would end history in the future.
        """
        buckets = sorted({*self._packed, *self._open})
        floor = int(second) >> _BUCKET_BITS
        last = int(now + _ROWS_AHEAD_SECONDS) >> _BUCKET_BITS
        for bucket in buckets:
            if bucket >= floor and self._size <= most:
                break
            if bucket <= last:
                floor = max(floor, bucket + 1)
            self._size -= len(self._packed.pop(bucket, b"")) // _DIGEST_BYTES
            unpacked = len(self._open.pop(bucket, ()))
            self._size -= unpacked
            self._unpacked -= unpacked
            self._unsaved.pop(bucket, None)
            for part in range(self._next_part(bucket)):
                self._changed.add((bucket, part))
            self._parts.pop(bucket, None)
        return floor << _BUCKET_BITS

    @property
    def records(self) -> Records[Part, bytes]:
        """The digests, part by part."""
        return Records(
            "book", self._changed, self._first_parts, self._saved, self._begin_next_parts
        )

    def _next_part(self, bucket: int) -> int:
        return self._parts.get(bucket, -1) + 1

    def _first_parts(self) -> list[Part]:
        return [(bucket, 0) for bucket in {*self._packed, *self._open}]

    def _saved(self, key: Part) -> bytes | None:
        """Return a part that is not written yet; the first holds the whole bucket."""
        bucket, part = key
        if part == 0:
            return _swapped(self._whole(bucket)) or None
        if part == self._next_part(bucket) and bucket in self._unsaved:
            return _swapped(self._unsaved[bucket].tobytes())
        return None

    def _begin_next_parts(self, keys: Collection[Part] | None) -> None:
        if keys is None:
            self._parts = dict.fromkeys({*self._packed, *self._open}, 0)
            self._unsaved.clear()
            return
        for bucket, part in keys:
            if part == self._next_part(bucket) and self._unsaved.pop(bucket, None) is not None:
                self._parts[bucket] = part


def _swapped(packed: bytes) -> bytes:
    """Convert between native byte order and that of the file."""
    digests = array("Q", packed)
    if sys.byteorder == "big":
        digests.byteswap()
    return digests.tobytes()
