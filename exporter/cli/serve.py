"""`serve`: poll and be scraped until told to stop."""

from __future__ import annotations

import gc
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

# By then the first sweeps of all hubs have been made.
_SETTLED_AFTER = 600.0

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
            tasks.start_soon(_spare_the_loop)
            tasks.start_soon(collector.run)
            tasks.start_soon(scrapes.keep_written)
            await wait_for_stop()
            log.info(STOPPING)
            tasks.cancel_scope.cancel()


async def _spare_the_loop() -> None:
    """
    Let the garbage collector no longer look through what stays: code, and what is known of hubs.

    Each of its full rounds holds the event loop for as long as there are objects to look through.
    """
    gc.collect()
    gc.freeze()
    await anyio.sleep(_SETTLED_AFTER)
    # Not after another round, which would hold the loop as well.
    gc.freeze()


async def wait_for_stop() -> None:
    """Return when the process is asked to stop."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return
