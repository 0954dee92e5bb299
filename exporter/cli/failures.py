"""`failures`: list recent failures that are still Failed, by reason."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest
from operator import attrgetter

import msgspec
from rich.table import Table

from exporter.api.errors import ApiError
from exporter.api.query import InstanceQuery
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow, entity_class, parent_of
from exporter.cli import configured
from exporter.cli.configured import (
    Hub,
    add_hub_option,
    add_timeout_option,
    duration,
    report,
)
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, markup, span_since, table
from exporter.diagnosis.families import head_of
from exporter.diagnosis.past import reason_in_history
from exporter.ledger.reasons import (
    Doubt,
    FailureReading,
    FailureReason,
    read_failure,
    reason_by_child,
)
from exporter.ledger.status import RuntimeStatus
from exporter.settings import Settings
from exporter.web.formatting import plural, rfc3339, words_of

EXAMPLE = "failures --since 2h"

# Some hundred bytes each.
_MOST_INSTANCES = 200_000

Key = tuple[str, FailureReason]


class ChildFailures(msgspec.Struct, frozen=True, kw_only=True):
    """Descendants that failed alike, of instances that failed alike."""

    orchestrator: str
    category: str
    failed_function: str
    error_type: str
    instances: int
    instance_ids: list[str]


class FailureGroup(msgspec.Struct, frozen=True):
    """
    Instances that failed alike; the keys are promised to scripts.

    `is_child`: they have parents, which have not failed. `children` are their failed descendants.
    """

    task_hub: str
    orchestrator: str
    category: str
    failed_function: str
    error_type: str
    instances: int
    first_time: str | None
    last_time: str | None
    instance_ids: list[str]
    is_child: bool = False
    children: list[ChildFailures] = []


class FailedInstance(msgspec.Struct, gc=False):
    """A Failed instance, since when, and what its row tells of the reason."""

    instance_id: str
    orchestrator: str
    failed: float
    parent: str | None
    reading: FailureReading
    reason: FailureReason

    @property
    def key(self) -> Key:
        """Orchestrator and reason: the same for all that failed alike."""
        return self.orchestrator, self.reason


@dataclass(slots=True)
class Failures:
    """
    Failed instances of one hub by id, as of a time of its clock.

    `left_out` counts those beyond the maximum, `unread` those whose error type only an unread
    history has.
    """

    at: float = 0.0
    instances: dict[str, FailedInstance] = field(default_factory=dict)
    left_out: int = 0
    unread: int = 0

    def add(self, row: InstanceRow, failed: float) -> None:
        """Add an instance that failed."""
        if len(self.instances) >= _MOST_INSTANCES:
            self.left_out += 1
            return
        reading = read_failure(row.name or "", row.output)
        self.instances[row.instance_id] = FailedInstance(
            row.instance_id, row.name or "", failed, parent_of(row), reading, reading.reason
        )

    def settle(self) -> None:
        """Set the reasons that depend on other failed instances, once all are known."""
        names = {each.orchestrator.lower() for each in self.instances.values()}
        for each in self.instances.values():
            each.reason = each.reading.with_known(lambda name: name.lower() in names)
        for each in self.instances.values():
            parent = self.instances.get(each.parent or "")
            if parent is not None and parent.reading.doubt is Doubt.CHILD:
                parent.reason = reason_by_child(each.orchestrator, each.reason)

    def families(self) -> dict[str, list[FailedInstance]]:
        """Return all by the id of their topmost failed ancestor, each list beginning with it."""

        def failed_parent(instance_id: str) -> str | None:
            parent = self.instances[instance_id].parent
            return parent if parent in self.instances else None

        families: dict[str, list[FailedInstance]] = defaultdict(list)
        for each in self.instances.values():
            head = head_of(each.instance_id, failed_parent)
            if head == each.instance_id:
                families[head].insert(0, each)
            else:
                families[head].append(each)
        return families


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
        help="newest ids to show per reason (%(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--reads", type=int, choices=range(1001), default=100, metavar="N",
        help="maximum histories read per hub, for error types (%(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(failures, options, environ)


async def failures(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """List the Failed instances of every hub, and print them by reason."""
    question = partial(listed, since=options.since, reads=options.reads)
    answers = await report(
        question,
        settings,
        options,
        rows=partial(groups_of, samples=options.samples),
        show=partial(_print, samples=options.samples),
    )
    return answers.code


async def listed(hub: Hub, *, since: float, reads: int) -> Failures:
    """
    List the Failed instances of a hub that failed within the last *since* seconds.

    The API filters by createdTime only: the listing begins `failed_lookback` earlier. The error
    types of an isolated app are in histories only, of which at most *reads* are read.
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
                    found.add(row, failed)
    found.settle()
    await _read_types(hub, found, reads)
    return found


async def _read_types(hub: Hub, found: Failures, reads: int) -> None:
    """Read the histories of the newest failures whose error type is unknown without."""
    untyped = [each for each in found.instances.values() if each.reading.has_details]
    newest = nlargest(reads, untyped, key=attrgetter("failed"))
    found.unread = len(untyped) - len(newest)
    for each in newest:
        try:
            status = await hub.client.read_instance(each.instance_id, history=True)
        except ApiError:
            found.unread += 1
            continue
        events = (status.history_events if status is not None else None) or ()
        each.reason = reason_in_history(each.reason, events)


def groups_of(hub: str, found: Failures, samples: int) -> list[FailureGroup]:
    """Return the failures by reason, the most frequent first, children below their ancestors."""
    families: dict[tuple[Key, bool], list[list[FailedInstance]]] = defaultdict(list)
    for family in found.families().values():
        families[family[0].key, family[0].parent is not None].append(family)
    groups = [
        _group(hub, [family[0] for family in alike], below(alike, samples), samples)
        for alike in families.values()
    ]
    return sorted(groups, key=lambda group: (group.instances, group.last_time or ""), reverse=True)


def below(families: Iterable[Sequence[FailedInstance]], samples: int) -> list[ChildFailures]:
    """Return the descendants of heads that failed alike, the most frequent reason first."""
    alike: dict[Key, list[FailedInstance]] = defaultdict(list)
    for _, *children in families:
        for child in children:
            alike[child.key].append(child)
    ranked = sorted(alike.items(), key=lambda item: (-len(item[1]), item[0][0]))
    return [
        ChildFailures(
            orchestrator=name,
            category=reason.category.value,
            failed_function=reason.failed_function,
            error_type=reason.error_type,
            instances=len(members),
            instance_ids=_newest(members, samples),
        )
        for (name, reason), members in ranked
    ]


def _group(
    hub: str, heads: Sequence[FailedInstance], children: list[ChildFailures], samples: int
) -> FailureGroup:
    name, reason = heads[0].key
    moments = [head.failed for head in heads]
    return FailureGroup(
        hub,
        name,
        reason.category.value,
        reason.failed_function,
        reason.error_type,
        len(heads),
        rfc3339(min(moments)),
        rfc3339(max(moments)),
        _newest(heads, samples),
        heads[0].parent is not None,
        children,
    )


def _newest(members: Iterable[FailedInstance], samples: int) -> list[str]:
    newest = nlargest(samples, members, key=lambda each: (each.failed, each.instance_id))
    return [each.instance_id for each in newest]


def _print(hub: str, found: Failures, samples: int) -> None:
    out = console()
    groups = groups_of(hub, found, samples)
    total = len(found.instances)
    verdict = f"{plural(total, 'instance')} failed" if total else "nothing failed"
    out.print(f"[bold]{markup(hub)}[/]: {verdict}")
    if groups:
        out.print()
        out.print(_table(groups, found.at))
    if found.left_out:
        out.print(f"{found.left_out:,} more failed and were not examined")
    if found.unread:
        out.print(
            f"error types of {found.unread:,} are in histories that were not read: raise --reads"
        )
    out.print()


def _table(groups: Sequence[FailureGroup], at: float) -> Table:
    lines = table(
        "instances", "orchestrator", "kind", "function", "error", "last", "examples",
        dropped=("kind", "last", "function", "error"),
    )  # fmt: skip
    for group in groups:
        ago = f"{span_since(parse_time(group.last_time), at)} ago"
        handled = " (its parent has not failed)" if group.is_child else ""
        _add_line(lines, group, f"{markup(group.orchestrator)}{handled}", ago)
        for child in group.children:
            _add_line(lines, child, f"  └ {markup(child.orchestrator)}", "")
    return lines


def _add_line(lines: Table, group: FailureGroup | ChildFailures, who: str, ago: str) -> None:
    lines.add_row(
        f"{group.instances:,}",
        who,
        words_of(group.category),
        markup(group.failed_function),
        markup(group.error_type),
        ago,
        markup("\n".join(group.instance_ids)),
    )
