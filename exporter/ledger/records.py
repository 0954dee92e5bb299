"""What a ledger saves, as records by key, and which of them changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

Key = TypeVar("Key")
Value = TypeVar("Value")

EncodedRecord = tuple[str, bytes, bytes | None]
"""Kind, key and content of a record; None for the content of a removed one."""

# Beyond it, writing all records takes less memory and no longer.
_MOST_CHANGED = 200_000

_encode = msgspec.msgpack.Encoder().encode


class ChangedKeys(Generic[Key]):
    """
    Notes which records changed.

    Until they are first taken, all count as changed and nothing is noted: an unsaved ledger does
    not grow. The same holds once too many have changed.
    """

    def __init__(self) -> None:
        self._keys: set[Key] | None = None

    @property
    def are_noted(self) -> bool:
        """Whether single changes are noted; otherwise all records count as changed."""
        return self._keys is not None

    def add(self, key: Key) -> None:
        """Note that a record was added, changed or removed."""
        if self._keys is not None:
            self._keys.add(key)
            if len(self._keys) > _MOST_CHANGED:
                self._keys = None

    def take(self) -> Collection[Key] | None:
        """Return the keys changed since the last call; None for all."""
        keys, self._keys = self._keys, set()
        return keys

    def put_back(self, keys: Collection[Key] | None) -> None:
        """Note *keys* again, since they were not written; None for all."""
        if keys is None:
            self._keys = None
        else:
            for key in keys:
                self.add(key)


@dataclass(frozen=True, slots=True)
class Records(Generic[Key, Value]):
    """
    The records of one *kind*: *keys* returns the present ones, *value* the content of one, or None.

    Without *changed* keys all count as changed each time. *written* is called with the keys that
    were written, None for all.
    """

    kind: str
    changed: ChangedKeys[Key] | None
    keys: Callable[[], Iterable[Key]]
    value: Callable[[Key], Value | None]
    written: Callable[[Collection[Key] | None], None] = lambda _: None

    def all(self) -> dict[Key, Value]:
        """Return the values of all records."""
        values = ((key, self.value(key)) for key in self.keys())
        return {key: value for key, value in values if value is not None}

    def take(self) -> Collection[Key] | None:
        """Return the keys changed since the last call; None for all."""
        return list(self.keys()) if self.changed is None else self.changed.take()

    def put_back(self, keys: Collection[Key] | None) -> None:
        """Note *keys* again, since they were not written; None for all."""
        if self.changed is not None:
            self.changed.put_back(keys)


@dataclass(frozen=True, slots=True)
class Unsaved:
    """
    Records that are not written yet; `is_whole` if they are all there are.

    Each must end in `written` or `put_back`.
    """

    is_whole: bool
    _taken: tuple[tuple[Records[Any, Any], Collection[Any] | None], ...]

    @classmethod
    def take(cls, records: Iterable[Records[Any, Any]], *, whole: bool = False) -> Unsaved:
        """Take what changed, or all if *whole* or anything counts as all changed."""
        taken = [(each, each.take()) for each in records]
        if whole or any(keys is None for _, keys in taken):
            return cls(True, tuple((each, None) for each, _ in taken))
        return cls(False, tuple(taken))

    def encoded(self) -> list[EncodedRecord]:
        """Return the records as they are now."""
        return [
            (records.kind, _encode(key), None if value is None else _encode(value))
            for records, keys in self._taken
            for key in (list(records.keys()) if keys is None else keys)
            for value in (records.value(key),)
        ]

    def written(self) -> None:
        """Note that the records are durable."""
        for records, keys in self._taken:
            records.written(keys)

    def put_back(self) -> None:
        """Keep the records for the next time: they were not written, or may not have been."""
        for records, keys in self._taken:
            records.put_back(keys)
