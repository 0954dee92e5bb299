"""What is wrong with a command of a page."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import PurePosixPath

from exporter.cli.main import parse
from exporter.settings.schema import place_at
from tests.docs.pages import ROOT
from tests.docs.programs import PROGRAMS
from tests.docs.shell import Command

OURS = "durable-exporter"
IMAGE = "IMAGE"
_TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)


def problems_of(command: Command) -> Iterator[str]:
    """Yield what is wrong with one command, in words for whoever wrote the page."""
    if not command.words:
        return
    program, *arguments = command.words
    name = PurePosixPath(program).name
    if name == OURS or command.words[:3] == ["python", "-m", "exporter"]:
        yield from _ours(arguments if name == OURS else arguments[2:])
    elif name == "make":
        yield from _targets(arguments)
    elif name not in PROGRAMS:
        yield f"{name}: not a program that tests/docs/programs.py knows"
    else:
        yield from _others(name, arguments)


def _ours(arguments: Sequence[str]) -> Iterator[str]:
    """Let the real parser judge, and look up every setting that is set."""
    if arguments in (["--help"], ["--version"]) or "--help" in arguments:
        return
    said = StringIO()
    try:
        with redirect_stderr(said):
            options = parse(arguments)
    except SystemExit:
        yield f"{OURS} {' '.join(arguments)}: {said.getvalue().splitlines()[-1]}"
        return
    for setting, _ in getattr(options, "set", None) or ():
        if not _sets_others(options) and place_at(tuple(setting.split("."))) is None:
            yield f"--set {setting}: not a setting"


def _sets_others(options: argparse.Namespace) -> bool:
    """Tell whether `--set` means parameters of rules, which their own command checks."""
    return not hasattr(options, "config_file")


def _targets(arguments: Sequence[str]) -> Iterator[str]:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    for word in arguments:
        if "=" not in word and not word.startswith("-") and word not in targets:
            yield f"make {word}: no such target"


def _others(name: str, arguments: Sequence[str]) -> Iterator[str]:
    known = PROGRAMS[name]
    arguments, inner = _apart(name, arguments)
    yield from problems_of(Command(inner))
    words = [word for word in arguments if not word.startswith("-")]
    leading = " ".join(words)
    if known.subcommands and not any(
        f"{leading} ".startswith(f"{each} ") or _after_options(arguments, each)
        for each in known.subcommands
    ):
        yield f"{name} {leading}: not a subcommand that tests/docs/programs.py knows"
    options = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    if known.options is not None and options - known.options:
        yield f"{name}: unknown options {sorted(options - known.options)}"


def _apart(name: str, arguments: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """Part the arguments of a program from the command that it runs somewhere else."""
    if name == "kubectl" and "--" in arguments:
        place = arguments.index("--")
        return arguments[:place], list(arguments[place + 1 :])
    if name in ("docker", "podman") and arguments[:1] == ["exec"] and OURS in arguments:
        # The container may be called as the command is.
        place = len(arguments) - 1 - list(reversed(arguments)).index(OURS)
        return arguments[:place], list(arguments[place:])
    if name in ("docker", "podman") and arguments[:1] == ["run"] and IMAGE in arguments[:-1]:
        place = arguments.index(IMAGE) + 1
        return arguments[:place], [OURS, *arguments[place:]]
    return arguments, []


def _after_options(arguments: Sequence[str], subcommand: str) -> bool:
    """Tell whether options with values come before the subcommand, as in `kubectl -n x get`."""
    first = subcommand.split(" ", 1)[0]
    return first in arguments and f"{' '.join(arguments[arguments.index(first) :])} ".startswith(
        f"{subcommand} "
    )
