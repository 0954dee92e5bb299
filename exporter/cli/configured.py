"""Commands that work on the configured hubs: options that override the configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import time
from typing import Generic, TypeVar

import anyio
from rich.console import Console

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.connection import SharedLimits, connect
from exporter.api.errors import ApiError
from exporter.api.telemetry import LIST_INSTANCES, ApiTelemetry
from exporter.cli.conventions import SHORTCUTS, ExitCode
from exporter.cli.logs import set_up_logging
from exporter.cli.process import outcome_of
from exporter.cli.terminal import say
from exporter.collector.clock import ServerClock
from exporter.discovery.discovery import Discovery
from exporter.settings import HubSettings, Problem, Settings, SettingsError, load_configuration
from exporter.settings.durations import parse_duration
from exporter.web.formatting import plural

# What these say, they say of all hubs.
_WITH_ALL_HUBS = (ExitCode.OK, ExitCode.NOT_FOUND)

Work = Callable[[Settings, argparse.Namespace], Awaitable[ExitCode]]


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that every configured command has, in a group of their own."""
    group = command.add_argument_group("configuration", "common to all commands that query hubs")
    for setting, meaning in SHORTCUTS.items():
        group.add_argument(f"--{setting.replace('_', '-')}", help=meaning, metavar="VALUE")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        type=_assignment,
        help="any setting, such as intervals.active=10s; repeatable",
    )


def _assignment(text: str) -> tuple[str, str]:
    setting, separator, value = text.partition("=")
    if not separator or not setting:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form SETTING=VALUE")
    return setting, value


def run(
    work: Work,
    options: argparse.Namespace,
    environ: Mapping[str, str],
    *,
    is_daemon: bool = False,
    finds_hubs: bool = True,
) -> ExitCode:
    """
    Load the settings, set up the log and do *work*, on the hubs that are found now, too.

    It finds in `options.configuration` where the settings came from, and in `options.load` how they
    are loaded anew.
    """
    return outcome_of(
        partial(
            _run,
            work,
            options,
            environ,
            is_daemon=is_daemon,
            finds_hubs=finds_hubs and not is_daemon,
        )
    )


def _run(
    work: Work,
    options: argparse.Namespace,
    environ: Mapping[str, str],
    *,
    is_daemon: bool,
    finds_hubs: bool,
) -> ExitCode:
    shortcuts = {setting: getattr(options, setting) for setting in SHORTCUTS}
    overrides = {setting: value for setting, value in shortcuts.items() if value is not None}
    options.load = partial(load_configuration, dict(environ), {**overrides, **dict(options.set)})
    options.configuration = options.load()
    settings: Settings = options.configuration.settings
    asked_for = "log_level" in settings.model_fields_set
    # What the other commands print says what went wrong; their log would say it twice.
    level = settings.log_level if is_daemon or asked_for else "error"
    set_up_logging(level, settings.log_format)
    if settings.discovery.azure.enabled and finds_hubs:
        return anyio.run(_work_on_found, work, settings, options)
    return anyio.run(work, settings, options)


async def _work_on_found(work: Work, settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Do *work* with the hubs that are found now; without all of them, no answer is a good one."""
    found, is_whole = await with_found_hubs(settings)
    code = await work(found, options)
    return code if is_whole or code not in _WITH_ALL_HUBS else ExitCode.HUB_FAILED


async def with_found_hubs(settings: Settings) -> tuple[Settings, bool]:
    """
    Return *settings* with the hubs that are found now, and whether all could be searched for.

    Where the search fails, that is said, and known are those that the exporter last kept.
    """
    shared = SharedLimits()
    discovery = Discovery(shared, wall=time, folder=settings.state_dir)
    discovery.restore()
    is_whole = True
    async with aclosing(shared):
        try:
            await discovery.search(settings)
        except ApiError as error:
            is_whole = False
            say_failure(error)
    return discovery.extend(settings), is_whole


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
