"""Entities: locks and queues as the active sweep shows them, numbers and idle times as listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec

from exporter.api.times import parse_time
from exporter.api.wire import NOTHING, EntityRow, InstanceRow, bounded_text, entity_class
from exporter.ledger.counters import Histogram
from exporter.ledger.label_values import LabelValues
from exporter.ledger.snapshot import EntityLocks, EntityView, UnfilteredView

# Larger numbers are no queue size, and inexact as samples.
_LARGEST_NUMBER = 1 << 53
_MOST_LOCKS = 100_000


Decoded = TypeVar("Decoded")


class _CustomStatus(msgspec.Struct, rename="camel"):
    """The custom status of an entity's row (reference 2.7)."""

    queue_size: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_NUMBER)] = 0
    locked_by: str | None = None


_STATUS = msgspec.json.Decoder(_CustomStatus)
_TEXT = msgspec.json.Decoder(str)
_NO_STATUS = _CustomStatus()


def _custom_status(raw: msgspec.Raw) -> _CustomStatus:
    """Read the custom status; on MSSQL it is a string that holds JSON (reference 2.2)."""
    if raw is NOTHING:
        return _NO_STATUS
    text = bytes(raw)
    if b"queueSize" not in text and b"lockedBy" not in text:
        return _NO_STATUS
    return decode_nested(_STATUS, text) or _NO_STATUS


def decode_nested(decoder: msgspec.json.Decoder[Decoded], text: bytes) -> Decoded | None:
    """Decode JSON that may be nested in a JSON string; None if it does not fit."""
    try:
        return decoder.decode(_TEXT.decode(text) if text[:1] == b'"' else text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


@dataclass(slots=True)
class _Tally:
    locked: int = 0
    orphaned: int = 0
    backlog: int = 0
    backlog_max: int = 0


class LockFold:
    """
    Locks and queues of one active sweep; memory grows with the locks, not the entities.

    The holders of the first 100,000 locks are checked. *suspected* are locks whose holder was not
    active in the previous sweep: a holder that started after its page was read looks the same,
    once.
    """

    def __init__(self, label_values: LabelValues, suspected: frozenset[tuple[str, str]]) -> None:
        self._label_values = label_values
        self._tallies: dict[str, _Tally] = {}
        self._locks: dict[tuple[str, str], str] = {}
        self._suspected = suspected

    def add(self, entity: str, row: InstanceRow) -> None:
        """Add the row of an entity of the class *entity*."""
        label = self._label_values.label(entity)
        tally = self._tallies.setdefault(label, _Tally())
        status = _custom_status(row.custom_status)
        tally.backlog += status.queue_size
        tally.backlog_max = max(tally.backlog_max, status.queue_size)
        if status.locked_by:
            tally.locked += 1
            if len(self._locks) < _MOST_LOCKS:
                self._locks[row.instance_id, bounded_text(status.locked_by)] = label

    def complete(
        self, active_ids: Container[str]
    ) -> tuple[dict[str, EntityLocks], frozenset[tuple[str, str]]]:
        """Return the locks by label, and those whose holder is not active now."""
        leaked = frozenset(lock for lock in self._locks if lock[1] not in active_ids)
        for lock in leaked & self._suspected:
            self._tallies[self._locks[lock]].orphaned += 1
        locks = {
            label: EntityLocks(tally.locked, tally.orphaned, tally.backlog, tally.backlog_max)
            for label, tally in self._tallies.items()
        }
        return locks, leaked


class EntityAccounts:
    """
    The entities of one hub.

    Locks and queues come from their rows among the active instances, numbers and idle times from
    `listEntities`.
    """

    def __init__(self, label_values: LabelValues, bounds: Sequence[float]) -> None:
        self.label_values = label_values
        self._bounds = bounds
        self._leaked: frozenset[tuple[str, str]] = frozenset()

    @property
    def suspects_locks(self) -> bool:
        """Whether the last listing had locks without an active holder; a second one is proof."""
        return bool(self._leaked)

    def fold_locks(self) -> LockFold:
        """Return the fold for the entities of a listing of instances."""
        return LockFold(self.label_values, self._leaked)

    def complete_locks(
        self, fold: LockFold, active_ids: Container[str]
    ) -> Mapping[str, EntityLocks]:
        """End a listing read to its end; *active_ids* are the possible holders."""
        locks, self._leaked = fold.complete(active_ids)
        return locks

    def fold(self, at: float) -> EntityFold:
        """Return the fold of a listing of the entities; idle times are measured at *at*."""
        return EntityFold(self.label_values, at, self._bounds)


class UnfilteredFold:
    """
    A listing of all active instances, where the active sweep lists only *prefixes*.

    It shows the entities, and counts the instances outside all prefixes.
    """

    def __init__(
        self, entities: EntityAccounts, prefixes: tuple[str, ...], active_ids: Container[str]
    ) -> None:
        self._entities = entities
        self._prefixes = prefixes
        self._active_ids = active_ids
        self._outside = 0
        self._locks = entities.fold_locks()

    def add_page(self, rows: Sequence[InstanceRow]) -> None:
        """Apply a page."""
        for row in rows:
            entity = entity_class(row)
            if entity is not None:
                self._locks.add(entity, row)
            elif not row.instance_id.startswith(self._prefixes):
                self._outside += 1

    def complete(self) -> UnfilteredView:
        """End the listing, read to its end."""
        return UnfilteredView(
            self._outside, self._entities.complete_locks(self._locks, self._active_ids)
        )


class EntityFold:
    """The entities of one sweep of `listEntities` at the moment *at*, in constant memory."""

    def __init__(self, label_values: LabelValues, at: float, bounds: Sequence[float]) -> None:
        self._label_values = label_values
        self._at = at
        self._bounds = bounds
        self._counts: Counter[str] = Counter()
        self._idles: dict[str, Histogram] = {}
        self._last_operations: dict[str, float] = {}

    def add_page(self, rows: Sequence[EntityRow]) -> None:
        """Add a page."""
        for row in rows:
            label = self._label_values.label(row.entity_id.name.lower())
            self._counts[label] += 1
            moment = parse_time(row.last_operation_time)
            if moment is None:
                continue
            if label not in self._idles:
                self._idles[label] = Histogram(self._bounds)
            self._idles[label].observe(max(0.0, self._at - moment))
            self._last_operations[label] = max(moment, self._last_operations.get(label, 0.0))

    def complete(self) -> EntityView:
        """Return the entities."""
        return EntityView(
            entities=dict(self._counts),
            idles={label: idles.frozen() for label, idles in self._idles.items()},
            last_operation=dict(self._last_operations),
        )
