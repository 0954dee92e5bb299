"""The command line: which subcommand, and what overrides the configuration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import anyio

from exporter import __version__
from exporter.cli import (
    check,
    collect,
    demo,
    drain,
    emulator,
    estimate,
    failures,
    metrics,
    serve,
    stuck,
    why,
)
from exporter.cli.exit_codes import MEANINGS, ExitCode
from exporter.cli.logs import set_up_logging
from exporter.settings import Settings, SettingsError, load_settings
from exporter.web.server import CannotListen

Work = Callable[[argparse.Namespace, Settings], ExitCode]

_SHORTCUTS = {
    "config_file": "YAML file with the configuration",
    "url": "where the hub answers: the app's root, or a path that ends in /durabletask",
    "task_hub": "the task hub's own name, if it is not the app's default",
    "connection": "name of the app setting with the hub's connection",
    "key_file": "file with the key of the app",
    "name": "what the hub is called in metrics",
    "listen_address": "host:port to listen on",
    "log_level": "debug, info, warning or error",
    "log_format": "json or console",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    try:
        code = run(sys.argv[1:] if arguments is None else arguments, os.environ)
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> ExitCode:
    """Run the command and return its exit code; a wrong command line exits at once."""
    options = _parser().parse_args(_with_default_command(arguments))
    try:
        work: Callable[[argparse.Namespace, Mapping[str, str]], ExitCode] = options.run
        return work(options, environ)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return ExitCode.CONFIGURATION
    except CannotListen as error:
        print(error, file=sys.stderr)
        return ExitCode.CANNOT_LISTEN


def _with_default_command(arguments: Sequence[str]) -> Sequence[str]:
    """Let `serve` be what is meant where only options are given, or nothing."""
    asks_for_help = bool({"-h", "--help", "--version"} & set(arguments[:1]))
    if not arguments or (arguments[0].startswith("-") and not asks_for_help):
        return ["serve", *arguments]
    return arguments


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog="durable-exporter",
        description="Prometheus exporter for Azure Durable Functions.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _configured(commands, "serve", "poll all hubs and serve /metrics (the default)", _serve)
    check.add_options(
        _configured(commands, "check", "test the configuration and every hub", _check)
    )
    collecting = _configured(commands, "collect", "collect once and print what was found", _collect)
    collect.add_options(collecting)
    stuck.add_options(
        _configured(commands, "stuck", "which instances do not go on, and on what", _stuck)
    )
    why.add_options(_configured(commands, "why", "what one instance did and waits on", _why))
    failures.add_options(
        _configured(commands, "failures", "what failed lately, and why", _failures)
    )
    drain.add_options(
        _configured(commands, "drain", "whether nothing of an orchestrator is in flight", _drain)
    )
    estimate.add_options(
        _configured(commands, "estimate", "what polling costs, from one pass", _estimate)
    )
    metrics.add_command(commands)
    emulator.add_command(commands)
    demo.add_command(commands)
    return parser


def _configured(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    work: Work,
) -> argparse.ArgumentParser:
    """Add a command that works on the configured hubs."""
    command = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    for setting, meaning in _SHORTCUTS.items():
        command.add_argument(f"--{setting.replace('_', '-')}", help=meaning, metavar="VALUE")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        type=_assignment,
        help="any setting, as intervals.active=10s; may be repeated",
    )
    command.set_defaults(run=partial(_with_settings, work))
    return command


def _assignment(text: str) -> tuple[str, str]:
    setting, separator, value = text.partition("=")
    if not separator or not setting:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form SETTING=VALUE")
    return setting, value


def _with_settings(
    work: Work,
    options: argparse.Namespace,
    environ: Mapping[str, str],
) -> ExitCode:
    shortcuts = {setting: getattr(options, setting) for setting in _SHORTCUTS}
    overrides = {setting: value for setting, value in shortcuts.items() if value is not None}
    options.load = partial(load_settings, dict(environ), {**overrides, **dict(options.set)})
    settings = options.load()
    is_daemon = work is _serve
    asked_for = "log_level" in settings.model_fields_set
    # What the other commands print says what went wrong; their log would say it twice.
    level = settings.log_level if is_daemon or asked_for else "error"
    set_up_logging(level, settings.log_format)
    return work(options, settings)


def _serve(options: argparse.Namespace, settings: Settings) -> ExitCode:
    anyio.run(serve.serve, settings, options.load)
    return ExitCode.OK


def _check(options: argparse.Namespace, settings: Settings) -> ExitCode:
    if options.offline:
        return check.show_configuration(settings)
    return anyio.run(check.check, settings)


def _collect(options: argparse.Namespace, settings: Settings) -> ExitCode:
    return anyio.run(collect.collect, settings, options.format, options.output)


def _stuck(options: argparse.Namespace, settings: Settings) -> ExitCode:
    return anyio.run(stuck.stuck, settings, options)


def _why(options: argparse.Namespace, settings: Settings) -> ExitCode:
    return anyio.run(why.why, settings, options)


def _failures(options: argparse.Namespace, settings: Settings) -> ExitCode:
    return anyio.run(failures.failures, settings, options)


def _drain(options: argparse.Namespace, settings: Settings) -> ExitCode:
    return anyio.run(drain.drain, settings, options)


def _estimate(options: argparse.Namespace, settings: Settings) -> ExitCode:
    return anyio.run(estimate.estimate, settings, options)
