"""A body that is sent at the pace of its reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import anyio.lowlevel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# Small enough that fifty answers that go out at once do not hold the event loop.
_SLICE = 1 << 16


class SlicedResponse(Response):
    """A body in pieces that are shared with other answers."""

    def __init__(
        self, pieces: Sequence[bytes], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self._pieces = pieces
        length = sum(len(piece) for piece in pieces)
        super().__init__(
            status_code=status, headers={**(headers or {}), "content-length": str(length)}
        )

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for part in self._slices():
            # A socket that takes everything at once would let nobody else have a turn.
            await anyio.lowlevel.checkpoint()
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _slices(self) -> Iterator[bytes]:
        for piece in self._pieces:
            for start in range(0, len(piece), _SLICE):
                yield piece[start : start + _SLICE]
