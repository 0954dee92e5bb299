"""Time that passes by itself while a request waits for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint

from emulator import ManualClock

_TICK_SECONDS = 0.1


@asynccontextmanager
async def passing(clock: ManualClock) -> AsyncIterator[None]:
    """Move a clock on and on while the context lasts."""

    async def tick() -> None:
        while True:
            await checkpoint()
            clock.advance(_TICK_SECONDS)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        try:
            yield
        finally:
            group.cancel_scope.cancel()
