"""`serve`: poll and be scraped until told to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import anyio
import structlog

from exporter import __version__
from exporter.collector.service import open_collector
from exporter.settings import Settings
from exporter.web.app import create_app
from exporter.web.scrapes import Scrapes
from exporter.web.server import serving

LISTENING = "listening"
STOPPING = "stopping"

log = structlog.get_logger()


def _say_where(settings: Settings, port: int) -> None:
    log.info(
        LISTENING,
        address=f"{settings.listen_address.host or '*'}:{port}",
        hubs=[hub.name for hub in settings.hubs],
        version=__version__,
    )


async def serve(
    settings: Settings, listening: Callable[[Settings, int], None] = _say_where
) -> None:
    """Poll all hubs and serve what they show, until SIGTERM or SIGINT; *listening* is told once."""
    address = settings.listen_address
    async with open_collector(settings, as_daemon=True) as collector:
        scrapes = Scrapes(collector.snapshots, settings.metrics, wall=time.time)
        app = create_app(collector.snapshots, scrapes, wall=time.time)
        async with (
            serving(app, address.host, address.port, grace_seconds=settings.grace_period) as port,
            anyio.create_task_group() as tasks,
        ):
            listening(settings, port)
            tasks.start_soon(collector.run)
            tasks.start_soon(scrapes.keep_written)
            await wait_for_stop()
            log.info(STOPPING)
            tasks.cancel_scope.cancel()


async def wait_for_stop() -> None:
    """Return when the process is asked to stop."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return
