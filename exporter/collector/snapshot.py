"""What is published of a hub: one immutable value, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from exporter.collector.schedule import DUTY_SHARE
from exporter.diagnosis.view import DiagnosisView
from exporter.discovery import DiscoveryView
from exporter.ledger.snapshot import (
    ActiveView,
    CountersView,
    EntityView,
    FinishedView,
    KnownView,
    RetainedView,
    UnfilteredView,
    UnresolvedView,
)

_INTERVALS_BEFORE_STALE = 5
# For the scrape and the evaluation, which matter where sweeps are seconds apart.
_INTERVALS_JUDGED = 3
_GRACE_SECONDS = 60.0


class Sweep(StrEnum):
    """A kind of sweep, as spelled in the label `sweep`."""

    ACTIVE = "active"
    FINISHED = "finished"
    FAILED = "failed"
    CENSUS = "census"
    ENTITIES = "entities"


class SweepResult(StrEnum):
    """How a sweep ended, as spelled in the label `result`."""

    COMPLETE = "complete"
    FAILED = "failed"
    TRUNCATED = "truncated"
    SKIPPED_BUDGET = "skipped_budget"


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """
    What is known of a hub from its configuration.

    `links` are templates of URLs that lead to an instance elsewhere, by what they are called.
    """

    name: str
    function_app: str
    hub_name: str
    connection: str
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a sweep failed, and how to fix it, in plain words."""

    kind: str
    message: str
    hint: str


class SweepState(msgspec.Struct, frozen=True, gc=False):
    """
    How the sweeps of one kind went.

    Times are the exporter's clock. `interval` is the effective one, as the last complete sweep
    allows it, `configured` None where the sweep is off; `completed` is the end of the last complete
    one. One that follows a complete one on time, and has not ended, runs since `running_since`; if
    nothing more comes of it, it will have ended at `runs_until`. `trouble` is why the last one
    failed, None if it did not. `refused` counts rows whose ids are too long to be kept.
    """

    interval: float
    configured: float | None
    completed: float | None = None
    duration: float | None = None
    results: Mapping[str, int] = {}
    pages: int = 0
    rows: int = 0
    refused: int = 0
    running_since: float | None = None
    runs_until: float = 0.0
    trouble: Trouble | None = None

    def intervals(self, number: int, now: float) -> float:
        """
        Return how many seconds so many intervals of the sweep are at *now*.

        A sweep that takes longer than ever is slow, not missing: the interval that its duration so
        far allows counts already. One that failed stretches nothing, and none that comes after it:
        what was removed would come back.
        """
        running = 0.0
        if self.running_since is not None:
            running = min(now, self.runs_until) - self.running_since
        return number * max(self.interval, running / DUTY_SHARE)


class RequestDurations(msgspec.Struct, frozen=True, gc=False):
    """How long the requests of one operation took; counts per bucket, not cumulative."""

    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class ApiUse:
    """What polling a hub cost so far, by operation."""

    requests: Mapping[tuple[str, str], int]
    errors: Mapping[tuple[str, str], int]
    retries: Mapping[str, int]
    response_bytes: Mapping[str, int]
    durations: Mapping[str, RequestDurations]


class StateUse(msgspec.Struct, frozen=True, gc=False):
    """
    How keeping the state of a hub went: errors by reason, and when it was last written.

    `written_bytes` are all since the start; None where the system does not count them.
    """

    errors: Mapping[str, int]
    last_write: float | None
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """
    Everything that is shown of a hub.

    A view is None until its sweep completed once. What a view shows stands until its sweep's last
    completion is older than `stale_after` or five intervals (design 4.3). `counters` is never ahead
    of the state that is kept; `state` is None where none is. `diagnosis` stands as long as `active`
    does; it is None where no histories are read.
    """

    identity: HubIdentity
    up: bool
    stale_after: float
    age_bounds: tuple[float, ...]
    duration_bounds: tuple[float, ...]
    sweeps: Mapping[Sweep, SweepState]
    counters: CountersView
    known: KnownView
    api: ApiUse
    active: ActiveView | None = None
    finished: FinishedView | None = None
    retained: RetainedView | None = None
    unresolved: UnresolvedView | None = None
    entities: EntityView | None = None
    unfiltered: UnfilteredView | None = None
    state: StateUse | None = None
    pages_remaining: int | None = None
    diagnosis: DiagnosisView | None = None
    clock_skew: float | None = None
    trouble: Trouble | None = None

    def is_fresh(self, sweep: Sweep, now: float) -> bool:
        """Tell whether what *sweep* feeds may be shown at *now*."""
        state = self.sweeps[sweep]
        if state.completed is None:
            return False
        return now - state.completed <= self.withdrawn_after(sweep, now)

    def may_be_judged(self, sweep: Sweep, now: float) -> bool:
        """Tell whether what *sweep* feeds is young enough at *now* to raise an alert."""
        state = self.sweeps[sweep]
        if state.completed is None:
            return False
        judged = state.intervals(_INTERVALS_JUDGED, now) + _GRACE_SECONDS
        # What is no longer shown ends no alert: that is not judged either.
        return now - state.completed <= min(judged, self.withdrawn_after(sweep, now))

    def withdrawn_after(self, sweep: Sweep, now: float) -> float:
        """Return the age at which what *sweep* feeds is no longer shown, in seconds."""
        return max(self.stale_after, self.sweeps[sweep].intervals(_INTERVALS_BEFORE_STALE, now))


@dataclass(frozen=True, slots=True)
class ProcessView:
    """
    What is shown of the process besides its hubs.

    `reload_successful` tells of the last attempt to read the configuration, `loaded` when that in
    force was read, by the exporter's clock. The process is one of `shards`, the one called `shard`.
    `budgets` are requests to Azure's Resource Manager that are left, by subscription; `discovery`
    is None where no hubs are searched for.
    """

    shard: int
    shards: int
    reload_successful: bool
    loaded: float
    discovery: DiscoveryView | None = None
    budgets: Mapping[str, int] = field(default_factory=dict)
