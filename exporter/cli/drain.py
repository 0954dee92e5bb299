"""`drain`: check that an orchestrator has drained, as a gate before a deployment."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Self

import anyio
import msgspec
from anyio import sleep
from rich.console import Console

from exporter.api.errors import ApiError
from exporter.api.query import InstanceQuery
from exporter.api.wire import entity_class
from exporter.cli import configured
from exporter.cli.configured import (
    Hub,
    add_hub_option,
    add_timeout_option,
    chosen_hubs,
    connected,
    duration,
    say_failure,
    within_its_time,
)
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import markup, printable, say, write_json
from exporter.ledger.status import ACTIVE, TERMINAL
from exporter.settings import Settings
from exporter.web.formatting import plural, span

EXAMPLE = "drain PaymentSaga --wait --timeout 20m"

# A listing can end early without an error, so "nothing" is believed only when listed twice.
_EMPTY_LISTINGS = 2
_NAME_CHECK_SECONDS = 10.0
_MOST_NAMES = 10


class InFlight(msgspec.Struct, frozen=True):
    """Instances in flight in one hub; the keys are promised to scripts."""

    task_hub: str
    orchestrator: str
    in_flight: int
    runtime_status: dict[str, int]


@dataclass(slots=True)
class Round:
    """
    Result of one query of all hubs, and the failures of those that did not answer.

    `is_known` is whether any instance of the orchestrator exists, None before finished ones are
    listed; `others` are the other orchestrators seen.
    """

    statuses: dict[str, Mapping[str, int]] = field(default_factory=dict)
    failures: dict[str, ApiError] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    is_known: bool | None = None

    @property
    def in_flight(self) -> int:
        """Return the number in flight in all hubs that answered."""
        return sum(sum(counts.values()) for counts in self.statuses.values())

    @property
    def code(self) -> ExitCode:
        """Return the exit code."""
        if self.in_flight:
            return ExitCode.IN_FLIGHT
        return ExitCode.HUB_FAILED if self.failures else ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Seen:
    statuses: Mapping[str, int]
    others: frozenset[str]


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `drain`."""
    command.usage = f"{command.usage} ORCHESTRATOR"
    configured.add_options(command)
    command.add_argument("orchestrator", metavar="ORCHESTRATOR", help="its name (any case)")
    command.add_argument("--format", choices=("text", "json"), default="text")
    add_hub_option(command)
    command.add_argument("--wait", action="store_true", help="repeat until nothing is in flight")
    command.add_argument(
        "--must-exist",
        action="store_true",
        help="exit with 4 if no instance of it is known: the name may be misspelled",
    )
    add_timeout_option(command, "30m", "limit for --wait and each query")
    command.add_argument(
        "--every", type=duration, default=5.0, metavar="DURATION",
        help="interval between queries (5s)",
    )  # fmt: skip


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(drain, options, environ)


async def drain(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Count the instances in flight; with `--wait`, until there are none."""
    # Those of other shards too: a gate must not miss what another exporter polls.
    hubs = chosen_hubs(settings.hubs, options.hub)
    deadline = anyio.current_time() + (options.timeout if options.wait else 0.0)
    was_in_flight = False
    async with connected(hubs) as asked:
        seen = await _look(asked, options)
        with _Progress(options.orchestrator, deadline if options.wait else None) as progress:
            while seen.code is not ExitCode.OK:
                progress.show(seen)
                was_in_flight = was_in_flight or bool(seen.in_flight)
                left = deadline - anyio.current_time()
                if left <= 0:
                    break
                await sleep(min(options.every, left))
                with anyio.CancelScope(deadline=deadline + options.every):
                    seen = await _look(asked, options)
        if seen.code is ExitCode.OK and not was_in_flight:
            await _look_for_finished(asked, seen, options)
    _print(seen, options)
    is_unknown = options.must_exist and seen.is_known is False and seen.code is ExitCode.OK
    return ExitCode.NOT_FOUND if is_unknown else seen.code


async def _look(hubs: Sequence[Hub], options: argparse.Namespace) -> Round:
    """Query all hubs once, and those with nothing in flight once more."""
    found = Round()
    question = partial(_listed, orchestrator=options.orchestrator)

    async def one(hub: Hub) -> None:
        name = hub.settings.name
        for _ in range(_EMPTY_LISTINGS):
            answer = await within_its_time(hub, question, seconds=options.timeout)
            if isinstance(answer, ApiError):
                found.statuses.pop(name, None)
                found.failures[name] = answer
                return
            found.statuses[name] = answer.statuses
            found.others |= answer.others
            if answer.statuses:
                return

    await _concurrently(one, hubs)
    return found


async def _concurrently(
    one: Callable[[Hub], Coroutine[object, object, None]], hubs: Sequence[Hub]
) -> None:
    async with anyio.create_task_group() as tasks:
        for hub in hubs:
            tasks.start_soon(one, hub)


async def _look_for_finished(hubs: Sequence[Hub], seen: Round, options: argparse.Namespace) -> None:
    """Look for a finished instance; without `--must-exist`, for a few seconds only."""
    wanted = options.orchestrator.casefold()
    seconds = options.timeout if options.must_exist else _NAME_CHECK_SECONDS
    found = anyio.Event()
    complete: set[str] = set()

    async def finished(hub: Hub) -> None:
        listing = hub.client.list_instances(InstanceQuery(statuses=TERMINAL))
        async with aclosing(hub.client.pages(listing)) as pages:
            async for page in pages:
                for row in page.rows:
                    if (row.name or "").casefold() == wanted:
                        found.set()
                        return
                    if row.name and entity_class(row) is None:
                        seen.others.add(row.name)
        complete.add(hub.settings.name)

    async def one(hub: Hub) -> None:
        answer = await within_its_time(hub, finished, seconds=seconds)
        if isinstance(answer, ApiError) and options.must_exist:
            seen.failures[hub.settings.name] = answer

    await _concurrently(one, hubs)
    if found.is_set():
        seen.is_known = True
        seen.failures.clear()
    elif len(complete) == len(hubs):
        seen.is_known = False


async def _listed(hub: Hub, *, orchestrator: str) -> _Seen:
    """List all active instances of a hub, whatever its `id_prefixes`."""
    wanted = orchestrator.casefold()
    statuses: Counter[str] = Counter()
    others: set[str] = set()
    listing = hub.client.list_instances(InstanceQuery(statuses=ACTIVE))
    async with aclosing(hub.client.pages(listing)) as pages:
        async for page in pages:
            for row in page.rows:
                if entity_class(row) is not None:
                    continue
                if (row.name or "").casefold() == wanted:
                    statuses[str(row.runtime_status)] += 1
                elif row.name:
                    others.add(row.name)
    return _Seen(statuses, frozenset(others))


class _Progress:
    """A progress line on a terminal; nothing elsewhere."""

    def __init__(self, orchestrator: str, deadline: float | None) -> None:
        self._orchestrator = orchestrator
        self._deadline = deadline
        is_shown = deadline is not None and sys.stderr.isatty()
        self._status = Console(stderr=True, highlight=False).status("") if is_shown else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, seen: Round) -> None:
        """Update the line."""
        if self._status is None or self._deadline is None:
            return
        left = span(max(0.0, self._deadline - anyio.current_time()))
        failed = f", {plural(len(seen.failures), 'hub')} failed" if seen.failures else ""
        self._status.update(
            f"{plural(seen.in_flight, 'instance')} of {markup(self._orchestrator)} in flight"
            f"{failed}; gives up in {left}"
        )


def _print(seen: Round, options: argparse.Namespace) -> None:
    name = options.orchestrator
    if options.format == "json":
        write_json(
            [
                InFlight(hub, name, sum(counts.values()), dict(counts))
                for hub, counts in seen.statuses.items()
            ]
        )
    else:
        for hub, counts in seen.statuses.items():
            by_status = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
            number = plural(sum(counts.values()), "instance")
            in_flight = f"{hub}: {number} of {name} in flight"
            print(printable(f"{in_flight} ({by_status})" if by_status else in_flight))
    for error in seen.failures.values():
        say_failure(error)
    if seen.is_known is False:
        say(f"warning: no instance of {name} is known, active or finished{_meant(seen, name)}")
    elif seen.code is ExitCode.OK and seen.others:
        say(f"other orchestrators: {', '.join(sorted(seen.others)[:_MOST_NAMES])}")


def _meant(seen: Round, name: str) -> str:
    """Return the known names for a message, similar ones first."""
    by_name = {other.casefold(): other for other in seen.others}
    close = [by_name[other] for other in get_close_matches(name.casefold(), by_name, n=3)]
    names = [*close, *sorted(seen.others - set(close))][:_MOST_NAMES]
    return f"; there are: {', '.join(names)}" if names else ""
