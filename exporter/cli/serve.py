"""`serve`: poll all hubs and serve /metrics until stopped."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Mapping

import anyio
import anyio.to_thread
import structlog

from exporter import __version__
from exporter.api.connection import SharedLimits
from exporter.cli import configured
from exporter.cli.conventions import ExitCode
from exporter.cli.logs import warn_about_files, warn_about_options
from exporter.cli.process import (
    allow_many_files,
    collect_garbage,
    tuned_garbage_collection,
    wait_for_stop,
)
from exporter.cli.reloading import Load, Reloading
from exporter.collector.instance_lookup import InstanceReader
from exporter.collector.service import open_collector
from exporter.discovery.discovery import Discovery
from exporter.settings import Configuration, Problem, Settings
from exporter.web.app import create_app, with_reload
from exporter.web.instance_pages import InstancePages
from exporter.web.scrapes import Scrapes
from exporter.web.security import Guard
from exporter.web.server import listening as listening_on

EXAMPLE = "serve --config-file exporter.yaml"

LISTENING = "listening"
STOPPING = "stopping"
FORMER_NAME = "setting was renamed"

log = structlog.get_logger()

add_options = configured.add_options


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(_serve, options, environ, is_daemon=True)


async def _serve(_settings: Settings, options: argparse.Namespace) -> ExitCode:
    warned: set[Problem] = set()

    def load() -> Settings:
        return _warned(options.load(), warned)

    warn_about_options(name for name, _ in options.set)
    await serve(_warned(options.configuration, warned), load)
    return ExitCode.OK


def _warned(configuration: Configuration, warned: set[Problem]) -> Settings:
    """Return the settings; warn about each former name once, not at every reload."""
    for renamed in configuration.former_names:
        if renamed not in warned:
            warned.add(renamed)
            log.warning(FORMER_NAME, setting=renamed.location, hint=renamed.message)
    return configuration.settings


def _say_where(settings: Settings, port: int) -> None:
    log.info(
        LISTENING,
        address=f"{settings.listen_address.host or '*'}:{port}",
        hubs=[hub.name for hub in settings.own_hubs],
        shard=str(settings.shard),
        encrypted=settings.web_config.tls is not None,
        version=__version__,
    )


async def serve(
    settings: Settings,
    load: Load | None = None,
    listening: Callable[[Settings, int], None] = _say_where,
) -> None:
    """
    Poll all hubs and serve their metrics until SIGTERM or SIGINT; call *listening* once ready.

    *load* is called when files change, on SIGHUP, and on request.
    """
    allow_many_files()
    with tuned_garbage_collection():
        await _serve_hubs(settings, load or (lambda: settings), listening)


async def _serve_hubs(
    settings: Settings, load: Load, listening: Callable[[Settings, int], None]
) -> None:
    address = settings.listen_address
    shared = SharedLimits()
    discovery = Discovery(shared, wall=time.time, folder=settings.state_dir)
    if settings.discovery.azure.enabled:
        await anyio.to_thread.run_sync(discovery.restore)
    known = discovery.extend(settings)
    async with open_collector(
        known, as_daemon=True, shared=shared, is_settled=lambda: discovery.is_settled
    ) as collector:
        reloading = Reloading(settings, load, collector, discovery=discovery)
        scrapes = Scrapes(
            collector.snapshots,
            lambda: reloading.settings.metrics,
            wall=time.time,
            process=reloading.view,
        )
        collector.listen(scrapes.note_publication)
        instances = InstancePages(InstanceReader(lambda: reloading.settings, azure=shared.azure))
        app = create_app(collector.snapshots, scrapes, wall=time.time, instances=instances)
        guard = Guard(
            with_reload(app, reloading.reload, lambda: reloading.settings.allow_reload),
            settings.web_config,
            allowed_hosts=settings.allowed_hosts,
        )
        async with (
            listening_on(
                guard,
                address.host,
                address.port,
                grace_seconds=settings.grace_period,
                tls=settings.web_config.tls,
            ) as server,
            anyio.create_task_group() as tasks,
        ):
            reloading.attach(guard, server)
            await tasks.start(_reload_on_signal, reloading)
            listening(settings, server.port)
            warn_about_files(settings)
            tasks.start_soon(collector.run)
            tasks.start_soon(scrapes.keep_written)
            tasks.start_soon(reloading.watch)
            tasks.start_soon(reloading.search)
            tasks.start_soon(collect_garbage, lambda: scrapes.is_idle)
            await wait_for_stop()
            log.info(STOPPING)
            tasks.cancel_scope.cancel()


async def _reload_on_signal(
    reloading: Reloading, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            await reloading.reload()
