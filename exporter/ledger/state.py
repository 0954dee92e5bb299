"""The whole ledger of a hub as plain values, to be written down and restored."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec
from msgspec.structs import replace

from exporter.api.times import known_time
from exporter.ledger.accounts import SavedAccounts
from exporter.ledger.census import SavedRetained
from exporter.ledger.finish_windows import SavedFinishes
from exporter.ledger.label_values import SavedPlaces
from exporter.ledger.status import RuntimeStatus
from exporter.ledger.tracked import TrackedInstance
from exporter.ledger.unresolved import SavedFailure

_LIVES_AT_ONCE = 10_000
# So far two right clocks may differ; a time further ahead is one of a clock that was wrong.
_FARTHEST_AHEAD = 86_400.0


class SavedInstance(msgspec.Struct, frozen=True, array_like=True):
    """An instance last seen active."""

    instance_id: str
    name: str
    status: str
    created: float | None
    updated: float | None
    sweep: int


class LedgerState(msgspec.Struct, frozen=True):
    """
    Everything that a ledger must not forget.

    A field that was added later has a default: that is how a file of the version before is read.
    `open` holds tracked in parts, each encoded by itself, so that none takes long.
    """

    contact: float | None = None
    contact_sweep: int = 0
    mark: float | None = None
    horizon: int = 0
    floor: int = 0
    sweep: int = 0
    sweep_began: float = 0.0
    cycle: int = 0
    open: list[bytes] = []
    book: dict[int, bytes] = {}
    orchestrators: SavedPlaces = SavedPlaces()
    entities: SavedPlaces = SavedPlaces()
    recent: dict[str, SavedFinishes] = {}
    unresolved: list[SavedFailure] = []
    accounts: SavedAccounts = SavedAccounts()
    retained: SavedRetained | None = None
    replaced: float | None = None


def healed(state: LedgerState, now: float) -> LedgerState:
    """
    Return *state* without times over a day ahead of *now*: a clock was wrong when they were kept.

    What would begin then begins *now*: what has finished before is history.
    """
    latest = now + _FARTHEST_AHEAD

    def within(moment: float) -> float:
        return min(moment, now) if moment > latest else moment

    def sane(moments: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
        return [(label, moment) for label, moment in moments if moment <= latest]

    accounts, retained = state.accounts, state.retained
    return replace(
        state,
        contact=None if state.contact is None else within(state.contact),
        mark=None if state.mark is None else within(state.mark),
        horizon=int(within(state.horizon)),
        floor=int(within(state.floor)),
        sweep_began=within(state.sweep_began),
        unresolved=[each for each in state.unresolved if each.failed <= latest],
        accounts=replace(
            accounts,
            last_created=sane(accounts.last_created),
            last_finished=[each for each in accounts.last_finished if each[2] <= latest],
            last_progress=sane(accounts.last_progress),
        ),
        retained=retained and replace(retained, completed=within(retained.completed)),
        replaced=None if state.replaced is None else within(state.replaced),
    )


_SAVED_OPEN = msgspec.msgpack.Decoder(list[SavedInstance])


def save_open(tracked: dict[str, TrackedInstance]) -> list[bytes]:
    """Return the tracked instances by id, encoded in parts."""
    saved = (
        SavedInstance(
            instance_id,
            instance.name,
            instance.status,
            instance.created,
            instance.updated,
            instance.sweep,
        )
        for instance_id, instance in tracked.items()
    )
    parts = []
    while part := list(islice(saved, _LIVES_AT_ONCE)):
        parts.append(msgspec.msgpack.encode(part))
    return parts


def restore_open(parts: list[bytes]) -> dict[str, TrackedInstance]:
    """Return the instances of all *parts* by id; raises `msgspec.DecodeError` on anything else."""
    return {
        instance.instance_id: TrackedInstance(
            instance.name,
            RuntimeStatus(instance.status),
            known_time(instance.created),
            known_time(instance.updated),
            instance.sweep,
        )
        for part in parts
        for instance in _SAVED_OPEN.decode(part)
    }
