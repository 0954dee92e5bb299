"""Forecast of what a day of polling a hub costs, from one pass over it; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import msgspec

from exporter.api.telemetry import DURATION_BOUNDS, GET_INSTANCE
from exporter.collector.schedule import SweepCost
from exporter.collector.snapshot import DUTY_SHARE, HubSnapshot, RequestDurations, Sweep
from exporter.forecast.observation import Observed
from exporter.ledger.missing_rows import are_many, is_suspicious
from exporter.ledger.search import look_backs
from exporter.metrics.catalogue import SERIES
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.lines import Format
from exporter.settings import HubSettings, Settings

DAY = 86_400.0
# The ruler skips listings that cost more than this multiple of its base.
_MAX_COST_RATIO = 2.0


class SweepForecast(msgspec.Struct, frozen=True):
    """
    Cost of one kind of sweep, each and per day.

    `finished` looks back differently far in each cycle: its cost is the mean.
    """

    sweep: str
    pages: float
    rows: float
    seconds: float
    bytes: float
    interval_seconds: float
    pages_per_day: float
    bytes_per_day: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting, a value that fits, and why."""

    setting: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """
    Cost of a listing of finished instances, by its number of rows.

    With full pages, it grows with the rows. A storage that scans all rows for any filter costs
    `idle_pages` even without results.
    """

    idle_pages: float
    pages_per_row: float
    seconds_per_page: float
    bytes_per_row: float

    @classmethod
    def of(cls, short: SweepCost, long: SweepCost) -> Listing:
        """Fit the cost to a *short* and a *long* listing, which may be equal."""
        more = long.rows - short.rows
        slope = (long.pages - short.pages) / more if more > 0 else 0.0
        idle = short.pages - slope * short.rows
        pages = max(1.0, short.pages + long.pages)
        rows = max(1.0, short.rows + long.rows)
        if idle < 1.0:
            idle, slope = 0.0, long.pages / max(1.0, long.rows)
            if long.pages <= 1.0:
                # The rows of a full page are unknown.
                slope = 0.0
        return cls(
            idle,
            max(0.0, slope),
            (short.seconds + long.seconds) / pages,
            (short.bytes + long.bytes) / rows,
        )

    def cost(self, rows: float) -> SweepCost:
        """Return the cost of a listing of *rows*."""
        pages = self.idle_pages + self.pages_per_row * rows
        if not self.idle_pages:
            pages = max(1, ceil(pages))
        return SweepCost(pages, rows, pages * self.seconds_per_page, rows * self.bytes_per_row)


@dataclass(frozen=True, slots=True)
class Cycles:
    """
    The cycles of a day; `active` and `finished` are their mean costs.

    `reads` are those of single instances per cycle: of instances that left the active set, unless
    they are so many that a listing looks for them.
    """

    interval: float
    active: SweepCost
    finished: SweepCost
    reads: float

    @property
    def per_day(self) -> float:
        """Cycles per day."""
        return DAY / self.interval


@dataclass(frozen=True, slots=True)
class Pass:
    """
    Results of a pass over a hub: a snapshot, and costs by sweep.

    `day` is the cost of the first listing of finished instances, which covers a day. *overlap* and
    *lookback* are those of the ruler, `at` is the end of the pass.
    """

    snapshot: HubSnapshot
    costs: Mapping[Sweep, SweepCost]
    day: SweepCost
    observed: Observed
    overlap: float
    lookback: float
    at: float

    @property
    def finishes_per_day(self) -> int:
        """Finishes in the last day."""
        recent = self.snapshot.finished.recent if self.snapshot.finished else {}
        return sum(count for (_, _, window), count in recent.items() if window == "24h")

    @property
    def tracked(self) -> int:
        """Active instances."""
        return self.snapshot.active.tracked if self.snapshot.active else 0

    def cycles(self) -> Cycles:
        """Return the cycles of a day like the last one."""
        interval = self.snapshot.sweeps[Sweep.ACTIVE].interval
        finishes = self.finishes_per_day * interval / DAY
        departed = finishes * self.observed.lately.share_seen(interval)
        active = self.costs[Sweep.ACTIVE]
        # When many leave at once, the listing is repeated before it is believed.
        if is_suspicious(round(departed), self.tracked, doubtful=False):
            active = active.times(2)
        are_listed = are_many(range(round(departed)))
        least = 0.0
        if are_listed:
            least = self.observed.lately.longest_of(departed, interval) + interval / 2
        return Cycles(
            interval, active, self._finished(interval, least), 0.0 if are_listed else departed
        )

    def _finished(self, interval: float, least: float) -> SweepCost:
        """Return the mean cost of listings of finished instances, at least *least* seconds back."""
        listing = Listing.of(self.costs[Sweep.FINISHED], self.day)
        configured = self.snapshot.sweeps[Sweep.ACTIVE].configured or interval
        since_mark = interval + self.costs[Sweep.ACTIVE].seconds
        rate = self.day.rows / DAY
        costs: list[tuple[SweepCost, float]] = []
        for seconds, share in look_backs(self.overlap, self.lookback):
            span = max(seconds + since_mark, least)
            # Instances created within the span that are still active are not listed.
            cost = listing.cost(rate * (span - self.observed.lately.mean_within(span)))
            if costs:
                base, before = costs[0][0].seconds, costs[-1][0]
                is_barred = cost.seconds > max(DUTY_SHARE * configured, _MAX_COST_RATIO * base)
                cost = before if is_barred else cost
            costs.append((cost, share))
        return SweepCost(
            sum(cost.pages * share for cost, share in costs),
            sum(cost.rows * share for cost, share in costs),
            sum(cost.seconds * share for cost, share in costs),
            sum(cost.bytes * share for cost, share in costs),
        )

    def sweeps(self, cycles: Cycles) -> Iterator[SweepForecast]:
        """Yield the forecast of each kind of sweep."""
        for sweep, cost in self.costs.items():
            if sweep is Sweep.ACTIVE:
                yield _in_a_day(sweep, cycles.active, cycles.interval)
            elif sweep is Sweep.FINISHED:
                yield _in_a_day(sweep, cycles.finished, cycles.interval)
            else:
                yield _in_a_day(sweep, cost, self.snapshot.sweeps[sweep].interval)

    def reads_per_day(self, cycles: Cycles) -> float:
        """Return reads of single instances per day, without histories."""
        others = (
            cost.reads * DAY / self.snapshot.sweeps[sweep].interval
            for sweep, cost in self.costs.items()
            if sweep not in (Sweep.ACTIVE, Sweep.FINISHED)
        )
        return cycles.reads * cycles.per_day + sum(others)


def _in_a_day(sweep: Sweep, cost: SweepCost, interval: float) -> SweepForecast:
    times = DAY / interval
    return SweepForecast(
        sweep.value,
        round(cost.pages, 2),
        round(cost.rows, 1),
        round(cost.seconds, 3),
        round(cost.bytes),
        interval,
        round(cost.pages * times, 1),
        round(cost.bytes * times, 1),
    )


class Forecast(msgspec.Struct, frozen=True):
    """
    Cost of polling a hub; the keys are promised to scripts.

    Histories of `instances_over_limit` are additional, each once until its instance moves.
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
    suggested: Sequence[Suggestion],
) -> Forecast:
    """Return the cost of polling a hub, from a pass over it, with the settings *suggested*."""
    snapshot, cycles = made.snapshot, made.cycles()
    sweeps = list(made.sweeps(cycles))
    pages = sum(each.pages_per_day for each in sweeps)
    reads = made.reads_per_day(cycles)
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
        # A page of a listing is one query of a table, a read by id at least one.
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
    """Return a snapshot with the series of reads of single instances."""
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
    """Return the hub's series, as the exporter's own metric counts them."""
    text = Exposition(choice).body([snapshot], at, Format.CLASSIC).text.decode()
    shown = (line for line in text.splitlines() if line.startswith(f"{SERIES.name}{{"))
    return int(float(next(shown, "0").rpartition(" ")[2]))
