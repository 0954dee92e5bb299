"""The command line: which subcommand."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from exporter import __version__
from exporter.cli.exit_codes import MEANINGS, ExitCode

# A module of this package each. Only the one that is asked for is imported: all of them take more
# time than most commands.
COMMANDS = {
    "serve": "poll all hubs and serve /metrics (the default)",
    "check": "test the configuration and every hub",
    "collect": "collect once and print what was found",
    "stuck": "which instances are stalled, and what blocks them",
    "why": "what one instance did and waits on",
    "failures": "what failed recently, and why",
    "drain": "whether an orchestrator has drained",
    "estimate": "what polling costs, from one pass",
    "healthy": "whether the exporter on this machine answers",
    "metrics": "print the catalogue of metrics",
    "rules": "print alerting rules for Prometheus or Grafana",
    "dashboards": "print the dashboards for Grafana",
    "record": "record what a hub answers, redacted, for a bug report",
    "emulator": "serve the API with sample task hubs behind it",
    "demo": "an emulator and an exporter in one process: see it work without Azure",
}

_NAME = "durable-exporter"
_LINE = 80


class Command(Protocol):
    """What the module of a command offers."""

    def add_options(self, command: argparse.ArgumentParser, /) -> None:
        """Add the options of the command."""

    def run(self, options: argparse.Namespace, environ: Mapping[str, str], /) -> ExitCode:
        """Run the command."""


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
    options = parse(arguments)
    command: Command = options.command
    return command.run(options, environ)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line, and in `command` the module that they are for."""
    arguments = _with_default_command(arguments)
    parser = _parser()
    commands = parser.add_subparsers(
        prog=_NAME, metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )
    for name, summary in COMMANDS.items():
        described = commands.add_parser(name, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == arguments[0]:
            command = cast("Command", import_module(f"exporter.cli.{name}"))
            command.add_options(described)
            described.set_defaults(command=command)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        # By the command itself, so that the usage that is shown has its options.
        commands.choices[arguments[0]].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _with_default_command(arguments: Sequence[str]) -> Sequence[str]:
    """Let `serve` be what is meant where only options are given, or nothing."""
    asks_for_help = bool({"-h", "--help", "--version"} & set(arguments[:1]))
    if not arguments or (arguments[0].startswith("-") and not asks_for_help):
        return ["serve", *arguments]
    return arguments


def _parser() -> argparse.ArgumentParser:
    # By our own hand: argparse breaks the line of its longest command.
    commands = _listed(COMMANDS)
    codes = _listed({f"{code.value:>3}": meaning for code, meaning in MEANINGS.items()})
    parser = argparse.ArgumentParser(
        prog=_NAME,
        usage=f"{_NAME} [-h] [--version] COMMAND ...",
        description="Prometheus exporter for Azure Durable Functions.",
        epilog=f"commands:\n{commands}\n\nexit codes:\n{codes}\n\n"
        f"{_NAME} COMMAND --help lists the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _listed(meanings: Mapping[str, str]) -> str:
    """Return lines of words and their meanings, which are folded beside them."""
    width = max(map(len, meanings))
    return "\n".join(
        textwrap.fill(
            meaning,
            _LINE,
            initial_indent=f"  {word:<{width}}  ",
            subsequent_indent=" " * (width + 4),
        )
        for word, meaning in meanings.items()
    )
