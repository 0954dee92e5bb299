"""Samples of one hub's snapshot; pure: what is shown at a moment that is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from exporter.api.client import OPERATIONS
from exporter.api.errors import ErrorKind
from exporter.api.telemetry import DURATION_BOUNDS
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.ledger.distributions import Distribution
from exporter.ledger.snapshot import (
    ActiveView,
    EntityLocks,
    EntityView,
    FinishedView,
    UnresolvedView,
)
from exporter.ledger.status import TERMINAL, RuntimeStatus
from exporter.ledger.windows import WINDOWS
from exporter.metrics import catalogue as c
from exporter.metrics.collection import Collection, Spread, spread
from exporter.metrics.family import Family

ALWAYS_SHOWN_ACTIVE = (RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED)
_NO_LOCKS = EntityLocks(0, 0, 0, 0)


def collect_hub(snapshot: HubSnapshot, now: float) -> Collection:
    """Return everything that is shown of a hub at *now*, by the exporter's clock."""
    return _HubSamples(snapshot, now).collected()


class _HubSamples:
    """Gathers the samples of one snapshot."""

    def __init__(self, snapshot: HubSnapshot, now: float) -> None:
        self._snapshot = snapshot
        self._now = now
        self._hub = snapshot.identity.name
        self._out = Collection()

    def collected(self) -> Collection:
        snapshot = self._snapshot
        self._identity()
        if snapshot.active is not None and snapshot.is_fresh(Sweep.ACTIVE, self._now):
            self._active(snapshot.active)
        if snapshot.finished is not None and snapshot.is_fresh(Sweep.FINISHED, self._now):
            self._finished(snapshot.finished)
        if snapshot.retained is not None and snapshot.is_fresh(Sweep.CENSUS, self._now):
            self._retained(snapshot.retained.instances, snapshot.retained.oldest_created)
        if snapshot.entities is not None and snapshot.is_fresh(Sweep.ENTITIES, self._now):
            self._entities(snapshot.entities)
        if snapshot.whole is not None and snapshot.is_fresh(Sweep.ENTITIES, self._now):
            self._all_locks(snapshot.whole.locks)
            self._gauge(c.OUTSIDE_PREFIXES, (), snapshot.whole.outside)
        if snapshot.unresolved is not None and snapshot.is_fresh(Sweep.FAILED, self._now):
            self._unresolved(snapshot.unresolved)
        self._counters()
        self._latest()
        self._sweeps()
        self._api()
        self._ledger()
        self._gauge(c.SERIES, (), self._out.count() + 1)
        return self._out

    def _gauge(self, family: Family, values: tuple[str, ...], value: float | Spread) -> None:
        self._out.add(family, (self._hub, *values), value)

    def _identity(self) -> None:
        identity = self._snapshot.identity
        self._gauge(c.UP, (), float(self._snapshot.up))
        self._out.add(
            c.HUB_INFO,
            (self._hub, identity.function_app, identity.hub_name, identity.connection),
            1.0,
            free=tuple(identity.labels.items()),
        )

    def _active(self, view: ActiveView) -> None:
        orchestrators = self._snapshot.known.orchestrators
        for pair in product(orchestrators, ALWAYS_SHOWN_ACTIVE):
            self._gauge(c.INSTANCES, pair, view.instances.get(pair, 0))
        for pair, count in view.instances.items():
            if pair[1] not in ALWAYS_SHOWN_ACTIVE:
                self._gauge(c.INSTANCES, pair, count)
        for pair, moment in view.oldest_created.items():
            self._gauge(c.OLDEST_CREATED, pair, moment)
        for pair, moment in view.oldest_updated.items():
            self._gauge(c.OLDEST_UPDATED, pair, moment)
        for family, spreads in ((c.INSTANCE_AGE, view.ages), (c.INSTANCE_IDLE, view.idles)):
            for pair, distribution in spreads.items():
                self._spread(family, pair, distribution)
        for key in self._over_limit_keys(view.over_limit):
            self._gauge(c.OVER_LIMIT, key, view.over_limit.get(key, 0))
        if view.locks is not None:
            self._all_locks(view.locks)
        self._gauge(c.TRACKED, (), view.tracked)

    def _over_limit_keys(self, seen: Mapping[tuple[str, str], int]) -> Iterator[tuple[str, str]]:
        """Return where a limit is in force, and where a folded name is beyond its own."""
        in_force = [
            key for key in self._snapshot.known.limits if key[1] in ("pending", "idle", "age")
        ]
        yield from in_force
        yield from (key for key in seen if key not in set(in_force))

    def _all_locks(self, locks: Mapping[str, EntityLocks]) -> None:
        for entity in self._snapshot.known.entities:
            self._locks(entity, locks.get(entity, _NO_LOCKS))

    def _locks(self, entity: str, locks: EntityLocks) -> None:
        self._gauge(c.ENTITIES_LOCKED, (entity,), locks.locked)
        self._gauge(c.ENTITY_ORPHANED_LOCKS, (entity,), locks.orphaned)
        self._gauge(c.ENTITY_BACKLOG, (entity,), locks.backlog)
        self._gauge(c.ENTITY_BACKLOG_MAX, (entity,), locks.backlog_max)

    def _finished(self, view: FinishedView) -> None:
        orchestrators = self._snapshot.known.orchestrators
        for label, status, window in product(orchestrators, TERMINAL, WINDOWS):
            key = (label, status, window.name)
            self._gauge(c.RECENT, key, view.recent.get(key, 0))
        for ratio_key, ratio in view.failure_ratio.items():
            self._gauge(c.FAILURE_RATIO, ratio_key, ratio)
        self._gauge(c.ROW_DELAY, (), view.row_delay)

    def _retained(
        self, instances: Mapping[tuple[str, RuntimeStatus], int], oldest: Mapping[str, float]
    ) -> None:
        for pair in product(self._snapshot.known.orchestrators, TERMINAL):
            self._gauge(c.INSTANCES, pair, instances.get(pair, 0))
        for status, moment in oldest.items():
            self._gauge(c.OLDEST_RETAINED, (status,), moment)

    def _entities(self, view: EntityView) -> None:
        for entity in self._snapshot.known.entities:
            self._gauge(c.ENTITIES, (entity,), view.entities.get(entity, 0))
        for entity, distribution in view.idles.items():
            self._spread(c.ENTITY_IDLE, (entity,), distribution)
        for entity, moment in view.last_operation.items():
            self._gauge(c.ENTITY_LAST_OPERATION, (entity,), moment)

    def _spread(self, family: Family, values: tuple[str, ...], distribution: Distribution) -> None:
        self._gauge(family, values, spread(distribution, self._snapshot.age_bounds))

    def _unresolved(self, view: UnresolvedView) -> None:
        for label in self._snapshot.known.orchestrators:
            self._gauge(c.UNRESOLVED, (label,), view.failures.get(label, 0))
        for label, moment in view.oldest.items():
            self._gauge(c.OLDEST_UNRESOLVED, (label,), moment)

    def _counters(self) -> None:
        counters = self._snapshot.counters
        families = (
            (c.CREATED, counters.created),
            (c.FINISHED, counters.finished),
            (c.CONTINUED, counters.continued),
            (c.REOPENED, counters.reopened),
            (c.VANISHED, counters.vanished),
            (c.FAILURES, counters.failures),
            (c.FAILURE_REASONS, counters.failure_reasons),
            (c.LATE_FINISHES, counters.late_finishes),
            (c.LABEL_VALUES_FOLDED, counters.label_values_folded),
        )
        for family, series in families:
            for labels, value in series.items():
                self._gauge(family, labels, value)
        for labels, durations in counters.durations.items():
            self._gauge(c.DURATION, labels, spread(durations, self._snapshot.duration_bounds))

    def _latest(self) -> None:
        latest = self._snapshot.known.latest
        for label, moment in latest.created.items():
            self._gauge(c.LAST_CREATED, (label,), moment)
        for pair, moment in latest.finished.items():
            self._gauge(c.LAST_FINISHED, pair, moment)
        for label, moment in latest.progress.items():
            self._gauge(c.LAST_PROGRESS, (label,), moment)
        for (label, limit), in_force in self._snapshot.known.limits.items():
            self._gauge(c.LIMIT, (label, limit, in_force.source), in_force.seconds)

    def _sweeps(self) -> None:
        for sweep, state in self._snapshot.sweeps.items():
            if state.completed is not None:
                self._gauge(c.LAST_SWEEP, (sweep,), state.completed)
            if state.duration is not None:
                self._gauge(c.SWEEP_DURATION, (sweep,), state.duration)
            if state.configured is not None:
                self._gauge(c.SWEEP_INTERVAL, (sweep,), state.interval)
                self._gauge(c.SWEEP_CONFIGURED_INTERVAL, (sweep,), state.configured)
            for result, count in state.results.items():
                self._gauge(c.SWEEPS, (sweep, result), count)
            self._gauge(c.PAGES, (sweep,), state.pages)
            self._gauge(c.ROWS, (sweep,), state.rows)

        if self._snapshot.pages_remaining is not None:
            self._gauge(c.PAGE_BUDGET_REMAINING, (), self._snapshot.pages_remaining)

    def _api(self) -> None:
        api = self._snapshot.api
        for request, count in api.requests.items():
            self._gauge(c.API_REQUESTS, request, count)
        for error in product(OPERATIONS, ErrorKind):
            self._gauge(c.API_ERRORS, error, api.errors.get(error, 0))
        for operation in OPERATIONS:
            self._gauge(c.API_RETRIES, (operation,), api.retries.get(operation, 0))
        for operation, size in api.response_bytes.items():
            self._gauge(c.API_RESPONSE_BYTES, (operation,), size)
        for operation, durations in api.durations.items():
            cumulative = [
                sum(durations.counts[: place + 1]) for place in range(len(durations.counts))
            ]
            self._gauge(
                c.API_REQUEST_DURATION,
                (operation,),
                Spread(DURATION_BOUNDS, cumulative, durations.total),
            )

    def _ledger(self) -> None:
        known, state = self._snapshot.known, self._snapshot.state
        self._gauge(c.UNCONFIRMED, (), known.unconfirmed)
        if known.baseline is not None:
            self._gauge(c.BASELINE, (), known.baseline)
        if known.horizon is not None:
            self._gauge(c.BOOK_HORIZON, (), known.horizon)
        for label, distinct in known.label_values.items():
            self._gauge(c.LABEL_VALUES, (label,), distinct)
        if state is not None:
            for reason, count in state.errors.items():
                self._gauge(c.STATE_ERRORS, (reason,), count)
            if state.last_write is not None:
                self._gauge(c.STATE_LAST_WRITE, (), state.last_write)
        if self._snapshot.clock_skew is not None:
            self._gauge(c.CLOCK_SKEW, (), self._snapshot.clock_skew)
