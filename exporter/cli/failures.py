"""`failures`: what failed lately and is Failed still, by its reason."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

import msgspec
from rich.table import Table

from exporter.api.query import InstanceQuery
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.cli import configured
from exporter.cli.asking import (
    Hub,
    add_hub_option,
    add_timeout_option,
    ask_all,
    chosen_hubs,
    duration,
)
from exporter.cli.exit_codes import ExitCode
from exporter.cli.terminal import console, markup, span_since, table, write_json
from exporter.ledger.reasons import FailureReason, reason_of
from exporter.ledger.status import RuntimeStatus
from exporter.settings import Settings
from exporter.web.formatting import plural, rfc3339

_MOST_REASONS = 1000


class FailureGroup(msgspec.Struct, frozen=True):
    """Instances that failed alike; the keys are promised to scripts."""

    task_hub: str
    orchestrator: str
    category: str
    failed_function: str
    error_type: str
    instances: int
    first_time: str | None
    last_time: str | None
    instance_ids: list[str]


@dataclass(slots=True)
class Group:
    """Instances that failed alike, and the newest few by their ids."""

    count: int = 0
    first: float = float("inf")
    last: float = 0.0
    newest: list[tuple[float, str]] = field(default_factory=list)

    def add(self, failed: float, instance_id: str, samples: int) -> None:
        """Count one more."""
        self.count += 1
        self.first, self.last = min(self.first, failed), max(self.last, failed)
        push = heapq.heappush if len(self.newest) < samples else heapq.heappushpop
        push(self.newest, (failed, instance_id))


@dataclass(slots=True)
class Failures:
    """What failed in one hub, by orchestrator and reason, as of a moment of its clock."""

    at: float = 0.0
    groups: dict[tuple[str, FailureReason], Group] = field(default_factory=dict)
    left_out: int = 0

    def add(self, row: InstanceRow, failed: float, samples: int) -> None:
        """Count a failure."""
        name = row.name or ""
        key = (name, reason_of(name, row.output))
        group = self.groups.get(key)
        if group is None and len(self.groups) >= _MOST_REASONS:
            self.left_out += 1
            return
        if group is None:
            group = self.groups[key] = Group()
        group.add(failed, row.instance_id, samples)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `failures`."""
    configured.add_options(command)
    command.add_argument("--format", choices=("table", "json"), default="table")
    add_hub_option(command)
    add_timeout_option(command)
    command.add_argument(
        "--since", type=duration, default=86_400.0, metavar="DURATION", help="(24h)"
    )
    command.add_argument(
        "--samples", type=int, choices=range(1, 101), default=3, metavar="N",
        help="ids to show of each reason, the newest (%(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(failures, options, environ)


async def failures(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """List what is Failed in every hub, and print it by its reason."""
    hubs = chosen_hubs(settings.own_hubs, options.hub)
    question = partial(listed, since=options.since, samples=options.samples)
    answers = await ask_all(hubs, question, seconds=options.timeout)
    if options.format == "json":
        write_json(
            [group for name, found in answers.found.items() for group in groups_of(name, found)]
        )
    else:
        for name, found in answers.found.items():
            _print(name, found)
    answers.say_failures()
    return ExitCode.HUB_FAILED if answers.failures else ExitCode.OK


async def listed(hub: Hub, *, since: float, samples: int) -> Failures:
    """
    List what is Failed in a hub and failed within the last *since* seconds.

    Only a list by createdTime can be had: it begins `failed_lookback` earlier.
    """
    begin = hub.clock.now() - since - hub.settings.failed_lookback
    query = InstanceQuery(statuses=(RuntimeStatus.FAILED,), created_from=begin)
    listing = hub.client.list_instances(query, hub.settings.id_prefixes)
    found = Failures()
    async with aclosing(hub.client.pages(listing)) as pages:
        async for page in pages:
            found.at = hub.clock.note(page)
            for row in page.rows:
                failed = parse_time(row.last_updated_time) or parse_time(row.created_time)
                is_recent = failed is not None and failed >= found.at - since
                if failed is not None and is_recent and entity_class(row) is None:
                    found.add(row, failed, samples)
    return found


def groups_of(hub: str, found: Failures) -> list[FailureGroup]:
    """Return what failed, the most frequent reason first."""
    ranked = sorted(found.groups.items(), key=lambda item: (-item[1].count, -item[1].last))
    return [
        FailureGroup(
            hub,
            name,
            reason.category.value,
            reason.failed_function,
            reason.error_type,
            group.count,
            rfc3339(group.first),
            rfc3339(group.last),
            [instance_id for _, instance_id in sorted(group.newest, reverse=True)],
        )
        for (name, reason), group in ranked
    ]


def _print(hub: str, found: Failures) -> None:
    out = console()
    groups = groups_of(hub, found)
    total = sum(group.instances for group in groups)
    verdict = f"{plural(total, 'instance')} failed" if total else "nothing failed"
    out.print(f"[bold]{markup(hub)}[/]: {verdict}")
    if groups:
        out.print()
        out.print(_table(groups, found.at))
    if found.left_out:
        out.print(f"{found.left_out:,} more failed for other reasons")
    out.print()


def _table(groups: Sequence[FailureGroup], at: float) -> Table:
    lines = table("instances", "orchestrator", "kind", "function", "error", "last", "such as")
    for group in groups:
        lines.add_row(
            f"{group.instances:,}",
            markup(group.orchestrator),
            group.category.replace("_", " "),
            markup(group.failed_function),
            markup(group.error_type),
            f"{span_since(parse_time(group.last_time), at)} ago",
            markup(", ".join(group.instance_ids)),
        )
    return lines
