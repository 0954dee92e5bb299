"""`collect`: collect every hub once and print a table, an exposition format or JSON."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from exporter.api.errors import ApiError
from exporter.cli import configured
from exporter.cli.configured import add_timeout_option, gave_up, say_failure
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, json_lines, markup, printable_lines
from exporter.collector.hub import HubCollector
from exporter.collector.service import open_collector
from exporter.collector.snapshot import HubSnapshot
from exporter.ledger.status import USUAL
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.lines import Format
from exporter.settings import Problem, Settings, SettingsError

EXAMPLE = "collect --format prometheus --output /var/lib/node_exporter/orders.prom"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `collect`."""
    configured.add_options(command)
    command.add_argument(
        "--format", choices=("table", "prometheus", "openmetrics", "json"), default="table"
    )
    add_timeout_option(command)
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write to a file (replaced atomically), for node_exporter's textfile collector",
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(collect, options, environ)


async def collect(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Collect from all hubs and print the result; a hub that fails shows as down."""
    output: Path | None = options.output
    failures: dict[str, ApiError] = {}
    if output is not None and not os.access(output.parent, os.W_OK):
        # Checked before the collection, which has a cost.
        raise SettingsError([Problem("--output", f"{output.parent} is not a writable folder")])

    async def one(hub: HubCollector) -> None:
        name = hub.snapshot.identity.name
        try:
            with anyio.fail_after(options.timeout):
                error = await hub.collect_once()
        except TimeoutError:
            error = gave_up(name, options.timeout)
        if error is not None:
            failures[name] = error

    async with open_collector(settings) as collector:
        async with anyio.create_task_group() as tasks:
            for hub in collector.hubs:
                tasks.start_soon(one, hub)
        snapshots = collector.snapshots()
    if options.format == "table" and output is None:
        _print_tables(snapshots)
    else:
        choice = Choice(settings.metrics.exclude, settings.metrics.exemplars)
        _write(_text(snapshots, options.format, Exposition(choice)), output)
    for error in failures.values():
        say_failure(error)
    return ExitCode.HUB_FAILED if failures else ExitCode.OK


def _text(snapshots: Sequence[HubSnapshot], form: str, exposition: Exposition) -> bytes:
    now = time.time()
    if form == "openmetrics":
        return exposition.body(snapshots, now, Format.OPENMETRICS).text + b"# EOF\n"
    text = exposition.body(snapshots, now, Format.CLASSIC).text
    if form != "json":
        return text
    samples = [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    ]
    return json_lines({"samples": samples})


def _write(text: bytes, output: Path | None) -> None:
    if output is None:
        is_read_by_people = sys.stdout.isatty()
        sys.stdout.buffer.write(
            printable_lines(text.decode()).encode() if is_read_by_people else text
        )
        return
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    Path(name).replace(output)


def _print_tables(snapshots: Sequence[HubSnapshot]) -> None:
    out = console()
    for snapshot in snapshots:
        state = "[green]up[/]" if snapshot.up else "[red]down[/]"
        out.print(f"[bold]{markup(snapshot.identity.name)}[/] {state}")
        if snapshot.active is not None:
            out.print(_table(snapshot))
        out.print()


def _table(snapshot: HubSnapshot) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("orchestrator")
    for heading in (*USUAL, "over limit", "failed 24h", "unresolved"):
        table.add_column(heading, justify="right")
    for label in sorted(snapshot.known.orchestrators):
        table.add_row(markup(label), *_cells(snapshot, label))
    entities = snapshot.entities.entities if snapshot.entities else {}
    for entity, count in sorted(entities.items()):
        table.add_row(f"@{markup(entity)} (entities)", "", str(count))
    return table


def _cells(snapshot: HubSnapshot, label: str) -> list[str]:
    retained = snapshot.retained.instances if snapshot.retained else {}
    active = snapshot.active.instances if snapshot.active else {}
    over = snapshot.active.over_limit if snapshot.active else {}
    ratio = snapshot.finished.failure_ratio.get((label, "24h")) if snapshot.finished else None
    counts = [
        str(active.get((label, status), retained.get((label, status), 0))) for status in USUAL
    ]
    beyond = sum(count for (name, _), count in over.items() if name == label)
    unresolved = snapshot.unresolved.failures.get(label, 0) if snapshot.unresolved else "-"
    return [*counts, str(beyond), "-" if ratio is None else f"{ratio:.1%}", str(unresolved)]
