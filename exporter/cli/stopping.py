"""Asked to stop, as a server is."""

from __future__ import annotations

import signal

import anyio


async def wait_for_stop() -> None:
    """Return when the process is asked to stop."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return
