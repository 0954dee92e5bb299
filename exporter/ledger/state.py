"""The whole ledger of a hub as plain values: saved, decoded, repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from exporter.ledger.book import SavedBook
from exporter.ledger.census import SavedCensus
from exporter.ledger.counters import Labels, SavedCounter, SavedHistogram
from exporter.ledger.failures_in_doubt import SavedDoubt
from exporter.ledger.finish_windows import SavedFinishes
from exporter.ledger.label_values import SavedPlace, by_name
from exporter.ledger.records import EncodedRecord, Records
from exporter.ledger.search import FARTHEST_AHEAD
from exporter.ledger.status import Pair
from exporter.ledger.tracked import SavedInstance
from exporter.ledger.unresolved import SavedFailure

SINGLE = ""
"""The key of the only record of a kind."""


class Header(msgspec.Struct, frozen=True):
    """The single values of a ledger; `duration_bounds` are those of all histograms."""

    contact: float | None = None
    contact_sweep: int = 0
    mark: float | None = None
    horizon: int = 0
    floor: int = 0
    sweep: int = 0
    sweep_began: float = 0.0
    cycle: int = 0
    replaced: float | None = None
    duration_bounds: tuple[float, ...] = ()


class LedgerState(msgspec.Struct, frozen=True):
    """
    Everything that a ledger saves: one field per kind of record, by key.

    New kinds, and new fields of values, have defaults, so that records of the previous version can
    be read.
    """

    header: Header = Header()
    open: dict[str, SavedInstance] = {}
    book: SavedBook = {}
    orchestrators: dict[str, SavedPlace] = {}
    entities: dict[str, SavedPlace] = {}
    recent: dict[tuple[str, int], SavedFinishes] = {}
    failures: dict[str, SavedFailure] = {}
    counters: dict[tuple[str, ...], SavedCounter] = {}
    durations: dict[Labels, SavedHistogram] = {}
    latest: dict[tuple[str, ...], float] = {}
    in_doubt: dict[int, SavedDoubt] = {}
    gets_events: dict[str, bool] = {}
    called: dict[str, bool] = {}
    census: SavedCensus | None = None
    finished_since: dict[Pair, int] = {}


_TYPES: Mapping[str, Any] = get_type_hints(LedgerState)
_BY_KEY = {kind for kind, hint in _TYPES.items() if get_origin(hint) is dict}
_KEYS = {kind: msgspec.msgpack.Decoder(get_args(_TYPES[kind])[0]) for kind in _BY_KEY}
_VALUES = {
    kind: msgspec.msgpack.Decoder(get_args(hint)[1] if kind in _BY_KEY else hint)
    for kind, hint in _TYPES.items()
}


def state_of(records: Iterable[Records[Any, Any]]) -> LedgerState:
    """Return what all *records* of a ledger hold now."""
    fields: dict[str, Any] = {}
    for each in records:
        if each.kind in _BY_KEY:
            fields.setdefault(each.kind, {}).update(each.all())
        else:
            fields[each.kind] = each.value(SINGLE)
    return LedgerState(**fields)


def decoded(records: Iterable[EncodedRecord]) -> LedgerState:
    """
    Return the state in *records*, of which the last with a key counts.

    Unknown kinds are skipped. Raises `msgspec.DecodeError` on malformed ones.
    """
    fields: dict[str, Any] = {kind: {} for kind in _BY_KEY}
    for kind, key, content in records:
        if kind in _BY_KEY:
            place = _KEYS[kind].decode(key)
            if content is None:
                fields[kind].pop(place, None)
            else:
                fields[kind][place] = _VALUES[kind].decode(content)
        elif kind in _VALUES and content is not None:
            fields[kind] = _VALUES[kind].decode(content)
    return LedgerState(**fields)


def healed(state: LedgerState, now: float) -> LedgerState:
    """
    Return *state* without times over a day ahead of *now*, which come from a wrong clock.

    Such a horizon becomes *now*: what finished before is history.
    """
    latest = now + FARTHEST_AHEAD

    def within(moment: float) -> float:
        return min(moment, now) if moment > latest else moment

    header, census = state.header, state.census
    return replace(
        state,
        header=replace(
            header,
            contact=None if header.contact is None else within(header.contact),
            mark=None if header.mark is None else within(header.mark),
            horizon=int(within(header.horizon)),
            floor=int(within(header.floor)),
            sweep_began=within(header.sweep_began),
            replaced=None if header.replaced is None else within(header.replaced),
        ),
        failures={key: each for key, each in state.failures.items() if each.failed <= latest},
        latest={key: moment for key, moment in state.latest.items() if moment <= latest},
        census=census and replace(census, completed=within(census.completed)),
    )


def with_one_spelling(state: LedgerState, configured: Container[str]) -> LedgerState:
    """
    Return *state* with one spelling per orchestrator: the *configured* one, else the smallest.

    Version 0.1 counted each spelling separately. The counters of the others end; their instances
    become those of the spelling that is kept.
    """
    own = by_name(name for name, place in state.orchestrators.items() if not place.is_folded)
    kept = {
        other: min(spellings, key=lambda each: (each not in configured, each))
        for spellings in own.values()
        if len(spellings) > 1
        for other in spellings
    }
    gone = {name for name, spelling in kept.items() if name != spelling}
    if not gone:
        return state
    latest: dict[tuple[str, ...], float] = {}
    for (of, label, *rest), moment in state.latest.items():
        key = (of, kept.get(label, label), *rest)
        latest[key] = max(moment, latest.get(key, 0.0))
    census = state.census
    return replace(
        state,
        orchestrators={name: at for name, at in state.orchestrators.items() if name not in gone},
        counters={key: each for key, each in state.counters.items() if not gone & {*key[1:2]}},
        durations={key: each for key, each in state.durations.items() if not gone & {*key}},
        latest=latest,
        open={
            key: replace(each, name=kept.get(each.name, each.name))
            for key, each in state.open.items()
        },
        failures={
            key: replace(each, label=kept.get(each.label, each.label))
            for key, each in state.failures.items()
        },
        in_doubt={
            key: replace(each, label=kept.get(each.label, each.label))
            for key, each in state.in_doubt.items()
        },
        recent={
            key: [(kept.get(label, label), status, count) for label, status, count in finishes]
            for key, finishes in state.recent.items()
        },
        census=census
        and replace(
            census,
            counts=[
                (*pair, count)
                for pair, count in _sums(
                    (((label, status), count) for label, status, count in census.counts), kept
                ).items()
            ],
        ),
        finished_since=_sums(state.finished_since.items(), kept),
    )


def _sums(counts: Iterable[tuple[Pair, int]], kept: Mapping[str, str]) -> dict[Pair, int]:
    sums: Counter[Pair] = Counter()
    for (label, status), count in counts:
        sums[kept.get(label, label), status] += count
    return sums
