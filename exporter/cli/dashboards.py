"""`dashboards`: print the bundled Grafana dashboards, or write them to files."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, say, table

EXAMPLE = "dashboards --output dashboards"

NAMES = ("fleet", "hub", "orchestrator", "entities", "exporter")


class _Summary(msgspec.Struct):
    """The fields of a dashboard that `--list` shows."""

    uid: str
    title: str
    description: str


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `dashboards`."""
    command.usage = f"{command.usage} [NAME ...]"
    command.add_argument(
        "name", nargs="*", metavar="NAME", help=f"which ones (all): {', '.join(NAMES)}"
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write files into this folder instead of printing",
    )
    command.add_argument(
        "--list", action="store_true", help="list the dashboards with their purpose"
    )


def run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    names = options.name or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        say(f"unknown dashboard {', '.join(unknown)}; known: {', '.join(NAMES)}")
        return ExitCode.CONFIGURATION
    if options.list:
        _show(names)
    elif options.output is None:
        _print(names)
    else:
        return _write(names, options.output)
    return ExitCode.OK


def _text(name: str) -> str:
    return (files("exporter") / "dashboards" / f"{name}.json").read_text(encoding="utf-8")


def _show(names: Iterable[str]) -> None:
    lines = table("name", "uid", "title", "purpose", folds=("purpose",))
    for name in names:
        board = msgspec.json.decode(_text(name), type=_Summary)
        lines.add_row(name, board.uid, board.title, board.description)
    console().print(lines)


def _print(names: Iterable[str]) -> None:
    """Print one dashboard as is, several as an array."""
    texts = [_text(name).rstrip() for name in names]
    print(texts[0] if len(texts) == 1 else "[\n" + ",\n".join(texts) + "\n]")


def _write(names: Iterable[str], folder: Path) -> ExitCode:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = folder / f"durable-functions-{name}.json"
            path.write_text(_text(name), encoding="utf-8")
            print(path)
    except OSError as error:
        say(f"cannot write to {folder}: {error.strerror}")
        return ExitCode.CONFIGURATION
    return ExitCode.OK
