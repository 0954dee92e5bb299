"""`stuck`: list stalled instances, what each waits on, and what blocks them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
from rich.table import Table

from exporter.api.errors import ApiError
from exporter.cli import configured
from exporter.cli.configured import (
    Hub,
    add_hub_option,
    add_timeout_option,
    count,
    duration,
    report,
    say_failure,
)
from exporter.cli.conventions import ExitCode
from exporter.cli.orphans import find_orphans, print_orphans, row_of_orphan
from exporter.cli.terminal import console, markup, say, span_since, table
from exporter.collector.hub_diagnosis import (
    HistoryReader,
    ReadLimits,
    in_slices,
    learn,
    needs_knowledge,
)
from exporter.collector.polling_inputs import rules_of
from exporter.collector.sweeps import HubSweeps
from exporter.diagnosis.blame import Blame
from exporter.diagnosis.families import children_of
from exporter.diagnosis.groups import WaitGroup, Waiting, groups_of
from exporter.diagnosis.nodes import Stamp
from exporter.diagnosis.sampling import Sampler
from exporter.diagnosis.scan import wait_by_row
from exporter.diagnosis.view import blame_by_row
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.ledger import Ledger
from exporter.ledger.over_limit import Clocks
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import EntityLocks
from exporter.settings import Settings
from exporter.web.formatting import plural, rfc3339
from exporter.web.waits import (
    blocker_in_words,
    end_in_words,
    group_in_words,
    orphaned_in_words,
    wait_in_words,
)

EXAMPLE = "stuck --older-than 10m --hub orders"

NOTHING_ACTIVE = (
    "no active instances: compare task_hub with host.json, since a hub with a wrong name is empty"
)
_MOST_BYTES = 1 << 30
_MOST_GROUPS = 20
_MOST_BLOCKERS = 3
_SAMPLES = 2


class StuckInstance(msgspec.Struct, frozen=True):
    """One instance over a limit; the keys are promised to scripts."""

    task_hub: str
    instance_id: str
    orchestrator: str
    runtime_status: str
    created_time: str | None
    last_updated_time: str | None
    waiting_on: str
    target: str
    since: str | None
    held_by: str | None
    chain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """An instance over a limit, and what blocks it; `is_forgotten` if suspended over its limit."""

    orchestrator: str
    stamp: Stamp
    blame: Blame
    is_forgotten: bool = False

    @property
    def is_shown(self) -> bool:
        """Whether it needs attention: stalled, or suspended over its limit."""
        return self.is_trouble or self.is_forgotten

    @property
    def is_trouble(self) -> bool:
        """Whether it is stalled: the end of its blocking chain means trouble."""
        return self.blame.leaf is not None and self.blame.leaf.waiting_on.means_trouble


@dataclass(frozen=True, slots=True)
class Survey:
    """Findings in one hub at a time of its clock."""

    at: float
    active: int
    over: int
    findings: Sequence[Finding]
    locks: Mapping[str, EntityLocks]
    error: ApiError | None


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `stuck`."""
    configured.add_options(command)
    command.add_argument("--format", choices=("table", "json"), default="table")
    add_hub_option(command)
    add_timeout_option(command)
    command.add_argument(
        "--all",
        action="store_true",
        help="include instances waiting as expected, and all suspended ones",
    )
    command.add_argument(
        "--older-than",
        type=duration,
        metavar="DURATION",
        help="use this duration as limits.pending and idle, and ignore limits.age",
    )
    command.add_argument(
        "--orphans", action="store_true",
        help="list only active sub-orchestrations whose parent has finished or is gone",
    )  # fmt: skip
    command.add_argument(
        "--reads",
        type=count,
        default=500,
        metavar="N",
        help="maximum histories read per hub (%(default)s)",
    )
    command.add_argument(
        "--limit",
        type=count,
        default=50,
        metavar="N",
        help="maximum rows of the table (%(default)s)",
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(stuck, options, environ)


async def stuck(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Query every hub and print what is stalled, and which hubs failed."""
    if options.orphans:
        answers_on_orphans = await report(
            partial(find_orphans, settings=settings, reads=options.reads),
            settings,
            options,
            rows=lambda name, found: (row_of_orphan(name, each) for each in found.orphans),
            show=partial(print_orphans, most=options.limit),
        )
        return answers_on_orphans.code
    question = partial(
        survey,
        settings=settings,
        reads=options.reads,
        older_than=options.older_than,
        with_all=options.all,
    )
    answers = await report(
        question,
        settings,
        options,
        rows=lambda name, found: (row_of(name, each) for each in _shown(found, options)),
        show=partial(_print, options=options),
    )
    code = answers.code
    for name, found in answers.found.items():
        _say_missing(name, found)
        code = code if found.error is None else ExitCode.HUB_FAILED
    return code


async def survey(
    hub: Hub, *, settings: Settings, reads: int, older_than: float | None, with_all: bool
) -> Survey:
    """List the active instances of a hub, and read the histories of those over a limit."""
    configured_rules = rules_of(hub.settings, settings.buckets)
    rules = _overridden(configured_rules, older_than, with_all=with_all)
    ledger = Ledger(rules)
    sweeps = HubSweeps(hub.client, ledger, hub.clock)
    active = await sweeps.active()
    if ledger.entities.suspects_locks:
        active = await sweeps.active()
    at = hub.clock.now()
    sampler = Sampler(rules, reads, max(reads, 5000))
    reader = HistoryReader(
        hub.client, ReadLimits(timeout=hub.settings.timeouts.sweep / 2, bytes=_MOST_BYTES)
    )
    sampler.children = await in_slices(children_of(ledger.tracked, ledger.sweep))
    made = await reader.sample(sampler, ledger.tracked, ledger.over_limits.found, at)
    if any(needs_knowledge(sample.blame) for sample in sampler.samples.values()):
        # Histories that were read are cached while their instance does not move.
        await learn(hub.client, hub.settings, sampler.knowledge)
        made = await reader.sample(sampler, ledger.tracked, ledger.over_limits.found, at)
    findings = [*_diagnosed(sampler, at), *_evident(ledger, configured_rules, at)]
    findings.sort(key=lambda each: (_since(each), each.blame.chain[0]))
    over = sum(sampler.scanned.over.values())
    return Survey(at, active.tracked, over, findings, active.locks or {}, made.error)


def _diagnosed(sampler: Sampler, at: float) -> Iterator[Finding]:
    for sample in sampler.samples.values():
        blame = sample.blame.as_of(at)
        if blame.wait is not None:
            yield Finding(sample.orchestrator, sample.stamp, blame)


def _overridden(rules: LedgerRules, older_than: float | None, *, with_all: bool) -> LedgerRules:
    """Return rules with the limits that the options set."""
    given: dict[str, float] = {}
    if older_than is not None:
        given = {"pending": older_than, "idle": older_than, "age": math.inf}
    if with_all:
        given["suspended"] = older_than or 0.0
    if not given:
        return rules
    return replace(
        rules,
        limits={**rules.limits, **given},
        own_limits_of=lambda name: {**rules.own_limits_of(name), **given},
    )


def _evident(ledger: Ledger, rules: LedgerRules, at: float) -> Iterator[Finding]:
    """Yield instances over a limit whose row alone tells what they wait on."""
    for member in ledger.over_limits.found:
        instance = ledger.tracked[member.instance_id]
        wait = wait_by_row(instance)
        if wait is not None:
            stamp = Stamp(instance.created, instance.updated, instance.status)
            blame = blame_by_row(member.instance_id, instance.name, wait)
            clocks = Clocks(instance.status, rules.limits_of(instance.name), at)
            is_forgotten = "suspended" in clocks.exceeded(instance.created, instance.updated)
            yield Finding(instance.name, stamp, blame, is_forgotten)


def _since(finding: Finding) -> float:
    wait = finding.blame.wait
    since = wait.since if wait else None
    return float("inf") if since is None else since


def row_of(hub: str, finding: Finding) -> StuckInstance:
    """Return a finding for JSON."""
    blame, stamp = finding.blame, finding.stamp
    wait = blame.wait or Wait(WaitingOn.UNKNOWN)
    return StuckInstance(
        task_hub=hub,
        instance_id=blame.chain[0],
        orchestrator=finding.orchestrator,
        runtime_status=stamp.status.value,
        created_time=rfc3339(stamp.created),
        last_updated_time=rfc3339(stamp.updated),
        waiting_on=wait.waiting_on.value,
        target=wait.target,
        since=rfc3339(wait.since),
        held_by=blame.held_by,
        chain=blame.chain,
    )


def _shown(found: Survey, options: argparse.Namespace) -> Sequence[Finding]:
    return [each for each in found.findings if options.all or each.is_shown]


def _print(name: str, found: Survey, *, options: argparse.Namespace) -> None:
    out = console()
    shown, most = _shown(found, options), options.limit
    out.print(f"[bold]{markup(name)}[/]: {_verdict(found, with_all=options.all)}")
    if not found.active:
        out.print(NOTHING_ACTIVE)
    if orphaned := orphaned_in_words(found.locks):
        out.print(f"[bold]{markup(orphaned)}[/]")
    for title, groups in _titled(groups_of(_waiting(found.findings), _MOST_BLOCKERS)):
        out.print(f"\n[bold]{title}[/]")
        for group in groups[:_MOST_GROUPS]:
            for line in _lines(group, found.at):
                out.print(line, soft_wrap=True)
        if len(groups) > _MOST_GROUPS:
            out.print(f"and {len(groups) - _MOST_GROUPS:,} more groups")
    if shown:
        out.print()
        out.print(_instances(shown[:most], found.at))
    if len(shown) > most:
        out.print(f"{len(shown) - most:,} more: raise --limit, or use --format json")
    out.print()


def _verdict(found: Survey, *, with_all: bool) -> str:
    stalled = sum(each.is_trouble for each in found.findings)
    forgotten = sum(each.is_forgotten for each in found.findings)
    others = len(found.findings) - stalled - forgotten
    parts = [f"{plural(stalled, 'instance')} stalled" if stalled else "nothing is stalled"]
    if forgotten:
        parts.append(f"{forgotten:,} suspended over limits.suspended")
    if others:
        hint = "" if with_all else " (--all lists them)"
        parts.append(f"{others:,} waiting as expected{hint}")
    return ", ".join(parts)


def _waiting(findings: Iterable[Finding]) -> Iterator[Waiting]:
    for each in findings:
        if each.blame.wait is not None and each.blame.leaf is not None:
            yield Waiting(each.orchestrator, each.blame.wait, each.blame.leaf, each.blame)


def _titled(groups: Sequence[WaitGroup]) -> Iterator[tuple[str, Sequence[WaitGroup]]]:
    for title, is_trouble in (("stalled", True), ("waiting as expected", False)):
        alike = [group for group in groups if group.means_trouble is is_trouble]
        if alike:
            yield title, alike


def _lines(group: WaitGroup, at: float) -> Iterator[str]:
    """Yield the line of a group, then one per blocker, or one with a few ids."""
    yield f"  {markup(group_in_words(group, at))}"
    for blocker in group.blockers:
        words = blocker_in_words(blocker, at)
        reason = f" ({markup(words)})" if words else ""
        yield f"      {blocker.blocked:,} blocked by {markup(blocker.cause)}{reason}"
    if not group.blockers and group.means_trouble:
        yield f"      for example {markup(', '.join(group.samples[:_SAMPLES]))}"


def _instances(findings: Sequence[Finding], at: float) -> Table:
    lines = table(
        "instance", "orchestrator", "status", "age", "idle", "waiting on", "since", "blocked by",
        folds=("waiting on",),
        dropped=("idle", "age", "status", "blocked by", "since", "orchestrator", "waiting on"),
    )  # fmt: skip
    for each in findings:
        blame, stamp = each.blame, each.stamp
        wait = blame.wait or Wait(WaitingOn.UNKNOWN)
        lines.add_row(
            markup(blame.chain[0]),
            markup(each.orchestrator),
            stamp.status.value,
            span_since(stamp.created, at),
            span_since(stamp.updated, at),
            markup(wait_in_words(wait)),
            rfc3339(wait.since) or "-",
            markup(_blocked_by(blame)),
        )
    return lines


def _blocked_by(blame: Blame) -> str:
    """Return the end of a blocking chain and what it waits on, empty without a chain."""
    if len(blame.chain) == 1 or blame.leaf is None:
        return ""
    why = f"; {end_in_words(blame)}" if end_in_words(blame) else ""
    return f"{blame.chain[-1]} ({wait_in_words(blame.leaf)}{why})"


def _say_missing(name: str, found: Survey) -> None:
    """Print how many instances were not diagnosed, and why."""
    if found.error is not None:
        say_failure(found.error)
    missing = found.over - len(found.findings)
    if missing > 0:
        say(f"hub {name}: {plural(missing, 'instance')} over a limit not diagnosed; raise --reads")
