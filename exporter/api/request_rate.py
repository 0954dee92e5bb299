"""How many requests a hub gets in a second."""

from __future__ import annotations

import anyio

_BURST_SECONDS = 1.0


class RequestRate:
    """
    Lets *per_second* requests begin in a second on average, and as many at once.

    A real app needs 40 ms for a page, so only one gone wild comes here.
    """

    def __init__(self, per_second: float) -> None:
        self._seconds = 1.0 / per_second
        self._next = 0.0

    async def take(self) -> None:
        """Wait until the next request may begin."""
        now = anyio.current_time()
        self._next = max(self._next, now - _BURST_SECONDS) + self._seconds
        if self._next > now:
            await anyio.sleep(self._next - now)
