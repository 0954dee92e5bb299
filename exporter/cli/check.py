"""`check`: whether the configuration is right and every hub answers."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
from rich.markup import escape
from rich.table import Table

from exporter.api.client import HubClient
from exporter.api.connection import connect
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.query import InstanceQuery
from exporter.api.slots import HostSlots
from exporter.cli.exit_codes import ExitCode
from exporter.cli.terminal import console
from exporter.ledger.status import ACTIVE
from exporter.settings import HubSettings, Settings

NAME, CONNECTION, TLS, KEY, LISTING = "host name", "connection", "TLS", "key", "listing"
STEPS = (NAME, CONNECTION, TLS, KEY, LISTING)

_STEP_OF = {
    ErrorKind.CONNECT: CONNECTION,
    ErrorKind.TIMEOUT: CONNECTION,
    ErrorKind.PROXY: CONNECTION,
    ErrorKind.TLS: TLS,
    ErrorKind.AUTH: KEY,
}


# What is known of an answer that is not what was asked for, but comes from behind the key.
_FROM_THE_API = (ErrorKind.PROTOCOL, ErrorKind.TOO_LARGE)
_EMPTY = (
    "nothing is active there. A wrong task_hub reads like that, too, and makes storage on the "
    "account: compare it with host.json"
)


@dataclass(frozen=True, slots=True)
class HubCheck:
    """
    How a hub passed: the steps that hold, then the one that does not, why, and the remedy.

    A hub `is_empty` if nothing is active there.
    """

    hub: str
    passed: Sequence[str]
    failed: str | None = None
    reason: str = ""
    hint: str = ""
    is_empty: bool = False


async def check(settings: Settings) -> ExitCode:
    """Check every hub, all at once, and print a table and the remedies."""
    results: dict[str, HubCheck] = {}

    async def one(hub: HubSettings) -> None:
        results[hub.name] = await check_hub(hub)

    async with anyio.create_task_group() as tasks:
        for hub in settings.own_hubs:
            tasks.start_soon(one, hub)
    checks = [results[hub.name] for hub in settings.own_hubs]
    _print(checks)
    failed = any(result.failed for result in checks)
    return ExitCode.HUB_FAILED if failed else ExitCode.OK


async def check_hub(hub: HubSettings) -> HubCheck:
    """Check one hub: name resolution, connection, TLS, key and the first page of a list."""
    steps = [step for step in STEPS if step != TLS or hub.base_url.startswith("https")]
    if not _goes_through_proxy(hub):
        unknown = await _resolve(hub)
        if unknown:
            return HubCheck(
                hub.name, (), NAME, unknown, "check the host in url, and this machine's DNS"
            )
    client, http = connect(hub, HostSlots())
    async with http:
        try:
            is_empty = await _is_empty(client)
        except ApiError as error:
            failed = _STEP_OF.get(error.kind, LISTING)
            passed = [
                step
                for step in steps[: steps.index(failed)]
                if step != KEY or error.kind in _FROM_THE_API
            ]
            return HubCheck(hub.name, passed, failed, error.reason, error.hint)
    return HubCheck(hub.name, steps, is_empty=is_empty)


async def _is_empty(client: HubClient) -> bool:
    """Read the first page of the active instances; tells whether that is all and has none."""
    listing = client.list_instances(InstanceQuery(statuses=ACTIVE))
    page = await listing.next_page()
    return listing.finished and (page is None or not page.rows)


async def _resolve(hub: HubSettings) -> str | None:
    """Return why the host has no address, None if it has one."""
    parts = urlsplit(hub.base_url)
    try:
        await anyio.getaddrinfo(parts.hostname or "", parts.port)
    except (socket.gaierror, UnicodeError) as error:
        return f"{parts.hostname} has no address ({error})"
    return None


def _goes_through_proxy(hub: HubSettings) -> bool:
    """Tell whether the name is left to a proxy to resolve."""
    parts = urlsplit(hub.base_url)
    if hub.proxy is not None:
        return True
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")


def _print(checks: Sequence[HubCheck]) -> None:
    table = Table("hub", *STEPS, box=None, pad_edge=False, header_style="bold")
    for result in checks:
        table.add_row(escape(result.hub), *(_mark(result, step) for step in STEPS))
    out = console()
    out.print(table)
    for result in checks:
        if result.failed:
            out.print(f"\n[red]{escape(result.hub)}[/]: {result.failed}: {escape(result.reason)}")
            out.print(f"  to fix it: {escape(result.hint)}")
        elif result.is_empty:
            out.print(f"\n{escape(result.hub)}: {_EMPTY}")
    failures = sum(1 for result in checks if result.failed)
    verdict = f"{failures} of {len(checks)} hubs failed" if failures else "all hubs answer"
    out.print(f"\n{verdict}")


def _mark(result: HubCheck, step: str) -> str:
    if step == result.failed:
        return "[red]failed[/]"
    return "[green]ok[/]" if step in result.passed else "-"
