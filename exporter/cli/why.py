"""`why`: show what one instance did, what it waits on, and what blocks it or made it fail."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from textwrap import indent

import msgspec
from rich.console import Console
from rich.table import Table

from exporter.api.times import parse_time
from exporter.cli import configured
from exporter.cli.configured import Hub, add_hub_option, add_timeout_option, report
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import (
    console,
    markup,
    printable_lines,
    say,
    span_since,
    table,
)
from exporter.collector.instance_lookup import AskedHub, FoundInstance, look_up
from exporter.diagnosis.blame import Blame, ends_in_who_waits
from exporter.diagnosis.families import Member
from exporter.diagnosis.history import MOST_EVENTS
from exporter.diagnosis.nodes import Entity
from exporter.diagnosis.waits import Wait
from exporter.ledger.status import ACTIVE, RuntimeStatus, known_status
from exporter.settings import Settings
from exporter.web.formatting import plural, rfc3339, span
from exporter.web.steps import Step, steps_of
from exporter.web.waits import (
    REFUSED,
    root_cause,
    state_in_words,
    verdict_on,
    wait_in_words,
)

EXAMPLE = "why 1304f0da84ea4261b919be5c63c51c2f"


class Leaf(msgspec.Struct, frozen=True):
    """The last instance of a blocking chain, and what it waits on."""

    instance_id: str
    orchestrator: str
    waiting_on: str
    target: str
    since: str | None


class OlderWait(msgspec.Struct, frozen=True):
    """A task of an earlier turn without a result, usually left over from a race."""

    waiting_on: str
    target: str
    since: str | None


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One instance in one hub; the keys are promised to scripts."""

    task_hub: str
    instance_id: str
    orchestrator: str
    runtime_status: str
    created_time: str | None
    last_updated_time: str | None
    waiting_on: str | None
    target: str | None
    since: str | None
    held_by: str | None
    chain: tuple[str, ...]
    end: str
    leaf: Leaf | None
    queued: int | None
    failure: str | None
    timeline: list[Step]
    history_refused: bool = False
    older: list[OlderWait] = []
    family: Member | None = None


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `why`."""
    command.usage = f"{command.usage} ID"
    configured.add_options(command)
    command.add_argument("instance_id", metavar="ID", help="id of an instance or an entity")
    command.add_argument("--format", choices=("table", "json"), default="table")
    add_hub_option(command)
    add_timeout_option(command)
    command.add_argument(
        "--events", type=int, default=100, metavar="N", help="last steps to show (%(default)s)"
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(why, options, environ)


async def why(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Look for the instance in every hub, and print it."""
    question = partial(look, instance_id=options.instance_id, settings=settings)
    answers = await report(
        question,
        settings,
        options,
        rows=lambda name, found: [reason_of(name, found)] if found else [],
        show=lambda name, found: _print(name, found, options.events) if found else None,
    )
    if not any(answers.found.values()) and not answers.failures:
        say(f"no instance {options.instance_id} in: {', '.join(answers.found)}")
        return ExitCode.NOT_FOUND
    return answers.code


async def look(hub: Hub, *, instance_id: str, settings: Settings) -> FoundInstance | None:
    """Read an instance of one hub, None if it has none such. Raises `ApiError`."""
    asked = AskedHub(hub.settings, hub.client, hub.clock, settings.buckets)
    return await look_up(asked, instance_id, hub.settings.timeouts.sweep)


def reason_of(hub: str, found: FoundInstance) -> Reason:
    """Return an instance for JSON."""
    row, blame = found.row, found.blame
    wait, leaf = blame.wait, blame.leaf
    return Reason(
        task_hub=hub,
        instance_id=row.instance_id,
        orchestrator=row.name or "",
        runtime_status=str(row.runtime_status),
        created_time=rfc3339(parse_time(row.created_time)),
        last_updated_time=rfc3339(parse_time(row.last_updated_time)),
        waiting_on=wait.waiting_on.value if wait else None,
        target=wait.target if wait else None,
        since=rfc3339(wait.since) if wait else None,
        held_by=blame.held_by,
        chain=blame.chain,
        end=blame.end.value,
        leaf=Leaf(
            blame.chain[-1],
            blame.leaf_orchestrator,
            leaf.waiting_on.value,
            leaf.target,
            rfc3339(leaf.since),
        )
        if leaf
        else None,
        queued=len(found.entity.queue) if found.entity else None,
        failure=found.failure,
        timeline=list(steps_of(found.events, found.at)),
        history_refused=found.is_refused,
        older=[
            OlderWait(each.waiting_on.value, each.target, rfc3339(each.since))
            for each in found.older
        ],
        family=found.family,
    )


def _print(hub: str, found: FoundInstance, most: int) -> None:
    out = console()
    row, blame = found.row, found.blame
    out.print(
        f"[bold]{markup(row.instance_id)}[/] in {markup(hub)}: {markup(row.name or 'unnamed')}, "
        f"{markup(str(row.runtime_status))}"
    )
    created, updated = parse_time(row.created_time), parse_time(row.last_updated_time)
    out.print(
        f"  created {rfc3339(created) or 'unknown'} ({span_since(created, found.at)} ago), "
        f"last update {rfc3339(updated) or 'unknown'} ({span_since(updated, found.at)} ago)"
    )
    if found.entity is not None:
        _print_entity(found.entity, out)
    is_active = known_status(row.runtime_status) in ACTIVE
    if blame.wait is not None and is_active and (found.entity is None or blame.held_by):
        _print_blame(blame, found, out)
    failure = found.failure
    if failure:
        word = "failed because" if str(row.runtime_status) == RuntimeStatus.FAILED else "ended with"
        out.print(f"\n[bold]It {word}[/]")
        out.print(indent(printable_lines(failure), "  "), markup=False)
    if found.is_refused:
        out.print(f"\n{REFUSED}")
    if found.family is not None:
        out.print("\n[bold]Its family[/]")
        _print_family(found.family, row.instance_id, out)
    steps = tuple(steps_of(found.events, found.at))
    if steps:
        out.print()
        out.print(_timeline(steps[-most:]))
        if len(steps) > most:
            out.print(f"{plural(len(steps) - most, 'earlier step')} not shown: raise --events")
    if found.left_out:
        out.print(
            f"The first {plural(found.left_out, 'event')} of its history are skipped: it is longer "
            f"than {MOST_EVENTS:,}. What it waits on may be among them."
        )
    out.print()


def _print_entity(entity: Entity, out: Console) -> None:
    held = f"locked by {markup(entity.locked_by)}" if entity.locked_by else "not locked"
    out.print(f"  entity of {markup(entity.class_name)}, {held}")
    if entity.queue:
        waiting = ", ".join(markup(each.sender) for each in entity.queue[:5])
        out.print(f"  {plural(len(entity.queue), 'caller')} in its queue, first {waiting}")


def _print_blame(blame: Blame, found: FoundInstance, out: Console) -> None:
    wait, leaf, at = blame.wait, blame.leaf, found.at
    if wait is None or leaf is None:
        return
    since = f" since {rfc3339(wait.since)} ({span_since(wait.since, at)})" if wait.since else ""
    out.print(f"\nIt [bold]{markup(state_in_words(wait))}[/]{since}")
    if wait.fire_at is not None and wait.fire_at > at:
        later = ", or later: a long timer is set in pieces of 3 days" if wait.is_piece else ""
        out.print(f"  fires in {span(wait.fire_at - at)}, at {rfc3339(wait.fire_at)}{later}")
    if wait.leftover is not None and wait.leftover > at:
        out.print(f"  or on a timer until {rfc3339(wait.leftover)}, usually a leftover")
    if len(blame.chain) > 1:
        _print_chain(blame, leaf, at, out)
    for older in found.older:
        since = f" since {rfc3339(older.since)}" if older.since else ""
        out.print(f"Still outstanding from an earlier turn: {markup(wait_in_words(older))}{since}")
    verdict = verdict_on(found)
    if verdict:
        out.print(verdict)


def _print_family(member: Member, asked: str, out: Console, depth: int = 0) -> None:
    name = markup(f"{member.orchestrator} {member.instance_id}".strip())
    mark = "[bold]" if member.instance_id == asked else ""
    end = "[/]" if mark else ""
    out.print(f"{'  ' * (depth + 1)}{mark}{name}{end}, {markup(member.runtime_status)}")
    for child in member.children:
        _print_family(child, asked, out, depth + 1)
    for status, count in member.left_out.items():
        out.print(f"{'  ' * (depth + 2)}{count:,} more {markup(status)}")


def _print_chain(blame: Blame, leaf: Wait, at: float, out: Console) -> None:
    out.print("It is blocked by:")
    for depth, hop in enumerate(blame.chain[1:], 1):
        holder = ", which holds the lock" if hop == blame.held_by else ""
        out.print(f"  {'  ' * (depth - 1)}-> {markup(hop)}{holder}")
    since = ""
    if leaf.since and ends_in_who_waits(blame):
        since = f" since {rfc3339(leaf.since)} ({span_since(leaf.since, at)})"
    out.print(f"Root cause: [bold]{markup(root_cause(blame, leaf))}[/]{since}")


def _timeline(steps: Sequence[Step]) -> Table:
    lines = table(
        "time", "what", "name", "took", "detail",
        folds=("what", "detail"), dropped=("took",),
    )  # fmt: skip
    for step in steps:
        took = "" if step.seconds is None else _took(step)
        detail = step.reason or step.instance_id or ""
        if step.event == "TimerCreated" and step.fire_time:
            detail = f"fires {step.fire_time}"
        lines.add_row(
            step.time or "", markup(step.what), markup(step.name), took,
            markup(detail),
        )  # fmt: skip
    return lines


def _took(step: Step) -> str:
    seconds = step.seconds or 0.0
    text = f"{seconds:.1f} s" if seconds < 60 else span(seconds)  # noqa: PLR2004 - a minute
    return f"{text} so far" if step.is_open else text
