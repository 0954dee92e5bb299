"""`why`: what one instance did, what it waits on, and what holds it up or made it fail."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import indent

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from exporter.api.errors import ApiError, HistoryRefused
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow, InstanceStatus
from exporter.cli import configured
from exporter.cli.app_knowledge import learn, needs_knowledge
from exporter.cli.asking import Hub, add_hub_option, add_timeout_option, ask_all, chosen_hubs
from exporter.cli.exit_codes import ExitCode
from exporter.cli.steps import Step, steps_of
from exporter.cli.terminal import (
    console,
    markup,
    printable_lines,
    say,
    span_since,
    table,
    write_json,
)
from exporter.collector.history_reads import HistoryReader, ReadLimits
from exporter.collector.service import rules_of
from exporter.diagnosis.blame import Blame
from exporter.diagnosis.failure_details import as_text
from exporter.diagnosis.families import Member, family_of
from exporter.diagnosis.knowledge import HubKnowledge
from exporter.diagnosis.nodes import Absence, Entity, Node, Orchestration
from exporter.diagnosis.timeline import MOST_EVENTS
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.over_limit import Clocks
from exporter.ledger.status import ACTIVE, RuntimeStatus, known_status
from exporter.ledger.workers import Worker
from exporter.settings import Settings
from exporter.web.formatting import plural, rfc3339, span
from exporter.web.waits import end_in_words, state_in_words, wait_in_words

_REFUSED = (
    "Its history cannot be read: an activity was renamed while it was in flight, most likely. Look "
    "at the last deployment; once no more is to be learnt of it, terminate it and start it again."
)
_REWOUND = (
    "It was rewound, and is shown as Pending until it ends: nothing shows what it waits on, and "
    "it may be running."
)
_MAY_BE_SCHEDULED = (
    "In an app of .NET isolated or Java it may be scheduled for later: the API does not show it."
)
_EVENT_OR_LOST = (
    "Nothing is outstanding: it waits on an external event, or (JavaScript, Python, PowerShell) a "
    "call or a failure was lost without a trace. The app's log has the latter."
)
_LOST = (
    "Nothing has happened since its start, and no instance of its orchestrator was seen to get an "
    "event: look in the app's log for a call of a function that does not exist."
)
_WITH_REASON = (RuntimeStatus.FAILED, RuntimeStatus.TERMINATED, RuntimeStatus.CANCELED)


class Leaf(msgspec.Struct, frozen=True):
    """What the last in a chain waits on."""

    instance_id: str
    orchestrator: str
    waiting_on: str
    target: str
    since: str | None


class OlderWait(msgspec.Struct, frozen=True):
    """What was scheduled in a turn before and has no result: a leftover of a race, as a rule."""

    waiting_on: str
    target: str
    since: str | None


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is told of one instance in one hub."""

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


@dataclass(frozen=True, slots=True)
class Found:
    """An instance as it was read at a moment of the server's clock."""

    at: float
    row: InstanceRow
    blame: Blame
    node: Node
    steps: Sequence[Step] = ()
    left_out: int = 0
    is_refused: bool = False
    family: Member | None = None
    may_lose_calls: bool = True

    @property
    def entity(self) -> Entity | None:
        """The entity that was found, None where it is an orchestration."""
        return self.node if isinstance(self.node, Entity) else None

    @property
    def older(self) -> Sequence[Wait]:
        """What is outstanding of earlier turns."""
        return self.node.reading.older if isinstance(self.node, Orchestration) else ()


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `why`."""
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
    """Ask every hub for the instance, and print what is known of it."""
    hubs = chosen_hubs(settings.own_hubs, options.hub)
    question = partial(look, instance_id=options.instance_id, settings=settings)
    answers = await ask_all(hubs, question, seconds=options.timeout)
    found = {name: each for name, each in answers.found.items() if each is not None}
    if options.format == "json":
        write_json([reason_of(name, each) for name, each in found.items()])
    else:
        for name, each in found.items():
            _print(name, each, options.events)
    answers.say_failures()
    if not found and not answers.failures:
        asked = ", ".join(hub.name for hub in hubs)
        say(f"no instance {options.instance_id} in: {asked}")
        return ExitCode.NOT_FOUND
    return ExitCode.HUB_FAILED if answers.failures else ExitCode.OK


async def look(hub: Hub, *, instance_id: str, settings: Settings) -> Found | None:
    """
    Read an instance of one hub and follow what holds it; None where the hub has no such instance.

    Raises:
        ApiError: the hub could not be asked.
    """
    # A host that starts answers 404 for any id, and some ids are not to be read at all.
    listed = await hub.client.find_instance(instance_id, hub.clock.note)
    reader = HistoryReader(hub.client, ReadLimits(hub.settings.timeouts.sweep))
    known: dict[str, Node] = {}
    reads = await reader.why(instance_id, known)
    if reads.result is not None and _may_have_lost_a_call(reads.result, hub, settings):
        knowledge = HubKnowledge()
        await learn(hub, knowledge)
        reads = await reader.why(instance_id, known, knowledge)
    if reads.error is not None:
        raise reads.error
    if reads.result is None:
        return None
    blame, node = reads.result
    at = hub.clock.now()
    if isinstance(node, Absence) and listed is None:
        return None
    status, is_refused = await _history(hub, instance_id, with_history=not isinstance(node, Entity))
    row = status or listed
    if row is None:
        return None
    events = (status.history_events if status is not None else None) or ()
    family = None if isinstance(node, Entity) else (await reader.make(family_of(row))).result
    worker = hub.settings.worker
    return Found(
        at,
        row,
        blame.as_of(at),
        node,
        tuple(steps_of(events[-MOST_EVENTS:], at)),
        max(0, len(events) - MOST_EVENTS),
        is_refused,
        family,
        worker is None or Worker(worker).loses_calls,
    )


def _may_have_lost_a_call(found: tuple[Blame, Node], hub: Hub, settings: Settings) -> bool:
    """Tell whether an instance over its limit waits on what may be an event."""
    blame, node = found
    if not isinstance(node, Orchestration) or not needs_knowledge(blame):
        return False
    stamp, limits = node.stamp, rules_of(hub.settings, settings.buckets).limits_of(node.name)
    clocks = Clocks(stamp.status, limits, hub.clock.now())
    return bool(clocks.exceeded(stamp.created, stamp.updated))


async def _history(
    hub: Hub, instance_id: str, *, with_history: bool
) -> tuple[InstanceStatus | None, bool]:
    """Read an instance with its history, or without where that cannot be had; tell if refused."""
    is_refused = False
    if with_history:
        try:
            return await hub.client.read_instance(instance_id, history=True), False
        except HistoryRefused:
            is_refused = True
        except ApiError:
            pass
    return await hub.client.read_instance(instance_id), is_refused


def reason_of(hub: str, found: Found) -> Reason:
    """Return what is known of an instance as it is promised to scripts."""
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
        failure=failure_of(row),
        timeline=list(found.steps),
        history_refused=found.is_refused,
        older=[
            OlderWait(each.waiting_on.value, each.target, rfc3339(each.since))
            for each in found.older
        ],
        family=found.family,
    )


def failure_of(row: InstanceRow) -> str | None:
    """Return in full why an instance failed or was ended, None where it did neither."""
    if known_status(row.runtime_status) not in _WITH_REASON:
        return None
    text = as_text(bytes(row.output).decode("utf-8", "replace"))
    return None if text == "null" else text


def _print(hub: str, found: Found, most: int) -> None:
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
    failure = failure_of(row)
    if failure:
        word = "failed because" if str(row.runtime_status) == RuntimeStatus.FAILED else "ended with"
        out.print(f"\n[bold]It {word}[/]")
        out.print(indent(printable_lines(failure), "  "), markup=False)
    if found.is_refused:
        out.print(f"\n{_REFUSED}")
    if found.family is not None:
        out.print("\n[bold]Its family[/]")
        _print_family(found.family, row.instance_id, out)
    if found.steps:
        out.print()
        out.print(_timeline(found.steps[-most:]))
        if len(found.steps) > most:
            out.print(
                f"{plural(len(found.steps) - most, 'earlier step')} not shown: raise --events"
            )
    if found.left_out:
        out.print(
            f"The first {plural(found.left_out, 'event')} of its history are not looked at: it is "
            f"longer than {MOST_EVENTS:,}. What it waits on may be older than the rest."
        )
    out.print()


def _print_entity(entity: Entity, out: Console) -> None:
    held = f"locked by {markup(entity.locked_by)}" if entity.locked_by else "not locked"
    out.print(f"  entity of {markup(entity.class_name)}, {held}")
    if entity.queue:
        waiting = ", ".join(markup(each.sender) for each in entity.queue[:5])
        out.print(f"  {plural(len(entity.queue), 'caller')} in its queue, first {waiting}")


def _print_blame(blame: Blame, found: Found, out: Console) -> None:
    wait, leaf, at = blame.wait, blame.leaf, found.at
    if wait is None or leaf is None:
        return
    since = f" since {rfc3339(wait.since)} ({span_since(wait.since, at)})" if wait.since else ""
    out.print(f"\nIt [bold]{markup(state_in_words(wait))}[/]{since}")
    if wait.fire_at is not None and wait.fire_at > at:
        later = ", or later: a long timer is set in pieces of 3 days" if wait.is_piece else ""
        out.print(f"  fires in {span(wait.fire_at - at)}, at {rfc3339(wait.fire_at)}{later}")
    if wait.leftover is not None and wait.leftover > at:
        out.print(f"  or on a timer until {rfc3339(wait.leftover)}, which is a leftover as a rule")
    if len(blame.chain) > 1:
        _print_chain(blame, leaf, at, out)
    for older in found.older:
        since = f" since {rfc3339(older.since)}" if older.since else ""
        out.print(f"Still outstanding, of an earlier turn: {markup(wait_in_words(older))}{since}")
    verdict = _verdict(leaf.waiting_on, found)
    if verdict:
        out.print(verdict)


def _verdict(waiting_on: WaitingOn, found: Found) -> str:
    """Tell what is to be made of a wait, empty where it speaks for itself."""
    if waiting_on is WaitingOn.UNKNOWN:
        is_rewound = known_status(found.row.runtime_status) is RuntimeStatus.PENDING
        return _REWOUND if is_rewound else "What that is cannot be seen from outside."
    if waiting_on is WaitingOn.NOT_STARTED:
        return _MAY_BE_SCHEDULED
    if waiting_on is WaitingOn.NO_STEP:
        return _LOST
    if waiting_on is WaitingOn.EXTERNAL_EVENT and found.may_lose_calls:
        return _EVENT_OR_LOST
    if waiting_on.means_trouble:
        return ""
    return "That is expected: it waits by design or on request."


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
    since = f" since {rfc3339(leaf.since)} ({span_since(leaf.since, at)})" if leaf.since else ""
    name = blame.leaf_orchestrator or blame.chain[-1]
    if leaf.target == name:
        leaf = replace(leaf, target="")
    odd = f"; {markup(end_in_words(blame))}" if end_in_words(blame) else ""
    out.print(f"In the end: {markup(name)} [bold]{markup(state_in_words(leaf))}{odd}[/]{since}")


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
