"""`check`: test the configuration and every hub."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import anyio
from rich.table import Table

from exporter.api.client import HubClient
from exporter.api.connection import SharedLimits, connect
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.listing import Cursor, Page
from exporter.api.query import InstanceQuery
from exporter.api.times import known_time
from exporter.api.transport import proxy_of_environment
from exporter.api.wire import InstanceRow
from exporter.cli import configured
from exporter.cli.conventions import ExitCode
from exporter.cli.terminal import console, markup, printable, say
from exporter.ledger.status import ACTIVE, TERMINAL
from exporter.settings import Configuration, HubSettings, Settings, suits_azure_storage
from exporter.settings.addresses import is_loopback
from exporter.web.formatting import span

EXAMPLE = "check --url https://orders.azurewebsites.net --key-file key"

NAME, CONNECTION, TLS, KEY, LISTING = "host name", "connection", "TLS", "key", "listing"
STEPS = (NAME, CONNECTION, TLS, KEY, LISTING)

# The step that an error fails; all other kinds fail the listing.
_STEP_OF = {
    ErrorKind.NAME: NAME,
    ErrorKind.CONNECT: CONNECTION,
    ErrorKind.TIMEOUT: CONNECTION,
    ErrorKind.PROXY: CONNECTION,
    ErrorKind.TLS: TLS,
    ErrorKind.AUTH: KEY,
    ErrorKind.AZURE_AUTH: KEY,
}
_EMPTY = (
    "the hub is empty: compare task_hub with host.json, since a wrong name creates an empty hub"
)
_COMPARE = "compare task_hub with host.json: if the name is wrong, this check has created storage"
_IDLE = "no active instances"
_NO_KEY = "answers without a key: anybody who reaches it can start and terminate instances"
_UNUSUAL = (
    "Azure Storage would refuse the name of this task hub: it takes 3 to 45 letters and digits, a "
    "letter first"
)
_SKEW_WORTH_SAYING = 30.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class HubCheck:
    """
    Result for one hub: the steps proved, the one that failed, its reason and its remedy.

    `notes` are remarks on a hub that passed. `doubt` says why it may be the wrong hub, or is empty.
    """

    hub: str
    passed: Sequence[str]
    failed: str | None = None
    reason: str = ""
    hint: str = ""
    notes: Sequence[str] = ()
    doubt: str = ""

    def strictly(self) -> HubCheck:
        """Return the result with a doubt as a failure."""
        if not self.doubt or self.failed:
            return self
        return replace(self, failed=LISTING, reason=self.doubt, hint=_COMPARE, doubt="")


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    configured.add_options(command)
    command.add_argument(
        "--offline", action="store_true", help="read the configuration only; send no requests"
    )
    command.add_argument(
        "--print",
        action="store_true",
        help="print the effective configuration under current names, with the source of each value",
    )
    command.add_argument("--strict", action="store_true", help="fail if a named task hub is empty")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    asks = not (options.offline or options.print)
    return configured.run(_check, options, environ, finds_hubs=asks)


async def _check(settings: Settings, options: argparse.Namespace) -> ExitCode:
    configuration: Configuration = options.configuration
    for renamed in configuration.former_names:
        say(f"warning: {renamed}")
    if not options.print:
        return await check(settings, options)
    for line in configuration.lines():
        print(printable(line))
    return ExitCode.OK


async def check(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Check all hubs concurrently and print the results; offline, only list the hubs."""
    if options.offline:
        _show(settings)
        return ExitCode.OK
    results: dict[str, HubCheck] = {}
    named = [f"{hub.task_hub} ({hub.name})" for hub in settings.own_hubs if hub.task_hub]
    if named:
        say(
            f"requesting task hubs by name: {', '.join(named)}; an unknown name creates storage in "
            "the app's account (--offline sends no requests)"
        )

    async def one(hub: HubSettings) -> None:
        try:
            found = await check_hub(hub)
        except Exception as error:  # noqa: BLE001 - one hub's failure must not hide another's
            found = _crashed(hub, error)
        results[hub.name] = found.strictly() if options.strict else found

    async with anyio.create_task_group() as tasks:
        for hub in settings.own_hubs:
            tasks.start_soon(one, hub)
    checks = [results[hub.name] for hub in settings.own_hubs]
    _print(checks)
    failed = any(result.failed for result in checks)
    return ExitCode.HUB_FAILED if failed else ExitCode.OK


async def check_hub(hub: HubSettings) -> HubCheck:
    """Check one hub: name resolution, connection, TLS, key, and a listing."""
    steps = [step for step in STEPS if step != TLS or hub.base_url.startswith("https")]
    is_direct = hub.proxy is None and proxy_of_environment(hub.base_url) is None
    shared = SharedLimits()
    client = connect(hub, shared)
    async with aclosing(shared), aclosing(client):
        survey = _Survey(hub, client)
        try:
            await survey.make()
        except ApiError as error:
            failed = _STEP_OF.get(error.kind, LISTING)
            proved = _proved(error, steps, is_direct=is_direct, has_listed=survey.has_listed)
            passed = [step for step in proved if steps.index(step) < steps.index(failed)]
            return HubCheck(hub.name, passed, failed, _reason(hub, error), error.hint)
    return HubCheck(hub.name, steps, notes=survey.notes, doubt=survey.doubt)


def _proved(
    error: ApiError, steps: Sequence[str], *, is_direct: bool, has_listed: bool
) -> Sequence[str]:
    """Return the steps that a failed request still proves."""
    if has_listed:
        return steps
    names = [NAME] if is_direct else []
    if error.kind is ErrorKind.TLS and is_direct:
        return [*names, CONNECTION]
    # Without TLS, the answer may be the proxy's.
    is_of_host = is_direct or TLS in steps
    if error.status is not None and error.kind is not ErrorKind.PROXY and is_of_host:
        return [step for step in steps if step not in (KEY, LISTING)]
    return names


def _crashed(hub: HubSettings, error: Exception) -> HubCheck:
    """Return the result for a hub whose check raised an unexpected error."""
    reason = f"checking this hub failed with {type(error).__name__}"
    hint = "report this defect, unless a file of the hub has just changed"
    return HubCheck(hub.name, (), LISTING, reason, hint)


def _reason(hub: HubSettings, error: ApiError) -> str:
    """Return why a request failed; the app cannot have refused a key that was not sent."""
    if error.kind is ErrorKind.AUTH and not _has_key(hub) and "the key is" in error.reason:
        return f"{error.status}, and no key is configured"
    return error.reason


def _has_key(hub: HubSettings) -> bool:
    return hub.has_key or hub.resource_id is not None


class _Survey:
    """Lists as the exporter does and collects remarks."""

    def __init__(self, hub: HubSettings, client: HubClient) -> None:
        self._hub = hub
        self._client = client
        self.has_listed = False
        self.notes: list[str] = []
        self.doubt = ""

    async def make(self) -> None:
        """
        Read the first pages.

        Raises:
            ApiError: a listing failed, or has rows that its filter excludes.
        """
        hub = self._hub
        listing = self._client.list_instances(InstanceQuery(statuses=ACTIVE))
        page = await _next_page(self._client, listing)
        now = time.time()
        self.has_listed = True
        if hub.task_hub and not suits_azure_storage(hub.task_hub):
            self.notes.append(_UNUSUAL)
        if not _has_key(hub) and not is_loopback(urlsplit(hub.base_url).hostname or ""):
            self.notes.append(_NO_KEY)
        if page is not None:
            self.notes += _notes_on(page, listing.page_size, now)
        # Nothing was created tomorrow: any row shows that filters are dropped on the way.
        tomorrow = known_time(page.date + _DAY if page and page.date else None) or now + _DAY
        latest = self._client.list_instances(InstanceQuery(created_from=tomorrow))
        await _next_page(self._client, latest)
        if not listing.finished or (page is not None and page.rows):
            return
        if not await _has_no_other(self._client):
            self.notes.append(_IDLE)
        elif hub.task_hub:
            self.doubt = f"task hub {hub.task_hub} is empty"
        else:
            self.notes.append(_EMPTY)


def _notes_on(page: Page[InstanceRow], page_size: int, now: float) -> Iterator[str]:
    """Yield remarks on the first page of a listing."""
    if page.date is not None:
        skew = page.date - (now - page.seconds / 2)
        if abs(skew) > _SKEW_WORTH_SAYING:
            yield _skewed(skew)
    if len(page.rows) > page_size:
        yield (
            f"a page has {len(page.rows):,} rows instead of {page_size:,}: something drops the "
            "parameter top"
        )


async def _has_no_other(client: HubClient) -> bool:
    """Return whether no instance has finished either."""
    listing = client.list_instances(InstanceQuery(statuses=TERMINAL))
    async with aclosing(client.pages(listing)) as pages:
        async for page in pages:
            if page.rows:
                return False
    return True


async def _next_page(client: HubClient, listing: Cursor[InstanceRow]) -> Page[InstanceRow] | None:
    async with aclosing(client.pages(listing, lambda: False)) as pages:
        return await anext(pages, None)


def _skewed(skew: float) -> str:
    where = "ahead of" if skew > 0 else "behind"
    return f"the app's clock is {span(abs(skew))} {where} this machine's: synchronize both by NTP"


def _show(settings: Settings) -> None:
    """Print the hubs of a valid configuration."""
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
    for hub in settings.own_hubs:
        if hub.task_hub and not suits_azure_storage(hub.task_hub):
            out.print(f"\n{markup(hub.name)}: {_UNUSUAL}")
    if settings.discovery.azure.enabled:
        out.print("\nfurther hubs are found in Azure: durable-exporter discover lists them")
    out.print(
        f"\nconfiguration valid: {len(settings.own_hubs)} of {len(settings.hubs)} hubs in shard "
        f"{settings.shard}; no requests sent"
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
        if result.doubt:
            out.print(f"\n[yellow]{markup(result.hub)}[/]: warning: {markup(result.doubt)}")
            out.print(f"  {_COMPARE}; --strict makes it an error")
        for note in result.notes:
            out.print(f"\n{markup(result.hub)}: {note}")
    failures = sum(1 for result in checks if result.failed)
    verdict = f"{failures} of {len(checks)} hubs failed" if failures else "all hubs answer"
    out.print(f"\n{verdict}")


def _mark(result: HubCheck, step: str) -> str:
    if step == result.failed:
        return "[red]failed[/]"
    return "[green]ok[/]" if step in result.passed else "-"
