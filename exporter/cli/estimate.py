"""`estimate`: forecast what polling a hub costs, and suggest settings, from one pass over it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from time import time

from rich.table import Table

from exporter.api.errors import ApiError
from exporter.cli import configured
from exporter.cli.configured import Hub, add_hub_option, add_timeout_option, report
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, markup
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.collector.state import NoState
from exporter.diagnosis.past import longest_waits
from exporter.diagnosis.waits import WaitingOn
from exporter.forecast.forecast import Forecast, Pass, SweepForecast, forecast_of
from exporter.forecast.observation import Observed, ObservingLedger
from exporter.forecast.suggestions import suggestions, worth_reading
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.settings import Settings
from exporter.web.formatting import plural, size, span

EXAMPLE = "estimate --hub orders"


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
    """Run every sweep of every hub once, and print what a day of them costs."""
    answers = await report(
        partial(measure, settings=settings),
        settings,
        options,
        rows=lambda _, found: [found],
        show=lambda _, found: _print(found),
    )
    return answers.code


async def measure(hub: Hub, *, settings: Settings) -> Forecast:
    """
    Run the sweeps of one hub as the daemon does, `active` and `finished` twice.

    The first listing of finished instances covers a day, later ones only minutes.

    Raises:
        ApiError: a sweep failed.
    """
    observed = Observed()
    rules = rules_of(hub.settings, settings.buckets)
    unlimited = hub.settings.model_copy(update={"max_pages_per_day": None})
    collector = HubCollector(
        PollingInputs(unlimited, settings.buckets),
        hub.client,
        rules,
        wall=time,
        state=_Observing(observed),
        holds=False,
    )
    await collector.open()
    await _make(collector, Sweep.ACTIVE)
    day = collector.cost_of(Sweep.FINISHED)
    for sweep in (Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS, Sweep.ACTIVE):
        if collector.snapshot.sweeps[sweep].configured is not None:
            await _make(collector, sweep)
    swept = [sweep for sweep in Sweep if _completed(collector.snapshot, sweep)]
    costs = {sweep: collector.cost_of(sweep) for sweep in swept}
    made = Pass(collector.snapshot, costs, day, observed, rules.overlap, rules.lookback, time())
    waits = await _past_waits(hub, observed) if hub.settings.max_histories_per_sweep else {}
    suggested = list(suggestions(hub.settings.limits, made, waits))
    return forecast_of(hub.settings, settings, made, suggested)


class _Observing(NoState):
    """Keeps no state; gives the collector a ledger that fills *observed*."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    async def open(self, rules: LedgerRules) -> Ledger:
        """Return a new ledger."""
        return ObservingLedger(rules, self._observed)


async def _past_waits(hub: Hub, observed: Observed) -> Mapping[str, Mapping[WaitingOn, float]]:
    """Return the longest waits by orchestrator, from a few histories of the slowest instances."""
    found: dict[str, dict[WaitingOn, float]] = {}
    for instance_id in worth_reading(hub.settings.limits, observed.completed):
        try:
            status = await hub.client.read_instance(instance_id, history=True)
        except ApiError:
            # Suggestions then use durations only.
            continue
        if status is not None and status.history_events:
            waits = found.setdefault(status.name or "", {})
            for waiting_on, seconds in longest_waits(status.history_events).items():
                waits[waiting_on] = max(seconds, waits.get(waiting_on, 0.0))
    return found


async def _make(collector: HubCollector, sweep: Sweep) -> None:
    """Run one sweep to completion."""
    wanted = _completed(collector.snapshot, sweep) + 1
    while _completed(collector.snapshot, sweep) < wanted:
        error = await collector.make(sweep)
        if isinstance(error, ApiError):
            raise error


def _completed(snapshot: HubSnapshot, sweep: Sweep) -> int:
    return snapshot.sweeps[sweep].results["complete"]


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
        f"\nper day about {found.requests_per_day:,.0f} requests, {found.reads_per_day:,.0f} of "
        f"them for single instances; {size(found.bytes_per_day)}; on Azure Storage at least "
        f"{found.storage_transactions_per_day:,.0f} transactions"
    )
    if found.instances_over_limit:
        over = plural(found.instances_over_limit, "instance")
        out.print(f"plus the histories of {over} over a limit, each once until it moves")
    out.print(f"{plural(found.series, 'series', 'series')} in Prometheus")
    if found.suggestions:
        out.print("\nproposed settings:")
        for setting, value in found.suggestions.items():
            reason = markup(found.reasons[setting])
            out.print(f"  {markup(setting)}: {value}  [dim]# {reason}[/]")
    out.print()


def _table(sweeps: Sequence[SweepForecast]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sweep")
    for heading in ("pages", "rows", "takes", "size", "every", "pages per day"):
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
