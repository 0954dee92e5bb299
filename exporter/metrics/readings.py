"""Readings of snapshots, shared by declarations of the catalogue; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Generic, TypeVar

from exporter.api.telemetry import DURATION_BOUNDS
from exporter.collector.snapshot import HubSnapshot, ProcessView, Sweep, SweepState
from exporter.diagnosis.view import DiagnosisView
from exporter.discovery import DiscoveryView
from exporter.ledger.counters import Distribution
from exporter.ledger.finish_windows import WINDOWS
from exporter.ledger.over_limit import LIMITS_OF_INSTANCES
from exporter.ledger.rules import FAILURE_RATIO_LIMIT, UNRESOLVED_LIMIT
from exporter.ledger.snapshot import (
    ActiveView,
    EntityLocks,
    EntityView,
    FinishedView,
    RetainedView,
    UnfilteredView,
    UnresolvedView,
)
from exporter.ledger.status import Pair, RuntimeStatus
from exporter.metrics.family import Exemplar, Reading, Samples, Spread, Values

ALWAYS_SHOWN_ACTIVE = (RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED)
ALWAYS_SHOWN_FINISHED = (RuntimeStatus.COMPLETED, RuntimeStatus.FAILED)
_NUMBERS = frozenset({FAILURE_RATIO_LIMIT, UNRESOLVED_LIMIT})
_NO_LOCKS = EntityLocks(0, 0, 0, 0)

View = TypeVar("View")
Value = TypeVar("Value")
Key = TypeVar("Key", bound=Values)


@dataclass(frozen=True, slots=True)
class Feed(Generic[View]):
    """A view that `sweep` feeds; empty until it exists."""

    sweep: Sweep
    view: Callable[[HubSnapshot], View | None]

    def __call__(self, read: Callable[[HubSnapshot, View], Samples[Value]]) -> Reading[Value]:
        """Return a reading from the snapshot and its view."""

        def read_view(hub: HubSnapshot) -> Samples[Value]:
            view = self.view(hub)
            return () if view is None else read(hub, view)

        return Reading(self.sweep, read_view)


ACTIVE: Feed[ActiveView] = Feed(Sweep.ACTIVE, lambda hub: hub.active)
DIAGNOSIS: Feed[DiagnosisView] = Feed(Sweep.ACTIVE, lambda hub: hub.diagnosis)
FINISHED: Feed[FinishedView] = Feed(Sweep.FINISHED, lambda hub: hub.finished)
UNRESOLVED: Feed[UnresolvedView] = Feed(Sweep.FAILED, lambda hub: hub.unresolved)
RETAINED: Feed[RetainedView] = Feed(Sweep.CENSUS, lambda hub: hub.retained)
ENTITIES: Feed[EntityView] = Feed(Sweep.ENTITIES, lambda hub: hub.entities)
UNFILTERED: Feed[UnfilteredView] = Feed(Sweep.ENTITIES, lambda hub: hub.unfiltered)


def lasting(read: Callable[[HubSnapshot], Samples[Value]]) -> Reading[Value]:
    """Return a reading that no sweep's age removes."""
    return Reading(None, read)


def counted(family: str) -> Reading[float]:
    """Return how a family of counters of the ledger is read."""
    return lasting(lambda hub: hub.counters[family].items())


def each_sweep(read: Callable[[SweepState], float | None]) -> Reading[float]:
    """Return a reading of one number per sweep, unless None."""
    return lasting(
        lambda hub: [
            ((sweep,), number)
            for sweep, state in hub.sweeps.items()
            if (number := read(state)) is not None
        ]
    )


def each_entity(read: Callable[[EntityLocks], int]) -> tuple[Reading[float], Reading[float]]:
    """Return readings of one number per entity, from whichever sweep sees locks."""

    def numbers(hub: HubSnapshot, locks: Mapping[str, EntityLocks] | None) -> Samples[float]:
        if locks is None:
            return ()
        return [((name,), read(locks.get(name, _NO_LOCKS))) for name in hub.known.entities]

    return (
        ACTIVE(lambda hub, view: numbers(hub, view.locks)),
        UNFILTERED(lambda hub, view: numbers(hub, view.locks)),
    )


def single(number: float | None) -> Samples[float]:
    """Return the only number of a family, if any."""
    return () if number is None else [((), number)]


def by_name(numbers: Mapping[str, float], known: Iterable[str] | None = None) -> Samples[float]:
    """Return numbers by the value of one label; of *known* values, 0 by default."""
    if known is None:
        return [((name,), number) for name, number in numbers.items()]
    return [((name,), numbers.get(name, 0)) for name in known]


def by_key(numbers: Mapping[Key, float], known: Iterable[Key]) -> Samples[float]:
    """Return numbers of *known* label values, 0 by default."""
    return [(key, numbers.get(key, 0)) for key in known]


def spread(
    distributions: Collection[tuple[Values, Distribution]], bounds: Sequence[float]
) -> Samples[Spread]:
    """Return histograms or distributions over *bounds*."""
    return [(values, Spread(bounds, one.cumulative, one.total)) for values, one in distributions]


def active_instances(hub: HubSnapshot, view: ActiveView) -> Samples[float]:
    """Return instances by orchestrator and active status."""
    return _instances(hub, view.instances, ALWAYS_SHOWN_ACTIVE)


def retained_instances(hub: HubSnapshot, view: RetainedView) -> Samples[float]:
    """Return instances by orchestrator and terminal status."""
    return _instances(hub, view.instances, ALWAYS_SHOWN_FINISHED)


def _instances(
    hub: HubSnapshot, numbers: Mapping[Pair, int], always_shown: Collection[str]
) -> Samples[float]:
    """Return instances; for known orchestrators and *always_shown* statuses, 0 too."""
    return [
        *by_key(numbers, product(hub.known.orchestrators, always_shown)),
        *(item for item in numbers.items() if item[0][1] not in always_shown and item[1]),
    ]


def over_limit(hub: HubSnapshot, view: ActiveView) -> Samples[float]:
    """Return instances for every effective limit, and for folded names over their own."""
    in_force = [
        (name, limit)
        for name in hub.known.orchestrators
        for limit, value in hub.known.limits_of(name).items()
        if limit in LIMITS_OF_INSTANCES and value < math.inf
    ]
    return by_key(view.over_limit, dict.fromkeys((*in_force, *view.over_limit)))


def recent_finishes(hub: HubSnapshot, view: FinishedView) -> Samples[float]:
    """Return finishes by orchestrator, status and window."""
    windows = [window.name for window in WINDOWS]
    return by_key(view.recent, product(hub.known.orchestrators, ALWAYS_SHOWN_FINISHED, windows))


def entity_idles(hub: HubSnapshot, view: EntityView) -> Samples[Spread]:
    """Return times since the last operation by entity."""
    return spread([((name,), one) for name, one in view.idles.items()], hub.age_bounds)


def latest_finished(hub: HubSnapshot) -> Mapping[Values, Exemplar]:
    """Return the last finished instance of each counter of finishes."""
    return {
        labels: Exemplar({"instance_id": finished.instance_id}, 1.0, finished.at)
        for labels, finished in hub.counters.latest_finished.items()
    }


def hub_info(hub: HubSnapshot) -> Samples[float]:
    """Return configured facts and labels."""
    identity = hub.identity
    facts = (identity.function_app, identity.hub_name, identity.connection)
    return [((*facts, *identity.labels.values()), 1.0)]


def limits(hub: HubSnapshot) -> Samples[float]:
    """Return limits on times by orchestrator and limit, those of the hub first."""
    return [(key, value) for key, value in _all_limits(hub) if key[1] not in _NUMBERS]


def _number_limits(limit: str) -> Callable[[HubSnapshot], Samples[float]]:
    """Return a reading of one limit, by orchestrator and limit."""
    return lambda hub: [(key, value) for key, value in _all_limits(hub) if key[1] == limit]


RATIO_LIMITS = _number_limits(FAILURE_RATIO_LIMIT)
INSTANCE_LIMITS = _number_limits(UNRESOLVED_LIMIT)


def _all_limits(hub: HubSnapshot) -> Iterator[tuple[tuple[str, str], float]]:
    for name, limits in (("", hub.known.limits), *hub.known.own_limits.items()):
        for limit, value in limits.items():
            yield (name, limit), value


def hub_error(hub: HubSnapshot) -> Samples[float]:
    """Return the error kind for which the hub is down, nothing while it is up."""
    return [((hub.trouble.kind,), 1.0)] if hub.trouble is not None and not hub.up else []


def sweep_results(hub: HubSnapshot) -> Samples[float]:
    """Return sweeps by result."""
    return [
        ((sweep, result), number)
        for sweep, state in hub.sweeps.items()
        for result, number in state.results.items()
    ]


def api_durations(hub: HubSnapshot) -> Samples[Spread]:
    """Return durations of requests by operation."""
    return [
        ((operation,), Spread(DURATION_BOUNDS, tuple(accumulate(one.counts)), one.total))
        for operation, one in hub.api.durations.items()
    ]


def running(
    read: Callable[[ProcessView], Samples[float]],
) -> Callable[[ProcessView | None], Samples[float]]:
    """Return a reading of a running process, empty without one."""
    return lambda view: () if view is None else read(view)


def of_discovery(
    read: Callable[[DiscoveryView], Samples[float]],
) -> Callable[[ProcessView | None], Samples[float]]:
    """Return a reading of discovery, empty if it is off."""
    return running(lambda view: () if view.discovery is None else read(view.discovery))
