"""
What the ledger of a hub publishes: frozen views, each fed by one sweep.

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
    One instance that is beyond a limit, whose clock runs since `since`.

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
    Fed by `active`: instances that are not finished, and what entity rows show beside them.

    `locks` is None where the sweep lists by prefixes, among which no entity is. `waiting_since` is
    since when the longest waiting one waits: the later of its two times. `over_limit_samples` are
    the oldest over each limit, a few of each orchestrator; `over_any_limit` counts each instance
    once, over however many limits it is.
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
    Finishes of the last hours in steps of `step` seconds, the first of which begins at `begin`.

    The last step is not over yet. A pair without any finish is left out.
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
    """Fed by `census`, and kept up by the finishes since: finished instances still stored."""

    instances: Mapping[Pair, int]
    oldest_created: Mapping[str, float]


class EntityView(msgspec.Struct, frozen=True, gc=False):
    """Fed by `entities`."""

    entities: Mapping[Name, int]
    idles: Mapping[Name, Distribution]
    last_operation: Mapping[Name, float]


class FailedInstance(msgspec.Struct, frozen=True, gc=False):
    """
    One instance that is Failed now, since `failed`.

    `reason` is None until a row with its output was seen.
    """

    instance_id: str
    orchestrator: Name
    failed: float
    created: float | None
    reason: FailureReason | None


class UnresolvedView(msgspec.Struct, frozen=True, gc=False):
    """
    Fed by `failed`, and kept up by every row seen since: instances that are Failed now.

    `reasons` counts those of `failures` that are followed one by one; `samples` are the oldest and
    the newest, a few of each orchestrator.
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
    """An instance that was counted as finished, and when it finished."""

    instance_id: str
    at: float


@dataclass(frozen=True, slots=True)
class CountersView:
    """
    What only grows, as it is shown: never less than was shown before, by labels.

    `counts` are by family first. The empty view shows nothing: 0 would be less than what a state
    may hold. `latest_finished` is the latest instance that each series of `finished` shows, since
    the start of the process.
    """

    counts: Mapping[str, Mapping[Labels, int]] = field(default_factory=dict)
    durations: Mapping[Labels, Distribution] = field(default_factory=dict)
    latest_finished: Mapping[Labels, FinishedInstance] = field(default_factory=dict)

    def __getitem__(self, family: str) -> Mapping[Labels, int]:
        """Return the counters of a family, none where nothing was counted."""
        return self.counts.get(family, {})


@dataclass(frozen=True, slots=True)
class KnownView:
    """
    What is known of a hub whatever fails; stays as long as the hub is configured.

    `limits` are the hub's by what they limit, `own_limits` those that an orchestrator has of its
    own: infinite where it has none, but the hub does. `replaced` is when all known instances
    vanished at once, None if they never did.
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
        """Return the limits that hold for an orchestrator: none for what shares a label."""
        own = self.own_limits.get(orchestrator)
        return {} if own is None else {**self.limits, **own}


Change = TypeVar("Change")


@dataclass(frozen=True, slots=True)
class ChangeBatch(Generic[Change]):
    """The first few changes of a kind; `left_out` is how many more there were."""

    named: tuple[Change, ...] = ()
    left_out: int = 0


class ChangeBuffer(Generic[Change]):
    """Notes the first *most* changes of a kind, and counts the others."""

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
        """Return what was noted, and begin anew."""
        batch = ChangeBatch(self._named, self._left_out)
        self._named, self._left_out = (), 0
        return batch


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance whose failure was counted; *failed* is None where the time is unknown."""

    instance_id: str
    orchestrator: str
    reason: FailureReason
    failed: float | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """An instance that had failed and is Failed no longer: rewound, restarted or purged."""

    instance_id: str
    orchestrator: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """An instance that was over a limit and is so no longer, also because it finished."""

    instance_id: str
    orchestrator: str
    limit: str


@dataclass(frozen=True, slots=True)
class LedgerChanges:
    """
    What changed for single instances.

    `pulled_back` is by how many seconds the horizon or the mark lay ahead of the server's clock.
    Where the hub was `replaced`, nobody resolved the failures that vanished with it.
    """

    over_limit: ChangeBatch[OverLimit]
    recovered: ChangeBatch[Recovered]
    failed: ChangeBatch[Failed]
    resolved: ChangeBatch[Resolved]
    pulled_back: float = 0.0
    replaced: bool = False
