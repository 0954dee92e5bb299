"""`drain`: whether nothing of an orchestrator is in flight, as a gate before a deployment."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
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
    Question,
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

# A list can end early without saying so, so that nothing is believed only when it is said twice.
_TIMES_NOTHING = 2
_SECONDS_FOR_A_WARNING = 10.0
_MOST_NAMES = 10


class InFlight(msgspec.Struct, frozen=True):
    """How much is in flight in one hub; the keys are promised to scripts."""

    task_hub: str
    orchestrator: str
    in_flight: int
    runtime_status: dict[str, int]


@dataclass(slots=True)
class Round:
    """
    What one look at all hubs found, and what was wrong with those that did not answer.

    `is_known` tells whether an instance of the orchestrator was seen at all, None while nobody has
    looked for finished ones; `others` are orchestrators that were seen.
    """

    statuses: dict[str, Mapping[str, int]] = field(default_factory=dict)
    failures: dict[str, ApiError] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    is_known: bool | None = None

    @property
    def in_flight(self) -> int:
        """Return how many are in flight in all hubs that answered."""
        return sum(sum(counts.values()) for counts in self.statuses.values())

    @property
    def code(self) -> ExitCode:
        """Return what to tell the shell."""
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
    command.add_argument("orchestrator", metavar="ORCHESTRATOR", help="its name, in any case")
    command.add_argument("--format", choices=("text", "json"), default="text")
    add_hub_option(command)
    command.add_argument("--wait", action="store_true", help="repeat until nothing is in flight")
    command.add_argument(
        "--must-exist",
        action="store_true",
        help="exit with 4 if no instance of it is known: the name may be misspelled",
    )
    add_timeout_option(command, "30m", "how long to wait, and for one query")
    command.add_argument(
        "--every", type=duration, default=5.0, metavar="DURATION",
        help="interval between queries (5s)",
    )  # fmt: skip


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(drain, options, environ)


async def drain(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Count what is in flight; wait until it is nothing, if that is asked for."""
    # Those of other shards too: to look at some of them only would let through what is in flight.
    hubs = chosen_hubs(settings.hubs, options.hub)
    deadline = anyio.current_time() + (options.timeout if options.wait else 0.0)
    was_in_flight = False
    async with connected(hubs) as asked:
        seen = await _look(asked, options)
        with _Line(options.orchestrator, deadline if options.wait else None) as line:
            while seen.code is not ExitCode.OK:
                line.tell(seen)
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
    """Look at all hubs once; where nothing is in flight, once more."""
    found = Round()
    question = partial(_listed, orchestrator=options.orchestrator)

    async def one(hub: Hub) -> None:
        name = hub.settings.name
        for _ in range(_TIMES_NOTHING):
            answer = await within_its_time(hub, question, seconds=options.timeout)
            if isinstance(answer, ApiError):
                found.statuses.pop(name, None)
                found.failures[name] = answer
                return
            found.statuses[name] = answer.statuses
            found.others |= answer.others
            if answer.statuses:
                return

    async with anyio.create_task_group() as tasks:
        for hub in hubs:
            tasks.start_soon(one, hub)
    return found


async def _look_for_finished(hubs: Sequence[Hub], seen: Round, options: argparse.Namespace) -> None:
    """Find out whether there ever was an instance of it; without need, only for a moment."""
    wanted = options.orchestrator.casefold()
    seconds = options.timeout if options.must_exist else _SECONDS_FOR_A_WARNING
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

    await _ask_each(hubs, seen, finished, seconds, is_needed=options.must_exist)
    if found.is_set():
        seen.is_known = True
        seen.failures.clear()
    elif len(complete) == len(hubs):
        seen.is_known = False


async def _ask_each(
    hubs: Sequence[Hub], seen: Round, question: Question[None], seconds: float, *, is_needed: bool
) -> None:
    async def one(hub: Hub) -> None:
        answer = await within_its_time(hub, question, seconds=seconds)
        if isinstance(answer, ApiError) and is_needed:
            seen.failures[hub.settings.name] = answer

    async with anyio.create_task_group() as tasks:
        for hub in hubs:
            tasks.start_soon(one, hub)


async def _listed(hub: Hub, *, orchestrator: str) -> _Seen:
    """List all active instances of a hub, whatever their ids begin with."""
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


class _Line:
    """A line on a terminal that tells how far it is; nothing elsewhere."""

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

    def tell(self, seen: Round) -> None:
        """Show what was seen last."""
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
            told = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
            number = plural(sum(counts.values()), "instance")
            in_flight = f"{hub}: {number} of {name} in flight"
            print(printable(f"{in_flight} ({told})" if told else in_flight))
    for error in seen.failures.values():
        say_failure(error)
    if seen.is_known is False:
        say(f"warning: no instance of {name} is known, active or finished{_meant(seen, name)}")
    elif seen.code is ExitCode.OK and seen.others:
        say(f"other orchestrators: {', '.join(sorted(seen.others)[:_MOST_NAMES])}")


def _meant(seen: Round, name: str) -> str:
    """Say which names there are, those first that look like the one that was asked for."""
    by_name = {other.casefold(): other for other in seen.others}
    close = [by_name[other] for other in get_close_matches(name.casefold(), by_name, n=3)]
    names = [*close, *sorted(seen.others - set(close))][:_MOST_NAMES]
    return f"; there are: {', '.join(names)}" if names else ""
