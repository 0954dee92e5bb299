"""The published snapshot of a hub: one immutable value, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from exporter.api.errors import ApiError, ListingTruncated
from exporter.api.telemetry import ApiTelemetry
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

# A sweep may take this share of the time; beyond it intervals are stretched.
DUTY_SHARE = 0.5
_INTERVALS_BEFORE_STALE = 5
# For scrape and evaluation, which matter where sweeps are seconds apart.
_INTERVALS_JUDGED = 3
_GRACE_SECONDS = 60.0


class Sweep(StrEnum):
    """A kind of sweep, as the label `sweep`."""

    ACTIVE = "active"
    FINISHED = "finished"
    FAILED = "failed"
    CENSUS = "census"
    ENTITIES = "entities"


class SweepResult(StrEnum):
    """How a sweep ended, as the label `result`."""

    COMPLETE = "complete"
    FAILED = "failed"
    TRUNCATED = "truncated"
    SKIPPED_BUDGET = "skipped_budget"


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """
    The published part of a hub's configuration.

    `links` are templates of URLs of an instance elsewhere, by their titles.
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
    How the sweeps of one kind went, by the exporter's clock.

    `interval` is the effective one, as the last complete sweep allows; `configured` is None if the
    sweep is off; `completed` is the end of the last complete one. One that follows a complete one
    on time runs since `running_since`; without further news it will have ended at `runs_until`.
    `trouble` is why the last one failed, None if it did not. `refused` counts rows with ids that
    are too long.
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
        Return how many seconds *number* intervals of the sweep are at *now*.

        A sweep that takes longer than ever is slow, not missing: the interval for its duration so
        far counts already. A failed one, and those after it, stretch nothing: removed data would
        come back.
        """
        running = 0.0
        if self.running_since is not None:
            running = min(now, self.runs_until) - self.running_since
        return number * max(self.interval, running / DUTY_SHARE)


class RequestDurations(msgspec.Struct, frozen=True, gc=False):
    """Durations of the requests of one operation; counts per bucket, not cumulative."""

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
    How keeping the state of a hub went: errors by reason, and the time of the last write.

    `written_bytes` counts since the start; None where the system does not.
    """

    errors: Mapping[str, int]
    last_write: float | None
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """
    Everything that is published of a hub.

    A view is None until its sweep completed once, and is shown until the last completion is older
    than `stale_after` or five intervals (design 4.3). `counters` is never ahead of the saved state;
    `state` is None if none is kept. `diagnosis` is shown as long as `active`; None before the first
    one, and always unless the hub `is_diagnosed`: histories are read.
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
    is_diagnosed: bool = True
    diagnosis: DiagnosisView | None = None
    clock_skew: float | None = None
    trouble: Trouble | None = None

    def is_fresh(self, sweep: Sweep, now: float) -> bool:
        """Return whether what *sweep* feeds may be shown at *now*."""
        state = self.sweeps[sweep]
        if state.completed is None:
            return False
        return now - state.completed <= self.withdrawn_after(sweep, now)

    def may_be_judged(self, sweep: Sweep, now: float) -> bool:
        """Return whether what *sweep* feeds is recent enough at *now* to raise an alert."""
        state = self.sweeps[sweep]
        if state.completed is None:
            return False
        judged = state.intervals(_INTERVALS_JUDGED, now) + _GRACE_SECONDS
        # Removed data must not end an alert: it is not judged either.
        return now - state.completed <= min(judged, self.withdrawn_after(sweep, now))

    def withdrawn_after(self, sweep: Sweep, now: float) -> float:
        """Return the age in seconds at which what *sweep* feeds is removed."""
        return max(self.stale_after, self.sweeps[sweep].intervals(_INTERVALS_BEFORE_STALE, now))


@dataclass(frozen=True, slots=True)
class ProcessView:
    """
    What is published of the process besides its hubs.

    `reload_successful` is of the last attempt to read the configuration, `loaded` when the present
    one was read, by the exporter's clock. The process is number `shard` of `shards`. `budgets` are
    the requests left to Azure's Resource Manager, by subscription; `discovery` is None without
    discovery.
    """

    shard: int
    shards: int
    reload_successful: bool
    loaded: float
    discovery: DiscoveryView | None = None
    budgets: Mapping[str, int] = field(default_factory=dict)


def use_of(telemetry: ApiTelemetry) -> ApiUse:
    """Return what *telemetry* counted so far, frozen."""
    return ApiUse(
        requests=dict(telemetry.requests),
        errors=dict(telemetry.errors),
        retries=dict(telemetry.retries),
        response_bytes=dict(telemetry.response_bytes),
        durations={
            operation: RequestDurations(tuple(durations.counts), durations.total)
            for operation, durations in telemetry.durations.items()
        },
    )


def result_of(error: ApiError | None) -> SweepResult:
    """Return how a sweep with an error, or none, ended."""
    if error is None:
        return SweepResult.COMPLETE
    truncated = isinstance(error, ListingTruncated)
    return SweepResult.TRUNCATED if truncated else SweepResult.FAILED


def trouble_of(error: ApiError | None) -> Trouble | None:
    """Return the published part of an error."""
    return Trouble(error.kind.value, error.reason, error.hint) if error else None
