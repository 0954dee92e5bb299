"""`metrics`: print the catalogue of metrics."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from rich.table import Table

from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, markup, write_json
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import Family
from exporter.metrics.reference import page

EXAMPLE = "metrics --format markdown"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `metrics`."""
    command.add_argument("--format", choices=("table", "markdown", "json"), default="table")


def run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    if options.format == "markdown":
        print(page(), end="")
    elif options.format == "json":
        write_json([_described(family) for family in CATALOGUE])
    else:
        table = Table("metric", "type", "labels", "meaning", box=None, header_style="bold")
        for family in CATALOGUE:
            labels = ", ".join(family.label_names)
            table.add_row(family.name, family.kind, labels, markup(family.help))
        console().print(table)
    return ExitCode.OK


def _described(family: Family) -> dict[str, object]:
    return {
        "name": family.name,
        "kind": family.kind,
        "help": family.help,
        "labels": family.labels,
        "sweep": family.sweeps[0] if family.sweeps else None,
        "per_hub": family.per_hub,
        "stability": family.stability,
        "free_labels": family.free_labels,
    }
