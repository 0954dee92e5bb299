"""The repeated search for apps, which adds hubs to those that the settings list."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog

from exporter.api.azure.resource_manager import ResourceManager
from exporter.api.classify import Failures
from exporter.api.connection import SharedLimits, resource_manager
from exporter.api.errors import ApiError, ErrorKind
from exporter.discovery import DiscoveryView
from exporter.discovery.apps import STOPPED, Verdict, verdict_of
from exporter.discovery.search import LIST_APPS, READ_APPS, find_apps, functions_of
from exporter.discovery.selection import (
    KnownApp,
    Selection,
    listed_anew,
    reason_against,
    select,
    with_names,
)
from exporter.settings import HubSettings, Settings
from exporter.settings.discovery import AzureDiscovery

DISCOVERY_FAILED = "discovery failed, keeping the apps that are known"
DISCOVERY_NOT_KEPT = "discovered apps not kept over a restart"

# Until a verdict is checked again.
_VERDICT_SECONDS = 3600.0
_CHECKS_AT_ONCE = 4
_FIRST_RETRY_SECONDS = 60.0
_SEARCH_SECONDS = 900.0
# Errors that alerts ask for are counted from 0, for correct rates.
_KINDS = (ErrorKind.AZURE_AUTH, ErrorKind.AZURE_THROTTLED, ErrorKind.AZURE_SERVER)

_NO_APP = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/none"
    "/providers/Microsoft.Web/sites/none"
)
_FILE = "discovery.json"
_LARGEST_FILE = 64 << 20

log = structlog.get_logger()


class Discovery:
    """
    Keeps the known apps, which a failed search does not change.

    They survive a restart in *folder*, if given. *wall* returns the time.
    """

    def __init__(
        self, shared: SharedLimits, *, wall: Callable[[], float], folder: Path | None = None
    ) -> None:
        self._shared = shared
        self._wall = wall
        self._folder = folder
        self._known: dict[str, KnownApp] = {}
        self._errors = Counter[str](dict.fromkeys(_KINDS, 0))
        self._last_success: float | None = None
        self._failed_in_a_row = 0
        self._selection: Selection | None = None
        self._azure = AzureDiscovery()
        self._wanted = anyio.Event()

    @property
    def is_settled(self) -> bool:
        """Whether discovery is off, has succeeded, or has restored apps: all hubs are known."""
        is_known = self._last_success is not None or bool(self._known)
        return is_known or not self._azure.enabled

    def restore(self) -> None:
        """Load the apps known before a restart."""
        if self._folder is None:
            return
        try:
            self._known = _load(self._folder)
        except (OSError, ValueError) as error:
            log.warning(DISCOVERY_NOT_KEPT, error=str(error))

    def extend(self, settings: Settings) -> Settings:
        """Return *settings* with the hubs of known apps."""
        azure = self._follow(settings)
        if not azure.enabled:
            return settings
        return self._extended(settings, select(self._known, azure, settings.hubs))

    async def extend_in_thread(self, settings: Settings) -> Settings:
        """Do the same in a thread: validating a thousand hubs takes a while."""
        azure = self._follow(settings)
        if not azure.enabled:
            return settings
        known = self._known
        selection = await anyio.to_thread.run_sync(select, known, azure, settings.hubs)
        return self._extended(settings, selection)

    def _follow(self, settings: Settings) -> AzureDiscovery:
        azure = settings.discovery.azure
        if azure != self._azure:
            self._azure = azure
            self._wanted.set()
        if not azure.enabled:
            self._selection = None
        return azure

    def _extended(self, settings: Settings, selection: Selection) -> Settings:
        self._selection = selection
        self._known = with_names(self._known, selection.polled)
        return settings.model_copy(update={"hubs": (*settings.hubs, *selection.hubs)})

    def view(self) -> DiscoveryView | None:
        """Return a summary, None if discovery is off."""
        found = self._selection
        if found is None:
            return None
        apps = {
            "polled": len(found.polled),
            "left_out": len(found.left_out),
            "unknown": len(found.unknown),
        }
        return DiscoveryView(apps, dict(self._errors), self._last_success)

    @property
    def selection(self) -> Selection | None:
        """The latest selection."""
        return self._selection

    async def run(
        self, settings: Callable[[], Settings], follow: Callable[[], Awaitable[None]]
    ) -> None:
        """Search until cancelled, and call *follow* after each success."""
        while True:
            self._wanted = anyio.Event()
            pause: float | None = None
            if self._azure.enabled:
                pause = await self._search_once(settings(), follow)
            with anyio.move_on_after(pause):
                await self._wanted.wait()

    async def search(self, settings: Settings) -> None:
        """
        List all apps, and the functions of those that may be polled.

        Raises:
            ApiError: the listing is incomplete; the known apps stay.
        """
        azure = settings.discovery.azure
        manager = resource_manager(_template(azure), self._shared)
        apps = await find_apps(manager, azure.subscriptions, slots=azure.slots)
        if not apps and any(one.hub for one in self._known.values()):
            # Resource Graph leaves out what the identity may not read, without an error.
            raise Failures("", LIST_APPS).azure_denied(
                "no app is visible any more", f"check the role of the identity: {READ_APPS}"
            )
        known = listed_anew(self._known, apps)
        limiter = anyio.CapacityLimiter(_CHECKS_AT_ONCE)

        async def check(key: str) -> None:
            async with limiter:
                known[key] = await self._checked(manager, known[key])

        async with anyio.create_task_group() as tasks:
            for key, one in known.items():
                if not one.absent and self._is_due(one) and not reason_against(one.app, azure):
                    tasks.start_soon(check, key)
        # Names given meanwhile stay.
        self._known = with_names(known, [one for one in self._known.values() if one.hub])

    async def _search_once(
        self, settings: Settings, follow: Callable[[], Awaitable[None]]
    ) -> float:
        """Search, follow what was found, and return the seconds until the next search."""
        interval = settings.discovery.azure.interval
        try:
            with anyio.fail_after(max(interval, _SEARCH_SECONDS)):
                await self.search(settings)
        except ApiError as error:
            return self._failed(error, interval)
        except TimeoutError:
            failures = Failures("", LIST_APPS)
            late = failures.too_slow("the search was not done in time", "narrow discovery.azure")
            return self._failed(late, interval)
        self._last_success = self._wall()
        self._failed_in_a_row = 0
        await follow()
        await self._keep()
        return interval * random.uniform(0.95, 1.05)  # noqa: S311 - apart from other exporters

    def _failed(self, error: ApiError, interval: float) -> float:
        """Note a failed search, and return the seconds until the next one."""
        self._errors[error.kind] += 1
        log.error(DISCOVERY_FAILED, kind=error.kind.value, error=str(error), hint=error.hint)
        pause = _FIRST_RETRY_SECONDS * 2.0 ** min(10, self._failed_in_a_row)
        self._failed_in_a_row += 1
        return max(error.retry_after or 0.0, min(interval, pause))

    async def _keep(self) -> None:
        if self._folder is None:
            return
        try:
            await anyio.to_thread.run_sync(_save, self._folder, self._known)
        except OSError as error:
            log.warning(DISCOVERY_NOT_KEPT, error=error.strerror or str(error))

    def _is_due(self, one: KnownApp) -> bool:
        age = self._wall() - one.checked
        return one.verdict is Verdict.UNKNOWN or not 0 <= age < _VERDICT_SECONDS

    async def _checked(self, manager: ResourceManager, one: KnownApp) -> KnownApp:
        """Check the functions of an app; without a result the previous verdict stays."""
        try:
            verdict = verdict_of(await functions_of(manager, one.app))
        except ApiError as error:
            return msgspec.structs.replace(
                one, doubt=f"its functions cannot be read: {error.reason}"
            )
        if verdict is Verdict.UNKNOWN:
            doubt = "it is stopped" if one.app.state == STOPPED else "it shows no functions"
            return msgspec.structs.replace(one, doubt=doubt)
        return msgspec.structs.replace(one, verdict=verdict, checked=self._wall(), doubt="")


def _template(azure: AzureDiscovery) -> HubSettings:
    """Return hub settings for discovery's own requests: cloud, TLS, proxy."""
    own = {"name": "discovery", "url": "https://discovery.invalid", "resource_id": _NO_APP}
    return azure.settings_of("", {}, own)


class _Content(msgspec.Struct):
    version: int
    apps: list[KnownApp]


def _load(folder: Path) -> dict[str, KnownApp]:
    """
    Return the apps kept in *folder*, if any.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged.
    """
    path = folder / _FILE
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        return {}
    try:
        kept = msgspec.json.decode(content, type=_Content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return {one.app.key: one for one in kept.apps} if kept.version == 1 else {}


def _save(folder: Path, known: Mapping[str, KnownApp]) -> None:
    """Write the known apps atomically; raises `OSError`."""
    temporary = folder / f"{_FILE}.tmp"
    temporary.write_bytes(msgspec.json.encode(_Content(1, list(known.values()))))
    temporary.replace(folder / _FILE)
