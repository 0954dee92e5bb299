"""The command line: parses it and runs the command."""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Protocol, cast

from exporter import __version__
from exporter.cli.conventions import MEANINGS, SHORTCUTS, ExitCode

# Each is a module of this package, imported only when it runs: importing all of them takes longer
# than most commands do.
COMMANDS = {
    "serve": "poll all hubs and serve /metrics (the default)",
    "check": "test the configuration and every hub",
    "collect": "collect once and print what was found",
    "stuck": "list stalled instances, and what blocks them",
    "why": "show what one instance did and what it waits on",
    "failures": "list recent failures and their reasons",
    "drain": "check whether an orchestrator has drained",
    "estimate": "run the sweeps and forecast the daily cost of polling",
    "discover": "list the apps that discovery finds in Azure, and why others are left out",
    "healthy": "check whether the exporter on this machine answers",
    "metrics": "print the catalogue of metrics",
    "rules": "print alerting rules for Prometheus or Grafana",
    "dashboards": "print the dashboards for Grafana",
    "record": "record a hub's responses, redacted, for a bug report",
    "emulator": "serve the API with sample task hubs",
    "demo": "run an emulator and an exporter in one process, without Azure",
}


_NAME = "durable-exporter"
_LINE = 80
_HELP = ("help", "-h", "--help")
_VERSION = ("version", "-V", "--version")


class Command(Protocol):
    """What the module of a command offers."""

    EXAMPLE: str

    def add_options(self, command: argparse.ArgumentParser, /) -> None:
        """Add the options of the command."""

    def run(self, options: argparse.Namespace, environ: Mapping[str, str], /) -> ExitCode:
        """Run the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    try:
        try:
            code = run(sys.argv[1:] if arguments is None else arguments, os.environ)
        finally:
            # The parser exits by itself after help.
            sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:
        # The reader is gone: keep the interpreter from writing the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> ExitCode:
    """Run the command and return its exit code; exit at once if the command line is wrong."""
    options = parse(arguments)
    command: Command = options.command
    return command.run(options, environ)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; `command` of the result is the module to run."""
    arguments = _with_command_first(arguments)
    parser = _parser()
    commands = parser.add_subparsers(
        prog=_NAME, metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )
    for name, summary in COMMANDS.items():
        described = commands.add_parser(
            name,
            usage=f"{_NAME} {name} [OPTIONS]",
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # --key must not be read as --key-file.
            allow_abbrev=False,
        )
        if name == arguments[0]:
            command = cast("Command", import_module(f"exporter.cli.{name}"))
            command.add_options(described)
            described.epilog = f"example:\n  {_NAME} {command.EXAMPLE}"
            described.set_defaults(command=command)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        # Reported by the parser of the command, to show the usage of the command.
        commands.choices[arguments[0]].error(_unknown(unknown, commands.choices[arguments[0]]))
    return options


def _unknown(arguments: Sequence[str], command: argparse.ArgumentParser) -> str:
    """Return the error message for unknown arguments, with suggestions."""
    known = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", command.format_help(), re.MULTILINE)
    options = (each.partition("=")[0] for each in arguments if each.startswith("--"))
    meant = [name for each in options for name in get_close_matches(each, known, n=1)]
    guess = f"; did you mean {' or '.join(meant)}?" if meant else ""
    return f"unrecognized arguments: {' '.join(arguments)}{guess}"


def _with_command_first(arguments: Sequence[str]) -> Sequence[str]:
    """
    Move the command before its options; without one, `serve` is meant.

    `help` and `version` are aliases of options; `help COMMAND` is the help of a command.
    """
    first = arguments[0] if arguments else ""
    if first in _HELP:
        return [*arguments[1:2], "--help"] if first == "help" else ["--help"]
    if first in _VERSION:
        return ["--version"]
    if first and not first.startswith("-"):
        return arguments
    place = _place_of_command(arguments)
    if place is None:
        return ["serve", *arguments]
    return [arguments[place], *arguments[:place], *arguments[place + 1 :]]


def _place_of_command(arguments: Sequence[str]) -> int | None:
    """Return the index of a command after shared options, each of which takes a value."""
    shared = {f"--{setting.replace('_', '-')}" for setting in (*SHORTCUTS, "set")}
    is_value = False
    for place, argument in enumerate(arguments):
        if is_value:
            is_value = False
        elif argument.startswith("-"):
            is_value = argument in shared
        else:
            return place
    return None


def _parser() -> argparse.ArgumentParser:
    # Formatted here: argparse wraps the line of the longest command.
    commands = _listed(COMMANDS.items())
    codes = _listed((f"{code:>3}", f"{which}: {meaning}") for code, which, meaning in MEANINGS)
    parser = argparse.ArgumentParser(
        prog=_NAME,
        usage=f"{_NAME} COMMAND [OPTIONS]",
        description="Prometheus exporter for Azure Durable Functions.",
        epilog=f"commands:\n{commands}\n\nexit codes:\n{codes}\n\n"
        f"{_NAME} help COMMAND lists the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=__version__)
    return parser


def _listed(meanings: Iterable[tuple[str, str]]) -> str:
    """Return two columns, words and meanings, with the second wrapped."""
    lines = list(meanings)
    width = max(len(word) for word, _ in lines)
    return "\n".join(
        textwrap.fill(
            meaning,
            _LINE,
            initial_indent=f"  {word:<{width}}  ",
            subsequent_indent=" " * (width + 4),
        )
        for word, meaning in lines
    )
