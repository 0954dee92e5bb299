"""`estimate`: what polling a hub costs, from one pass over it, and settings that fit."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import time

import msgspec
from rich.table import Table

from exporter.api.errors import ApiError
from exporter.api.telemetry import DURATION_BOUNDS, GET_INSTANCE
from exporter.cli import configured
from exporter.cli.asking import Hub, add_hub_option, add_timeout_option, ask_all, chosen_hubs
from exporter.cli.exit_codes import ExitCode
from exporter.cli.forecast import Cost, Pass, SweepForecast
from exporter.cli.observing import Observed, Observing
from exporter.cli.suggestions import suggestions, worth_reading
from exporter.cli.terminal import console, markup, write_json
from exporter.collector.hub import HubCollector
from exporter.collector.service import plan_of, rules_of
from exporter.collector.snapshot import HubSnapshot, RequestDurations, Sweep, SweepState
from exporter.diagnosis.past import longest_waits
from exporter.diagnosis.waits import WaitingOn
from exporter.metrics.catalogue import SERIES
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.formats import Format
from exporter.settings import HubSettings, Settings
from exporter.web.words import plural, size, span


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


class _Meter:
    """Listens to a collector, and tells what each sweep took that it told of last."""

    def __init__(self, hub: Hub) -> None:
        self.costs: dict[Sweep, Cost] = {}
        self._telemetry = hub.client.telemetry
        self._before: dict[Sweep, SweepState] = {}
        self._bytes = 0
        self._reads = 0

    def __call__(self, snapshot: HubSnapshot) -> None:
        """Note what a sweep took that has completed since the last time."""
        requests = self._telemetry.requests
        reads = sum(count for (name, _), count in requests.items() if name == GET_INSTANCE)
        for sweep, now in snapshot.sweeps.items():
            was = self._before.setdefault(sweep, SweepState(0.0, None))
            if now.results["complete"] > was.results.get("complete", 0):
                self.costs[sweep] = self._cost(was, now, reads - self._reads)
                self._before[sweep] = now
        # Histories, which no sweep reads, are told of by themselves.
        self._reads = reads

    def _cost(self, was: SweepState, now: SweepState, reads: int) -> Cost:
        size, sizes = self._bytes, self._telemetry.response_bytes
        self._bytes = sizes.total() - sizes[GET_INSTANCE]
        return Cost(
            now.pages - was.pages,
            now.rows - was.rows,
            now.duration or 0.0,
            self._bytes - size,
            reads,
        )


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `estimate`."""
    configured.add_options(command)
    command.add_argument("--format", choices=("table", "json"), default="table")
    add_hub_option(command)
    add_timeout_option(command, "1h")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(estimate, options, environ)


async def estimate(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Make every sweep of every hub once, and print what a day of them costs."""
    hubs = chosen_hubs(settings.own_hubs, options.hub)
    answers = await ask_all(hubs, partial(measure, settings=settings), seconds=options.timeout)
    if options.format == "json":
        write_json(list(answers.found.values()))
    else:
        for found in answers.found.values():
            _print(found)
    answers.say_failures()
    return ExitCode.HUB_FAILED if answers.failures else ExitCode.OK


async def measure(hub: Hub, *, settings: Settings) -> Forecast:
    """
    Make the sweeps of one hub as the daemon does, the usual ones twice.

    The first list of finished instances goes a day back, later ones only minutes.

    Raises:
        ApiError: a sweep failed.
    """
    observed, meter = Observed(), _Meter(hub)
    plan = replace(plan_of(hub.settings, first_sweep_after=0.0, holds=False), page_budget=None)
    rules = rules_of(hub.settings, settings)
    collector = HubCollector(
        plan, hub.client, rules, wall=time, listener=meter, state=Observing(observed)
    )
    await collector.open()
    await _make(collector, Sweep.ACTIVE)
    day = meter.costs[Sweep.FINISHED]
    for sweep in (Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS, Sweep.ACTIVE):
        if plan.intervals[sweep] > 0:
            await _make(collector, sweep)
    costs = {sweep: meter.costs[sweep] for sweep in Sweep if sweep in meter.costs}
    made = Pass(collector.snapshot, costs, day, observed, rules.overlap, rules.lookback, time())
    waits = await _past_waits(hub, observed) if hub.settings.history_budget else {}
    return _forecast(hub.settings, settings, made, waits)


async def _past_waits(hub: Hub, observed: Observed) -> Mapping[str, Mapping[WaitingOn, float]]:
    """Read a few histories of those that took longest; tells by orchestrator what they were at."""
    found: dict[str, dict[WaitingOn, float]] = {}
    for instance_id in worth_reading(hub.settings.limits, observed.completed):
        try:
            status = await hub.client.read_instance(instance_id, history=True)
        except ApiError:
            # Without it, suggestions go by durations alone.
            continue
        if status is not None and status.history_events:
            waits = found.setdefault(status.name or "", {})
            for waiting_on, seconds in longest_waits(status.history_events).items():
                waits[waiting_on] = max(seconds, waits.get(waiting_on, 0.0))
    return found


async def _make(collector: HubCollector, sweep: Sweep) -> None:
    """Make one sweep to its end."""
    wanted = _completed(collector.snapshot, sweep) + 1
    while _completed(collector.snapshot, sweep) < wanted:
        error = await collector.make(sweep)
        if isinstance(error, ApiError):
            raise error


def _completed(snapshot: HubSnapshot, sweep: Sweep) -> int:
    return snapshot.sweeps[sweep].results["complete"]


def _forecast(
    hub: HubSettings,
    settings: Settings,
    made: Pass,
    waits: Mapping[str, Mapping[WaitingOn, float]],
) -> Forecast:
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
            _having_read(snapshot) if reads else snapshot, Choice(settings.metrics.exclude)
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


def _series(snapshot: HubSnapshot, choice: Choice) -> int:
    """Return how many series the hub shows, as the exporter itself tells."""
    text = Exposition(choice).body([snapshot], time(), Format.CLASSIC).text.decode()
    shown = (line for line in text.splitlines() if line.startswith(f"{SERIES.name}{{"))
    return int(float(next(shown, "0").rpartition(" ")[2]))


def _print(found: Forecast) -> None:
    out = console()
    out.print(
        f"[bold]{markup(found.task_hub)}[/]: {plural(found.active_instances, 'active instance')}, "
        f"{found.finished_instances:,} finished, {plural(found.entities, 'entity', 'entities')}, "
        f"{plural(found.finishes_per_day, 'finish', 'finishes')} in a day"
    )
    out.print()
    out.print(_table(found.sweeps))
    out.print(
        f"\nin a day about {found.requests_per_day:,.0f} requests, of them "
        f"{found.reads_per_day:,.0f} of single instances; {size(found.bytes_per_day)}; on Azure "
        f"Storage at least {found.storage_transactions_per_day:,.0f} transactions"
    )
    if found.instances_over_limit:
        over = plural(found.instances_over_limit, "instance")
        out.print(f"besides, the histories of {over} over a limit, each once until it moves")
    out.print(f"{plural(found.series, 'series', 'series')} in Prometheus")
    if found.suggestions:
        out.print("\nsettings that would fit:")
        for setting, value in found.suggestions.items():
            reason = markup(found.reasons[setting])
            out.print(f"  {markup(setting)}: {value}  [dim]# {reason}[/]")
    out.print()


def _table(sweeps: Sequence[SweepForecast]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sweep")
    for heading in ("pages", "rows", "takes", "size", "every", "pages a day"):
        table.add_column(heading, justify="right")
    for each in sweeps:
        table.add_row(
            each.sweep,
            f"{each.pages:,.1f}".removesuffix(".0"),
            f"{each.rows:,.0f}",
            f"{each.seconds:.1f} s",
            size(each.bytes),
            span(each.interval_seconds),
            f"{each.pages_per_day:,.0f}",
        )
    return table
