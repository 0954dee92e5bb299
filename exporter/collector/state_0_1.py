"""The state file of version 0.1, read once and migrated."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

import msgspec

from exporter.collector.state import Kept, LearnedFacts, Owner, StateProblem, StateUnusable
from exporter.ledger.accounts import OF_THE_HUB
from exporter.ledger.census import SavedCensus
from exporter.ledger.counters import Labels, SavedCounter, SavedHistogram
from exporter.ledger.finish_windows import SavedFinishes
from exporter.ledger.label_values import SavedPlace
from exporter.ledger.state import Header, LedgerState
from exporter.ledger.status import RuntimeStatus
from exporter.ledger.tracked import SavedInstance
from exporter.ledger.unresolved import SavedFailure

MAGIC = b"durable-functions-exporter state\n"
HEADER = Struct("<HQ16s")
"""Version, and length and checksum of the rest."""
_VERSIONS = (1, 2)


class _Instance(msgspec.Struct, frozen=True, array_like=True):
    instance_id: str
    name: str
    status: str
    created: float | None


class _Failure(msgspec.Struct, frozen=True, array_like=True):
    instance_id: str
    label: str
    created: float | None
    failed: float
    checked: int
    # Only whether there was one in version 1.
    misses: int | bool = 0


class _Counter(msgspec.Struct, frozen=True, array_like=True):
    labels: Labels
    value: int
    shown: int


class _Histogram(msgspec.Struct, frozen=True, array_like=True):
    labels: Labels
    counts: list[int]
    total: float
    shown: tuple[int, ...]
    shown_total: float


class _Histograms(msgspec.Struct, frozen=True):
    bounds: tuple[float, ...] = ()
    series: list[_Histogram] = []


class _Accounts(msgspec.Struct, frozen=True):
    counters: dict[str, list[_Counter]] = {}
    durations: _Histograms = _Histograms()
    last_created: list[tuple[str, float]] = []
    last_finished: list[tuple[str, str, float]] = []
    last_progress: list[tuple[str, float]] = []


class _Places(msgspec.Struct, frozen=True):
    own: list[str] = []
    folded: list[str] = []


class _Retained(msgspec.Struct, frozen=True):
    base: list[tuple[str, str, int]]
    since: list[tuple[str, str, int]]
    oldest: dict[str, float]
    completed: float


class _Ledger(msgspec.Struct, frozen=True):
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
    orchestrators: _Places = _Places()
    entities: _Places = _Places()
    recent: dict[str, list[tuple[int, str, str, int]]] = {}
    unresolved: list[_Failure] = []
    accounts: _Accounts = _Accounts()
    retained: _Retained | None = None


class _Content(msgspec.Struct, frozen=True):
    owner: Owner
    written: float
    ledger: _Ledger


_OPEN = msgspec.msgpack.Decoder(list[_Instance])


def checksum(body: bytes | memoryview) -> bytes:
    """Return the checksum of the content in the header."""
    return blake2b(body, digest_size=16).digest()


def read(content: bytes) -> Kept:
    """
    Return what the file with this *content* holds.

    Raises:
        StateUnusable: it is damaged, or of another version.
    """
    start = len(MAGIC) + HEADER.size
    if not content.startswith(MAGIC) or len(content) < start:
        raise StateUnusable(StateProblem.UNREADABLE, "not a state file")
    version, length, sum_of_body = HEADER.unpack_from(content, len(MAGIC))
    if version not in _VERSIONS:
        message = f"it has the version {version}, which is unknown"
        raise StateUnusable(StateProblem.VERSION, message)
    body = memoryview(content)[start:]
    if len(body) != length or checksum(body) != sum_of_body:
        raise StateUnusable(StateProblem.UNREADABLE, "it is damaged")
    try:
        found = msgspec.msgpack.decode(body, type=_Content)
        return Kept(found.owner, found.written, _state_of(found.ledger), LearnedFacts())
    except msgspec.DecodeError as error:
        raise StateUnusable(StateProblem.UNREADABLE, f"it is damaged: {error}") from error


def _state_of(ledger: _Ledger) -> LedgerState:
    accounts, retained = ledger.accounts, ledger.retained
    census, since = None, {}
    if retained is not None:
        census = SavedCensus(retained.base, retained.oldest, retained.completed)
        since = {(label, status): count for label, status, count in retained.since}
    return LedgerState(
        header=Header(
            contact=ledger.contact,
            contact_sweep=ledger.contact_sweep,
            mark=ledger.mark,
            horizon=ledger.horizon,
            floor=ledger.floor,
            sweep=ledger.sweep,
            sweep_began=ledger.sweep_began,
            cycle=ledger.cycle,
            duration_bounds=accounts.durations.bounds,
        ),
        open={
            each.instance_id: SavedInstance(each.name, each.created)
            for part in ledger.open
            for each in _OPEN.decode(part)
        },
        book={(bucket, 0): digests for bucket, digests in ledger.book.items()},
        orchestrators=_places(ledger.orchestrators),
        entities=_places(ledger.entities),
        recent=_recent(ledger.recent),
        failures={
            each.instance_id: SavedFailure(each.label, each.created, each.failed, int(each.misses))
            for each in ledger.unresolved
        },
        counters=_counters(accounts.counters),
        durations={
            each.labels[:1]: SavedHistogram(each.counts, each.total, each.shown, each.shown_total)
            for each in accounts.durations.series
            if each.labels[1] == RuntimeStatus.COMPLETED
        },
        latest=_latest(accounts),
        census=census,
        finished_since=since,
    )


def _counters(counters: dict[str, list[_Counter]]) -> dict[Labels, SavedCounter]:
    """Return counters with today's labels: some by hub alone, and none at 0."""
    found: dict[Labels, SavedCounter] = {}
    for family, series in counters.items():
        for each in series:
            key = (family,) if family in OF_THE_HUB else (family, *each.labels)
            before = found.get(key, SavedCounter(0, 0))
            if each.value:
                found[key] = SavedCounter(before.value + each.value, before.shown + each.shown)
    return found


def _latest(accounts: _Accounts) -> dict[Labels, float]:
    latest: dict[Labels, float] = {("created", label): at for label, at in accounts.last_created}
    latest.update({("progress", label): at for label, at in accounts.last_progress})
    latest.update({("finished", *pair): at for *pair, at in accounts.last_finished})
    return latest


def _places(places: _Places) -> dict[str, SavedPlace]:
    return {
        **{name: SavedPlace(n, is_folded=True) for n, name in enumerate(places.folded)},
        **{name: SavedPlace(n, is_folded=False) for n, name in enumerate(places.own)},
    }


def _recent(
    recent: dict[str, list[tuple[int, str, str, int]]],
) -> dict[tuple[str, int], SavedFinishes]:
    found: dict[tuple[str, int], SavedFinishes] = {}
    for window, finishes in recent.items():
        for step, label, status, count in finishes:
            found.setdefault((window, step), []).append((label, status, count))
    return found
