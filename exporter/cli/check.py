"""`check`: whether the configuration is right and every hub answers."""

from __future__ import annotations

import argparse
import socket
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
from rich.table import Table

from exporter.api.client import HubClient
from exporter.api.connection import connect
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.query import InstanceQuery
from exporter.api.slots import HostSlots
from exporter.cli import configured
from exporter.cli.exit_codes import ExitCode
from exporter.cli.terminal import console, markup
from exporter.ledger.status import ACTIVE, TERMINAL
from exporter.settings import HubSettings, Settings
from exporter.settings.addresses import is_loopback
from exporter.web.words import size, span

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
    "there is no instance at all. A wrong task_hub reads like that, too, and makes storage on the "
    "account: compare it with host.json"
)
_IDLE = "nothing is active there now"
_NO_KEY = "it answers without a key: whoever reaches it can start and end instances"
_SKEW_WORTH_SAYING = 30.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class HubCheck:
    """
    How a hub passed: the steps that hold, then the one that does not, why, and the remedy.

    `notes` are worth knowing of a hub that passed.
    """

    hub: str
    passed: Sequence[str]
    failed: str | None = None
    reason: str = ""
    hint: str = ""
    notes: Sequence[str] = ()


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    configured.add_options(command)
    command.add_argument(
        "--offline", action="store_true", help="read the configuration only, and ask no hub"
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(check, options, environ)


async def check(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Check every hub, all at once, and print a table and the remedies; offline, show them only."""
    if options.offline:
        _show(settings)
        return ExitCode.OK
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
            notes = [note async for note in _notes(hub, client)]
        except ApiError as error:
            failed = _STEP_OF.get(error.kind, LISTING)
            passed = [
                step
                for step in steps[: steps.index(failed)]
                if step != KEY or error.kind in _FROM_THE_API
            ]
            return HubCheck(hub.name, passed, failed, _reason(hub, error), error.hint)
    return HubCheck(hub.name, steps, notes=notes)


def _reason(hub: HubSettings, error: ApiError) -> str:
    """Return why a request failed; where no key was sent, none can have been refused."""
    if error.kind is ErrorKind.AUTH and not _has_key(hub):
        return f"{error.status}, and no key is configured"
    return error.reason


def _has_key(hub: HubSettings) -> bool:
    return hub.key is not None or hub.key_path is not None


async def _notes(hub: HubSettings, client: HubClient) -> AsyncGenerator[str, None]:
    """
    List as the exporter does, and yield what is worth knowing.

    Raises:
        ApiError: a list failed, or has rows that its filter excludes.
    """
    listing = client.list_instances(InstanceQuery(statuses=ACTIVE))
    page = await listing.next_page()
    now = time.time()
    if not _has_key(hub) and not is_loopback(urlsplit(hub.base_url).hostname or ""):
        yield _NO_KEY
    if page is not None and page.date is not None:
        skew = page.date - (now - page.seconds / 2)
        if abs(skew) > _SKEW_WORTH_SAYING:
            yield _skewed(skew)
    if page is not None and len(page.rows) > hub.page_size:
        yield (
            f"a page has {len(page.rows):,} rows where {hub.page_size:,} were asked for: something "
            "drops the parameter top"
        )
    if page is not None and page.size > hub.page_bytes:
        yield (
            f"{len(page.rows):,} rows are {size(page.size)}, more than page_bytes: pages will have "
            "fewer"
        )
    # Nothing is created tomorrow: whatever comes shows that filters are dropped on the way.
    tomorrow = (page.date if page and page.date is not None else now) + _DAY
    await client.list_instances(InstanceQuery(created_from=tomorrow)).next_page()
    if listing.finished and (page is None or not page.rows):
        yield _EMPTY if await _has_no_other(client) else _IDLE


async def _has_no_other(client: HubClient) -> bool:
    """Tell whether no instance has finished either."""
    listing = client.list_instances(InstanceQuery(statuses=TERMINAL))
    while (page := await listing.next_page()) is not None:
        if page.rows:
            return False
    return True


def _skewed(skew: float) -> str:
    where = "ahead of" if skew > 0 else "behind"
    return (
        f"the app's clock is {span(abs(skew))} {where} this machine's: let both follow a time "
        "server"
    )


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


def _show(settings: Settings) -> None:
    """Print which hubs a configuration has that was read without an error."""
    table = Table("hub", "url", "task hub", "key", box=None, pad_edge=False, header_style="bold")
    for hub in settings.own_hubs:
        table.add_row(
            markup(hub.name),
            markup(hub.base_url),
            markup(hub.task_hub or "the app's default"),
            "yes" if _has_key(hub) else "none",
        )
    out = console()
    out.print(table)
    out.print(
        f"\nthe configuration is right; {len(settings.own_hubs)} of {len(settings.hubs)} hubs are "
        f"of shard {settings.shard}; none was asked"
    )


def _print(checks: Sequence[HubCheck]) -> None:
    table = Table("hub", *STEPS, box=None, pad_edge=False, header_style="bold")
    for result in checks:
        table.add_row(markup(result.hub), *(_mark(result, step) for step in STEPS))
    out = console()
    out.print(table)
    for result in checks:
        if result.failed:
            out.print(f"\n[red]{markup(result.hub)}[/]: {result.failed}: {markup(result.reason)}")
            out.print(f"  to fix it: {markup(result.hint)}")
        for note in result.notes:
            out.print(f"\n{markup(result.hub)}: {note}")
    failures = sum(1 for result in checks if result.failed)
    verdict = f"{failures} of {len(checks)} hubs failed" if failures else "all hubs answer"
    out.print(f"\n{verdict}")


def _mark(result: HubCheck, step: str) -> str:
    if step == result.failed:
        return "[red]failed[/]"
    return "[green]ok[/]" if step in result.passed else "-"
