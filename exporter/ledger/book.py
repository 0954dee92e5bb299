"""The book of known finishes: so that a row found twice is counted once."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from hashlib import blake2b

from exporter.api.wire import BriefRow

_BUCKET_BITS = 6
_FREEZE_AFTER_SECONDS = 120
# To copy a hash that is begun takes a third of what it takes to begin one.
_EMPTY = blake2b(digest_size=8)


def digest_of(row: BriefRow) -> int:
    """
    Identify a finish in 8 bytes: id, name, status and both times.

    The status is part of it: Failed, rewound and Completed within one second are two finishes.
    The digest is the same in every process, so that a state file can hold it.
    """
    identity = (
        f"{row.instance_id}\0{row.name or ''}\0{row.runtime_status}"
        f"\0{row.created_time or ''}\0{row.last_updated_time or ''}"
    )
    digest = _EMPTY.copy()
    digest.update(identity.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "little")


def second_of(created: float | None, updated: float | None) -> int:
    """Return the second of a finish: the later of its times, 0 where none is known."""
    return int(max(created or 0.0, updated or 0.0))


class Book:
    """
    Digests of finishes by the second in which they happened.

    Seconds share a bucket of 64; a bucket that is two minutes old becomes a sorted array, 8 bytes
    a finish instead of the 100 of a set.
    """

    def __init__(self) -> None:
        self._open: dict[int, set[int]] = {}
        self._frozen: dict[int, array[int]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def has(self, second: int, digest: int) -> bool:
        """Tell whether the finish *digest* of *second* is known."""
        bucket = second >> _BUCKET_BITS
        digests = self._frozen.get(bucket)
        if digests is not None:
            place = bisect_left(digests, digest)
            if place < len(digests) and digests[place] == digest:
                return True
        return digest in self._open.get(bucket, ())

    def add(self, second: int, digest: int) -> None:
        """Enter a finish; entering it twice is nothing."""
        if self.has(second, digest):
            return
        bucket = second >> _BUCKET_BITS
        digests = self._frozen.get(bucket)
        if digests is None:
            self._open.setdefault(bucket, set()).add(digest)
        else:
            digests.insert(bisect_left(digests, digest), digest)
        self._size += 1

    def freeze(self, now: float) -> None:
        """Pack the buckets in which little more will happen after *now*."""
        last = int(now - _FREEZE_AFTER_SECONDS) >> _BUCKET_BITS
        for bucket in [bucket for bucket in self._open if bucket < last]:
            self._frozen[bucket] = array("Q", sorted(self._open.pop(bucket)))

    def forget_before(self, second: float, *, most: int) -> int:
        """
        Drop whole buckets older than *second*, then the oldest until at most *most* are left.

        Returns the second from which on the book is complete.
        """
        buckets = sorted([*self._frozen, *self._open])
        floor = int(second) >> _BUCKET_BITS
        for bucket in buckets:
            if bucket >= floor and self._size <= most:
                break
            floor = max(floor, bucket + 1)
            for digests in (self._frozen.pop(bucket, None), self._open.pop(bucket, None)):
                self._size -= len(digests or ())
        return floor << _BUCKET_BITS

    def saved(self) -> dict[int, bytes]:
        """Return the digests of each bucket, 8 bytes each, the lowest byte first."""
        buckets = dict(self._frozen)
        buckets.update((bucket, array("Q", sorted(some))) for bucket, some in self._open.items())
        return {bucket: _swapped(digests).tobytes() for bucket, digests in buckets.items()}

    @classmethod
    def restored(cls, saved: Mapping[int, bytes]) -> Book:
        """Return a book of what was saved."""
        book = cls()
        for bucket, content in saved.items():
            digests = array("Q", content)
            book._frozen[bucket] = _swapped(digests)
            book._size += len(digests)
        return book


def _swapped(digests: array[int]) -> array[int]:
    """Turn the machine's order of bytes into that of a file, or back."""
    if sys.byteorder == "big":
        digests = array("Q", digests)
        digests.byteswap()
    return digests
