"""Commands that work on the configured hubs: options that override the configuration."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio

from exporter.cli.exit_codes import ExitCode
from exporter.cli.found import with_found_hubs
from exporter.cli.logs import set_up_logging
from exporter.cli.outcome import outcome_of
from exporter.cli.shortcuts import SHORTCUTS
from exporter.settings import Settings, load_configuration

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
