"""`discover`: list the apps found in Azure and why others are left out, or print the role."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

from rich.table import Table

from exporter.cli import configured
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, markup, say
from exporter.discovery.search import NO_SUBSCRIPTION, role
from exporter.discovery.selection import LeftOut, Selection
from exporter.settings import Settings
from exporter.web.formatting import plural

EXAMPLE = "discover --set discovery.azure.names=orders-*"

_ENABLED = "discovery.azure.enabled"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    configured.add_options(command)
    command.add_argument(
        "--format", choices=("table", "json"), default="table", help="how to print (%(default)s)"
    )
    command.add_argument(
        "--role",
        action="store_true",
        help="print a minimal custom role for these settings as JSON; send no requests",
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command, with discovery on, whatever the configuration says."""
    if not any(name == _ENABLED for name, _ in options.set):
        options.set = [*options.set, (_ENABLED, "true")]
    return configured.run(_discover, options, environ, finds_hubs=False)


async def _discover(settings: Settings, options: argparse.Namespace) -> ExitCode:
    azure = settings.discovery.azure
    if options.role:
        print(json.dumps(role(azure), indent=2))
        if not azure.subscriptions:
            say(
                f"replace {NO_SUBSCRIPTION} with your subscription, or set "
                "discovery.azure.subscriptions"
            )
        return ExitCode.OK
    discovery, is_complete = await configured.search(settings)
    if not is_complete:
        return ExitCode.HUB_FAILED
    discovery.extend(settings)
    selection = discovery.selection
    if selection is None:
        raise RuntimeError("discovery is on")
    if options.format == "json":
        print(json.dumps(_as_json(selection, settings), indent=2))
    else:
        _print(selection, settings)
    return ExitCode.OK


def _as_json(selection: Selection, settings: Settings) -> dict[str, object]:
    polled = [
        {
            "hub": one.hub,
            "resource_id": one.app.resource_id,
            "host": one.app.host,
            "state": one.app.state,
            "access": hub.access,
            "labels": dict(hub.labels),
            "is_of_this_shard": settings.shard.holds(hub.shard_key),
        }
        for one, hub in zip(selection.polled, selection.hubs, strict=True)
    ]
    return {
        "polled": polled,
        "left_out": _reasons(selection.left_out),
        "unknown": _reasons(selection.unknown),
    }


def _reasons(apps: Sequence[LeftOut]) -> list[dict[str, str]]:
    return [
        {"app": one.app.name, "resource_id": one.app.resource_id, "reason": one.reason}
        for one in apps
    ]


def _print(selection: Selection, settings: Settings) -> None:
    out = console()
    table = Table(
        "hub", "resource group", "region", "state", "access", "shard", box=None, pad_edge=False
    )
    for one, hub in zip(selection.polled, selection.hubs, strict=True):
        is_own = settings.shard.holds(hub.shard_key)
        shard = str(settings.shard) if is_own else "another"
        where = (one.app.resource_group, one.app.region, one.app.state)
        table.add_row(*map(markup, (one.hub, *where, hub.access, shard)))
    if selection.polled:
        out.print(table)
    for title, apps in (("left out", selection.left_out), ("unknown", selection.unknown)):
        if apps:
            reasons = Table(title, "resource group", "why", box=None, pad_edge=False)
            for other in apps:
                cells = (other.app.name, other.app.resource_group, other.reason)
                reasons.add_row(*map(markup, cells))
            out.print()
            out.print(reasons)
    out.print(
        f"\n{plural(len(selection.polled), 'app')} polled, {len(selection.left_out)} left out, "
        f"{len(selection.unknown)} unknown"
    )
