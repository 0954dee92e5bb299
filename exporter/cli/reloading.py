"""Reloading the configuration while the exporter runs: all of it, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread
import structlog

from exporter.cli.logs import set_up_logging, warn_about_files
from exporter.collector.service import Change, Changed, Collector
from exporter.collector.snapshot import ProcessView
from exporter.discovery.discovery import Discovery
from exporter.settings import Problem, Settings, SettingsError, fingerprint, watched_files
from exporter.web.security import Guard
from exporter.web.server import Server

RELOADED = "configuration reloaded"
HUBS_FOUND = "hubs found in Azure have changed"
RELOAD_REFUSED = "configuration refused, keeping the previous one"

_NEEDING_RESTART = ("listen_address", "state_dir", "grace_period")
_LOG_SETTINGS = ("log_level", "log_format")

log = structlog.get_logger()

Load = Callable[[], Settings]


class Reloading:
    """
    Keeps the exporter in step with its files, and with the hubs that *discovery* finds.

    *load* reads and validates all files. Reloads are serialized. `settings` are those in force,
    found hubs included.
    """

    def __init__(
        self,
        settings: Settings,
        load: Load,
        collector: Collector,
        *,
        discovery: Discovery | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._listed = settings
        self._discovery = discovery or Discovery(collector.shared, wall=wall)
        self.settings = self._discovery.extend(settings)
        self._load = load
        self._collector = collector
        self._wall = wall
        self._front: tuple[Guard, Server] | None = None
        self._one_at_a_time = anyio.Lock()
        self._problems: Sequence[Problem] = ()
        self._loaded = wall()
        self._seen: bytes | None = None

    def attach(self, guard: Guard, server: Server) -> None:
        """Set the guard and server that follow the web configuration."""
        self._front = (guard, server)

    def view(self) -> ProcessView:
        """Return the state that pages and metrics show."""
        shard = self.settings.shard
        return ProcessView(
            shard.index,
            shard.count,
            not self._problems,
            self._loaded,
            self._discovery.view(),
            self._collector.shared.azure.budgets.remaining(),
        )

    async def watch(self) -> None:
        """Reload when a file has changed, and as long as the configuration is invalid."""
        while True:
            seen = await anyio.to_thread.run_sync(fingerprint, watched_files(self.settings))
            if seen != self._seen or self._problems:
                await self.reload(is_asked=False)
                # Taken before the files were read, so that a later change is seen next time.
                self._seen = seen
            await anyio.sleep(self.settings.reload_interval)

    async def reload(self, *, is_asked: bool = True) -> Sequence[Problem]:
        """
        Apply the configuration as it is now, or return its problems and change nothing.

        Unless it *is_asked* for, only changes and new problems are logged.
        """
        async with self._one_at_a_time:
            before = self._problems
            try:
                changed = await self._try()
            except SettingsError as error:
                self._problems = error.problems
                if is_asked or self._problems != before:
                    self._refuse()
                return self._problems
            self._problems = ()
            if is_asked or before or changed is not None:
                self._accept(changed)
            return ()

    async def search(self) -> None:
        """Search for hubs until cancelled, while the settings enable it."""
        await self._discovery.run(lambda: self._listed, self._follow_discovery)

    async def _follow_discovery(self) -> None:
        """Poll the found hubs beside the listed ones."""
        async with self._one_at_a_time:
            settings = await self._discovery.extend_in_thread(self._listed)
            try:
                change = await self._prepare(settings)
            except SettingsError as error:
                self._problems = error.problems
                self._refuse()
                return
            changed = await self._collector.apply(change)
            self.settings = settings
            if _is_change(changed):
                log.info(
                    HUBS_FOUND,
                    added=list(changed.added),
                    removed=list(changed.removed),
                    changed=list(changed.changed),
                )

    def _refuse(self) -> None:
        log.error(RELOAD_REFUSED, problems=[str(problem) for problem in self._problems])

    def _accept(self, changed: Changed | None) -> None:
        self._loaded = self._wall()
        log.info(
            RELOADED,
            added=list(changed.added) if changed else [],
            removed=list(changed.removed) if changed else [],
            changed=list(changed.changed) if changed else [],
            keys=list(changed.keys) if changed else [],
        )

    async def _try(self) -> Changed | None:
        """Apply the configuration; return what changed, None if nothing. Raises `SettingsError`."""
        listed = await self._read()
        changed_settings = [
            name for name in _NEEDING_RESTART if _differs(name, listed, self.settings)
        ]
        if changed_settings:
            reason = "needs a restart: restart the exporter, or restore the previous value"
            raise SettingsError([Problem(name, reason) for name in changed_settings])
        settings = await self._discovery.extend_in_thread(listed)
        try:
            change = await self._prepare(settings)
            await self._follow_at_front(change)
        except SettingsError:
            await self._discovery.extend_in_thread(self._listed)
            raise
        changed = await self._collector.apply(change)
        self._listed = listed
        is_same = settings == self.settings
        if any(_differs(name, settings, self.settings) for name in _LOG_SETTINGS):
            set_up_logging(settings.log_level, settings.log_format)
        self.settings = settings
        if not is_same:
            warn_about_files(settings)
        return None if is_same and not _is_change(changed) else changed

    async def _read(self) -> Settings:
        try:
            return await anyio.to_thread.run_sync(self._load)
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - no content of a file may end polling
            # The text of the error may hold content of the file.
            reason = f"cannot be read ({type(error).__name__}): please report this as a defect"
            raise SettingsError([Problem("configuration", reason)]) from None

    async def _prepare(self, settings: Settings) -> Change:
        try:
            return await self._collector.prepare(settings)
        except OSError as error:
            reason = f"cannot be loaded ({error.strerror or error}): it has just been replaced"
            raise SettingsError([Problem("tls", reason)]) from None

    async def _follow_at_front(self, change: Change) -> None:
        if self._front is None:
            return
        guard, server = self._front
        try:
            await server.follow(change.settings.web_config.tls)
        except (OSError, ValueError) as error:
            await self._collector.discard(change)
            reason = f"cannot be followed ({error}): the server listens as before"
            raise SettingsError([Problem("web_config_file", reason)]) from None
        guard.follow(change.settings.web_config, change.settings.allowed_hosts)


def _differs(name: str, one: Settings, other: Settings) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _is_change(changed: Changed) -> bool:
    return any((changed.added, changed.removed, changed.changed, changed.keys))
