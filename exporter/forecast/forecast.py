"""What polling a hub costs, as people and scripts are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from exporter.api.telemetry import DURATION_BOUNDS, GET_INSTANCE
from exporter.collector.snapshot import HubSnapshot, RequestDurations
from exporter.diagnosis.waits import WaitingOn
from exporter.forecast.day import Pass, SweepForecast
from exporter.forecast.suggestions import suggestions
from exporter.metrics.catalogue import SERIES
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.lines import Format
from exporter.settings import HubSettings, Settings


class Forecast(msgspec.Struct, frozen=True):
    """
    What polling a hub costs; the keys are promised to scripts.

    The histories of `instances_over_limit` come on top, each once until that instance moves.
    """

    task_hub: str
    active_instances: int
    finished_instances: int
    entities: int
    instances_over_limit: int
    series: int
    finishes_per_day: int
    reads_per_day: float
    requests_per_day: float
    storage_transactions_per_day: float
    bytes_per_day: float
    sweeps: list[SweepForecast]
    suggestions: dict[str, str]
    reasons: dict[str, str]


def forecast_of(
    hub: HubSettings,
    settings: Settings,
    made: Pass,
    waits: Mapping[str, Mapping[WaitingOn, float]],
) -> Forecast:
    """Return what polling a hub costs, from a pass over it and the longest waits of its past."""
    snapshot, cycles = made.snapshot, made.cycles()
    sweeps = list(made.sweeps(cycles))
    pages = sum(each.pages_per_day for each in sweeps)
    reads = made.reads_per_day(cycles)
    suggested = list(suggestions(hub.limits, made, waits))
    retained = snapshot.retained.instances.values() if snapshot.retained else ()
    return Forecast(
        task_hub=hub.name,
        active_instances=made.tracked,
        finished_instances=sum(retained),
        entities=sum(snapshot.entities.entities.values()) if snapshot.entities else 0,
        instances_over_limit=_over_limit(snapshot),
        series=_series(
            _having_read(snapshot) if reads else snapshot, Choice(settings.metrics.exclude), made.at
        ),
        finishes_per_day=made.finishes_per_day,
        reads_per_day=round(reads, 1),
        requests_per_day=round(pages + reads, 1),
        # A page of a list is one query of a table; a read by id is one at least.
        storage_transactions_per_day=round(pages + reads, 1),
        bytes_per_day=round(sum(each.bytes_per_day for each in sweeps), 1),
        sweeps=sweeps,
        suggestions={each.setting: each.value for each in suggested},
        reasons={each.setting: each.reason for each in suggested},
    )


def _over_limit(snapshot: HubSnapshot) -> int:
    coverage = snapshot.diagnosis.coverage.values() if snapshot.diagnosis else ()
    return sum(each.over for each in coverage)


def _having_read(snapshot: HubSnapshot) -> HubSnapshot:
    """Return a snapshot that also shows what reads of single instances take."""
    api = snapshot.api
    durations = RequestDurations((0,) * (len(DURATION_BOUNDS) + 1), 0.0)
    seen = replace(
        api,
        requests={(GET_INSTANCE, "200"): 0, **api.requests},
        response_bytes={GET_INSTANCE: 0, **api.response_bytes},
        durations={GET_INSTANCE: durations, **api.durations},
    )
    return replace(snapshot, api=seen)


def _series(snapshot: HubSnapshot, choice: Choice, at: float) -> int:
    """Return how many series the hub shows, as the exporter itself tells."""
    text = Exposition(choice).body([snapshot], at, Format.CLASSIC).text.decode()
    shown = (line for line in text.splitlines() if line.startswith(f"{SERIES.name}{{"))
    return int(float(next(shown, "0").rpartition(" ")[2]))
