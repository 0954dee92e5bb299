"""`estimate`: what polling a hub costs, from one pass over it, and settings that fit."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
from rich.markup import escape
from rich.table import Table

from exporter.api.client import GET_INSTANCE
from exporter.api.errors import ApiError
from exporter.cli import configured
from exporter.cli.asking import Hub, add_hub_option, ask_all, chosen_hubs
from exporter.cli.exit_codes import ExitCode
from exporter.cli.failures import duration
from exporter.cli.observing import Durations, Observing
from exporter.cli.terminal import console, write_json
from exporter.collector.hub import HubCollector
from exporter.collector.schedule import DUTY_SHARE
from exporter.collector.service import plan_of, rules_of
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.metrics.catalogue import SERIES
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.formats import Format
from exporter.settings import HubSettings, Settings
from exporter.settings.durations import format_duration
from exporter.web.words import plural, size, span

_DAY = 86_400.0
_ENOUGH_TO_JUDGE = 20
_ROUND = (
    60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0,
    172_800.0, 259_200.0, 604_800.0, 1_209_600.0, 2_592_000.0,
)  # fmt: skip


class SweepForecast(msgspec.Struct, frozen=True):
    """What one kind of sweep takes now, and in a day."""

    sweep: str
    pages: float
    rows: float
    seconds: float
    bytes: float
    interval_seconds: float
    pages_per_day: float
    bytes_per_day: float


class Forecast(msgspec.Struct, frozen=True):
    """What polling a hub costs; the keys are promised to scripts."""

    task_hub: str
    active_instances: int
    finished_instances: int
    entities: int
    series: int
    finishes_per_day: int
    reads_per_day: float
    requests_per_day: float
    storage_transactions_per_day: float
    bytes_per_day: float
    sweeps: list[SweepForecast]
    suggestions: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a sweep took."""

    pages: int
    rows: int
    seconds: float
    bytes: int


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `estimate`."""
    configured.add_options(command)
    command.add_argument("--format", choices=("table", "json"), default="table")
    add_hub_option(command)
    command.add_argument(
        "--timeout", type=duration, default=3600.0, metavar="DURATION",
        help="how long the pass may take (1h)",
    )  # fmt: skip


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(estimate, options, environ)


async def estimate(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Make every sweep of every hub once, and print what a day of them costs."""
    hubs = chosen_hubs(settings, options.hub)
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
    durations = Durations()
    plan = replace(
        plan_of(hub.settings, first_sweep_after=0.0, holds=False),
        history_budget=0,
        page_budget=None,
    )
    rules = rules_of(hub.settings, settings)
    collector = HubCollector(plan, hub.client, rules, wall=time.time, state=Observing(durations))
    await collector.open()
    costs: dict[Sweep, _Cost] = {}
    for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS, Sweep.ACTIVE):
        if plan.intervals[sweep] > 0:
            costs.update(await _made(hub, collector, sweep))
    return _forecast(hub.settings, settings, collector.snapshot, costs, durations)


async def _made(hub: Hub, collector: HubCollector, sweep: Sweep) -> Mapping[Sweep, _Cost]:
    """Make one sweep to its end; return what it took, and what came with it."""
    before, bytes_before = collector.snapshot, _bytes(hub)
    while True:
        error = await collector.make(sweep)
        if isinstance(error, ApiError):
            raise error
        if _completed(collector.snapshot, sweep) > _completed(before, sweep):
            break
    size_of_all = _bytes(hub) - bytes_before
    together = (Sweep.ACTIVE, Sweep.FINISHED) if sweep is Sweep.ACTIVE else (sweep,)
    return {
        each: _cost(before, collector.snapshot, each, size_of_all if each is sweep else 0)
        for each in together
    }


def _cost(before: HubSnapshot, after: HubSnapshot, sweep: Sweep, size_of_all: int) -> _Cost:
    was, now = before.sweeps[sweep], after.sweeps[sweep]
    return _Cost(now.pages - was.pages, now.rows - was.rows, now.duration or 0.0, size_of_all)


def _completed(snapshot: HubSnapshot, sweep: Sweep) -> int:
    return snapshot.sweeps[sweep].results["complete"]


def _bytes(hub: Hub) -> int:
    telemetry = hub.client.telemetry.response_bytes
    return sum(count for operation, count in telemetry.items() if operation != GET_INSTANCE)


def _forecast(
    hub: HubSettings,
    settings: Settings,
    snapshot: HubSnapshot,
    costs: Mapping[Sweep, _Cost],
    durations: Durations,
) -> Forecast:
    interval = snapshot.sweeps[Sweep.ACTIVE].interval
    finishes = _finishes_in_a_day(snapshot)
    reads = finishes * durations.share_seen(interval)
    sweeps = [_sweep(snapshot, sweep, cost) for sweep, cost in costs.items()]
    pages = sum(each.pages_per_day for each in sweeps)
    retained = snapshot.retained.instances.values() if snapshot.retained else ()
    return Forecast(
        task_hub=hub.name,
        active_instances=snapshot.active.tracked if snapshot.active else 0,
        finished_instances=sum(retained),
        entities=sum(snapshot.entities.entities.values()) if snapshot.entities else 0,
        series=_series(snapshot, Choice(settings.metrics.exclude)),
        finishes_per_day=finishes,
        reads_per_day=round(reads, 1),
        requests_per_day=round(pages + reads, 1),
        # A page of a list is one query of a table; a read by id is one at least.
        storage_transactions_per_day=round(pages + reads, 1),
        bytes_per_day=round(sum(each.bytes_per_day for each in sweeps), 1),
        sweeps=sweeps,
        suggestions=dict(_suggestions(hub, snapshot, costs, durations)),
    )


def _sweep(snapshot: HubSnapshot, sweep: Sweep, cost: _Cost) -> SweepForecast:
    interval = snapshot.sweeps[sweep].interval
    times = _DAY / interval
    return SweepForecast(
        sweep.value,
        cost.pages,
        cost.rows,
        round(cost.seconds, 3),
        cost.bytes,
        interval,
        round(cost.pages * times, 1),
        round(cost.bytes * times, 1),
    )


def _finishes_in_a_day(snapshot: HubSnapshot) -> int:
    recent = snapshot.finished.recent if snapshot.finished else {}
    return sum(count for (_, _, window), count in recent.items() if window == "24h")


def _series(snapshot: HubSnapshot, choice: Choice) -> int:
    """Return how many series the hub shows, as the exporter itself tells."""
    text = Exposition(choice).body([snapshot], time.time(), Format.CLASSIC).text.decode()
    shown = (line for line in text.splitlines() if line.startswith(f"{SERIES.name}{{"))
    return int(float(next(shown, "0").rpartition(" ")[2]))


def _suggestions(
    hub: HubSettings,
    snapshot: HubSnapshot,
    costs: Mapping[Sweep, _Cost],
    durations: Durations,
) -> Iterator[tuple[str, str]]:
    """Yield settings that fit what was seen, where those in force do not."""
    for sweep, cost in costs.items():
        configured = snapshot.sweeps[sweep].configured
        least = cost.seconds / DUTY_SHARE
        if configured is not None and sweep is not Sweep.FINISHED and least > configured:
            yield f"intervals.{sweep.value}", format_duration(_rounded(least))
    for name in durations.names():
        longest = durations.quantile(name, 0.99)
        idle = hub.limits.for_orchestrator(name).idle.seconds
        if durations.count(name) < _ENOUGH_TO_JUDGE or idle is None:
            continue
        # Nothing is idle for longer than it takes in all.
        if longest > idle:
            yield f"limits.orchestrators.{name}.idle", format_duration(_rounded(1.5 * longest))
            yield f"limits.orchestrators.{name}.age", format_duration(_rounded(3.0 * longest))


def _rounded(seconds: float) -> float:
    """Return the next longer span of time that people would write."""
    return next((each for each in _ROUND if each >= seconds), seconds // _DAY * _DAY + _DAY)


def _print(found: Forecast) -> None:
    out = console()
    out.print(
        f"[bold]{escape(found.task_hub)}[/]: {plural(found.active_instances, 'active instance')}, "
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
    out.print(f"{plural(found.series, 'series', 'series')} in Prometheus")
    if found.suggestions:
        out.print("\nsettings that would fit:")
        for setting, value in found.suggestions.items():
            out.print(f"  {escape(setting)}: {value}")
    out.print()


def _table(sweeps: Sequence[SweepForecast]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sweep")
    for heading in ("pages", "rows", "takes", "size", "every", "pages a day"):
        table.add_column(heading, justify="right")
    for each in sweeps:
        table.add_row(
            each.sweep,
            f"{each.pages:,.0f}",
            f"{each.rows:,.0f}",
            f"{each.seconds:.1f} s",
            size(each.bytes),
            span(each.interval_seconds),
            f"{each.pages_per_day:,.0f}",
        )
    return table
