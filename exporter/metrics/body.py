"""What is sent: the text of an exposition and, on demand, the same compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from exporter.metrics.lines import Lines

# Beyond level 1 a scrape costs more processor time than it saves bytes.
_LEVEL = 1
_GZIP = zlib.MAX_WBITS | 16


class Body:
    """
    The text of some hubs, which is the same until one of them publishes.

    What changes with every scrape is its tail; compressed, both are one stream, since not every
    client reads on after the end of the first.
    """

    def __init__(self, shown: Sequence[Sequence[Lines]], text: bytes) -> None:
        self.shown = shown
        self.text = text
        self._begun: tuple[bytes, zlib._Compress] | None = None

    def compressed(self, tail: bytes) -> bytes:
        """Return the text and *tail* as gzip; the text itself is compressed once."""
        if self._begun is None:
            compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
            self._begun = compressor.compress(self.text), compressor
        start, begun = self._begun
        compressor = begun.copy()
        return start + compressor.compress(tail) + compressor.flush()
