"""Questions that a command asks all configured hubs at once, with progress where it is seen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time
from typing import Generic, TypeVar

import anyio
from rich.console import Console

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.connection import SharedLimits, connect
from exporter.api.errors import ApiError
from exporter.api.telemetry import LIST_INSTANCES, ApiTelemetry
from exporter.cli.terminal import say
from exporter.collector.clock import ServerClock
from exporter.settings import HubSettings, Problem, SettingsError
from exporter.settings.durations import parse_duration
from exporter.web.formatting import plural

Found = TypeVar("Found")

_REFRESH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub that is asked: its settings, its client, and its clock as far as answers tell."""

    settings: HubSettings
    client: HubClient
    clock: ServerClock


Question = Callable[[Hub], Awaitable[Found]]


@dataclass(frozen=True, slots=True)
class Answers(Generic[Found]):
    """What the hubs answered, and what was wrong with those that did not, by name."""

    found: Mapping[str, Found]
    failures: Mapping[str, ApiError]

    def say_failures(self) -> None:
        """Print what was wrong, a line for each hub."""
        for error in self.failures.values():
            say_failure(error)


def say_failure(error: ApiError) -> None:
    """Print what is wrong with a hub, and the remedy."""
    say(f"{error}; to fix it: {error.hint}")


def add_hub_option(command: argparse.ArgumentParser) -> None:
    """Let the user choose hubs by name."""
    command.add_argument(
        "--hub", action="append", default=[], metavar="NAME", help="only this hub; repeatable"
    )


def add_timeout_option(
    command: argparse.ArgumentParser, default: str = "5m", what: str = "time per hub"
) -> None:
    """Let the user say when to give up."""
    command.add_argument(
        "--timeout", type=duration, default=default, metavar="DURATION", help=f"{what} ({default})"
    )


def duration(text: str) -> float:
    """Return the seconds of a duration given on the command line."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return seconds


def chosen_hubs(hubs: Sequence[HubSettings], names: Sequence[str]) -> Sequence[HubSettings]:
    """
    Return those of the *hubs* that are called *names*, all where there are none.

    Raises:
        SettingsError: a name is none of a configured hub.
    """
    by_name = {hub.name: hub for hub in hubs}
    known = ", ".join(by_name) or "none"
    unknown = [
        Problem("--hub", f"unknown hub {name!r}; configured: {known}")
        for name in names
        if name not in by_name
    ]
    if unknown:
        raise SettingsError(unknown)
    return [by_name[name] for name in dict.fromkeys(names)] or hubs


async def ask_all(
    hubs: Sequence[HubSettings], question: Question[Found], *, seconds: float
) -> Answers[Found]:
    """Ask all hubs at once, each within so many seconds."""
    found: dict[str, Found] = {}
    failures: dict[str, ApiError] = {}
    async with connected(hubs) as asked, progress(asked):

        async def one(hub: Hub) -> None:
            answer = await within_its_time(hub, question, seconds=seconds)
            if isinstance(answer, ApiError):
                failures[hub.settings.name] = answer
            else:
                found[hub.settings.name] = answer

        async with anyio.create_task_group() as tasks:
            for hub in asked:
                tasks.start_soon(one, hub)
    names = [hub.name for hub in hubs]
    return Answers(
        {name: found[name] for name in names if name in found},
        {name: failures[name] for name in names if name in failures},
    )


async def within_its_time(
    hub: Hub, question: Question[Found], *, seconds: float
) -> Found | ApiError:
    """Ask one hub within so many seconds."""
    try:
        with anyio.fail_after(seconds):
            return await question(hub)
    except ApiError as error:
        return error
    except TimeoutError:
        return gave_up(hub.settings.name, seconds)


def gave_up(hub: str, seconds: float) -> ApiError:
    """Return the error of a hub that was not done in time."""
    failures = Failures(hub, LIST_INSTANCES)
    return failures.too_slow(f"not done within {seconds:g} s", hint="raise --timeout")


@asynccontextmanager
async def connected(hubs: Sequence[HubSettings]) -> AsyncGenerator[Sequence[Hub], None]:
    """Return the hubs with their clients; connections close at the end."""
    shared = SharedLimits()
    clients = [connect(hub, shared) for hub in hubs]
    try:
        yield [
            Hub(hub, client, ServerClock(time, anyio.current_time))
            for hub, client in zip(hubs, clients, strict=True)
        ]
    finally:
        for client in clients:
            await client.aclose()
        await shared.aclose()


@asynccontextmanager
async def progress(hubs: Sequence[Hub]) -> AsyncGenerator[None, None]:
    """Show on a terminal how many answers came; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    console = Console(stderr=True, highlight=False)
    started = anyio.current_time()
    with console.status("") as status:

        async def tell() -> None:
            while True:
                seconds = anyio.current_time() - started
                answers = sum(_answers(hub.client.telemetry) for hub in hubs)
                asked = plural(len(hubs), "hub")
                status.update(f"{plural(answers, 'answer')} from {asked}, {seconds:.0f} s")
                await anyio.sleep(_REFRESH_SECONDS)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            yield
            tasks.cancel_scope.cancel()


def _answers(telemetry: ApiTelemetry) -> int:
    return sum(telemetry.requests.values())
