"""Asked to stop, as a server is."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio


async def wait_for_stop(listening: Callable[[], None] = lambda: None) -> None:
    """Return when the process is asked to stop; calls *listening* once it may be asked."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        listening()
        async for _ in signals:
            return
