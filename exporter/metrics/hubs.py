"""Samples of one hub's snapshot, apart by the sweep whose age withdraws them; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, product

from exporter.api.errors import ErrorKind
from exporter.api.telemetry import DURATION_BOUNDS, OPERATIONS
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.diagnosis.view import DiagnosisView
from exporter.ledger.distributions import Distribution
from exporter.ledger.snapshot import (
    ActiveView,
    EntityLocks,
    EntityView,
    FinishedView,
    RetainedView,
    UnresolvedView,
    WholeView,
)
from exporter.ledger.status import TERMINAL, RuntimeStatus
from exporter.ledger.windows import WINDOWS
from exporter.metrics import catalogue as c
from exporter.metrics.samples import Exemplar, Samples, Values

ALWAYS_SHOWN_ACTIVE = (RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED)
_NO_LOCKS = EntityLocks(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """Samples of a hub that are withdrawn together: with the age of *sweep*, never where None."""

    sweep: Sweep | None
    samples: Samples


def parts_of(snapshot: HubSnapshot, *, exemplars: bool = False) -> Iterator[Part]:
    """Yield everything that can be shown of a hub, but for how many series that is."""
    yield Part(None, _identity(snapshot))
    if snapshot.active is not None:
        yield Part(Sweep.ACTIVE, _active(snapshot, snapshot.active))
    if snapshot.diagnosis is not None:
        yield Part(Sweep.ACTIVE, _diagnosis(snapshot, snapshot.diagnosis))
    if snapshot.finished is not None:
        yield Part(Sweep.FINISHED, _finished(snapshot, snapshot.finished))
    if snapshot.retained is not None:
        yield Part(Sweep.CENSUS, _retained(snapshot, snapshot.retained))
    if snapshot.entities is not None:
        yield Part(Sweep.ENTITIES, _entities(snapshot, snapshot.entities))
    if snapshot.whole is not None:
        yield Part(Sweep.ENTITIES, _whole(snapshot, snapshot.whole))
    if snapshot.unresolved is not None:
        yield Part(Sweep.FAILED, _unresolved(snapshot, snapshot.unresolved))
    lasting = Samples()
    for gather in (_counters, _latest, _sweeps, _api, _ledger):
        gather(snapshot, lasting)
    if exemplars:
        lasting.exemplify(c.FINISHED, _latest_finished(snapshot))
    yield Part(None, lasting)


def _identity(snapshot: HubSnapshot) -> Samples:
    identity, out = snapshot.identity, Samples()
    out.add(c.UP, (), float(snapshot.up))
    facts = (identity.function_app, identity.hub_name, identity.connection)
    info = replace(c.HUB_INFO, labels=(*c.HUB_INFO.labels, *identity.labels))
    out.add(info, (*facts, *identity.labels.values()), 1.0)
    return out


def _active(snapshot: HubSnapshot, view: ActiveView) -> Samples:
    out = Samples()
    always = list(product(snapshot.known.orchestrators, ALWAYS_SHOWN_ACTIVE))
    out.extend(c.INSTANCES, [(pair, view.instances.get(pair, 0)) for pair in always])
    out.extend(
        c.INSTANCES,
        [item for item in view.instances.items() if item[0][1] not in ALWAYS_SHOWN_ACTIVE],
    )
    out.extend(c.OLDEST_CREATED, view.oldest_created.items())
    out.extend(c.OLDEST_UPDATED, view.oldest_updated.items())
    out.extend_spreads(c.INSTANCE_AGE, view.ages.items(), snapshot.age_bounds)
    out.extend_spreads(c.INSTANCE_IDLE, view.idles.items(), snapshot.age_bounds)
    keys = _over_limit_keys(snapshot, view)
    out.extend(c.OVER_LIMIT, [(key, view.over_limit.get(key, 0)) for key in keys])
    if view.locks is not None:
        _locks(snapshot, view.locks, out)
    out.add(c.TRACKED, (), view.tracked)
    return out


def _diagnosis(snapshot: HubSnapshot, view: DiagnosisView) -> Samples:
    out = Samples()
    out.extend(c.STALLED, view.stalled.items())
    out.extend(c.WAITING, view.waiting.items())
    out.extend(c.STALLED_SINCE, view.stalled_since.items())
    out.extend_by_name(c.OVERDUE_TIMER, view.overdue_timers)
    known = dict.fromkeys((*snapshot.known.orchestrators, *view.coverage))
    out.extend(c.UNDIAGNOSED, [((label,), view.undiagnosed(label)) for label in known])
    return out


def _over_limit_keys(snapshot: HubSnapshot, view: ActiveView) -> dict[tuple[str, str], None]:
    """Return where a limit is in force, and where a folded name is beyond its own."""
    limited = ("pending", "idle", "age")
    in_force = [key for key in snapshot.known.limits if key[1] in limited]
    return dict.fromkeys((*in_force, *view.over_limit))


def _locks(snapshot: HubSnapshot, locks: Mapping[str, EntityLocks], out: Samples) -> None:
    for entity in snapshot.known.entities:
        of_entity = locks.get(entity, _NO_LOCKS)
        out.add(c.ENTITIES_LOCKED, (entity,), of_entity.locked)
        out.add(c.ENTITY_ORPHANED_LOCKS, (entity,), of_entity.orphaned)
        out.add(c.ENTITY_BACKLOG, (entity,), of_entity.backlog)
        out.add(c.ENTITY_BACKLOG_MAX, (entity,), of_entity.backlog_max)


def _finished(snapshot: HubSnapshot, view: FinishedView) -> Samples:
    out = Samples()
    windows = [window.name for window in WINDOWS]
    keys = product(snapshot.known.orchestrators, TERMINAL, windows)
    out.extend(c.RECENT, [(key, view.recent.get(key, 0)) for key in keys])
    out.extend(c.FAILURE_RATIO, view.failure_ratio.items())
    out.add(c.ROW_DELAY, (), view.row_delay)
    return out


def _retained(snapshot: HubSnapshot, view: RetainedView) -> Samples:
    out = Samples()
    pairs = product(snapshot.known.orchestrators, TERMINAL)
    out.extend(c.INSTANCES, [(pair, view.instances.get(pair, 0)) for pair in pairs])
    out.extend_by_name(c.OLDEST_RETAINED, view.oldest_created)
    return out


def _entities(snapshot: HubSnapshot, view: EntityView) -> Samples:
    out = Samples()
    known = snapshot.known.entities
    out.extend(c.ENTITIES, [((entity,), view.entities.get(entity, 0)) for entity in known])
    idles = [((entity,), distribution) for entity, distribution in view.idles.items()]
    out.extend_spreads(c.ENTITY_IDLE, idles, snapshot.age_bounds)
    out.extend_by_name(c.ENTITY_LAST_OPERATION, view.last_operation)
    return out


def _whole(snapshot: HubSnapshot, view: WholeView) -> Samples:
    out = Samples()
    _locks(snapshot, view.locks, out)
    out.add(c.OUTSIDE_PREFIXES, (), view.outside)
    return out


def _unresolved(snapshot: HubSnapshot, view: UnresolvedView) -> Samples:
    out = Samples()
    known = snapshot.known.orchestrators
    out.extend(c.UNRESOLVED, [((label,), view.failures.get(label, 0)) for label in known])
    out.extend_by_name(c.OLDEST_UNRESOLVED, view.oldest)
    return out


def _counters(snapshot: HubSnapshot, out: Samples) -> None:
    counters = snapshot.counters
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
        out.extend(family, series.items())
    out.extend_spreads(c.DURATION, counters.durations.items(), snapshot.duration_bounds)


def _latest_finished(snapshot: HubSnapshot) -> dict[Values, Exemplar]:
    return {
        labels: Exemplar({"instance_id": finished.instance_id}, 1.0, finished.at)
        for labels, finished in snapshot.counters.latest_finished.items()
    }


def _latest(snapshot: HubSnapshot, out: Samples) -> None:
    latest = snapshot.known.latest
    out.extend_by_name(c.LAST_CREATED, latest.created)
    out.extend(c.LAST_FINISHED, latest.finished.items())
    out.extend_by_name(c.LAST_PROGRESS, latest.progress)
    limits = snapshot.known.limits.items()
    out.extend(
        c.LIMIT,
        [((label, limit, held.source), held.seconds) for (label, limit), held in limits],
    )


def _sweeps(snapshot: HubSnapshot, out: Samples) -> None:
    for sweep, state in snapshot.sweeps.items():
        if state.completed is not None:
            out.add(c.LAST_SWEEP, (sweep,), state.completed)
        if state.duration is not None:
            out.add(c.SWEEP_DURATION, (sweep,), state.duration)
        if state.configured is not None:
            out.add(c.SWEEP_INTERVAL, (sweep,), state.interval)
            out.add(c.SWEEP_CONFIGURED_INTERVAL, (sweep,), state.configured)
        out.extend(c.SWEEPS, [((sweep, result), n) for result, n in state.results.items()])
        out.add(c.PAGES, (sweep,), state.pages)
        out.add(c.ROWS, (sweep,), state.rows)
        if state.refused:
            out.add(c.ROWS_REFUSED, (sweep,), state.refused)
    if snapshot.pages_remaining is not None:
        out.add(c.PAGE_BUDGET_REMAINING, (), snapshot.pages_remaining)


def _api(snapshot: HubSnapshot, out: Samples) -> None:
    api = snapshot.api
    out.extend(c.API_REQUESTS, api.requests.items())
    failed = product(OPERATIONS, ErrorKind)
    out.extend(c.API_ERRORS, [(error, api.errors.get(error, 0)) for error in failed])
    out.extend(c.API_RETRIES, [((name,), api.retries.get(name, 0)) for name in OPERATIONS])
    out.extend_by_name(c.API_RESPONSE_BYTES, api.response_bytes)
    durations = [
        ((operation,), Distribution(tuple(accumulate(one.counts)), one.total))
        for operation, one in api.durations.items()
    ]
    out.extend_spreads(c.API_REQUEST_DURATION, durations, DURATION_BOUNDS)


def _ledger(snapshot: HubSnapshot, out: Samples) -> None:
    known, state = snapshot.known, snapshot.state
    out.add(c.UNCONFIRMED, (), known.unconfirmed)
    if known.baseline is not None:
        out.add(c.BASELINE, (), known.baseline)
    if known.horizon is not None:
        out.add(c.BOOK_HORIZON, (), known.horizon)
    out.extend_by_name(c.LABEL_VALUES, known.label_values)
    if state is not None:
        out.extend_by_name(c.STATE_ERRORS, state.errors)
        if state.last_write is not None:
            out.add(c.STATE_LAST_WRITE, (), state.last_write)
    if snapshot.clock_skew is not None:
        out.add(c.CLOCK_SKEW, (), snapshot.clock_skew)
