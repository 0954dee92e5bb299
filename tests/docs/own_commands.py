"""The exporter's own commands in texts of the pages, judged by its own parser."""

from __future__ import annotations

import argparse
import shlex
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO

from exporter.cli.main import COMMANDS, parse
from exporter.settings.schema import place_at

OURS = "durable-exporter"


def problem_of_command(line: str) -> str:
    """Return what is wrong with a command line, nothing where the exporter takes it."""
    program, *arguments = shlex.split(line) or [""]
    if program.rpartition("/")[2] != OURS:
        return f"{line}: not {OURS}"
    said = StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(StringIO()):
            options = parse(arguments)
    except SystemExit as ended:
        return f"{line}: {said.getvalue().splitlines()[-1]}" if ended.code else ""
    # Of `rules`, which takes no configuration, `--set` means parameters.
    settings = (name for name, _ in getattr(options, "set", None) or ())
    unknown = [name for name in settings if place_at(tuple(name.split("."))) is None]
    return f"{line}: no settings: {unknown}" if unknown and "config_file" in options else ""


@cache
def known_options() -> frozenset[str]:
    """Return the long options of all commands."""
    return frozenset[str]().union(*map(_options_of, COMMANDS))


def _options_of(name: str) -> set[str]:
    parser = argparse.ArgumentParser()
    import_module(f"exporter.cli.{name}").add_options(parser)
    return {option for action in parser._actions for option in action.option_strings}
