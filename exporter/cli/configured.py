"""Commands on the configured hubs: load the settings, choose hubs, query them concurrently."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
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
from exporter.api.telemetry import LIST_INSTANCES
from exporter.cli.conventions import SHORTCUTS, ExitCode
from exporter.cli.logs import set_up_logging
from exporter.cli.process import outcome_of
from exporter.cli.terminal import say, write_json
from exporter.collector.clock import ServerClock
from exporter.discovery.discovery import Discovery
from exporter.settings import HubSettings, Problem, Settings, SettingsError, load_configuration
from exporter.settings.durations import parse_duration
from exporter.web.formatting import plural

# True only if all hubs were found.
_ABOUT_ALL_HUBS = (ExitCode.OK, ExitCode.NOT_FOUND)

Work = Callable[[Settings, argparse.Namespace], Awaitable[ExitCode]]


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that all configured commands share, in a group of their own."""
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
    Load the settings, set up the log, search for hubs if *finds_hubs*, and do *work*.

    `options.configuration` is then where the settings came from, `options.load` loads them again.
    """

    def execute() -> ExitCode:
        shortcuts = {setting: getattr(options, setting) for setting in SHORTCUTS}
        overrides = {setting: value for setting, value in shortcuts.items() if value is not None}
        overrides |= dict(options.set)
        options.load = partial(load_configuration, dict(environ), overrides)
        options.configuration = options.load()
        settings: Settings = options.configuration.settings
        # Other commands print what goes wrong; their log would repeat it.
        is_logging = is_daemon or "log_level" in settings.model_fields_set
        set_up_logging(settings.log_level if is_logging else "error", settings.log_format)
        if settings.discovery.azure.enabled and finds_hubs and not is_daemon:
            return anyio.run(_work_on_found, work, settings, options)
        return anyio.run(work, settings, options)

    return outcome_of(execute)


async def _work_on_found(work: Work, settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Do *work* with the hubs found now; if the search fails, with those that were kept last."""
    discovery, is_complete = await search(settings)
    code = await work(discovery.extend(settings), options)
    return code if is_complete or code not in _ABOUT_ALL_HUBS else ExitCode.HUB_FAILED


async def search(settings: Settings) -> tuple[Discovery, bool]:
    """Search for hubs once; return the discovery and whether it succeeded, and print why not."""
    shared = SharedLimits()
    discovery = Discovery(shared, wall=time, folder=settings.state_dir)
    discovery.restore()
    async with aclosing(shared):
        try:
            await discovery.search(settings)
        except ApiError as error:
            say_failure(error)
            return discovery, False
    return discovery, True


Found = TypeVar("Found")

_REFRESH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub to query: its settings, its client, and its clock as its answers show it."""

    settings: HubSettings
    client: HubClient
    clock: ServerClock


Question = Callable[[Hub], Awaitable[Found]]


@dataclass(frozen=True, slots=True)
class Answers(Generic[Found]):
    """Results of the hubs that answered, and errors of the others, by name."""

    found: Mapping[str, Found]
    failures: Mapping[str, ApiError]

    @property
    def code(self) -> ExitCode:
        """The exit code: whether all hubs answered."""
        return ExitCode.HUB_FAILED if self.failures else ExitCode.OK


def say_failure(error: ApiError) -> None:
    """Print an error and its remedy."""
    say(f"{error}; to fix it: {error.hint}")


def add_hub_option(command: argparse.ArgumentParser) -> None:
    """Add `--hub`, which chooses hubs by name."""
    command.add_argument(
        "--hub", action="append", default=[], metavar="NAME", help="only this hub; repeatable"
    )


def add_timeout_option(
    command: argparse.ArgumentParser, default: str = "5m", what: str = "time per hub"
) -> None:
    """Add `--timeout`."""
    command.add_argument(
        "--timeout", type=duration, default=default, metavar="DURATION", help=f"{what} ({default})"
    )


def duration(text: str) -> float:
    """Parse a duration above 0 of the command line, in seconds."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return seconds


def count(text: str) -> int:
    """Parse a whole number from 1 of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def chosen_hubs(hubs: Sequence[HubSettings], names: Sequence[str]) -> Sequence[HubSettings]:
    """
    Return the *hubs* with these *names*, all without any.

    Raises:
        SettingsError: a name is unknown.
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


async def report(
    question: Question[Found],
    settings: Settings,
    options: argparse.Namespace,
    *,
    rows: Callable[[str, Found], Iterable[object]],
    show: Callable[[str, Found], None],
) -> Answers[Found]:
    """
    Query the chosen hubs concurrently, each within `options.timeout`; print results and errors.

    With `--format json` it prints the *rows* of each hub, by name and result, else calls *show*.
    """
    hubs = chosen_hubs(settings.own_hubs, options.hub)
    answers = await _ask_all(hubs, question, seconds=options.timeout)
    if options.format == "json":
        write_json([row for name, found in answers.found.items() for row in rows(name, found)])
    else:
        for name, found in answers.found.items():
            show(name, found)
    for error in answers.failures.values():
        say_failure(error)
    return answers


async def _ask_all(
    hubs: Sequence[HubSettings], question: Question[Found], *, seconds: float
) -> Answers[Found]:
    """Query all hubs concurrently, each within *seconds*."""
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
    """Query one hub within *seconds*; return its error rather than raise it."""
    try:
        with anyio.fail_after(seconds):
            return await question(hub)
    except ApiError as error:
        return error
    except TimeoutError:
        return gave_up(hub.settings.name, seconds)


def gave_up(hub: str, seconds: float) -> ApiError:
    """Return the error of a hub that took too long."""
    failures = Failures(hub, LIST_INSTANCES)
    return failures.too_slow(f"not done within {seconds:g} s", hint="raise --timeout")


@asynccontextmanager
async def connected(hubs: Sequence[HubSettings]) -> AsyncGenerator[Sequence[Hub], None]:
    """Yield the hubs with their clients; close connections at the end."""
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
    """Show the number of answers on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    console = Console(stderr=True, highlight=False)
    started = anyio.current_time()
    with console.status("") as status:

        async def update() -> None:
            while True:
                seconds = anyio.current_time() - started
                answers = sum(sum(hub.client.telemetry.requests.values()) for hub in hubs)
                asked = plural(len(hubs), "hub")
                status.update(f"{plural(answers, 'answer')} from {asked}, {seconds:.0f} s")
                await anyio.sleep(_REFRESH_SECONDS)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(update)
            yield
            tasks.cancel_scope.cancel()
