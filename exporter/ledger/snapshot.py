"""
What the ledger of a hub publishes: frozen views, each fed by one sweep, and changes.

Keys are label values; times are seconds since the epoch by the server's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from exporter.ledger.counters import Distribution, Labels
from exporter.ledger.reasons import FailureReason
from exporter.ledger.status import Pair, RuntimeStatus

Name = str
MOST_NAMED = 20


class OverLimit(msgspec.Struct, frozen=True, gc=False):
    """
    An instance over a limit, whose clock runs since `since`.

    `orchestrator` is its label; `created` and `updated` are None where unknown.
    """

    instance_id: str
    orchestrator: Name
    status: RuntimeStatus
    limit: str
    since: float
    created: float | None
    updated: float | None


@dataclass(frozen=True, slots=True)
class ActiveView:
    """
    Fed by `active`: unfinished instances, and what entity rows show.

    `locks` is None where the sweep lists by prefixes, which match no entity. `waiting_since` is
    when the longest wait began: the later of an instance's two times. `over_limit_samples` are the
    oldest over each limit, a few per orchestrator; `over_any_limit` counts each instance once.
    """

    instances: Mapping[Pair, int]
    oldest_created: Mapping[Pair, float]
    oldest_updated: Mapping[Pair, float]
    ages: Mapping[Pair, Distribution]
    tracked: int
    locks: Mapping[Name, EntityLocks] | None
    waiting_since: Mapping[Pair, float] = field(default_factory=dict)
    over_limit: Mapping[tuple[Name, str], int] = field(default_factory=dict)
    over_limit_samples: tuple[OverLimit, ...] = ()
    over_any_limit: int = 0


@dataclass(frozen=True, slots=True)
class EntityLocks:
    """Locks and queues of the entities of one class."""

    locked: int
    orphaned: int
    backlog: int
    backlog_max: int


class UnfilteredView(msgspec.Struct, frozen=True, gc=False):
    """Fed by `entities` where `active` lists by prefixes: active instances outside, and locks."""

    outside: int
    locks: Mapping[Name, EntityLocks]


class FinishesOverTime(msgspec.Struct, frozen=True, gc=False):
    """
    Finishes of the last hours in steps of `step` seconds, from `begin` on.

    The last step is incomplete. Pairs without any finish are left out.
    """

    begin: float
    step: float
    counts: Mapping[Pair, tuple[int, ...]]


class FinishedView(msgspec.Struct, frozen=True, gc=False):
    """Fed by `finished`: what happened within the windows."""

    recent: Mapping[tuple[Name, str, str], int]
    failure_ratio: Mapping[tuple[Name, str], float]
    row_delay: float
    over_time: FinishesOverTime | None = None


class RetainedView(msgspec.Struct, frozen=True, gc=False):
    """Fed by `census`, plus the finishes since: finished instances still stored."""

    instances: Mapping[Pair, int]
    oldest_created: Mapping[str, float]


class EntityView(msgspec.Struct, frozen=True, gc=False):
    """Fed by `entities`."""

    entities: Mapping[Name, int]
    idles: Mapping[Name, Distribution]
    last_operation: Mapping[Name, float]


class FailedInstance(msgspec.Struct, frozen=True, gc=False):
    """
    An instance that is Failed now, since `failed`.

    `reason` is None until a row with its output was read.
    """

    instance_id: str
    orchestrator: Name
    failed: float
    created: float | None
    reason: FailureReason | None


class UnresolvedView(msgspec.Struct, frozen=True, gc=False):
    """
    Fed by `failed`, and updated by every row since: instances that are Failed now.

    `reasons` counts those of `failures` that are followed one by one; `samples` are the oldest and
    the newest, a few per orchestrator.
    """

    failures: Mapping[Name, int]
    oldest: Mapping[Name, float]
    reasons: Mapping[tuple[Name, FailureReason | None], int] = {}
    samples: tuple[FailedInstance, ...] = ()


class LatestView(msgspec.Struct, frozen=True, gc=False):
    """The latest createdTime, finish and lastUpdatedTime seen."""

    created: Mapping[Name, float]
    finished: Mapping[Pair, float]
    progress: Mapping[Name, float]


class FinishedInstance(msgspec.Struct, frozen=True, gc=False):
    """An instance counted as finished, and when it finished."""

    instance_id: str
    at: float


@dataclass(frozen=True, slots=True)
class CountersView:
    """
    The counters as they are shown, by labels: never less than was shown before.

    `counts` are by family first. The empty view shows nothing: 0 would be less than a state may
    hold. `latest_finished` is the last instance behind each series of `finished`, since the process
    started.
    """

    counts: Mapping[str, Mapping[Labels, int]] = field(default_factory=dict)
    durations: Mapping[Labels, Distribution] = field(default_factory=dict)
    latest_finished: Mapping[Labels, FinishedInstance] = field(default_factory=dict)

    def __getitem__(self, family: str) -> Mapping[Labels, int]:
        """Return the counters of a family; empty where nothing was counted."""
        return self.counts.get(family, {})


@dataclass(frozen=True, slots=True)
class KnownView:
    """
    What is known of a hub whatever fails, for as long as it is configured.

    `limits` are the hub's, `own_limits` those that an orchestrator overrides: infinite for none.
    `replaced` is when all known instances last vanished at once, None if never.
    """

    orchestrators: tuple[Name, ...]
    entities: tuple[Name, ...]
    limits: Mapping[str, float]
    own_limits: Mapping[Name, Mapping[str, float]]
    latest: LatestView
    unconfirmed: int
    baseline: float | None
    horizon: float | None
    replaced: float | None
    label_values: Mapping[str, int]

    def limits_of(self, orchestrator: Name) -> Mapping[str, float]:
        """Return the limits of an orchestrator; none for those that share a label."""
        own = self.own_limits.get(orchestrator)
        return {} if own is None else {**self.limits, **own}


Change = TypeVar("Change")


@dataclass(frozen=True, slots=True)
class ChangeBatch(Generic[Change]):
    """The first changes of a kind; `left_out` is the number of the others."""

    named: tuple[Change, ...] = ()
    left_out: int = 0


class ChangeBuffer(Generic[Change]):
    """Keeps the first *most* changes of a kind, and counts the others."""

    def __init__(self, most: int = MOST_NAMED) -> None:
        self._most = most
        self._named: tuple[Change, ...] = ()
        self._left_out = 0

    def add(self, change: Change) -> None:
        """Note a change."""
        if len(self._named) < self._most:
            self._named = (*self._named, change)
        else:
            self._left_out += 1

    def take(self) -> ChangeBatch[Change]:
        """Return what was noted since the last call."""
        batch = ChangeBatch(self._named, self._left_out)
        self._named, self._left_out = (), 0
        return batch


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure that was counted; *failed* is None where its time is unknown."""

    instance_id: str
    orchestrator: str
    reason: FailureReason
    failed: float | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """An instance that is no longer Failed: rewound, restarted or purged."""

    instance_id: str
    orchestrator: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """An instance that is back within a limit, or finished."""

    instance_id: str
    orchestrator: str
    limit: str


@dataclass(frozen=True, slots=True)
class LedgerChanges:
    """
    Changes of single instances.

    `pulled_back` is by how many seconds the horizon or the mark was ahead of the server's clock. If
    the hub was `replaced`, the failures that vanished with it are not resolved.
    """

    over_limit: ChangeBatch[OverLimit]
    recovered: ChangeBatch[Recovered]
    failed: ChangeBatch[Failed]
    resolved: ChangeBatch[Resolved]
    pulled_back: float = 0.0
    replaced: bool = False
