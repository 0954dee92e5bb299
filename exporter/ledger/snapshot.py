"""
What the ledger of a hub publishes: frozen views, each fed by one sweep.

Keys are label values; times are seconds since the epoch by the server's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.ledger.counters import Held
from exporter.ledger.distributions import Distribution
from exporter.ledger.windows import Pair

Name = str


@dataclass(frozen=True, slots=True)
class ActiveView:
    """Fed by `active`: instances that are not finished, and what entity rows show beside them."""

    instances: Mapping[Pair, int]
    oldest_created: Mapping[Pair, float]
    oldest_updated: Mapping[Pair, float]
    ages: Mapping[Pair, Distribution]
    idles: Mapping[Pair, Distribution]
    over_limit: Mapping[tuple[Name, str], int]
    tracked: int
    locks: Mapping[Name, EntityLocks]


@dataclass(frozen=True, slots=True)
class EntityLocks:
    """Locks and queues of the entities of one class."""

    locked: int
    orphaned: int
    backlog: int
    backlog_max: int


@dataclass(frozen=True, slots=True)
class FinishedView:
    """Fed by `finished`: what happened within the windows."""

    recent: Mapping[tuple[Name, str, str], int]
    failure_ratio: Mapping[tuple[Name, str], float]
    row_delay: float


@dataclass(frozen=True, slots=True)
class RetainedView:
    """Fed by `census`, and kept up by the finishes since: finished instances still stored."""

    instances: Mapping[Pair, int]
    oldest_created: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EntityView:
    """Fed by `entities`."""

    entities: Mapping[Name, int]
    idles: Mapping[Name, Distribution]
    last_operation: Mapping[Name, float]


@dataclass(frozen=True, slots=True)
class LabelUse:
    """How many names there were for a label, and how many of them share `_other`."""

    distinct: int
    folded: int


@dataclass(frozen=True, slots=True)
class LimitInForce:
    """A limit that holds for an orchestrator, in seconds, and where it comes from."""

    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class AccountsView:
    """What only grows, and what is known whatever fails; stays as long as the hub is configured."""

    orchestrators: tuple[Name, ...]
    entities: tuple[Name, ...]
    created: Mapping[Name, Held[int]]
    continued: Mapping[Name, Held[int]]
    vanished: Mapping[Name, Held[int]]
    finished: Mapping[Pair, Held[int]]
    durations: Mapping[Pair, Held[Distribution]]
    last_created: Mapping[Name, float]
    last_finished: Mapping[Pair, float]
    last_progress: Mapping[Name, float]
    limits: Mapping[tuple[Name, str], LimitInForce]
    late_finishes: int
    unconfirmed: int
    baseline: float | None
    horizon: float | None
    label_use: Mapping[str, LabelUse]
